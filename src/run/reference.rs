//! Makes a model's reference: scores the data that it was trained on, and profiles it.
//!
//! Bins are chosen from a part of the data, then all of it is counted. Nothing goes into a database.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::results::Results;
use super::worker::{Orders, Worker};
use super::{Prepared, input::Input};
use crate::error::{Class, Failure};
use crate::interrupt::Interrupt;
use crate::ledger::ShardSlice;
use crate::monitor::Profile;
use crate::monitor::profile::{Collector, ShardProfile};
use crate::record::Outputs;

/// Rows that are read at a time.
const CHUNK_ROWS: usize = 8_192;

/// Shards that bins are chosen from, at most.
const SHARDS_FOR_BINS: usize = 16;

/// What was made of the data.
pub struct Measured {
    /// What records and predictions look like.
    pub profile: Profile,
    /// Ids of the records that were scored, in the order of the input, and what the model said.
    pub predictions: Vec<(Vec<String>, Outputs)>,
    /// Records that the model does not take.
    pub dead_letters: u64,
}

/// Scores all records of `prepared`, by `workers` threads.
///
/// # Errors
/// The input can not be read, or holds no record that the model takes (65, 66); to stop is requested.
pub fn measure(
    prepared: &Arc<Prepared>,
    workers: usize,
    interrupt: &Interrupt,
) -> anyhow::Result<Measured> {
    let shards = slices(prepared)?;
    let every = shards.len().div_ceil(SHARDS_FOR_BINS).max(1);
    let some: Vec<ShardSlice> = shards.iter().step_by(every).cloned().collect();
    let empty = Collector::new(prepared.layout.clone(), 1).with_distinct();
    let counted = in_parallel(prepared, &empty, &some, workers, interrupt)?;
    let mut all = empty;
    for mut results in counted {
        results.collect_outputs();
        all.append(results.collector.into_counted());
    }
    let layout = Arc::new(all.refined());
    let empty = Collector::new(layout.clone(), 1);
    let counted = in_parallel(prepared, &empty, &shards, workers, interrupt)?;
    let mut merged: Option<ShardProfile> = None;
    let mut predictions = Vec::with_capacity(shards.len());
    let mut dead_letters = 0;
    for mut results in counted {
        results.collect_outputs();
        dead_letters += results.dead_letters.len() as u64;
        let ids = results.record_ids.finish();
        let ids = ids.iter().flatten().map(str::to_owned).collect();
        predictions.push((ids, results.outputs));
        let shard = results.collector.finish();
        match &mut merged {
            Some(merged) => merged.merge(&shard),
            None => merged = Some(shard),
        }
    }
    if dead_letters > 0
        && predictions
            .iter()
            .all(|(ids, _): &(Vec<String>, _)| ids.is_empty())
    {
        let problem = format!("the model takes none of the records: {dead_letters} dead letters");
        return Err(Failure::new(Class::Data, problem).into());
    }
    let merged = merged.ok_or_else(|| Failure::new(Class::NoInput, "there are no records"))?;
    Ok(Measured {
        profile: Profile::of(&layout, merged),
        predictions,
        dead_letters,
    })
}

fn slices(prepared: &Prepared) -> anyhow::Result<Vec<ShardSlice>> {
    let Input::Parquet(input) = &prepared.input else {
        return Err(Failure::internal("a reference is made from Parquet files").into());
    };
    let (rows, size) = (input.rows(), prepared.shard_size);
    let shards = (0..rows.div_ceil(size)).map(|shard| ShardSlice {
        shard_no: shard as u32,
        first_ordinal: shard * size,
        records: size.min(rows - shard * size),
        duplicates: Vec::new(),
        input: Vec::new(),
    });
    Ok(shards.collect())
}

/// Scores shards, counts as `empty` does, and returns the results in the shards' order.
fn in_parallel(
    prepared: &Arc<Prepared>,
    empty: &Collector,
    shards: &[ShardSlice],
    workers: usize,
    interrupt: &Interrupt,
) -> anyhow::Result<Vec<Results>> {
    let next = AtomicUsize::new(0);
    let work = || -> anyhow::Result<Vec<(usize, Results)>> {
        let orders = Arc::new(Orders::default());
        let mut worker = Worker::new(prepared.clone(), CHUNK_ROWS, orders);
        let mut done = Vec::new();
        loop {
            interrupt.check()?;
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(slice) = shards.get(index) else {
                return Ok(done);
            };
            let one_in = Collector::one_in(slice.records);
            let collector = empty.clone().sampling(one_in);
            let outputs = prepared.bundle.head.empty(slice.records as usize);
            let results = Results::new(outputs, slice.records as usize, collector);
            if let Some(results) = worker.score_into(results, slice, || false)? {
                done.push((index, results));
            }
        }
    };
    let parts = thread::scope(|scope| {
        let threads: Vec<_> = (0..workers.max(1)).map(|_| scope.spawn(work)).collect();
        let parts = threads.into_iter().map(|thread| {
            let died = |_| Failure::internal("a worker panicked").into();
            thread.join().unwrap_or_else(|panic| Err(died(panic)))
        });
        parts.collect::<anyhow::Result<Vec<_>>>()
    })?;
    let mut all: Vec<(usize, Results)> = parts.into_iter().flatten().collect();
    all.sort_by_key(|(index, _)| *index);
    Ok(all.into_iter().map(|(_, results)| results).collect())
}
