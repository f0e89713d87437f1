//! What changes the ledger. Each function is one transaction.

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{Connection, QueryBuilder, Row, Sqlite, Transaction};

use super::Ledger;
use super::errors::Classified;
use crate::error::Failure;
use crate::ledger::rows::{Claim, Finish, NewRun, Publication, ShardCommit, ShardSlice, Totals};
use crate::record::{DeadLetter, Predictions};

/// A deferred transaction that turns into a writing one midway is refused at once when there is
/// another writer; one that begins as a writer waits.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// Rows of one INSERT, in falling powers, so that few different statements are prepared.
const INSERT_ROWS: [usize; 5] = [256, 64, 16, 4, 1];

impl Ledger {
    /// Plans a run: cancels what it replaces (unfinished runs of the same date, and of trials only
    /// trials), and stores the run with all its shards.
    ///
    /// # Errors
    /// The database's.
    pub fn plan_run(&mut self, run: &NewRun, shards: &[ShardSlice]) -> anyhow::Result<i64> {
        let connection = &mut self.connection;
        self.runtime
            .block_on(plan_run(connection, run, shards))
            .classified(|| format!("cannot plan {}@{}", run.job, run.logical_date))
    }

    /// Notes that this process works on a run. Returns the attempt's key.
    ///
    /// # Errors
    /// The database's.
    pub fn begin_attempt(&mut self, run_id: i64, host: &str, pid: u32) -> anyhow::Result<i64> {
        let query = sqlx::query(include_str!("sql/insert_attempt.sql"))
            .bind(run_id)
            .bind(host)
            .bind(pid)
            .bind(env!("CARGO_PKG_VERSION"));
        self.runtime
            .block_on(query.fetch_one(&mut self.connection))
            .and_then(|row| row.try_get(0))
            .classified(|| format!("cannot note an attempt at run {run_id}"))
    }

    /// Notes how this process's work on a run ended.
    ///
    /// # Errors
    /// The database's.
    pub fn end_attempt(&mut self, attempt_id: i64, exit_code: u8) -> anyhow::Result<()> {
        let query = sqlx::query(include_str!("sql/end_attempt.sql"))
            .bind(attempt_id)
            .bind(exit_code);
        self.execute(query, "cannot note the end of an attempt")?;
        Ok(())
    }

    /// Makes claims of processes that are gone available again. There can be no others: whoever
    /// calls this holds the only writer's lock.
    ///
    /// # Errors
    /// The database's.
    pub fn release_abandoned_claims(&mut self, run_id: i64) -> anyhow::Result<u64> {
        let query = sqlx::query(include_str!("sql/release_shards.sql")).bind(run_id);
        self.execute(query, "cannot release abandoned claims")
    }

    /// Claims up to `limit` shards, those with the lowest numbers.
    ///
    /// # Errors
    /// The database's.
    pub fn claim_shards(
        &mut self,
        run_id: i64,
        owner: &str,
        limit: usize,
    ) -> anyhow::Result<Vec<Claim>> {
        let query = sqlx::query(include_str!("sql/claim_shards.sql"))
            .bind(run_id)
            .bind(owner)
            .bind(limit as i64);
        let rows = self
            .runtime
            .block_on(query.fetch_all(&mut self.connection))
            .classified(|| format!("cannot claim shards of run {run_id}"))?;
        let mut claims = rows
            .iter()
            .map(|row| {
                let duplicates: Option<Vec<u8>> = row.try_get("duplicates")?;
                Ok(Claim {
                    slice: ShardSlice {
                        shard_no: row.try_get("shard_no")?,
                        first_ordinal: row.try_get::<i64, _>("first_ordinal")? as u64,
                        records: row.try_get::<i64, _>("records")? as u64,
                        duplicates: offsets(&duplicates.unwrap_or_default()),
                    },
                    epoch: row.try_get("epoch")?,
                })
            })
            .collect::<Result<Vec<_>, sqlx::Error>>()
            .classified(|| "cannot read a claim".to_owned())?;
        // RETURNING promises no order.
        claims.sort_by_key(|claim| claim.slice.shard_no);
        Ok(claims)
    }

    /// Commits a shard: predictions, dead letters, completion. Returns false, having written
    /// nothing, if the claim's epoch is no longer the shard's.
    ///
    /// # Errors
    /// The database's; the transaction is rolled back.
    pub fn commit_shard(&mut self, run_id: i64, commit: &ShardCommit) -> anyhow::Result<bool> {
        let connection = &mut self.connection;
        self.runtime
            .block_on(commit_shard(connection, run_id, commit))
            .classified(|| format!("cannot commit shard {}", commit.shard_no))
    }

    /// Finishes a run whose shards are all completed: counts, report and publication. Publishing
    /// replaces whatever was published for the date.
    ///
    /// # Errors
    /// A shard is not completed, or the run not running (70); the database's.
    pub fn finish_run(&mut self, run_id: i64, finish: &Finish<'_>) -> anyhow::Result<()> {
        let connection = &mut self.connection;
        let finished = self
            .runtime
            .block_on(finish_run(connection, run_id, finish))
            .classified(|| format!("cannot finish run {run_id}"))?;
        if !finished {
            return Err(Failure::internal(format!(
                "run {run_id} can not be finished: a shard is not completed, or the run not running"
            ))
            .into());
        }
        Ok(())
    }

    /// Gives an unfinished run up. Returns false if it was not unfinished.
    ///
    /// # Errors
    /// The database's.
    pub fn cancel_run(&mut self, run_id: i64) -> anyhow::Result<bool> {
        let query = sqlx::query(include_str!("sql/cancel_run.sql")).bind(run_id);
        Ok(self.execute(query, "cannot cancel a run")? > 0)
    }

    fn execute(
        &mut self,
        query: Query<'_, Sqlite, SqliteArguments>,
        doing: &str,
    ) -> anyhow::Result<u64> {
        self.runtime
            .block_on(query.execute(&mut self.connection))
            .map(|done| done.rows_affected())
            .classified(|| doing.to_owned())
    }
}

async fn plan_run(
    connection: &mut SqliteConnection,
    run: &NewRun,
    shards: &[ShardSlice],
) -> Result<i64, sqlx::Error> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    sqlx::query(include_str!("sql/cancel_superseded.sql"))
        .bind(&run.job)
        .bind(&run.logical_date)
        .bind(run.trial)
        .execute(&mut *transaction)
        .await?;
    let run_id: i64 = sqlx::query(include_str!("sql/insert_run.sql"))
        .bind(&run.job)
        .bind(&run.logical_date)
        .bind(run.trial)
        .bind(&run.reason)
        .bind(&run.fingerprint)
        .bind(&run.identity)
        .bind(&run.model_name)
        .bind(&run.model_version)
        .bind(&run.model_digest)
        .bind(&run.precision)
        .bind(&run.numerics)
        .bind(run.batch_size as i64)
        .bind(run.shard_size as i64)
        .bind(run.planned as i64)
        .fetch_one(&mut *transaction)
        .await?
        .try_get(0)?;
    for shard in shards {
        let duplicates: Vec<u8> = shard
            .duplicates
            .iter()
            .flat_map(|offset| offset.to_le_bytes())
            .collect();
        sqlx::query(include_str!("sql/insert_shard.sql"))
            .bind(run_id)
            .bind(shard.shard_no)
            .bind(shard.first_ordinal as i64)
            .bind(shard.records as i64)
            .bind((!duplicates.is_empty()).then_some(duplicates))
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(run_id)
}

async fn commit_shard(
    connection: &mut SqliteConnection,
    run_id: i64,
    commit: &ShardCommit,
) -> Result<bool, sqlx::Error> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    let held = sqlx::query(include_str!("sql/fence_shard.sql"))
        .bind(run_id)
        .bind(commit.shard_no)
        .bind(commit.epoch)
        .fetch_optional(&mut *transaction)
        .await?;
    if held.is_none() {
        transaction.rollback().await?;
        return Ok(false);
    }
    insert_predictions(&mut transaction, run_id, &commit.predictions).await?;
    insert_dead_letters(&mut transaction, run_id, &commit.dead_letters).await?;
    sqlx::query(include_str!("sql/complete_shard.sql"))
        .bind(run_id)
        .bind(commit.shard_no)
        .bind(commit.epoch)
        .bind(commit.predictions.len() as i64)
        .bind(commit.dead_letters.len() as i64)
        .bind(commit.filtered as i64)
        .bind(&commit.output_hash)
        .bind(&commit.stats)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(true)
}

async fn insert_predictions(
    transaction: &mut Transaction<'_, Sqlite>,
    run_id: i64,
    predictions: &Predictions,
) -> Result<(), sqlx::Error> {
    // The table is a tree by id: in its order, rows go to neighbouring pages.
    let mut order: Vec<usize> = (0..predictions.len()).collect();
    order.sort_unstable_by_key(|&index| predictions.record_id(index));
    for indices in statements(&order) {
        let rows: Vec<_> = indices
            .iter()
            .map(|&index| predictions.row(index))
            .collect();
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO predictions (run_id, record_id, ordinal, label, score, value, output) ",
        );
        query.push_values(&rows, |mut values, row| {
            values
                .push_bind(run_id)
                .push_bind(row.record_id.as_ref())
                .push_bind(row.ordinal)
                .push_bind(row.label.as_deref())
                .push_bind(row.score)
                .push_bind(row.value)
                .push_bind(row.output.as_deref());
        });
        query.build().execute(&mut **transaction).await?;
    }
    Ok(())
}

async fn insert_dead_letters(
    transaction: &mut Transaction<'_, Sqlite>,
    run_id: i64,
    dead_letters: &[DeadLetter],
) -> Result<(), sqlx::Error> {
    for slice in statements(dead_letters) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO dead_letters (run_id, ordinal, record_id, stage, code, field, message) ",
        );
        query.push_values(slice, |mut values, letter| {
            values
                .push_bind(run_id)
                .push_bind(letter.ordinal as i64)
                .push_bind(letter.record_id.as_deref())
                .push_bind(letter.stage.as_str())
                .push_bind(letter.code)
                .push_bind(letter.field.as_deref())
                .push_bind(letter.message.as_str());
        });
        query.build().execute(&mut **transaction).await?;
    }
    Ok(())
}

/// Cuts rows into the portions of [`INSERT_ROWS`].
fn statements<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = INSERT_ROWS.into_iter().find(|size| *size <= rows.len())?;
        let (slice, rest) = rows.split_at(size);
        rows = rest;
        Some(slice)
    })
}

async fn finish_run(
    connection: &mut SqliteConnection,
    run_id: i64,
    finish: &Finish<'_>,
) -> Result<bool, sqlx::Error> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    let Totals {
        predicted,
        dead_letters,
        duplicates,
        filtered,
    } = finish.totals;
    let counts = [predicted, dead_letters, duplicates, filtered].map(|count| count as i64);
    let mut query = sqlx::query(include_str!("sql/finish_run.sql"))
        .bind(run_id)
        .bind(finish.publication.as_str())
        .bind(finish.output_hash)
        .bind(finish.exit_code);
    for count in counts {
        query = query.bind(count);
    }
    let finished = query.execute(&mut *transaction).await?.rows_affected();
    if finished != 1 {
        transaction.rollback().await?;
        return Ok(false);
    }
    if finish.publication == Publication::Published {
        for statement in [
            include_str!("sql/unpublish_date.sql"),
            include_str!("sql/withhold_replaced.sql"),
            include_str!("sql/publish.sql"),
        ] {
            sqlx::query(statement)
                .bind(run_id)
                .execute(&mut *transaction)
                .await?;
        }
    }
    sqlx::query(include_str!("sql/insert_report.sql"))
        .bind(run_id)
        .bind(finish.verdict)
        .bind(finish.exit_code)
        .bind(finish.duration_seconds)
        .bind(finish.records_per_second)
        .bind(finish.peak_memory_bytes.map(|bytes| bytes as i64))
        .bind(finish.report)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(true)
}

fn offsets(bytes: &[u8]) -> Vec<u32> {
    let (offsets, _) = bytes.as_chunks::<4>();
    offsets
        .iter()
        .map(|bytes| u32::from_le_bytes(*bytes))
        .collect()
}
