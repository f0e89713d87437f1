//! Which Postgres types can be read, and as what.
//!
//! Every column is cast, in the statement that reads it, to the one type whose binary form is
//! decoded, so that a column which somebody alters meanwhile is never misread.

use arrow::datatypes::{DataType, TimeUnit};

use crate::database::Identifier;
use crate::source::columns::{Purpose, list_type};

/// A column of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceColumn {
    /// Its name.
    pub(super) name: String,
    /// Its type as Postgres writes it, for people and for the digest.
    pub(super) declared: String,
    /// What it is read as; `None` if it can not be read.
    pub(super) stored: Option<Stored>,
    /// Its type, without length and without domains around it, as SQL.
    pub(super) base: String,
}

/// What a column is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    Boolean,
    SmallInteger,
    Integer,
    BigInteger,
    Real,
    Double,
    /// Sent as text, whose conversion here is exact and can not fail, as the server's does, on a
    /// number beyond the range of floats.
    Numeric,
    Text,
    Date,
    /// Microseconds; with a time zone they are those of UTC.
    Timestamp,
    TimestampWithZone,
    /// Of text or integers; sent as a JSON array.
    Array,
}

impl Stored {
    /// By the type's name in `pg_type`, or `enum`.
    pub(super) fn of(kind: &str) -> Option<Self> {
        Some(match kind {
            "bool" => Self::Boolean,
            "int2" => Self::SmallInteger,
            "int4" => Self::Integer,
            "int8" => Self::BigInteger,
            "float4" => Self::Real,
            "float8" => Self::Double,
            "numeric" => Self::Numeric,
            "text" | "varchar" | "bpchar" | "char" | "name" | "uuid" | "enum" | "json"
            | "jsonb" | "citext" => Self::Text,
            "date" => Self::Date,
            "timestamp" => Self::Timestamp,
            "timestamptz" => Self::TimestampWithZone,
            "_text" | "_varchar" | "_bpchar" | "_name" | "_uuid" | "_int2" | "_int4" | "_int8" => {
                Self::Array
            }
            _ => return None,
        })
    }

    /// The column of this (quoted) name, cast to what is decoded.
    pub(super) fn cast(self, name: &Identifier) -> String {
        let kind = match self {
            Self::Boolean => "boolean",
            Self::SmallInteger => "smallint",
            Self::Integer => "integer",
            Self::BigInteger => "bigint",
            Self::Real => "real",
            Self::Double => "double precision",
            Self::Numeric | Self::Text => "text",
            Self::Date => "date",
            Self::Timestamp => "timestamp without time zone",
            Self::TimestampWithZone => "timestamp with time zone",
            Self::Array => return format!("to_json({name})::text"),
        };
        format!("{name}::{kind}")
    }

    /// The type that the column `purpose` is read as, or `None` if it can not serve.
    pub(super) fn read_as(self, purpose: Purpose) -> Option<DataType> {
        match self {
            // A list to whoever takes lists, and nothing to anybody else, text though it is on the way.
            Self::Array => purpose.read_as(&list_type()).map(|_| DataType::Utf8),
            other => purpose.read_as(&other.data_type()),
        }
    }

    /// The type of the decoded column.
    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::SmallInteger | Self::Integer | Self::BigInteger => DataType::Int64,
            Self::Real => DataType::Float32,
            Self::Double | Self::Numeric => DataType::Float64,
            Self::Text | Self::Array => DataType::Utf8,
            Self::Date => DataType::Date32,
            Self::Timestamp | Self::TimestampWithZone => {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
        }
    }
}
