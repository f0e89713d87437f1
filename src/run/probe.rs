//! A look at what a run would meet: its first records, read and scored, and nothing kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};

use super::Prepared;
use super::batch::Batch;
use super::duplicates::DuplicateFinder;
use super::input::{Input, keys_as_input};
use super::worker::{Orders, Worker};
use crate::error::Failure;
use crate::interrupt::Interrupt;
use crate::ledger::ShardSlice;
use crate::model::{Bundle, Capacity};
use crate::record::Outputs;
use crate::source::{Chunk, Projection};

/// Rows read at a time.
const CHUNK_ROWS: usize = 8192;

/// What the ids of the first records are like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ids {
    /// Records that were looked at.
    pub records: u64,
    /// Of these, those that the filter keeps.
    pub kept: u64,
    /// Of these, without an id.
    pub nulls: u64,
    /// Of these, with an id that an earlier one has.
    pub repeated: u64,
}

/// What the first records were scored to.
#[derive(Clone, Debug, Default)]
pub struct Scored {
    /// Records that were read.
    pub records: u64,
    /// Of these, predicted.
    pub predicted: u64,
    /// Of these, dropped by the filter.
    pub filtered: u64,
    /// Of these, dead letters, by code and column.
    pub dead_letters: BTreeMap<(String, Option<String>), u64>,
}

/// Looks at the ids of the first `limit` records, as planning would.
///
/// # Errors
/// The input can not be read; to stop is requested.
pub fn look_at_ids(prepared: &Prepared, limit: u64, interrupt: &Interrupt) -> anyhow::Result<Ids> {
    let mut ids = Ids::default();
    let mut finder = DuplicateFinder::default();
    let projection = prepared.id_projection();
    for_each_chunk(
        &prepared.input,
        &prepared.job,
        projection,
        limit,
        interrupt,
        &mut |chunk| {
            let (found, kept) = prepared.kept_ids(&chunk.rows)?;
            ids.records += found.len() as u64;
            for row in 0..found.len() {
                let is_kept = kept.as_ref().is_none_or(|kept| kept.value(row));
                ids.kept += u64::from(is_kept);
                match found.is_valid(row) {
                    true if is_kept => {
                        finder.add(found.value(row), chunk.first_ordinal + row as u64)?;
                    }
                    false if is_kept => ids.nulls += 1,
                    _ => {}
                }
            }
            Ok(())
        },
    )?;
    ids.repeated = finder.finish()?.len() as u64;
    Ok(ids)
}

/// Reads, validates and scores the first `limit` records, as a worker would.
///
/// # Errors
/// The input can not be read; to stop is requested.
pub fn score(
    prepared: &Arc<Prepared>,
    limit: u64,
    interrupt: &Interrupt,
) -> anyhow::Result<Scored> {
    let mut scored = Scored::default();
    let mut worker = Worker::new(prepared.clone(), CHUNK_ROWS, Arc::new(Orders::default()));
    let projection = prepared.projection();
    for_each_chunk(
        &prepared.input,
        &prepared.job,
        projection,
        limit,
        interrupt,
        &mut |chunk| {
            let results = worker.score_chunk(chunk)?;
            scored.records += chunk.rows.num_rows() as u64;
            scored.predicted += results.outputs.len() as u64;
            scored.filtered += results.filtered;
            for letter in results.dead_letters {
                let key = (letter.code.into_owned(), letter.field);
                *scored.dead_letters.entry(key).or_default() += 1;
            }
            Ok(())
        },
    )?;
    Ok(scored)
}

/// Scores columns of the features, in the bundle's order, by the way that a run's records take.
/// Every row must be one that the model takes.
///
/// # Errors
/// One is not, or has an output that is not finite (78).
pub fn score_columns(
    bundle: &Bundle,
    capacity: Capacity,
    columns: &[ArrayRef],
) -> anyhow::Result<Outputs> {
    let encoder = &bundle.encoder;
    let encoded = encoder.encode(columns, &mut Vec::new())?;
    let rows = encoded.rejections.len();
    let mut batch = Batch::new(capacity, encoder.no_rows());
    let mut outputs = bundle.head.empty(rows);
    for row in 0..rows {
        if let Some(rejection) = &encoded.rejections[row] {
            let feature = &encoder.features()[rejection.feature];
            return Err(Failure::config(format!(
                "row {row}, `{}`: {}, which the bundle rejects",
                feature.column,
                rejection.message(feature)
            ))
            .into());
        }
        if !batch.has_room_for(&encoded, row) {
            score_batch(bundle, &mut batch, &mut outputs)?;
        }
        batch.push("", row as u64, &encoded, row);
    }
    score_batch(bundle, &mut batch, &mut outputs)?;
    Ok(outputs)
}

fn score_batch(bundle: &Bundle, batch: &mut Batch, outputs: &mut Outputs) -> anyhow::Result<()> {
    let given = batch.forward(&bundle.network, 0..batch.len())?;
    for index in 0..batch.len() {
        if !bundle.head.push(&given, index, outputs) {
            let (_, row) = batch.record(index);
            let problem = format!("row {row}: the model's output is not finite");
            return Err(Failure::config(problem).into());
        }
    }
    batch.clear();
    Ok(())
}

/// Passes the first `limit` records of a job's input on, whatever it is.
///
/// # Errors
/// Those of `visit`; the input can not be read; to stop is requested.
pub fn for_each_chunk(
    input: &Input,
    job: &str,
    projection: &Arc<Projection>,
    limit: u64,
    interrupt: &Interrupt,
    visit: &mut dyn FnMut(&Chunk) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (records, keys) = match input {
        Input::Postgres(table) => {
            return table.scan(projection, CHUNK_ROWS, Some(limit), &mut |chunk, _| {
                interrupt.check()?;
                visit(chunk)
            });
        }
        Input::Parquet(files) => (files.rows().min(limit), Vec::new()),
        Input::Queue(queue) => {
            let keys = queue.first_waiting(job, limit)?;
            (keys.len() as u64, keys_as_input(&keys))
        }
    };
    let slice = ShardSlice {
        shard_no: 0,
        first_ordinal: 0,
        records,
        duplicates: Vec::new(),
        input: keys,
    };
    let mut reader = input.reader(projection, CHUNK_ROWS);
    reader.begin(&slice)?;
    while let Some(chunk) = reader.next_chunk()? {
        interrupt.check()?;
        visit(&chunk)?;
    }
    Ok(())
}
