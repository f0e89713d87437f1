//! Takes rows out of completed shards so that what is left can still be proven.
//!
//! A shard's output hash covers its rows. Who takes some out reads the shard as it is, holds it
//! against the hash of old, and in one transaction deletes the rows, leaves tombstones or a count
//! in their place, and stores the hash of what is left; and the run's hash over its shards'
//! likewise. If the shard's hash is no longer the one that was read, somebody else came between, and
//! it is read again: so that nothing is done twice, whoever is killed and whenever.

use std::collections::{BTreeMap, HashSet};

use super::read::{dead_letter, prediction};
use super::{Ledger, Run, ShardRow, array};
use crate::database::{Begin, Value};
use crate::error::Failure;
use crate::record::{DUPLICATE_ID, OutputHasher, run_hash};

/// Rows that one transaction takes out, unless a single shard loses more.
const ROWS_AT_ONCE: usize = 5_000;

/// What a run is to lose.
pub(super) enum Loss<'a> {
    /// All dead letters: what they were is forgotten, that they were is not.
    DeadLetters,
    /// The records of these ordinals, each with the token of its tombstone.
    Records(&'a BTreeMap<i64, &'a str>),
}

/// Rows that were taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Of `predictions`.
    pub predictions: u64,
    /// Of `dead_letters`.
    pub dead_letters: u64,
}

/// What came of taking rows out.
pub(super) enum Outcome {
    /// All of it was done.
    Done(Taken),
    /// A retry under way asks for the dead letters, so that what was left of them stays.
    Needed,
}

/// What came of a group of shards.
enum Step {
    /// They are rewritten.
    Rewritten,
    /// One of them is another than was read: nothing is written.
    Changed,
    /// A retry under way asks for them: nothing is written.
    Needed,
}

/// A shard as it is to be.
struct Rewritten {
    shard_no: i64,
    /// Its hash as it was read.
    before: String,
    /// Its hash afterwards.
    after: String,
    /// Ids of the predictions that go.
    predictions: Vec<String>,
    /// Ordinals of the dead letters that go.
    dead_letters: Vec<i64>,
    /// How many of these are duplicates.
    duplicates: u64,
    /// Ordinal, token and place.
    tombstones: Vec<(i64, String, &'static str)>,
}

impl Rewritten {
    fn rows(&self) -> usize {
        self.predictions.len() + self.dead_letters.len()
    }
}

/// A shard while its rows are read.
struct Reading<'a> {
    shard: &'a ShardRow,
    before: OutputHasher,
    after: OutputHasher,
    tombstones: BTreeMap<i64, String>,
    rewritten: Rewritten,
}

impl<'a> Reading<'a> {
    fn new(shard: &'a ShardRow) -> Self {
        let filtered = shard.filtered.unwrap_or(0);
        let hasher = OutputHasher::new(shard.first_ordinal, shard.records, filtered);
        Self {
            shard,
            before: hasher.clone(),
            after: hasher,
            tombstones: BTreeMap::new(),
            rewritten: Rewritten {
                shard_no: shard.shard_no,
                before: shard.output_hash.clone().unwrap_or_default(),
                after: String::new(),
                predictions: Vec::new(),
                dead_letters: Vec::new(),
                duplicates: 0,
                tombstones: Vec::new(),
            },
        }
    }

    fn finish(mut self, run: &Run, loss: &Loss<'_>) -> Result<Rewritten, Failure> {
        let mut pruned = self.shard.pruned_dead_letters;
        self.before.pruned(pruned);
        for (ordinal, token) in &self.tombstones {
            self.before.tombstone(*ordinal, token);
        }
        if self.before.finish() != self.rewritten.before {
            return Err(Failure::internal(format!(
                "{}, shard {}: its rows are not the ones that were committed, so nothing was taken out of it",
                run.name(),
                self.shard.shard_no
            ))
            .hint("`lamplighter runs verify` says what differs; restore the rows from a backup, then try again"));
        }
        for (ordinal, token, _) in &self.rewritten.tombstones {
            self.tombstones.insert(*ordinal, token.clone());
        }
        if matches!(loss, Loss::DeadLetters) {
            pruned += self.rewritten.dead_letters.len() as u64;
        }
        self.after.pruned(pruned);
        for (ordinal, token) in &self.tombstones {
            self.after.tombstone(*ordinal, token);
        }
        self.rewritten.after = self.after.finish();
        Ok(self.rewritten)
    }
}

impl Ledger {
    /// Takes rows out of a run's completed shards. `proceed` is asked between the transactions.
    ///
    /// # Errors
    /// Those of `proceed`; rows are not the ones that were committed (70); the database's.
    pub(super) fn take_out(
        &mut self,
        run: &Run,
        loss: &Loss<'_>,
        proceed: &mut dyn FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<Outcome> {
        let mut taken = Taken::default();
        loop {
            proceed()?;
            let doing = || format!("cannot read {}", run.name());
            let rewritten = self.transaction(Begin::Read, doing, |ledger| {
                ledger.read_rewritten(run, loss)
            })?;
            if rewritten.is_empty() {
                return Ok(Outcome::Done(taken));
            }
            for group in groups(&rewritten) {
                proceed()?;
                match self.rewrite(run, loss, group)? {
                    Step::Rewritten => {}
                    Step::Changed => break,
                    Step::Needed => return Ok(Outcome::Needed),
                }
                for shard in group {
                    taken.predictions += shard.predictions.len() as u64;
                    taken.dead_letters += shard.dead_letters.len() as u64;
                }
            }
        }
    }

    /// The shards that lose something, as they are to be.
    fn read_rewritten(&mut self, run: &Run, loss: &Loss<'_>) -> anyhow::Result<Vec<Rewritten>> {
        let shards = self.shards(run.run_id)?;
        let loses = |shard: &&ShardRow| {
            let range = shard.first_ordinal as i64..(shard.first_ordinal + shard.records) as i64;
            shard.state == "completed"
                && match loss {
                    Loss::DeadLetters => {
                        shard.dead_letters.unwrap_or(0) > shard.pruned_dead_letters
                    }
                    Loss::Records(records) => records.range(range).next().is_some(),
                }
        };
        let mut readings: Vec<Reading<'_>> =
            shards.iter().filter(loses).map(Reading::new).collect();
        let (Some(first), Some(last)) = (readings.first(), readings.last()) else {
            return Ok(Vec::new());
        };
        let (begin, end) = (
            first.shard.first_ordinal as i64,
            (last.shard.first_ordinal + last.shard.records) as i64,
        );
        let range = [run.run_id.into(), begin.into(), end.into()];
        let token = |ordinal: i64| match loss {
            Loss::DeadLetters => None,
            Loss::Records(records) => records.get(&ordinal).map(|token| (*token).to_owned()),
        };

        self.stream(statement!("predictions_of_range"), &range, &mut |row| {
            let row = prediction(row)?;
            let Some(reading) = of_ordinal(&mut readings, row.ordinal) else {
                return Ok(());
            };
            reading.before.prediction(&row);
            match token(row.ordinal) {
                None => reading.after.prediction(&row),
                Some(token) => {
                    let rewritten = &mut reading.rewritten;
                    rewritten
                        .tombstones
                        .push((row.ordinal, token, "prediction"));
                    rewritten.predictions.push(row.record_id.into_owned());
                }
            }
            Ok(())
        })?;
        self.stream(statement!("dead_letters_of_range"), &range, &mut |row| {
            let letter = dead_letter(row)?;
            let Some(reading) = of_ordinal(&mut readings, letter.ordinal) else {
                return Ok(());
            };
            let hash = |hasher: &mut OutputHasher| {
                hasher.dead_letter(
                    letter.ordinal,
                    letter.record_id.as_deref(),
                    &letter.stage,
                    &letter.code,
                    letter.field.as_deref(),
                    &letter.message,
                );
            };
            hash(&mut reading.before);
            let token = token(letter.ordinal);
            if token.is_none() && !matches!(loss, Loss::DeadLetters) {
                hash(&mut reading.after);
                return Ok(());
            }
            let rewritten = &mut reading.rewritten;
            rewritten.dead_letters.push(letter.ordinal);
            rewritten.duplicates += u64::from(letter.code == DUPLICATE_ID);
            let tombstone = token.map(|token| (letter.ordinal, token, "dead_letter"));
            rewritten.tombstones.extend(tombstone);
            Ok(())
        })?;
        self.for_each_tombstone(run.run_id, |ordinal, token| {
            if let Some(reading) = of_ordinal(&mut readings, ordinal) {
                reading.tombstones.insert(ordinal, token.to_owned());
            }
        })?;
        let mut rewritten = Vec::new();
        for reading in readings {
            let shard = reading.finish(run, loss)?;
            // Somebody else may have taken the rows.
            if shard.rows() > 0 {
                rewritten.push(shard);
            }
        }
        Ok(rewritten)
    }

    /// Rewrites shards in one transaction.
    fn rewrite(
        &mut self,
        run: &Run,
        loss: &Loss<'_>,
        rewritten: &[Rewritten],
    ) -> anyhow::Result<Step> {
        let run_id = run.run_id;
        let doing = || format!("cannot take rows out of {}", run.name());
        self.transaction(Begin::Write, doing, |ledger| {
            if matches!(loss, Loss::DeadLetters) {
                // Nobody plans a retry of them meanwhile.
                ledger.lock_date(&run.job, &run.logical_date)?;
                if !ledger.unfinished_children(run_id)?.is_empty() {
                    return Ok(Step::Needed);
                }
            }
            // Nobody finishes the run or takes rows out of it meanwhile.
            ledger.fetch(statement!("hold_run"), &[run_id.into()], |_| Ok(()))?;
            let shards = ledger.shards(run_id)?;
            let unchanged: HashSet<(i64, &str)> = shards
                .iter()
                .filter_map(|shard| Some((shard.shard_no, shard.output_hash.as_deref()?)))
                .collect();
            let is_as_read =
                |shard: &Rewritten| unchanged.contains(&(shard.shard_no, shard.before.as_str()));
            if !rewritten.iter().all(is_as_read) {
                return Ok(Step::Changed);
            }
            let stored = ledger.run(run_id)?.and_then(|run| run.output_hash);
            let hash_of_run = stored
                .map(|stored| new_run_hash(run, &stored, &shards, rewritten))
                .transpose()?;
            let mut counts = [0_i64; 3];
            for shard in rewritten {
                let lost = ledger.rewrite_shard(run_id, loss, shard)?;
                for (count, lost) in counts.iter_mut().zip(lost) {
                    *count += lost;
                }
            }
            let [predictions, dead_letters, duplicates] = counts;
            let values = [
                Value::from(run_id),
                predictions.into(),
                dead_letters.into(),
                duplicates.into(),
                hash_of_run.as_deref().into(),
            ];
            ledger.execute(statement!("rewrite_run"), &values)?;
            if matches!(loss, Loss::DeadLetters) {
                ledger.execute(statement!("dead_letters_pruned"), &[run_id.into()])?;
            }
            Ok(Step::Rewritten)
        })
    }

    /// Returns how much less the run counts: predictions, dead letters, duplicates.
    fn rewrite_shard(
        &mut self,
        run_id: i64,
        loss: &Loss<'_>,
        shard: &Rewritten,
    ) -> anyhow::Result<[i64; 3]> {
        let ids = serde_json::to_string(&shard.predictions)?;
        let ordinals = array(shard.dead_letters.iter().copied());
        let mut deleted = 0;
        if !shard.predictions.is_empty() {
            let values = [run_id.into(), (&ids).into()];
            deleted += self.execute(statement!("erase_predictions"), &values)?;
        }
        if !shard.dead_letters.is_empty() {
            let values = [run_id.into(), (&ordinals).into()];
            deleted += self.execute(statement!("erase_dead_letters"), &values)?;
        }
        if deleted != shard.rows() as u64 {
            return Err(Failure::internal(format!(
                "run {run_id}, shard {}: {} rows were to be deleted, but {deleted} were found; nothing was",
                shard.shard_no,
                shard.rows()
            ))
            .into());
        }
        for (ordinal, token, place) in &shard.tombstones {
            let values = [
                Value::from(token),
                (*place).into(),
                run_id.into(),
                (*ordinal).into(),
            ];
            self.execute(statement!("insert_tombstone"), &values)?;
        }
        let predictions = shard.predictions.len() as i64;
        let dead_letters = shard.dead_letters.len() as i64;
        let duplicates = shard.duplicates as i64;
        let (lost, pruned) = match loss {
            Loss::DeadLetters => ([0; 3], [dead_letters, duplicates]),
            Loss::Records(_) => ([predictions, dead_letters, duplicates], [0; 2]),
        };
        let values = [
            Value::from(run_id),
            shard.shard_no.into(),
            (&shard.after).into(),
            lost[0].into(),
            lost[1].into(),
            pruned[0].into(),
            pruned[1].into(),
        ];
        self.execute(statement!("rewrite_shard"), &values)?;
        Ok(lost)
    }
}

/// The run's hash with the rewritten shards, if it is now that of its shards.
fn new_run_hash(
    run: &Run,
    stored: &str,
    shards: &[ShardRow],
    rewritten: &[Rewritten],
) -> Result<String, Failure> {
    let hashes = || {
        shards
            .iter()
            .filter_map(|shard| Some((shard.shard_no, shard.output_hash.as_deref()?)))
    };
    if run_hash(hashes().map(|(_, hash)| hash)) != stored {
        return Err(Failure::internal(format!(
            "{}: its shards are not the ones that were finished, so nothing was taken out of it",
            run.name()
        ))
        .hint("`lamplighter runs verify` says what differs"));
    }
    let after: BTreeMap<i64, &str> = rewritten
        .iter()
        .map(|shard| (shard.shard_no, shard.after.as_str()))
        .collect();
    Ok(run_hash(hashes().map(|(shard_no, hash)| {
        after.get(&shard_no).copied().unwrap_or(hash)
    })))
}

/// Shards in their order, as many as one transaction rewrites.
fn groups(rewritten: &[Rewritten]) -> Vec<&[Rewritten]> {
    let mut groups = Vec::new();
    let (mut begin, mut rows) = (0, 0);
    for (index, shard) in rewritten.iter().enumerate() {
        if index > begin && rows + shard.rows() > ROWS_AT_ONCE {
            groups.push(&rewritten[begin..index]);
            (begin, rows) = (index, 0);
        }
        rows += shard.rows();
    }
    groups.push(&rewritten[begin..]);
    groups
}

fn of_ordinal<'readings, 'shards>(
    readings: &'readings mut [Reading<'shards>],
    ordinal: i64,
) -> Option<&'readings mut Reading<'shards>> {
    let ordinal = u64::try_from(ordinal).ok()?;
    let index = readings
        .partition_point(|reading| reading.shard.first_ordinal <= ordinal)
        .checked_sub(1)?;
    let shard = readings[index].shard;
    (ordinal < shard.first_ordinal + shard.records).then(|| &mut readings[index])
}
