//! Finds the records of files that repeat an id, on several threads.
//!
//! Ids are read stretch by stretch, each by a thread of its own. As long as they ascend, as those of
//! exports often do, nothing is kept of them; where they do not, they are read once more, and the threads
//! hash them for a [`DuplicateFinder`]. What is found does not depend on how many threads there are.

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
use crate::interrupt::Interrupt;
use crate::source::Chunk;
use crate::source::parquet::{ChunkReader, ParquetInput};

/// Rows read at a time while looking for duplicates.
pub(super) const CHUNK_ROWS: usize = 8192;

/// Rows for which a thread is worth its start.
const ROWS_OF_A_STRETCH: u64 = 1 << 16;

/// The ids of some files, for those who look for duplicates.
pub(super) struct Ids<'a> {
    /// The files.
    pub(super) input: &'a Arc<ParquetInput>,
    /// What tells ids, and which records the filter keeps.
    pub(super) prepared: &'a Prepared,
    /// Asked between chunks.
    pub(super) interrupt: &'a Interrupt,
}

/// Why no more ids are asked for.
struct Enough;

impl Ids<'_> {
    /// Ordinals of records that the filter keeps and whose id an earlier such record has, ascending.
    ///
    /// # Errors
    /// Those of reading and of the search; to stop is requested (75 or 80).
    pub(super) fn duplicates(&self, workers: usize) -> anyhow::Result<Vec<u64>> {
        let stretches = stretches(self.input.rows(), workers);
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
            let mut ascent = Some(Ascent::default());
            self.visit(stretch, &mut |id, _| {
                let goes_on = ascent
                    .as_mut()
                    .is_some_and(|ascent| ascent.goes_on_with(id));
                if !goes_on {
                    ascent = None;
                    is_over.store(true, Ordering::Relaxed);
                }
                match is_over.load(Ordering::Relaxed) {
                    true => Err(Enough),
                    false => Ok(()),
                }
            })?;
            Ok(ascent)
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
        pool.in_place_scope(|scope| {
            let (sender, chunks) = bounded(2 * stretches.len());
            for stretch in stretches {
                let (sender, hasher) = (sender.clone(), hasher.clone());
                scope.spawn(move |_| {
                    let mut entries = Vec::with_capacity(CHUNK_ROWS);
                    let outcome = self.visit(stretch, &mut |id, ordinal| {
                        entries.push(hasher.entry(id, ordinal));
                        if entries.len() < CHUNK_ROWS {
                            return Ok(());
                        }
                        let full = std::mem::replace(&mut entries, Vec::with_capacity(CHUNK_ROWS));
                        // Nobody listens any more after an error.
                        sender.send(Ok(full)).map_err(|_| Enough)
                    });
                    let _ = sender.send(outcome.map(|()| entries));
                });
            }
            drop(sender);
            chunks
                .into_iter()
                .try_for_each(|entries| finder.take(entries?))
        })?;
        Ok(finder)
    }

    /// Passes on the ids of a stretch, with their ordinals, of the records that the filter keeps and that have
    /// one, until there are enough.
    fn visit(
        &self,
        stretch: &Range<u64>,
        visit: &mut dyn FnMut(&str, u64) -> Result<(), Enough>,
    ) -> anyhow::Result<()> {
        let projection = self.prepared.id_projection().clone();
        let mut reader = ChunkReader::new(self.input.clone(), projection, CHUNK_ROWS);
        reader.seek(stretch.start);
        while let Some(chunk) = reader.next(stretch.end)? {
            self.interrupt.check()?;
            let (ids, kept) = self.prepared.kept_ids(&chunk.rows)?;
            if let Err(Enough) = for_each_kept_id(&ids, kept.as_ref(), &chunk, visit) {
                break;
            }
        }
        Ok(())
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
