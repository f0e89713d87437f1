//! Parquet files as tables in Postgres.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::postgres::Database;

/// Loads a Parquet file into a table with the file's columns, created if it is not there yet, so
/// that several files make one table. `table` is written as in SQL, with its schema and quotes.
pub fn load_parquet(database: &Database, table: &str, path: &Path, id_column: Option<&str>) {
    let file = File::open(path).expect("a file");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
    let mut columns: Vec<String> = reader
        .schema()
        .fields()
        .iter()
        .map(|field| {
            format!(
                "{} {}",
                quoted(field.name()),
                postgres_type(field.data_type())
            )
        })
        .collect();
    if let Some(id_column) = id_column {
        columns.push(format!("PRIMARY KEY ({})", quoted(id_column)));
    }
    let mut session = database.session();
    session.execute(&format!(
        "CREATE TABLE IF NOT EXISTS {table} ({})",
        columns.join(", ")
    ));
    let names: Vec<String> = reader
        .schema()
        .fields()
        .iter()
        .map(|field| quoted(field.name()))
        .collect();
    let mut rows = String::new();
    for batch in reader.build().expect("a reader") {
        write_rows(&batch.expect("rows"), &mut rows);
    }
    let copy = format!("COPY {table} ({}) FROM STDIN", names.join(", "));
    session.copy_in(&copy, rows.as_bytes());
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The type that holds every value of a column but a timestamp's nanoseconds.
fn postgres_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "boolean",
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint",
        DataType::Int32 | DataType::UInt16 => "integer",
        DataType::Int64 | DataType::UInt32 => "bigint",
        DataType::UInt64 => "numeric(20)",
        DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
        DataType::Date32 => "date",
        DataType::Timestamp(unit, zone) => {
            assert!(*unit != TimeUnit::Nanosecond, "Postgres has microseconds");
            match zone {
                Some(_) => "timestamp with time zone",
                None => "timestamp",
            }
        }
        DataType::Decimal128(precision, scale) => return format!("numeric({precision}, {scale})"),
        DataType::Dictionary(_, values) => return postgres_type(values),
        other => panic!("no type of Postgres is chosen for {other}"),
    }
    .to_owned()
}

/// Appends rows in the text format of `COPY`. Floats come out with the digits that identify them.
fn write_rows(batch: &RecordBatch, rows: &mut String) {
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| {
            // Names of time zones are not built in; the moments are the same.
            let column = match column.data_type() {
                DataType::Timestamp(unit, Some(_)) => {
                    let numbers = cast(column, &DataType::Int64).expect("numbers");
                    cast(&numbers, &DataType::Timestamp(*unit, Some("+00:00".into())))
                }
                _ => Ok(column.clone()),
            };
            cast(&column.expect("moments"), &DataType::Utf8).expect("a column that prints")
        })
        .collect();
    for row in 0..batch.num_rows() {
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                rows.push('\t');
            }
            if column.is_null(row) {
                rows.push_str("\\N");
                continue;
            }
            for character in column.as_string::<i32>().value(row).chars() {
                match character {
                    '\\' => rows.push_str("\\\\"),
                    '\t' => rows.push_str("\\t"),
                    '\n' => rows.push_str("\\n"),
                    '\r' => rows.push_str("\\r"),
                    other => rows.push(other),
                }
            }
        }
        rows.push('\n');
    }
}
