//! The framing of COPY's binary format: a header, tuples of fields, a trailer
//! (<https://www.postgresql.org/docs/current/sql-copy.html>).
//!
//! The stream arrives cut at any byte. A tuple is passed on when all of it is there, straight
//! from the piece it came in if that holds it whole.

use std::ops::Range;

use crate::error::Failure;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// Signature, flags, and the length of the header's extension.
const HEADER_BYTES: usize = SIGNATURE.len() + 8;

/// Cuts a stream into tuples.
pub(super) struct TupleReader {
    width: usize,
    at: At,
    /// What came and is not yet a whole tuple.
    pending: Vec<u8>,
    fields: Vec<Option<Range<usize>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Header,
    Tuple,
    End,
}

/// The fields of a row, as the types' send functions write them.
pub(super) struct Tuple<'a> {
    bytes: &'a [u8],
    fields: &'a [Option<Range<usize>>],
}

impl Tuple<'_> {
    /// A field, `None` if it is null.
    pub(super) fn field(&self, index: usize) -> Option<&[u8]> {
        let range = self.fields.get(index)?.clone()?;
        self.bytes.get(range)
    }
}

/// What a piece begins with.
enum Step {
    /// Something of this length that was dealt with.
    Taken(usize),
    /// Less than a whole thing.
    Incomplete,
}

impl TupleReader {
    /// For tuples of `width` fields.
    pub(super) fn new(width: usize) -> Self {
        Self {
            width,
            at: At::Header,
            pending: Vec::new(),
            fields: Vec::with_capacity(width),
        }
    }

    /// Takes the next piece of the stream and passes on each tuple that it completes.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        visit: &mut dyn FnMut(&Tuple<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if self.pending.is_empty() {
            let taken = self.take(bytes, visit)?;
            self.pending.extend_from_slice(&bytes[taken..]);
            return Ok(());
        }
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(bytes);
        let taken = self.take(&pending, visit)?;
        pending.drain(..taken);
        self.pending = pending;
        Ok(())
    }

    /// Checks that the stream came to its end.
    pub(super) fn finish(&self) -> Result<(), Failure> {
        match self.at {
            At::End if self.pending.is_empty() => Ok(()),
            _ => Err(malformed("it ends before its trailer")),
        }
    }

    /// Deals with as much as is whole, and says how much that was.
    fn take(
        &mut self,
        bytes: &[u8],
        visit: &mut dyn FnMut(&Tuple<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<usize> {
        let mut taken = 0;
        loop {
            let rest = &bytes[taken..];
            let step = match self.at {
                At::Header => self.header(rest)?,
                At::Tuple => {
                    let step = self.tuple(rest)?;
                    if let (Step::Taken(_), At::Tuple) = (&step, self.at) {
                        visit(&Tuple {
                            bytes: rest,
                            fields: &self.fields,
                        })?;
                    }
                    step
                }
                At::End if rest.is_empty() => Step::Incomplete,
                At::End => return Err(malformed("it goes on after its trailer").into()),
            };
            match step {
                Step::Taken(length) => taken += length,
                Step::Incomplete => return Ok(taken),
            }
        }
    }

    fn header(&mut self, bytes: &[u8]) -> Result<Step, Failure> {
        let known = bytes.len().min(SIGNATURE.len());
        if bytes[..known] != SIGNATURE[..known] {
            return Err(malformed("it does not begin with its signature"));
        }
        let flags = number_at(bytes, SIGNATURE.len());
        let (Some(flags), Some(extension)) = (flags, number_at(bytes, SIGNATURE.len() + 4)) else {
            return Ok(Step::Incomplete);
        };
        // The upper half marks what a reader must understand.
        let extension = usize::try_from(extension).ok().filter(|_| flags >> 16 == 0);
        let length = HEADER_BYTES + extension.ok_or_else(|| malformed("its header is unknown"))?;
        if bytes.len() < length {
            return Ok(Step::Incomplete);
        }
        self.at = At::Tuple;
        Ok(Step::Taken(length))
    }

    /// Finds the fields of a tuple, or the trailer.
    fn tuple(&mut self, bytes: &[u8]) -> Result<Step, Failure> {
        let Some(&count) = bytes.first_chunk::<2>() else {
            return Ok(Step::Incomplete);
        };
        let count = i16::from_be_bytes(count);
        let mut at = 2;
        if count == -1 {
            self.at = At::End;
            return Ok(Step::Taken(at));
        }
        if usize::try_from(count) != Ok(self.width) {
            return Err(malformed("a row has another number of fields"));
        }
        self.fields.clear();
        for _ in 0..self.width {
            let Some(length) = number_at(bytes, at) else {
                return Ok(Step::Incomplete);
            };
            at += 4;
            if length == -1 {
                self.fields.push(None);
                continue;
            }
            let length = usize::try_from(length)
                .map_err(|_| malformed("the length of a field is negative"))?;
            self.fields.push(Some(at..at + length));
            at += length;
            if bytes.len() < at {
                return Ok(Step::Incomplete);
            }
        }
        Ok(Step::Taken(at))
    }
}

fn number_at(bytes: &[u8], at: usize) -> Option<i32> {
    let four = bytes.get(at..)?.first_chunk::<4>()?;
    Some(i32::from_be_bytes(*four))
}

fn malformed(problem: &str) -> Failure {
    Failure::internal(format!("the answer of COPY is malformed: {problem}"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A stream of these rows.
    pub(crate) fn stream(rows: &[&[Option<&[u8]>]]) -> Vec<u8> {
        let mut bytes = [SIGNATURE, &[0; 8]].concat();
        for row in rows {
            bytes.extend((row.len() as i16).to_be_bytes());
            for field in *row {
                let length = field.map_or(-1, |field| field.len() as i32);
                bytes.extend(length.to_be_bytes());
                bytes.extend(field.unwrap_or_default());
            }
        }
        bytes.extend((-1_i16).to_be_bytes());
        bytes
    }

    type Rows = Vec<Vec<Option<Vec<u8>>>>;

    fn read(width: usize, pieces: &[&[u8]]) -> anyhow::Result<Rows> {
        let mut reader = TupleReader::new(width);
        let mut rows = Vec::new();
        for piece in pieces {
            reader.push(piece, &mut |tuple| {
                let fields = (0..width).map(|index| tuple.field(index).map(<[u8]>::to_vec));
                rows.push(fields.collect());
                Ok(())
            })?;
        }
        reader.finish()?;
        Ok(rows)
    }

    #[test]
    fn a_stream_may_be_cut_anywhere() {
        let bytes = stream(&[
            &[Some(b"one"), None],
            &[Some(b""), Some(&[0xff; 40])],
            &[None, None],
        ]);
        let whole = read(2, &[&bytes]).unwrap();
        assert_eq!(whole.len(), 3);
        assert_eq!(whole[0], [Some(b"one".to_vec()), None]);
        assert_eq!(whole[1], [Some(Vec::new()), Some(vec![0xff; 40])]);
        for cut in 0..=bytes.len() {
            let (left, right) = bytes.split_at(cut);
            assert_eq!(read(2, &[left, right]).unwrap(), whole, "{cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(2, &single).unwrap(), whole);
    }

    #[test]
    fn no_end_but_the_trailer_is_an_end() {
        let bytes = stream(&[&[Some(b"one")], &[Some(b"two")]]);
        for end in 0..bytes.len() {
            assert!(read(1, &[&bytes[..end]]).is_err(), "{end}");
        }
        assert!(read(1, &[&bytes, b"x"]).is_err());
        assert!(read(2, &[&bytes]).is_err());
        assert!(read(1, &[b"PGCOPX"]).is_err());
    }
}
