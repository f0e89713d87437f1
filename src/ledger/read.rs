//! What only looks at the ledger.

use std::borrow::Cow;

use jiff::Timestamp;

use super::Ledger;
use super::rows::{
    Attempt, DeadLetterCount, DeadLetterFilter, Run, RunName, ShardRow, StoredDeadLetter, Totals,
};
use crate::database::{Begin, QueryError, Retry, Row};
use crate::error::Failure;
use crate::record::{DUPLICATE_ID, PredictionRow};

/// How much of a run is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardProgress {
    /// Shards of the run.
    pub shards: u64,
    /// Of these, completed.
    pub completed_shards: u64,
    /// Records of the completed ones.
    pub records: u64,
    /// Dead letters of the completed ones.
    pub dead_letters: u64,
    /// Predictions of the completed ones.
    pub predicted: u64,
    /// Dead letters of the completed ones that are no duplicates: those that count against the limit.
    pub rejected: u64,
}

impl Ledger {
    /// What time it is by the clock that counts: the database's, for processes on several hosts have
    /// but that one in common; of a file, this host's.
    ///
    /// # Errors
    /// The database's, here and below.
    pub fn now(&mut self) -> anyhow::Result<Timestamp> {
        let found = self.read(statement!("now"), &[], |row| row.get("milliseconds"))?;
        let now = found.first().copied();
        now.and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok())
            .ok_or_else(|| Failure::internal("the database does not say what time it is").into())
    }

    /// Runs of a date, trials included, by generation.
    pub fn runs_of_date(&mut self, job: &str, logical_date: &str) -> anyhow::Result<Vec<Run>> {
        let values = [job.into(), logical_date.into()];
        self.read(statement!("runs_of_date"), &values, run)
    }

    /// Counts a run's rows, and its shards that are not completed.
    ///
    /// # Errors
    /// The database's.
    pub fn totals(&mut self, run_id: i64) -> anyhow::Result<(Totals, u64)> {
        let doing = || format!("cannot count run {run_id}");
        self.transaction(Begin::Read, doing, |ledger| {
            let values = [run_id.into(), DUPLICATE_ID.into()];
            ledger.fetch_one(statement!("totals"), &values, |row| {
                let totals = Totals {
                    predicted: row.get("predicted")?,
                    dead_letters: row.get("dead_letters")?,
                    duplicates: row.get("duplicates")?,
                    filtered: row.get("filtered")?,
                    erased: row.get("erased")?,
                };
                Ok((totals, row.get("unfinished_shards")?))
            })
        })
    }

    /// The run with this key.
    pub fn run(&mut self, run_id: i64) -> anyhow::Result<Option<Run>> {
        Ok(self
            .read(statement!("run_by_id"), &[run_id.into()], run)?
            .pop())
    }

    /// The run of this name.
    pub fn run_named(&mut self, name: &RunName) -> anyhow::Result<Option<Run>> {
        let values = [
            (&name.job).into(),
            (&name.logical_date).into(),
            name.generation.into(),
        ];
        Ok(self
            .read(statement!("run_by_generation"), &values, run)?
            .pop())
    }

    /// The newest run, of `job` or of all jobs.
    pub fn latest_run(&mut self, job: Option<&str>) -> anyhow::Result<Option<Run>> {
        Ok(self
            .read(statement!("latest_run"), &[job.into()], run)?
            .pop())
    }

    /// A job's newest completed run of a whole date.
    pub fn latest_completed(&mut self, job: &str) -> anyhow::Result<Option<Run>> {
        Ok(self
            .read(statement!("latest_completed"), &[job.into()], run)?
            .pop())
    }

    /// Up to `limit` runs, the newest first, of `job` or of all jobs.
    pub fn list_runs(&mut self, job: Option<&str>, limit: u32) -> anyhow::Result<Vec<Run>> {
        let values = [job.into(), i64::from(limit).into()];
        self.read(statement!("list_runs"), &values, run)
    }

    /// Dates of which a run (no trial) is unfinished, the oldest first.
    pub fn unfinished_dates(&mut self, job: &str) -> anyhow::Result<Vec<String>> {
        self.read(statement!("unfinished_dates"), &[job.into()], |row| {
            row.get("logical_date")
        })
    }

    /// The run that consumers see for a date.
    pub fn published_run(&mut self, job: &str, logical_date: &str) -> anyhow::Result<Option<i64>> {
        let values = [job.into(), logical_date.into()];
        let found = self.read(statement!("publication_of_date"), &values, |row| {
            row.get("run_id")
        })?;
        Ok(found.first().copied())
    }

    /// Whether consumers see a run, alone or over others.
    pub fn is_seen(&mut self, run_id: i64) -> anyhow::Result<bool> {
        let statement = statement!("publication_of_run");
        Ok(!self
            .read(statement, &[run_id.into()], |_| Ok(()))?
            .is_empty())
    }

    /// Retries of a run's dead letters that are under way.
    pub fn unfinished_children(&mut self, run_id: i64) -> anyhow::Result<Vec<Run>> {
        self.read(statement!("unfinished_children"), &[run_id.into()], run)
    }

    /// The newest retry of a run's dead letters, whatever became of it.
    pub fn newest_child(&mut self, run_id: i64) -> anyhow::Result<Option<i64>> {
        let statement = statement!("newest_child");
        Ok(self
            .read(statement, &[run_id.into()], |row| row.get("run_id"))?
            .pop())
    }

    /// Ids of a run's dead letters that can be scored again and have not been, by ordinal; with
    /// `code`, only of this code.
    pub fn retryable(&mut self, run_id: i64, code: Option<&str>) -> anyhow::Result<Vec<String>> {
        let values = [run_id.into(), code.into()];
        self.read(statement!("retryable"), &values, |row| row.get("record_id"))
    }

    /// Dead letters of a run that retries have scored, and consumers see.
    pub fn recovered(&mut self, run_id: i64) -> anyhow::Result<u64> {
        let found = self.read(statement!("recovered"), &[run_id.into()], |row| {
            row.get("records")
        })?;
        Ok(found.first().copied().unwrap_or_default())
    }

    /// How much of a run is done.
    pub fn progress(&mut self, run_id: i64) -> anyhow::Result<ShardProgress> {
        let found = self.read(statement!("progress"), &[run_id.into()], |row| {
            Ok(ShardProgress {
                shards: row.get("shards")?,
                completed_shards: row.get("completed_shards")?,
                records: row.get("records")?,
                dead_letters: row.get("dead_letters")?,
                predicted: row.get("predicted")?,
                rejected: row.get("rejected")?,
            })
        })?;
        found
            .first()
            .copied()
            .ok_or_else(|| Failure::internal("an aggregate gave no row").into())
    }

    /// Processes that worked on a run, in order.
    pub fn attempts(&mut self, run_id: i64) -> anyhow::Result<Vec<Attempt>> {
        self.read(statement!("attempts_of_run"), &[run_id.into()], |row| {
            Ok(Attempt {
                host: row.get("host")?,
                pid: row.get("pid")?,
                version: row.get("version")?,
                started_at: row.get("started_at")?,
                ended_at: row.get("ended_at")?,
                exit_code: row.get("exit_code")?,
                owner: row.get("owner")?,
                chunk_rows: row.get("chunk_rows")?,
                seems_alive: row.get("seems_alive")?,
            })
        })
    }

    /// Dead letters of a run by stage, code and field, the most frequent first.
    pub fn dead_letter_counts(&mut self, run_id: i64) -> anyhow::Result<Vec<DeadLetterCount>> {
        self.read(statement!("dead_letter_counts"), &[run_id.into()], |row| {
            Ok(DeadLetterCount {
                stage: row.get("stage")?,
                code: row.get("code")?,
                field: row.get("field")?,
                records: row.get("records")?,
            })
        })
    }

    /// Up to `limit` dead letters of a run, by ordinal.
    pub fn dead_letters(
        &mut self,
        run_id: i64,
        filter: DeadLetterFilter<'_>,
        limit: u32,
    ) -> anyhow::Result<Vec<StoredDeadLetter>> {
        let values = [
            run_id.into(),
            filter.from_ordinal.into(),
            filter.code.into(),
            filter.record_id.into(),
            i64::from(limit).into(),
        ];
        self.read(statement!("dead_letters_of_run"), &values, dead_letter)
    }

    /// Passes number and statistics of each completed shard to `visit`, by shard number. Statistics are
    /// [`crate::monitor::ShardStats`] as JSON.
    pub fn for_each_shard_stats(
        &mut self,
        run_id: i64,
        mut visit: impl FnMut(u32, &str) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.stream(statement!("shard_stats"), &[run_id.into()], &mut |row| {
            visit(row.get("shard_no")?, &row.get::<String>("stats")?)
        })
    }

    /// Passes every dead letter of a run to `visit`, by ordinal, in bounded memory.
    pub fn for_each_dead_letter(
        &mut self,
        run_id: i64,
        code: Option<&str>,
        mut visit: impl FnMut(&StoredDeadLetter) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        const PAGE: u32 = 10_000;
        let mut filter = DeadLetterFilter {
            code,
            from_ordinal: i64::MIN,
            ..DeadLetterFilter::default()
        };
        loop {
            let page = self.dead_letters(run_id, filter, PAGE)?;
            for letter in &page {
                visit(letter)?;
                filter.from_ordinal = letter.ordinal + 1;
            }
            if page.len() < PAGE as usize {
                return Ok(());
            }
        }
    }

    /// The stored report of a finished run.
    pub fn report(&mut self, run_id: i64) -> anyhow::Result<Option<String>> {
        let statement = statement!("report_of_run");
        Ok(self
            .read(statement, &[run_id.into()], |row| row.get("report"))?
            .pop())
    }

    /// Shards of a run, by ordinal.
    pub fn shards(&mut self, run_id: i64) -> anyhow::Result<Vec<ShardRow>> {
        self.read(statement!("shards_of_run"), &[run_id.into()], shard)
    }

    /// Passes the shards of a run to `visit`, by ordinal, one at a time.
    ///
    /// # Errors
    /// Those of `visit`; the database's.
    pub fn for_each_shard(
        &mut self,
        run_id: i64,
        mut visit: impl FnMut(ShardRow) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.stream(statement!("shards_of_run"), &[run_id.into()], &mut |row| {
            visit(shard(row)?)
        })
    }

    /// Passes every prediction of a run to `visit`, by ordinal, in bounded memory.
    pub fn for_each_prediction(
        &mut self,
        run_id: i64,
        mut visit: impl FnMut(&PredictionRow<'_>),
    ) -> anyhow::Result<()> {
        let statement = statement!("predictions_by_ordinal");
        self.stream(statement, &[run_id.into()], &mut |row| {
            visit(&prediction(row)?);
            Ok(())
        })
    }

    /// Passes the tombstones of a run's predictions and dead letters (ordinal and token) to `visit`,
    /// by ordinal.
    pub fn for_each_tombstone(
        &mut self,
        run_id: i64,
        mut visit: impl FnMut(i64, &str),
    ) -> anyhow::Result<()> {
        self.stream(
            statement!("tombstones_of_run"),
            &[run_id.into()],
            &mut |row| {
                visit(row.get("ordinal")?, &row.get::<String>("token")?);
                Ok(())
            },
        )
    }
}

pub(super) fn prediction(row: &Row) -> Result<PredictionRow<'static>, QueryError> {
    Ok(PredictionRow {
        record_id: Cow::Owned(row.get("record_id")?),
        ordinal: row.get("ordinal")?,
        label: row.get::<Option<String>>("label")?.map(Cow::Owned),
        score: row.get("score")?,
        value: row.get("value")?,
        embedding: row.get::<Option<Vec<f32>>>("embedding")?.map(Cow::Owned),
        output: row.get::<Option<String>>("output")?.map(Cow::Owned),
    })
}

fn shard(row: &Row) -> Result<ShardRow, QueryError> {
    Ok(ShardRow {
        shard_no: row.get("shard_no")?,
        first_ordinal: row.get("first_ordinal")?,
        records: row.get("records")?,
        state: row.get("state")?,
        predicted: row.get("predicted")?,
        dead_letters: row.get("dead_letters")?,
        filtered: row.get("filtered")?,
        output_hash: row.get("output_hash")?,
        pruned_dead_letters: row.get("pruned_dead_letters")?,
        pruned_duplicates: row.get("pruned_duplicates")?,
        erased: row.get("erased")?,
    })
}

pub(super) fn dead_letter(row: &Row) -> Result<StoredDeadLetter, QueryError> {
    Ok(StoredDeadLetter {
        ordinal: row.get("ordinal")?,
        record_id: row.get("record_id")?,
        stage: row.get("stage")?,
        code: row.get("code")?,
        field: row.get("field")?,
        message: row.get("message")?,
    })
}

pub(super) fn run(row: &Row) -> Result<Run, QueryError> {
    let word =
        |error: anyhow::Error| QueryError::new(Failure::internal(error.to_string()), Retry::Never);
    Ok(Run {
        run_id: row.get("run_id")?,
        job: row.get("job")?,
        logical_date: row.get("logical_date")?,
        generation: row.get("generation")?,
        parent_run_id: row.get("parent_run_id")?,
        trial: row.get("trial")?,
        reason: row.get("reason")?,
        backfill: row.get("backfill")?,
        fingerprint: row.get("fingerprint")?,
        identity: row.get("identity")?,
        state: row.get::<String>("state")?.parse().map_err(word)?,
        publication: row.get::<String>("publication")?.parse().map_err(word)?,
        model_name: row.get("model_name")?,
        model_version: row.get("model_version")?,
        model_digest: row.get("model_digest")?,
        precision: row.get("precision")?,
        numerics: row.get("numerics")?,
        batch_size: row.get("batch_size")?,
        shard_size: row.get("shard_size")?,
        planned: row.get("planned")?,
        predicted: row.get("predicted")?,
        dead_letters: row.get("dead_letters")?,
        duplicates: row.get("duplicates")?,
        filtered: row.get("filtered")?,
        erased: row.get("erased")?,
        output_hash: row.get("output_hash")?,
        exit_code: row.get("exit_code")?,
        created_at: row.get("created_at")?,
        completed_at: row.get("completed_at")?,
        pruned_at: row.get("pruned_at")?,
        dead_letters_pruned_at: row.get("dead_letters_pruned_at")?,
        profiles_pruned_at: row.get("profiles_pruned_at")?,
        report_pruned_at: row.get("report_pruned_at")?,
    })
}
