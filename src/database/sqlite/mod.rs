//! SQLite: one file, nothing to set up, one host, one writer.
//!
//! The file is in WAL mode with `synchronous = FULL` (in WAL mode NORMAL may lose the last commits
//! when the power fails). Writers hold an advisory lock on a file beside it for as long as they
//! live, so that a second start finds out at once; the operating system drops the lock with the
//! process, however it dies. Readers need no lock.

mod bound;
mod errors;
mod file;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::TryStreamExt;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteRow, SqliteSynchronous};
use sqlx::{
    Column, ConnectOptions, Connection as _, QueryBuilder, Row as _, Sqlite, TypeInfo, ValueRef,
};
use tokio::runtime::Runtime;

use super::encoded::Form;
use super::{Begin, Cell, Connection, EncodedRows, QueryError, Row, Statement, Value};
use crate::error::{Class, Failure};
use crate::interrupt::Interrupt;
use bound::INSERT_ROWS;
use errors::Classified;

pub use bound::{Binder, Bound};
pub use file::{Turn, file_of, has_writer};

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Reading: the file must be there.
    ReadOnly,
    /// Writing: creates the file, and keeps other writers out.
    ReadWrite(Turn),
}

/// An open SQLite file.
pub struct SqliteConnection {
    runtime: Runtime,
    connection: sqlx::SqliteConnection,
    name: String,
    /// Held, not read: dropping it lets the next writer in.
    _lock: Option<File>,
}

/// Older versions can lose commits in WAL mode (fixed in 3.51.3).
const OLDEST_SAFE_SQLITE: (u32, u32, u32) = (3, 51, 3);

/// Page cache, in bytes: ids come in any order, so a shard's rows go to pages all over the table. All of it
/// is taken once the table is as large.
pub const CACHE_BYTES: u64 = 32 << 20;

/// Pages of the write-ahead log after which it is folded into the file: a page that several shards
/// write to is folded once.
const WAL_PAGES: &str = "8000";

impl SqliteConnection {
    /// Opens the file.
    ///
    /// # Errors
    /// Another writer (75); no file to read from (66); I/O (74).
    pub fn open(path: &Path, mode: Mode, interrupt: &Interrupt) -> anyhow::Result<Self> {
        let lock = match mode {
            Mode::ReadWrite(turn) => {
                file::refuse_missing_directory(path)?;
                Some(file::lock(path, turn, interrupt)?)
            }
            Mode::ReadOnly if path.exists() => None,
            Mode::ReadOnly => {
                return Err(Failure::new(
                    Class::NoInput,
                    format!("there is no database at {}", path.display()),
                )
                .hint("name it with --database or DATABASE_URL; `lamplighter run` creates it")
                .into());
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .context("cannot start the database runtime")?;
        let mut options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(Duration::from_secs(30))
            .foreign_keys(true)
            .disable_statement_logging();
        options = match mode {
            Mode::ReadWrite(_) => options
                .create_if_missing(true)
                .synchronous(SqliteSynchronous::Full)
                // The sign says that it is KiB.
                .pragma("cache_size", format!("-{}", CACHE_BYTES >> 10))
                .pragma("wal_autocheckpoint", WAL_PAGES),
            // A connection that may not write at all would leave the write-ahead log's files behind.
            Mode::ReadOnly => options.pragma("query_only", "ON"),
        };
        let connection = runtime
            .block_on(sqlx::SqliteConnection::connect_with(&options))
            .classified(|| format!("cannot open {}", path.display()))?;
        let mut connection = Self {
            runtime,
            connection,
            name: path.display().to_string(),
            _lock: lock,
        };
        connection.refuse_unsafe_sqlite()?;
        Ok(connection)
    }

    fn run(&mut self, sql: &'static str) -> Result<(), QueryError> {
        self.runtime
            .block_on(sqlx::raw_sql(sql).execute(&mut self.connection))
            .map(drop)
            .classified(|| format!("cannot write to {}", self.name))
    }

    fn refuse_unsafe_sqlite(&mut self) -> anyhow::Result<()> {
        let version: String = self
            .runtime
            .block_on(sqlx::query("SELECT sqlite_version()").fetch_one(&mut self.connection))
            .and_then(|row| row.try_get(0))
            .classified(|| format!("cannot read {}", self.name))?;
        let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        let found = (next(), next(), next());
        if found < OLDEST_SAFE_SQLITE {
            let (major, minor, patch) = OLDEST_SAFE_SQLITE;
            return Err(Failure::config(format!(
                "the SQLite library is version {version}, which can lose commits; {major}.{minor}.{patch} or later is needed"
            ))
            .hint("build lamplighter with its bundled SQLite")
            .into());
        }
        Ok(())
    }
}

impl Connection for SqliteConnection {
    fn begin(&mut self, begin: Begin) -> Result<(), QueryError> {
        self.run(match begin {
            Begin::Read => "BEGIN",
            // A deferred transaction that turns into a writing one midway is refused at once when
            // there is another writer; one that begins as a writer waits.
            Begin::Write => "BEGIN IMMEDIATE",
        })
    }

    fn commit(&mut self) -> Result<(), QueryError> {
        self.run("COMMIT")
    }

    fn rollback(&mut self) {
        // SQLite has rolled back already after some errors, and says so.
        if let Err(error) = self.run("ROLLBACK") {
            tracing::debug!("{error}");
        }
    }

    fn execute(&mut self, statement: &Statement, values: &[Value<'_>]) -> Result<u64, QueryError> {
        let query = bound(statement, values)?;
        self.runtime
            .block_on(query.execute(&mut self.connection))
            .map(|done| done.rows_affected())
            .classified(|| doing(statement))
    }

    fn query(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
        visit: &mut dyn FnMut(&Row) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let query = bound(statement, values)?;
        let connection = &mut self.connection;
        let outcome = self.runtime.block_on(async {
            let mut rows = query.fetch(connection);
            let mut names = None;
            while let Some(row) = rows.try_next().await? {
                let names = names.get_or_insert_with(|| column_names(&row)).clone();
                let row = Row::new(names, cells(&row)?);
                if let Err(error) = visit(&row) {
                    return Ok(Err(error));
                }
            }
            Ok(Ok(()))
        });
        outcome.classified(|| doing(statement))?
    }

    fn insert(&mut self, table: &'static str, rows: &EncodedRows) -> Result<u64, QueryError> {
        let Form::Sqlite(parts) = &rows.form else {
            return Err(Failure::internal("rows of another database").into());
        };
        let columns: Vec<&str> = rows.columns.iter().map(|(name, _)| *name).collect();
        let full = bound::insert(table, &columns, INSERT_ROWS);
        for part in parts {
            let is_full = part.rows == INSERT_ROWS;
            let sql = match is_full {
                true => full.clone(),
                false => bound::insert(table, &columns, part.rows),
            };
            // Cloned, for a transaction may be tried again. Statements of rare lengths are not kept.
            let mut query = QueryBuilder::<Sqlite>::with_arguments(sql, part.values.clone());
            let query = query.build().persistent(is_full);
            self.runtime
                .block_on(query.execute(&mut self.connection))
                .classified(|| format!("cannot insert into {table}"))?;
        }
        Ok(rows.len())
    }

    fn run_script(&mut self, script: &Statement) -> Result<(), QueryError> {
        self.run(script.sqlite)
    }

    /// Puts the file into WAL mode, which changes it.
    fn prepare_file(&mut self) -> Result<(), QueryError> {
        self.runtime
            .block_on(sqlx::query("PRAGMA journal_mode = WAL").fetch_one(&mut self.connection))
            .map(drop)
            .classified(|| format!("cannot prepare {}", self.name))
    }

    fn overwrite_deleted(&mut self) -> Result<(), QueryError> {
        self.runtime
            .block_on(sqlx::query("PRAGMA secure_delete = ON").fetch_one(&mut self.connection))
            .map(drop)
            .classified(|| format!("cannot prepare {}", self.name))
    }

    /// Writes the file anew: what was deleted is overwritten where it stood, but pages that were cut in
    /// two may hold copies of rows. Then empties the write-ahead log.
    fn scrub(&mut self) -> Result<(), QueryError> {
        self.run("VACUUM")?;
        let busy: i64 = self
            .runtime
            .block_on(
                sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut self.connection),
            )
            .and_then(|row| row.try_get(0))
            .classified(|| format!("cannot empty the write-ahead log of {}", self.name))?;
        if busy != 0 {
            return Err(Failure::new(
                Class::Temporary,
                format!(
                    "somebody reads {} all the time, so that its write-ahead log can not be emptied",
                    self.name
                ),
            )
            .hint("what was deleted is gone from the tables; do the same again when nobody reads")
            .into());
        }
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<(), QueryError> {
        let this = *self;
        // This folds the write-ahead log into the file.
        this.runtime
            .block_on(this.connection.close())
            .classified(|| format!("cannot close {}", this.name))
    }
}

fn doing(statement: &Statement) -> String {
    format!("the database refused `{}`", statement.name)
}

fn bound<'q>(
    statement: &Statement,
    values: &[Value<'_>],
) -> Result<Query<'q, Sqlite, SqliteArguments>, QueryError> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        bound::bind(&mut arguments, value)?;
    }
    Ok(sqlx::query_with(statement.sqlite, arguments))
}

fn little_endian(floats: &[f32]) -> Vec<u8> {
    floats
        .iter()
        .flat_map(|float| float.to_le_bytes())
        .collect()
}

fn column_names(row: &SqliteRow) -> Arc<[String]> {
    row.columns()
        .iter()
        .map(|column| column.name().to_owned())
        .collect()
}

fn cells(row: &SqliteRow) -> Result<Vec<Cell>, sqlx::Error> {
    (0..row.len())
        .map(|index| {
            let value = row.try_get_raw(index)?;
            if value.is_null() {
                return Ok(Cell::Null);
            }
            // The type of this value, not the one that its column was declared with.
            let name = value.type_info().name().to_owned();
            Ok(match name.as_str() {
                "INTEGER" | "BOOLEAN" => Cell::Integer(row.try_get_unchecked(index)?),
                "REAL" => Cell::Real(row.try_get_unchecked(index)?),
                "BLOB" => Cell::Bytes(row.try_get_unchecked(index)?),
                _ => Cell::Text(row.try_get_unchecked(index)?),
            })
        })
        .collect()
}
