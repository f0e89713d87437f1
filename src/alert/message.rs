//! What a receiver is told: an alert as JSON.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::job::{AlertRule, Severity};
use crate::ledger::{Owing, Run};
use crate::report::{JudgedRule, RuleState, RunReport};

/// What people are to be told of the rules that hold: of each what `message` makes of it.
///
/// # Errors
/// As [`Message::owing`].
pub fn owing(
    rules: &[AlertRule],
    judged: &[JudgedRule],
    planned_at: &str,
    message: impl Fn(&JudgedRule) -> Message,
) -> anyhow::Result<Vec<Owing>> {
    let mut owing = Vec::new();
    for judged in judged
        .iter()
        .filter(|judged| judged.state == RuleState::Firing)
    {
        if let Some(rule) = rules.iter().find(|rule| rule.name == judged.rule) {
            owing.extend(message(judged).owing(rule, planned_at)?);
        }
    }
    Ok(owing)
}

/// An alert as it is sent. It holds no value of a record, and of ids none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Name of the rule.
    pub alert: String,
    /// How grave it is.
    pub severity: Severity,
    /// The alert in a sentence.
    pub summary: String,
    /// The figure.
    pub metric: String,
    /// The column or output that it is of.
    pub column: Option<String>,
    /// The class that it is of.
    pub class: Option<String>,
    /// How it is compared.
    pub op: String,
    /// With what.
    pub threshold: f64,
    /// What it was.
    pub value: Option<f64>,
    /// Name of the job.
    pub job: String,
    /// The date.
    pub logical_date: String,
    /// `job@date#generation`.
    pub run: String,
    /// Whether consumers see the run: `published`, `withheld`, `unfinished`.
    pub verdict: String,
    /// Exit code of the process that judged.
    pub exit_code: u8,
    /// Name and version of the model.
    pub model: String,
    /// How to see more.
    pub look: String,
    /// When the rule was judged.
    pub fired_at: String,
    /// Whether it is only sent to see whether it arrives.
    pub test: bool,
    /// Version of Lamplighter.
    pub lamplighter: String,
}

impl Message {
    /// Of a rule that holds of a run.
    pub fn of(judged: &JudgedRule, report: &RunReport) -> Self {
        let model = &report.model;
        Self {
            verdict: report.outcome.verdict.as_str().to_owned(),
            exit_code: report.outcome.exit_code,
            fired_at: report.timing.finished_at.clone(),
            ..Self::about(
                judged,
                &report.job,
                &report.logical_date,
                &report.run,
                &format!("{} {}", model.name, model.version),
            )
        }
    }

    /// Of a rule about what a published run's predictions were worth, judged at `fired_at`.
    pub fn of_evaluation(judged: &JudgedRule, run: &Run, fired_at: &str) -> Self {
        let name = run.name().to_string();
        Self {
            fired_at: fired_at.to_owned(),
            look: format!("lamplighter report {name}"),
            ..Self::about(
                judged,
                &run.job,
                &run.logical_date,
                &name,
                &format!("{} {}", run.model_name, run.model_version),
            )
        }
    }

    /// One that is only sent to see whether it arrives.
    pub fn test(judged: &JudgedRule, job: &str, fired_at: &str) -> Self {
        Self {
            summary: format!("a test of the rule `{}`: nothing is wrong", judged.rule),
            // Not null, so that a template that reckons with it is tried.
            value: Some(judged.threshold),
            fired_at: fired_at.to_owned(),
            look: "lamplighter alerts test".to_owned(),
            test: true,
            ..Self::about(judged, job, "test", &format!("{job}@test"), "test")
        }
    }

    fn about(judged: &JudgedRule, job: &str, date: &str, run: &str, model: &str) -> Self {
        let look = match judged.metric.starts_with("dead_letter") {
            true => format!("lamplighter dead-letters list {run}"),
            false => format!("lamplighter report {run}"),
        };
        Self {
            alert: judged.rule.clone(),
            severity: judged.severity,
            summary: judged.summary.clone(),
            metric: judged.metric.clone(),
            column: judged.column.clone(),
            class: judged.class.clone(),
            op: judged.op.clone(),
            threshold: judged.threshold,
            value: judged.value,
            job: job.to_owned(),
            logical_date: date.to_owned(),
            run: run.to_owned(),
            verdict: "published".to_owned(),
            exit_code: 0,
            model: model.to_owned(),
            look,
            fired_at: String::new(),
            test: false,
            lamplighter: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// The rule that it is of, which held.
    pub fn judged(&self) -> JudgedRule {
        JudgedRule {
            rule: self.alert.clone(),
            severity: self.severity,
            subject: self.metric.clone(),
            metric: self.metric.clone(),
            column: self.column.clone(),
            class: self.class.clone(),
            op: self.op.clone(),
            threshold: self.threshold,
            value: self.value,
            state: RuleState::Firing,
            summary: self.summary.clone(),
            actions: Vec::new(),
        }
    }

    /// By what a receiver knows the message, should it come twice: the same for the same run, rule and action,
    /// and another one in every database (`planned_at` is when the run was planned).
    pub fn id(&self, planned_at: &str, action: &str) -> String {
        let mut hash = Sha256::new();
        for part in [&self.run, planned_at, &self.alert, action] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        format!("msg_{}", &hex::encode(hash.finalize())[..32])
    }

    /// What is owed because of it: one message for each receiver of the rule.
    ///
    /// # Errors
    /// None that can be met: all numbers are finite.
    pub fn owing(&self, rule: &AlertRule, planned_at: &str) -> anyhow::Result<Vec<Owing>> {
        let actions = [
            ("webhook", rule.webhook.is_some()),
            ("exec", rule.exec.is_some()),
        ];
        let wanted = actions.into_iter().filter(|(_, is_wanted)| *is_wanted);
        wanted
            .map(|(action, _)| {
                Ok(Owing {
                    rule: rule.name.clone(),
                    action,
                    message_id: self.id(planned_at, action),
                    message: serde_json::to_string(self)?,
                })
            })
            .collect()
    }

    /// The alert in a line of text, as people are told.
    pub fn line(&self) -> String {
        let severity = self.severity.as_str().to_uppercase();
        match self.test {
            true => format!("{severity} {}: {} ({})", self.job, self.summary, self.look),
            false => format!(
                "{severity} {}: {} [{}; {}] ({})",
                self.run, self.summary, self.alert, self.verdict, self.look
            ),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn judged() -> JudgedRule {
        JudgedRule {
            rule: "drift".to_owned(),
            severity: Severity::Critical,
            subject: "psi of temperature".to_owned(),
            metric: "psi".to_owned(),
            column: Some("temperature".to_owned()),
            class: None,
            op: ">".to_owned(),
            threshold: 0.25,
            value: Some(0.5),
            state: RuleState::Firing,
            summary: "psi of temperature is 0.5 (> 0.25)".to_owned(),
            actions: Vec::new(),
        }
    }

    /// A message such as one of a run.
    pub(in crate::alert) fn example() -> Message {
        let run = "flight-delay@2026-11-23#1";
        Message {
            run: run.to_owned(),
            value: Some(0.5),
            test: false,
            summary: judged().summary,
            ..Message::test(&judged(), "flight-delay", "2026-11-23T05:00:00Z")
        }
    }

    #[test]
    fn an_id_is_that_of_run_rule_action_and_database() {
        let message = example();
        let id = message.id("2026-11-23T02:00:00Z", "webhook");
        assert_eq!(id.len(), "msg_".len() + 32);
        assert_eq!(id, message.id("2026-11-23T02:00:00Z", "webhook"));
        assert_ne!(id, message.id("2026-11-23T02:00:00Z", "exec"));
        assert_ne!(id, message.id("2026-11-23T02:00:01Z", "webhook"));
    }

    #[test]
    fn a_test_says_that_nothing_is_wrong() {
        let message = Message::test(&judged(), "flight-delay", "");
        assert!(message.test);
        assert_eq!(
            message.line(),
            "CRITICAL flight-delay: a test of the rule `drift`: nothing is wrong (lamplighter alerts test)"
        );
    }
}
