//! Rows of COPY as Arrow columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Float32Builder, Float64Builder, Int64Builder,
    RecordBatch, RecordBatchOptions, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{Field, Schema, SchemaRef};

use super::copy::Tuple;
use super::types::{SourceColumn, Stored};
use crate::error::Failure;
use crate::source::Unreadable;

/// Days from 1970-01-01 to 2000-01-01, where Postgres' time begins.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROSECONDS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

/// What an Arrow column of text can hold.
const MOST_TEXT_BYTES: usize = i32::MAX as usize;

/// Gathers rows.
pub(super) struct RowBuilder {
    columns: Vec<(String, Column)>,
    schema: SchemaRef,
    rows: usize,
    unreadable: BTreeMap<usize, Unreadable>,
}

/// Rows as they are stored, and those that can not be read, by index.
pub(super) struct Rows {
    pub(super) batch: RecordBatch,
    pub(super) unreadable: BTreeMap<usize, Unreadable>,
}

enum Column {
    Boolean(BooleanBuilder),
    SmallInteger(Int64Builder),
    Integer(Int64Builder),
    BigInteger(Int64Builder),
    Real(Float32Builder),
    Double(Float64Builder),
    Numeric(Float64Builder),
    Text(StringBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
}

/// Why a field has no value of its column's type.
enum Trouble {
    OutOfRange,
    NotText,
    /// It has not the bytes of the type that it was cast to.
    Malformed,
    TooMuchText,
}

impl RowBuilder {
    /// For rows of these columns, each with what it is read as.
    pub(super) fn new<'a>(columns: impl IntoIterator<Item = (&'a SourceColumn, Stored)>) -> Self {
        let mut fields = Vec::new();
        let columns = columns.into_iter().map(|(column, stored)| {
            fields.push(Field::new(&column.name, stored.data_type(), true));
            (column.name.clone(), Column::new(stored))
        });
        Self {
            columns: columns.collect(),
            schema: Arc::new(Schema::new(fields)),
            rows: 0,
            unreadable: BTreeMap::new(),
        }
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row, whose columns begin at field `first`.
    pub(super) fn push(&mut self, tuple: &Tuple<'_>, first: usize) -> Result<(), Failure> {
        for (index, (name, column)) in self.columns.iter_mut().enumerate() {
            let Some(bytes) = tuple.field(first + index) else {
                column.push_null();
                continue;
            };
            let (code, message) = match column.push(bytes) {
                Ok(()) => continue,
                Err(Trouble::OutOfRange) => (
                    "out_of_range",
                    "the value is infinite or beyond what can be represented",
                ),
                Err(Trouble::NotText) => ("invalid_text", "the text is not valid UTF-8"),
                Err(Trouble::Malformed) => {
                    return Err(Failure::internal(format!(
                        "column `{name}`: {} bytes are not of the type that was asked for",
                        bytes.len()
                    )));
                }
                Err(Trouble::TooMuchText) => {
                    return Err(Failure::data(format!(
                        "column `{name}`: the texts of {} records are larger than 2 GiB",
                        self.rows
                    ))
                    .hint("a smaller [run] max_memory makes fewer records be read at a time"));
                }
            };
            column.push_null();
            self.unreadable
                .entry(self.rows)
                .or_insert_with(|| Unreadable {
                    code,
                    field: Some(name.clone()),
                    message: message.to_owned(),
                });
        }
        self.rows += 1;
        Ok(())
    }

    /// The rows, leaving none.
    pub(super) fn finish(&mut self) -> anyhow::Result<Rows> {
        let columns = self
            .columns
            .iter_mut()
            .map(|(_, column)| column.finish())
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        self.rows = 0;
        Ok(Rows {
            batch,
            unreadable: std::mem::take(&mut self.unreadable),
        })
    }
}

impl Column {
    fn new(stored: Stored) -> Self {
        match stored {
            Stored::Boolean => Self::Boolean(BooleanBuilder::new()),
            Stored::SmallInteger => Self::SmallInteger(Int64Builder::new()),
            Stored::Integer => Self::Integer(Int64Builder::new()),
            Stored::BigInteger => Self::BigInteger(Int64Builder::new()),
            Stored::Real => Self::Real(Float32Builder::new()),
            Stored::Double => Self::Double(Float64Builder::new()),
            Stored::Numeric => Self::Numeric(Float64Builder::new()),
            Stored::Text | Stored::Array => Self::Text(StringBuilder::new()),
            Stored::Date => Self::Date(Date32Builder::new()),
            Stored::Timestamp | Stored::TimestampWithZone => {
                Self::Timestamp(TimestampMicrosecondBuilder::new())
            }
        }
    }

    fn push_null(&mut self) {
        match self {
            Self::Boolean(builder) => builder.append_null(),
            Self::SmallInteger(builder) | Self::Integer(builder) | Self::BigInteger(builder) => {
                builder.append_null();
            }
            Self::Real(builder) => builder.append_null(),
            Self::Double(builder) | Self::Numeric(builder) => builder.append_null(),
            Self::Text(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Timestamp(builder) => builder.append_null(),
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        match self {
            Self::Boolean(builder) => {
                let [byte] = array(bytes)?;
                builder.append_value(byte != 0);
            }
            Self::SmallInteger(builder) => {
                builder.append_value(i16::from_be_bytes(array(bytes)?).into());
            }
            Self::Integer(builder) => {
                builder.append_value(i32::from_be_bytes(array(bytes)?).into());
            }
            Self::BigInteger(builder) => builder.append_value(i64::from_be_bytes(array(bytes)?)),
            Self::Real(builder) => builder.append_value(f32::from_be_bytes(array(bytes)?)),
            Self::Double(builder) => builder.append_value(f64::from_be_bytes(array(bytes)?)),
            Self::Numeric(builder) => builder.append_value(numeric(bytes)?),
            Self::Text(builder) => {
                let text = str::from_utf8(bytes).map_err(|_| Trouble::NotText)?;
                if builder.values_slice().len() + text.len() > MOST_TEXT_BYTES {
                    return Err(Trouble::TooMuchText);
                }
                builder.append_value(text);
            }
            Self::Date(builder) => {
                let days = i32::from_be_bytes(array(bytes)?);
                let infinite = days == i32::MAX || days == i32::MIN;
                let days = days.checked_add(EPOCH_DAYS).filter(|_| !infinite);
                builder.append_value(days.ok_or(Trouble::OutOfRange)?);
            }
            Self::Timestamp(builder) => {
                let time = i64::from_be_bytes(array(bytes)?);
                let infinite = time == i64::MAX || time == i64::MIN;
                let time = time.checked_add(EPOCH_MICROSECONDS).filter(|_| !infinite);
                builder.append_value(time.ok_or(Trouble::OutOfRange)?);
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::SmallInteger(builder) | Self::Integer(builder) | Self::BigInteger(builder) => {
                Arc::new(builder.finish())
            }
            Self::Real(builder) => Arc::new(builder.finish()),
            Self::Double(builder) | Self::Numeric(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) => Arc::new(builder.finish()),
        }
    }
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Trouble> {
    bytes.try_into().map_err(|_| Trouble::Malformed)
}

/// The float nearest to a number in decimal digits. Numbers themselves may be infinite; those that
/// only become so here are refused.
fn numeric(bytes: &[u8]) -> Result<f64, Trouble> {
    let text = str::from_utf8(bytes).map_err(|_| Trouble::Malformed)?;
    let number: f64 = text.parse().map_err(|_| Trouble::Malformed)?;
    let has_digits = text.ends_with(|last: char| last.is_ascii_digit());
    match number.is_infinite() && has_digits {
        true => Err(Trouble::OutOfRange),
        false => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::super::copy::TupleReader;
    use super::super::copy::tests::stream;
    use super::*;
    use arrow::array::Array;
    use arrow::util::display::array_value_to_string;

    /// The one value of a column that arrives as these bytes; an error is its code.
    fn read(stored: Stored, bytes: &[u8]) -> Result<String, String> {
        let column = SourceColumn {
            name: "c".to_owned(),
            declared: String::new(),
            stored: Some(stored),
            base: String::new(),
        };
        let mut builder = RowBuilder::new([(&column, stored)]);
        let mut reader = TupleReader::new(1);
        reader
            .push(&stream(&[&[Some(bytes)], &[None]]), &mut |tuple| {
                Ok(builder.push(tuple, 0)?)
            })
            .map_err(|error| error.to_string())?;
        let rows = builder.finish().unwrap();
        assert!(rows.batch.num_rows() == 2 && rows.batch.column(0).is_null(1));
        match rows.unreadable.get(&0) {
            None => Ok(array_value_to_string(rows.batch.column(0), 0).unwrap()),
            Some(unreadable) => {
                assert_eq!(unreadable.field.as_deref(), Some("c"));
                assert!(rows.batch.column(0).is_null(0));
                Err(unreadable.code.to_owned())
            }
        }
    }

    #[test]
    fn each_type_is_decoded() {
        for (stored, bytes, expected) in [
            (Stored::Boolean, &[1][..], "true"),
            (Stored::SmallInteger, &(-2_i16).to_be_bytes(), "-2"),
            (Stored::Integer, &70_000_i32.to_be_bytes(), "70000"),
            (
                Stored::BigInteger,
                &i64::MIN.to_be_bytes(),
                "-9223372036854775808",
            ),
            (Stored::Real, &0.1_f32.to_be_bytes(), "0.1"),
            (Stored::Double, &0.1_f64.to_be_bytes(), "0.1"),
            (Stored::Numeric, b"-12.50", "-12.5"),
            (Stored::Numeric, b"NaN", "NaN"),
            (Stored::Numeric, b"-Infinity", "-inf"),
            (Stored::Text, "é".as_bytes(), "é"),
            (Stored::Text, b"", ""),
            (Stored::Date, &(-1_i32).to_be_bytes(), "1999-12-31"),
            (
                Stored::Timestamp,
                &1_i64.to_be_bytes(),
                "2000-01-01T00:00:00.000001",
            ),
        ] {
            assert_eq!(read(stored, bytes).unwrap(), expected, "{stored:?}");
        }
    }

    #[test]
    fn a_value_without_a_place_costs_its_record_only() {
        let huge = "9".repeat(400);
        for (stored, bytes, code) in [
            (Stored::Date, &i32::MAX.to_be_bytes()[..], "out_of_range"),
            (Stored::Date, &i32::MIN.to_be_bytes(), "out_of_range"),
            (Stored::Timestamp, &i64::MAX.to_be_bytes(), "out_of_range"),
            (
                Stored::Timestamp,
                &(i64::MAX - 1).to_be_bytes(),
                "out_of_range",
            ),
            (
                Stored::TimestampWithZone,
                &i64::MIN.to_be_bytes(),
                "out_of_range",
            ),
            (Stored::Numeric, huge.as_bytes(), "out_of_range"),
            (Stored::Text, b"\xff", "invalid_text"),
        ] {
            assert_eq!(read(stored, bytes).unwrap_err(), code, "{stored:?}");
        }
    }

    #[test]
    fn other_bytes_than_the_types_are_an_error() {
        for stored in [
            Stored::Boolean,
            Stored::Integer,
            Stored::Double,
            Stored::Date,
        ] {
            assert!(
                read(stored, b"12345").unwrap_err().contains("column `c`"),
                "{stored:?}"
            );
        }
    }
}
