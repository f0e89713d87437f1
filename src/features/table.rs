//! Encodes chunks of numeric and categorical columns as matrices.
//!
//! Work goes column by column: no decision is taken per value that the column's feature has
//! already settled.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, Float64Array, StringArray};
use arrow::datatypes::DataType;

use super::encoder::{Cause, Encoded, Note, Rejection};
use super::rows::{Rows, Table};
use super::spec::{Feature, FeatureKind, OutOfRange, Unknown};
use crate::error::Failure;

/// Encodes columns as a bundle's features demand.
pub struct TableEncoder {
    features: Vec<Feature>,
    lookups: Vec<HashMap<String, u32>>,
    dense_width: usize,
    code_width: usize,
}

impl TableEncoder {
    /// An encoder for `features`.
    pub fn new(features: Vec<Feature>) -> Self {
        let lookups = features
            .iter()
            .map(|feature| match &feature.kind {
                FeatureKind::Numeric { .. } | FeatureKind::Text { .. } => HashMap::new(),
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

    /// No rows.
    pub fn no_rows(&self) -> Table {
        Table {
            dense_width: self.dense_width,
            code_width: self.code_width,
            dense: Vec::new(),
            codes: Vec::new(),
        }
    }

    /// Encodes `columns`, one for each feature in their order: Float64 for numeric features, Utf8
    /// for categorical ones. Rows that are rejected hold unspecified numbers.
    ///
    /// # Errors
    /// If a column is of another type, which is a mistake of the caller.
    pub fn encode(&self, columns: &[ArrayRef]) -> anyhow::Result<Encoded> {
        let rows = columns.first().map_or(0, |column| column.len());
        let mut encoded = Matrices {
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
                FeatureKind::Text { .. } => {
                    let problem = format!("`{}` is a text in a table", feature.column);
                    return Err(Failure::internal(problem).into());
                }
            }
            if feature.is_embedded() {
                code_column += 1;
            } else {
                dense_column += feature.width();
            }
        }
        let mut rows = self.no_rows();
        (rows.dense, rows.codes) = (encoded.dense, encoded.codes);
        Ok(Encoded {
            rows: Rows::Table(rows),
            rejections: encoded.rejections,
            notes: encoded.notes,
        })
    }

    fn encode_numeric(
        &self,
        index: usize,
        values: &Float64Array,
        at: usize,
        encoded: &mut Matrices,
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
        encoded: &mut Matrices,
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

/// What is being encoded, row-major.
struct Matrices {
    dense: Vec<f32>,
    codes: Vec<u32>,
    rejections: Vec<Option<Rejection>>,
    notes: Vec<(u32, u32, Note)>,
}

impl Feature {
    /// Whether the model looks the feature up in an embedding table.
    pub fn is_embedded(&self) -> bool {
        matches!(self.kind, FeatureKind::Categorical { dim: 1.., .. })
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
