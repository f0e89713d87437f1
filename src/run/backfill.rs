//! Many dates of a job, each with a run of its own.
//!
//! What is done stands in the ledger alone, so a backfill that is killed is gone on with by starting
//! it again, and several processes that are given the same range share its dates: whoever looks for
//! the next date prefers one that nobody works on. A date that is to be scored again is so once for
//! each reason: its newest run bears it. A date that fails keeps none of the others from being
//! scored; a database that is out of reach does.

mod outcome;

pub use outcome::{DateOutcome, exit_code};

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use self::outcome::{failed, left_alone, not_begun, outcome_of};
use super::attempt::Attempted;
use super::pipeline::Progress;
use super::start::{Request, Started, start};
use super::wait;
use crate::error::{self, Class, Failure};
use crate::job::{Job, LogicalDate};
use crate::ledger::{Access, Ledger, NewestAndPublished, Publication, Run, Target};

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

    /// Which of a date's runs it is about.
    pub fn run_of(self, runs: &NewestAndPublished) -> Option<&Run> {
        match self {
            Self::Published => runs.published.as_ref(),
            _ => runs.newest.as_ref(),
        }
    }
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

/// What is to be done about a date that has these runs.
pub fn standing(runs: &NewestAndPublished, reprocess: Reprocess, reason: Option<&str>) -> Standing {
    let is_published = runs.published.is_some();
    if is_published && reprocess == Reprocess::None {
        return Standing::Published;
    }
    let Some(run) = &runs.newest else {
        return match is_published {
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
                if error::classify(&error) == Class::Unavailable {
                    self.is_over.store(true, Ordering::Relaxed);
                }
                failed(date, &error)
            });
            outcome.seconds = begun.elapsed().as_secs_f64();
            (self.observe)(Event::Done(&outcome));
            locked(&self.done).push(outcome);
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
        if !self.target.is_shared()
            && let Some(outcome) = self.left_alone_without_a_turn(date)?
        {
            return Ok(outcome);
        }
        let is_reprocessed = self.backfill.reprocess != Reprocess::None;
        let request = Request {
            workers: request.workers,
            // A date that is new now, or is gone on with, need not be scored again later.
            rescore: self.backfill.reason.clone().filter(|_| is_reprocessed),
            backfill: true,
            exclusive: false,
            interrupt: request.interrupt.clone(),
            isolated_arguments: request.isolated_arguments.clone(),
            ..Request::default()
        };
        loop {
            let mut ledger = self.target.open(Access::WriteInTurn)?;
            let (standing, runs) = self.look_at(&mut ledger, date)?;
            if !standing.is_to_be_scored() {
                ledger.close()?;
                return Ok(left_alone(date, standing, standing.run_of(&runs)));
            }
            refuse_unannounced(job, date)?;
            let started = start(&mut ledger, job, date, &request, |progress| {
                (self.observe)(Event::Progress(date, progress));
            });
            if let Ok(Started::Attempted(_)) = started {
                self.look_for_peers(&mut ledger, date);
            }
            let closed = ledger.close();
            self.let_others_write();
            let started = started?;
            closed?;
            // What was gone on with may have been begun for another reason, and is no answer to this one.
            let is_for_another = matches!(
                &started,
                Started::Attempted(Attempted::Finished(outcome))
                    if is_reprocessed && outcome.report.reason != self.backfill.reason
            );
            if !is_for_another {
                return Ok(outcome_of(date, started));
            }
        }
    }

    /// What became of a date with which there is nothing to do. A file is not kept from others for
    /// that.
    fn left_alone_without_a_turn(&self, date: LogicalDate) -> anyhow::Result<Option<DateOutcome>> {
        let seen = self.target.look(|ledger| self.look_at(ledger, date))?;
        Ok(seen
            .filter(|(standing, _)| !standing.is_to_be_scored())
            .map(|(standing, runs)| left_alone(date, standing, standing.run_of(&runs))))
    }

    fn look_at(
        &self,
        ledger: &mut Ledger,
        date: LogicalDate,
    ) -> anyhow::Result<(Standing, NewestAndPublished)> {
        let plan = self.backfill;
        let runs = ledger.at_one_moment(|ledger| {
            ledger.newest_and_published(&plan.job.name, &date.to_string())
        })?;
        let standing = standing(&runs, plan.reprocess, plan.reason.as_deref());
        Ok((standing, runs))
    }

    /// Whether somebody else worked on that date too.
    fn look_for_peers(&self, ledger: &mut Ledger, date: LogicalDate) {
        if !ledger.is_shared() || self.has_peers.load(Ordering::Relaxed) {
            return;
        }
        let found = ledger
            .newest_and_published(&self.backfill.job.name, &date.to_string())
            .and_then(|runs| match runs.newest {
                Some(run) => ledger.attempts(run.run_id),
                None => Ok(Vec::new()),
            });
        if found.is_ok_and(|attempts| attempts.len() > 1) {
            self.has_peers.store(true, Ordering::Relaxed);
        }
    }
}

/// Old input is there or it is not: nobody is still writing it, and there is nothing to wait for.
fn refuse_unannounced(job: &Job, date: LogicalDate) -> anyhow::Result<()> {
    let Some(marker) = wait::missing_marker(job, date)? else {
        return Ok(());
    };
    Err(Failure::new(
        Class::NoInput,
        format!("{} is not there, so the input is not complete", marker.display()),
    )
    .hint("[source] wait_for names it; have the input made, or --set source.wait_for=… for this start")
    .into())
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn random() -> usize {
    RandomState::new().hash_one(Instant::now()) as usize
}
