//! What a shard remembers of its records, so that they are found again: the ids that the plan
//! saw, in order, and the physical blocks they were in if there are such.
//!
//! A locator is stored with its shard and read by whichever process has the shard, perhaps after a
//! change of version: its first byte says how to read the rest.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use anyhow::Context;
use arrow::array::{Array, StringArray, StringBuilder};

use crate::error::{Class, Failure};

/// Of the format.
const VERSION: u8 = 1;

/// Version, and the length of what is compressed.
const HEADER_BYTES: usize = 1 + 4;

/// Fast: ids compress badly or at once.
const LEVEL: i32 = 1;

const TEMPORARY_FILE: &str =
    "cannot use a temporary file for the ids of the input (TMPDIR chooses the directory)";

/// Collects ids and blocks of a scan and keeps them, shard by shard, in a temporary file: what is
/// in memory does not grow with the input.
pub struct LocatorWriter {
    shard_size: u64,
    file: Option<File>,
    shard: ShardBuilder,
    written: Locators,
}

/// The locators of all shards.
pub struct Locators {
    /// `None` without records.
    file: Option<File>,
    /// End of each shard in the file; it begins where the one before it ends.
    ends: Vec<u64>,
    records: u64,
}

/// The records of a shard.
pub(super) struct Located {
    /// Their ids.
    pub(super) ids: StringArray,
    /// Their blocks when the run was planned.
    pub(super) blocks: Option<Vec<u32>>,
}

#[derive(Default)]
struct ShardBuilder {
    records: u64,
    /// 0 for no id, else one more than its length.
    lengths: Vec<u8>,
    ids: Vec<u8>,
    /// Differences, since they nearly always ascend in small steps.
    blocks: Vec<u8>,
    last_block: u32,
    lacks_blocks: bool,
}

impl LocatorWriter {
    /// For shards of `shard_size` records; the last may have fewer.
    pub fn new(shard_size: u64) -> Self {
        Self {
            shard_size: shard_size.max(1),
            file: None,
            shard: ShardBuilder::default(),
            written: Locators {
                file: None,
                ends: Vec::new(),
                records: 0,
            },
        }
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// The temporary file can not be written (74).
    pub fn push(&mut self, id: Option<&str>, block: Option<u32>) -> anyhow::Result<()> {
        self.shard.push(id, block);
        if self.shard.records == self.shard_size {
            self.write()?;
        }
        Ok(())
    }

    /// The locators.
    ///
    /// # Errors
    /// The temporary file can not be written (74).
    pub fn finish(mut self) -> anyhow::Result<Locators> {
        if self.shard.records > 0 {
            self.write()?;
        }
        Ok(Locators {
            file: self.file,
            ..self.written
        })
    }

    fn write(&mut self) -> anyhow::Result<()> {
        let shard = std::mem::take(&mut self.shard);
        let locator = shard.finish()?;
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile().context(TEMPORARY_FILE)?),
        };
        file.write_all(&locator).context(TEMPORARY_FILE)?;
        let begin = self.written.ends.last().copied().unwrap_or_default();
        self.written.ends.push(begin + locator.len() as u64);
        self.written.records += shard.records;
        Ok(())
    }
}

impl Locators {
    /// Number of records.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The locator of a shard.
    ///
    /// # Errors
    /// There is no such shard (70); the temporary file can not be read (74).
    pub fn of_shard(&self, shard_no: u32) -> anyhow::Result<Vec<u8>> {
        let index = shard_no as usize;
        let (Some(file), Some(&end)) = (&self.file, self.ends.get(index)) else {
            return Err(Failure::internal(format!("there is no shard {shard_no}")).into());
        };
        let begin = match index {
            0 => 0,
            _ => self.ends[index - 1],
        };
        let mut locator = vec![0; usize::try_from(end - begin)?];
        file.read_exact_at(&mut locator, begin)
            .context(TEMPORARY_FILE)?;
        Ok(locator)
    }
}

impl ShardBuilder {
    fn push(&mut self, id: Option<&str>, block: Option<u32>) {
        self.records += 1;
        put(&mut self.lengths, id.map_or(0, |id| id.len() as u64 + 1));
        self.ids.extend(id.unwrap_or_default().as_bytes());
        match block {
            None => self.lacks_blocks = true,
            Some(block) => {
                let step = i64::from(block) - i64::from(self.last_block);
                self.last_block = block;
                put(&mut self.blocks, ((step << 1) ^ (step >> 63)) as u64);
            }
        }
    }

    fn finish(&self) -> anyhow::Result<Vec<u8>> {
        let mut plain = Vec::with_capacity(self.lengths.len() + self.ids.len() + 16);
        put(&mut plain, self.records);
        put(&mut plain, u64::from(!self.lacks_blocks));
        plain.extend(&self.lengths);
        plain.extend(&self.ids);
        if !self.lacks_blocks {
            plain.extend(&self.blocks);
        }
        let length = u32::try_from(plain.len()).map_err(|_| {
            Failure::data("the ids of a shard are larger than 4 GiB")
                .hint("choose a smaller [run] shard_size")
        })?;
        let mut locator = vec![VERSION];
        locator.extend(length.to_le_bytes());
        locator.extend(zstd::bulk::compress(&plain, LEVEL).context("cannot compress a locator")?);
        Ok(locator)
    }
}

impl Located {
    /// Reads a locator.
    pub(super) fn decode(locator: &[u8]) -> Result<Self, Failure> {
        if locator.first().is_some_and(|version| *version != VERSION) {
            return Err(Failure::new(
                Class::Config,
                "the run was planned by another version, which remembers its records in another way",
            )
            .hint("finish the run with the version that began it, or start it anew"));
        }
        Self::decode_known(locator)
            .ok_or_else(|| Failure::internal("what a shard remembers of its records is damaged"))
    }

    fn decode_known(locator: &[u8]) -> Option<Self> {
        let (header, compressed) = locator.split_at_checked(HEADER_BYTES)?;
        let length = u32::from_le_bytes(header.get(1..)?.try_into().ok()?);
        let plain = zstd::bulk::decompress(compressed, length as usize).ok()?;
        let mut rest = plain.as_slice();
        let records = usize::try_from(get(&mut rest)?).ok()?;
        let has_blocks = get(&mut rest)? != 0;
        // Each takes a byte at least, so that no forged number makes us allocate at will.
        if records > rest.len() {
            return None;
        }
        let mut lengths = Vec::with_capacity(records);
        for _ in 0..records {
            lengths.push(usize::try_from(get(&mut rest)?).ok()?);
        }
        let mut ids = StringBuilder::with_capacity(records, rest.len());
        for length in lengths {
            let Some(length) = length.checked_sub(1) else {
                ids.append_null();
                continue;
            };
            let (id, after) = rest.split_at_checked(length)?;
            ids.append_value(str::from_utf8(id).ok()?);
            rest = after;
        }
        let mut blocks = has_blocks.then(|| Vec::with_capacity(records));
        if let Some(blocks) = &mut blocks {
            let mut block = 0_i64;
            for _ in 0..records {
                let step = get(&mut rest)?;
                block = block.checked_add((step >> 1) as i64 ^ -((step & 1) as i64))?;
                blocks.push(u32::try_from(block).ok()?);
            }
        }
        let ids = ids.finish();
        rest.is_empty().then_some(Self { ids, blocks })
    }

    /// Number of records.
    pub(super) fn records(&self) -> usize {
        self.ids.len()
    }
}

/// The locator of some of a shard's records, given by their offsets in it.
///
/// # Errors
/// Another version planned the run (78); the locator is damaged or of another shard (70).
pub fn part(locator: &[u8], offsets: Range<usize>) -> anyhow::Result<Vec<u8>> {
    let Located { ids, blocks } = Located::decode(locator)?;
    if offsets.end > ids.len() {
        return Err(Failure::internal("a shard remembers too few of its records").into());
    }
    let mut part = ShardBuilder::default();
    for index in offsets {
        let id = ids.is_valid(index).then(|| ids.value(index));
        part.push(id, blocks.as_ref().map(|blocks| blocks[index]));
    }
    part.finish()
}

/// The locator without the ids that are `gone`: these records have none any more. `None` if it holds
/// none of them.
///
/// # Errors
/// Another version planned the run (78); the locator is damaged (70).
pub fn without(
    locator: &[u8],
    mut is_gone: impl FnMut(&str) -> bool,
) -> anyhow::Result<Option<Vec<u8>>> {
    let Located { ids, blocks } = Located::decode(locator)?;
    let mut left = ShardBuilder::default();
    let mut has_changed = false;
    for index in 0..ids.len() {
        let id = ids.is_valid(index).then(|| ids.value(index));
        let kept = id.filter(|id| !is_gone(id));
        has_changed |= kept != id;
        left.push(kept, blocks.as_ref().map(|blocks| blocks[index]));
    }
    has_changed.then(|| left.finish()).transpose()
}

/// Seven bits a byte, the lowest first.
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn get(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Record = (Option<String>, Option<u32>);

    fn write(shard_size: u64, records: &[Record]) -> Locators {
        let mut writer = LocatorWriter::new(shard_size);
        for (id, block) in records {
            writer.push(id.as_deref(), *block).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn without_blocks_of_all_records_there_are_none() {
        let record = |id: &str, block| (Some(id.to_owned()), block);
        let locators = write(
            2,
            &[
                record("a", Some(1)),
                record("b", None),
                record("c", Some(9)),
            ],
        );
        let shards = [0, 1].map(|shard| {
            Located::decode(&locators.of_shard(shard).unwrap())
                .unwrap()
                .blocks
        });
        assert_eq!(shards, [None, Some(vec![9])]);
        assert!(locators.of_shard(2).is_err());
        assert!(write(2, &[]).of_shard(0).is_err());
    }

    #[test]
    fn a_locator_that_is_not_ours_is_refused() {
        let records: Vec<Record> = (0..50).map(|n| (Some(n.to_string()), Some(n))).collect();
        let good = write(50, &records).of_shard(0).unwrap();
        for end in 0..good.len() {
            assert!(Located::decode(&good[..end]).is_err(), "{end}");
        }
        let newer = [&[VERSION + 1], &good[1..]].concat();
        let failure = Located::decode(&newer).err().unwrap();
        assert_eq!(failure.class(), Class::Config);
    }

    #[test]
    fn a_part_of_a_locator_is_one_of_its_records() {
        let record = |n: u32| (Some(format!("r{n}")), Some(n * 7));
        let records: Vec<Record> = (0..20).map(record).collect();
        let whole = write(20, &records).of_shard(0).unwrap();
        let expected = write(20, &records[3..9]).of_shard(0).unwrap();
        assert_eq!(part(&whole, 3..9).unwrap(), expected);
        assert!(part(&whole, 3..21).is_err());
    }

    #[test]
    fn a_locator_forgets_ids_and_keeps_its_records() {
        let record = |n: u32| (Some(format!("r{n}")), Some(n * 7));
        let mut records: Vec<Record> = (0..9).map(record).collect();
        let whole = write(9, &records).of_shard(0).unwrap();
        assert_eq!(without(&whole, |id| id == "r11").unwrap(), None);
        let left = without(&whole, |id| id == "r3" || id == "r8").unwrap();
        records[3].0 = None;
        records[8].0 = None;
        assert_eq!(left, Some(write(9, &records).of_shard(0).unwrap()));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            shard_size in 1_u64..9,
            has_blocks in any::<bool>(),
            ids in prop::collection::vec(prop::option::weighted(0.8, ".{0,12}"), 0..30),
            blocks in prop::collection::vec(any::<u32>(), 30),
        ) {
            let blocks = blocks.into_iter().map(|block| has_blocks.then_some(block));
            let records: Vec<Record> = ids.into_iter().zip(blocks).collect();
            let locators = write(shard_size, &records);
            prop_assert_eq!(locators.records(), records.len() as u64);
            for (shard, expected) in records.chunks(shard_size as usize).enumerate() {
                let located = Located::decode(&locators.of_shard(shard as u32).unwrap()).unwrap();
                prop_assert_eq!(located.records(), expected.len());
                let blocks = expected.iter().map(|(_, block)| *block).collect();
                prop_assert_eq!(located.blocks, blocks);
                let ids: Vec<_> = located.ids.iter().collect();
                let expected: Vec<_> = expected.iter().map(|(id, _)| id.as_deref()).collect();
                prop_assert_eq!(ids, expected);
            }
        }
    }
}
