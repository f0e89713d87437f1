//! Where a ledger is, and how it is opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Ledger;
use crate::database::postgres::{Address, Limits, Pool, PostgresConnection};
use crate::database::sqlite::{Mode, SqliteConnection, Turn, file_of};
use crate::database::{Dialect, Identifier};
use crate::error::{self, Class, Failure};
use crate::interrupt::Interrupt;

/// Clocks of two hosts that agree this well are alike.
pub const LARGEST_SKEW: SignedDuration = SignedDuration::from_secs(60);

/// What a command does with the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Look at a database of any schema; never creates or migrates.
    Look,
    /// Read what is there; never creates or migrates.
    Read,
    /// Write. On SQLite: creates and migrates on first use, and keeps other writers out.
    Write,
    /// The same, for many short turns: on SQLite this waits for whoever writes, and whoever wants to
    /// write meanwhile waits for the turn's end.
    WriteInTurn,
    /// Create the tables, or bring them up to date.
    Migrate,
}

/// What there is to say about a Postgres ledger beside its URL.
#[derive(Clone, Debug)]
pub struct TargetOptions {
    /// Schema that holds the tables.
    pub schema: String,
    /// Connections that this process may hold at a time.
    pub connections: usize,
    /// How long to go on when the database does not answer.
    pub retry_for: Duration,
    /// Program and arguments that print the password.
    pub password_command: Option<Vec<String>>,
}

impl Default for TargetOptions {
    fn default() -> Self {
        Self {
            schema: "lamplighter".to_owned(),
            connections: 4,
            retry_for: Duration::from_secs(10),
            password_command: None,
        }
    }
}

/// Where a ledger is. Clones share their connections.
#[derive(Clone)]
pub struct Target(pub(super) Arc<Kind>);

pub(super) enum Kind {
    Sqlite {
        path: PathBuf,
        interrupt: Interrupt,
    },
    Postgres {
        pool: Pool,
        schema: Identifier,
        schema_name: String,
        retry_for: Duration,
    },
}

impl Target {
    /// Reads `url`: `sqlite://PATH` or `postgres://…`. Nothing is opened.
    ///
    /// # Errors
    /// It is another URL, or one with bad parameters (78).
    pub fn new(url: &str, options: &TargetOptions, interrupt: &Interrupt) -> anyhow::Result<Self> {
        let kind = match url.split_once(':').map_or("", |(scheme, _)| scheme) {
            "sqlite" => Kind::Sqlite {
                path: file_of(url)?,
                interrupt: interrupt.clone(),
            },
            "postgres" | "postgresql" => Kind::Postgres {
                schema: Identifier::schema(&options.schema)?,
                schema_name: options.schema.clone(),
                retry_for: options.retry_for,
                pool: Pool::new(
                    Address::parse(url, options.password_command.as_deref())?,
                    Limits {
                        connections: options.connections,
                        patience: options.retry_for,
                    },
                    interrupt.clone(),
                ),
            },
            _ => {
                return Err(Failure::config(
                    "the database URL begins neither with sqlite: nor with postgres:",
                )
                .hint("an SQLite file is named sqlite://PATH, such as sqlite://lamplighter.db; a Postgres database postgres://USER@HOST/DATABASE")
                .into());
            }
        };
        Ok(Self(Arc::new(kind)))
    }

    /// Opens the ledger.
    ///
    /// # Errors
    /// A schema that this binary cannot work on (78); another writer of an SQLite file (75);
    /// nothing to read from (66); a database that can not be reached (69); I/O (74).
    pub fn open(&self, access: Access) -> anyhow::Result<Ledger> {
        match self.0.as_ref() {
            Kind::Sqlite { path, interrupt } => {
                let mode = match access {
                    Access::Look | Access::Read => Mode::ReadOnly,
                    Access::Write | Access::Migrate => Mode::ReadWrite(Turn::Now),
                    Access::WriteInTurn => Mode::ReadWrite(Turn::Patient),
                };
                let connection = SqliteConnection::open(path, mode, interrupt)?;
                super::schema::prepare_sqlite(connection, self.clone(), access)
            }
            Kind::Postgres { pool, schema, .. } => {
                let connection = PostgresConnection::new(pool.clone(), schema.clone());
                super::schema::prepare_postgres(connection, self.clone(), access)
            }
        }
    }

    /// What `look` finds in the ledger; `None` if there is no database yet, as before a first run.
    ///
    /// # Errors
    /// As of [`Self::open`] but for nothing to read from, and those of `look`.
    pub fn look<T>(
        &self,
        look: impl FnOnce(&mut Ledger) -> anyhow::Result<T>,
    ) -> anyhow::Result<Option<T>> {
        let mut ledger = match self.open(Access::Read) {
            Ok(ledger) => ledger,
            Err(failure) if error::classify(&failure) == Class::NoInput => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let seen = look(&mut ledger);
        let closed = ledger.close();
        let seen = seen?;
        closed?;
        Ok(Some(seen))
    }

    /// What time it is by the clock that counts: see [`Ledger::now`].
    ///
    /// # Errors
    /// The database's.
    pub fn now(&self) -> anyhow::Result<Timestamp> {
        match self.is_shared() {
            true => self.open(Access::Look)?.now(),
            false => Ok(Timestamp::now()),
        }
    }

    /// Whether several processes may work on one run.
    pub fn is_shared(&self) -> bool {
        matches!(self.0.as_ref(), Kind::Postgres { .. })
    }

    /// What kind of database it is.
    pub(super) fn dialect(&self) -> Dialect {
        match self.0.as_ref() {
            Kind::Sqlite { .. } => Dialect::Sqlite,
            Kind::Postgres { .. } => Dialect::Postgres,
        }
    }

    /// The database for people, without user and password.
    pub fn describe(&self) -> String {
        match self.0.as_ref() {
            Kind::Sqlite { path, .. } => path.display().to_string(),
            Kind::Postgres {
                pool, schema_name, ..
            } => format!("{} schema {schema_name}", pool.address()),
        }
    }

    /// The database's file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self.0.as_ref() {
            Kind::Sqlite { path, .. } => Some(path),
            Kind::Postgres { .. } => None,
        }
    }

    /// The connections, if it is Postgres.
    pub fn pool(&self) -> Option<&Pool> {
        match self.0.as_ref() {
            Kind::Sqlite { .. } => None,
            Kind::Postgres { pool, .. } => Some(pool),
        }
    }

    /// Name of the schema that holds the tables, if it is Postgres.
    pub fn schema_name(&self) -> Option<&str> {
        match self.0.as_ref() {
            Kind::Sqlite { .. } => None,
            Kind::Postgres { schema_name, .. } => Some(schema_name),
        }
    }

    pub(super) fn retry_for(&self) -> Duration {
        match self.0.as_ref() {
            Kind::Sqlite { .. } => Duration::ZERO,
            Kind::Postgres { retry_for, .. } => *retry_for,
        }
    }
}
