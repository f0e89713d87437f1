//! The ledger in an SQLite file: nothing to set up, one host, one writer.
//!
//! The file is in WAL mode with `synchronous = FULL` (in WAL mode NORMAL may lose the last commits
//! when the power fails). Writers hold an advisory lock on a file beside it for as long as they
//! live, so that a second start finds out at once; the operating system drops the lock with the
//! process, however it dies. Readers need no lock.

mod errors;
mod read;
mod work;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row, SqlSafeStr};
use tokio::runtime::Runtime;

use crate::error::{Class, Failure, classify_io};
use errors::Classified;

/// What a command does with the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Look at a database of any schema; never creates or migrates.
    Look,
    /// Read what is there; never creates or migrates.
    Read,
    /// Write; creates and migrates on first use and keeps other writers out.
    Write,
}

/// An open ledger. Calls block; they are made from one thread.
pub struct Ledger {
    runtime: Runtime,
    connection: SqliteConnection,
    path: PathBuf,
    /// Held, not read: dropping it lets the next writer in.
    _lock: Option<File>,
}

/// Where the schema stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaStatus {
    /// Newest migration that was applied; 0 for none.
    pub applied: i64,
    /// Newest migration that this binary knows.
    pub known: i64,
}

const MIGRATIONS: [(i64, &str, &str); 1] = [(
    1,
    "runs",
    include_str!("../migrations/sqlite/0001_runs.sql"),
)];

/// Older versions can lose commits in WAL mode (fixed in 3.51.3).
const OLDEST_SAFE_SQLITE: (u32, u32, u32) = (3, 51, 3);

/// Page cache, in KiB (that is what the sign says): ids come in any order, so a shard's rows go to
/// pages all over the table.
const CACHE_SIZE: &str = "-65536";

/// Pages of the write-ahead log after which it is folded into the file: a page that several shards
/// write to is folded once.
const WAL_PAGES: &str = "8000";

const SCHEME: &str = "sqlite:";

impl Ledger {
    /// Opens the ledger at `url`, `sqlite://PATH`.
    ///
    /// # Errors
    /// Another URL or a schema that this binary cannot work on (78); another writer (75); no
    /// database to read from (66); I/O (74).
    pub fn open(url: &str, access: Access) -> anyhow::Result<Self> {
        let path = file_of(url)?;
        let lock = match access {
            Access::Write => {
                refuse_missing_directory(&path)?;
                Some(lock(&path)?)
            }
            Access::Look | Access::Read if path.exists() => None,
            Access::Look | Access::Read => {
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
            .filename(&path)
            .busy_timeout(Duration::from_secs(30))
            .foreign_keys(true)
            .disable_statement_logging();
        options = match access {
            Access::Write => options
                .create_if_missing(true)
                .synchronous(SqliteSynchronous::Full)
                .pragma("cache_size", CACHE_SIZE)
                .pragma("wal_autocheckpoint", WAL_PAGES),
            // A connection that may not write at all would leave the write-ahead log's files behind.
            Access::Look | Access::Read => options.pragma("query_only", "ON"),
        };
        let connection = runtime
            .block_on(SqliteConnection::connect_with(&options))
            .classified(|| format!("cannot open {}", path.display()))?;
        let mut ledger = Self {
            runtime,
            connection,
            path,
            _lock: lock,
        };
        ledger.refuse_unsafe_sqlite()?;
        match access {
            Access::Write => {
                // Before anything is written: the file may be another program's.
                ledger.refuse_strange_schema()?;
                ledger.use_write_ahead_log()?;
                ledger.migrate()?;
            }
            Access::Look => {}
            Access::Read => ledger.refuse_old_schema()?,
        }
        Ok(ledger)
    }

    /// Closes the database, which folds the write-ahead log into its file.
    ///
    /// # Errors
    /// I/O. What was committed is safe all the same.
    pub fn close(self) -> anyhow::Result<()> {
        let path = self.path;
        self.runtime
            .block_on(self.connection.close())
            .classified(|| format!("cannot close {}", path.display()))
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the schema stands.
    ///
    /// # Errors
    /// I/O.
    pub fn schema_status(&mut self) -> anyhow::Result<SchemaStatus> {
        let table = self
            .runtime
            .block_on(
                sqlx::query("SELECT 1 FROM sqlite_master WHERE name = '_sqlx_migrations'")
                    .fetch_optional(&mut self.connection),
            )
            .classified(|| "cannot read the schema".to_owned())?;
        let applied = match table {
            None => 0,
            Some(_) => self
                .runtime
                .block_on(
                    sqlx::query("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
                        .fetch_one(&mut self.connection),
                )
                .and_then(|row| row.try_get(0))
                .classified(|| "cannot read the schema's version".to_owned())?,
        };
        Ok(SchemaStatus {
            applied,
            known: MIGRATIONS.len() as i64,
        })
    }

    fn use_write_ahead_log(&mut self) -> anyhow::Result<()> {
        self.runtime
            .block_on(sqlx::query("PRAGMA journal_mode = WAL").fetch_one(&mut self.connection))
            .map(drop)
            .classified(|| format!("cannot prepare {}", self.path.display()))
    }

    fn migrate(&mut self) -> anyhow::Result<()> {
        let migrations = MIGRATIONS
            .iter()
            .map(|&(version, description, sql)| {
                Migration::new(
                    version,
                    description.into(),
                    MigrationType::Simple,
                    sql.into_sql_str(),
                    false,
                )
            })
            .collect();
        let mut migrator = Migrator::with_migrations(migrations);
        // A newer binary may have been here; its schema N + 1 is one that we can work on.
        migrator.set_ignore_missing(true);
        let path = &self.path;
        self.runtime
            .block_on(migrator.run(&mut self.connection))
            .map_err(|error| match error {
                sqlx::migrate::MigrateError::Execute(error)
                | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => {
                    errors::classify(error, || format!("cannot migrate {}", path.display()))
                }
                other => {
                    Failure::config(format!("cannot migrate {}: {other}", path.display())).into()
                }
            })
    }

    /// A binary of schema N works on N and on N + 1.
    fn refuse_strange_schema(&mut self) -> anyhow::Result<()> {
        let SchemaStatus { applied, known } = self.schema_status()?;
        if applied > known + 1 {
            return Err(Failure::config(format!(
                "{} has schema {applied}, but this binary knows schema {known} and works on {} at most",
                self.path.display(),
                known + 1
            ))
            .hint("use a newer lamplighter")
            .into());
        }
        if applied == 0 && self.has_tables()? {
            return Err(Failure::config(format!(
                "{} is a database, but not one of Lamplighter's",
                self.path.display()
            ))
            .hint("name another file with --database, or one that does not exist yet")
            .into());
        }
        Ok(())
    }

    fn refuse_old_schema(&mut self) -> anyhow::Result<()> {
        self.refuse_strange_schema()?;
        let SchemaStatus { applied, known } = self.schema_status()?;
        let path = self.path.display();
        if applied == 0 {
            return Err(
                Failure::new(Class::NoInput, format!("{path} holds no runs yet"))
                    .hint("`lamplighter run` or `lamplighter db migrate` creates its tables")
                    .into(),
            );
        }
        if applied < known {
            return Err(Failure::config(format!(
                "{path} has schema {applied}, this binary needs schema {known}"
            ))
            .hint("`lamplighter db migrate` brings it up to date")
            .into());
        }
        Ok(())
    }

    fn has_tables(&mut self) -> anyhow::Result<bool> {
        self.runtime
            .block_on(
                sqlx::query(
                    "SELECT 1 FROM sqlite_master WHERE tbl_name <> '_sqlx_migrations' LIMIT 1",
                )
                .fetch_optional(&mut self.connection),
            )
            .map(|row| row.is_some())
            .classified(|| format!("cannot read {}", self.path.display()))
    }

    fn refuse_unsafe_sqlite(&mut self) -> anyhow::Result<()> {
        let version: String = self
            .runtime
            .block_on(sqlx::query("SELECT sqlite_version()").fetch_one(&mut self.connection))
            .and_then(|row| row.try_get(0))
            .classified(|| format!("cannot read {}", self.path.display()))?;
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

fn file_of(url: &str) -> anyhow::Result<PathBuf> {
    let refuse = |why: &str| {
        Failure::config(format!("the database URL {why}"))
            .hint("an SQLite file is named sqlite://PATH, such as sqlite://lamplighter.db or sqlite:///var/lib/lamplighter/lamplighter.db")
    };
    let rest = url
        .strip_prefix(SCHEME)
        .ok_or_else(|| refuse("does not begin with sqlite:"))?;
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() {
        return Err(refuse("names no file").into());
    }
    if path.starts_with(":memory:") || path.contains('?') {
        return Err(refuse("must name a file, without parameters").into());
    }
    Ok(PathBuf::from(path))
}

fn refuse_missing_directory(database: &Path) -> anyhow::Result<()> {
    match database.parent() {
        Some(directory) if !directory.as_os_str().is_empty() && !directory.is_dir() => {
            Err(Failure::io(format!(
                "cannot create {}: {} is no directory",
                database.display(),
                directory.display()
            ))
            .hint("create the directory first, or name another database with --database")
            .into())
        }
        _ => Ok(()),
    }
}

fn lock(database: &Path) -> anyhow::Result<File> {
    // By whatever name it is called, a database has one lock.
    let named = fs::canonicalize(database).unwrap_or_else(|_| database.to_path_buf());
    let mut path = named.into_os_string();
    path.push(".lock");
    let path = PathBuf::from(path);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| {
            Failure::new(
                classify_io(&error),
                format!("cannot open {}: {error}", path.display()),
            )
            .hint("the database's directory must be writable; --database or DATABASE_URL names another")
        })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::new(
            Class::Temporary,
            format!("another lamplighter is writing to {}", database.display()),
        )
        .hint("an SQLite database takes one writer at a time; start again when it is done, or give this job a database of its own")
        .into()),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}
