//! The top of the page: how the night was, what is to be done, and the figures of it at a glance.

use serde::Serialize;

use super::words::{clipped, duration, measure, minutes};
use super::{Page, words};
use crate::monitor::drift::Level;
use crate::report::assessment::{Finding, Grade, MANY_DEAD_LETTERS, percent};
use crate::report::text::{decimals, grouped, money};
use crate::report::{RuleState, RunReport, Severity, Verdict};

#[derive(Serialize)]
pub(super) struct View<'a> {
    grade: Grade,
    mark: &'static str,
    word: String,
    headline: String,
    outcome: String,
    explanation: &'a str,
    finished: String,
    findings: Vec<Told<'a>>,
    /// Whether a command names the job file as `JOB`.
    names_job: bool,
    glance: Vec<Tile>,
}

/// A finding, as it is told.
#[derive(Serialize)]
struct Told<'a> {
    grade: Grade,
    word: &'static str,
    what: &'a str,
    advice: Option<&'a str>,
    command: Option<&'a str>,
}

/// A figure, and where more of it is on the page.
#[derive(Serialize)]
struct Tile {
    section: &'static str,
    name: &'static str,
    value: String,
    note: String,
    grade: Option<Grade>,
}

pub(super) fn view<'a>(page: &Page<'a>) -> View<'a> {
    let report = page.report;
    let findings = || page.assessment.findings.iter();
    let (word, headline) = split(page.assessment.grade, &page.assessment.headline);
    View {
        grade: page.assessment.grade,
        mark: match page.assessment.grade {
            Grade::Good => "✓",
            Grade::Attention => "!",
            Grade::Bad => "✕",
        },
        word,
        headline,
        outcome: report.outcome.verdict.as_str().to_owned(),
        explanation: &report.outcome.explanation,
        finished: match report.outcome.verdict {
            Verdict::Unfinished => "not finished".to_owned(),
            _ => format!("finished {}", words::time(&report.timing.finished_at)),
        },
        names_job: findings().any(|finding| {
            let action = finding.action.as_deref().unwrap_or_default();
            action.split_whitespace().any(|word| word == "JOB")
        }),
        findings: findings().map(told).collect(),
        glance: glance(report),
    }
}

fn word(grade: Grade) -> &'static str {
    match grade {
        Grade::Good => "Good",
        Grade::Attention => "Look at it",
        Grade::Bad => "Bad",
    }
}

/// The judgement, and what it is for: a headline may begin with it.
fn split(grade: Grade, headline: &str) -> (String, String) {
    let word = word(grade);
    match headline.split_once(": ") {
        Some((judgement, rest)) if judgement.starts_with(word) => {
            let mut characters = rest.chars();
            let first = characters.next().into_iter().flat_map(char::to_uppercase);
            (judgement.to_owned(), first.chain(characters).collect())
        }
        _ => (word.to_owned(), headline.to_owned()),
    }
}

fn told(finding: &Finding) -> Told<'_> {
    let action = finding.action.as_deref();
    // From there on it is to be typed.
    let command = action.and_then(|action| action.find("lamplighter "));
    let (advice, command) = match (action, command) {
        (Some(action), Some(at)) => action.split_at(at),
        (Some(action), None) => (action, ""),
        (None, _) => ("", ""),
    };
    Told {
        grade: finding.grade,
        word: match finding.grade {
            Grade::Good => "To know",
            Grade::Attention => "Look at it",
            Grade::Bad => "Bad",
        },
        what: &finding.what,
        advice: Some(advice.trim()).filter(|advice| !advice.is_empty()),
        command: Some(command.trim()).filter(|command| !command.is_empty()),
    }
}

fn glance(report: &RunReport) -> Vec<Tile> {
    let counts = &report.counts;
    let share = counts.dead_letters as f64 / counts.planned.max(1) as f64;
    let mut tiles = vec![
        Tile {
            section: "records",
            name: "Predicted",
            value: grouped(counts.predicted),
            note: format!("of {} records", grouped(counts.planned)),
            grade: (counts.unfinished > 0).then_some(Grade::Bad),
        },
        Tile {
            section: "records",
            name: "Dead letters",
            value: grouped(counts.dead_letters),
            note: format!("{} of the records", percent(share)),
            grade: (share >= MANY_DEAD_LETTERS).then_some(Grade::Attention),
        },
        time(report),
    ];
    tiles.extend(drift(report));
    tiles.extend(evaluation(report));
    tiles.extend(alerts(report));
    tiles.extend(report.cost.as_ref().map(|cost| Tile {
        section: "cost",
        name: "Cost",
        value: format!("{} {}", money(cost.amount), clipped(&cost.currency, 8)),
        note: cost.month.as_ref().map_or_else(String::new, |month| {
            format!("{} by the end of the month", money(month.forecast))
        }),
        grade: None,
    }));
    tiles
}

fn time(report: &RunReport) -> Tile {
    let timing = &report.timing;
    let late = timing
        .minutes_past_finish_by
        .filter(|late| late.is_finite());
    Tile {
        section: "timing",
        name: "Duration",
        value: duration(timing.duration_seconds),
        note: match late {
            Some(late) if late.round() >= 1.0 => {
                format!("{} late", minutes(late))
            }
            Some(early) => format!("{} early", minutes(early.min(0.0))),
            None => format!("{} records/s", words::rate(timing.records_per_second)),
        },
        grade: late
            .filter(|late| late.round() >= 1.0)
            .map(|_| Grade::Attention),
    }
}

fn drift(report: &RunReport) -> Option<Tile> {
    let drift = report.drift.as_ref()?;
    let worst = drift.drifted().next();
    Some(Tile {
        section: "drift",
        name: "Drifted inputs",
        value: format!("{} of {}", drift.drifted_inputs, drift.inputs),
        note: match worst {
            Some(worst) => format!("most: {}", clipped(&worst.name, 28)),
            None => "none has drifted".to_owned(),
        },
        grade: worst
            .filter(|worst| worst.level == Level::Significant)
            .map(|_| Grade::Attention),
    })
}

fn evaluation(report: &RunReport) -> Option<Tile> {
    let decay = report.decay.as_ref()?;
    let metric = decay.metric.as_deref()?;
    let newest = decay.history.last()?;
    Some(Tile {
        section: "evaluation",
        name: "Evaluation",
        value: measure(newest.value),
        note: match decay.baseline {
            Some(baseline) => format!("{}, baseline {}", clipped(metric, 20), decimals(baseline)),
            None => clipped(metric, 28),
        },
        grade: (!decay.retrain.is_empty()).then_some(Grade::Attention),
    })
}

fn alerts(report: &RunReport) -> Option<Tile> {
    if report.alerts.is_empty() {
        return None;
    }
    let firing = || {
        report
            .alerts
            .iter()
            .filter(|rule| rule.state == RuleState::Firing)
    };
    let worst = firing().map(|rule| rule.severity).max();
    let owed = report
        .deliveries
        .iter()
        .filter(|delivery| delivery.state != "delivered");
    Some(Tile {
        section: "alerts",
        name: "Rules firing",
        value: format!("{} of {}", firing().count(), report.alerts.len()),
        note: match owed.count() {
            0 if report.deliveries.is_empty() => "no message is owed".to_owned(),
            0 => "all messages are delivered".to_owned(),
            1 => "1 message is not delivered".to_owned(),
            owed => format!("{owed} messages are not delivered"),
        },
        grade: worst.and_then(|severity| match severity {
            Severity::Critical => Some(Grade::Bad),
            Severity::Warning => Some(Grade::Attention),
            Severity::Info => None,
        }),
    })
}
