//! What one thread does to one shard: read, validate, encode, infer.
//!
//! A worker turns a shard into a [`ShardCommit`] and touches nothing else. Records that pass
//! validation fill batches of fixed capacity, the last one padded with zeros, so that the products'
//! shapes, and with them their bits, never vary. One bad record never costs its batch: a batch that
//! fails is halved until the record at fault stands alone.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, BooleanArray, StringArray, StringBuilder};

use super::Prepared;
use super::input::Reader;
use crate::error::panic_message;
use crate::features::{Encoded, Rejection};
use crate::ledger::{Claim, ShardCommit, ShardSlice};
use crate::model::Mlp;
use crate::monitor::ShardStats;
use crate::record::{DUPLICATE_ID, DeadLetter, OutputHasher, Outputs, Predictions, Stage};
use crate::source::{Chunk, Unreadable};

/// One thread's state: a reader that goes on where the last shard ended, and a batch's buffers.
pub struct Worker {
    prepared: Arc<Prepared>,
    reader: Reader,
    batch: Batch,
}

/// Rows that wait for a forward pass, row-major, with room for the batch's capacity.
struct Batch {
    capacity: usize,
    dense_width: usize,
    code_width: usize,
    dense: Vec<f32>,
    codes: Vec<u32>,
    record_ids: Vec<String>,
    ordinals: Vec<u64>,
}

/// What a shard has come to so far.
struct Results {
    record_ids: StringBuilder,
    ordinals: Vec<u64>,
    outputs: Outputs,
    dead_letters: Vec<DeadLetter>,
    filtered: u64,
    stats: ShardStats,
}

impl Worker {
    /// A worker that reads chunks of `chunk_rows` rows.
    pub fn new(prepared: Arc<Prepared>, chunk_rows: usize) -> Self {
        let encoder = &prepared.bundle.encoder;
        let batch = Batch {
            capacity: prepared.batch_size,
            dense_width: encoder.dense_width(),
            code_width: encoder.code_width(),
            dense: vec![0.0; prepared.batch_size * encoder.dense_width()],
            codes: vec![0; prepared.batch_size * encoder.code_width()],
            record_ids: Vec::with_capacity(prepared.batch_size),
            ordinals: Vec::with_capacity(prepared.batch_size),
        };
        Self {
            reader: prepared.reader(chunk_rows),
            prepared,
            batch,
        }
    }

    /// Scores a claimed shard.
    ///
    /// # Errors
    /// The input is damaged or changed (65), I/O. Records at fault are no error, but dead letters.
    pub fn score(&mut self, claim: &Claim) -> anyhow::Result<ShardCommit> {
        let slice = &claim.slice;
        let mut results = Results {
            record_ids: StringBuilder::new(),
            ordinals: Vec::with_capacity(slice.records as usize),
            outputs: self.prepared.bundle.head.empty(slice.records as usize),
            dead_letters: Vec::new(),
            filtered: 0,
            stats: ShardStats::default(),
        };
        self.batch.clear();
        self.reader.begin(slice)?;
        loop {
            let begun = Instant::now();
            let chunk = self.reader.next_chunk()?;
            results.stats.seconds.read += begun.elapsed().as_secs_f64();
            let Some(chunk) = chunk else { break };
            self.take_chunk(slice, &chunk, &mut results)?;
        }
        self.infer_batch(&mut results);
        results.into_commit(claim)
    }

    fn take_chunk(
        &mut self,
        slice: &ShardSlice,
        chunk: &Chunk,
        results: &mut Results,
    ) -> anyhow::Result<()> {
        let begun = Instant::now();
        let prepared = self.prepared.clone();
        let (ids, kept, columns) = prepared.columns_of(&chunk.rows)?;
        let encoded = prepared.bundle.encoder.encode(&columns)?;
        let mut inferring = Duration::ZERO;
        let mut scored = vec![false; ids.len()];
        for (row, ordinal) in (0..ids.len()).zip(chunk.first_ordinal..) {
            let unreadable = chunk.unreadable.get(&row);
            match self.fate(
                slice,
                ordinal,
                row,
                unreadable,
                &ids,
                kept.as_ref(),
                &encoded,
            ) {
                Fate::Score => {
                    scored[row] = true;
                    self.batch.push(ids.value(row), ordinal, &encoded, row);
                    if self.batch.is_full() {
                        let begun = Instant::now();
                        self.infer_batch(results);
                        inferring += begun.elapsed();
                    }
                }
                Fate::Filtered => results.filtered += 1,
                Fate::DeadLetter(letter) => results.dead_letters.push(letter),
            }
        }
        let features = prepared.bundle.encoder.features();
        for (row, feature, note) in encoded.notes() {
            if scored[row] {
                let column = &features[feature].column;
                // Most columns are known already; only a new one needs an owned name.
                match results.stats.columns.get_mut(column) {
                    Some(notes) => notes.add(note),
                    None => results
                        .stats
                        .columns
                        .entry(column.clone())
                        .or_default()
                        .add(note),
                }
            }
        }
        results.stats.seconds.encode += (begun.elapsed() - inferring).as_secs_f64();
        Ok(())
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one for each rule, and no two go together"
    )]
    fn fate(
        &self,
        slice: &ShardSlice,
        ordinal: u64,
        row: usize,
        unreadable: Option<&Unreadable>,
        ids: &StringArray,
        kept: Option<&BooleanArray>,
        encoded: &Encoded,
    ) -> Fate {
        let record_id = ids.is_valid(row).then(|| ids.value(row));
        if let Some(nul) = record_id.filter(|id| id.contains('\0')) {
            // Postgres holds no such text, and what is one database's is the other's.
            return Fate::DeadLetter(DeadLetter {
                ordinal,
                record_id: Some(nul.replace('\0', "\u{FFFD}")),
                stage: Stage::Read,
                code: "invalid_id",
                field: None,
                message: "the id holds the character U+0000, shown here as U+FFFD".to_owned(),
            });
        }
        let read = |code, field: Option<&str>, message: &str| {
            Fate::DeadLetter(DeadLetter {
                ordinal,
                record_id: record_id.map(str::to_owned),
                stage: Stage::Read,
                code,
                field: field.map(str::to_owned),
                message: message.to_owned(),
            })
        };
        let offset = (ordinal - slice.first_ordinal) as u32;
        let is_duplicate = slice.duplicates.binary_search(&offset).is_ok();
        if let (false, Some(unreadable)) = (is_duplicate, unreadable) {
            return read(
                unreadable.code,
                unreadable.field.as_deref(),
                &unreadable.message,
            );
        }
        if unreadable.is_none() && kept.is_some_and(|kept| !kept.value(row)) {
            return Fate::Filtered;
        }
        let Some(record_id) = record_id else {
            return read("null_id", None, "the record has no id");
        };
        if is_duplicate {
            let message = "an earlier record of the input has the same id";
            return read(DUPLICATE_ID, None, message);
        }
        match &encoded.rejections[row] {
            None => Fate::Score,
            Some(rejection) => Fate::DeadLetter(self.rejected(ordinal, record_id, rejection)),
        }
    }

    fn rejected(&self, ordinal: u64, record_id: &str, rejection: &Rejection) -> DeadLetter {
        let feature = &self.prepared.bundle.encoder.features()[rejection.feature];
        DeadLetter {
            ordinal,
            record_id: Some(record_id.to_owned()),
            stage: Stage::Validate,
            code: rejection.code(),
            field: Some(feature.column.clone()),
            message: rejection.message(feature),
        }
    }

    /// Runs what is in the batch through the model, and empties it.
    fn infer_batch(&mut self, results: &mut Results) {
        if !self.batch.is_empty() {
            let begun = Instant::now();
            self.infer(0..self.batch.len(), results);
            results.stats.seconds.infer += begun.elapsed().as_secs_f64();
        }
        self.batch.clear();
    }

    fn infer(&self, rows: Range<usize>, results: &mut Results) {
        let begun = Instant::now();
        let network = &self.prepared.bundle.network;
        let logits = catch_unwind(AssertUnwindSafe(|| {
            self.batch.logits(network, rows.clone())
        }));
        let reason = match logits {
            Ok(Ok(logits)) => {
                results.stats.add_batch(begun.elapsed());
                self.take_logits(rows, &logits, results);
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(panic) => panic_message(panic.as_ref()),
        };
        if rows.len() > 1 {
            let middle = rows.start + rows.len() / 2;
            self.infer(rows.start..middle, results);
            self.infer(middle..rows.end, results);
        } else {
            results.dead_letters.push(self.batch.dead_letter(
                rows.start,
                "inference_failed",
                format!("the model failed: {reason}"),
            ));
        }
    }

    fn take_logits(&self, rows: Range<usize>, logits: &[f32], results: &mut Results) {
        let head = &self.prepared.bundle.head;
        for (row, logits) in rows.zip(logits.chunks_exact(head.logits())) {
            if head.push(logits, &mut results.outputs) {
                results.record_ids.append_value(&self.batch.record_ids[row]);
                results.ordinals.push(self.batch.ordinals[row]);
            } else {
                results.dead_letters.push(self.batch.dead_letter(
                    row,
                    "non_finite_output",
                    "the model's output is not finite".to_owned(),
                ));
            }
        }
    }
}

enum Fate {
    Score,
    Filtered,
    DeadLetter(DeadLetter),
}

impl Batch {
    fn len(&self) -> usize {
        self.ordinals.len()
    }

    fn is_empty(&self) -> bool {
        self.ordinals.is_empty()
    }

    fn is_full(&self) -> bool {
        self.len() == self.capacity
    }

    fn clear(&mut self) {
        self.record_ids.clear();
        self.ordinals.clear();
    }

    fn push(&mut self, record_id: &str, ordinal: u64, encoded: &Encoded, row: usize) {
        let at = self.len();
        let (dense, codes) = (self.dense_width, self.code_width);
        self.dense[at * dense..][..dense].copy_from_slice(&encoded.dense[row * dense..][..dense]);
        self.codes[at * codes..][..codes].copy_from_slice(&encoded.codes[row * codes..][..codes]);
        self.record_ids.push(record_id.to_owned());
        self.ordinals.push(ordinal);
    }

    /// Row-major logits of `rows`, from a forward pass of the batch's full capacity.
    fn logits(&self, network: &Mlp, rows: Range<usize>) -> candle_core::Result<Vec<f32>> {
        let mut dense = vec![0.0; self.capacity * self.dense_width];
        let mut codes = vec![0; self.capacity * self.code_width];
        let (from, to) = (rows.start * self.dense_width, rows.end * self.dense_width);
        dense[..to - from].copy_from_slice(&self.dense[from..to]);
        let (from, to) = (rows.start * self.code_width, rows.end * self.code_width);
        codes[..to - from].copy_from_slice(&self.codes[from..to]);
        let (dense, codes) = Mlp::batch(self.capacity, dense, codes)?;
        network
            .forward(&dense, &codes)?
            .narrow(0, 0, rows.len())?
            .flatten_all()?
            .to_vec1()
    }

    fn dead_letter(&self, row: usize, code: &'static str, message: String) -> DeadLetter {
        DeadLetter {
            ordinal: self.ordinals[row],
            record_id: Some(self.record_ids[row].clone()),
            stage: Stage::Infer,
            code,
            field: None,
            message,
        }
    }
}

impl Results {
    fn into_commit(mut self, claim: &Claim) -> anyhow::Result<ShardCommit> {
        // Dead letters of validation and of inference come interleaved.
        self.dead_letters.sort_by_key(|letter| letter.ordinal);
        self.stats.add_outputs(&self.outputs);
        let predictions = Predictions::new(self.record_ids.finish(), self.ordinals, self.outputs)?;
        Ok(ShardCommit {
            shard_no: claim.slice.shard_no,
            epoch: claim.epoch,
            output_hash: output_hash(
                OutputHasher::new(
                    claim.slice.first_ordinal,
                    claim.slice.records,
                    self.filtered,
                ),
                &predictions,
                &self.dead_letters,
            ),
            predictions,
            dead_letters: self.dead_letters,
            filtered: self.filtered,
            stats: serde_json::to_string(&self.stats)?,
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
            letter.code,
            letter.field.as_deref(),
            &letter.message,
        );
    }
    hasher.finish()
}
