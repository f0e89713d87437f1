//! Reading slices of ordinals as chunks.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::DAMAGED;
use super::batches::{Batches, Wanted};
use super::content::Stamp;
use super::headers::CheckedFile;
use super::manifest::ParquetInput;
use super::projection::Columns;
use crate::error::Failure;
use crate::source::{Chunk, Projection};

/// Reads chunks in order. A reader that is asked for the slice after the one it just gave goes on
/// where it stands, so that a row group that spans many shards is decoded once.
pub struct ChunkReader {
    input: Arc<ParquetInput>,
    projection: Arc<Projection>,
    chunk_rows: usize,
    /// Ordinal of the next row.
    position: u64,
    open: Option<OpenFile>,
    /// The file that was opened last, and what it was like by then. As long as that has not changed in any
    /// way, its footer need not be read and compared again.
    file: Option<(usize, Arc<CheckedFile>, Stamp)>,
}

struct OpenFile {
    index: usize,
    batches: Batches,
    /// Rows that were decoded beyond what was asked for.
    left_over: Option<RecordBatch>,
}

impl ChunkReader {
    /// A reader of chunks of at most `chunk_rows` rows.
    pub fn new(input: Arc<ParquetInput>, projection: Arc<Projection>, chunk_rows: usize) -> Self {
        Self {
            input,
            projection,
            chunk_rows,
            position: 0,
            open: None,
            file: None,
        }
    }

    /// Makes `ordinal` the next row to read.
    pub fn seek(&mut self, ordinal: u64) {
        if ordinal != self.position {
            self.position = ordinal;
            self.open = None;
        }
    }

    /// The next chunk, which ends before `end`; `None` at `end`.
    ///
    /// # Errors
    /// The file changed since it was listed, or a page is damaged (65); I/O.
    pub fn next(&mut self, end: u64) -> anyhow::Result<Option<Chunk>> {
        while self.position < end {
            let Some(rows) = self.decoded()? else {
                continue;
            };
            let wanted = usize::try_from(end - self.position).unwrap_or(usize::MAX);
            let rows = if rows.num_rows() > wanted {
                let rest = rows.slice(wanted, rows.num_rows() - wanted);
                if let Some(open) = &mut self.open {
                    open.left_over = Some(rest);
                }
                rows.slice(0, wanted)
            } else {
                rows
            };
            let first_ordinal = self.position;
            self.position += rows.num_rows() as u64;
            return Ok(Some(Chunk {
                first_ordinal,
                rows,
                unreadable: BTreeMap::new(),
            }));
        }
        Ok(None)
    }

    /// Rows from `position` on, or `None` when a file just ended and the next one is to be opened.
    fn decoded(&mut self) -> anyhow::Result<Option<RecordBatch>> {
        let input = self.input.clone();
        let (index, file) = input.file_of(self.position).ok_or_else(|| {
            Failure::internal(format!("ordinal {} is beyond the input", self.position))
        })?;
        let open = match self.open.take() {
            Some(open) if open.index == index => open,
            _ => self.open_at(index)?,
        };
        let open = self.open.insert(open);
        if let Some(rows) = open.left_over.take() {
            return Ok(Some(rows));
        }
        let decoded = open.batches.next()?;
        match decoded {
            Some(batch) if batch.num_rows() == 0 => Ok(None),
            Some(batch)
                if self.position + batch.num_rows() as u64 > file.first_ordinal + file.rows =>
            {
                Err(Failure::data(format!(
                    "{} holds more rows than the {} that its footer promises",
                    file.path.display(),
                    file.rows
                ))
                .hint(DAMAGED)
                .into())
            }
            Some(batch) => self
                .projection
                .canonical(&batch)
                .map(Some)
                .map_err(|error| error.context(file.path.display().to_string())),
            None => Err(Failure::data(format!(
                "{} ends at row {}, but its footer promises {} rows",
                file.path.display(),
                self.position - file.first_ordinal,
                file.rows
            ))
            .hint(DAMAGED)
            .into()),
        }
    }

    /// Opens the file with `index` at `position`.
    fn open_at(&mut self, index: usize) -> anyhow::Result<OpenFile> {
        let file = &self.input.files()[index];
        let is_same = |handle: &CheckedFile, stamp: Stamp| -> anyhow::Result<bool> {
            Ok(Stamp::of(handle.file(), &file.path)? == stamp)
        };
        let (handle, stamp) = match &self.file {
            Some((last, handle, stamp)) if *last == index && is_same(handle, *stamp)? => {
                (handle.clone(), *stamp)
            }
            _ => self.input.open_unchanged(index)?,
        };
        self.file = Some((index, handle.clone(), stamp));
        let row = self.position - file.first_ordinal;
        let columns = Columns::of(&self.projection, file);
        let wanted = Wanted::From(row);
        Ok(OpenFile {
            index,
            batches: Batches::open(file, (handle, stamp), columns, wanted, self.chunk_rows)?,
            left_over: None,
        })
    }
}
