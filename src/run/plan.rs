//! Plans a run: finds duplicate ids and cuts the input into shards.

use arrow::array::Array;

use super::Prepared;
use super::duplicates::DuplicateFinder;
use crate::error::Failure;
use crate::interrupt::Interrupt;
use crate::job::{DuplicatePolicy, Job};
use crate::ledger::{NewRun, ShardSlice};
use crate::record::DUPLICATE_ID;

/// Rows read at a time while looking for duplicates.
const CHUNK_ROWS: usize = 8192;

/// The run to store and its shards.
///
/// # Errors
/// Two records share an id and the job's policy is to fail (65); to stop is requested (75); the
/// input can not be read.
pub fn plan(
    job: &Job,
    prepared: &Prepared,
    reason: Option<&str>,
    interrupt: &Interrupt,
) -> anyhow::Result<(NewRun, Vec<ShardSlice>)> {
    let duplicates = find_duplicates(prepared, interrupt)?;
    if let (DuplicatePolicy::Fail, Some(&first)) = (job.duplicates, duplicates.first()) {
        return Err(Failure::data(format!(
            "{} records repeat the id of an earlier one, the first of them {}",
            duplicates.len(),
            prepared.input.locate(first)
        ))
        .hint(format!(
            "[errors] duplicates = \"first\" scores the first of each and makes the others dead letters ({DUPLICATE_ID})"
        ))
        .into());
    }
    let run = NewRun {
        job: prepared.job.clone(),
        logical_date: prepared.date.to_string(),
        trial: prepared.limit.is_some(),
        reason: reason.map(str::to_owned),
        fingerprint: prepared.fingerprint.clone(),
        identity: prepared.identity.to_string(),
        model_name: prepared.bundle.name.clone(),
        model_version: prepared.bundle.version.clone(),
        model_digest: prepared.bundle.digest.clone(),
        precision: "f32".to_owned(),
        numerics: prepared.numerics().to_owned(),
        batch_size: prepared.batch_size as u64,
        shard_size: job.shard_size,
        planned: prepared.input.rows(),
    };
    let shards = cut(prepared.input.rows(), job.shard_size, &duplicates);
    Ok((run, shards))
}

/// Ordinals of records that the filter keeps and whose id an earlier such record has.
fn find_duplicates(prepared: &Prepared, interrupt: &Interrupt) -> anyhow::Result<Vec<u64>> {
    let mut finder = DuplicateFinder::default();
    let mut reader = prepared.id_reader(CHUNK_ROWS);
    while let Some(chunk) = reader.next(prepared.input.rows())? {
        interrupt.check()?;
        let (ids, kept) = prepared.kept_ids(&chunk.rows)?;
        for row in 0..ids.len() {
            let is_kept = kept.as_ref().is_none_or(|kept| kept.value(row));
            if is_kept && ids.is_valid(row) {
                finder.add(ids.value(row), chunk.first_ordinal + row as u64)?;
            }
        }
    }
    finder.finish()
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
