//! Pruning: what a job's `[retention]` says goes, a bounded number of rows in each transaction.
//!
//! Consumers never lose what they see, nor does anybody a run under way. A run that goes as a whole
//! is marked first: from then on no start goes on with it, and the next pruning ends what an
//! interrupted one left.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::read::run;
use super::rewrite::{Loss, Outcome};
use super::{Ledger, Publication, Run};
use crate::database::{Begin, Value};
use crate::error::Failure;
use crate::job::Retention;

/// Rows that one transaction deletes.
const ROWS_AT_ONCE: i64 = 5_000;

/// Shards that one transaction changes: each may hold what names a million records.
const SHARDS_AT_ONCE: i64 = 50;

/// What is pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PrunedKind {
    /// Rows of the queue.
    Queue,
    /// Runs as a whole.
    Runs,
    /// Dead letters of runs that stay.
    DeadLetters,
    /// Profiles of runs that stay.
    Profiles,
    /// Reports of runs that stay.
    Reports,
}

impl PrunedKind {
    /// What people call it.
    pub fn as_str(self) -> &'static str {
        match self {
            PrunedKind::Queue => "queue",
            PrunedKind::Runs => "runs",
            PrunedKind::DeadLetters => "dead letters",
            PrunedKind::Profiles => "profiles",
            PrunedKind::Reports => "reports",
        }
    }
}

/// Runs of a job that lose something, by kind, in the order in which they do.
#[derive(Debug, Default)]
pub struct Prunable {
    /// Runs that go as a whole, retries before the runs that they belong to.
    pub runs: Vec<Run>,
    /// Runs whose dead letters go.
    pub dead_letters: Vec<Run>,
    /// Runs whose profiles go.
    pub profiles: Vec<Run>,
    /// Runs whose report goes.
    pub reports: Vec<Run>,
}

/// Rows of a run that pruning takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowsOfRun {
    /// Of `predictions`.
    pub predictions: u64,
    /// Of `dead_letters`.
    pub dead_letters: u64,
    /// Shards with a profile.
    pub profiles: u64,
}

/// Rows of the queue that pruning takes.
#[derive(Clone, Debug)]
pub struct PrunableInQueue {
    /// How many.
    pub records: u64,
    /// Runs that took them.
    pub runs: u64,
    /// The first of these runs' logical dates.
    pub first_date: Option<String>,
    /// The last of these runs' logical dates.
    pub last_date: Option<String>,
}

/// What there is of a job when it is decided what goes.
struct Inventory {
    now: Timestamp,
    /// The newest first.
    runs: Vec<Run>,
    /// Those that consumers see.
    seen: BTreeSet<i64>,
    /// Those whose rows are in the queue and stay there.
    in_queue: BTreeSet<i64>,
}

impl Inventory {
    fn is_old(&self, run: &Run, age: Duration) -> anyhow::Result<bool> {
        let Some(completed_at) = &run.completed_at else {
            return Ok(false);
        };
        let ended: Timestamp = completed_at.parse().map_err(|_| {
            Failure::internal(format!("{} ended at no time: {completed_at}", run.name()))
        })?;
        let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
        Ok(self.now.duration_since(ended) >= age)
    }

    /// Runs that go as a whole.
    fn whole(&self, retention: &Retention) -> anyhow::Result<Vec<Run>> {
        let mut going: Vec<Run> = Vec::new();
        let Some(age) = retention.runs else {
            // What an interrupted pruning left goes all the same.
            let begun = self.runs.iter().filter(|run| run.pruned_at.is_some());
            return Ok(begun.cloned().collect());
        };
        let spared = usize::try_from(retention.keep_runs).unwrap_or(usize::MAX);
        let mut needed = BTreeSet::new();
        // The newest first: a retry is decided on before the run that it belongs to.
        for (place, run) in self.runs.iter().enumerate() {
            let is_of_seen = [Some(run.run_id), run.parent_run_id]
                .iter()
                .flatten()
                .any(|run_id| self.seen.contains(run_id));
            let stays = place < spared
                || is_of_seen
                || run.state.is_unfinished()
                || needed.contains(&run.run_id)
                || self.in_queue.contains(&run.run_id)
                || !self.is_old(run, age)?;
            if stays && run.pruned_at.is_none() {
                needed.extend(run.parent_run_id);
            } else {
                going.push(run.clone());
            }
        }
        Ok(going)
    }

    /// Runs that stay, have something of a kind, and lose it.
    fn parts(
        &self,
        age: Option<Duration>,
        have: &BTreeSet<i64>,
        going: &[Run],
    ) -> anyhow::Result<Vec<Run>> {
        let mut losing = Vec::new();
        let Some(age) = age else {
            return Ok(losing);
        };
        let going: BTreeSet<i64> = going.iter().map(|run| run.run_id).collect();
        // A retry under way may ask for the dead letters again.
        let retried: BTreeSet<i64> = self
            .runs
            .iter()
            .filter(|run| run.state.is_unfinished())
            .filter_map(|run| run.parent_run_id)
            .collect();
        for run in &self.runs {
            let goes = have.contains(&run.run_id)
                && !run.state.is_unfinished()
                && !retried.contains(&run.run_id)
                && !going.contains(&run.run_id)
                && self.is_old(run, age)?;
            if goes {
                losing.push(run.clone());
            }
        }
        Ok(losing)
    }
}

/// Whole seconds, as SQL counts them.
pub(super) fn seconds(age: Duration) -> i64 {
    i64::try_from(age.as_secs()).unwrap_or(i64::MAX)
}

impl Ledger {
    /// Runs of a job, or of all jobs, the newest first.
    ///
    /// # Errors
    /// The database's, here and below.
    pub fn runs_of_job(&mut self, job: Option<&str>) -> anyhow::Result<Vec<Run>> {
        self.read(statement!("runs_of_job"), &[job.into()], run)
    }

    /// What goes of a job, as it is now.
    pub fn prunable(&mut self, job: &str, retention: &Retention) -> anyhow::Result<Prunable> {
        let doing = || "cannot see what is to be pruned".to_owned();
        self.transaction(Begin::Read, doing, |ledger| {
            let runs = ledger.runs_of_job(Some(job))?;
            let mut seen = ledger.run_ids(statement!("seen_runs"), &[job.into()])?;
            let published = runs
                .iter()
                .filter(|run| run.publication == Publication::Published);
            seen.extend(published.map(|run| run.run_id));
            let inventory = Inventory {
                now: ledger.now()?,
                runs,
                seen,
                in_queue: ledger.run_ids(
                    statement!("runs_with_queue"),
                    &[job.into(), seconds(retention.queue).into()],
                )?,
            };
            let runs = inventory.whole(retention)?;
            let mut parts = |age: Option<Duration>, statement| {
                let have = match age {
                    Some(_) => ledger.run_ids(statement, &[job.into()])?,
                    None => BTreeSet::new(),
                };
                inventory.parts(age, &have, &runs)
            };
            Ok(Prunable {
                dead_letters: parts(retention.dead_letters, statement!("runs_with_dead_letters"))?,
                profiles: parts(retention.profiles, statement!("runs_with_profiles"))?,
                reports: parts(retention.reports, statement!("runs_with_report"))?,
                runs,
            })
        })
    }

    fn run_ids(
        &mut self,
        statement: crate::database::Statement,
        values: &[Value<'_>],
    ) -> anyhow::Result<BTreeSet<i64>> {
        let found = self.read(statement, values, |row| row.get("run_id"))?;
        Ok(found.into_iter().collect())
    }

    /// Rows of a run.
    pub fn rows_of_run(&mut self, run_id: i64) -> anyhow::Result<RowsOfRun> {
        let found = self.read(statement!("rows_of_run"), &[run_id.into()], |row| {
            Ok(RowsOfRun {
                predictions: row.get("predictions")?,
                dead_letters: row.get("dead_letters")?,
                profiles: row.get("profiles")?,
            })
        })?;
        Ok(found.first().copied().unwrap_or_default())
    }

    /// Rows that [`prune_queue`](Self::prune_queue) would delete.
    pub fn prunable_in_queue(
        &mut self,
        job: &str,
        retention: Duration,
    ) -> anyhow::Result<PrunableInQueue> {
        let values = [job.into(), seconds(retention).into()];
        let found = self.read(statement!("prunable_in_queue"), &values, |row| {
            Ok(PrunableInQueue {
                records: row.get("records")?,
                runs: row.get("runs")?,
                first_date: row.get("first_date")?,
                last_date: row.get("last_date")?,
            })
        })?;
        let mut found = found.into_iter();
        found
            .next()
            .ok_or_else(|| Failure::internal("an aggregate gave no row").into())
    }

    /// Prunes a run as a whole, if nobody wants it any more. Returns its rows, or `None` if it stays.
    /// `proceed` is asked between the transactions, here and below.
    ///
    /// # Errors
    /// Those of `proceed`; the database's.
    pub fn prune_run(
        &mut self,
        run: &Run,
        proceed: &mut dyn FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<RowsOfRun>> {
        proceed()?;
        let run_id = run.run_id;
        let doing = || format!("cannot prune {}", run.name());
        let values = [run_id.into(), ROWS_AT_ONCE.into()];
        let begun = self.transaction(Begin::Write, doing, |ledger| {
            // Nobody publishes or retries it meanwhile.
            ledger.lock_date(&run.job, &run.logical_date)?;
            ledger.execute(statement!("begin_pruning"), &[run_id.into()])?;
            let stored = ledger.run(run_id)?;
            if stored.is_none_or(|stored| stored.pruned_at.is_none()) {
                return Ok(None);
            }
            // Who may mark it, but not delete, leaves it as it is.
            Ok(Some(
                ledger.execute(statement!("prune_predictions"), &values)?,
            ))
        })?;
        let Some(predictions) = begun else {
            return Ok(None);
        };
        let mut pruned = RowsOfRun::default();
        for (statement, at_once) in [
            (statement!("prune_predictions"), ROWS_AT_ONCE),
            (statement!("prune_dead_letters"), ROWS_AT_ONCE),
            (statement!("prune_shards"), SHARDS_AT_ONCE),
        ] {
            let rows = self.in_steps(run, statement, at_once, proceed)?;
            match statement.name {
                "prune_predictions" => pruned.predictions = predictions + rows,
                "prune_dead_letters" => pruned.dead_letters = rows,
                _ => {}
            }
        }
        proceed()?;
        self.transaction(Begin::Write, doing, |ledger| {
            ledger.lock_date(&run.job, &run.logical_date)?;
            for statement in [
                statement!("keep_generation"),
                statement!("prune_report"),
                statement!("prune_profile"),
                statement!("prune_drift"),
                statement!("prune_outbox"),
                statement!("prune_attempts"),
                statement!("prune_run"),
            ] {
                ledger.execute(statement, &[run_id.into()])?;
            }
            Ok(())
        })?;
        Ok(Some(pruned))
    }

    /// Runs a statement that changes so many rows of a run at once until there is none left.
    fn in_steps(
        &mut self,
        run: &Run,
        statement: crate::database::Statement,
        at_once: i64,
        proceed: &mut dyn FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<u64> {
        let doing = format!("cannot prune {}", run.name());
        let mut rows = 0;
        loop {
            proceed()?;
            let now = self.change(statement, &[run.run_id.into(), at_once.into()], &doing)?;
            rows += now;
            if now < at_once as u64 {
                return Ok(rows);
            }
        }
    }

    /// Prunes the dead letters of a run that stays. The run says so from then on, and what is left
    /// can still be proven. Returns how many there were, or `None` if they stay.
    ///
    /// # Errors
    /// Those of `proceed`; rows are not the ones that were committed (70); the database's.
    pub fn prune_dead_letters(
        &mut self,
        run: &Run,
        proceed: &mut dyn FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<u64>> {
        Ok(match self.take_out(run, &Loss::DeadLetters, proceed)? {
            Outcome::Done(taken) => Some(taken.dead_letters),
            Outcome::Needed => None,
        })
    }

    /// Prunes the profiles of a run that stays. Returns how many there were.
    ///
    /// # Errors
    /// Those of `proceed`; the database's.
    pub fn prune_profiles(
        &mut self,
        run: &Run,
        proceed: &mut dyn FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<u64> {
        let doing = format!("cannot prune {}", run.name());
        // First, so that what is half gone is said to be.
        self.change(statement!("profiles_pruned"), &[run.run_id.into()], &doing)?;
        self.change(statement!("prune_profile"), &[run.run_id.into()], &doing)?;
        self.in_steps(run, statement!("prune_profiles"), SHARDS_AT_ONCE, proceed)
    }

    /// Prunes the report of a run that stays. Returns how many there were.
    ///
    /// # Errors
    /// Those of `proceed`; the database's.
    pub fn prune_report(
        &mut self,
        run: &Run,
        proceed: &mut dyn FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<u64> {
        proceed()?;
        let doing = || format!("cannot prune {}", run.name());
        self.transaction(Begin::Write, doing, |ledger| {
            ledger.execute(statement!("report_pruned"), &[run.run_id.into()])?;
            Ok(ledger.execute(statement!("prune_report"), &[run.run_id.into()])?)
        })
    }
}
