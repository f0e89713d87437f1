//! From columns to what a network takes, and what happened to which value on the way.

use arrow::array::ArrayRef;

use super::lookup::LastDictionary;
use super::query::QueryEncoder;
use super::rows::{Queries, Rows, Tokens};
use super::spec::{Feature, FeatureKind};
use super::table::TableEncoder;
use super::text::TextEncoder;

/// What happened to a value on its way into the model, short of rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Note {
    /// Null or NaN, replaced by the feature's fill.
    Imputed,
    /// Beyond the range, replaced by the nearest bound.
    Clamped,
    /// Null or not among the categories, encoded as "other".
    Unknown,
    /// A text longer than the model takes, cut.
    Truncated,
}

/// Why a record was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Index of the feature at fault, the first one in the bundle's order.
    pub feature: usize,
    /// What the value was.
    pub cause: Cause,
}

/// The class of a rejected value. Never the value itself, which may be personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Null.
    Null,
    /// Not a number.
    NotANumber,
    /// Positive or negative infinity.
    Infinite,
    /// Finite, but not once it is standardised and cast to f32.
    TooLarge,
    /// Below the feature's `min`.
    BelowRange,
    /// Above the feature's `max`.
    AboveRange,
    /// Not among the categories.
    UnknownCategory,
    /// Bytes that are no UTF-8.
    InvalidUtf8,
    /// More tokens, or more bytes, than the model takes.
    TooLong,
    /// The tokenizer makes nothing of it.
    NoTokens,
    /// Not among the queries.
    UnknownQuery,
    /// Not a list of ids.
    NoItems,
}

/// The encoded rows of a chunk.
pub struct Encoded {
    /// Rows; those that are rejected hold unspecified numbers, or no tokens.
    pub rows: Rows,
    /// For each row, why it is rejected.
    pub rejections: Vec<Option<Rejection>>,
    pub(super) notes: Vec<(u32, u32, Note)>,
    /// For each categorical feature of a table, the codes of all rows; for the others none.
    pub(super) codes: Vec<Vec<u32>>,
}

impl Encoded {
    /// The codes of all rows of a categorical feature: 0 is "other"; of other features there are none.
    pub fn codes(&self, feature: usize) -> &[u32] {
        self.codes.get(feature).map_or(&[], Vec::as_slice)
    }

    /// What happened to values: `(row, feature, note)`, in no particular order.
    pub fn notes(&self) -> impl Iterator<Item = (usize, usize, Note)> {
        self.notes
            .iter()
            .map(|&(row, feature, note)| (row as usize, feature as usize, note))
    }
}

/// Encodes columns as a bundle demands.
pub enum Encoder {
    /// Numbers and categories.
    Table(TableEncoder),
    /// Texts.
    Text(Box<TextEncoder>),
    /// Queries that items are ranked for.
    Query(QueryEncoder),
}

impl Encoder {
    /// The columns that are taken, in the order that [`encode`](Self::encode) takes them.
    pub fn features(&self) -> &[Feature] {
        match self {
            Self::Table(encoder) => encoder.features(),
            Self::Text(encoder) => encoder.features(),
            Self::Query(encoder) => encoder.features(),
        }
    }

    /// No rows.
    pub fn no_rows(&self) -> Rows {
        match self {
            Self::Table(encoder) => Rows::Table(encoder.no_rows()),
            Self::Text(_) => Rows::Tokens(Tokens::default()),
            Self::Query(_) => Rows::Queries(Queries::default()),
        }
    }

    /// Encodes `columns`, one for each feature in their order, of the types that the features'
    /// [purposes](super::FeatureKind::purpose) are read as; categories may stand in a dictionary.
    /// `dictionaries` are those of the caller's last chunk.
    ///
    /// # Errors
    /// If a column is of another type, which is a mistake of the caller.
    pub fn encode(
        &self,
        columns: &[ArrayRef],
        dictionaries: &mut Vec<LastDictionary>,
    ) -> anyhow::Result<Encoded> {
        match self {
            Self::Table(encoder) => encoder.encode(columns, dictionaries),
            Self::Text(encoder) => encoder.encode(columns),
            Self::Query(encoder) => encoder.encode(columns, dictionaries),
        }
    }

    /// About what a row takes once it is encoded, in bytes.
    pub fn bytes_per_row(&self) -> usize {
        match self {
            Self::Table(encoder) => {
                let rows = encoder.no_rows();
                (rows.dense_width + rows.code_width) * size_of::<f32>()
            }
            Self::Text(encoder) => encoder.bytes_per_text(),
            Self::Query(encoder) => encoder.bytes_per_query(),
        }
    }
}

impl Rejection {
    /// Code of the dead letter.
    pub fn code(&self) -> &'static str {
        match self.cause {
            Cause::Null | Cause::NotANumber => "missing_value",
            Cause::Infinite | Cause::TooLarge => "not_finite",
            Cause::BelowRange | Cause::AboveRange => "out_of_range",
            Cause::UnknownCategory => "unknown_category",
            Cause::InvalidUtf8 => "invalid_utf8",
            Cause::TooLong => "too_long",
            Cause::NoTokens => "no_tokens",
            Cause::UnknownQuery => "unknown_query",
            Cause::NoItems => "invalid_items",
        }
    }

    /// Message of the dead letter: the class of the value, and what the bundle demands.
    pub fn message(&self, feature: &Feature) -> String {
        let (min, max) = match feature.kind {
            FeatureKind::Numeric(scale) => (scale.min, scale.max),
            _ => (f64::NEG_INFINITY, f64::INFINITY),
        };
        match self.cause {
            Cause::Null => "the value is null".to_owned(),
            Cause::NotANumber => "the value is NaN".to_owned(),
            Cause::Infinite => "the value is infinite".to_owned(),
            Cause::TooLarge => "the standardised value is too large for f32".to_owned(),
            Cause::BelowRange => format!("the value is below {min}"),
            Cause::AboveRange => format!("the value is above {max}"),
            Cause::UnknownCategory => "the value is none of the known categories".to_owned(),
            Cause::InvalidUtf8 => "the bytes are no UTF-8".to_owned(),
            Cause::TooLong => match feature.kind {
                FeatureKind::Text {
                    max_length,
                    max_bytes,
                } => format!("the text has more than {max_length} tokens, or {max_bytes} bytes"),
                _ => "the text is too long".to_owned(),
            },
            Cause::NoTokens => "the tokenizer makes no token of the text".to_owned(),
            Cause::UnknownQuery => "the value is none of the known queries".to_owned(),
            Cause::NoItems => "the value is no list of ids".to_owned(),
        }
    }
}
