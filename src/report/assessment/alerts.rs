//! What became of the job's own rules, and of the messages that are owed because of them.

use std::collections::BTreeSet;

use super::records::withholds;
use super::{Grade, Noted, count};
use crate::job::Metric;
use crate::report::{Delivery, JudgedRule, RuleState, RunReport, Severity, Verdict};

/// Firing rules of one severity that have findings of their own; the others share one.
const MOST_OF_A_SEVERITY: usize = 5;

/// Names of rules that a finding of several rules tells.
const MOST_NAMES: usize = 3;

fn is_of_series(metric: &str) -> bool {
    Metric::named(metric).is_some_and(Metric::is_of_series)
}

/// Whether it is known only once it is known what was true.
fn is_of_truth(metric: &str) -> bool {
    Metric::named(metric).is_some_and(Metric::is_of_evaluation)
}

/// Whether a firing rule tells that this series has drifted.
pub(super) fn tells_drift_of(report: &RunReport, series: &str) -> bool {
    report.alerts.iter().any(|rule| {
        rule.state == RuleState::Firing
            && rule.column.as_deref() == Some(series)
            && is_of_series(&rule.metric)
    })
}

/// Rules that are firing, each a finding as long as there are few. The one for which a run was withheld
/// has been told.
pub(super) fn firing(report: &RunReport) -> Vec<Noted> {
    let mut found = Vec::new();
    for severity in [Severity::Critical, Severity::Warning, Severity::Info] {
        let grade = match severity {
            Severity::Critical => Grade::Bad,
            Severity::Warning => Grade::Attention,
            Severity::Info => Grade::Good,
        };
        let rules: Vec<&JudgedRule> = report
            .alerts
            .iter()
            .filter(|rule| rule.state == RuleState::Firing && rule.severity == severity)
            .filter(|rule| !withholds(report, rule))
            .collect();
        let (own, shared) = rules.split_at(rules.len().min(MOST_OF_A_SEVERITY));
        for rule in own {
            let what = format!(
                "Rule {} is firing ({}): {}",
                rule.rule,
                severity.as_str(),
                rule.summary.trim_end_matches('.')
            );
            let mut noted = Noted::new(grade, what, format!("rule {} is firing", rule.rule));
            noted.finding.action = action(report, rule);
            found.push(noted);
        }
        if !shared.is_empty() {
            let what = format!(
                "{} ({}): {}",
                match shared.len() {
                    1 => "1 more rule is firing".to_owned(),
                    many => format!("{many} more rules are firing"),
                },
                severity.as_str(),
                names(shared.iter().map(|rule| rule.rule.as_str()))
            );
            found.push(Noted::new(grade, what, "more rules are firing"));
        }
    }
    found
}

/// Where the figure of a rule can be looked into.
fn action(report: &RunReport, rule: &JudgedRule) -> Option<String> {
    let (run, metric) = (&report.run, rule.metric.as_str());
    if is_of_series(metric) || metric.starts_with("drifted_") {
        let drift = format!("lamplighter drift JOB {run}");
        return Some(match &rule.column {
            Some(column) => format!("look at {column}: {drift}"),
            None => drift,
        });
    }
    if is_of_truth(metric) {
        return Some("lamplighter evaluate JOB".to_owned());
    }
    metric
        .starts_with("dead_letter")
        .then(|| format!("lamplighter dead-letters list {run}"))
}

/// Messages that did not get through.
pub(super) fn undelivered(report: &RunReport) -> Vec<Noted> {
    let of = |state: &str| {
        let deliveries = report.deliveries.iter();
        deliveries
            .filter(|delivery| delivery.state == state && delivery.attempts > 0)
            .collect::<Vec<_>>()
    };
    let expired = report.deliveries.iter();
    let expired: Vec<&Delivery> = expired
        .filter(|delivery| delivery.state == "expired")
        .collect();
    let expired = failed(report, &expired, Grade::Bad).map(|noted| {
        noted.action("tell them yourself, and look at [notify] and [[alert]] of the job file")
    });
    let pending = failed(report, &of("pending"), Grade::Attention);
    let pending =
        pending.map(|noted| noted.action("look at [notify] and [[alert]] of the job file"));
    expired.into_iter().chain(pending).collect()
}

fn failed(report: &RunReport, deliveries: &[&Delivery], grade: Grade) -> Option<Noted> {
    let first = deliveries.first()?;
    let rules: BTreeSet<&str> = deliveries
        .iter()
        .map(|delivery| delivery.rule.as_str())
        .collect();
    let is_told = report
        .deliveries
        .iter()
        .any(|delivery| delivery.state == "delivered" && rules.contains(delivery.rule.as_str()));
    let whom = if is_told { "Not everybody" } else { "Nobody" };
    let ever = match grade {
        Grade::Bad => "was told of",
        Grade::Good | Grade::Attention => "has yet been told of",
    };
    let alerts = match rules.len() {
        1 => format!("rule {}", first.rule),
        _ => format!("rules {}", names(rules.iter().copied())),
    };
    let error = match &first.last_error {
        Some(error) => format!(", the last time with: {error}"),
        None => String::new(),
    };
    let attempts = match first.attempts {
        0 => "was never tried".to_owned(),
        1 => "failed once".to_owned(),
        attempts => format!("failed {attempts} times"),
    };
    let what = format!("{whom} {ever} {alerts}: {} {attempts}{error}", first.action);
    let brief = format!("{} {ever} {alerts}", whom.to_lowercase());
    Some(Noted::new(grade, what, brief))
}

/// Rules whose figure is not known of this run.
pub(super) fn not_judged(report: &RunReport) -> Vec<Noted> {
    // They are judged when the run is finished.
    if report.outcome.verdict == Verdict::Unfinished {
        return Vec::new();
    }
    let unknown = report.alerts.iter();
    let unknown = unknown.filter(|rule| rule.state == RuleState::Unknown);
    let waits = |rule: &&JudgedRule| report.evaluation.is_empty() && is_of_truth(&rule.metric);
    let (waiting, unknown): (Vec<&JudgedRule>, Vec<&JudgedRule>) = unknown.partition(waits);
    let mut found = Vec::new();
    if let Some(first) = unknown.first() {
        let why = first.summary.trim_end_matches('.');
        let (what, brief) = match unknown.as_slice() {
            [only] => (
                format!("Rule {} was not judged: {why}", only.rule),
                format!("rule {} was not judged", only.rule),
            ),
            many => {
                let names = names(many.iter().map(|rule| rule.rule.as_str()));
                let rules = format!("{} rules were not judged", many.len());
                (format!("{rules}, {names}: of the first, {why}"), rules)
            }
        };
        found.push(
            Noted::new(Grade::Attention, what, brief)
                .action("look at [[alert]] of the job file: lamplighter check JOB"),
        );
    }
    if !waiting.is_empty() {
        let what = format!(
            "{} for ground truth: {}",
            match waiting.len() {
                1 => "1 rule waits".to_owned(),
                _ => format!("{} wait", count(waiting.len() as u64, "rule")),
            },
            names(waiting.iter().map(|rule| rule.rule.as_str()))
        );
        found.push(Noted::new(Grade::Good, what, ""));
    }
    found
}

/// A few names, and how many more there are.
fn names<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(MOST_NAMES);
    let named = names.take(MOST_NAMES).collect::<Vec<_>>().join(", ");
    match more {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
