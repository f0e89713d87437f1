//! The two databases, SQLite and Postgres, behind one blocking face.
//!
//! A [`Connection`] runs statements. Every statement stands inside a transaction that the caller
//! began, values are always bound, and what comes back is a [`Row`] of few plain types, so that
//! whoever asks needs no word of either database but its SQL. That SQL comes in pairs: a
//! [`Statement`] is the same question in both dialects.
//!
//! Async ends here: a connection brings its own runtime and blocks. Errors are [`QueryError`]s: a
//! classified failure, and whether the same transaction may succeed if it is tried again.
//!
//! A name of a schema, table or column that comes from outside becomes an [`Identifier`], checked
//! and quoted, before it is part of a statement.

mod encoded;
mod identifier;
pub mod postgres;
pub mod sqlite;
mod value;

pub use crate::error::{QueryError, Retry};
pub use encoded::{Dialect, EncodedRows, RowProducer, RowSink};
pub use identifier::Identifier;
pub use value::{Cell, ColumnType, FromCell, Row, Table, Value};

use std::env::{self, VarError};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context;

use crate::error::Failure;

/// A statement in both dialects; parameters are `?1, ?2, …` and `$1, $2, …`.
#[derive(Clone, Copy, Debug)]
pub struct Statement {
    /// What it is called, for messages.
    pub name: &'static str,
    /// For SQLite.
    pub sqlite: &'static str,
    /// For Postgres.
    pub postgres: &'static str,
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Reading: all statements see the same moment.
    Read,
    /// Writing.
    Write,
}

/// A connection to a database. Calls block.
pub trait Connection: Send {
    /// Begins a transaction. On Postgres this is where a lost connection is replaced.
    fn begin(&mut self, begin: Begin) -> Result<(), QueryError>;

    /// Commits the transaction. After an error it is unknown whether it was committed.
    fn commit(&mut self) -> Result<(), QueryError>;

    /// Rolls the transaction back. What can not be rolled back is disconnected, which does the same.
    fn rollback(&mut self);

    /// Runs a statement. Returns the number of rows that it changed.
    fn execute(&mut self, statement: &Statement, values: &[Value<'_>]) -> Result<u64, QueryError>;

    /// Runs a statement and passes each row to `visit`, whose error ends it.
    fn query(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
        visit: &mut dyn FnMut(&Row) -> anyhow::Result<()>,
    ) -> anyhow::Result<()>;

    /// Inserts rows into a table, by the fastest way there is. Returns their number.
    fn insert(&mut self, table: &'static str, rows: &EncodedRows) -> Result<u64, QueryError>;

    /// Runs several statements that take no values and give no rows.
    fn run_script(&mut self, script: &Statement) -> Result<(), QueryError>;

    /// Readies a file that is known to be ours for writing; elsewhere there is nothing to do.
    fn prepare_file(&mut self) -> Result<(), QueryError>;

    /// From here on overwrites in a file what is deleted; elsewhere there is nothing to do.
    fn overwrite_deleted(&mut self) -> Result<(), QueryError>;

    /// Frees a file of what deleted rows have left in it so far; elsewhere there is nothing to do.
    fn scrub(&mut self) -> Result<(), QueryError>;

    /// Closes it.
    fn close(self: Box<Self>) -> Result<(), QueryError>;
}

/// The longest file that is read for a URL; real ones take a line.
const LONGEST_URL_FILE: u64 = 64 << 10;

/// A database's URL from a file that holds nothing else; `key` says who names the file.
///
/// Others may be able to read it: Kubernetes mounts secrets so, where nobody else is. On a host it
/// is a mistake, so it is told.
///
/// # Errors
/// It can not be read (74 or 77), or is no URL (78).
pub fn read_url(key: &str, path: &Path) -> anyhow::Result<String> {
    let context = || format!("cannot read {key} {}", path.display());
    let file = File::open(path).with_context(context)?;
    let mode = file.metadata().with_context(context)?.permissions().mode();
    let mut bytes = Vec::new();
    file.take(LONGEST_URL_FILE + 1)
        .read_to_end(&mut bytes)
        .with_context(context)?;
    let refused = |why: &str| {
        Failure::config(format!("{key} {} {why}", path.display()))
            .hint("the file holds the address of the database and nothing else")
    };
    if bytes.len() as u64 > LONGEST_URL_FILE {
        return Err(refused(&format!("has more than {LONGEST_URL_FILE} bytes")).into());
    }
    let url = String::from_utf8(bytes).map_err(|_| refused("is not UTF-8"))?;
    let url = url.trim();
    if mode & 0o007 != 0 && postgres::has_password_in_url(url) {
        tracing::warn!(
            path = %path.display(),
            "every user of this host can read or change this file, which holds a password; chmod 600 it (in Kubernetes: defaultMode: 0440)"
        );
    }
    Ok(url.to_owned())
}

/// A variable of the environment; an empty one counts as none.
///
/// # Errors
/// It is not UTF-8 (78): to pass it over would be to mean another database.
pub fn variable(name: &str) -> Result<Option<String>, Failure> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(Failure::config(format!(
            "the environment variable {name} is not UTF-8"
        ))
        .hint("set it anew, or unset it")),
    }
}

/// Between half of `pause` and all of it, so that those who met do not meet again.
pub fn jittered(pause: std::time::Duration) -> std::time::Duration {
    use std::hash::{BuildHasher, RandomState};
    let share = RandomState::new().hash_one(std::process::id()) % 1024;
    pause / 2 + pause.mul_f64(share as f64 / 2048.0)
}
