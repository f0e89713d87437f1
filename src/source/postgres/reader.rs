//! Reading the records of a shard, as they are now.
//!
//! Where rows have places, a chunk is the range of blocks that its records were in when the run
//! was planned: one sequential read, of which nearly every row is wanted and in order. Records
//! that are not there (an update moves a row, a rewrite all of them) are looked up by id, and so
//! is everything where there are no places, or where they are so scattered that an index is better.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arrow::array::{Array, StringArray};

use super::assemble::{assemble, cut};
use super::copy::TupleReader;
use super::input::{PostgresInput, set};
use super::locator::Located;
use super::matching::Matcher;
use super::rows::RowBuilder;
use super::statements::{self, Among, Selection, array_literal};
use super::types::{SourceColumn, Stored};
use crate::database::postgres::Session;
use crate::database::{QueryError, Retry};
use crate::error::Failure;
use crate::source::columns::Purpose;
use crate::source::{Chunk, Projection};

/// How often a chunk is tried. The pool itself waits for a server that is away.
/// What failed after so long would fail again, and somebody may want to stop.
const LONGEST_TROUBLE: Duration = Duration::from_mins(5);
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Beyond this many rows for each record, an index finds the records faster than reading all rows.
const MOST_ROWS_PER_RECORD: f64 = 8.0;

/// Chunks that are looked up by id at once: each look-up may run the whole query.
const CHUNKS_BY_ID: usize = 4;

/// Reads shards, one after the other. Holds no connection between chunks.
pub struct PostgresReader {
    input: Arc<PostgresInput>,
    projection: Arc<Projection>,
    chunk_rows: usize,
    shard: Option<Shard>,
    /// What was read and not yet asked for.
    ready: VecDeque<Chunk>,
}

struct Shard {
    located: Located,
    first_ordinal: u64,
    /// How many of its records were read.
    position: usize,
    by_blocks: bool,
}

impl PostgresReader {
    /// A reader of chunks of at most `chunk_rows` rows.
    pub fn new(input: Arc<PostgresInput>, projection: Arc<Projection>, chunk_rows: usize) -> Self {
        Self {
            input,
            projection,
            chunk_rows: chunk_rows.max(1),
            shard: None,
            ready: VecDeque::new(),
        }
    }

    /// Makes a shard's records the next to be read.
    ///
    /// # Errors
    /// Another version planned the run (78); the locator is damaged or of another shard (70).
    pub fn begin(
        &mut self,
        first_ordinal: u64,
        records: u64,
        locator: &[u8],
    ) -> anyhow::Result<()> {
        self.ready.clear();
        self.shard = None;
        let located = Located::decode(locator)?;
        if located.records() as u64 != records {
            let problem = format!(
                "a shard of {records} records remembers {}",
                located.records()
            );
            return Err(Failure::internal(problem).into());
        }
        let (id, _) = self.id_column()?;
        let facts = self.input.facts();
        let by_blocks = facts.has_places
            && located.blocks.as_ref().is_some_and(|blocks| {
                let is_indexed = facts.indexed.contains(&id);
                !(is_indexed && are_scattered(blocks, self.chunk_rows, facts.rows_per_block))
            });
        self.shard = Some(Shard {
            located,
            first_ordinal,
            position: 0,
            by_blocks,
        });
        Ok(())
    }

    /// The next chunk of the shard; `None` at its end. Its records are those of the plan, without
    /// gaps; one that is not in the input any more is unreadable.
    ///
    /// # Errors
    /// Those of the database, if trying again does not help.
    #[expect(
        clippy::should_implement_trait,
        reason = "an error does not end it: the same chunk can be asked for again"
    )]
    pub fn next(&mut self) -> anyhow::Result<Option<Chunk>> {
        if self.ready.is_empty()
            && let Some(mut shard) = self.shard.take()
        {
            let chunks = if shard.by_blocks { 1 } else { CHUNKS_BY_ID };
            let begin = shard.position;
            let end = shard
                .located
                .records()
                .min(begin + self.chunk_rows.saturating_mul(chunks));
            let fetched = match begin < end {
                true => self.fetch_with_patience(&shard, begin..end).map(Some),
                false => Ok(None),
            };
            // Also after an error: it must not look like the shard's end.
            let fetched = self.input.explain(fetched);
            if fetched.is_ok() {
                shard.position = end;
            }
            self.shard = Some(shard);
            if let Some(chunk) = fetched? {
                self.ready.extend(cut(chunk, self.chunk_rows));
            }
        }
        Ok(self.ready.pop_front())
    }

    fn fetch_with_patience(&self, shard: &Shard, records: Range<usize>) -> anyhow::Result<Chunk> {
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            match self.fetch(shard, records.clone()) {
                Err(error) if is_worth_a_retry(&error) && begun.elapsed() < LONGEST_TROUBLE => {
                    tracing::warn!("reading from {} again: {error:#}", self.input.describe());
                }
                other => return other,
            }
            thread::sleep(pause);
            pause *= 2;
        }
        self.fetch(shard, records)
    }

    fn fetch(&self, shard: &Shard, records: Range<usize>) -> anyhow::Result<Chunk> {
        let selection = self.input.select(&self.projection)?;
        let ids = shard.located.ids.slice(records.start, records.len());
        let (id, stored) = self.id_column()?;
        let mut search = Search {
            matcher: Matcher::new(&ids, stored)?,
            rows: RowBuilder::new(selection.columns()),
            id: selection
                .columns()
                .position(|(column, _)| column.name == id),
            selection: &selection,
        };
        let blocks = match &shard.located.blocks {
            Some(blocks) if shard.by_blocks => span(&blocks[records.clone()]),
            _ => None,
        };
        // Records without ids are in no need of the database.
        if ids.null_count() < ids.len() {
            search.run(&self.input, &ids, blocks)?;
        }
        let rows = search.rows.finish()?;
        let first_ordinal = shard.first_ordinal + records.start as u64;
        assemble(
            &self.projection,
            first_ordinal,
            &ids,
            search.matcher.rows(),
            rows,
        )
    }

    /// Name of the column of ids, and what it is stored as.
    fn id_column(&self) -> anyhow::Result<(String, Stored)> {
        let mut uses = self.projection.uses().iter();
        let column = uses
            .find(|column| column.purpose == Purpose::Identity)
            .ok_or_else(|| Failure::internal("records without ids can not be read again"))?;
        let selection = self.input.select(&self.projection)?;
        let mut columns = selection.columns();
        let found = columns.find(|(selected, _)| selected.name == column.name);
        let (_, stored) = found.ok_or_else(|| Failure::internal("the ids are not read"))?;
        Ok((column.name.clone(), stored))
    }
}

/// Rows on their way to their records.
struct Search<'a> {
    matcher: Matcher,
    rows: RowBuilder,
    selection: &'a Selection<'a>,
    /// Where the id is among the columns.
    id: Option<usize>,
}

impl Search<'_> {
    fn run(
        &mut self,
        input: &PostgresInput,
        ids: &StringArray,
        blocks: Option<(u32, u32)>,
    ) -> anyhow::Result<()> {
        let id: &SourceColumn = self
            .id
            .and_then(|id| self.selection.columns().nth(id))
            .map(|(column, _)| column)
            .ok_or_else(|| Failure::internal("the ids are not read"))?;
        let range = blocks.map(|(first, last)| {
            [
                format!("({first},0)"),
                format!("({},0)", last.saturating_add(1)),
            ]
        });
        let settings = match &range {
            Some([first, end]) => vec![(statements::FIRST, &**first), (statements::END, &**end)],
            None => Vec::new(),
        };
        // An id may stand in rows that are no records too: those that meet the condition go first.
        input.read(&settings, |session| {
            if range.is_some() {
                self.copy(session, input.relation().range(self.selection))?;
            }
            let among = match &range {
                Some(_) => Among::InputBeyondRange,
                None => Among::Input,
            };
            self.look_up(session, input, ids, id, among)
        })?;
        if self.matcher.missing().next().is_none() {
            return Ok(());
        }
        // Rows are not gone for sure: a transaction that had to wait for somebody who rewrote or
        // replaced the table finds it empty, because its moment is before that.
        input.read(&[], |session| {
            self.look_up(session, input, ids, id, Among::Input)?;
            // What is in the input was settled by the plan, whether it meets the condition or not;
            // but where an id does not name one row, another row of that id is another record.
            match input.facts().unique.contains(&id.name) {
                true => self.look_up(session, input, ids, id, Among::Everything),
                false => Ok(()),
            }
        })
    }

    /// Looks the records up that have no row yet.
    fn look_up(
        &mut self,
        session: &mut Session,
        input: &PostgresInput,
        ids: &StringArray,
        id: &SourceColumn,
        among: Among,
    ) -> anyhow::Result<()> {
        let missing = self.matcher.missing().map(|offset| ids.value(offset));
        let missing = array_literal(missing);
        if missing == "{}" {
            return Ok(());
        }
        set(session, &[(statements::IDS, &missing)])?;
        let statement = input.relation().by_ids(self.selection, id, among)?;
        self.copy(session, statement)
    }

    fn copy(&mut self, session: &mut Session, statement: String) -> anyhow::Result<()> {
        let mut tuples = TupleReader::new(self.selection.width());
        let id = self.id.unwrap_or_default();
        session.copy_out(statement, &mut |piece| {
            tuples.push(piece, &mut |tuple| {
                let row = u32::try_from(self.rows.rows())?;
                if self.matcher.place(tuple.field(id), row) {
                    self.rows.push(tuple, 0)?;
                }
                Ok(())
            })
        })?;
        Ok(tuples.finish()?)
    }
}

fn is_worth_a_retry(error: &anyhow::Error) -> bool {
    let query_error = error.downcast_ref::<QueryError>();
    query_error.is_some_and(|error| error.retry() == Retry::Transaction)
}

/// First and last block.
fn span(blocks: &[u32]) -> Option<(u32, u32)> {
    let first = blocks.iter().min()?;
    let last = blocks.iter().max()?;
    Some((*first, *last))
}

/// Whether reading ranges of blocks would read many blocks in which no record was, or many rows
/// that are no records.
fn are_scattered(blocks: &[u32], chunk_rows: usize, rows_per_block: f64) -> bool {
    let (mut read, mut needed) = (0, 0);
    for chunk in blocks.chunks(chunk_rows) {
        if let Some((first, last)) = span(chunk) {
            read += u64::from(last - first) + 1;
            let distinct: BTreeSet<u32> = chunk.iter().copied().collect();
            needed += 2 * distinct.len() as u64 + 2;
        }
    }
    let rows = read as f64 * rows_per_block;
    read > needed || rows > MOST_ROWS_PER_RECORD * blocks.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_scattered_if_most_of_a_range_is_not_needed() {
        let dense: Vec<u32> = (0..4096).map(|row| row / 30).collect();
        assert!(!are_scattered(&dense, 512, 31.0));
        let every_fifth: Vec<u32> = (0..4096).map(|row| row * 5).collect();
        assert!(are_scattered(&every_fifth, 512, 0.0));
        let shuffled: Vec<u32> = (0..4096_u32)
            .map(|row| row.wrapping_mul(2_654_435_761) % 5000)
            .collect();
        assert!(are_scattered(&shuffled, 512, 0.0));
        let one_in_each: Vec<u32> = (0..4096).collect();
        assert!(are_scattered(&one_in_each, 512, 31.0));
        assert!(!are_scattered(&one_in_each, 512, 0.0));
        assert!(!are_scattered(&[], 512, 31.0));
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let error = |retry| {
            let error = QueryError::new(Failure::internal("x"), retry);
            anyhow::Error::from(error).context("[source] query")
        };
        assert!(is_worth_a_retry(&error(Retry::Transaction)));
        assert!(!is_worth_a_retry(&error(Retry::Never)));
        assert!(!is_worth_a_retry(&Failure::internal("x").into()));
    }
}
