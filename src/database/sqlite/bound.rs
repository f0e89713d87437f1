//! Values bound to the parameters of statements that insert many rows at once.

use sqlx::Arguments;
use sqlx::sqlite::SqliteArguments;

use super::little_endian;
use crate::database::{QueryError, Value};
use crate::error::Failure;

/// Rows of one INSERT.
pub(super) const INSERT_ROWS: usize = 256;

/// The values of some rows, at most [`INSERT_ROWS`].
#[derive(Debug)]
pub struct Bound {
    pub(super) rows: usize,
    pub(super) values: SqliteArguments,
}

/// Gathers rows.
#[derive(Debug, Default)]
pub struct Binder {
    full: Vec<Bound>,
    rows: usize,
    values: SqliteArguments,
}

impl Binder {
    /// Adds a row.
    ///
    /// # Errors
    /// A value can not be bound (70).
    pub fn row(&mut self, row: &[Value<'_>]) -> Result<(), QueryError> {
        if self.rows == 0 {
            self.values.reserve(INSERT_ROWS * row.len(), 0);
        }
        for value in row {
            bind(&mut self.values, value)?;
        }
        self.rows += 1;
        if self.rows == INSERT_ROWS {
            self.cut();
        }
        Ok(())
    }

    /// All rows.
    pub fn finish(mut self) -> Vec<Bound> {
        if self.rows > 0 {
            self.cut();
        }
        self.full
    }

    fn cut(&mut self) {
        self.full.push(Bound {
            rows: std::mem::take(&mut self.rows),
            values: std::mem::take(&mut self.values),
        });
    }
}

/// Binds the next value.
pub(super) fn bind(values: &mut SqliteArguments, value: &Value<'_>) -> Result<(), QueryError> {
    match value {
        Value::Integer(value) => values.add(*value),
        Value::Real(value) => values.add(*value),
        Value::Text(value) => values.add(*value),
        Value::Bytes(value) => values.add(*value),
        Value::Floats(value) => values.add(value.map(little_endian)),
    }
    .map_err(|error| Failure::internal(format!("a value can not be bound: {error}")).into())
}

/// The statement that inserts so many rows.
pub(super) fn insert(table: &str, columns: &[&str], rows: usize) -> String {
    let row = format!("({})", vec!["?"; columns.len()].join(", "));
    format!(
        "INSERT INTO {table} ({}) VALUES {}",
        columns.join(", "),
        vec![row; rows].join(", ")
    )
}
