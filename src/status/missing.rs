//! Dates that the schedule asks for and consumers do not see.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use crate::job::{LogicalDate, Schedule};
use crate::ledger::{Ledger, Run, State};

/// A date that consumers do not see.
#[derive(Clone, Debug, Serialize)]
pub struct MissingDate {
    /// Of which job.
    pub job: String,
    /// Which.
    pub date: LogicalDate,
    /// `never begun`, `unfinished`, `failed`, `withheld` or `pruned`.
    pub standing: &'static str,
    /// Its newest run, if it has one.
    pub run: Option<String>,
}

/// Which dates to look at; without an end, from the job's first date to the last that is due.
#[derive(Clone, Copy, Debug, Default)]
pub struct Range {
    /// The first.
    pub first: Option<LogicalDate>,
    /// The last.
    pub last: Option<LogicalDate>,
}

impl Range {
    /// The dates from `first` to its end that there should be by now.
    pub fn expected(
        self,
        schedule: &Schedule,
        first: LogicalDate,
        now: Timestamp,
    ) -> Vec<LogicalDate> {
        let mut dates = schedule.expected(first, now);
        dates.retain(|date| self.last.is_none_or(|last| *date <= last));
        dates
    }
}

/// Dates of a job that are due and that consumers do not see, the oldest first.
///
/// # Errors
/// The database's.
pub fn missing_dates(
    ledger: &mut Ledger,
    job: &str,
    schedule: &Schedule,
    range: Range,
    now: Timestamp,
) -> anyhow::Result<Vec<MissingDate>> {
    let first = match (range.first, ledger.first_date(job)?) {
        (Some(first), _) => first,
        (None, Some(first)) => first.parse()?,
        (None, None) => return Ok(Vec::new()),
    };
    let dates = range.expected(schedule, first, now);
    let (Some(first), Some(last)) = (dates.first(), dates.last()) else {
        return Ok(Vec::new());
    };
    let (first, last) = (first.to_string(), last.to_string());
    let published: BTreeSet<String> = ledger
        .published_dates(job, &first, &last)?
        .into_iter()
        .collect();
    let pruned: BTreeSet<String> = ledger
        .pruned_dates(job, &first, &last)?
        .into_iter()
        .collect();
    let newest: BTreeMap<String, Run> = ledger
        .newest_runs_of_dates(job, &first, &last)?
        .into_iter()
        .map(|run| (run.logical_date.clone(), run))
        .collect();
    Ok(dates
        .into_iter()
        .filter(|date| !published.contains(&date.to_string()))
        .map(|date| {
            let day = date.to_string();
            let run = newest.get(&day);
            MissingDate {
                job: job.to_owned(),
                date,
                standing: standing(run, pruned.contains(&day)),
                run: run.map(|run| run.name().to_string()),
            }
        })
        .collect())
}

fn standing(run: Option<&Run>, was_pruned: bool) -> &'static str {
    match run.map(|run| run.state) {
        None if was_pruned => "pruned",
        // One that was given up is as if it had never been.
        None | Some(State::Cancelled) => "never begun",
        Some(State::Planning | State::Running) => "unfinished",
        Some(State::Failed) => "failed",
        Some(State::Completed) => "withheld",
    }
}
