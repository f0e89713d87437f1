//! Plans a run: fixes its records, finds duplicate ids and cuts the input into shards.

use std::collections::HashMap;

use arrow::array::{Array, StringArray};

use super::Prepared;
use super::duplicates::DuplicateFinder;
use super::ids::{Ids, for_each_kept_id, threads};
use super::input::{Input, rows_as_input};
use super::memory::Readers;
use super::prepare::check_min_rows;
use super::retry::Retry;
use crate::error::Failure;
use crate::interrupt::Interrupt;
use crate::job::{DuplicatePolicy, Job};
use crate::ledger::{NewRun, PlannedInput, ShardSlice};
use crate::record::DUPLICATE_ID;
use crate::source::Chunk;
use crate::source::parquet::ChunkReader;
use crate::source::postgres::{LocatorWriter, Locators};

/// A run as it is to be stored.
pub struct Plan {
    /// The run.
    pub run: NewRun,
    records: Records,
}

/// Its records.
enum Records {
    /// They are fixed.
    Fixed {
        shards: Vec<ShardSlice>,
        names: Names,
    },
    /// The ledger takes them from its queue.
    Queued { limit: Option<u64>, min_rows: u64 },
    /// The same, for some records.
    Requeued { record_ids: Vec<String> },
}

/// What tells which records a shard's are.
enum Names {
    /// Their ordinals.
    Ordinals,
    /// What a table knows them by.
    Locators(Locators),
    /// Their ordinals in the files, of which they are some.
    Rows(Vec<u64>),
}

impl Names {
    fn of_shard(&self, shard: &ShardSlice) -> anyhow::Result<Vec<u8>> {
        match self {
            Names::Ordinals => Ok(Vec::new()),
            Names::Locators(locators) => locators.of_shard(shard.shard_no),
            Names::Rows(rows) => {
                let begin = shard.first_ordinal as usize;
                Ok(rows_as_input(&rows[begin..begin + shard.records as usize]))
            }
        }
    }
}

impl Plan {
    /// Passes what the ledger plans from to `act`.
    ///
    /// # Errors
    /// Those of `act`.
    pub fn with_input<T>(
        &self,
        act: impl FnOnce(&PlannedInput<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        match &self.records {
            Records::Fixed { shards, names } => {
                let input = |shard_no: u32| names.of_shard(&shards[shard_no as usize]);
                act(&PlannedInput::Slices {
                    shards,
                    input: &input,
                })
            }
            Records::Queued { limit, min_rows } => act(&PlannedInput::Queue {
                limit: *limit,
                min_rows: *min_rows,
            }),
            Records::Requeued { record_ids } => act(&PlannedInput::Requeued { record_ids }),
        }
    }

    /// The shards, where they are known.
    pub fn shards(&self) -> &[ShardSlice] {
        match &self.records {
            Records::Fixed { shards, .. } => shards,
            Records::Queued { .. } | Records::Requeued { .. } => &[],
        }
    }
}

/// What a run is planned for, beside its date.
#[derive(Clone, Copy, Debug, Default)]
pub struct Occasion<'a> {
    /// Why a date is scored again, if it is.
    pub reason: Option<&'a str>,
    /// Whether a backfill asks for it.
    pub backfill: bool,
}

/// The run to store, and its records. `readers` says how its ids are read.
///
/// # Errors
/// Two records share an id and the job's policy is to fail (65); too few records (66); to stop is
/// requested (75); the input can not be read.
pub fn plan(
    job: &Job,
    prepared: &Prepared,
    occasion: Occasion<'_>,
    readers: Readers,
    interrupt: &Interrupt,
) -> anyhow::Result<Plan> {
    let records = match (&prepared.input, &prepared.retry) {
        (_, Some(retry)) => retried(prepared, retry, readers.chunk_rows, interrupt)?,
        (Input::Parquet(input), None) => {
            let ids = Ids {
                input,
                prepared,
                readers,
                interrupt,
            };
            let duplicates = ids.duplicates()?;
            check_duplicates(job, &duplicates, |first| input.locate(first))?;
            Records::Fixed {
                shards: cut(input.rows(), prepared.shard_size, &duplicates),
                names: Names::Ordinals,
            }
        }
        (Input::Postgres(input), None) => {
            let mut finder = DuplicateFinder::default();
            // What the filter drops has ids too, and ids are all that a shard is read by.
            let mut all = job
                .source
                .filter
                .as_ref()
                .map(|_| DuplicateFinder::default());
            let mut writer = LocatorWriter::new(prepared.shard_size);
            let projection = prepared.id_projection();
            input.scan(
                projection,
                readers.chunk_rows,
                prepared.limit,
                &mut |chunk, blocks| {
                    interrupt.check()?;
                    let ids = add_ids(&mut finder, prepared, chunk)?;
                    for row in 0..ids.len() {
                        let id = ids.is_valid(row).then(|| ids.value(row));
                        if let (Some(all), Some(id)) = (&mut all, id) {
                            all.add(id, chunk.first_ordinal + row as u64)?;
                        }
                        writer.push(id, blocks.map(|blocks| blocks[row]))?;
                    }
                    Ok(())
                },
            )?;
            let pool = threads(readers.threads)?;
            let duplicates = pool.install(|| finder.finish())?;
            check_duplicates(job, &duplicates, |first| format!("row {first}"))?;
            if let Some(all) = all {
                let repeated = pool.install(|| all.finish())?.len();
                refuse_ids_told_apart_by_filter(repeated, duplicates.len())?;
            }
            let locators = writer.finish()?;
            if prepared.limit.is_none() {
                check_min_rows(locators.records(), job.source.min_rows)?;
            }
            Records::Fixed {
                shards: cut(locators.records(), prepared.shard_size, &duplicates),
                names: Names::Locators(locators),
            }
        }
        (Input::Queue(_), None) => Records::Queued {
            limit: prepared.limit,
            min_rows: job.source.min_rows,
        },
    };
    let run = NewRun {
        job: prepared.job.clone(),
        logical_date: prepared.date.to_string(),
        parent_run_id: prepared.retry.as_ref().map(|retry| retry.parent.run_id),
        trial: prepared.limit.is_some(),
        reason: occasion.reason.map(str::to_owned),
        backfill: occasion.backfill,
        fingerprint: prepared.fingerprint.clone(),
        identity: prepared.identity.to_string(),
        model_name: prepared.bundle.name.clone(),
        model_version: prepared.bundle.version.clone(),
        model_digest: prepared.bundle.digest.clone(),
        precision: prepared.bundle.precision.as_str().to_owned(),
        numerics: prepared.numerics().to_owned(),
        batch_size: prepared.capacity.size() as u64,
        shard_size: prepared.shard_size,
    };
    Ok(Plan { run, records })
}

/// A record that is to be scored again, where the input holds it.
struct Found {
    ordinal: u64,
    block: Option<u32>,
    /// Of several rows of one id, the first that the filter keeps is the record.
    is_kept: bool,
}

/// The records of a retry, in the order of the input. Those that it does not hold are left out.
fn retried(
    prepared: &Prepared,
    retry: &Retry,
    chunk_rows: usize,
    interrupt: &Interrupt,
) -> anyhow::Result<Records> {
    let mut found: HashMap<String, Found> = HashMap::new();
    let mut look = |chunk: &Chunk, blocks: Option<&[u32]>| {
        interrupt.check()?;
        let (ids, kept) = prepared.kept_ids(&chunk.rows)?;
        for row in (0..ids.len()).filter(|row| ids.is_valid(*row)) {
            let id = ids.value(row);
            if !retry.set.contains(id) {
                continue;
            }
            let is_kept = kept.as_ref().is_none_or(|kept| kept.value(row));
            let is_first = found.get(id).is_none_or(|found| is_kept && !found.is_kept);
            if is_first {
                let ordinal = chunk.first_ordinal + row as u64;
                let block = blocks.map(|blocks| blocks[row]);
                found.insert(
                    id.to_owned(),
                    Found {
                        ordinal,
                        block,
                        is_kept,
                    },
                );
            }
        }
        Ok(())
    };
    match &prepared.input {
        Input::Parquet(input) => {
            let projection = prepared.id_projection().clone();
            let mut reader = ChunkReader::new(input.clone(), projection, chunk_rows);
            while let Some(chunk) = reader.next(input.rows())? {
                look(&chunk, None)?;
            }
            let mut rows: Vec<u64> = found.values().map(|found| found.ordinal).collect();
            rows.sort_unstable();
            Ok(Records::Fixed {
                shards: cut(rows.len() as u64, prepared.shard_size, &[]),
                names: Names::Rows(rows),
            })
        }
        Input::Postgres(input) => {
            input.scan(prepared.id_projection(), chunk_rows, None, &mut look)?;
            let mut found: Vec<(String, Found)> = found.into_iter().collect();
            found.sort_unstable_by_key(|(_, found)| found.ordinal);
            let mut writer = LocatorWriter::new(prepared.shard_size);
            for (id, found) in &found {
                writer.push(Some(id), found.block)?;
            }
            let locators = writer.finish()?;
            Ok(Records::Fixed {
                shards: cut(locators.records(), prepared.shard_size, &[]),
                names: Names::Locators(locators),
            })
        }
        Input::Queue(_) => Ok(Records::Requeued {
            record_ids: retry.wanted.clone(),
        }),
    }
}

/// Adds the ids of the records that the filter keeps. Returns all of them.
fn add_ids(
    finder: &mut DuplicateFinder,
    prepared: &Prepared,
    chunk: &Chunk,
) -> anyhow::Result<StringArray> {
    let (ids, kept) = prepared.kept_ids(&chunk.rows)?;
    for_each_kept_id(&ids, kept.as_ref(), chunk, &mut |id, ordinal| {
        finder.add(id, ordinal)
    })?;
    Ok(ids)
}

fn refuse_ids_told_apart_by_filter(repeated: usize, kept: usize) -> Result<(), Failure> {
    let told_apart = repeated.saturating_sub(kept);
    if told_apart == 0 {
        return Ok(());
    }
    Err(Failure::data(format!(
        "{told_apart} rows have the id of another row, and only [source] filter tells which one is meant"
    ))
    .hint("a table is read again by its ids: put the condition into [source] where, or into the query"))
}

fn check_duplicates(
    job: &Job,
    duplicates: &[u64],
    locate: impl FnOnce(u64) -> String,
) -> Result<(), Failure> {
    let (DuplicatePolicy::Fail, Some(&first)) = (job.duplicates, duplicates.first()) else {
        return Ok(());
    };
    Err(Failure::data(format!(
        "{} records repeat the id of an earlier one, the first of them {}",
        duplicates.len(),
        locate(first)
    ))
    .hint(format!(
        "[errors] duplicates = \"first\" scores the first of each and makes the others dead letters ({DUPLICATE_ID})"
    )))
}

fn cut(records: u64, shard_size: u64, mut duplicates: &[u64]) -> Vec<ShardSlice> {
    (0..records.div_ceil(shard_size))
        .map(|index| {
            let first_ordinal = index * shard_size;
            let end = records.min(first_ordinal + shard_size);
            let inside = duplicates.partition_point(|&ordinal| ordinal < end);
            let (mine, rest) = duplicates.split_at(inside);
            duplicates = rest;
            ShardSlice {
                shard_no: index as u32,
                first_ordinal,
                records: end - first_ordinal,
                duplicates: mine
                    .iter()
                    .map(|ordinal| (ordinal - first_ordinal) as u32)
                    .collect(),
                input: Vec::new(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn shards_tile_the_input_and_keep_every_duplicate(
            records in 0u64..500,
            shard_size in 1u64..70,
            picks in prop::collection::btree_set(0u64..500, 0..30),
        ) {
            let duplicates: Vec<u64> = picks.into_iter().filter(|pick| *pick < records).collect();
            let shards = cut(records, shard_size, &duplicates);
            let mut next = 0;
            let mut found = Vec::new();
            for (index, shard) in shards.iter().enumerate() {
                prop_assert_eq!(shard.shard_no as usize, index);
                prop_assert_eq!(shard.first_ordinal, next);
                prop_assert!(shard.records >= 1 && shard.records <= shard_size);
                next += shard.records;
                for &offset in &shard.duplicates {
                    prop_assert!(u64::from(offset) < shard.records);
                    found.push(shard.first_ordinal + u64::from(offset));
                }
            }
            prop_assert_eq!(next, records);
            prop_assert_eq!(found, duplicates);
        }
    }
}
