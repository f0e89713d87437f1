//! Reading single rows, wherever in the input they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::DAMAGED;
use super::batches::{Batches, Wanted};
use super::manifest::{InputFile, ParquetInput};
use super::projection::Columns;
use crate::error::Failure;
use crate::source::{Chunk, Projection};

/// Reads rows by their ordinals in the input. Pages without any of them are not decoded, and each file
/// is opened once a shard.
pub struct PickedReader {
    input: Arc<ParquetInput>,
    projection: Arc<Projection>,
    chunk_rows: usize,
    /// Ordinals in the input, ascending.
    rows: Vec<u64>,
    /// How many of them were read.
    position: usize,
    /// Ordinal in the run of the first of them.
    first_ordinal: u64,
    open: Option<(usize, Batches)>,
}

impl PickedReader {
    /// A reader of chunks of at most `chunk_rows` rows.
    pub fn new(input: Arc<ParquetInput>, projection: Arc<Projection>, chunk_rows: usize) -> Self {
        Self {
            input,
            projection,
            chunk_rows,
            rows: Vec::new(),
            position: 0,
            first_ordinal: 0,
            open: None,
        }
    }

    /// Makes these rows, given by their ordinals in the input, ascending, the next to read. In the
    /// run they are numbered from `first_ordinal` on.
    pub fn begin(&mut self, first_ordinal: u64, rows: Vec<u64>) {
        self.rows = rows;
        self.position = 0;
        self.first_ordinal = first_ordinal;
        self.open = None;
    }

    /// The next chunk; `None` after the last row.
    ///
    /// # Errors
    /// A file changed since it was listed, or a page is damaged (65); I/O.
    pub fn next_chunk(&mut self) -> anyhow::Result<Option<Chunk>> {
        let Some(&row) = self.rows.get(self.position) else {
            return Ok(None);
        };
        let input = self.input.clone();
        let beyond = || Failure::internal(format!("row {row} is beyond the input"));
        let (index, file) = input.file_of(row).ok_or_else(beyond)?;
        let open = match self.open.take() {
            Some((opened, rows)) if opened == index => rows,
            _ => self.open_at(index, file)?,
        };
        let (_, open) = self.open.insert((index, open));
        let batch = open.next()?.filter(|batch| {
            let left = self.rows.len() - self.position;
            (1..=left).contains(&batch.num_rows())
        });
        let rows = batch.ok_or_else(|| {
            Failure::data(format!(
                "{} does not hold the rows that its footer promises",
                file.path.display()
            ))
            .hint(DAMAGED)
        })?;
        let rows = self
            .projection
            .canonical(&rows)
            .map_err(|error| error.context(file.path.display().to_string()))?;
        let first_ordinal = self.first_ordinal + self.position as u64;
        self.position += rows.num_rows();
        Ok(Some(Chunk {
            first_ordinal,
            rows,
            unreadable: BTreeMap::new(),
        }))
    }

    /// Opens the file with `index` for all rows from the next one on that are in it.
    fn open_at(&self, index: usize, file: &InputFile) -> anyhow::Result<Batches> {
        let end = file.first_ordinal + file.rows;
        let wanted = self.rows[self.position..]
            .iter()
            .take_while(|row| **row < end)
            .map(|row| row - file.first_ordinal);
        let opened = self.input.open_unchanged(index)?;
        let wanted = Wanted::Single(wanted.collect());
        Batches::open(
            file,
            opened,
            Columns::of(&self.projection, file),
            wanted,
            self.chunk_rows,
        )
    }
}
