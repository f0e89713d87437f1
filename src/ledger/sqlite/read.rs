//! What only looks at the ledger.

use std::borrow::Cow;

use futures_util::TryStreamExt;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::Ledger;
use super::errors::Classified;
use crate::ledger::rows::{
    Attempt, DeadLetterCount, DeadLetterFilter, Run, RunName, ShardRow, StoredDeadLetter, Totals,
};
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
}

/// Fetches all rows of a `.sql` file with the given bindings and maps them.
macro_rules! fetch_all {
    ($ledger:expr, $file:literal, [$($value:expr),*], $map:expr) => {{
        let query = sqlx::query(include_str!(concat!("sql/", $file, ".sql")))$(.bind($value))*;
        $ledger
            .runtime
            .block_on(query.fetch_all(&mut $ledger.connection))
            .and_then(|rows| rows.iter().map($map).collect::<Result<Vec<_>, sqlx::Error>>())
            .classified(|| concat!("cannot read the ledger (", $file, ")").to_owned())
    }};
}

impl Ledger {
    /// Runs of a date, trials included, by generation.
    ///
    /// # Errors
    /// The database's, here and below.
    pub fn runs_of_date(&mut self, job: &str, logical_date: &str) -> anyhow::Result<Vec<Run>> {
        fetch_all!(self, "runs_of_date", [job, logical_date], run)
    }

    /// Unfinished runs of a date, trials or others.
    pub fn unfinished_runs(
        &mut self,
        job: &str,
        logical_date: &str,
        trial: bool,
    ) -> anyhow::Result<Vec<Run>> {
        let mut runs = self.runs_of_date(job, logical_date)?;
        runs.retain(|run| run.trial == trial && run.state.is_unfinished());
        Ok(runs)
    }

    /// Counts a run's rows, and its shards that are not completed.
    ///
    /// # Errors
    /// The database's.
    pub fn totals(&mut self, run_id: i64) -> anyhow::Result<(Totals, u64)> {
        let query = sqlx::query(include_str!("sql/totals.sql"))
            .bind(run_id)
            .bind(DUPLICATE_ID);
        self.runtime
            .block_on(query.fetch_one(&mut self.connection))
            .and_then(|row| {
                let count = |column: &str| row.try_get::<i64, _>(column).map(|count| count as u64);
                let totals = Totals {
                    predicted: count("predicted")?,
                    dead_letters: count("dead_letters")?,
                    duplicates: count("duplicates")?,
                    filtered: count("filtered")?,
                };
                Ok((totals, count("unfinished_shards")?))
            })
            .classified(|| format!("cannot count run {run_id}"))
    }

    /// The run with this key.
    pub fn run(&mut self, run_id: i64) -> anyhow::Result<Option<Run>> {
        Ok(fetch_all!(self, "run_by_id", [run_id], run)?.pop())
    }

    /// The run of this name.
    pub fn run_named(&mut self, name: &RunName) -> anyhow::Result<Option<Run>> {
        let (job, date) = (name.job.as_str(), name.logical_date.as_str());
        Ok(fetch_all!(self, "run_by_generation", [job, date, name.generation], run)?.pop())
    }

    /// The newest run, of `job` or of all jobs.
    pub fn latest_run(&mut self, job: Option<&str>) -> anyhow::Result<Option<Run>> {
        Ok(fetch_all!(self, "latest_run", [job], run)?.pop())
    }

    /// Up to `limit` runs, the newest first, of `job` or of all jobs.
    pub fn list_runs(&mut self, job: Option<&str>, limit: u32) -> anyhow::Result<Vec<Run>> {
        fetch_all!(self, "list_runs", [job, limit], run)
    }

    /// Dates of which a run (no trial) is unfinished, the oldest first.
    pub fn unfinished_dates(&mut self, job: &str) -> anyhow::Result<Vec<String>> {
        fetch_all!(self, "unfinished_dates", [job], |row| row.try_get(0))
    }

    /// The run that consumers see for a date.
    pub fn published_run(&mut self, job: &str, logical_date: &str) -> anyhow::Result<Option<i64>> {
        let rows = fetch_all!(self, "publication_of_date", [job, logical_date], |row| row
            .try_get(0));
        Ok(rows?.pop())
    }

    /// How much of a run is done.
    pub fn progress(&mut self, run_id: i64) -> anyhow::Result<ShardProgress> {
        let rows = fetch_all!(self, "progress", [run_id], |row| Ok(ShardProgress {
            shards: unsigned(row, "shards")?,
            completed_shards: unsigned(row, "completed_shards")?,
            records: unsigned(row, "records")?,
            dead_letters: unsigned(row, "dead_letters")?,
        }))?;
        rows.into_iter()
            .next()
            .ok_or_else(|| crate::error::Failure::internal("an aggregate gave no row").into())
    }

    /// Processes that worked on a run, in order.
    pub fn attempts(&mut self, run_id: i64) -> anyhow::Result<Vec<Attempt>> {
        fetch_all!(self, "attempts_of_run", [run_id], |row| Ok(Attempt {
            host: row.try_get("host")?,
            pid: row.try_get("pid")?,
            version: row.try_get("version")?,
            started_at: row.try_get("started_at")?,
            ended_at: row.try_get("ended_at")?,
            exit_code: row.try_get("exit_code")?,
        }))
    }

    /// Dead letters of a run by stage, code and field, the most frequent first.
    pub fn dead_letter_counts(&mut self, run_id: i64) -> anyhow::Result<Vec<DeadLetterCount>> {
        fetch_all!(self, "dead_letter_counts", [run_id], |row| Ok(
            DeadLetterCount {
                stage: row.try_get("stage")?,
                code: row.try_get("code")?,
                field: row.try_get("field")?,
                records: unsigned(row, "records")?,
            }
        ))
    }

    /// Up to `limit` dead letters of a run, by ordinal.
    pub fn dead_letters(
        &mut self,
        run_id: i64,
        filter: DeadLetterFilter<'_>,
        limit: u32,
    ) -> anyhow::Result<Vec<StoredDeadLetter>> {
        fetch_all!(
            self,
            "dead_letters_of_run",
            [
                run_id,
                filter.from_ordinal,
                filter.code,
                filter.record_id,
                limit
            ],
            |row| Ok(StoredDeadLetter {
                ordinal: row.try_get("ordinal")?,
                record_id: row.try_get("record_id")?,
                stage: row.try_get("stage")?,
                code: row.try_get("code")?,
                field: row.try_get("field")?,
                message: row.try_get("message")?,
            })
        )
    }

    /// Passes the statistics of each completed shard, as stored, to `visit`, by shard number.
    pub fn for_each_shard_stats(
        &mut self,
        run_id: i64,
        mut visit: impl FnMut(&str) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let connection = &mut self.connection;
        let visited = self.runtime.block_on(async {
            let mut rows = sqlx::query(include_str!("sql/shard_stats.sql"))
                .bind(run_id)
                .fetch(connection);
            while let Some(row) = rows.try_next().await? {
                if let Err(error) = visit(row.try_get(0)?) {
                    return Ok(Err(error));
                }
            }
            Ok(Ok(()))
        });
        visited.classified(|| format!("cannot read the statistics of run {run_id}"))?
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

    /// Looks at the ledger as it is at one moment, whatever others write meanwhile.
    pub fn at_one_moment<T>(
        &mut self,
        look: impl FnOnce(&mut Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        self.statement("BEGIN")?;
        let outcome = look(self);
        self.statement("ROLLBACK")?;
        outcome
    }

    fn statement(&mut self, sql: &'static str) -> anyhow::Result<()> {
        self.runtime
            .block_on(sqlx::raw_sql(sql).execute(&mut self.connection))
            .map(drop)
            .classified(|| format!("cannot {sql}"))
    }

    /// The stored report of a finished run.
    pub fn report(&mut self, run_id: i64) -> anyhow::Result<Option<String>> {
        Ok(fetch_all!(self, "report_of_run", [run_id], |row| row.try_get(0))?.pop())
    }

    /// Shards of a run, by ordinal.
    pub fn shards(&mut self, run_id: i64) -> anyhow::Result<Vec<ShardRow>> {
        fetch_all!(self, "shards_of_run", [run_id], |row| Ok(ShardRow {
            shard_no: row.try_get("shard_no")?,
            first_ordinal: unsigned(row, "first_ordinal")?,
            records: unsigned(row, "records")?,
            state: row.try_get("state")?,
            predicted: optional_unsigned(row, "predicted")?,
            dead_letters: optional_unsigned(row, "dead_letters")?,
            filtered: optional_unsigned(row, "filtered")?,
            output_hash: row.try_get("output_hash")?,
        }))
    }

    /// Passes every prediction of a run to `visit`, by ordinal, in bounded memory.
    pub fn for_each_prediction(
        &mut self,
        run_id: i64,
        mut visit: impl FnMut(&PredictionRow<'_>),
    ) -> anyhow::Result<()> {
        let connection = &mut self.connection;
        self.runtime
            .block_on(async {
                let mut rows = sqlx::query(include_str!("sql/predictions_by_ordinal.sql"))
                    .bind(run_id)
                    .fetch(connection);
                while let Some(row) = rows.try_next().await? {
                    visit(&PredictionRow {
                        record_id: Cow::Borrowed(row.try_get("record_id")?),
                        ordinal: row.try_get("ordinal")?,
                        label: row.try_get::<Option<&str>, _>("label")?.map(Cow::Borrowed),
                        score: row.try_get("score")?,
                        value: row.try_get("value")?,
                        output: row.try_get::<Option<&str>, _>("output")?.map(Cow::Borrowed),
                    });
                }
                Ok(())
            })
            .classified(|| format!("cannot read the predictions of run {run_id}"))
    }
}

fn run(row: &SqliteRow) -> Result<Run, sqlx::Error> {
    let decode = |error: anyhow::Error| sqlx::Error::Decode(error.into());
    Ok(Run {
        run_id: row.try_get("run_id")?,
        job: row.try_get("job")?,
        logical_date: row.try_get("logical_date")?,
        generation: row.try_get("generation")?,
        trial: row.try_get("trial")?,
        reason: row.try_get("reason")?,
        fingerprint: row.try_get("fingerprint")?,
        identity: row.try_get("identity")?,
        state: row.try_get::<&str, _>("state")?.parse().map_err(decode)?,
        publication: row
            .try_get::<&str, _>("publication")?
            .parse()
            .map_err(decode)?,
        model_name: row.try_get("model_name")?,
        model_version: row.try_get("model_version")?,
        model_digest: row.try_get("model_digest")?,
        precision: row.try_get("precision")?,
        numerics: row.try_get("numerics")?,
        batch_size: row.try_get("batch_size")?,
        shard_size: row.try_get("shard_size")?,
        planned: row.try_get("planned")?,
        predicted: row.try_get("predicted")?,
        dead_letters: row.try_get("dead_letters")?,
        duplicates: row.try_get("duplicates")?,
        filtered: row.try_get("filtered")?,
        output_hash: row.try_get("output_hash")?,
        exit_code: row.try_get("exit_code")?,
        created_at: row.try_get("created_at")?,
        completed_at: row.try_get("completed_at")?,
    })
}

fn unsigned(row: &SqliteRow, column: &str) -> Result<u64, sqlx::Error> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|error| sqlx::Error::Decode(error.into()))
}

fn optional_unsigned(row: &SqliteRow, column: &str) -> Result<Option<u64>, sqlx::Error> {
    match row.try_get::<Option<i64>, _>(column)? {
        None => Ok(None),
        Some(_) => unsigned(row, column).map(Some),
    }
}
