//! Whole rows of one file as JSON, for those who put them somewhere else.
//!
//! Invariants: a row read from its JSON is scored like the row itself, to the last bit; so floats of
//! 32 bits are written as the doubles that they are widened to, and NaN, which is a missing value
//! to every feature, is null. Columns of a type that JSON has no form for are refused by name before
//! the first row.

use std::fmt::Write;
use std::path::Path;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch,
    StringArray, UInt64Array,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int64Type, Schema, TimeUnit, UInt64Type,
};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::DAMAGED;
use super::batches::{Batches, Wanted};
use super::manifest::read_footer;
use super::projection::Columns;
use crate::error::Failure;
use crate::source::columns::{ColumnUse, Purpose, conversion_hint};
use crate::suggest::nearest;

const BATCH_ROWS: usize = 1024;

/// One row of a file.
pub struct Row {
    /// Its place in the file, from 1.
    pub number: u64,
    /// What its id column holds.
    pub record_id: String,
    /// A JSON object of its other columns.
    pub object: String,
}

/// Passes every row of the file at `path` to `visit`, whose error ends it.
///
/// # Errors
/// The file is damaged, lacks the id column, or has a column or row that can not be written as JSON
/// (65); I/O.
pub fn for_each_row(
    path: &Path,
    id_column: &str,
    visit: &mut dyn FnMut(Row) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let name = path.display().to_string();
    let file = read_footer(name, path.to_path_buf(), 0)?;
    let schema = file.header.schema();
    let id_index = check(path, schema, id_column)?;
    let all = Columns::all(&file);
    let opened = file.open_unchanged()?;
    let mut batches = Batches::open(&file, opened, all, Wanted::From(0), BATCH_ROWS)?;
    let mut number = 0;
    while let Some(batch) = batches.next()? {
        let (ids, columns) = columns(path, &batch, id_index)?;
        for row in 0..batch.num_rows() {
            number += 1;
            if ids.is_null(row) {
                return Err(Failure::data(format!(
                    "{}, row {number}, column `{id_column}`: the record has no id",
                    path.display()
                ))
                .hint("every record needs an id")
                .into());
            }
            let mut object = String::from("{");
            for column in &columns {
                if object.len() > 1 {
                    object.push(',');
                }
                object.push_str(&column.key);
                column.cells.write(row, &mut object).map_err(|problem| {
                    let place = format!("{}, row {number}", path.display());
                    Failure::data(format!("{place}, column `{}`: {problem}", column.name))
                })?;
            }
            object.push('}');
            visit(Row {
                number,
                record_id: ids.value(row).to_owned(),
                object,
            })?;
        }
    }
    if number != file.rows {
        return Err(Failure::data(format!(
            "{} holds {number} rows, but its footer promises {}",
            path.display(),
            file.rows
        ))
        .hint(DAMAGED)
        .into());
    }
    Ok(())
}

/// Whether all columns can be written; the index of the id column.
fn check(path: &Path, schema: &Schema, id_column: &str) -> anyhow::Result<usize> {
    let shown = path.display();
    let names = || schema.fields().iter().map(|field| field.name().as_str());
    for (index, field) in schema.fields().iter().enumerate() {
        let name = field.name();
        if names().take(index).any(|earlier| earlier == name) {
            let problem = format!("{shown} has more than one column `{name}`");
            return Err(Failure::data(problem).into());
        }
        if name != id_column && Form::of(field.data_type()).is_none() {
            let data_type = field.data_type();
            let problem = format!(
                "{shown}: column `{name}` is of type {data_type}, which can not be queued; columns hold {}, or lists of them",
                Purpose::Expression.accepted()
            );
            return Err(Failure::data(problem)
                .hint("convert or leave out the column where the file is written")
                .into());
        }
    }
    let Some(index) = names().position(|name| name == id_column) else {
        let there: Vec<&str> = names().collect();
        let failure = Failure::data(format!(
            "{shown} has no column `{id_column}` for the ids; its columns are {}",
            there.join(", ")
        ));
        return Err(match nearest(id_column, there) {
            Some(near) => failure.hint(format!(
                "did you mean `{near}`? [source] id_column names the column"
            )),
            None => failure.hint("[source] id_column names the column that holds the ids"),
        }
        .into());
    };
    let stored = schema.field(index).data_type();
    if Purpose::Identity.read_as(stored).is_none() {
        let column = ColumnUse::new(id_column, Purpose::Identity);
        return Err(Failure::data(format!(
            "{shown}: column `{id_column}` is of type {stored}, but it must hold {}",
            Purpose::Identity.accepted()
        ))
        .hint(conversion_hint(&column, stored))
        .into());
    }
    Ok(index)
}

/// How a column is written.
#[derive(Clone, Copy)]
enum Form {
    /// A value in each row.
    One(Item),
    /// An array of values.
    List(Item),
}

impl Form {
    fn of(stored: &DataType) -> Option<Self> {
        match stored {
            DataType::List(items)
            | DataType::LargeList(items)
            | DataType::FixedSizeList(items, _) => Item::of(items.data_type()).map(Form::List),
            stored => Item::of(stored).map(Form::One),
        }
    }

    /// The type that the column is brought to before it is written.
    fn plain(self) -> DataType {
        match self {
            Form::One(item) => item.plain(),
            Form::List(item) => DataType::new_list(item.plain(), true),
        }
    }
}

/// How a value is written.
#[derive(Clone, Copy)]
enum Item {
    Null,
    Boolean,
    Integer,
    Unsigned,
    Float,
    Decimal,
    Text,
    Date,
    /// With units a second, and whether it is a moment (UTC) and not a local time.
    Timestamp(i64, bool),
}

impl Item {
    fn of(stored: &DataType) -> Option<Self> {
        match stored {
            DataType::Dictionary(_, values) => Self::of(values),
            DataType::Null => Some(Item::Null),
            DataType::Boolean => Some(Item::Boolean),
            DataType::UInt64 => Some(Item::Unsigned),
            integer if integer.is_integer() => Some(Item::Integer),
            float if float.is_floating() => Some(Item::Float),
            decimal if decimal.is_decimal() => Some(Item::Decimal),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(Item::Text),
            DataType::Date32 | DataType::Date64 => Some(Item::Date),
            DataType::Timestamp(unit, zone) => {
                let per_second = match unit {
                    TimeUnit::Second => 1,
                    TimeUnit::Millisecond => 1_000,
                    TimeUnit::Microsecond => 1_000_000,
                    TimeUnit::Nanosecond => 1_000_000_000,
                };
                Some(Item::Timestamp(per_second, zone.is_some()))
            }
            _ => None,
        }
    }

    fn plain(self) -> DataType {
        match self {
            Item::Null => DataType::Null,
            Item::Boolean => DataType::Boolean,
            Item::Integer | Item::Timestamp(_, _) => DataType::Int64,
            Item::Unsigned => DataType::UInt64,
            Item::Float => DataType::Float64,
            Item::Decimal | Item::Text => DataType::Utf8,
            Item::Date => DataType::Date32,
        }
    }
}

struct JsonColumn<'batch> {
    name: &'batch str,
    /// The name and a colon, as they stand in a JSON object.
    key: String,
    cells: Cells,
}

enum Cells {
    Null,
    Boolean(BooleanArray),
    Integer(Int64Array),
    Unsigned(UInt64Array),
    Float(Float64Array),
    /// Decimals as text.
    Decimal(StringArray),
    Text(StringArray),
    Date(arrow::array::Date32Array),
    Timestamp {
        counts: Int64Array,
        per_second: i64,
        is_moment: bool,
    },
    List {
        lists: ListArray,
        items: Box<Cells>,
    },
}

/// The ids, and the other columns in their order.
fn columns<'batch>(
    path: &Path,
    batch: &'batch RecordBatch,
    id_index: usize,
) -> anyhow::Result<(StringArray, Vec<JsonColumn<'batch>>)> {
    let schema = batch.schema_ref();
    let plain = |index: usize, data_type: DataType| -> anyhow::Result<ArrayRef> {
        let options = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        cast_with_options(batch.column(index), &data_type, &options).map_err(|error| {
            let name = schema.field(index).name();
            Failure::data(format!("{}: column `{name}`: {error}", path.display())).into()
        })
    };
    let ids = plain(id_index, DataType::Utf8)?.as_string::<i32>().clone();
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (index, field) in schema.fields().iter().enumerate() {
        if index == id_index {
            continue;
        }
        let form = Form::of(field.data_type()).ok_or_else(|| {
            Failure::internal(format!("column `{}` changed its type", field.name()))
        })?;
        let array = plain(index, form.plain())?;
        columns.push(JsonColumn {
            name: field.name(),
            key: format!("{}:", serde_json::Value::from(field.name().as_str())),
            cells: Cells::new(form, &array),
        });
    }
    Ok((ids, columns))
}

impl Cells {
    fn new(form: Form, array: &dyn Array) -> Self {
        match form {
            Form::One(item) => Self::of_items(item, array),
            Form::List(item) => {
                let lists = array.as_list::<i32>().clone();
                let items = Box::new(Self::of_items(item, lists.values()));
                Cells::List { lists, items }
            }
        }
    }

    fn of_items(item: Item, array: &dyn Array) -> Self {
        match item {
            Item::Null => Cells::Null,
            Item::Boolean => Cells::Boolean(array.as_boolean().clone()),
            Item::Integer => Cells::Integer(array.as_primitive::<Int64Type>().clone()),
            Item::Unsigned => Cells::Unsigned(array.as_primitive::<UInt64Type>().clone()),
            Item::Float => Cells::Float(array.as_primitive::<Float64Type>().clone()),
            Item::Decimal => Cells::Decimal(array.as_string::<i32>().clone()),
            Item::Text => Cells::Text(array.as_string::<i32>().clone()),
            Item::Date => Cells::Date(array.as_primitive::<Date32Type>().clone()),
            Item::Timestamp(per_second, is_moment) => Cells::Timestamp {
                counts: array.as_primitive::<Int64Type>().clone(),
                per_second,
                is_moment,
            },
        }
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Cells::Null => true,
            Cells::Boolean(array) => array.is_null(row),
            Cells::Integer(array) => array.is_null(row),
            Cells::Unsigned(array) => array.is_null(row),
            Cells::Float(array) => array.is_null(row) || array.value(row).is_nan(),
            Cells::Decimal(array) | Cells::Text(array) => array.is_null(row),
            Cells::Date(array) => array.is_null(row),
            Cells::Timestamp { counts, .. } => counts.is_null(row),
            Cells::List { lists, .. } => lists.is_null(row),
        }
    }

    fn write(&self, row: usize, json: &mut String) -> Result<(), &'static str> {
        if self.is_null(row) {
            json.push_str("null");
            return Ok(());
        }
        let written = match self {
            Cells::Null => Ok(()),
            Cells::Boolean(array) => write!(json, "{}", array.value(row)),
            Cells::Integer(array) => write!(json, "{}", array.value(row)),
            Cells::Unsigned(array) => write!(json, "{}", array.value(row)),
            // Its own form in JSON would be a lie; this one is refused when the record is read.
            Cells::Float(array) if array.value(row).is_infinite() => {
                let sign = if array.value(row) < 0.0 { "-" } else { "" };
                write!(json, "{sign}1e999")
            }
            // The shortest digits that read back as the same double, with an exponent where the
            // plain form would be long.
            Cells::Float(array) => write!(json, "{:?}", array.value(row)),
            Cells::Decimal(array) => write!(json, "{}", array.value(row)),
            Cells::Text(array) => write!(json, "{}", serde_json::Value::from(array.value(row))),
            Cells::Date(array) => {
                let hours = i64::from(array.value(row)) * 24;
                let date = Date::constant(1970, 1, 1)
                    .checked_add(SignedDuration::from_hours(hours))
                    .map_err(|_| "the date is beyond the year 9999")?;
                write!(json, "\"{date}\"")
            }
            Cells::Timestamp {
                counts,
                per_second,
                is_moment,
            } => {
                let nanoseconds = i128::from(1_000_000_000 / per_second);
                let moment =
                    Timestamp::from_nanosecond(i128::from(counts.value(row)) * nanoseconds)
                        .map_err(|_| "the time is beyond the year 9999")?
                        .to_string();
                let local = moment.trim_end_matches('Z');
                let text = if *is_moment { &moment } else { local };
                write!(json, "\"{text}\"")
            }
            Cells::List { lists, items } => {
                json.push('[');
                let range = lists.value_offsets()[row]..lists.value_offsets()[row + 1];
                for (index, item) in range.enumerate() {
                    if index > 0 {
                        json.push(',');
                    }
                    items.write(item as usize, json)?;
                }
                json.push(']');
                Ok(())
            }
        };
        written.map_err(|_| "the value can not be written")
    }
}

#[cfg(test)]
mod tests;
