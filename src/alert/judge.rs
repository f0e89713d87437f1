//! Whether rules hold.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::figures::{Figure, evaluated, figure};
use crate::error::{Class, Failure};
use crate::job::AlertRule;
use crate::ledger::EvaluationRow;
use crate::report::{JudgedRule, RuleState, RunReport};
use crate::suggest::nearest;

/// What becomes of a job's rules, in their order, when a run has ended: all but those that are only known
/// once it is known what was true. Columns and outputs of which the job's `[drift] ignore` says that they may
/// drift untold are `ignored` unless a rule names them.
pub fn judge(
    rules: &[AlertRule],
    report: &RunReport,
    ignored: &BTreeSet<String>,
) -> Vec<JudgedRule> {
    let rules = rules.iter().filter(|rule| !rule.metric.is_of_evaluation());
    let is_ignored = |name: &str| ignored.contains(name);
    rules
        .map(|rule| judged(rule, figure(rule, report, &is_ignored)))
        .collect()
}

/// The same of a run that a process leaves before its end for a reason of this class: of figures that are not
/// known before the end nothing is said.
pub fn judge_unfinished(rules: &[AlertRule], report: &RunReport, class: Class) -> Vec<JudgedRule> {
    let is_known = |rule: &&AlertRule| match rule.metric.name() {
        // The next start goes on: nothing is wrong yet.
        _ if class == Class::Temporary => false,
        "exit_code" | "minutes_past_finish_by" => true,
        "dead_letters" | "dead_letter_rate" => class == Class::Data,
        _ => false,
    };
    let rules = rules.iter().filter(is_known);
    rules
        .map(|rule| judged(rule, figure(rule, report, &|_| false)))
        .collect()
}

/// What becomes of the rules about what predictions were worth, by the metrics of one date, model and origin.
pub fn judge_evaluation(rules: &[AlertRule], rows: &[&EvaluationRow]) -> Vec<JudgedRule> {
    let rules = rules.iter().filter(|rule| rule.metric.is_of_evaluation());
    rules
        .map(|rule| judged(rule, evaluated(rule, rows)))
        .collect()
}

fn judged(rule: &AlertRule, figure: Figure) -> JudgedRule {
    let column = rule.column.clone().or(figure.column);
    let subject = subject(rule, column.as_deref());
    let state = match figure.value {
        None => RuleState::Unknown,
        Some(value) if rule.op.holds(value, rule.value) => RuleState::Firing,
        Some(_) => RuleState::Quiet,
    };
    let limit = format!("{} {}", rule.op.as_str(), shown(rule.value));
    let summary = match (figure.value, state) {
        (Some(value), RuleState::Firing) => format!("{subject} is {} ({limit})", shown(value)),
        (Some(value), _) => format!("{subject} is {} (not {limit})", shown(value)),
        (None, _) => format!("{subject} is not known: {}", figure.why),
    };
    JudgedRule {
        rule: rule.name.clone(),
        severity: rule.severity,
        subject,
        metric: rule.metric.name().to_owned(),
        column,
        class: rule.class.clone(),
        op: rule.op.as_str().to_owned(),
        threshold: rule.value,
        value: figure.value,
        state,
        summary,
        actions: actions(rule),
    }
}

fn actions(rule: &AlertRule) -> Vec<String> {
    let all = [
        ("webhook", rule.webhook.is_some()),
        ("exec", rule.exec.is_some()),
        ("withhold", rule.withhold),
    ];
    let wanted = all.into_iter().filter(|(_, is_wanted)| *is_wanted);
    wanted.map(|(action, _)| action.to_owned()).collect()
}

/// `psi of temperature`, `recall of late in JFK`.
fn subject(rule: &AlertRule, column: Option<&str>) -> String {
    let mut subject = rule.metric.name().to_owned();
    for (preposition, what) in [
        ("of", column),
        ("of", rule.class.as_deref()),
        ("in", rule.segment.as_deref()),
    ] {
        if let Some(what) = what {
            // Writing to a String can not fail.
            let _ = write!(subject, " {preposition} {what}");
        }
    }
    subject
}

/// At most four significant digits after what is whole.
fn shown(number: f64) -> String {
    let magnitude = number.abs();
    if number == number.trunc() && magnitude < 1e15 {
        return format!("{number}");
    }
    match magnitude {
        1000.0.. => format!("{number:.1}"),
        1.0.. => trimmed(&format!("{number:.3}")),
        0.0001.. => trimmed(&format!("{number:.4}")),
        _ => format!("{number:.2e}"),
    }
}

fn trimmed(digits: &str) -> String {
    digits
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}

/// What rules may name.
pub struct Names<'a> {
    /// Columns of the input, of which there may be dead letters and notes.
    pub columns: Vec<&'a str>,
    /// Columns and outputs that are held against the reference.
    pub series: Vec<&'a str>,
    /// Classes of the model; none if it has none.
    pub classes: Vec<&'a str>,
}

/// Refuses rules that name columns or classes which there are not, and would never hold.
///
/// # Errors
/// One does (78).
pub fn check_rules(rules: &[AlertRule], names: &Names<'_>) -> Result<(), Failure> {
    for rule in rules {
        let columns = match rule.metric.is_of_series() {
            true => &names.series,
            false => &names.columns,
        };
        for (key, name, known) in [
            ("column", &rule.column, columns),
            ("class", &rule.class, &names.classes),
        ] {
            let Some(name) = name else { continue };
            if known.contains(&name.as_str()) {
                continue;
            }
            let problem = format!(
                "the rule `{}` of [[alert]]: there is no {key} `{name}`",
                rule.name
            );
            let hint = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => format!("there is no {key} that a rule could name"),
                None => format!("there are: {}", listed(known)),
            };
            return Err(Failure::config(problem).hint(hint));
        }
    }
    Ok(())
}

fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 30;
    let shown = names.iter().take(SHOWN).copied();
    let mut listed = shown.collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        let _ = write!(listed, " and {} more", names.len() - SHOWN);
    }
    listed
}
