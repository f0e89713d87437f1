//! How many numbers a page in a delta encoding claims to hold.
//!
//! Numbers are in blocks of miniblocks, each packed to a width of its own: a header of block size,
//! miniblocks in a block, count and first number; then, for each block, the smallest delta, the width
//! of each miniblock, and the miniblocks.

/// The count at the beginning of `bytes`.
pub fn count(bytes: &[u8]) -> Option<u64> {
    Header::read(&mut Cursor(bytes)).map(|header| header.count)
}

/// The counts of prefixes and suffixes, one list after the other.
pub fn counts_of_two(bytes: &[u8]) -> Option<[u64; 2]> {
    let mut cursor = Cursor(bytes);
    let first = Header::read(&mut cursor)?;
    first.skip(&mut cursor)?;
    Some([first.count, Header::read(&mut cursor)?.count])
}

struct Header {
    miniblock: u64,
    miniblocks: usize,
    count: u64,
}

impl Header {
    fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        let block = cursor.varint()?;
        let miniblocks = cursor.varint()?;
        let count = cursor.varint()?;
        let _first = cursor.varint()?;
        let miniblock = block.checked_div(miniblocks).filter(|size| *size > 0)?;
        Some(Self {
            miniblock,
            miniblocks: usize::try_from(miniblocks).ok()?,
            count,
        })
    }

    /// Passes over the blocks.
    fn skip(&self, cursor: &mut Cursor<'_>) -> Option<()> {
        // The first number is in the header.
        let mut left = self.count.saturating_sub(1);
        while left > 0 {
            let _smallest = cursor.varint()?;
            for width in cursor.take(self.miniblocks)? {
                // Those after the last number have a width and no bytes.
                if left > 0 {
                    let bits = u64::from(*width).checked_mul(self.miniblock)?;
                    cursor.take(usize::try_from(bits / 8).ok()?)?;
                }
                left = left.saturating_sub(self.miniblock);
            }
        }
        Some(())
    }
}

struct Cursor<'bytes>(&'bytes [u8]);

impl<'bytes> Cursor<'bytes> {
    fn take(&mut self, length: usize) -> Option<&'bytes [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for place in 0..10 {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}
