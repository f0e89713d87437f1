//! Erasure: records deleted by their ids, wherever the ledger holds them.
//!
//! In the place of each record stays a tombstone: its ordinal, and its id under a secret key. A
//! shard's hash covers them, so that what is left can be proven, and whoever has the key can prove
//! that an id was erased. What could confirm a guess of an id goes with it: hashes of what was there,
//! and the hash over the ids of a retry.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::rewrite::{Loss, Outcome};
use super::{ErasureKey, Ledger, Run};
use crate::database::{Begin, Statement, Value};
use crate::source::postgres::locator_without;

/// Ids that a statement is given at once.
const IDS_AT_ONCE: usize = 1_000;

/// Ids to erase. They are personal data: nothing here prints them.
#[derive(Default)]
pub struct Erasure {
    ids: BTreeSet<String>,
}

/// What was found of the ids, and erased.
#[derive(Debug, Default, Serialize)]
pub struct ErasedFrom {
    /// Runs that held one.
    pub runs: u64,
    /// Rows of `predictions`.
    pub predictions: u64,
    /// Rows of `dead_letters`.
    pub dead_letters: u64,
    /// Rows of the queue.
    pub queue: u64,
    /// Shards that remembered one as their input.
    pub inputs: u64,
    /// The ids themselves.
    #[serde(skip)]
    pub found: BTreeSet<String>,
}

/// That an id was erased.
#[derive(Clone, Debug, Serialize)]
pub struct Tombstone {
    /// The id under the key.
    pub token: String,
    /// When it was erased first.
    pub erased_at: String,
    /// From how many places.
    pub places: u64,
}

impl Erasure {
    /// These ids.
    pub fn new(ids: BTreeSet<String>) -> Self {
        Self { ids }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// All of them.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.ids.iter().map(String::as_str)
    }

    /// Lists of them as JSON.
    fn lists(&self) -> anyhow::Result<Vec<String>> {
        lists(&self.ids)
    }
}

fn lists<'ids>(ids: impl IntoIterator<Item = &'ids String>) -> anyhow::Result<Vec<String>> {
    let ids: Vec<&String> = ids.into_iter().collect();
    ids.chunks(IDS_AT_ONCE)
        .map(|ids| Ok(serde_json::to_string(ids)?))
        .collect()
}

impl Ledger {
    /// Where the ids are, of one job or of all; nothing is written.
    ///
    /// # Errors
    /// The database's, here and below.
    pub fn find_records(
        &mut self,
        erasure: &Erasure,
        job: Option<&str>,
    ) -> anyhow::Result<ErasedFrom> {
        let mut found = ErasedFrom::default();
        for run in self.runs_of_job(job)? {
            let predictions = self.ordinals(&run, statement!("predictions_of_ids"), erasure)?;
            let letters = self.ordinals(&run, statement!("dead_letters_of_ids"), erasure)?;
            let mut ids = BTreeSet::new();
            let inputs = self.inputs_without(&run, erasure, &mut ids)?;
            found.runs +=
                u64::from(!predictions.is_empty() || !letters.is_empty() || !inputs.is_empty());
            found.predictions += predictions.len() as u64;
            found.dead_letters += letters.len() as u64;
            found.inputs += inputs.len() as u64;
            found.found.extend(predictions.into_values());
            found.found.extend(letters.into_values());
            found.found.extend(ids);
        }
        for list in erasure.lists()? {
            let values = [job.into(), (&list).into()];
            let ids = self.read(statement!("count_queue_of_ids"), &values, |row| {
                row.get::<String>("record_id")
            })?;
            found.queue += ids.len() as u64;
            found.found.extend(ids);
        }
        Ok(found)
    }

    /// Erases the ids from the queue, whatever became of its rows, and from the ground truth.
    pub fn erase_from_queue(
        &mut self,
        erasure: &Erasure,
        key: &ErasureKey,
        job: Option<&str>,
        erased: &mut ErasedFrom,
    ) -> anyhow::Result<()> {
        for list in erasure.lists()? {
            let values = [job.into(), (&list).into()];
            let doing = || "cannot erase from the queue".to_owned();
            let ids = self.transaction(Begin::Write, doing, |ledger| {
                let rows = ledger.fetch(statement!("erase_queue"), &values, |row| {
                    Ok((
                        row.get::<String>("record_id")?,
                        row.get::<Option<i64>>("run_id")?,
                    ))
                })?;
                for (id, run_id) in &rows {
                    ledger.leave_tombstone(&key.token(id), "queue", *run_id)?;
                }
                // What was true of a record goes with it; the metrics stay.
                ledger.execute(statement!("erase_ground_truth"), &[(&list).into()])?;
                Ok(rows)
            })?;
            erased.queue += ids.len() as u64;
            erased.found.extend(ids.into_iter().map(|(id, _)| id));
        }
        Ok(())
    }

    /// Erases the ids from what a run has committed, and from what its shards remember of their
    /// input unless they are still to be scored. `proceed` is asked between the transactions.
    ///
    /// # Errors
    /// Those of `proceed`; rows are not the ones that were committed (70); the database's.
    pub fn erase_from_run(
        &mut self,
        run: &Run,
        erasure: &Erasure,
        key: &ErasureKey,
        erased: &mut ErasedFrom,
        proceed: &mut dyn FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut records = self.ordinals(run, statement!("predictions_of_ids"), erasure)?;
        records.extend(self.ordinals(run, statement!("dead_letters_of_ids"), erasure)?);
        let ids: BTreeSet<&String> = records.values().collect();
        if !ids.is_empty() {
            let tokens: BTreeMap<&String, String> =
                ids.iter().map(|id| (*id, key.token(id))).collect();
            let losses: BTreeMap<i64, &str> = records
                .iter()
                .map(|(ordinal, id)| (*ordinal, tokens[id].as_str()))
                .collect();
            // Before the rows: as long as one is there, this is done again.
            self.forget_retries(run)?;
            if let Outcome::Done(taken) = self.take_out(run, &Loss::Records(&losses), proceed)? {
                erased.predictions += taken.predictions;
                erased.dead_letters += taken.dead_letters;
            }
        }
        // A retry that was under way when its parent's records were erased.
        if let Some(parent) = run.parent_run_id
            && self.run(parent)?.is_some_and(|parent| parent.erased > 0)
        {
            self.forget_retries(run)?;
        }
        proceed()?;
        let inputs = self.erase_from_inputs(run, erasure, key, &mut erased.found)?;
        erased.inputs += inputs;
        erased.runs += u64::from(!records.is_empty() || inputs > 0);
        erased.found.extend(records.into_values());
        Ok(())
    }

    /// What stands in the ledger of these tokens.
    pub fn tombstones(&mut self, tokens: &[String]) -> anyhow::Result<Vec<Tombstone>> {
        let mut found = Vec::new();
        for list in lists(tokens)? {
            let values = [Value::from(&list)];
            found.extend(
                self.read(statement!("tombstones_of_tokens"), &values, |row| {
                    Ok(Tombstone {
                        token: row.get("token")?,
                        erased_at: row.get("erased_at")?,
                        places: row.get("places")?,
                    })
                })?,
            );
        }
        Ok(found)
    }

    fn leave_tombstone(
        &mut self,
        token: &str,
        place: &str,
        run_id: Option<i64>,
    ) -> anyhow::Result<()> {
        let values = [
            Value::from(token),
            place.into(),
            run_id.into(),
            Value::Integer(None),
        ];
        self.execute(statement!("insert_tombstone"), &values)?;
        Ok(())
    }

    /// Ordinals and ids of the records that a statement finds.
    fn ordinals(
        &mut self,
        run: &Run,
        statement: Statement,
        erasure: &Erasure,
    ) -> anyhow::Result<BTreeMap<i64, String>> {
        let mut found = BTreeMap::new();
        for list in erasure.lists()? {
            let values = [run.run_id.into(), (&list).into()];
            found.extend(self.read(statement, &values, |row| {
                Ok((row.get("ordinal")?, row.get("record_id")?))
            })?);
        }
        Ok(found)
    }

    /// Shards that remember one of the ids as their input, with what they are to remember instead. A
    /// completed shard needs nothing any more; one that is under way needs all.
    fn inputs_without(
        &mut self,
        run: &Run,
        erasure: &Erasure,
        found: &mut BTreeSet<String>,
    ) -> anyhow::Result<Vec<(i64, Option<Vec<u8>>)>> {
        let mut changed = Vec::new();
        let identity: Json = serde_json::from_str(&run.identity).unwrap_or_default();
        if identity["source"]["kind"] != "postgres" {
            return Ok(changed);
        }
        let is_under_way = run.state.is_unfinished();
        self.stream(
            statement!("inputs_of_run"),
            &[run.run_id.into()],
            &mut |row| {
                let is_completed = row.get::<String>("state")? == "completed";
                if is_under_way && !is_completed {
                    return Ok(());
                }
                let input: Vec<u8> = row.get("input")?;
                let left = locator_without(&input, |id| {
                    let is_gone = erasure.ids.contains(id);
                    if is_gone {
                        found.insert(id.to_owned());
                    }
                    is_gone
                })?;
                if let Some(left) = left {
                    changed.push((row.get("shard_no")?, (!is_completed).then_some(left)));
                }
                Ok(())
            },
        )?;
        Ok(changed)
    }

    fn erase_from_inputs(
        &mut self,
        run: &Run,
        erasure: &Erasure,
        key: &ErasureKey,
        erased: &mut BTreeSet<String>,
    ) -> anyhow::Result<u64> {
        let doing = || format!("cannot erase from the input of {}", run.name());
        let (changed, found) = self.transaction(Begin::Write, doing, |ledger| {
            let mut found = BTreeSet::new();
            let changed = ledger.inputs_without(run, erasure, &mut found)?;
            for (shard_no, left) in &changed {
                let values = [
                    run.run_id.into(),
                    (*shard_no).into(),
                    Value::from(left.as_deref()),
                ];
                ledger.execute(statement!("set_shard_input"), &values)?;
            }
            for id in &found {
                ledger.leave_tombstone(&key.token(id), "input", Some(run.run_id))?;
            }
            Ok((changed.len() as u64, found))
        })?;
        erased.extend(found);
        Ok(changed)
    }

    /// Takes the hash over the retried ids out of the identity of a run and of its retries: it would
    /// confirm a guess. A retry under way is recognised by it, and keeps it.
    fn forget_retries(&mut self, run: &Run) -> anyhow::Result<()> {
        let children = self.read(statement!("children_of_run"), &[run.run_id.into()], |row| {
            row.get::<i64>("run_id")
        })?;
        for run_id in children.into_iter().chain([run.run_id]) {
            let doing = || format!("cannot erase from the identity of run {run_id}");
            self.transaction(Begin::Write, doing, |ledger| {
                ledger.fetch(statement!("hold_run"), &[run_id.into()], |_| Ok(()))?;
                match ledger.run(run_id)? {
                    Some(run) if !run.state.is_unfinished() => ledger.forget_retry(&run),
                    _ => Ok(()),
                }
            })?;
        }
        Ok(())
    }

    fn forget_retry(&mut self, run: &Run) -> anyhow::Result<()> {
        let mut identity: Json = serde_json::from_str(&run.identity)?;
        match identity.pointer_mut("/retry/records") {
            Some(records) if !records.is_null() => *records = Json::Null,
            _ => return Ok(()),
        }
        let identity = identity.to_string();
        let fingerprint = hex::encode(Sha256::digest(&identity));
        let values = [
            run.run_id.into(),
            Value::from(&identity),
            (&fingerprint).into(),
        ];
        self.execute(statement!("set_identity"), &values)?;
        if let Some(report) = self.report(run.run_id)? {
            let mut report: Json = serde_json::from_str(&report)?;
            if let Some(stored) = report.pointer_mut("/input/fingerprint") {
                *stored = fingerprint.into();
            }
            let report = report.to_string();
            let values = [run.run_id.into(), Value::from(&report)];
            self.execute(statement!("set_report"), &values)?;
        }
        Ok(())
    }
}
