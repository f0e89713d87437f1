//! Rows in the binary format of COPY: <https://www.postgresql.org/docs/current/sql-copy.html>.

use crate::database::{ColumnType, Identifier, QueryError, Table, Value};
use crate::error::Failure;

const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
const NULL: [u8; 4] = (-1_i32).to_be_bytes();

/// Rows by whose size that of the others is guessed.
const ROWS_OF_A_GUESS: usize = 64;

/// Bytes of a guess, at most.
const LARGEST_GUESS: usize = 16 << 20;

/// The statement that takes rows of these columns.
pub(super) fn statement(table: &str, columns: &[(&str, ColumnType)]) -> Result<String, Failure> {
    let columns = columns.iter();
    let columns: Vec<String> = columns
        .map(|(name, _)| Identifier::column(name).map(|name| name.to_string()))
        .collect::<Result<_, _>>()?;
    let name = Identifier::of_source(table)?;
    let columns = columns.join(", ");
    Ok(format!(
        "COPY {name} ({columns}) FROM STDIN (FORMAT binary)"
    ))
}

/// Encodes rows of one table.
pub struct Encoder<'a> {
    table: &'a Table,
    columns: [u8; 2],
    /// How many rows there will be, and how many there are.
    expected: usize,
    rows: usize,
    buffer: Vec<u8>,
}

impl<'a> Encoder<'a> {
    /// No rows yet, of about so many.
    ///
    /// # Errors
    /// The table has too many columns (70).
    pub fn new(table: &'a Table, expected: usize) -> Result<Self, QueryError> {
        let columns = i16::try_from(table.columns.len())
            .map_err(|_| Failure::internal(format!("table `{}` is too wide", table.name)))?;
        Ok(Self {
            table,
            columns: columns.to_be_bytes(),
            expected,
            rows: 0,
            buffer: HEADER.to_vec(),
        })
    }

    /// Adds a row. After an error the rows are of no use.
    ///
    /// # Errors
    /// Postgres can not hold a value (65), or it is not of its column's type (70).
    pub fn row(&mut self, values: &[Value<'_>]) -> Result<(), QueryError> {
        if values.len() != self.table.columns.len() {
            return Err(Failure::internal(format!(
                "a row of {} values for the {} columns of table `{}`",
                values.len(),
                self.table.columns.len(),
                self.table.name
            ))
            .into());
        }
        // To grow step by step would take twice the memory, and touch all of it.
        if self.rows == ROWS_OF_A_GUESS {
            let left = self.expected.saturating_sub(self.rows);
            let of_row = self.buffer.len() / ROWS_OF_A_GUESS;
            // The first rows may be unlike the others: what is asked for in vain is not missed.
            let _ = self
                .buffer
                .try_reserve(left.saturating_mul(of_row + of_row / 8).min(LARGEST_GUESS));
        }
        self.rows += 1;
        self.buffer.extend_from_slice(&self.columns);
        for (&value, &(column, kind)) in values.iter().zip(self.table.columns) {
            field(&mut self.buffer, value, kind).map_err(|problem| {
                let at = format!("table `{}`, column `{column}`: ", self.table.name);
                match problem {
                    Problem::Type => Failure::internal(at + "a value is of another type"),
                    Problem::Nul => Failure::data(
                        at + "a text holds the character U+0000, which Postgres can not store",
                    ),
                    Problem::Length => Failure::data(at + "a value is longer than 2 GiB"),
                }
            })?;
        }
        Ok(())
    }

    /// All rows, between the header and the end of the data.
    pub fn finish(mut self) -> Vec<u8> {
        self.buffer.extend_from_slice(&TRAILER);
        self.buffer
    }
}

enum Problem {
    Type,
    Nul,
    Length,
}

fn field(buffer: &mut Vec<u8>, value: Value<'_>, kind: ColumnType) -> Result<(), Problem> {
    match (kind, value) {
        (ColumnType::BigInt, Value::Integer(value)) => bytes(
            buffer,
            value
                .map(i64::to_be_bytes)
                .as_ref()
                .map(<[u8; 8]>::as_slice),
        ),
        (ColumnType::Real, Value::Real(value)) => {
            // No rounding: such a value was widened from an f32.
            let value = value.map(|value| (value as f32).to_be_bytes());
            bytes(buffer, value.as_ref().map(<[u8; 4]>::as_slice))
        }
        (ColumnType::Double, Value::Real(value)) => bytes(
            buffer,
            value
                .map(f64::to_be_bytes)
                .as_ref()
                .map(<[u8; 8]>::as_slice),
        ),
        (ColumnType::Text, Value::Text(value)) => match value {
            Some(text) if text.contains('\0') => Err(Problem::Nul),
            text => bytes(buffer, text.map(str::as_bytes)),
        },
        (ColumnType::Bytes, Value::Bytes(value)) => bytes(buffer, value),
        (ColumnType::Reals, Value::Floats(None)) => bytes(buffer, None),
        (ColumnType::Reals, Value::Floats(Some(floats))) => reals(buffer, floats),
        _ => Err(Problem::Type),
    }
}

fn bytes(buffer: &mut Vec<u8>, value: Option<&[u8]>) -> Result<(), Problem> {
    let Some(value) = value else {
        buffer.extend_from_slice(&NULL);
        return Ok(());
    };
    let length = i32::try_from(value.len()).map_err(|_| Problem::Length)?;
    buffer.extend_from_slice(&length.to_be_bytes());
    buffer.extend_from_slice(value);
    Ok(())
}

/// An array of one dimension, as `array_recv` reads it.
fn reals(buffer: &mut Vec<u8>, floats: &[f32]) -> Result<(), Problem> {
    /// Number of `real` in `pg_type`.
    const REAL: i32 = 700;
    const HEADER: usize = 20;
    const FLOAT: i32 = size_of::<f32>() as i32;
    let count = i32::try_from(floats.len()).map_err(|_| Problem::Length)?;
    let length = HEADER + floats.len() * 2 * size_of::<f32>();
    let length = i32::try_from(length).map_err(|_| Problem::Length)?;
    // One dimension, no nulls; indices begin at one.
    for number in [length, 1, 0, REAL, count, 1] {
        buffer.extend_from_slice(&number.to_be_bytes());
    }
    for float in floats {
        buffer.extend_from_slice(&FLOAT.to_be_bytes());
        buffer.extend_from_slice(&float.to_be_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;

    const TABLE: Table = Table {
        name: "t",
        columns: &[
            ("a", ColumnType::BigInt),
            ("b", ColumnType::Real),
            ("c", ColumnType::Double),
            ("d", ColumnType::Text),
            ("e", ColumnType::Bytes),
        ],
    };

    #[test]
    fn rows_have_the_bytes_of_the_manual() {
        let mut encoder = Encoder::new(&TABLE, 2).unwrap();
        encoder
            .row(&[
                Value::Integer(Some(-2)),
                Value::Real(Some(0.5)),
                Value::Real(Some(0.5)),
                Value::Text(Some("é")),
                Value::Bytes(Some(&[0, 255])),
            ])
            .unwrap();
        encoder
            .row(&[
                Value::Integer(None),
                Value::Real(None),
                Value::Real(None),
                Value::Text(Some("")),
                Value::Bytes(None),
            ])
            .unwrap();
        let expected = "5047434f50590aff0d0a00 00000000 00000000 \
            0005 00000008 fffffffffffffffe 00000004 3f000000 00000008 3fe0000000000000 \
            00000002 c3a9 00000002 00ff \
            0005 ffffffff ffffffff ffffffff 00000000 ffffffff \
            ffff";
        assert_eq!(hex::encode(encoder.finish()), expected.replace(' ', ""));
    }

    #[test]
    fn the_statement_quotes_its_names() {
        let sql = "COPY \"t\" (\"a\", \"b\", \"c\", \"d\", \"e\") FROM STDIN (FORMAT binary)";
        assert_eq!(statement(TABLE.name, TABLE.columns).unwrap(), sql);
    }

    #[test]
    fn what_postgres_can_not_hold_is_refused_with_its_place() {
        const ONE: Table = Table {
            name: "t",
            columns: &[("d", ColumnType::Text)],
        };
        let refused = |row: &[Value<'_>]| {
            let error = Encoder::new(&ONE, 1).unwrap().row(row).unwrap_err();
            (error.failure().class(), error.to_string())
        };
        let (class, message) = refused(&[Value::Text(Some("a\0b"))]);
        assert_eq!(class, Class::Data);
        assert!(message.contains("table `t`, column `d`"), "{message}");
        assert_eq!(refused(&[Value::Integer(None)]).0, Class::Internal);
        assert_eq!(refused(&[]).0, Class::Internal);
    }
}
