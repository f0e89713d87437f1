//! What became of the job's alert rules, and of the messages that are owed because of them.

use serde::Serialize;

use super::words::{brief, clipped, measure, time};
use crate::report::{Delivery, JudgedRule, RuleState, RunReport, Severity};

/// Rules and deliveries that are listed.
const MOST_ROWS: usize = 200;

#[derive(Serialize)]
pub(super) struct View {
    rules: Vec<Rule>,
    deliveries: Vec<Message>,
    more: usize,
}

/// A rule, as it is shown.
#[derive(Serialize)]
struct Rule {
    class: &'static str,
    state: &'static str,
    rule: String,
    severity: &'static str,
    subject: String,
    value: String,
    threshold: String,
    summary: String,
    actions: String,
}

/// A message that is owed.
#[derive(Serialize)]
struct Message {
    class: &'static str,
    rule: String,
    action: String,
    state: String,
    attempts: String,
    delivered_at: Option<String>,
    last_error: Option<String>,
}

pub(super) fn view(report: &RunReport) -> View {
    let mut rules: Vec<&JudgedRule> = report.alerts.iter().collect();
    // Those that tell something first, in the order of the job file.
    rules.sort_by_key(|rule| match rule.state {
        RuleState::Firing => (0, std::cmp::Reverse(rule.severity)),
        RuleState::Unknown => (1, std::cmp::Reverse(Severity::Info)),
        RuleState::Quiet => (2, std::cmp::Reverse(Severity::Info)),
    });
    let lists = [report.alerts.len(), report.deliveries.len()];
    View {
        rules: rules.into_iter().take(MOST_ROWS).map(rule).collect(),
        deliveries: report
            .deliveries
            .iter()
            .take(MOST_ROWS)
            .map(message)
            .collect(),
        more: lists
            .map(|length| length.saturating_sub(MOST_ROWS))
            .iter()
            .sum(),
    }
}

fn rule(rule: &JudgedRule) -> Rule {
    let (class, state) = match (rule.state, rule.severity) {
        (RuleState::Firing, Severity::Critical) => ("bad", "firing"),
        (RuleState::Firing, Severity::Warning) => ("attention", "firing"),
        (RuleState::Firing, Severity::Info) => ("plain", "firing"),
        (RuleState::Quiet, _) => ("good", "quiet"),
        (RuleState::Unknown, _) => ("plain", "not known"),
    };
    Rule {
        class,
        state,
        rule: clipped(&rule.rule, 80),
        severity: rule.severity.as_str(),
        subject: clipped(&rule.subject, 120),
        value: measure(rule.value),
        threshold: format!("{} {}", clipped(&rule.op, 4), brief(rule.threshold)),
        summary: clipped(&rule.summary, 400),
        actions: rule.actions.join(", "),
    }
}

fn message(delivery: &Delivery) -> Message {
    Message {
        class: match delivery.state.as_str() {
            "delivered" => "good",
            "pending" => "attention",
            _ => "bad",
        },
        rule: clipped(&delivery.rule, 80),
        action: clipped(&delivery.action, 40),
        state: clipped(&delivery.state, 40),
        attempts: match delivery.attempts {
            1 => "1 attempt".to_owned(),
            attempts => format!("{attempts} attempts"),
        },
        delivered_at: delivery.delivered_at.as_deref().map(time),
        last_error: delivery
            .last_error
            .as_deref()
            .map(|error| clipped(error, 400)),
    }
}
