//! Finds records that share an id, in bounded memory.
//!
//! An id is reduced to a 128-bit keyed hash (SipHash under two random keys, which nobody can aim
//! at), so equal hashes mean equal ids for all purposes: among a billion ids the chance of a
//! collision is below 1e-20. Up to [`IN_MEMORY`] hashes are kept in memory; beyond that they go to
//! temporary files, partitioned so that equal ids meet in the same one. Ids that ascend all the way, as
//! those of exports often do, need no search. An input in which so many
//! records share ids that even this would fill memory has no identity worth the name, and is refused.
//! What is found does not depend on the order in which entries come.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use anyhow::Context;
use rayon::slice::ParallelSliceMut;

use crate::error::Failure;

/// Entries that are kept in memory: 24 MiB.
pub(super) const IN_MEMORY: usize = 1 << 20;

/// Temporary files; the search holds one of them in memory at a time.
const PARTITIONS: usize = 256;

/// What each takes.
pub(super) const ENTRY_BYTES: usize = 24;

/// Duplicates beyond this are refused: 80 MB.
const MOST_DUPLICATES: usize = 10_000_000;

/// Entries of one file that are read back in any case: 96 MiB.
const LARGE_PARTITION: usize = 1 << 22;

/// Beyond that, a file this many times the average holds many records of few ids, and is refused.
const SKEW: usize = 16;

/// Hash of an id, and the ordinal of its record. Sorting brings equal ids together, the lowest
/// ordinal first.
pub(super) type Entry = (u64, u64, u64);

/// Makes the entries of one search.
#[derive(Clone, Default)]
pub(super) struct IdHasher(RandomState, RandomState);

impl IdHasher {
    pub(super) fn entry(&self, id: &str, ordinal: u64) -> Entry {
        (self.0.hash_one(id), self.1.hash_one(id), ordinal)
    }
}

/// Ids each of which is greater than the one before it.
#[derive(Default)]
pub(super) struct Ascent {
    /// The first and the last of them.
    ends: Option<(String, String)>,
}

impl Ascent {
    /// Takes the next id; or does not, if it is no greater than the last one.
    pub(super) fn goes_on_with(&mut self, id: &str) -> bool {
        match &mut self.ends {
            None => self.ends = Some((id.to_owned(), id.to_owned())),
            Some((_, last)) if is_less(last, id) => {
                last.clear();
                last.push_str(id);
            }
            Some(_) => return false,
        }
        true
    }

    /// Takes all of the next ids; or none, if their first is no greater than the last one.
    pub(super) fn goes_on_with_all_of(&mut self, next: Self) -> bool {
        match (&mut self.ends, next.ends) {
            (_, None) => {}
            (None, ends) => self.ends = ends,
            (Some((_, last)), Some((first, new))) if is_less(last, &first) => *last = new,
            _ => return false,
        }
        true
    }
}

/// Collects ids and tells which records repeat one.
pub struct DuplicateFinder {
    hasher: IdHasher,
    entries: Vec<Entry>,
    spilled: Vec<BufWriter<File>>,
    in_memory: usize,
    spilled_entries: usize,
    /// The ids that were added, as long as they ascend.
    ascent: Option<Ascent>,
}

impl Default for DuplicateFinder {
    fn default() -> Self {
        Self::with_capacity(IN_MEMORY)
    }
}

impl DuplicateFinder {
    fn with_capacity(in_memory: usize) -> Self {
        Self {
            hasher: IdHasher::default(),
            entries: Vec::new(),
            spilled: Vec::new(),
            in_memory,
            spilled_entries: 0,
            ascent: Some(Ascent::default()),
        }
    }

    /// Makes room for the entries of so many records at once.
    pub fn reserve(&mut self, records: u64) {
        let records = usize::try_from(records).unwrap_or(usize::MAX);
        self.entries.reserve(records.min(self.in_memory));
    }

    /// Takes the id of the record with this ordinal.
    ///
    /// # Errors
    /// A temporary file can not be written (74).
    pub fn add(&mut self, id: &str, ordinal: u64) -> anyhow::Result<()> {
        if let Some(ascent) = &mut self.ascent
            && !ascent.goes_on_with(id)
        {
            self.ascent = None;
        }
        self.push(self.hasher.entry(id, ordinal))
    }

    /// What makes entries for [`take`](Self::take), on any thread.
    pub(super) fn hasher(&self) -> &IdHasher {
        &self.hasher
    }

    /// Takes entries that its hasher made, in any order. Then it is not asked any more whether ids ascend.
    ///
    /// # Errors
    /// A temporary file can not be written (74).
    pub(super) fn take(&mut self, entries: Vec<Entry>) -> anyhow::Result<()> {
        self.ascent = None;
        entries.into_iter().try_for_each(|entry| self.push(entry))
    }

    fn push(&mut self, entry: Entry) -> anyhow::Result<()> {
        if self.entries.len() == self.in_memory {
            self.spill()?;
        }
        self.entries.push(entry);
        Ok(())
    }

    /// Ordinals of records whose id a record with a lower ordinal has, ascending. Sorts on the threads of
    /// the pool that it is called in.
    ///
    /// # Errors
    /// Too many records share their ids (65); a temporary file can not be read back (74).
    pub fn finish(mut self) -> anyhow::Result<Vec<u64>> {
        let mut duplicates = Vec::new();
        if self.ascent.is_some() {
            return Ok(duplicates);
        }
        if self.spilled.is_empty() {
            collect(&mut self.entries, &mut duplicates);
        } else {
            self.spill()?;
            let largest = LARGE_PARTITION.max(SKEW * self.spilled_entries / PARTITIONS);
            for partition in std::mem::take(&mut self.spilled) {
                let mut entries = read_back(partition, largest)?;
                collect(&mut entries, &mut duplicates);
                if duplicates.len() > MOST_DUPLICATES {
                    return Err(no_identity(duplicates.len()));
                }
            }
        }
        duplicates.sort_unstable();
        Ok(duplicates)
    }

    fn spill(&mut self) -> anyhow::Result<()> {
        while self.spilled.len() < PARTITIONS {
            let file = tempfile::tempfile().context(TEMPORARY_FILE)?;
            self.spilled.push(BufWriter::new(file));
        }
        self.spilled_entries += self.entries.len();
        for (first, second, ordinal) in self.entries.drain(..) {
            let partition = &mut self.spilled[(first >> 56) as usize];
            for part in [first, second, ordinal] {
                partition
                    .write_all(&part.to_le_bytes())
                    .context(TEMPORARY_FILE)?;
            }
        }
        Ok(())
    }
}

const TEMPORARY_FILE: &str =
    "cannot use a temporary file for the search for duplicate ids (TMPDIR chooses the directory)";

fn read_back(partition: BufWriter<File>, largest: usize) -> anyhow::Result<Vec<Entry>> {
    let mut file = partition
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)
        .context(TEMPORARY_FILE)?;
    let bytes = file.seek(SeekFrom::End(0)).context(TEMPORARY_FILE)?;
    file.rewind().context(TEMPORARY_FILE)?;
    let count = bytes as usize / ENTRY_BYTES;
    if count > largest {
        return Err(no_identity(count));
    }
    let mut reader = BufReader::new(file);
    let mut part = [0; 8];
    let mut next = || {
        reader.read_exact(&mut part).context(TEMPORARY_FILE)?;
        Ok::<u64, anyhow::Error>(u64::from_le_bytes(part))
    };
    (0..count)
        .map(|_| Ok((next()?, next()?, next()?)))
        .collect()
}

/// The order of the numbers that ids are if they are numbers: shorter ones come first.
fn is_less(first: &str, second: &str) -> bool {
    (first.len(), first) < (second.len(), second)
}

fn no_identity(records: usize) -> anyhow::Error {
    Failure::data(format!(
        "more than {records} records share their id with another one"
    ))
    .hint("[source] id_column must name a column that tells records apart")
    .into()
}

fn collect(entries: &mut [Entry], duplicates: &mut Vec<u64>) {
    entries.par_sort_unstable();
    duplicates.extend(
        entries
            .windows(2)
            .filter(|pair| (pair[0].0, pair[0].1) == (pair[1].0, pair[1].1))
            .map(|pair| pair[1].2),
    );
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// Ordinals that are found, of ids from ordinal 7 on.
    fn found(ids: &[String], in_memory: usize) -> Vec<u64> {
        let mut finder = DuplicateFinder::with_capacity(in_memory);
        for (ordinal, id) in (7..).zip(ids) {
            finder.add(id, ordinal).unwrap();
        }
        finder.finish().unwrap()
    }

    /// The same of entries that come a few at a time, the last first.
    fn found_in_parts(ids: &[String], in_memory: usize) -> Vec<u64> {
        let mut finder = DuplicateFinder::with_capacity(in_memory);
        let hasher = finder.hasher().clone();
        let entries: Vec<Entry> = (7..)
            .zip(ids)
            .map(|(ordinal, id)| hasher.entry(id, ordinal))
            .collect();
        for part in entries.rchunks(7) {
            finder.take(part.to_vec()).unwrap();
        }
        finder.finish().unwrap()
    }

    fn ascend(ids: &[String]) -> Option<Ascent> {
        let mut ascent = Ascent::default();
        ids.iter()
            .all(|id| ascent.goes_on_with(id))
            .then_some(ascent)
    }

    fn expected(ids: &[String]) -> Vec<u64> {
        let mut seen = HashSet::new();
        let repeated = (7..).zip(ids).filter(|(_, id)| !seen.insert(*id));
        repeated.map(|(ordinal, _)| ordinal).collect()
    }

    #[test]
    fn ids_that_ascend_hide_none_that_comes_after() {
        for in_memory in [3, 1000] {
            let mut ids: Vec<String> = (0..12).map(|id| id.to_string()).collect();
            assert!(found(&ids, in_memory).is_empty());
            ids.push("11".to_owned());
            ids.push("2".to_owned());
            ids.push("12".to_owned());
            assert_eq!(found(&ids, in_memory), [19, 20]);
        }
        assert_eq!(found(&[String::new(), String::new()], 10), [8]);
    }

    proptest! {
        #[test]
        fn only_the_lowest_ordinal_of_an_id_stays(
            ids in prop::collection::vec("[ab]{0,3}", 0..200),
            in_memory in 1usize..50,
        ) {
            prop_assert_eq!(found(&ids, in_memory), expected(&ids));
            prop_assert_eq!(found_in_parts(&ids, in_memory), expected(&ids));
        }

        #[test]
        fn stretches_ascend_together_if_the_whole_does(
            mut ids in prop::collection::vec("[ab]{0,3}", 0..12),
            is_sorted in any::<bool>(),
            cuts in prop::collection::vec(0usize..12, 2),
        ) {
            if is_sorted {
                ids.sort_by(|one, other| (one.len(), one).cmp(&(other.len(), other)));
                ids.dedup();
            }
            let (one, other) = (cuts[0].min(cuts[1]).min(ids.len()), cuts[0].max(cuts[1]).min(ids.len()));
            let mut whole = Ascent::default();
            let together = [&ids[..one], &ids[one..other], &ids[other..]]
                .into_iter()
                .all(|part| ascend(part).is_some_and(|part| whole.goes_on_with_all_of(part)));
            prop_assert_eq!(together, ascend(&ids).is_some());
            prop_assert!(!together || expected(&ids).is_empty());
        }
    }
}
