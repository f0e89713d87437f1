//! Rows in the form that a database takes them, made away from its connection: many threads can make
//! them, and the one that talks to the database has only to send them.

use super::value::{Table, Value};
use super::{QueryError, postgres, sqlite};

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// One file.
    Sqlite,
    /// A server.
    Postgres,
}

/// Rows of one table, ready for [`Connection::insert`](super::Connection::insert).
#[derive(Debug)]
pub struct EncodedRows {
    pub(super) columns: Columns,
    pub(super) form: Form,
    rows: u64,
}

/// Names and types of columns.
pub(super) type Columns = &'static [(&'static str, super::ColumnType)];

/// The rows as each database takes them.
#[derive(Debug)]
pub(super) enum Form {
    Sqlite(Vec<sqlite::Bound>),
    Postgres(Vec<u8>),
}

/// Gives rows to a sink, one call each; stops at the sink's error and returns it.
pub type RowProducer<'a> = dyn FnMut(&mut RowSink<'_>) -> Result<(), QueryError> + 'a;

/// Takes one row.
pub type RowSink<'a> = dyn FnMut(&[Value<'_>]) -> Result<(), QueryError> + 'a;

impl EncodedRows {
    /// Encodes what `produce` passes to the sink that it is given: rows, each with one value for each of
    /// the table's columns. There are about `expected` of them, for which room is made.
    ///
    /// # Errors
    /// Those of `produce`; a value that the database can not hold (65) or that is not of its column's type
    /// (70).
    pub fn new(
        dialect: Dialect,
        table: &Table,
        expected: usize,
        produce: &mut RowProducer<'_>,
    ) -> Result<Self, QueryError> {
        let mut rows = 0;
        let form = match dialect {
            Dialect::Sqlite => {
                let mut binder = sqlite::Binder::default();
                produce(&mut |row| {
                    rows += 1;
                    binder.row(row)
                })?;
                Form::Sqlite(binder.finish())
            }
            Dialect::Postgres => {
                let mut encoder = postgres::CopyEncoder::new(table, expected)?;
                produce(&mut |row| {
                    rows += 1;
                    encoder.row(row)
                })?;
                Form::Postgres(encoder.finish())
            }
        };
        Ok(Self {
            columns: table.columns,
            form,
            rows,
        })
    }

    /// Number of rows.
    pub fn len(&self) -> u64 {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }
}
