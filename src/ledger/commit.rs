//! A shard's one transaction: predictions, dead letters and its completion, fenced by the claim's
//! epoch. A shard that turns out to be completed at that epoch was completed by an earlier try of
//! the same commit, for an epoch is given out once.

use super::predictions::PREDICTIONS;
use super::{Ledger, ShardCommit, plain};
use crate::database::{Begin, ColumnType, EncodedRows, RowSink, Table, Value};
use crate::record::DeadLetter;

/// What came of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// The shard is completed.
    Yes,
    /// The claim had lapsed, and another one is valid; or the run is no longer under way. Nothing
    /// was written.
    Fenced,
}

/// A table like that of the predictions, which ends with its transaction.
const REHEARSAL: &str = "rehearsal";

const DEAD_LETTERS: Table = Table {
    name: "dead_letters",
    columns: &[
        ("run_id", ColumnType::BigInt),
        ("ordinal", ColumnType::BigInt),
        ("record_id", ColumnType::Text),
        ("stage", ColumnType::Text),
        ("code", ColumnType::Text),
        ("field", ColumnType::Text),
        ("message", ColumnType::Text),
    ],
};

struct Fence {
    state: String,
    epoch: i64,
    run_state: String,
}

impl Ledger {
    /// Commits a shard: predictions, dead letters, completion.
    ///
    /// # Errors
    /// The database's; nothing is then written.
    pub fn commit_shard(&mut self, run_id: i64, commit: &ShardCommit) -> anyhow::Result<Committed> {
        let doing = || format!("cannot commit shard {}", commit.shard_no);
        self.transaction(Begin::Write, doing, |ledger| {
            let shard_no = Value::from(i64::from(commit.shard_no));
            let fence = ledger.fetch_one(
                statement!("fence_shard"),
                &[run_id.into(), shard_no],
                |row| {
                    Ok(Fence {
                        state: row.get("state")?,
                        epoch: row.get("epoch")?,
                        run_state: row.get("run_state")?,
                    })
                },
            )?;
            if fence.epoch != commit.epoch {
                return Ok(Committed::Fenced);
            }
            if fence.state == "completed" {
                return Ok(Committed::Yes);
            }
            if fence.state != "leased" || fence.run_state != "running" {
                return Ok(Committed::Fenced);
            }
            insert_predictions(ledger, PREDICTIONS, &commit.predictions)?;
            insert_dead_letters(ledger, run_id, &commit.dead_letters)?;
            let values = [
                Value::from(run_id),
                shard_no,
                commit.epoch.into(),
                (commit.predictions.len() as i64).into(),
                (commit.dead_letters.len() as i64).into(),
                (commit.filtered as i64).into(),
                (&commit.output_hash).into(),
                (&commit.stats).into(),
                commit.profile.as_deref().into(),
            ];
            ledger.execute(statement!("complete_shard"), &values)?;
            Ok(Committed::Yes)
        })
    }
}

impl Ledger {
    /// A rehearsal of commits, which leaves nothing: on Postgres in one transaction, at whose end the
    /// table goes that they went to.
    ///
    /// # Errors
    /// Those of `act`; the database's.
    pub fn rehearse<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        if !self.is_shared() {
            return act(self);
        }
        self.once(Begin::Write, |ledger| {
            ledger
                .connection
                .run_script(&statement!("create_rehearsal"))?;
            act(ledger)
        })
        .map_err(plain)
    }

    /// Does a commit's work in a [`rehearse`](Self::rehearse): on Postgres into its table, on SQLite,
    /// where the ledger must be a scratch file, into the real one.
    ///
    /// # Errors
    /// The database's.
    pub fn rehearse_commit(&mut self, commit: &ShardCommit) -> anyhow::Result<()> {
        let doing = || "cannot rehearse a commit".to_owned();
        let table = match self.is_shared() {
            true => REHEARSAL,
            false => PREDICTIONS,
        };
        self.transaction(Begin::Write, doing, |ledger| {
            insert_predictions(ledger, table, &commit.predictions)
        })
    }
}

fn insert_predictions(
    ledger: &mut Ledger,
    table: &'static str,
    rows: &EncodedRows,
) -> anyhow::Result<()> {
    if !rows.is_empty() {
        ledger.connection.insert(table, rows)?;
    }
    Ok(())
}

fn insert_dead_letters(
    ledger: &mut Ledger,
    run_id: i64,
    dead_letters: &[DeadLetter],
) -> anyhow::Result<()> {
    if dead_letters.is_empty() {
        return Ok(());
    }
    let dialect = ledger.target().dialect();
    let mut produce = |sink: &mut RowSink<'_>| {
        for letter in dead_letters {
            sink(&[
                run_id.into(),
                (letter.ordinal as i64).into(),
                letter.record_id.as_deref().into(),
                letter.stage.as_str().into(),
                letter.code.as_ref().into(),
                letter.field.as_deref().into(),
                letter.message.as_str().into(),
            ])?;
        }
        Ok(())
    };
    let rows = EncodedRows::new(dialect, &DEAD_LETTERS, dead_letters.len(), &mut produce)?;
    ledger.connection.insert(DEAD_LETTERS.name, &rows)?;
    Ok(())
}
