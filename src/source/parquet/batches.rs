//! Batches of the rows of one file, of a bounded size.

use std::sync::Arc;

use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowSelection, RowSelector};
use parquet::arrow::parquet_to_arrow_field_levels;
use parquet::errors::Result;

use super::content::Stamp;
use super::guarded;
use super::headers::CheckedFile;
use super::manifest::InputFile;
use super::pages::{Pages, Texts};
use super::projection::Columns;

/// Which rows of a file are still to be read.
#[derive(Clone)]
pub enum Wanted {
    /// All from this one on.
    From(u64),
    /// These, ascending.
    Single(Vec<u64>),
}

impl Wanted {
    /// The first of them; `None` if there are no single ones left.
    fn first(&self) -> Option<u64> {
        match self {
            Wanted::From(row) => Some(*row),
            Wanted::Single(rows) => rows.first().copied(),
        }
    }

    /// Takes the first so many away.
    fn advance(&mut self, count: usize) {
        match self {
            Wanted::From(row) => *row += count as u64,
            Wanted::Single(rows) => drop(rows.drain(..count.min(rows.len()))),
        }
    }

    /// Them among the rows from `begin` to `end`, which hold them all.
    fn selection(&self, begin: u64, end: u64) -> Option<RowSelection> {
        let skip = |rows: u64| RowSelector::skip(rows as usize);
        match self {
            Wanted::From(row) if *row == begin => None,
            Wanted::From(row) => Some(RowSelection::from(vec![
                skip(row - begin),
                RowSelector::select((end - row) as usize),
            ])),
            Wanted::Single(rows) => {
                let mut selectors = Vec::with_capacity(2 * rows.len());
                let mut next = begin;
                for row in rows {
                    selectors.extend([skip(row - next), RowSelector::select(1)]);
                    next = row + 1;
                }
                // Merges neighbours, and drops what is empty.
                Some(RowSelection::from(selectors))
            }
        }
    }
}

/// Reads rows of a file. Where texts are so long that a batch of them would fill memory, batches
/// become shorter.
pub struct Batches {
    file: InputFile,
    handle: Arc<CheckedFile>,
    opened: Stamp,
    columns: Columns,
    wanted: Wanted,
    texts: Arc<Texts>,
    reader: ParquetRecordBatchReader,
}

impl Batches {
    /// Batches of at most `batch_rows` rows of these columns of `file`, which is just opened.
    ///
    /// # Errors
    /// The file is damaged (65); I/O.
    pub fn open(
        file: &InputFile,
        (handle, opened): (Arc<CheckedFile>, Stamp),
        columns: Columns,
        wanted: Wanted,
        batch_rows: usize,
    ) -> anyhow::Result<Self> {
        let texts = Arc::new(Texts::new(batch_rows));
        let reader = guarded(&file.path, "the file cannot be opened", || {
            reader(file, &handle, &columns, &wanted, &texts)
        })?;
        Ok(Self {
            file: file.clone(),
            handle,
            opened,
            columns,
            wanted,
            texts,
            reader,
        })
    }

    /// The next batch; `None` at the end.
    ///
    /// # Errors
    /// The file was written to since it was opened, or a page is damaged (65); I/O.
    pub fn next(&mut self) -> anyhow::Result<Option<RecordBatch>> {
        loop {
            let decoded = guarded(&self.file.path, "a page cannot be read", || {
                self.reader.next().transpose().map_err(Into::into)
            });
            // First: what is being written may look damaged.
            self.file.refuse_written(self.handle.file(), self.opened)?;
            match decoded {
                Err(_) if self.texts.are_too_long() => {
                    self.texts = Arc::new(self.texts.in_shorter_batches());
                    self.reader = guarded(&self.file.path, "the file cannot be opened", || {
                        let Self {
                            file,
                            handle,
                            columns,
                            wanted,
                            texts,
                            ..
                        } = &*self;
                        reader(file, handle, columns, wanted, texts)
                    })?;
                }
                Ok(Some(batch)) => {
                    self.wanted.advance(batch.num_rows());
                    return Ok(Some(batch));
                }
                decoded => return decoded,
            }
        }
    }
}

/// A reader of some rows of `file`: whole row groups before them are not touched, rows before them
/// in their row group are skipped without being materialised.
fn reader(
    file: &InputFile,
    handle: &Arc<CheckedFile>,
    columns: &Columns,
    wanted: &Wanted,
    texts: &Arc<Texts>,
) -> Result<ParquetRecordBatchReader> {
    let first = wanted.first().unwrap_or(file.rows);
    let mut begin = 0;
    let mut first_group = 0;
    while let Some(rows) = file.groups.rows(first_group) {
        if first < begin + rows {
            break;
        }
        begin += rows;
        first_group += 1;
    }
    let levels = parquet_to_arrow_field_levels(
        file.header.parquet_schema(),
        columns.mask.clone(),
        Some(&columns.fields),
    )?;
    let pages = Pages {
        file: handle.clone(),
        header: file.header.metadata().clone(),
        groups: file.groups.clone(),
        wanted: first_group..file.groups.len(),
        texts: texts.clone(),
    };
    let selection = wanted.selection(begin, file.rows);
    ParquetRecordBatchReader::try_new_with_row_groups(
        &levels,
        &pages,
        texts.batch_rows(),
        selection,
    )
}
