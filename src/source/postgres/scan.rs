//! The one scan that fixes what a run's input is.

use std::collections::BTreeMap;

use super::copy::{Tuple, TupleReader};
use super::input::PostgresInput;
use super::rows::{RowBuilder, Rows};
use crate::error::Failure;
use crate::source::{Chunk, Projection};

/// Takes a chunk, and the physical block of each of its rows if there is one.
pub type ScanVisitor<'a> = dyn FnMut(&Chunk, Option<&[u32]>) -> anyhow::Result<()> + 'a;

/// Rows on their way into chunks.
struct Scan<'a, 'v> {
    projection: &'a Projection,
    chunk_rows: usize,
    visit: &'a mut ScanVisitor<'v>,
    rows: RowBuilder,
    blocks: Option<Vec<u32>>,
    ordinal: u64,
    /// Why `visit` refused to go on.
    refused: Option<anyhow::Error>,
}

/// What the server expects of a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Rows.
    pub rows: u64,
    /// Bytes of the columns that are read.
    pub bytes: u64,
}

impl PostgresInput {
    /// Rows and bytes that the server's statistics expect of reading `projection`.
    ///
    /// # Errors
    /// The database's.
    pub fn expected(&self, projection: &Projection) -> anyhow::Result<Expected> {
        let selection = self.select(projection)?;
        let (rows, width) = self.planned(self.relation().estimate(selection.list()))?;
        Ok(Expected {
            rows: rows as u64,
            bytes: (rows * width) as u64,
        })
    }

    /// Reads all rows once, in one snapshot, and passes them on in order: their numbers in this
    /// order are the ordinals. `limit` is the most that are read.
    ///
    /// # Errors
    /// Those of the database, among them the loss of the connection, after which nothing is tried
    /// again: what was visited can not be taken back. Those of `visit`.
    pub fn scan(
        &self,
        projection: &Projection,
        chunk_rows: usize,
        limit: Option<u64>,
        visit: &mut ScanVisitor<'_>,
    ) -> anyhow::Result<()> {
        let selection = self.select(projection)?;
        let has_places = self.facts().has_places;
        let statement = self.relation().scan(&selection, has_places, limit);
        let mut tuples = TupleReader::new(selection.width() + usize::from(has_places));
        let mut scan = Scan {
            projection,
            chunk_rows: chunk_rows.max(1),
            visit,
            rows: RowBuilder::new(selection.columns()),
            blocks: has_places.then(Vec::new),
            ordinal: 0,
            refused: None,
        };
        // Rows come in the order of their places only to the one process that reads them all.
        let in_order: &[(&str, &str)] = &[
            ("synchronize_seqscans", "off"),
            ("max_parallel_workers_per_gather", "0"),
        ];
        let settings = if has_places { in_order } else { &[] };
        let read = self.read(settings, |session| {
            session.copy_out(statement, &mut |piece| {
                tuples.push(piece, &mut |tuple| scan.push(tuple))
            })?;
            tuples.finish()?;
            scan.flush()
        });
        match scan.refused.take() {
            Some(error) => Err(error),
            None => self.explain(read),
        }
    }
}

impl Scan<'_, '_> {
    fn push(&mut self, tuple: &Tuple<'_>) -> anyhow::Result<()> {
        if let Some(blocks) = &mut self.blocks {
            blocks.push(block(tuple)?);
        }
        let first = usize::from(self.blocks.is_some());
        self.rows.push(tuple, first)?;
        match self.rows.rows() == self.chunk_rows {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let count = self.rows.rows();
        if count == 0 {
            return Ok(());
        }
        let Rows { batch, unreadable } = self.rows.finish()?;
        let chunk = Chunk {
            first_ordinal: self.ordinal,
            rows: self.projection.canonical(&batch)?,
            unreadable: BTreeMap::from_iter(unreadable),
        };
        if let Err(error) = (self.visit)(&chunk, self.blocks.as_deref()) {
            self.refused = Some(error);
            anyhow::bail!("the scan was stopped");
        }
        self.ordinal += count as u64;
        if let Some(blocks) = &mut self.blocks {
            blocks.clear();
        }
        Ok(())
    }
}

/// The block of a row, whose place is its first field.
fn block(tuple: &Tuple<'_>) -> Result<u32, Failure> {
    let place = tuple.field(0).and_then(|place| place.first_chunk::<4>());
    let block = place.map(|block| u32::from_be_bytes(*block));
    block.ok_or_else(|| Failure::internal("a row has no place"))
}
