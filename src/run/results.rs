//! What a shard, or a part of one, has come to.

use std::time::Instant;

use arrow::array::StringBuilder;

use crate::ledger::{Claim, ShardCommit, Target};
use crate::monitor::ShardStats;
use crate::monitor::profile::Collector;
use crate::record::{DeadLetter, OutputHasher, Outputs, Predictions};

/// Predictions (ordinals ascending), dead letters (in any order) and counts.
pub(super) struct Results {
    pub(super) record_ids: StringBuilder,
    pub(super) ordinals: Vec<u64>,
    pub(super) outputs: Outputs,
    pub(super) dead_letters: Vec<DeadLetter>,
    pub(super) filtered: u64,
    pub(super) stats: ShardStats,
    pub(super) collector: Collector,
}

impl Results {
    /// Nothing yet; `outputs` are empty ones of the model's kind.
    pub(super) fn new(outputs: Outputs, records: usize, collector: Collector) -> Self {
        Self {
            record_ids: StringBuilder::new(),
            ordinals: Vec::with_capacity(records),
            outputs,
            dead_letters: Vec::new(),
            filtered: 0,
            stats: ShardStats::default(),
            collector,
        }
    }

    /// Takes what the records after these came to.
    pub(super) fn append(&mut self, mut other: Results) {
        for id in other.record_ids.finish().iter().flatten() {
            self.record_ids.append_value(id);
        }
        self.ordinals.append(&mut other.ordinals);
        self.outputs.append(other.outputs);
        self.dead_letters.append(&mut other.dead_letters);
        self.filtered += other.filtered;
        self.stats.merge(&other.stats);
        self.collector.append(other.collector.into_counted());
    }

    /// Counts the predictions, once they are all there.
    pub(super) fn collect_outputs(&mut self) {
        self.collector.add_outputs(&self.outputs, &self.ordinals);
    }

    /// What the claim's process commits for the run, ready for the database at `target`.
    ///
    /// # Errors
    /// The parts do not belong together (70); the database can not hold a value (65).
    pub(super) fn into_commit(
        mut self,
        target: &Target,
        run_id: i64,
        claim: &Claim,
    ) -> anyhow::Result<ShardCommit> {
        let begun = Instant::now();
        // Dead letters of validation and of inference come interleaved.
        self.dead_letters.sort_by_key(|letter| letter.ordinal);
        self.stats.add_outputs(&self.outputs);
        self.collect_outputs();
        let predictions = Predictions::new(self.record_ids.finish(), self.ordinals, self.outputs)?;
        let slice = &claim.slice;
        let output_hash = output_hash(
            OutputHasher::new(slice.first_ordinal, slice.records, self.filtered),
            &predictions,
            &self.dead_letters,
        );
        let predictions = target.encode(run_id, &predictions)?;
        let profile = self.collector.into_bytes()?;
        self.stats.seconds.encode += begun.elapsed().as_secs_f64();
        Ok(ShardCommit {
            shard_no: slice.shard_no,
            epoch: claim.epoch,
            output_hash,
            predictions,
            dead_letters: self.dead_letters,
            filtered: self.filtered,
            stats: serde_json::to_string(&self.stats)?,
            profile,
        })
    }
}

fn output_hash(
    mut hasher: OutputHasher,
    predictions: &Predictions,
    dead_letters: &[DeadLetter],
) -> String {
    for row in predictions.rows() {
        hasher.prediction(&row);
    }
    for letter in dead_letters {
        hasher.dead_letter(
            letter.ordinal as i64,
            letter.record_id.as_deref(),
            letter.stage.as_str(),
            &letter.code,
            letter.field.as_deref(),
            &letter.message,
        );
    }
    hasher.finish()
}
