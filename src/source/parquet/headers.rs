//! A file whose page headers are looked at before the decoder is given them.
//!
//! The decoder makes room for whatever size a header claims. Here a header is walked first, and the
//! decoder gets the very bytes that were walked.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use super::format::{PAGE_HEADER, page};
use super::thrift::{Event, walk};

/// Pages beyond this are refused. Writers make them of 1 MiB, the largest known of 100 MB.
const LARGEST_PAGE: i64 = 128 << 20;

/// Headers beyond this are refused: only the extremes of long texts make them large.
const LARGEST_HEADER: u64 = 16 << 20;

/// What one read asks the file for while a header is walked.
const BUFFER_BYTES: usize = 1 << 10;

/// A file of pages.
pub struct CheckedFile {
    file: Arc<File>,
    size_bytes: u64,
}

impl CheckedFile {
    /// The file, which has `size_bytes`.
    pub fn new(file: File, size_bytes: u64) -> Self {
        Self {
            file: Arc::new(file),
            size_bytes,
        }
    }
}

impl CheckedFile {
    /// The file itself.
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl Length for CheckedFile {
    fn len(&self) -> u64 {
        self.size_bytes
    }
}

impl ChunkReader for CheckedFile {
    type T = HeaderReader;

    fn get_read(&self, start: u64) -> Result<HeaderReader> {
        Ok(HeaderReader {
            file: self.file.clone(),
            start,
            header: None,
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.size_bytes) {
            return Err(ParquetError::EOF("a page ends beyond the file".to_owned()));
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

/// One page header. The decoder sometimes asks for a place without reading there, and only what it
/// reads is a header.
pub struct HeaderReader {
    file: Arc<File>,
    start: u64,
    header: Option<Cursor<Vec<u8>>>,
}

impl Read for HeaderReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let header = match &mut self.header {
            Some(header) => header,
            None => {
                let header = checked_header(&self.file, self.start)
                    .map_err(|problem| io::Error::new(io::ErrorKind::InvalidData, problem))?;
                self.header.insert(Cursor::new(header))
            }
        };
        header.read(buffer)
    }
}

/// The bytes of the page header at `start`, if its claims can be true.
fn checked_header(file: &File, start: u64) -> std::result::Result<Vec<u8>, String> {
    let at = At { file, start };
    let mut header = Vec::new();
    let tee = Tee {
        input: BufReader::with_capacity(BUFFER_BYTES, at).take(LARGEST_HEADER),
        copy: &mut header,
    };
    let (mut size, mut dictionary) = (0, 0);
    walk(tee, PAGE_HEADER, |path, event| {
        let Event::Number(number) = event else {
            return Ok(());
        };
        match path {
            [page::UNCOMPRESSED_SIZE | page::COMPRESSED_SIZE] => {
                if !(0..=LARGEST_PAGE).contains(&number) {
                    return Err(format!(
                        "its header claims {number} bytes, the limit is {LARGEST_PAGE}"
                    ));
                }
                if *path == [page::UNCOMPRESSED_SIZE] {
                    size = number;
                }
            }
            [page::DICTIONARY, page::NUM_VALUES] => dictionary = number,
            _ => {}
        }
        Ok(())
    })?;
    // A value takes a byte at least.
    if !(0..=size).contains(&dictionary) {
        return Err(format!(
            "its header claims a dictionary of {dictionary} values in {size} bytes"
        ));
    }
    Ok(header)
}

/// A file from a place on, whatever its own position.
struct At<'file> {
    file: &'file File,
    start: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.start)?;
        self.start += read as u64;
        Ok(read)
    }
}

/// Keeps what is read.
struct Tee<'copy, R> {
    input: R,
    copy: &'copy mut Vec<u8>,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.copy.extend(buffer.iter().take(read));
        Ok(read)
    }
}
