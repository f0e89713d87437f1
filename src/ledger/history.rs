//! What earlier runs were, beside the one that is looked at.

use super::read::dead_letter;
use super::{Ledger, StoredDeadLetter};
use crate::database::Value;

/// A shard that was completed.
#[derive(Clone, Debug)]
pub struct CompletedShard {
    /// Its number.
    pub shard_no: u32,
    /// Its records.
    pub records: u64,
    /// Seconds from when the run was planned.
    pub seconds: f64,
}

/// What a run cost.
#[derive(Clone, Debug)]
pub struct PastCost {
    /// The run.
    pub run_id: i64,
    /// How much.
    pub amount: f64,
    /// In which currency.
    pub currency: String,
    /// Whether it was a night: no trial, no retry, no backfill.
    pub is_night: bool,
}

impl Ledger {
    /// Passes the completed shards of a run to `visit`, in the order in which they were completed.
    ///
    /// # Errors
    /// Those of `visit`; the database's.
    pub fn for_each_completed_shard(
        &mut self,
        run_id: i64,
        mut visit: impl FnMut(CompletedShard) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.stream(statement!("course_of_run"), &[run_id.into()], &mut |row| {
            visit(CompletedShard {
                shard_no: row.get("shard_no")?,
                records: row.get("records")?,
                seconds: row.get("seconds")?,
            })
        })
    }

    /// Records of the newest date before `logical_date` that consumers see.
    ///
    /// # Errors
    /// The database's.
    pub fn previously_planned(
        &mut self,
        job: &str,
        logical_date: &str,
    ) -> anyhow::Result<Option<u64>> {
        let values = [Value::from(job), logical_date.into()];
        let mut found = self.read(statement!("previously_planned"), &values, |row| {
            row.get("planned")
        })?;
        Ok(found.pop())
    }

    /// Time that other processes than `owner` have worked on a run, in seconds. Nobody knows when one that was
    /// killed ended: its time does not count.
    ///
    /// # Errors
    /// The database's.
    pub fn machine_seconds(&mut self, run_id: i64, owner: &str) -> anyhow::Result<f64> {
        let values = [Value::from(run_id), owner.into()];
        let found = self.read(statement!("machine_seconds"), &values, |row| {
            row.get("seconds")
        })?;
        Ok(found.first().copied().unwrap_or(0.0))
    }

    /// What each run of a job cost that ended since then, the oldest first. Runs that cost nothing known are
    /// left out.
    ///
    /// # Errors
    /// The database's.
    pub fn costs_since(&mut self, job: &str, since: &str) -> anyhow::Result<Vec<PastCost>> {
        let values = [Value::from(job), since.into()];
        self.read(statement!("costs_since"), &values, |row| {
            Ok(PastCost {
                run_id: row.get("run_id")?,
                amount: row.get("cost")?,
                currency: row.get("currency")?,
                is_night: row.get("is_night")?,
            })
        })
    }

    /// When a run of the job that consumers see, and that is no backfill's, was finished last.
    ///
    /// # Errors
    /// The database's.
    pub fn last_success(&mut self, job: &str) -> anyhow::Result<Option<String>> {
        let found: Vec<Option<String>> =
            self.read(statement!("last_success"), &[job.into()], |row| {
                row.get("completed_at")
            })?;
        Ok(found.into_iter().flatten().next())
    }

    /// Reports of the job's runs before this one as JSON, at most so many, the newest first.
    ///
    /// # Errors
    /// The database's.
    pub fn past_reports(
        &mut self,
        job: &str,
        before: i64,
        most: u32,
    ) -> anyhow::Result<Vec<String>> {
        let values = [Value::from(job), before.into(), i64::from(most).into()];
        self.read(statement!("past_reports"), &values, |row| row.get("report"))
    }

    /// The first few dead letters of each kind.
    ///
    /// # Errors
    /// The database's.
    pub fn examples_of_dead_letters(
        &mut self,
        run_id: i64,
        of_each: u32,
    ) -> anyhow::Result<Vec<StoredDeadLetter>> {
        let values = [Value::from(run_id), i64::from(of_each).into()];
        self.read(statement!("examples_of_dead_letters"), &values, dead_letter)
    }
}
