//! What one thread does to one shard: read, validate, encode, infer.
//!
//! A worker turns a shard into [`Results`] and touches nothing else. Records that pass
//! validation fill batches of fixed capacity. One bad record never costs its neighbours: rows whose
//! validation panics, and a batch that fails or panics, are halved until the record at fault stands
//! alone. What ends the whole process is for [`isolate`](super::isolate).

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, StringArray};

use super::Prepared;
use super::batch::Batch;
use super::input::Reader;
use super::results::Results;
use crate::fault::{self, Place};
use crate::features::{Encoded, LastDictionary, Rejection};
use crate::ledger::ShardSlice;
use crate::model::NetworkOutput;
use crate::monitor::profile;
use crate::record::{DUPLICATE_ID, DeadLetter, Stage, stand_in, unstorable};
use crate::source::{Chunk, Unreadable};

/// What workers are told, by whoever hands out shards.
#[derive(Debug, Default)]
pub struct Orders(AtomicU8);

const FINISH: u8 = 1;
const DROP: u8 = 2;

impl Orders {
    /// Finish the shard in hand, and begin no other.
    pub fn finish(&self) {
        self.0.fetch_max(FINISH, Ordering::Relaxed);
    }

    /// Drop the shard in hand, too.
    pub fn drop_all(&self) {
        self.0.fetch_max(DROP, Ordering::Relaxed);
    }

    /// Whether a shard may be begun.
    pub fn may_begin(&self) -> bool {
        self.0.load(Ordering::Relaxed) < FINISH
    }

    /// Whether the shard in hand is to be dropped.
    pub fn must_drop(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= DROP
    }
}

/// One thread's state: a reader that goes on where the last shard ended, and a batch's buffers.
pub struct Worker {
    prepared: Arc<Prepared>,
    orders: Arc<Orders>,
    reader: Reader,
    batch: Batch,
    /// The dictionaries of the features' columns in the last chunk.
    dictionaries: Vec<LastDictionary>,
}

impl Worker {
    /// A worker that reads chunks of `chunk_rows` rows.
    pub fn new(prepared: Arc<Prepared>, chunk_rows: usize, orders: Arc<Orders>) -> Self {
        let no_rows = prepared.bundle.encoder.no_rows();
        Self {
            reader: prepared.reader(chunk_rows),
            batch: Batch::new(prepared.capacity, no_rows),
            dictionaries: Vec::new(),
            orders,
            prepared,
        }
    }

    /// Scores the records of a shard, or of a part of one; `None` if it was told to drop it. One in so many
    /// values is part of the profile's samples.
    ///
    /// # Errors
    /// The input is damaged or changed (65), I/O. Records at fault are no error, but dead letters.
    pub(super) fn score(
        &mut self,
        slice: &ShardSlice,
        one_in: u64,
    ) -> anyhow::Result<Option<Results>> {
        self.score_until(slice, one_in, || false)
    }

    /// Scores the first records of a shard, chunk by chunk until there are `enough`; else as
    /// [`score`](Self::score).
    pub(super) fn score_until(
        &mut self,
        slice: &ShardSlice,
        one_in: u64,
        enough: impl Fn() -> bool,
    ) -> anyhow::Result<Option<Results>> {
        let results = self.prepared.no_results(slice.records, one_in);
        self.score_into(results, slice, enough)
    }

    /// The same, into results that hold nothing yet.
    pub(super) fn score_into(
        &mut self,
        mut results: Results,
        slice: &ShardSlice,
        enough: impl Fn() -> bool,
    ) -> anyhow::Result<Option<Results>> {
        self.batch.clear();
        self.reader.begin(slice)?;
        loop {
            if self.orders.must_drop() {
                return Ok(None);
            }
            let begun = Instant::now();
            let chunk = self.reader.next_chunk()?;
            results.stats.seconds.read += begun.elapsed().as_secs_f64();
            let Some(chunk) = chunk else { break };
            self.take_chunk(slice, &chunk, &mut results)?;
            if enough() {
                break;
            }
        }
        self.infer_batch(&mut results);
        Ok((!self.orders.must_drop()).then_some(results))
    }

    /// Scores records that are read already and repeat no id.
    ///
    /// # Errors
    /// Filter or transform can not be evaluated (65 or 78).
    pub(super) fn score_chunk(&mut self, chunk: &Chunk) -> anyhow::Result<Results> {
        let records = chunk.rows.num_rows() as u64;
        let mut results = self.prepared.no_results(records, 1);
        let slice = ShardSlice {
            shard_no: 0,
            first_ordinal: chunk.first_ordinal,
            records,
            duplicates: Vec::new(),
            input: Vec::new(),
        };
        self.batch.clear();
        self.take_chunk(&slice, chunk, &mut results)?;
        self.infer_batch(&mut results);
        Ok(results)
    }

    fn take_chunk(
        &mut self,
        slice: &ShardSlice,
        chunk: &Chunk,
        results: &mut Results,
    ) -> anyhow::Result<()> {
        let begun = Instant::now();
        let prepared = self.prepared.clone();
        let dictionaries = &mut self.dictionaries;
        let encoded = catch_unwind(AssertUnwindSafe(|| {
            encode(&prepared, &chunk.rows, dictionaries)
        }));
        let rows = match encoded {
            Ok(rows) => rows?,
            Err(_) if chunk.rows.num_rows() > 1 => {
                let (first, second) = halves(chunk);
                self.take_chunk(slice, &first, results)?;
                return self.take_chunk(slice, &second, results);
            }
            Err(_) => {
                let ids = prepared.ids(&chunk.rows)?;
                results.dead_letters.push(DeadLetter {
                    ordinal: chunk.first_ordinal,
                    record_id: ids.is_valid(0).then(|| stand_in(ids.value(0))),
                    stage: Stage::Validate,
                    code: "validation_failed".into(),
                    field: None,
                    message: format!("validation {PANICKED}"),
                });
                return Ok(());
            }
        };
        let (inferring, counted) = self.take_rows(slice, chunk, &rows, results);
        let profiled = profile::Chunk {
            columns: &rows.columns,
            encoded: &rows.encoded,
            counted: &counted.into(),
            first_ordinal: chunk.first_ordinal,
        };
        results
            .collector
            .add(&self.prepared.bundle.encoder, &profiled)?;
        results.stats.seconds.encode += (begun.elapsed() - inferring).as_secs_f64();
        Ok(())
    }

    /// Sorts rows into the batch, the dead letters and what is filtered. Returns the time that went
    /// into inference, and which rows were validated: not the filtered ones, and not those that are no
    /// records of their own.
    fn take_rows(
        &mut self,
        slice: &ShardSlice,
        chunk: &Chunk,
        rows: &EncodedRows,
        results: &mut Results,
    ) -> (Duration, Vec<bool>) {
        let EncodedRows { ids, encoded, .. } = rows;
        let mut inferring = Duration::ZERO;
        let mut scored = vec![false; ids.len()];
        let mut validated = vec![false; ids.len()];
        for (row, ordinal) in (0..ids.len()).zip(chunk.first_ordinal..) {
            let unreadable = chunk.unreadable.get(&row);
            match self.fate(slice, ordinal, row, unreadable, rows) {
                Fate::Score => {
                    (scored[row], validated[row]) = (true, true);
                    if !self.batch.has_room_for(encoded, row) {
                        let begun = Instant::now();
                        self.infer_batch(results);
                        inferring += begun.elapsed();
                    }
                    self.batch.push(ids.value(row), ordinal, encoded, row);
                }
                Fate::Filtered => results.filtered += 1,
                Fate::DeadLetter(letter) => {
                    validated[row] = letter.stage == Stage::Validate;
                    results.dead_letters.push(letter);
                }
            }
        }
        let features = self.prepared.bundle.encoder.features();
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
        (inferring, validated)
    }

    fn fate(
        &self,
        slice: &ShardSlice,
        ordinal: u64,
        row: usize,
        unreadable: Option<&Unreadable>,
        rows: &EncodedRows,
    ) -> Fate {
        let EncodedRows {
            ids, kept, encoded, ..
        } = rows;
        let record_id = ids.is_valid(row).then(|| ids.value(row));
        if let Some((id, problem)) = record_id.and_then(|id| Some((id, unstorable(id)?))) {
            return Fate::DeadLetter(DeadLetter {
                ordinal,
                record_id: Some(stand_in(id)),
                stage: Stage::Read,
                code: "invalid_id".into(),
                field: None,
                message: problem,
            });
        }
        let read = |code: &'static str, field: Option<&str>, message: &str| {
            Fate::DeadLetter(DeadLetter {
                ordinal,
                record_id: record_id.map(str::to_owned),
                stage: Stage::Read,
                code: code.into(),
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
        if unreadable.is_none() && kept.as_ref().is_some_and(|kept| !kept.value(row)) {
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
            code: rejection.code().into(),
            field: Some(feature.column.clone()),
            message: rejection.message(feature),
        }
    }

    /// Runs what is in the batch through the model, and empties it.
    fn infer_batch(&mut self, results: &mut Results) {
        if !self.batch.is_empty() && !self.orders.must_drop() {
            let begun = Instant::now();
            self.infer(0..self.batch.len(), results);
            results.stats.seconds.infer += begun.elapsed().as_secs_f64();
        }
        self.batch.clear();
    }

    fn infer(&self, rows: Range<usize>, results: &mut Results) {
        let begun = Instant::now();
        let network = &self.prepared.bundle.network;
        let outputs = catch_unwind(AssertUnwindSafe(|| {
            self.batch.forward(network, rows.clone())
        }));
        let reason = match outputs {
            Ok(Ok(outputs)) => {
                results.stats.add_batch(begun.elapsed());
                self.take_outputs(rows, &outputs, results);
                return;
            }
            Ok(Err(error)) => first_line(&error),
            Err(_) => format!("it {PANICKED}"),
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

    fn take_outputs(&self, rows: Range<usize>, given: &NetworkOutput, results: &mut Results) {
        let head = &self.prepared.bundle.head;
        for (index, row) in rows.enumerate() {
            if head.push(given, index, &mut results.outputs) {
                let (record_id, ordinal) = self.batch.record(row);
                results.record_ids.append_value(record_id);
                results.ordinals.push(ordinal);
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

/// With RUST_BACKTRACE, candle's errors show the stack from their second line on.
fn first_line(error: &anyhow::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

/// What a panic says may hold values of the record, and stands in the log alone.
const PANICKED: &str = "panicked, which is a defect of lamplighter: its log has the place";

enum Fate {
    Score,
    Filtered,
    DeadLetter(DeadLetter),
}

/// A chunk's rows after filter, transform, validation and encoding.
struct EncodedRows {
    ids: StringArray,
    kept: Option<BooleanArray>,
    columns: Vec<ArrayRef>,
    encoded: Encoded,
}

fn encode(
    prepared: &Prepared,
    rows: &RecordBatch,
    dictionaries: &mut Vec<LastDictionary>,
) -> anyhow::Result<EncodedRows> {
    let (ids, kept, columns): (_, _, Vec<ArrayRef>) = prepared.columns_of(rows)?;
    fault::strike(Place::Encode, ids.iter().flatten()).map_err(anyhow::Error::msg)?;
    Ok(EncodedRows {
        ids,
        kept,
        encoded: prepared.bundle.encoder.encode(&columns, dictionaries)?,
        columns,
    })
}

fn halves(chunk: &Chunk) -> (Chunk, Chunk) {
    let rows = chunk.rows.num_rows();
    let middle = rows / 2;
    let part = |range: Range<usize>| Chunk {
        first_ordinal: chunk.first_ordinal + range.start as u64,
        rows: chunk.rows.slice(range.start, range.len()),
        unreadable: chunk
            .unreadable
            .range(range.clone())
            .map(|(row, unreadable)| (row - range.start, unreadable.clone()))
            .collect::<BTreeMap<_, _>>(),
    };
    (part(0..middle), part(middle..rows))
}
