//! A run's input, whatever it is: files, a table or query of Postgres, rows of the queue.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::Schema;
use serde_json::{Value, json};

use crate::database::postgres::{Address, Limits, Pool};
use crate::database::read_url;
use crate::error::Failure;
use crate::interrupt::Interrupt;
use crate::job::{ColumnType, Job, LogicalDate, PostgresRelation, PostgresSource, SourceKind};
use crate::ledger::{Access, Ledger, ShardSlice, Target, queue_ids};
use crate::report::InputIdentity;
use crate::source::columns::ColumnUse;
use crate::source::parquet::{
    ChunkReader, ParquetInput, PickedReader, has_dictionary, projection as projection_of_files,
};
use crate::source::postgres::{PostgresInput, PostgresReader, Relation, part_of_locator};
use crate::source::queue::{self, QueueRecord};
use crate::source::{Chunk, Projection};

/// An input that is opened and looked at, but for files not yet fixed.
#[derive(Clone)]
pub enum Input {
    /// Parquet files, fixed by their footers.
    Parquet(Arc<ParquetInput>),
    /// A table or query; planning fixes the set of ids.
    Postgres(Arc<PostgresInput>),
    /// The job's rows of the queue; planning marks them.
    Queue(Arc<QueueInput>),
}

/// The queue as an input.
pub struct QueueInput {
    target: Target,
    columns: BTreeMap<String, ColumnType>,
}

impl QueueInput {
    /// Number of the job's rows that wait.
    ///
    /// # Errors
    /// The database's.
    pub fn waiting(&self, job: &str) -> anyhow::Result<u64> {
        let pending = self.target.look(|ledger| ledger.pending_in_queue(job))?;
        Ok(pending.unwrap_or(0))
    }

    /// Keys of the first `limit` rows that a run of the job would take.
    ///
    /// # Errors
    /// The database's.
    pub fn first_waiting(&self, job: &str, limit: u64) -> anyhow::Result<Vec<i64>> {
        let first = self
            .target
            .look(|ledger| ledger.first_in_queue(job, limit))?;
        Ok(first.unwrap_or_default())
    }
}

impl Input {
    /// Opens the input of `job` for `date`. The queue, and tables of which nothing else is said,
    /// are in the ledger's database; without one, only other inputs can be opened.
    ///
    /// # Errors
    /// No input (66), a broken one (65), a setting at fault (78), an unreachable database (69).
    pub fn open(
        job: &Job,
        date: &LogicalDate,
        limit: Option<u64>,
        ledger: Option<&Target>,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Self> {
        match &job.source.kind {
            SourceKind::Parquet { path, strict } => {
                let input = ParquetInput::open(&date.expand(path)?, limit, *strict, interrupt)?;
                Ok(Self::Parquet(Arc::new(input)))
            }
            SourceKind::Postgres(source) => {
                let pool = pool(job, source, ledger, interrupt)?;
                let relation = match &source.relation {
                    PostgresRelation::Table { table, condition } => Relation::Table {
                        table: table.clone(),
                        condition: condition.clone(),
                    },
                    PostgresRelation::Query(query) => Relation::Query(query.clone()),
                };
                let input = PostgresInput::open(pool, relation, date)?;
                Ok(Self::Postgres(Arc::new(input)))
            }
            SourceKind::Queue(source) => Ok(Self::Queue(Arc::new(QueueInput {
                target: ledger.ok_or_else(no_ledger)?.clone(),
                columns: source.columns.clone(),
            }))),
        }
    }

    /// Number of records, where it is fixed already.
    pub fn rows(&self) -> Option<u64> {
        match self {
            Self::Parquet(input) => Some(input.rows()),
            Self::Postgres(_) | Self::Queue(_) => None,
        }
    }

    /// Columns that there are; `None` where any may be.
    pub fn schema(&self) -> Option<Schema> {
        match self {
            Self::Parquet(input) => Some(input.schema()),
            Self::Postgres(input) => Some(input.schema()),
            Self::Queue(_) => None,
        }
    }

    /// The columns to read, each in the type of its use.
    ///
    /// # Errors
    /// A column is missing or can not serve (65 or 78).
    pub fn projection(&self, uses: Vec<ColumnUse>) -> anyhow::Result<Projection> {
        match self {
            Self::Parquet(input) => Ok(projection_of_files(input, uses)?
                .with_dictionaries(|column| has_dictionary(input, &column.name))),
            Self::Postgres(input) => input.projection(uses),
            Self::Queue(input) => queue::projection(uses, &input.columns),
        }
    }

    /// What a fingerprint covers of the input: of files their list, of a table or query what is
    /// asked for, of the queue nothing but how its payloads are read.
    pub fn identity(&self) -> Vec<(&'static str, Value)> {
        match self {
            Self::Parquet(input) => vec![
                ("kind", json!("parquet")),
                ("manifest", json!(input.digest())),
            ],
            Self::Postgres(input) => vec![
                ("kind", json!("postgres")),
                ("relation", json!(input.digest())),
            ],
            Self::Queue(input) => {
                let columns = input.columns.iter();
                let columns: BTreeMap<_, _> = columns
                    .map(|(name, column)| (name, format!("{column:?}").to_lowercase()))
                    .collect();
                vec![("kind", json!("queue")), ("columns", json!(columns))]
            }
        }
    }

    /// The input as the report tells it.
    pub fn report(&self, fingerprint: &str) -> InputIdentity {
        let (source, files, bytes, manifest) = match self {
            Self::Parquet(input) => (
                "parquet".to_owned(),
                input.files().len() as u64,
                input.files().iter().map(|file| file.size_bytes).sum(),
                input.digest(),
            ),
            Self::Postgres(input) => (input.describe(), 0, 0, input.digest()),
            Self::Queue(_) => ("queue".to_owned(), 0, 0, String::new()),
        };
        InputIdentity {
            source,
            files,
            bytes,
            manifest,
            fingerprint: fingerprint.to_owned(),
        }
    }

    /// Some of a shard's records, given by their offsets in it: what the part's own `input` is.
    ///
    /// # Errors
    /// The shard's `input` is not of this source, or of another version (70 or 78).
    pub fn part(&self, input: &[u8], offsets: Range<usize>) -> anyhow::Result<Vec<u8>> {
        if input.is_empty() {
            return Ok(Vec::new());
        }
        match self {
            Self::Postgres(_) => part_of_locator(input, offsets),
            Self::Parquet(_) | Self::Queue(_) => {
                let part = input.get(offsets.start * NUMBER_BYTES..offsets.end * NUMBER_BYTES);
                let part =
                    part.ok_or_else(|| Failure::internal("a shard names too few records"))?;
                Ok(part.to_vec())
            }
        }
    }

    /// A reader of the records of claimed shards.
    pub fn reader(&self, projection: &Arc<Projection>, chunk_rows: usize) -> Reader {
        match self {
            Self::Parquet(input) => Reader::Parquet(Box::new(FileReader {
                reader: ChunkReader::new(input.clone(), projection.clone(), chunk_rows),
                picked: PickedReader::new(input.clone(), projection.clone(), chunk_rows),
                end: None,
            })),
            Self::Postgres(input) => Reader::Postgres(PostgresReader::new(
                input.clone(),
                projection.clone(),
                chunk_rows,
            )),
            Self::Queue(input) => Reader::Queue(QueueReader {
                input: input.clone(),
                projection: projection.clone(),
                chunk_rows,
                ledger: None,
                keys: Vec::new(),
                first_ordinal: 0,
            }),
        }
    }
}

fn no_ledger() -> Failure {
    Failure::internal("an input in the ledger's database was opened without it")
}

/// Connections to the source: its own, or the ledger's.
fn pool(
    job: &Job,
    source: &PostgresSource,
    ledger: Option<&Target>,
    interrupt: &Interrupt,
) -> anyhow::Result<Pool> {
    let url = match (&source.url, &source.url_file) {
        (Some(url), _) => url.clone(),
        (None, Some(path)) => read_url("[source] url_file", path)?,
        (None, None) => {
            return ledger
                .ok_or_else(no_ledger)?
                .pool()
                .cloned()
                .ok_or_else(|| {
                    Failure::config(
                    "[source] kind = \"postgres\" names no url, and the ledger is an SQLite file",
                )
                .hint("add [source] url or url_file, or name a Postgres database with --database")
                .into()
                });
        }
    };
    let address = Address::parse(&url, source.password_command.as_deref())?;
    let limits = Limits {
        connections: job.sink.connections,
        patience: job.sink.retry_for,
    };
    Ok(Pool::new(address, limits, interrupt.clone()))
}

/// Reads the records of one shard after another.
pub enum Reader {
    /// From files.
    Parquet(Box<FileReader>),
    /// From a table or query.
    Postgres(PostgresReader),
    /// From the queue.
    Queue(QueueReader),
}

impl Reader {
    /// Makes the shard's records the next to read.
    ///
    /// # Errors
    /// The shard's `input` is not of this source.
    pub fn begin(&mut self, slice: &ShardSlice) -> anyhow::Result<()> {
        match self {
            Self::Parquet(reader) => {
                reader.begin(slice);
                Ok(())
            }
            Self::Postgres(reader) => {
                reader.begin(slice.first_ordinal, slice.records, &slice.input)
            }
            Self::Queue(reader) => reader.begin(slice),
        }
    }

    /// The shard's next records; `None` at its end.
    ///
    /// # Errors
    /// The input is damaged or changed (65); I/O; the database's.
    pub fn next_chunk(&mut self) -> anyhow::Result<Option<Chunk>> {
        match self {
            Self::Parquet(reader) => reader.next_chunk(),
            Self::Postgres(reader) => reader.next(),
            Self::Queue(reader) => reader.next_chunk(),
        }
    }
}

/// Reads rows of files, whole slices or single ones.
pub struct FileReader {
    /// Goes on where it stands.
    reader: ChunkReader,
    /// For shards of single rows.
    picked: PickedReader,
    /// Ordinal after the shard's last; `None` if its rows are single ones.
    end: Option<u64>,
}

impl FileReader {
    fn begin(&mut self, slice: &ShardSlice) {
        if slice.input.is_empty() {
            self.reader.seek(slice.first_ordinal);
            self.end = Some(slice.first_ordinal + slice.records);
        } else {
            self.picked.begin(slice.first_ordinal, rows(&slice.input));
            self.end = None;
        }
    }

    fn next_chunk(&mut self) -> anyhow::Result<Option<Chunk>> {
        match self.end {
            Some(end) => self.reader.next(end),
            None => self.picked.next_chunk(),
        }
    }
}

/// Bytes of each number in the `input` of a shard of single rows, or of rows of the queue.
const NUMBER_BYTES: usize = 8;

/// The `input` of a shard of the queue's rows, given by their keys.
pub(super) fn keys_as_input(keys: &[i64]) -> Vec<u8> {
    keys.iter().flat_map(|key| key.to_le_bytes()).collect()
}

/// The `input` of a shard of single rows, given by their ordinals in the input.
pub fn rows_as_input(rows: &[u64]) -> Vec<u8> {
    rows.iter().flat_map(|row| row.to_le_bytes()).collect()
}

fn rows(input: &[u8]) -> Vec<u64> {
    let (rows, _) = input.as_chunks::<NUMBER_BYTES>();
    rows.iter().map(|row| u64::from_le_bytes(*row)).collect()
}

/// Reads rows of the queue by their keys.
pub struct QueueReader {
    input: Arc<QueueInput>,
    projection: Arc<Projection>,
    chunk_rows: usize,
    /// Opened by the thread that reads.
    ledger: Option<Ledger>,
    keys: Vec<i64>,
    first_ordinal: u64,
}

impl QueueReader {
    fn begin(&mut self, slice: &ShardSlice) -> anyhow::Result<()> {
        self.keys = queue_ids(&slice.input);
        self.first_ordinal = slice.first_ordinal;
        if self.keys.len() as u64 == slice.records {
            return Ok(());
        }
        Err(Failure::internal(format!(
            "shard {} has {} records, but names {} rows of the queue",
            slice.shard_no,
            slice.records,
            self.keys.len()
        ))
        .into())
    }

    fn next_chunk(&mut self) -> anyhow::Result<Option<Chunk>> {
        if self.keys.is_empty() {
            return Ok(None);
        }
        let rest = self.keys.split_off(self.chunk_rows.min(self.keys.len()));
        let keys = std::mem::replace(&mut self.keys, rest);
        let ledger = match &mut self.ledger {
            Some(ledger) => ledger,
            None => self.ledger.insert(self.input.target.open(Access::Look)?),
        };
        let mut found: HashMap<i64, (String, String)> = ledger
            .queue_records(&keys)?
            .into_iter()
            .map(|row| (row.queue_id, (row.record_id, row.payload)))
            .collect();
        let records: Vec<QueueRecord> = keys
            .iter()
            .map(|key| match found.remove(key) {
                Some((record_id, payload)) => QueueRecord {
                    record_id,
                    payload: Some(payload),
                },
                // Its id went with it.
                None => QueueRecord {
                    record_id: format!("queue_id {key}"),
                    payload: None,
                },
            })
            .collect();
        let chunk = queue::chunk(&self.projection, self.first_ordinal, &records)?;
        self.first_ordinal += records.len() as u64;
        Ok(Some(chunk))
    }
}
