//! The queue: rows that applications put in and runs take out.
//!
//! A row waits for as long as its `run_id` is null, and of a job's record at most one row waits. A
//! run takes rows by marking them when it is planned, never by an id or a time: what is committed
//! later belongs to the next run. A shard knows its rows by their keys.

use std::cmp::Reverse;
use std::time::Duration;

use serde::Serialize;

use super::prune::seconds;
use super::{Ledger, ShardSlice, array};
use crate::database::{Begin, Value};
use crate::job::OnConflict;

/// A row of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedRecord {
    /// Key of the row.
    pub queue_id: i64,
    /// Identity of the record.
    pub record_id: String,
    /// JSON object.
    pub payload: String,
}

/// What is in the queue for a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueueStats {
    /// Name of the job.
    pub job: String,
    /// Rows that wait.
    pub pending: u64,
    /// Rows of runs that are under way.
    pub in_progress: u64,
    /// Rows of completed runs.
    pub done: u64,
    /// Rows of runs that were given up, which a newer row of the same record has replaced.
    pub replaced: u64,
    /// When the oldest row that waits was put in.
    pub oldest_pending: Option<String>,
}

/// Rows deleted in one transaction.
const PRUNED_AT_ONCE: i64 = 5_000;

impl Ledger {
    /// Puts records (id and JSON object) into a job's queue. No id may occur twice. Returns how many
    /// rows were inserted or replaced.
    ///
    /// # Errors
    /// A payload is no JSON (65); the database's.
    pub fn push(
        &mut self,
        job: &str,
        records: &[(String, String)],
        priority: i64,
        conflict: OnConflict,
    ) -> anyhow::Result<u64> {
        let records = serde_json::to_string(records)?;
        let values = [Value::from(job), (&records).into(), priority.into()];
        let statement = match conflict {
            OnConflict::Replace => statement!("push_replace"),
            OnConflict::Ignore => statement!("push_ignore"),
        };
        self.change(statement, &values, "cannot put records into the queue")
    }

    /// Rows of the queue by their keys, in any order; those that are gone are missing.
    ///
    /// # Errors
    /// The database's.
    pub fn queue_records(&mut self, queue_ids: &[i64]) -> anyhow::Result<Vec<QueuedRecord>> {
        let keys = array(queue_ids.iter().copied());
        self.read(statement!("queue_records"), &[Value::from(&keys)], |row| {
            Ok(QueuedRecord {
                queue_id: row.get("queue_id")?,
                record_id: row.get("record_id")?,
                payload: row.get("payload")?,
            })
        })
    }

    /// Number of rows that wait for a job.
    ///
    /// # Errors
    /// The database's.
    pub fn pending_in_queue(&mut self, job: &str) -> anyhow::Result<u64> {
        let found = self.read(statement!("pending_in_queue"), &[job.into()], |row| {
            row.get("records")
        })?;
        Ok(found.first().copied().unwrap_or_default())
    }

    /// Shards of the first rows that wait for a job, which go on waiting.
    ///
    /// # Errors
    /// The database's.
    pub fn look_at_queue(
        &mut self,
        job: &str,
        limit: u64,
        shard_size: u64,
    ) -> anyhow::Result<Vec<ShardSlice>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.read(
            statement!("look_at_queue"),
            &[job.into(), limit.into()],
            super::plan::place,
        )?;
        let (mut shards, inputs) = cut(rows, shard_size);
        for (shard, input) in shards.iter_mut().zip(inputs) {
            shard.input = input;
        }
        Ok(shards)
    }

    /// Keys of the first `limit` rows that a run of the job would take.
    ///
    /// # Errors
    /// The database's.
    pub fn first_in_queue(&mut self, job: &str, limit: u64) -> anyhow::Result<Vec<i64>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = [Value::from(job), limit.into()];
        self.read(statement!("look_at_queue"), &values, |row| {
            row.get("queue_id")
        })
    }

    /// What is in the queue, by job.
    ///
    /// # Errors
    /// The database's.
    pub fn queue_stats(&mut self, job: Option<&str>) -> anyhow::Result<Vec<QueueStats>> {
        self.read(statement!("queue_stats"), &[job.into()], |row| {
            Ok(QueueStats {
                job: row.get("job")?,
                pending: row.get("pending")?,
                in_progress: row.get("in_progress")?,
                done: row.get("done")?,
                replaced: row.get("replaced")?,
                oldest_pending: row.get("oldest_pending")?,
            })
        })
    }

    /// Deletes the rows of a job's runs that ended longer ago than `retention` and that nobody goes
    /// on with: those of published dates and of runs that were given up. A few thousand in each
    /// transaction, so that nobody waits for it; `proceed` is asked before each. Returns how many.
    ///
    /// # Errors
    /// Those of `proceed`; the database's.
    pub fn prune_queue(
        &mut self,
        job: &str,
        retention: Duration,
        proceed: &mut dyn FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<u64> {
        let values = [
            Value::from(job),
            seconds(retention).into(),
            PRUNED_AT_ONCE.into(),
        ];
        let mut pruned = 0;
        loop {
            proceed()?;
            let doing = || "cannot prune the queue".to_owned();
            let now = self.transaction(Begin::Write, doing, |ledger| {
                Ok(ledger.execute(statement!("prune_queue"), &values)?)
            })?;
            pruned += now;
            if now < PRUNED_AT_ONCE as u64 {
                return Ok(pruned);
            }
        }
    }
}

/// Cuts rows (priority and key) into shards, those of high priority first, then by key. Returns the
/// shards and the keys of each, as [`queue_ids`] reads them.
pub(super) fn cut(
    mut taken: Vec<(Reverse<i64>, i64)>,
    shard_size: u64,
) -> (Vec<ShardSlice>, Vec<Vec<u8>>) {
    taken.sort_unstable();
    let size = usize::try_from(shard_size).unwrap_or(usize::MAX).max(1);
    let mut first_ordinal = 0;
    taken
        .chunks(size)
        .zip(0..)
        .map(|(rows, shard_no)| {
            let slice = ShardSlice {
                shard_no,
                first_ordinal,
                records: rows.len() as u64,
                duplicates: Vec::new(),
                input: Vec::new(),
            };
            first_ordinal += slice.records;
            let keys = rows.iter().flat_map(|(_, key)| key.to_le_bytes()).collect();
            (slice, keys)
        })
        .unzip()
}

/// The keys of a shard's rows, in the order of its ordinals, from its `input`.
pub fn queue_ids(input: &[u8]) -> Vec<i64> {
    let (keys, _) = input.as_chunks::<8>();
    keys.iter().map(|key| i64::from_le_bytes(*key)).collect()
}
