//! Many dates of a job, each with a run of its own.
//!
//! What is done stands in the ledger alone, so a backfill that is killed is gone on with by starting
//! it again, and several processes that are given the same range share its dates: whoever looks for
//! the next date prefers one that nobody works on. A date that is to be scored again is so once for
//! each reason: its newest run bears it. A date that fails keeps none of the others from being
//! scored; a database that is out of reach does.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::attempt::Attempted;
use super::pipeline::Progress;
use super::start::{Request, Started, start};
use super::wait;
use crate::error::{self, Class};
use crate::job::{Job, LogicalDate};
use crate::ledger::{Access, Ledger, Publication, Run, State, Target};

/// How long a backfill lets go of a file between two dates: whoever waits for it looks often enough.
const TURN: Duration = Duration::from_millis(100);

/// Which dates that have been scored are scored again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reprocess {
    /// None.
    None,
    /// Those whose newest run failed, or was withheld.
    Failed,
    /// All of them.
    All,
}

/// What to do.
pub struct Backfill {
    /// Of which job.
    pub job: Job,
    /// Which dates, the oldest first.
    pub dates: Vec<LogicalDate>,
    /// Which of these are scored again.
    pub reprocess: Reprocess,
    /// Why, if any may be.
    pub reason: Option<String>,
    /// Dates that this process works on at a time.
    pub max_active: usize,
    /// What each of them is started with.
    pub request: Request,
}

/// What the ledger says of a date before it is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// There is nothing of it yet.
    New,
    /// A run of it is to be gone on with.
    Unfinished,
    /// It has been scored, and is scored again.
    Again,
    /// Consumers see it: it is left alone.
    Published,
    /// It was withheld, or failed, and is left alone.
    Ended,
}

impl Standing {
    /// Whether there is something to do.
    pub fn is_to_be_scored(self) -> bool {
        matches!(self, Self::New | Self::Unfinished | Self::Again)
    }
}

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

/// What happens meanwhile.
pub enum Event<'a> {
    /// A date is begun.
    Begun(LogicalDate),
    /// A date is so far.
    Progress(LogicalDate, Progress),
    /// A date is done.
    Done(&'a DateOutcome),
}

/// Scores the dates. Returns what became of each, by date.
pub fn backfill(
    target: &Target,
    backfill: &Backfill,
    observe: &(dyn Fn(Event<'_>) + Sync),
) -> Vec<DateOutcome> {
    let crew = Crew {
        target,
        backfill,
        observe,
        waiting: Mutex::new(backfill.dates.iter().copied().collect()),
        done: Mutex::new(Vec::new()),
        is_over: AtomicBool::new(false),
        has_peers: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        for _ in 1..backfill.max_active.min(backfill.dates.len()) {
            scope.spawn(|| crew.work());
        }
        crew.work();
    });
    let mut outcomes = locked(&crew.done).split_off(0);
    outcomes.extend(locked(&crew.waiting).drain(..).map(not_begun));
    outcomes.sort_by_key(|outcome| outcome.date);
    outcomes
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

/// What is to be done about a date whose newest run (no trial, no retry, not given up) is `newest`,
/// and of which consumers see some run if it is `published`.
pub fn standing(
    newest: Option<&Run>,
    published: bool,
    reprocess: Reprocess,
    reason: Option<&str>,
) -> Standing {
    if published && reprocess == Reprocess::None {
        return Standing::Published;
    }
    let Some(run) = newest else {
        return match published {
            true => Standing::Published,
            false => Standing::New,
        };
    };
    if run.state.is_unfinished() {
        return Standing::Unfinished;
    }
    let is_seen = run.publication == Publication::Published;
    let again = match reprocess {
        Reprocess::None => false,
        Reprocess::Failed => !is_seen,
        Reprocess::All => true,
    };
    // It has been, for this reason.
    let is_done = reason.is_some() && run.reason.as_deref() == reason;
    match (again && !is_done, is_seen) {
        (true, _) => Standing::Again,
        (false, true) => Standing::Published,
        (false, false) => Standing::Ended,
    }
}

/// What the threads of one process share.
struct Crew<'a> {
    target: &'a Target,
    backfill: &'a Backfill,
    observe: &'a (dyn Fn(Event<'_>) + Sync),
    waiting: Mutex<VecDeque<LogicalDate>>,
    done: Mutex<Vec<DateOutcome>>,
    /// Nothing more is to be begun.
    is_over: AtomicBool,
    /// Other processes work on dates of the job.
    has_peers: AtomicBool,
}

impl Crew<'_> {
    fn work(&self) {
        while !self.is_over.load(Ordering::Relaxed)
            && !self.backfill.request.interrupt.is_requested()
        {
            let Some(date) = self.next() else { return };
            let begun = Instant::now();
            (self.observe)(Event::Begun(date));
            let mut outcome = self.score(date).unwrap_or_else(|error| {
                let class = error::classify(&error);
                if class == Class::Unavailable {
                    self.is_over.store(true, Ordering::Relaxed);
                }
                DateOutcome {
                    outcome: "failed".to_owned(),
                    exit_code: Some(class.exit_code()),
                    problem: Some(match error::hint(&error) {
                        Some(hint) => format!("{error:#} ({hint})"),
                        None => format!("{error:#}"),
                    }),
                    ..not_begun(date)
                }
            });
            outcome.seconds = begun.elapsed().as_secs_f64();
            (self.observe)(Event::Done(&outcome));
            locked(&self.done).push(outcome);
            self.let_others_write();
        }
    }

    /// A night that waits for the file gets it now.
    fn let_others_write(&self) {
        if !self.target.is_shared() {
            thread::sleep(TURN);
        }
    }

    /// The next date to look at: the oldest, or, if others are at work too, one that nobody works on,
    /// so that peers that look at the same moment do not stay together.
    fn next(&self) -> Option<LogicalDate> {
        let at_work = self.dates_at_work();
        let mut waiting = locked(&self.waiting);
        let free: Vec<usize> = (0..waiting.len())
            .filter(|&index| !at_work.contains(&waiting[index]))
            .collect();
        let index = match (free.len(), self.has_peers.load(Ordering::Relaxed)) {
            (0, _) => 0,
            (_, false) => free[0],
            (count, true) => free[random() % count],
        };
        waiting.remove(index)
    }

    /// Dates that processes work on. Not to know costs some company, no more.
    fn dates_at_work(&self) -> Vec<LogicalDate> {
        if !self.target.is_shared() {
            return Vec::new();
        }
        let look = || -> anyhow::Result<Vec<LogicalDate>> {
            let mut ledger = self.target.open(Access::Read)?;
            let dates = ledger.dates_at_work(&self.backfill.job.name)?;
            dates.iter().map(|date| Ok(date.parse()?)).collect()
        };
        look().unwrap_or_else(|error| {
            tracing::debug!("{error:#}");
            Vec::new()
        })
    }

    fn score(&self, date: LogicalDate) -> anyhow::Result<DateOutcome> {
        let Backfill { job, request, .. } = self.backfill;
        // Old input is there or it is not: nobody is still writing it.
        let there = Job {
            source: crate::job::Source {
                wait: Duration::ZERO,
                ..job.source.clone()
            },
            ..job.clone()
        };
        loop {
            let (mut ledger, standing, newest, published) = self.look_at(date)?;
            if !standing.is_to_be_scored() {
                ledger.close()?;
                return Ok(left_alone(date, standing, newest.as_ref()));
            }
            wait::wait(&there, date, &request.interrupt)?;
            let is_again = match (standing, self.backfill.reprocess) {
                (Standing::Unfinished, Reprocess::All) => true,
                (Standing::Unfinished, Reprocess::Failed) => !published,
                _ => standing == Standing::Again,
            };
            let request = Request {
                workers: request.workers,
                rescore: self.backfill.reason.clone().filter(|_| is_again),
                backfill: true,
                exclusive: false,
                interrupt: request.interrupt.clone(),
                isolated_arguments: request.isolated_arguments.clone(),
                ..Request::default()
            };
            let started = start(&mut ledger, job, date, &request, |progress| {
                (self.observe)(Event::Progress(date, progress));
            });
            if let Ok(Started::Attempted(_)) = started {
                self.look_for_peers(&mut ledger, date);
            }
            let closed = ledger.close();
            let started = started?;
            closed?;
            // What was gone on with may have been begun for another reason, and is no answer to this one.
            let is_for_another = matches!(
                &started,
                Started::Attempted(Attempted::Finished(outcome))
                    if is_again && outcome.report.reason != self.backfill.reason
            );
            if !is_for_another {
                return Ok(outcome_of(date, started));
            }
        }
    }

    /// The ledger, opened to write if there is something to do.
    fn look_at(&self, date: LogicalDate) -> anyhow::Result<(Ledger, Standing, Option<Run>, bool)> {
        let Backfill {
            job,
            reprocess,
            reason,
            ..
        } = self.backfill;
        let mut ledger = self.target.open(Access::WriteInTurn)?;
        let (newest, published) = ledger.at_one_moment(|ledger| {
            let text = date.to_string();
            let mut runs = ledger.newest_runs_of_dates(&job.name, &text, &text)?;
            let published = ledger.published_run(&job.name, &text)?;
            Ok((runs.pop(), published.is_some()))
        })?;
        let standing = standing(newest.as_ref(), published, *reprocess, reason.as_deref());
        Ok((ledger, standing, newest, published))
    }

    /// Whether somebody else worked on that date too.
    fn look_for_peers(&self, ledger: &mut Ledger, date: LogicalDate) {
        if !ledger.is_shared() || self.has_peers.load(Ordering::Relaxed) {
            return;
        }
        let text = date.to_string();
        let found = ledger
            .newest_runs_of_dates(&self.backfill.job.name, &text, &text)
            .and_then(|runs| match runs.first() {
                Some(run) => ledger.attempts(run.run_id),
                None => Ok(Vec::new()),
            });
        if found.is_ok_and(|attempts| attempts.len() > 1) {
            self.has_peers.store(true, Ordering::Relaxed);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn random() -> usize {
    RandomState::new().hash_one(Instant::now()) as usize
}

fn not_begun(date: LogicalDate) -> DateOutcome {
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

fn left_alone(date: LogicalDate, standing: Standing, newest: Option<&Run>) -> DateOutcome {
    let count = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
    let (outcome, exit_code) = match standing {
        Standing::Ended => {
            let code = newest.and_then(|run| u8::try_from(run.exit_code?).ok());
            let state = newest.map_or("withheld", |run| match run.state {
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
        run: newest.map(|run| run.name().to_string()),
        outcome,
        exit_code: Some(exit_code),
        records: newest.and_then(|run| count(Some(run.planned))),
        dead_letters: newest.and_then(|run| count(run.dead_letters)),
        problem: (exit_code != 0).then(|| {
            "it ended so before; --reprocess failed scores it again, for another --reason"
                .to_owned()
        }),
        ..not_begun(date)
    }
}

fn outcome_of(date: LogicalDate, started: Started) -> DateOutcome {
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
