//! What a report comes to: whether the night was good, and what is to be done.
//!
//! A finding is something that a person on duty can act on, or has to know of before others ask. What is
//! told once is not told again: a column that a firing rule names is not among those that have drifted,
//! and dead letters for which a run was withheld are no finding of their own.

mod alerts;
mod records;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub(super) use records::MANY_DEAD_LETTERS;

use super::text::grouped;
use super::{RunReport, Verdict};
use crate::monitor::Drift;
use crate::monitor::drift::{Level, SeriesDrift};
use crate::monitor::profile::Side;

/// How good a night was, or how grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// Nothing to do.
    Good,
    /// Worth a look in the morning.
    Attention,
    /// Consumers do not have what they are to have, or somebody is to be woken.
    Bad,
}

impl Grade {
    /// What a finding of it is to a person.
    pub fn word(self) -> &'static str {
        match self {
            Grade::Good => "to know",
            Grade::Attention => "attention",
            Grade::Bad => "bad",
        }
    }

    /// The word in tables and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Grade::Good => "good",
            Grade::Attention => "attention",
            Grade::Bad => "bad",
        }
    }
}

/// Something that was found of a run. Names in it are those of the data: [`crate::printable`] makes them
/// safe to show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// How grave it is.
    pub grade: Grade,
    /// A sentence, without the full stop.
    pub what: String,
    /// What to do: a command where there is one, in which `JOB` stands for a job file that is not known.
    pub action: Option<String>,
}

/// What a report comes to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assessment {
    /// That of the gravest finding.
    pub grade: Grade,
    /// All of it in one short sentence.
    pub headline: String,
    /// What was found, the gravest first.
    pub findings: Vec<Finding>,
}

/// A finding, and the few words of it that a headline has room for.
struct Noted {
    finding: Finding,
    brief: String,
}

impl Noted {
    fn new(grade: Grade, what: impl Into<String>, brief: impl Into<String>) -> Self {
        Self {
            finding: Finding {
                grade,
                what: what.into(),
                action: None,
            },
            brief: brief.into(),
        }
    }

    fn action(mut self, action: impl Into<String>) -> Self {
        self.finding.action = Some(action.into());
        self
    }
}

/// Share of `[run] max_memory` from which on the next night may not have enough.
pub(super) const MUCH_MEMORY: f64 = 0.9;

/// Columns that a finding names; it counts the others.
const MOST_NAMED: usize = 2;

impl Assessment {
    /// Assesses a report. What is to be done is told as it is typed, with the job file that the run was started
    /// with, if the report knows that.
    pub fn of(report: &RunReport) -> Self {
        let mut found = Vec::new();
        found.extend(records::not_published(report));
        found.extend(records::nothing_predicted(report));
        found.extend(records::few(report));
        found.extend(alerts::firing(report));
        found.extend(alerts::undelivered(report));
        found.extend(late(report));
        found.extend(records::dead_letters(report));
        found.extend(records::duplicates(report));
        for side in [Side::Input, Side::Output] {
            found.extend(drifted(report, side));
        }
        found.extend(to_be_trained(report));
        found.extend(alerts::not_judged(report));
        found.extend(memory(report));
        // A stable sort: those that are equally grave stay in this order.
        found.sort_by_key(|noted| std::cmp::Reverse(noted.finding.grade));
        Self {
            grade: found
                .first()
                .map_or(Grade::Good, |noted| noted.finding.grade),
            headline: headline(report, &found),
            findings: found
                .into_iter()
                .map(|noted| named(noted.finding, report.job_file.as_deref()))
                .collect(),
        }
    }
}

/// The finding with the name of the job file in what is to be done.
fn named(mut finding: Finding, file: Option<&str>) -> Finding {
    if let (Some(action), Some(file)) = (&mut finding.action, file) {
        *action = action.replace(" JOB", &format!(" {file}"));
    }
    finding
}

fn headline(report: &RunReport, found: &[Noted]) -> String {
    let graves = found
        .iter()
        .filter(|noted| noted.finding.grade > Grade::Good);
    let mut graves = graves.peekable();
    let predicted = count(report.counts.predicted, "record");
    let Some(worst) = graves.next() else {
        return match report.outcome.verdict {
            Verdict::Trial => format!("Good trial: {predicted} predicted, nothing to do."),
            _ => format!("Good night: {predicted} predicted and published, nothing to do."),
        };
    };
    let judgement = match worst.finding.grade {
        Grade::Bad if report.trial => "Bad trial",
        Grade::Bad => "Bad night",
        Grade::Good | Grade::Attention => "Look at it",
    };
    let seen = match report.outcome.verdict {
        Verdict::Published => "published, but ",
        Verdict::Withheld => "withheld, ",
        Verdict::Trial => "a trial, and ",
        Verdict::Unfinished => "unfinished, ",
    };
    let more = match graves.count() {
        0 => String::new(),
        more => format!(", and {}", count(more as u64, "more finding")),
    };
    format!("{judgement}: {seen}{}{more}.", worst.brief)
}

fn late(report: &RunReport) -> Option<Noted> {
    let minutes = report.timing.minutes_past_finish_by?;
    // Less than a minute is none that anybody waited.
    if minutes.round() < 1.0 {
        return None;
    }
    let late = count(minutes.round() as u64, "minute");
    let by = match &report.timing.finish_by {
        Some(by) => format!("{late} past {by}, when it was to be finished"),
        None => format!("{late} later than it was to be"),
    };
    Some(
        Noted::new(
            Grade::Attention,
            format!("It was finished {by}"),
            format!("{late} late"),
        )
        .action("start it earlier, or give it more workers: [schedule], [run] workers"),
    )
}

/// What has drifted of the inputs, or of the outputs, in one finding.
fn drifted(report: &RunReport, side: Side) -> Option<Noted> {
    let drift = report.drift.as_ref()?;
    let of_level = |level: Level| {
        let series = drift.series.iter();
        series.filter(move |series| series.side == side && series.level == level)
    };
    let all_significant: Vec<&SeriesDrift> = of_level(Level::Significant).collect();
    let significant: Vec<&SeriesDrift> = all_significant
        .iter()
        .copied()
        .filter(|series| !alerts::tells_drift_of(report, &series.name))
        .collect();
    // Beside those that a rule tells of.
    let more = match all_significant.len() > significant.len() {
        true => " more",
        false => "",
    };
    let moderate = of_level(Level::Moderate).count() as u64;
    let (noun, all) = match side {
        Side::Input => ("input", drift.inputs),
        Side::Output => (
            "output",
            (drift.series.len() as u64).saturating_sub(drift.inputs),
        ),
    };
    let from = against(drift);
    let Some(worst) = significant.first() else {
        if moderate == 0 {
            return None;
        }
        let what = format!(
            "{moderate} of {} {} drifted moderately from {from}",
            count(all, noun),
            have(moderate)
        );
        return Some(Noted::new(Grade::Good, what, ""));
    };
    let named = significant.iter().take(MOST_NAMED).map(|series| {
        let reasons = series.reasons.join(", ");
        format!("{} ({reasons})", series.name)
    });
    let mut what = format!(
        "{}{more} of {} {} drifted significantly from {from}: {}",
        significant.len(),
        count(all, noun),
        have(significant.len() as u64),
        named.collect::<Vec<_>>().join(", ")
    );
    if let Some(more @ 1..) = significant.len().checked_sub(MOST_NAMED) {
        what.push_str(&format!(" and {more} more"));
    }
    if moderate > 0 {
        what.push_str(&format!("; {moderate} moderately"));
    }
    let reason = worst.reasons.first().map_or("", String::as_str);
    let brief = match significant.len() {
        1 => format!("{} has drifted ({reason})", worst.name),
        many => format!(
            "{many}{more} {noun}s have drifted, most {} ({reason})",
            worst.name
        ),
    };
    let action = format!(
        "look at {}: lamplighter drift JOB {}",
        worst.name, report.run
    );
    Some(Noted::new(Grade::Attention, what, brief).action(action))
}

fn to_be_trained(report: &RunReport) -> Option<Noted> {
    let decay = report.decay.as_ref()?;
    let first = decay.retrain.first()?;
    let what = format!("Train the model anew: {}", decay.retrain.join("; "));
    let brief = format!("the model is to be trained anew ({first})");
    Some(
        Noted::new(Grade::Attention, what, brief)
            .action("train it on newer data, and name the new bundle in [model]"),
    )
}

fn memory(report: &RunReport) -> Option<Noted> {
    let peak = report.resources.peak_memory_bytes? as f64;
    let limit = report
        .resources
        .memory_limit_bytes
        .filter(|limit| *limit > 0)?;
    let share = peak / limit as f64;
    if share <= MUCH_MEMORY {
        return None;
    }
    let what = format!(
        "Memory came to {} of [run] max_memory: more records may not fit",
        percent(share)
    );
    Some(
        Noted::new(
            Grade::Attention,
            what,
            format!("{} of its memory used", percent(share)),
        )
        .action("raise [run] max_memory, or lower [run] workers"),
    )
}

/// What a drift is held against, in words.
pub(super) fn against(drift: &Drift) -> &str {
    match drift.against.as_str() {
        "reference" => "the training data",
        run => run,
    }
}

/// `1 record`, `2,000 records`.
pub(super) fn count(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{} {noun}s", grouped(number)),
    }
}

fn have(number: u64) -> &'static str {
    if number == 1 { "has" } else { "have" }
}

/// A share from 0 to 1 with as many digits as tell it from nothing, down to `< 0.01 %`.
pub(super) fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    match percent.abs() {
        0.0 => "0 %".to_owned(),
        small if small < 0.01 => "< 0.01 %".to_owned(),
        small if small < 1.0 => format!("{percent:.2} %"),
        small if small < 99.95 => format!("{percent:.1} %"),
        _ => format!("{percent:.0} %"),
    }
}
