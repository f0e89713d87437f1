//! What one JSON value becomes in a column, and what it can not become.
//!
//! Invariant: a refusal names kinds, never values: values may be personal data.

use std::borrow::Cow;

use arrow::array::ArrayBuilder;
use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, TimeUnit};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::json::{Token, canonical_integer, text_of};
use crate::job::ColumnType;
use crate::source::columns::Purpose;

/// As what a column's values are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The record's id.
    Identity,
    /// A number, or a boolean as 1 or 0.
    Numeric,
    /// Text, or what has one textual form: an integer or a boolean.
    Categorical,
    /// An array as it is written, or text that is one.
    Items,
    /// Exactly the declared type.
    Declared(ColumnType),
}

impl Reading {
    /// How a column of `data_type` that serves `purpose` is read; the type is one that
    /// [`data_type`](Self::data_type) gave.
    pub fn new(purpose: Purpose, data_type: &DataType) -> Option<Self> {
        match purpose {
            Purpose::Identity => Some(Reading::Identity),
            Purpose::Numeric => Some(Reading::Numeric),
            Purpose::Categorical => Some(Reading::Categorical),
            Purpose::Text => Some(Reading::Declared(ColumnType::Text)),
            Purpose::Items => Some(Reading::Items),
            Purpose::Expression => {
                let declared = match data_type {
                    DataType::Int64 => ColumnType::Integer,
                    DataType::Float64 => ColumnType::Float,
                    DataType::Utf8 => ColumnType::Text,
                    DataType::Boolean => ColumnType::Boolean,
                    DataType::Date32 => ColumnType::Date,
                    DataType::Timestamp(TimeUnit::Microsecond, None) => ColumnType::Timestamp,
                    _ => return None,
                };
                Some(Reading::Declared(declared))
            }
        }
    }

    /// The type of the column.
    pub fn data_type(self) -> DataType {
        match self {
            Reading::Identity
            | Reading::Categorical
            | Reading::Items
            | Reading::Declared(ColumnType::Text) => DataType::Utf8,
            Reading::Numeric | Reading::Declared(ColumnType::Float) => DataType::Float64,
            Reading::Declared(ColumnType::Integer) => DataType::Int64,
            Reading::Declared(ColumnType::Boolean) => DataType::Boolean,
            Reading::Declared(ColumnType::Date) => DataType::Date32,
            Reading::Declared(ColumnType::Timestamp) => {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Reading::Identity | Reading::Declared(ColumnType::Text) => "text",
            Reading::Numeric | Reading::Declared(ColumnType::Float) => "a number",
            Reading::Categorical => "text, an integer or a boolean",
            Reading::Items => "an array of ids",
            Reading::Declared(ColumnType::Integer) => "an integer",
            Reading::Declared(ColumnType::Boolean) => "a boolean",
            Reading::Declared(ColumnType::Date) => "a date such as \"2026-11-23\"",
            Reading::Declared(ColumnType::Timestamp) => "a time such as \"2026-11-23T05:00:00Z\"",
        }
    }

    /// The value that `token` is when it is read so; else what was expected and found.
    pub fn value<'text>(self, token: Token<'text>) -> Result<Value<'text>, String> {
        let refused = |found: &str| Err(format!("expected {}, found {found}", self.expected()));
        match (self, token) {
            (_, Token::Null) => Ok(Value::Null),
            (
                Reading::Numeric | Reading::Declared(ColumnType::Float),
                Token::Integer(text) | Token::Float(text),
            ) => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Value::Float(number)),
                _ => refused("a number beyond what a double holds"),
            },
            (Reading::Numeric, Token::Boolean(truth)) => {
                Ok(Value::Float(if truth { 1.0 } else { 0.0 }))
            }
            (Reading::Categorical, Token::Integer(text)) => {
                Ok(Value::Text(Cow::Borrowed(canonical_integer(text))))
            }
            (Reading::Categorical, Token::Boolean(truth)) => {
                Ok(Value::Text(Cow::Borrowed(if truth {
                    "true"
                } else {
                    "false"
                })))
            }
            (Reading::Items, Token::Array(text)) => Ok(Value::Text(Cow::Borrowed(text))),
            (Reading::Declared(ColumnType::Integer), Token::Integer(text)) => match text.parse() {
                Ok(integer) => Ok(Value::Integer(integer)),
                Err(_) => refused("an integer beyond 64 bits"),
            },
            (Reading::Declared(ColumnType::Boolean), Token::Boolean(truth)) => {
                Ok(Value::Boolean(truth))
            }
            (
                Reading::Identity
                | Reading::Categorical
                | Reading::Items
                | Reading::Declared(ColumnType::Text | ColumnType::Date | ColumnType::Timestamp),
                Token::Text(quoted),
            ) => match text_of(quoted) {
                Some(text) => self.text(text),
                None => refused("text with half of a surrogate pair"),
            },
            (_, other) => refused(other.kind()),
        }
    }

    /// The value that a plain text is when it is read so.
    pub fn text(self, text: Cow<'_, str>) -> Result<Value<'_>, String> {
        let refused = |found: &str| Err(format!("expected {}, found {found}", self.expected()));
        match self {
            Reading::Identity
            | Reading::Categorical
            | Reading::Items
            | Reading::Declared(ColumnType::Text) => Ok(Value::Text(text)),
            Reading::Declared(ColumnType::Date) => match date(&text) {
                Some(days) => Ok(Value::Date(days)),
                None => refused("other text"),
            },
            Reading::Declared(ColumnType::Timestamp) => match microseconds(&text) {
                Some(microseconds) => Ok(Value::Timestamp(microseconds)),
                None => refused("other text"),
            },
            Reading::Numeric
            | Reading::Declared(ColumnType::Integer | ColumnType::Float | ColumnType::Boolean) => {
                refused("text")
            }
        }
    }
}

/// A value, ready for its column.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'text> {
    Null,
    Text(Cow<'text, str>),
    Float(f64),
    Integer(i64),
    Boolean(bool),
    /// Days since 1970.
    Date(i32),
    /// Microseconds since 1970.
    Timestamp(i64),
}

/// Days since 1970. Only the plain form: a time behind the date would be lost in silence.
fn date(text: &str) -> Option<i32> {
    let plain = text.len() == "2026-11-23".len() && text.as_bytes().get(4) == Some(&b'-');
    let date: Date = text.parse().ok().filter(|_| plain)?;
    Some(date.duration_since(Date::constant(1970, 1, 1)).as_hours() as i32 / 24)
}

/// Microseconds since 1970; without an offset, of UTC.
fn microseconds(text: &str) -> Option<i64> {
    // A date alone would be midnight, which nobody wrote.
    if !matches!(text.as_bytes().get(10), Some(b'T' | b't' | b' ')) {
        return None;
    }
    let moment = text.parse::<Timestamp>().ok().or_else(|| {
        let local: DateTime = text.parse().ok()?;
        TimeZone::UTC.to_timestamp(local).ok()
    })?;
    Some(moment.as_microsecond())
}

/// A column as it grows.
pub enum Column {
    Text(StringBuilder),
    Float(Float64Builder),
    Integer(Int64Builder),
    Boolean(BooleanBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl Column {
    /// An empty column for values that are read as `reading`.
    pub fn new(reading: Reading, capacity: usize) -> Self {
        match reading.data_type() {
            DataType::Float64 => Column::Float(Float64Builder::with_capacity(capacity)),
            DataType::Int64 => Column::Integer(Int64Builder::with_capacity(capacity)),
            DataType::Boolean => Column::Boolean(BooleanBuilder::with_capacity(capacity)),
            DataType::Date32 => Column::Date(Date32Builder::with_capacity(capacity)),
            DataType::Timestamp(_, _) => {
                Column::Timestamp(TimestampMicrosecondBuilder::with_capacity(capacity))
            }
            _ => Column::Text(StringBuilder::with_capacity(capacity, capacity * 8)),
        }
    }

    /// Adds a value; one that is not of the column's type is null.
    pub fn push(&mut self, value: &Value<'_>) {
        match (self, value) {
            (Column::Text(builder), Value::Text(text)) => builder.append_value(text),
            (Column::Text(builder), _) => builder.append_null(),
            (Column::Float(builder), Value::Float(number)) => builder.append_value(*number),
            (Column::Float(builder), _) => builder.append_null(),
            (Column::Integer(builder), Value::Integer(integer)) => builder.append_value(*integer),
            (Column::Integer(builder), _) => builder.append_null(),
            (Column::Boolean(builder), Value::Boolean(truth)) => builder.append_value(*truth),
            (Column::Boolean(builder), _) => builder.append_null(),
            (Column::Date(builder), Value::Date(days)) => builder.append_value(*days),
            (Column::Date(builder), _) => builder.append_null(),
            (Column::Timestamp(builder), Value::Timestamp(moment)) => {
                builder.append_value(*moment);
            }
            (Column::Timestamp(builder), _) => builder.append_null(),
        }
    }

    /// The column as an array.
    pub fn finish(self) -> ArrayRef {
        match self {
            Column::Text(mut builder) => ArrayBuilder::finish(&mut builder),
            Column::Float(mut builder) => ArrayBuilder::finish(&mut builder),
            Column::Integer(mut builder) => ArrayBuilder::finish(&mut builder),
            Column::Boolean(mut builder) => ArrayBuilder::finish(&mut builder),
            Column::Date(mut builder) => ArrayBuilder::finish(&mut builder),
            Column::Timestamp(mut builder) => ArrayBuilder::finish(&mut builder),
        }
    }
}
