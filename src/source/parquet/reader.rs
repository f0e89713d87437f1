//! Reading slices of ordinals as chunks.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::guarded;
use super::manifest::ParquetInput;
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
    batches: ParquetRecordBatchReader,
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
        let decoded = guarded(&file.path, "a page cannot be read", || {
            open.batches.next().transpose().map_err(Into::into)
        })?;
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
            .into()),
        }
    }

    /// Opens the file with `index` at `position`: whole row groups before it are not touched, rows
    /// before it in its row group are skipped without being materialised.
    fn open_at(&self, index: usize) -> anyhow::Result<OpenFile> {
        let file = &self.input.files()[index];
        let handle = file.open_unchanged()?;
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
        let batches = guarded(&file.path, "the file cannot be opened", || {
            ParquetRecordBatchReaderBuilder::new_with_metadata(handle, file.metadata.clone())
                .with_projection(mask(&self.projection, file))
                .with_row_groups((first_group..row_groups.len()).collect())
                .with_offset(usize::try_from(skip).unwrap_or(usize::MAX))
                .with_batch_size(self.chunk_rows)
                .build()
        })?;
        Ok(OpenFile {
            index,
            batches,
            left_over: None,
        })
    }
}
