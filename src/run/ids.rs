//! Finds the records of files that repeat an id, on several threads.
//!
//! Ids are read stretch by stretch, each by a thread of its own. As long as they ascend, as those of
//! exports often do, nothing is kept of them; where they do not, they are read once more, and the threads
//! hash them for a [`DuplicateFinder`]. What is found does not depend on how many threads there are.

use std::mem;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use arrow::array::{BooleanArray, StringArray};
use crossbeam_channel::bounded;
use rayon::ThreadPool;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::Prepared;
use super::duplicates::{Ascent, DuplicateFinder};
use super::memory::Readers;
use crate::interrupt::Interrupt;
use crate::source::Chunk;
use crate::source::parquet::{ChunkReader, ParquetInput};

/// Entries that a thread passes on at a time: 96 KiB.
const ENTRIES_AT_ONCE: usize = 4096;

/// Rows for which a thread is worth its start.
const ROWS_OF_A_STRETCH: u64 = 1 << 16;

/// The ids of some files, for those who look for duplicates.
pub(super) struct Ids<'a> {
    /// The files.
    pub(super) input: &'a Arc<ParquetInput>,
    /// What tells ids, and which records the filter keeps.
    pub(super) prepared: &'a Prepared,
    /// Who reads them.
    pub(super) readers: Readers,
    /// Asked between chunks.
    pub(super) interrupt: &'a Interrupt,
}

/// Why no more ids are asked for.
struct Enough;

impl Ids<'_> {
    /// Ordinals of records that the filter keeps and whose id an earlier such record has, ascending.
    ///
    /// # Errors
    /// Those of reading, one of them if there are several, and of the search; to stop is requested (75 or 80).
    pub(super) fn duplicates(&self) -> anyhow::Result<Vec<u64>> {
        let stretches = stretches(self.input.rows(), self.readers.threads);
        let pool = threads(stretches.len())?;
        if pool.install(|| self.ascend(&stretches))? {
            return Ok(Vec::new());
        }
        let finder = self.search(&pool, &stretches)?;
        pool.install(|| finder.finish())
    }

    /// Whether each id is greater than the one before it.
    fn ascend(&self, stretches: &[Range<u64>]) -> anyhow::Result<bool> {
        let is_over = AtomicBool::new(false);
        let ascents = stretches.par_iter().map(|stretch| {
            let mut ascent = Ascent::default();
            let ended = self.visit(stretch, &is_over, &mut |id, _| {
                ascent.goes_on_with(id).then_some(()).ok_or(Enough)
            })?;
            Ok(ended.is_ok().then_some(ascent))
        });
        let ascents = ascents.collect::<anyhow::Result<Vec<_>>>()?;
        let mut whole = Ascent::default();
        Ok(ascents
            .into_iter()
            .all(|ascent| ascent.is_some_and(|ascent| whole.goes_on_with_all_of(ascent))))
    }

    fn search(
        &self,
        pool: &ThreadPool,
        stretches: &[Range<u64>],
    ) -> anyhow::Result<DuplicateFinder> {
        let mut finder = DuplicateFinder::default();
        finder.reserve(self.input.rows());
        let hasher = finder.hasher().clone();
        let is_over = AtomicBool::new(false);
        pool.in_place_scope(|scope| {
            let (sender, found) = bounded(2 * stretches.len());
            for stretch in stretches {
                let (sender, hasher, is_over) = (sender.clone(), hasher.clone(), &is_over);
                scope.spawn(move |_| {
                    let mut entries = Vec::with_capacity(ENTRIES_AT_ONCE);
                    let outcome = self.visit(stretch, is_over, &mut |id, ordinal| {
                        entries.push(hasher.entry(id, ordinal));
                        if entries.len() < ENTRIES_AT_ONCE {
                            return Ok(());
                        }
                        let empty = Vec::with_capacity(ENTRIES_AT_ONCE);
                        // Nobody listens any more after an error.
                        let sent = sender.send(Ok(mem::replace(&mut entries, empty)));
                        sent.map_err(|_| Enough)
                    });
                    let _ = sender.send(outcome.map(|_| entries));
                });
            }
            drop(sender);
            let mut found = found.into_iter();
            let taken = found.try_for_each(|entries| finder.take(entries?));
            is_over.fetch_or(taken.is_err(), Ordering::Relaxed);
            taken
        })?;
        Ok(finder)
    }

    /// Passes on the ids of a stretch, with their ordinals, of the records that the filter keeps and that have
    /// one, until there are enough, here or anywhere. An error is enough, too.
    fn visit(
        &self,
        stretch: &Range<u64>,
        is_over: &AtomicBool,
        visit: &mut dyn FnMut(&str, u64) -> Result<(), Enough>,
    ) -> anyhow::Result<Result<(), Enough>> {
        let ended = self.visit_chunks(stretch, is_over, visit);
        if !matches!(ended, Ok(Ok(()))) {
            is_over.store(true, Ordering::Relaxed);
        }
        ended
    }

    fn visit_chunks(
        &self,
        stretch: &Range<u64>,
        is_over: &AtomicBool,
        visit: &mut dyn FnMut(&str, u64) -> Result<(), Enough>,
    ) -> anyhow::Result<Result<(), Enough>> {
        let projection = self.prepared.id_projection().clone();
        let mut reader = ChunkReader::new(self.input.clone(), projection, self.readers.chunk_rows);
        reader.seek(stretch.start);
        while let Some(chunk) = reader.next(stretch.end)? {
            self.interrupt.check()?;
            if is_over.load(Ordering::Relaxed) {
                return Ok(Err(Enough));
            }
            let (ids, kept) = self.prepared.kept_ids(&chunk.rows)?;
            if let Err(Enough) = for_each_kept_id(&ids, kept.as_ref(), &chunk, visit) {
                return Ok(Err(Enough));
            }
        }
        Ok(Ok(()))
    }
}

/// Passes on the ids of a chunk, with their ordinals, of the records that the filter keeps and that have one.
/// What can not be read may be a record, whatever the filter makes of it.
///
/// # Errors
/// Those of `visit`, which end it.
pub(super) fn for_each_kept_id<E>(
    ids: &StringArray,
    kept: Option<&BooleanArray>,
    chunk: &Chunk,
    visit: &mut dyn FnMut(&str, u64) -> Result<(), E>,
) -> Result<(), E> {
    for ((row, id), ordinal) in ids.iter().enumerate().zip(chunk.first_ordinal..) {
        let is_kept =
            kept.is_none_or(|kept| kept.value(row)) || chunk.unreadable.contains_key(&row);
        if let (true, Some(id)) = (is_kept, id) {
            visit(id, ordinal)?;
        }
    }
    Ok(())
}

/// Threads that look for duplicates.
///
/// # Errors
/// The system gives none.
pub(super) fn threads(count: usize) -> anyhow::Result<ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(count)
        .thread_name(|index| format!("planner-{index}"))
        .build()
        .context("cannot start the threads that look for duplicates")
}

/// Ranges that cover so many rows, at most one for each worker, and at least one.
fn stretches(rows: u64, workers: usize) -> Vec<Range<u64>> {
    let most = (rows / ROWS_OF_A_STRETCH).clamp(1, workers.max(1) as u64);
    let length = rows.div_ceil(most).max(1);
    (0..most)
        .map(|index| (index * length).min(rows)..((index + 1) * length).min(rows))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn stretches_follow_each_other_to_the_end(rows in 0u64..1_000_000, threads in 0usize..40) {
            let stretches = stretches(rows, threads);
            prop_assert!((1..=threads.max(1)).contains(&stretches.len()));
            let mut next = 0;
            for stretch in stretches {
                prop_assert_eq!(stretch.start, next);
                prop_assert!(stretch.end >= stretch.start);
                next = stretch.end;
            }
            prop_assert_eq!(next, rows);
        }
    }
}
