//! Pages that are looked at between their decompression and their decoding.
//!
//! Three things in a page make the decoder allocate far beyond the page's size: counts in the delta
//! encodings, for which it makes room at once; texts, of which one in a dictionary can stand for
//! as many rows as a batch has; and lists, whose equal items take no room in a page. The first are held
//! against the page's own count; against the others, [`Texts`] tells how long the texts of a row are, by the
//! mean length of the row group's lists.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parquet::arrow::arrow_reader::RowGroups;
use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::ColumnDescPtr;

use super::deltas;
use super::groups::Places;
use super::headers::CheckedFile;

/// Bytes of one column's texts in a batch.
const TEXT_BYTES: usize = 64 << 20;

/// Values of a page in a delta encoding, for each of which the decoder makes room. Pages have tens
/// of thousands, few have a million.
const MOST_DELTAS: usize = 1 << 24;

/// What an item of a list takes beside its text, or as the text that is made of a number.
const ITEM_BYTES: usize = 32;

/// The longest texts that were seen, and the batches that they are read in.
pub struct Texts {
    batch_rows: usize,
    longest: AtomicUsize,
}

impl Texts {
    /// None seen yet, to be read in batches of `batch_rows` rows.
    pub fn new(batch_rows: usize) -> Self {
        Self {
            batch_rows,
            longest: AtomicUsize::new(0),
        }
    }

    /// Rows of a batch.
    pub fn batch_rows(&self) -> usize {
        self.batch_rows
    }

    /// Whether a batch of them would fill memory, so that reading stopped.
    pub fn are_too_long(&self) -> bool {
        self.fitting_rows() < self.batch_rows
    }

    /// The same in batches that are short enough.
    pub fn in_shorter_batches(&self) -> Self {
        Self::new(self.fitting_rows())
    }

    fn fitting_rows(&self) -> usize {
        let longest = self.longest.load(Ordering::Relaxed).max(1);
        self.batch_rows.min(TEXT_BYTES / longest).max(1)
    }

    fn note(&self, bytes: usize) -> Result<()> {
        self.longest.fetch_max(bytes, Ordering::Relaxed);
        match self.are_too_long() {
            true => Err(ParquetError::General("its texts are too long".to_owned())),
            false => Ok(()),
        }
    }
}

/// Row groups of a file.
pub struct Pages {
    pub file: Arc<CheckedFile>,
    /// What the footer says beside row groups.
    pub header: Arc<ParquetMetaData>,
    pub groups: Arc<Places>,
    /// Those that are read.
    pub wanted: Range<usize>,
    pub texts: Arc<Texts>,
}

impl RowGroups for Pages {
    fn num_rows(&self) -> usize {
        let rows = self.wanted.clone().map(|group| self.groups.rows(group));
        usize::try_from(rows.flatten().sum::<u64>()).unwrap_or(usize::MAX)
    }

    fn column_chunks(&self, column: usize) -> Result<Box<dyn PageIterator>> {
        Ok(Box::new(ColumnChunks {
            file: self.file.clone(),
            leaf: self.header.file_metadata().schema_descr().column(column),
            column,
            groups: self.groups.clone(),
            wanted: self.wanted.clone(),
            texts: self.texts.clone(),
        }))
    }

    /// None: they are asked for by columns that number rows or row groups, and by nothing else.
    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(self.header.row_groups().iter())
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.header
    }
}

/// One column, row group after row group.
struct ColumnChunks {
    file: Arc<CheckedFile>,
    leaf: ColumnDescPtr,
    column: usize,
    groups: Arc<Places>,
    wanted: Range<usize>,
    texts: Arc<Texts>,
}

impl Iterator for ColumnChunks {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        let group = self.wanted.next()?;
        let rows = self.groups.rows(group)?;
        let chunk = self.groups.chunk(group, self.column)?;
        let rows = usize::try_from(rows).unwrap_or_default();
        let pages = chunk
            .metadata(self.leaf.clone())
            .and_then(|chunk| SerializedPageReader::new(self.file.clone(), &chunk, rows, None));
        Some(pages.map(|pages| {
            Box::new(CheckedPages {
                pages,
                items_of_a_row: match self.leaf.max_rep_level() {
                    0 => None,
                    _ => usize::try_from(chunk.values())
                        .ok()
                        .map(|items| items.div_ceil(rows.max(1)).max(1)),
                },
                column: self.leaf.clone(),
                texts: self.texts.clone(),
            }) as _
        }))
    }
}

impl PageIterator for ColumnChunks {}

/// The pages of a column in one row group.
struct CheckedPages {
    pages: SerializedPageReader<CheckedFile>,
    column: ColumnDescPtr,
    /// Of a column of lists.
    items_of_a_row: Option<usize>,
    texts: Arc<Texts>,
}

impl CheckedPages {
    /// Notes how long a text is; of a column of lists, how long a list of such is.
    fn note(&self, bytes: usize) -> Result<()> {
        self.texts.note(match self.items_of_a_row {
            None => bytes,
            Some(items) => items.saturating_mul(bytes.saturating_add(ITEM_BYTES)),
        })
    }

    fn checked(&self, page: Page) -> Result<Page> {
        let is_text = self.column.physical_type() == Type::BYTE_ARRAY;
        let values = page.num_values() as usize;
        match page.encoding() {
            _ if page.is_dictionary_page() && is_text => {
                self.note(longest(page.buffer()))?;
            }
            Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY => {
                let counts = self.values(&page).and_then(|values| match page.encoding() {
                    Encoding::DELTA_BYTE_ARRAY => deltas::counts_of_two(values),
                    _ => deltas::count(values).map(|count| [count, count]),
                });
                let most = values.min(MOST_DELTAS) as u64;
                if counts.is_none_or(|counts| counts.iter().any(|count| *count > most)) {
                    return Err(ParquetError::General(format!(
                        "a page of {values} values claims to hold more"
                    )));
                }
                self.note(page.buffer().len() / values.max(1))?;
            }
            Encoding::PLAIN if is_text => {
                self.note(page.buffer().len() / values.max(1))?;
            }
            _ if self.items_of_a_row.is_some() => self.note(0)?,
            _ => {}
        }
        Ok(page)
    }

    /// The bytes of a data page after its levels.
    fn values<'page>(&self, page: &'page Page) -> Option<&'page [u8]> {
        let mut bytes: &[u8] = page.buffer();
        match page {
            Page::DataPage { .. } => {
                let levels = [self.column.max_rep_level(), self.column.max_def_level()];
                for _ in levels.into_iter().filter(|levels| *levels > 0) {
                    let (length, rest) = bytes.split_first_chunk::<4>()?;
                    bytes = rest.get(u32::from_le_bytes(*length) as usize..)?;
                }
                Some(bytes)
            }
            Page::DataPageV2 {
                def_levels_byte_len,
                rep_levels_byte_len,
                ..
            } => bytes.get(def_levels_byte_len.checked_add(*rep_levels_byte_len)? as usize..),
            Page::DictionaryPage { .. } => Some(bytes),
        }
    }
}

/// Length of the longest text of a dictionary.
fn longest(mut dictionary: &[u8]) -> usize {
    let mut longest = 0;
    while let Some((length, rest)) = dictionary.split_first_chunk::<4>() {
        let length = (u32::from_le_bytes(*length) as usize).min(rest.len());
        longest = longest.max(length);
        dictionary = &rest[length..];
    }
    longest
}

impl Iterator for CheckedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        page.map(|page| self.checked(page)).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn supports_deferred_dictionary(&self) -> bool {
        self.pages.supports_deferred_dictionary()
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        let page = self.pages.take_deferred_dictionary()?;
        page.map(|page| self.checked(page)).transpose()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}
