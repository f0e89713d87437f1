//! Which columns a run reads, and as what type.
//!
//! Every use of a column (identity, numeric feature, categorical feature, SQL expression) has one
//! canonical Arrow type (categories may stand in a dictionary of it), so that whoever reads a chunk
//! meets few types, and files whose columns differ harmlessly (int32 here, int64 there) read alike.
//! What would lose or change a value is refused by name before anything is claimed.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};

/// What a column is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// The record's identity; read as text, integers in canonical decimal form.
    Identity,
    /// A numeric feature; read as f64.
    Numeric,
    /// A categorical feature; read as text, integers in canonical decimal form.
    Categorical,
    /// A text for a tokenizer; read as text, or as the bytes that there are.
    Text,
    /// A list of items; read as a list of text, or as the JSON array that there is.
    Items,
    /// An input of `filter` or `transform`.
    Expression,
}

/// One column to read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ColumnUse {
    /// Name in the input.
    pub name: String,
    /// What for.
    pub purpose: Purpose,
}

impl ColumnUse {
    /// Column `name`, read for `purpose`.
    pub fn new(name: impl Into<String>, purpose: Purpose) -> Self {
        Self {
            name: name.into(),
            purpose,
        }
    }
}

impl Purpose {
    /// The type that a stored column of type `stored` is read as, or `None` if it cannot serve.
    pub fn read_as(self, stored: &DataType) -> Option<DataType> {
        let stored = match stored {
            DataType::Dictionary(_, values) => values.as_ref(),
            other => other,
        };
        match self {
            Purpose::Identity => (is_text(stored) || stored.is_integer()).then_some(DataType::Utf8),
            Purpose::Numeric => {
                (stored.is_numeric() || is_boolean_or_null(stored)).then_some(DataType::Float64)
            }
            Purpose::Categorical => {
                (is_text(stored) || stored.is_integer() || is_boolean_or_null(stored))
                    .then_some(DataType::Utf8)
            }
            Purpose::Text => match stored {
                DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                    Some(DataType::Binary)
                }
                DataType::Null => Some(DataType::Utf8),
                stored => is_text(stored).then_some(DataType::Utf8),
            },
            Purpose::Items => items_type(stored),
            Purpose::Expression => expression_type(stored),
        }
    }

    /// The types this purpose takes, for error messages.
    pub fn accepted(self) -> &'static str {
        match self {
            Purpose::Identity => "text or integers",
            Purpose::Numeric => "integers, floats, decimals or booleans",
            Purpose::Categorical => "text, integers or booleans",
            Purpose::Text => "text, or bytes that are UTF-8",
            Purpose::Items => "lists of text or integers, or JSON arrays of them as text",
            Purpose::Expression => {
                "integers, floats, decimals, booleans, text, dates or timestamps"
            }
        }
    }
}

/// The type that holds every value of both, if there is one. Both are types of expressions.
pub fn common_type(left: &DataType, right: &DataType) -> Option<DataType> {
    match (left, right) {
        (left, right) if left == right => Some(left.clone()),
        (DataType::Null, other) | (other, DataType::Null) => Some(other.clone()),
        _ => None,
    }
}

/// Lists of text.
pub(super) fn list_type() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

fn items_type(stored: &DataType) -> Option<DataType> {
    match stored {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            // Of a list that is empty in every row nobody knows more.
            if *item.data_type() != DataType::Null {
                Purpose::Identity.read_as(item.data_type())?;
            }
            Some(list_type())
        }
        DataType::Null => Some(DataType::Null),
        stored => is_text(stored).then_some(DataType::Utf8),
    }
}

fn expression_type(stored: &DataType) -> Option<DataType> {
    match stored {
        DataType::UInt64 => Some(DataType::UInt64),
        integer if integer.is_integer() => Some(DataType::Int64),
        number if number.is_numeric() => Some(DataType::Float64),
        DataType::Boolean => Some(DataType::Boolean),
        DataType::Null => Some(DataType::Null),
        text if is_text(text) => Some(DataType::Utf8),
        DataType::Date32 | DataType::Date64 => Some(DataType::Date32),
        DataType::Timestamp(_, _) => Some(DataType::Timestamp(TimeUnit::Microsecond, None)),
        _ => None,
    }
}

pub(super) fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

fn is_boolean_or_null(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Boolean | DataType::Null)
}

/// What to do about a column of a type that can not serve.
pub fn conversion_hint(column: &ColumnUse, stored: &DataType) -> String {
    match column.purpose {
        Purpose::Identity if stored.is_floating() => {
            "a float is no safe identity (1e15 and 1000000000000000 would differ); store the id as an integer or text".to_owned()
        }
        Purpose::Identity => "store the id as an integer or text".to_owned(),
        _ if stored.is_nested() => "convert it where it is written".to_owned(),
        _ => format!(
            "convert it where it is written, or with `transform`, for example \"CAST({} AS …) AS …\"",
            column.name
        ),
    }
}
