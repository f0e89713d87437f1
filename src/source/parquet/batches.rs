//! Batches of the rows of one file, of a bounded size.

use std::sync::Arc;

use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowSelection, RowSelector};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::errors::Result;

use super::guarded;
use super::headers::CheckedFile;
use super::manifest::InputFile;
use super::pages::{Pages, Texts};

/// Reads a file from some row on to its end. Where texts are so long that a batch of them would
/// fill memory, batches become shorter.
pub struct Batches {
    file: InputFile,
    handle: Arc<CheckedFile>,
    mask: ProjectionMask,
    /// The next row.
    row: u64,
    texts: Arc<Texts>,
    reader: ParquetRecordBatchReader,
}

impl Batches {
    /// Batches of at most `batch_rows` rows of what `mask` chooses of `file`, from `row` on.
    ///
    /// # Errors
    /// The file changed since it was listed, or it is damaged (65); I/O.
    pub fn open(
        file: &InputFile,
        mask: ProjectionMask,
        row: u64,
        batch_rows: usize,
    ) -> anyhow::Result<Self> {
        let handle = Arc::new(file.open_unchanged()?);
        let texts = Arc::new(Texts::new(batch_rows));
        let reader = guarded(&file.path, "the file cannot be opened", || {
            reader(file, &handle, &mask, row, &texts)
        })?;
        Ok(Self {
            file: file.clone(),
            handle,
            mask,
            row,
            texts,
            reader,
        })
    }

    /// The next batch; `None` at the end.
    ///
    /// # Errors
    /// A page is damaged (65); I/O.
    pub fn next(&mut self) -> anyhow::Result<Option<RecordBatch>> {
        loop {
            let decoded = guarded(&self.file.path, "a page cannot be read", || {
                self.reader.next().transpose().map_err(Into::into)
            });
            match decoded {
                Err(_) if self.texts.are_too_long() => {
                    self.texts = Arc::new(self.texts.in_shorter_batches());
                    self.reader = guarded(&self.file.path, "the file cannot be opened", || {
                        reader(&self.file, &self.handle, &self.mask, self.row, &self.texts)
                    })?;
                }
                Ok(Some(batch)) => {
                    self.row += batch.num_rows() as u64;
                    return Ok(Some(batch));
                }
                decoded => return decoded,
            }
        }
    }
}

/// A reader of `file` from `row` on: whole row groups before it are not touched, rows before it in
/// its row group are skipped without being materialised.
fn reader(
    file: &InputFile,
    handle: &Arc<CheckedFile>,
    mask: &ProjectionMask,
    row: u64,
    texts: &Arc<Texts>,
) -> Result<ParquetRecordBatchReader> {
    let metadata = file.metadata.metadata();
    let mut skip = row;
    let mut first_group = 0;
    while let Some(group) = metadata.row_groups().get(first_group) {
        let rows = group.num_rows() as u64;
        if skip < rows {
            break;
        }
        skip -= rows;
        first_group += 1;
    }
    let levels = parquet_to_arrow_field_levels(
        file.metadata.parquet_schema(),
        mask.clone(),
        Some(file.metadata.schema().fields()),
    )?;
    let pages = Pages {
        file: handle.clone(),
        metadata: metadata.clone(),
        row_groups: first_group..metadata.num_row_groups(),
        texts: texts.clone(),
    };
    let selection = (skip > 0).then(|| {
        RowSelection::from(vec![
            RowSelector::skip(skip as usize),
            RowSelector::select((file.rows - row) as usize),
        ])
    });
    ParquetRecordBatchReader::try_new_with_row_groups(
        &levels,
        &pages,
        texts.batch_rows(),
        selection,
    )
}
