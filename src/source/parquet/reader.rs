//! Reading slices of ordinals as chunks.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::content::Stamp;
use super::guarded;
use super::manifest::{InputFile, ParquetInput};
use super::projection::mask;
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
}

struct OpenFile {
    index: usize,
    rows: OpenRows,
    /// Rows that were decoded beyond what was asked for.
    left_over: Option<RecordBatch>,
}

/// Rows of one file, as they are decoded.
pub(super) struct OpenRows {
    batches: ParquetRecordBatchReader,
    handle: File,
    opened: Stamp,
}

impl OpenRows {
    /// Opens the file with `index`; `choose` says which of its rows are meant.
    pub(super) fn open(
        input: &ParquetInput,
        index: usize,
        projection: &Projection,
        choose: impl FnOnce(
            ParquetRecordBatchReaderBuilder<File>,
        ) -> ParquetRecordBatchReaderBuilder<File>,
    ) -> anyhow::Result<Self> {
        let file = &input.files()[index];
        let (handle, opened) = input.open_unchanged(index)?;
        let batches = guarded(&file.path, "the file cannot be opened", || {
            let handle = handle.try_clone()?;
            let metadata = file.metadata.clone();
            choose(
                ParquetRecordBatchReaderBuilder::new_with_metadata(handle, metadata)
                    .with_projection(mask(projection, file)),
            )
            .build()
        })?;
        Ok(Self {
            batches,
            handle,
            opened,
        })
    }

    /// The next rows; `None` after the last.
    ///
    /// # Errors
    /// The file was written to since it was opened, or is damaged (65); I/O.
    pub(super) fn next(
        &mut self,
        file: &InputFile,
        projection: &Projection,
    ) -> anyhow::Result<Option<RecordBatch>> {
        let decoded = guarded(&file.path, "a page cannot be read", || {
            self.batches.next().transpose().map_err(Into::into)
        });
        // First: what is being written may look damaged.
        file.refuse_written(&self.handle, self.opened)?;
        let canonical = |batch: RecordBatch| {
            projection
                .canonical(&batch)
                .map_err(|error| error.context(file.path.display().to_string()))
        };
        decoded?.map(canonical).transpose()
    }
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
        match open.rows.next(file, &self.projection)? {
            Some(batch) if batch.num_rows() == 0 => Ok(None),
            Some(batch)
                if self.position + batch.num_rows() as u64 > file.first_ordinal + file.rows =>
            {
                Err(Failure::data(format!(
                    "{} holds more rows than the {} that its footer promises",
                    file.path.display(),
                    file.rows
                ))
                .into())
            }
            Some(batch) => Ok(Some(batch)),
            None => Err(Failure::data(format!(
                "{} ends at row {}, but its footer promises {} rows",
                file.path.display(),
                self.position - file.first_ordinal,
                file.rows
            ))
            .into()),
        }
    }

    /// Opens the file with `index` at `position`: whole row groups before it are not touched, rows
    /// before it in its row group are skipped without being materialised.
    fn open_at(&self, index: usize) -> anyhow::Result<OpenFile> {
        let file = &self.input.files()[index];
        let mut skip = self.position - file.first_ordinal;
        let row_groups = file.metadata.metadata().row_groups();
        let mut first_group = 0;
        while let Some(group) = row_groups.get(first_group) {
            let rows = group.num_rows() as u64;
            if skip < rows {
                break;
            }
            skip -= rows;
            first_group += 1;
        }
        let rows = OpenRows::open(&self.input, index, &self.projection, |builder| {
            builder
                .with_row_groups((first_group..row_groups.len()).collect())
                .with_offset(usize::try_from(skip).unwrap_or(usize::MAX))
                .with_batch_size(self.chunk_rows)
        })?;
        Ok(OpenFile {
            index,
            rows,
            left_over: None,
        })
    }
}
