//! Finds records that share an id, in bounded memory.
//!
//! An id is reduced to a 128-bit keyed hash (SipHash under two random keys, which nobody can aim
//! at), so equal hashes mean equal ids for all purposes: among a billion ids the chance of a
//! collision is below 1e-20. Up to [`IN_MEMORY`] hashes are kept in memory; beyond that they go to
//! temporary files, partitioned so that equal ids meet in the same one. Ids that ascend all the way, as
//! those of exports often do, need no search. An input in which so many
//! records share ids that even this would fill memory has no identity worth the name, and is refused.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use anyhow::Context;

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
type Entry = (u64, u64, u64);

/// Collects ids and tells which records repeat one.
pub struct DuplicateFinder {
    keys: (RandomState, RandomState),
    entries: Vec<Entry>,
    spilled: Vec<BufWriter<File>>,
    in_memory: usize,
    spilled_entries: usize,
    /// The last id, as long as each was greater than the one before.
    ascending_to: Option<String>,
}

impl Default for DuplicateFinder {
    fn default() -> Self {
        Self::with_capacity(IN_MEMORY)
    }
}

impl DuplicateFinder {
    fn with_capacity(in_memory: usize) -> Self {
        Self {
            keys: (RandomState::new(), RandomState::new()),
            entries: Vec::new(),
            spilled: Vec::new(),
            in_memory,
            spilled_entries: 0,
            ascending_to: Some(String::new()),
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
        if self.entries.len() == self.in_memory {
            self.spill()?;
        }
        if let Some(last) = &mut self.ascending_to {
            let is_first = self.entries.is_empty() && self.spilled_entries == 0;
            if is_first || is_less(last, id) {
                last.clear();
                last.push_str(id);
            } else {
                self.ascending_to = None;
            }
        }
        self.entries
            .push((self.keys.0.hash_one(id), self.keys.1.hash_one(id), ordinal));
        Ok(())
    }

    /// Ordinals of records whose id a record with a lower ordinal has, ascending.
    ///
    /// # Errors
    /// Too many records share their ids (65); a temporary file can not be read back (74).
    pub fn finish(mut self) -> anyhow::Result<Vec<u64>> {
        let mut duplicates = Vec::new();
        if self.ascending_to.is_some() {
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
    entries.sort_unstable();
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
        }
    }
}
