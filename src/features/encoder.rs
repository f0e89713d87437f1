//! Encodes chunks of columns as matrices, and says what happened to which value.
//!
//! Work goes column by column: no decision is taken per value that the column's feature has
//! already settled.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, Float64Array, StringArray};
use arrow::datatypes::DataType;

use super::spec::{Feature, FeatureKind, OutOfRange, Unknown};
use crate::error::Failure;

/// What happened to a value on its way into the model, short of rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Note {
    /// Null or NaN, replaced by the feature's fill.
    Imputed,
    /// Beyond the range, replaced by the nearest bound.
    Clamped,
    /// Null or not among the categories, encoded as "other".
    Unknown,
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
}

/// The encoded rows of a chunk.
pub struct Encoded {
    /// Row-major `[rows, dense width]`: numbers and one-hot columns, in the order of the features.
    pub dense: Vec<f32>,
    /// Row-major `[rows, embedded features]`: row of the embedding table.
    pub codes: Vec<u32>,
    /// For each row, why it is rejected.
    pub rejections: Vec<Option<Rejection>>,
    notes: Vec<(u32, u32, Note)>,
}

impl Encoded {
    /// What happened to values: `(row, feature, note)`, grouped by feature, rows ascending.
    pub fn notes(&self) -> impl Iterator<Item = (usize, usize, Note)> {
        self.notes
            .iter()
            .map(|&(row, feature, note)| (row as usize, feature as usize, note))
    }
}

/// Encodes columns as a bundle's features demand.
pub struct Encoder {
    features: Vec<Feature>,
    lookups: Vec<HashMap<String, u32>>,
    dense_width: usize,
    code_width: usize,
}

impl Encoder {
    /// An encoder for `features`.
    pub fn new(features: Vec<Feature>) -> Self {
        let lookups = features
            .iter()
            .map(|feature| match &feature.kind {
                FeatureKind::Numeric { .. } => HashMap::new(),
                FeatureKind::Categorical { categories, .. } => {
                    categories.iter().cloned().zip(1..).collect()
                }
            })
            .collect();
        let is_embedded = |feature: &&Feature| feature.is_embedded();
        Self {
            dense_width: features
                .iter()
                .filter(|feature| !feature.is_embedded())
                .map(Feature::width)
                .sum(),
            code_width: features.iter().filter(is_embedded).count(),
            lookups,
            features,
        }
    }

    /// The features, in the bundle's order.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// Columns of [`Encoded::dense`].
    pub fn dense_width(&self) -> usize {
        self.dense_width
    }

    /// Columns of [`Encoded::codes`].
    pub fn code_width(&self) -> usize {
        self.code_width
    }

    /// Encodes `columns`, one for each feature in their order: Float64 for numeric features, Utf8
    /// for categorical ones. Rows that are rejected hold unspecified numbers.
    ///
    /// # Errors
    /// If a column is of another type, which is a mistake of the caller.
    pub fn encode(&self, columns: &[ArrayRef]) -> anyhow::Result<Encoded> {
        let rows = columns.first().map_or(0, |column| column.len());
        let mut encoded = Encoded {
            dense: vec![0.0; rows * self.dense_width],
            codes: vec![0; rows * self.code_width],
            rejections: vec![None; rows],
            notes: Vec::new(),
        };
        let (mut dense_column, mut code_column) = (0, 0);
        for (index, (feature, column)) in self.features.iter().zip(columns).enumerate() {
            match &feature.kind {
                FeatureKind::Numeric { .. } => {
                    let values = downcast::<Float64Array>(column, &DataType::Float64)?;
                    self.encode_numeric(index, values, dense_column, &mut encoded);
                }
                FeatureKind::Categorical { .. } => {
                    let values = downcast::<StringArray>(column, &DataType::Utf8)?;
                    let at = if feature.is_embedded() {
                        code_column
                    } else {
                        dense_column
                    };
                    self.encode_categorical(index, values, at, &mut encoded);
                }
            }
            if feature.is_embedded() {
                code_column += 1;
            } else {
                dense_column += feature.width();
            }
        }
        Ok(encoded)
    }

    fn encode_numeric(
        &self,
        index: usize,
        values: &Float64Array,
        at: usize,
        encoded: &mut Encoded,
    ) {
        let FeatureKind::Numeric {
            mean,
            std,
            min,
            max,
            fill,
            out_of_range,
        } = self.features[index].kind
        else {
            return;
        };
        let standardise = |value: f64| ((value - mean) / std) as f32;
        let cells = encoded.dense.iter_mut().skip(at).step_by(self.dense_width);
        for (row, cell) in cells.take(values.len()).enumerate() {
            let value = values.values()[row];
            // The common case: no NaN passes the comparisons.
            if values.is_valid(row) && value >= min && value <= max {
                let standardised = standardise(value);
                if standardised.is_finite() {
                    *cell = standardised;
                    continue;
                }
            }
            let null = values.is_null(row);
            let outcome = if null || value.is_nan() {
                match fill {
                    // A fill beyond the range is subject to the range like any value.
                    Some(fill) => {
                        encoded
                            .notes
                            .push((row as u32, index as u32, Note::Imputed));
                        let fill = match out_of_range {
                            OutOfRange::Clamp => fill.clamp(min, max),
                            OutOfRange::Reject | OutOfRange::Keep => fill,
                        };
                        Ok(fill)
                    }
                    None if null => Err(Cause::Null),
                    None => Err(Cause::NotANumber),
                }
            } else if value.is_infinite() {
                Err(Cause::Infinite)
            } else {
                match out_of_range {
                    OutOfRange::Keep => Ok(value),
                    OutOfRange::Clamp => {
                        encoded
                            .notes
                            .push((row as u32, index as u32, Note::Clamped));
                        Ok(value.clamp(min, max))
                    }
                    OutOfRange::Reject if value < min => Err(Cause::BelowRange),
                    OutOfRange::Reject if value > max => Err(Cause::AboveRange),
                    // In range, but too large for f32, which is found below.
                    OutOfRange::Reject => Ok(value),
                }
            };
            let outcome = outcome.and_then(|value| {
                let standardised = standardise(value);
                match standardised.is_finite() {
                    true => Ok(standardised),
                    false => Err(Cause::TooLarge),
                }
            });
            match outcome {
                Ok(standardised) => *cell = standardised,
                Err(cause) => {
                    encoded.rejections[row].get_or_insert(Rejection {
                        feature: index,
                        cause,
                    });
                }
            }
        }
    }

    fn encode_categorical(
        &self,
        index: usize,
        values: &StringArray,
        at: usize,
        encoded: &mut Encoded,
    ) {
        let FeatureKind::Categorical { dim, unknown, .. } = self.features[index].kind else {
            return;
        };
        let lookup = &self.lookups[index];
        for row in 0..values.len() {
            let code = values
                .is_valid(row)
                .then(|| lookup.get(values.value(row)).copied())
                .flatten();
            let code = match (code, unknown) {
                (Some(code), _) => code,
                (None, Unknown::Other) => {
                    encoded
                        .notes
                        .push((row as u32, index as u32, Note::Unknown));
                    0
                }
                (None, Unknown::Reject) => {
                    let cause = if values.is_null(row) {
                        Cause::Null
                    } else {
                        Cause::UnknownCategory
                    };
                    encoded.rejections[row].get_or_insert(Rejection {
                        feature: index,
                        cause,
                    });
                    0
                }
            };
            if dim == 0 {
                encoded.dense[row * self.dense_width + at + code as usize] = 1.0;
            } else {
                encoded.codes[row * self.code_width + at] = code;
            }
        }
    }
}

impl Feature {
    /// Whether the model looks the feature up in an embedding table.
    pub fn is_embedded(&self) -> bool {
        matches!(self.kind, FeatureKind::Categorical { dim: 1.., .. })
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
        }
    }

    /// Message of the dead letter: the class of the value, and what the bundle demands.
    pub fn message(&self, feature: &Feature) -> String {
        let (min, max) = match feature.kind {
            FeatureKind::Numeric { min, max, .. } => (min, max),
            FeatureKind::Categorical { .. } => (f64::NEG_INFINITY, f64::INFINITY),
        };
        match self.cause {
            Cause::Null => "the value is null".to_owned(),
            Cause::NotANumber => "the value is NaN".to_owned(),
            Cause::Infinite => "the value is infinite".to_owned(),
            Cause::TooLarge => "the standardised value is too large for f32".to_owned(),
            Cause::BelowRange => format!("the value is below {min}"),
            Cause::AboveRange => format!("the value is above {max}"),
            Cause::UnknownCategory => "the value is none of the known categories".to_owned(),
        }
    }
}

fn downcast<'a, A: Array + 'static>(
    column: &'a ArrayRef,
    expected: &DataType,
) -> anyhow::Result<&'a A> {
    column.as_any().downcast_ref::<A>().ok_or_else(|| {
        Failure::internal(format!(
            "a feature column is {}, not {expected}",
            column.data_type()
        ))
        .into()
    })
}
