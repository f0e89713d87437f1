//! What goes into a statement and what comes out of it.

use std::sync::Arc;

use crate::error::{Failure, QueryError, Retry};

/// A value to bind; `None` is NULL.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// `bigint`.
    Integer(Option<i64>),
    /// `double precision`.
    Real(Option<f64>),
    /// `text`.
    Text(Option<&'a str>),
    /// `bytea`.
    Bytes(Option<&'a [u8]>),
    /// `real[]`; in SQLite a BLOB of little-endian f32.
    Floats(Option<&'a [f32]>),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Value::Integer(Some(value))
    }
}

impl From<bool> for Value<'_> {
    /// Booleans are bound as 0 and 1.
    fn from(value: bool) -> Self {
        Value::Integer(Some(i64::from(value)))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(value: Option<i64>) -> Self {
        Value::Integer(value)
    }
}

impl From<f64> for Value<'_> {
    fn from(value: f64) -> Self {
        Value::Real(Some(value))
    }
}

impl From<Option<f64>> for Value<'_> {
    fn from(value: Option<f64>) -> Self {
        Value::Real(value)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Value::Text(Some(value))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Value::Text(Some(value))
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(value: Option<&'a str>) -> Self {
        Value::Text(value)
    }
}

impl<'a> From<Option<&'a [u8]>> for Value<'a> {
    fn from(value: Option<&'a [u8]>) -> Self {
        Value::Bytes(value)
    }
}

impl<'a> From<Option<&'a [f32]>> for Value<'a> {
    fn from(value: Option<&'a [f32]>) -> Self {
        Value::Floats(value)
    }
}

/// A value of a row. Booleans come as 0 and 1, numbers of all widths as the widest, times as text
/// in RFC 3339 in UTC.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// NULL.
    Null,
    /// An integer or a boolean.
    Integer(i64),
    /// A float.
    Real(f64),
    /// Text, or a time.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Floats.
    Floats(Vec<f32>),
}

/// One row of an answer.
#[derive(Clone, Debug)]
pub struct Row {
    columns: Arc<[String]>,
    cells: Vec<Cell>,
}

impl Row {
    /// A row whose cells belong to `columns`, in their order.
    pub fn new(columns: Arc<[String]>, cells: Vec<Cell>) -> Self {
        Self { columns, cells }
    }

    /// The value of a column.
    ///
    /// # Errors
    /// There is no such column, or it is of another type (70).
    pub fn get<T: FromCell>(&self, column: &str) -> Result<T, QueryError> {
        let index = self.columns.iter().position(|name| name == column);
        index
            .and_then(|index| self.cells.get(index))
            .and_then(T::from_cell)
            .ok_or_else(|| {
                let problem = format!("column `{column}` is missing or of another type");
                QueryError::new(Failure::internal(problem), Retry::Never)
            })
    }
}

/// A type that a cell can be read as.
pub trait FromCell: Sized {
    /// The value, if the cell is of this type.
    fn from_cell(cell: &Cell) -> Option<Self>;
}

impl FromCell for i64 {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Integer(value) => Some(*value),
            _ => None,
        }
    }
}

impl FromCell for u64 {
    fn from_cell(cell: &Cell) -> Option<Self> {
        i64::from_cell(cell).and_then(|value| value.try_into().ok())
    }
}

impl FromCell for u32 {
    fn from_cell(cell: &Cell) -> Option<Self> {
        i64::from_cell(cell).and_then(|value| value.try_into().ok())
    }
}

impl FromCell for bool {
    fn from_cell(cell: &Cell) -> Option<Self> {
        i64::from_cell(cell).map(|value| value != 0)
    }
}

impl FromCell for f64 {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Real(value) => Some(*value),
            _ => None,
        }
    }
}

impl FromCell for String {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Text(value) => Some(value.clone()),
            _ => None,
        }
    }
}

impl FromCell for Vec<u8> {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Bytes(value) => Some(value.clone()),
            _ => None,
        }
    }
}

impl FromCell for Vec<f32> {
    /// Floats, or the bytes that stand for them.
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Floats(value) => Some(value.clone()),
            Cell::Bytes(bytes) => {
                let (floats, rest) = bytes.as_chunks();
                let floats = floats.iter().map(|float| f32::from_le_bytes(*float));
                rest.is_empty().then(|| floats.collect())
            }
            _ => None,
        }
    }
}

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Null => Some(None),
            cell => T::from_cell(cell).map(Some),
        }
    }
}

/// A table to insert into, and the columns that are given, in their order.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Name and type of each column.
    pub columns: &'static [(&'static str, ColumnType)],
}

/// Type of a column in Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// `bigint`.
    BigInt,
    /// `real`: of an f64 that is an f32, widened.
    Real,
    /// `double precision`.
    Double,
    /// `text` or `json`.
    Text,
    /// `bytea`.
    Bytes,
    /// `real[]`.
    Reals,
}
