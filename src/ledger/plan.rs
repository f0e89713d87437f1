//! Planning: the run, its shards, and the queue's rows that it takes, in one transaction.
//!
//! Who plans a date holds its lock until the commit. A process that comes second, or comes back
//! after a commit of unknown outcome, finds a run that it did not know of, writes nothing, and
//! decides anew.

use super::{Ledger, NewRun, ShardSlice};
use crate::database::{Begin, Value};
use crate::error::{Class, Failure};

/// Where a new run's shards come from.
pub enum PlannedInput<'a> {
    /// They are known.
    Slices {
        /// All of them; their `input` is empty.
        shards: &'a [ShardSlice],
        /// The `input` of a shard, by its number.
        input: &'a dyn Fn(u32) -> anyhow::Result<Vec<u8>>,
    },
    /// Whatever waits in the queue for the job: marked as this run's, or, for a trial, only looked
    /// at. A date that has been scored before scores the same rows again.
    Queue {
        /// For a trial, the first so many.
        limit: Option<u64>,
        /// Fewer are no input.
        min_rows: u64,
    },
    /// Of these records, those that wait in the queue for the job, which are marked; of the others
    /// what the parent took.
    Requeued {
        /// Their ids.
        record_ids: &'a [String],
    },
}

/// A run whose dead letters are scored again, as it was when it was decided to.
#[derive(Clone, Copy, Debug)]
pub struct RetriedRun {
    /// Its key.
    pub run_id: i64,
    /// The newest retry of it, whatever became of that.
    pub newest_child: Option<i64>,
}

/// What there is of a date: planning must find it unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateState {
    /// The newest run (no trial), if there is one.
    pub newest: Option<i64>,
    /// The run that consumers see.
    pub published: Option<i64>,
}

/// What came of planning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Planning {
    /// It is planned.
    Planned {
        /// The run's key.
        run_id: i64,
        /// Keys of the unfinished runs that were given up for it.
        given_up: Vec<i64>,
    },
    /// Another run of the date was planned meanwhile, or what is to be retried was pruned; nothing
    /// was written.
    Overtaken,
}

impl Ledger {
    /// What there is of a date, for [`plan_run`](Self::plan_run).
    ///
    /// # Errors
    /// The database's.
    pub fn state_of_date(&mut self, job: &str, logical_date: &str) -> anyhow::Result<DateState> {
        let statement = statement!("newest_run_of_date");
        let found = self.read(statement, &[job.into(), logical_date.into()], |row| {
            row.get::<i64>("run_id")
        })?;
        Ok(DateState {
            newest: found.first().copied().filter(|&run_id| run_id > 0),
            published: self.published_run(job, logical_date)?,
        })
    }

    /// Plans a run: cancels what it replaces (unfinished runs of the same date, and of trials only
    /// trials), and stores the run with all its shards. `known` is the date as it was when it
    /// was decided to plan.
    ///
    /// # Errors
    /// The queue holds too few records (66); the database's.
    pub fn plan_run(
        &mut self,
        run: &NewRun,
        input: &PlannedInput<'_>,
        known: DateState,
    ) -> anyhow::Result<Planning> {
        let doing = || format!("cannot plan {}@{}", run.job, run.logical_date);
        self.transaction(Begin::Write, doing, |ledger| {
            ledger.lock_date(&run.job, &run.logical_date)?;
            let (job, date) = (run.job.as_str(), run.logical_date.as_str());
            if !run.trial && ledger.state_of_date(job, date)? != known {
                return Ok(Planning::Overtaken);
            }
            let given_up = ledger.fetch(
                statement!("superseded_runs"),
                &[job.into(), date.into(), run.trial.into()],
                |row| row.get::<i64>("run_id"),
            )?;
            for &run_id in &given_up {
                // One that ended meanwhile may be published: decide anew. A date has one such run
                // at most, so that nothing is written yet.
                if !ledger.give_up(run_id)? && !run.trial {
                    return Ok(Planning::Overtaken);
                }
            }
            let run_id = ledger.insert_planned(run, input)?;
            Ok(Planning::Planned { run_id, given_up })
        })
    }

    /// Plans a retry of the dead letters of `parent`: cancels the one that was under way, and stores
    /// the new one with all its shards.
    ///
    /// # Errors
    /// The database's.
    pub fn plan_retry(
        &mut self,
        run: &NewRun,
        input: &PlannedInput<'_>,
        parent: RetriedRun,
    ) -> anyhow::Result<Planning> {
        let doing = || format!("cannot plan a retry of {}@{}", run.job, run.logical_date);
        self.transaction(Begin::Write, doing, |ledger| {
            ledger.lock_date(&run.job, &run.logical_date)?;
            let stored = ledger.run(parent.run_id)?;
            let is_whole = stored.is_some_and(|stored| {
                stored.pruned_at.is_none() && stored.dead_letters_pruned_at.is_none()
            });
            if !is_whole || ledger.newest_child(parent.run_id)? != parent.newest_child {
                return Ok(Planning::Overtaken);
            }
            let unfinished = ledger.unfinished_children(parent.run_id)?;
            for child in &unfinished {
                // One that ended meanwhile may have scored some of the records.
                if !ledger.give_up(child.run_id)? {
                    return Ok(Planning::Overtaken);
                }
            }
            let run_id = ledger.insert_planned(run, input)?;
            let given_up = unfinished.iter().map(|child| child.run_id).collect();
            Ok(Planning::Planned { run_id, given_up })
        })
    }

    /// Stores a run with all its shards. Returns its key.
    fn insert_planned(&mut self, run: &NewRun, input: &PlannedInput<'_>) -> anyhow::Result<i64> {
        let run_id = self.insert_run(run)?;
        match input {
            PlannedInput::Slices { shards, input } => {
                self.insert_shards(run_id, shards, input)?;
                self.set_planned(run_id, records(shards), run.shard_size)?;
            }
            PlannedInput::Queue { limit, min_rows } => {
                self.plan_queue(run_id, run, *limit, *min_rows)?;
            }
            PlannedInput::Requeued { record_ids } => {
                self.plan_requeued(run_id, run, record_ids)?;
            }
        }
        Ok(run_id)
    }

    fn plan_requeued(
        &mut self,
        run_id: i64,
        run: &NewRun,
        record_ids: &[String],
    ) -> anyhow::Result<()> {
        let ids = serde_json::to_string(record_ids)?;
        let (job, date) = (run.job.as_str(), run.logical_date.as_str());
        let values = [run_id.into(), job.into(), (&ids).into()];
        self.execute(statement!("retry_from_queue"), &values)?;
        let values = [job.into(), date.into(), (&ids).into()];
        let rows = self.fetch(statement!("newest_of_date"), &values, place)?;
        self.insert_queued(run_id, rows, run.shard_size)
    }

    /// Stores the shards of a run's rows of the queue.
    fn insert_queued(
        &mut self,
        run_id: i64,
        rows: Vec<(std::cmp::Reverse<i64>, i64)>,
        shard_size: u64,
    ) -> anyhow::Result<()> {
        let records = rows.len() as u64;
        let (shards, inputs) = super::queue::cut(rows, shard_size);
        self.insert_shards(run_id, &shards, &|shard_no| {
            Ok(inputs.get(shard_no as usize).cloned().unwrap_or_default())
        })?;
        self.set_planned(run_id, records, shard_size)
    }

    /// Ends a run that can not be published, whatever the rest of its records come to. What is
    /// committed stays. Returns false if it was not under way.
    ///
    /// # Errors
    /// The database's.
    pub fn fail_run(&mut self, run_id: i64, exit_code: u8) -> anyhow::Result<bool> {
        let values = [run_id.into(), i64::from(exit_code).into()];
        let changed = self.change(statement!("fail_run"), &values, "cannot end a run")?;
        Ok(changed > 0)
    }

    /// Takes a failed run up again.
    ///
    /// # Errors
    /// The database's.
    pub fn reopen_run(&mut self, run_id: i64) -> anyhow::Result<()> {
        let values = [run_id.into()];
        self.change(
            statement!("reopen_run"),
            &values,
            "cannot take a run up again",
        )?;
        Ok(())
    }

    /// Keeps everybody else from planning or finishing a run of this date until the transaction ends.
    pub(super) fn lock_date(&mut self, job: &str, logical_date: &str) -> anyhow::Result<()> {
        let lock = format!("{job}@{logical_date}");
        self.fetch(statement!("lock_plan"), &[Value::from(&lock)], |_| Ok(()))?;
        Ok(())
    }

    /// Gives an unfinished run up. Rows of the queue that it took wait again. Returns false if it
    /// was not unfinished.
    ///
    /// # Errors
    /// The database's.
    pub fn cancel_run(&mut self, run_id: i64) -> anyhow::Result<bool> {
        let doing = || "cannot cancel a run".to_owned();
        self.transaction(Begin::Write, doing, |ledger| ledger.give_up(run_id))
    }

    fn give_up(&mut self, run_id: i64) -> anyhow::Result<bool> {
        let cancelled = self.execute(statement!("cancel_run"), &[run_id.into()])? > 0;
        if cancelled && self.has_taken_from_queue(run_id)? {
            self.fetch(statement!("be_brief"), &[], |_| Ok(()))?;
            self.execute(statement!("lock_queue"), &[])?;
            self.execute(statement!("release_queue"), &[run_id.into()])?;
        }
        Ok(cancelled)
    }

    fn has_taken_from_queue(&mut self, run_id: i64) -> anyhow::Result<bool> {
        let found = self.fetch(statement!("taken_from_queue"), &[run_id.into()], |_| Ok(()))?;
        Ok(!found.is_empty())
    }

    fn insert_run(&mut self, run: &NewRun) -> anyhow::Result<i64> {
        let values = [
            Value::from(&run.job),
            (&run.logical_date).into(),
            run.trial.into(),
            run.reason.as_deref().into(),
            (&run.fingerprint).into(),
            (&run.identity).into(),
            (&run.model_name).into(),
            (&run.model_version).into(),
            (&run.model_digest).into(),
            (&run.precision).into(),
            (&run.numerics).into(),
            (run.batch_size as i64).into(),
            (run.shard_size as i64).into(),
            0_i64.into(),
            run.parent_run_id.into(),
            run.backfill.into(),
        ];
        self.fetch_one(statement!("insert_run"), &values, |row| row.get("run_id"))
    }

    fn insert_shards(
        &mut self,
        run_id: i64,
        shards: &[ShardSlice],
        input: &dyn Fn(u32) -> anyhow::Result<Vec<u8>>,
    ) -> anyhow::Result<()> {
        for shard in shards {
            let duplicates: Vec<u8> = shard
                .duplicates
                .iter()
                .flat_map(|offset| offset.to_le_bytes())
                .collect();
            let input = input(shard.shard_no)?;
            let present = |bytes: &'_ [u8]| !bytes.is_empty();
            let values = [
                Value::from(run_id),
                i64::from(shard.shard_no).into(),
                (shard.first_ordinal as i64).into(),
                (shard.records as i64).into(),
                Value::Bytes(Some(duplicates.as_slice()).filter(|bytes| present(bytes))),
                Value::Bytes(Some(input.as_slice()).filter(|bytes| present(bytes))),
            ];
            self.execute(statement!("insert_shard"), &values)?;
        }
        Ok(())
    }

    fn set_planned(&mut self, run_id: i64, records: u64, shard_size: u64) -> anyhow::Result<()> {
        let values = [
            Value::from(run_id),
            (records as i64).into(),
            (shard_size as i64).into(),
        ];
        self.execute(statement!("set_planned"), &values)?;
        Ok(())
    }

    fn plan_queue(
        &mut self,
        run_id: i64,
        run: &NewRun,
        limit: Option<u64>,
        min_rows: u64,
    ) -> anyhow::Result<()> {
        let (job, date) = (run.job.as_str(), run.logical_date.as_str());
        let earlier = self.fetch(
            statement!("latest_completed_of_date"),
            &[job.into(), date.into()],
            |row| {
                Ok((
                    row.get::<i64>("run_id")?,
                    row.get("planned")?,
                    row.get("shard_size")?,
                ))
            },
        )?;
        if let (false, Some(&(earlier, planned, shard_size))) = (run.trial, earlier.first()) {
            self.execute(statement!("copy_shards"), &[run_id.into(), earlier.into()])?;
            return self.set_planned(run_id, planned, shard_size);
        }
        let taken = match limit {
            None => self.fetch(
                statement!("take_queue"),
                &[run_id.into(), job.into()],
                place,
            )?,
            Some(limit) => {
                let limit = i64::try_from(limit).unwrap_or(i64::MAX);
                self.fetch(
                    statement!("look_at_queue"),
                    &[job.into(), limit.into()],
                    place,
                )?
            }
        };
        let records = taken.len() as u64;
        if limit.is_none() && records < min_rows {
            return Err(Failure::new(
                Class::NoInput,
                format!("{records} records wait in the queue for {job}, but [source] min_rows demands {min_rows}"),
            )
            .hint("`lamplighter queue stats` shows what waits; min_rows = 0 makes an empty queue a normal night")
            .into());
        }
        self.insert_queued(run_id, taken, run.shard_size)
    }
}

/// Priority (higher first) and key: the order of the queue.
pub(super) fn place(
    row: &crate::database::Row,
) -> Result<(std::cmp::Reverse<i64>, i64), crate::database::QueryError> {
    Ok((
        std::cmp::Reverse(row.get("priority")?),
        row.get("queue_id")?,
    ))
}

fn records(shards: &[ShardSlice]) -> u64 {
    shards.iter().map(|shard| shard.records).sum()
}
