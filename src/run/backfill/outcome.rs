//! What became of each date of a backfill, and the exit code that they come to.

use serde::Serialize;

use super::Standing;
use crate::error::{self, Class};
use crate::job::LogicalDate;
use crate::ledger::{Publication, Run, State};
use crate::run::attempt::Attempted;
use crate::run::start::Started;

/// What became of a date.
#[derive(Clone, Debug, Serialize)]
pub struct DateOutcome {
    /// Which.
    pub date: LogicalDate,
    /// Its run, if it has one.
    pub run: Option<String>,
    /// In a word or two: `published`, `already published`, `withheld`, `not begun`, …
    pub outcome: String,
    /// Exit code of a run of the date alone; `None` if it was not begun.
    pub exit_code: Option<u8>,
    /// Records of its run.
    pub records: Option<u64>,
    /// Dead letters of its run.
    pub dead_letters: Option<u64>,
    /// How long this process worked on it.
    pub seconds: f64,
    /// Why it was not published.
    pub problem: Option<String>,
}

/// Exit code of a backfill whose dates came to this: what another start may mend comes before what it
/// can not, and of the latter the gravest.
pub fn exit_code(outcomes: &[DateOutcome]) -> u8 {
    const ORDER: [Class; 9] = [
        Class::Temporary,
        Class::Unavailable,
        Class::Io,
        Class::Internal,
        Class::Config,
        Class::Permission,
        Class::NoInput,
        Class::Data,
        Class::Usage,
    ];
    let codes: Vec<u8> = outcomes
        .iter()
        .map(|outcome| outcome.exit_code.unwrap_or(Class::Temporary.exit_code()))
        .filter(|code| *code != 0)
        .collect();
    let listed = ORDER.into_iter().map(Class::exit_code);
    let mut found = listed.filter(|code| codes.contains(code));
    found.next().or(codes.first().copied()).unwrap_or(0)
}

pub(super) fn not_begun(date: LogicalDate) -> DateOutcome {
    DateOutcome {
        date,
        run: None,
        outcome: "not begun".to_owned(),
        exit_code: None,
        records: None,
        dead_letters: None,
        seconds: 0.0,
        problem: None,
    }
}

/// A date that could not be worked on.
pub(super) fn failed(date: LogicalDate, error: &anyhow::Error) -> DateOutcome {
    DateOutcome {
        outcome: "failed".to_owned(),
        exit_code: Some(error::classify(error).exit_code()),
        problem: Some(match error::hint(error) {
            Some(hint) => format!("{error:#} ({hint})"),
            None => format!("{error:#}"),
        }),
        ..not_begun(date)
    }
}

/// A date with which there is nothing to do because of this run.
pub(super) fn left_alone(date: LogicalDate, standing: Standing, run: Option<&Run>) -> DateOutcome {
    let count = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
    let (outcome, exit_code) = match standing {
        Standing::Ended => {
            let code = run.and_then(|run| u8::try_from(run.exit_code?).ok());
            let state = run.map_or("withheld", |run| match run.state {
                State::Failed => "failed",
                _ => run.publication.as_str(),
            });
            (
                format!("already {state}"),
                code.unwrap_or(Class::Data.exit_code()),
            )
        }
        _ => ("already published".to_owned(), 0),
    };
    DateOutcome {
        run: run.map(|run| run.name().to_string()),
        outcome,
        exit_code: Some(exit_code),
        records: run.and_then(|run| count(Some(run.planned))),
        dead_letters: run.and_then(|run| count(run.dead_letters)),
        problem: (exit_code != 0).then(|| {
            "it ended so before; --reprocess failed scores it again, for another --reason"
                .to_owned()
        }),
        ..not_begun(date)
    }
}

/// What a start came to.
pub(super) fn outcome_of(date: LogicalDate, started: Started) -> DateOutcome {
    match started {
        Started::AlreadyDone(run) => {
            let standing = match run.publication {
                Publication::Published => Standing::Published,
                _ => Standing::Ended,
            };
            left_alone(date, standing, Some(&run))
        }
        Started::Attempted(Attempted::Finished(outcome)) => {
            let report = &outcome.report;
            let ending = &report.outcome;
            DateOutcome {
                run: Some(report.run.clone()),
                outcome: ending.verdict.as_str().to_owned(),
                exit_code: Some(outcome.exit_code),
                records: Some(report.counts.planned),
                dead_letters: Some(report.counts.dead_letters),
                problem: (outcome.exit_code != 0).then(|| ending.explanation.clone()),
                ..not_begun(date)
            }
        }
        Started::Attempted(Attempted::Stopped(failure, so_far)) => {
            let report = so_far.map(|outcome| outcome.report);
            let counts = report.as_ref().map(|report| &report.counts);
            DateOutcome {
                run: report.as_ref().map(|report| report.run.clone()),
                outcome: match failure.class() {
                    Class::Temporary => "interrupted",
                    _ => "failed",
                }
                .to_owned(),
                exit_code: Some(failure.class().exit_code()),
                records: counts.map(|counts| counts.planned),
                dead_letters: counts.map(|counts| counts.dead_letters),
                problem: Some(failure.to_string()),
                ..not_begun(date)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended_with(exit_code: Option<u8>) -> DateOutcome {
        DateOutcome {
            exit_code,
            ..not_begun("2026-11-23".parse().unwrap())
        }
    }

    #[test]
    fn what_another_start_may_mend_comes_first() {
        let code = |codes: &[Option<u8>]| {
            let outcomes: Vec<DateOutcome> = codes.iter().copied().map(ended_with).collect();
            exit_code(&outcomes)
        };
        assert_eq!(code(&[]), 0);
        assert_eq!(code(&[Some(0), Some(0)]), 0);
        assert_eq!(code(&[Some(0), Some(65), Some(0)]), 65);
        assert_eq!(code(&[Some(65), Some(69)]), 69);
        assert_eq!(code(&[Some(65), Some(78)]), 78);
        assert_eq!(code(&[Some(66), None]), 75, "not begun");
        assert_eq!(code(&[Some(79)]), 79);
    }
}
