//! Claims: who works on what, and for how long.
//!
//! A claim raises the shard's epoch; nothing that was begun under an earlier one can be committed.
//! On Postgres a claim is a lease, by the database's clock: whoever is silent beyond it loses its
//! shards to the next who asks. A claim whose commit was of unknown outcome is nobody's, is kept up
//! by nobody, and lapses.

use super::{Claim, Ledger, Participant, ShardSlice, array};
use crate::database::{Begin, QueryError, Row, Value};

/// Whether a process may begin to work on a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// It may: the attempt's key.
    Begun(i64),
    /// Another one is at it, and one of the two wants to be alone: who that is.
    Occupied(String),
}

impl Ledger {
    /// Notes that this process works on a run.
    ///
    /// # Errors
    /// The database's.
    pub fn begin_attempt(
        &mut self,
        run_id: i64,
        who: &Participant,
        exclusive: bool,
    ) -> anyhow::Result<Beginning> {
        let doing = || format!("cannot note an attempt at run {run_id}");
        let is_shared = self.is_shared();
        self.transaction(Begin::Write, doing, |ledger| {
            // Two that begin at the same moment see each other.
            ledger.fetch(statement!("lock_run"), &[run_id.into()], |_| Ok(()))?;
            // An earlier try may have been committed.
            let own = ledger.fetch(
                statement!("attempt_of_owner"),
                &[run_id.into(), Value::from(&who.owner)],
                |row| row.get("attempt_id"),
            )?;
            if let Some(&attempt) = own.first() {
                return Ok(Beginning::Begun(attempt));
            }
            let others = ledger.fetch(
                statement!("live_attempt"),
                &[run_id.into(), Value::from(&who.owner), exclusive.into()],
                |row| {
                    Ok(format!(
                        "pid {} on {}",
                        row.get::<i64>("pid")?,
                        row.get::<String>("host")?
                    ))
                },
            )?;
            // Where there is one writer, whoever seems to be alive was killed.
            if let (true, Some(other)) = (is_shared, others.into_iter().next()) {
                return Ok(Beginning::Occupied(other));
            }
            let values = [
                Value::from(run_id),
                (&who.host).into(),
                i64::from(who.pid).into(),
                env!("CARGO_PKG_VERSION").into(),
                (&who.owner).into(),
                exclusive.into(),
                seconds(who),
                i64::try_from(who.chunk_rows).unwrap_or(i64::MAX).into(),
            ];
            let attempt = ledger.fetch_one(statement!("insert_attempt"), &values, |row| {
                row.get("attempt_id")
            })?;
            Ok(Beginning::Begun(attempt))
        })
    }

    /// Notes how this process's work on a run ended.
    ///
    /// # Errors
    /// The database's.
    pub fn end_attempt(&mut self, attempt_id: i64, exit_code: u8) -> anyhow::Result<()> {
        let values = [Value::from(attempt_id), i64::from(exit_code).into()];
        let doing = "cannot note the end of an attempt";
        self.change(statement!("end_attempt"), &values, doing)?;
        Ok(())
    }

    /// Makes this process's claims available again, or with `None` everybody's, which is right only
    /// where there can be no other writer.
    ///
    /// # Errors
    /// The database's.
    pub fn release_claims(&mut self, run_id: i64, owner: Option<&str>) -> anyhow::Result<u64> {
        let values = [Value::from(run_id), owner.into()];
        self.change(
            statement!("release_shards"),
            &values,
            "cannot release claims",
        )
    }

    /// Claims up to `limit` shards, those with the lowest numbers among those that nobody holds.
    ///
    /// # Errors
    /// The database's.
    pub fn claim_shards(
        &mut self,
        run_id: i64,
        who: &Participant,
        limit: usize,
    ) -> anyhow::Result<Vec<Claim>> {
        let doing = || format!("cannot claim shards of run {run_id}");
        let values = [
            Value::from(run_id),
            (&who.owner).into(),
            (limit as i64).into(),
            seconds(who),
        ];
        let mut claims = self.transaction(Begin::Write, doing, |ledger| {
            ledger.fetch(statement!("claim_shards"), &values, claim)
        })?;
        // RETURNING promises no order.
        claims.sort_by_key(|claim| claim.slice.shard_no);
        Ok(claims)
    }

    /// Prolongs the leases of the shards (number and epoch) that this process works on, but for
    /// what is being committed at this moment. Returns how many it prolonged.
    ///
    /// # Errors
    /// The database's.
    pub fn keep_claims(
        &mut self,
        run_id: i64,
        attempt_id: i64,
        who: &Participant,
        held: &[(u32, i64)],
    ) -> anyhow::Result<u64> {
        let numbers = array(held.iter().map(|(shard_no, _)| i64::from(*shard_no)));
        let epochs = array(held.iter().map(|(_, epoch)| *epoch));
        let doing = || "cannot prolong leases".to_owned();
        self.transaction(Begin::Write, doing, |ledger| {
            ledger.execute(
                statement!("keep_attempt"),
                &[attempt_id.into(), seconds(who)],
            )?;
            let values = [
                Value::from(run_id),
                seconds(who),
                (&numbers).into(),
                (&epochs).into(),
            ];
            Ok(ledger.execute(statement!("keep_shards"), &values)?)
        })
    }
}

fn seconds(who: &Participant) -> Value<'static> {
    Value::from(i64::try_from(who.lease.as_secs()).unwrap_or(i64::MAX))
}

fn claim(row: &Row) -> Result<Claim, QueryError> {
    let bytes =
        |column: &str| Ok::<_, QueryError>(row.get::<Option<Vec<u8>>>(column)?.unwrap_or_default());
    Ok(Claim {
        slice: ShardSlice {
            shard_no: row.get("shard_no")?,
            first_ordinal: row.get("first_ordinal")?,
            records: row.get("records")?,
            duplicates: offsets(&bytes("duplicates")?),
            input: bytes("input")?,
        },
        epoch: row.get("epoch")?,
        // This claim is counted, too.
        lost_claims: row.get::<u64>("attempts")?.saturating_sub(1),
    })
}

fn offsets(bytes: &[u8]) -> Vec<u32> {
    let (offsets, _) = bytes.as_chunks::<4>();
    offsets
        .iter()
        .map(|bytes| u32::from_le_bytes(*bytes))
        .collect()
}
