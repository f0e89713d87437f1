//! Encodes chunks of numeric and categorical columns as matrices.
//!
//! Work goes column by column: no decision is taken per value that the column's feature has
//! already settled. It goes tile by tile, too, so that the part of the matrix which all columns are written
//! into stays in the cache.

use arrow::array::{Array, ArrayRef, Float64Array};
use arrow::datatypes::DataType;

use super::encoder::{Cause, Encoded, Note, Rejection};
use super::lookup::{LastDictionary, Lookup};
use super::rows::{Rows, Table};
use super::spec::{Feature, FeatureKind, OutOfRange, Scale, Unknown};
use crate::error::Failure;

/// Numbers of a matrix's part that is encoded at a time: 64 kB of them.
const NUMBERS_OF_A_TILE: usize = 16_384;

/// And its rows, at least.
const ROWS_OF_A_TILE: usize = 64;

/// Encodes columns as a bundle's features demand.
pub struct TableEncoder {
    features: Vec<Feature>,
    /// Of the categorical features; the others have an empty one.
    lookups: Vec<Lookup>,
    dense_width: usize,
    code_width: usize,
}

impl TableEncoder {
    /// An encoder for `features`.
    pub fn new(features: Vec<Feature>) -> Self {
        let lookups = features
            .iter()
            .map(|feature| match &feature.kind {
                FeatureKind::Categorical { categories, .. } => Lookup::new(categories, 1),
                _ => Lookup::new(&[], 1),
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
    /// or Utf8 in a dictionary for categorical ones. Rows that are rejected hold unspecified numbers.
    ///
    /// # Errors
    /// If a column is of another type, which is a mistake of the caller.
    pub fn encode(
        &self,
        columns: &[ArrayRef],
        dictionaries: &mut Vec<LastDictionary>,
    ) -> anyhow::Result<Encoded> {
        dictionaries.resize_with(self.features.len(), LastDictionary::default);
        let rows = columns.first().map_or(0, |column| column.len());
        let mut encoded = Matrices {
            dense: vec![0.0; rows * self.dense_width],
            codes: vec![0; rows * self.code_width],
            rejections: vec![None; rows],
            notes: Vec::new(),
            category_codes: vec![Vec::new(); self.features.len()],
        };
        let width = (self.dense_width + self.code_width).max(1);
        let tile_rows = (NUMBERS_OF_A_TILE / width).max(ROWS_OF_A_TILE);
        for first in (0..rows).step_by(tile_rows) {
            let count = tile_rows.min(rows - first);
            let tile = columns.iter().map(|column| column.slice(first, count));
            self.encode_tile(tile, first, dictionaries, &mut encoded)?;
        }
        let mut rows = self.no_rows();
        (rows.dense, rows.codes) = (encoded.dense, encoded.codes);
        Ok(Encoded {
            rows: Rows::Table(rows),
            rejections: encoded.rejections,
            notes: encoded.notes,
            codes: encoded.category_codes,
        })
    }

    /// Encodes some neighbouring rows, from the row `first` on.
    fn encode_tile(
        &self,
        columns: impl Iterator<Item = ArrayRef>,
        first: usize,
        dictionaries: &mut [LastDictionary],
        encoded: &mut Matrices,
    ) -> anyhow::Result<()> {
        let (mut dense_column, mut code_column) = (0, 0);
        for (index, (feature, column)) in self.features.iter().zip(columns).enumerate() {
            match &feature.kind {
                FeatureKind::Numeric(scale) => {
                    let values = downcast::<Float64Array>(&column, &DataType::Float64)?;
                    self.encode_numeric(index, scale, values, first, dense_column, encoded);
                }
                FeatureKind::Categorical { .. } => {
                    let codes = self.lookups[index].codes(&column, &mut dictionaries[index])?;
                    let at = if feature.is_embedded() {
                        code_column
                    } else {
                        dense_column
                    };
                    let nulls = |row| column.is_null(row);
                    self.encode_categorical(index, &codes, nulls, first, at, encoded);
                }
                FeatureKind::Text { .. } | FeatureKind::Query | FeatureKind::Items => {
                    let problem = format!("`{}` is no column of a table", feature.column);
                    return Err(Failure::internal(problem).into());
                }
            }
            if feature.is_embedded() {
                code_column += 1;
            } else {
                dense_column += feature.width();
            }
        }
        Ok(())
    }

    fn encode_numeric(
        &self,
        index: usize,
        scale: &Scale,
        values: &Float64Array,
        first: usize,
        at: usize,
        encoded: &mut Matrices,
    ) {
        for (row, &value) in values.values().iter().enumerate() {
            let cell = (first + row) * self.dense_width + at;
            // The common case: no NaN passes the comparisons.
            if value >= scale.min && value <= scale.max && values.is_valid(row) {
                let standardised = scale.standardise(value);
                if standardised.is_finite() {
                    encoded.dense[cell] = standardised;
                    continue;
                }
            }
            let value = values.is_valid(row).then_some(value);
            match scale.of_unusual(value) {
                Ok((standardised, note)) => {
                    encoded.dense[cell] = standardised;
                    if let Some(note) = note {
                        encoded.note(first + row, index, note);
                    }
                }
                Err(cause) => encoded.reject(first + row, index, cause),
            }
        }
    }

    fn encode_categorical(
        &self,
        index: usize,
        codes: &[Option<u32>],
        is_null: impl Fn(usize) -> bool,
        first: usize,
        at: usize,
        encoded: &mut Matrices,
    ) {
        let FeatureKind::Categorical { dim, unknown, .. } = self.features[index].kind else {
            return;
        };
        let all = codes.iter().map(|code| code.unwrap_or(0));
        encoded.category_codes[index].extend(all);
        for (row, &code) in codes.iter().enumerate() {
            let code = match (code, unknown) {
                (Some(code), _) => code,
                (None, Unknown::Other) => {
                    encoded.note(first + row, index, Note::Unknown);
                    0
                }
                (None, Unknown::Reject) => {
                    let cause = match is_null(row) {
                        true => Cause::Null,
                        false => Cause::UnknownCategory,
                    };
                    encoded.reject(first + row, index, cause);
                    0
                }
            };
            let row = first + row;
            if dim == 0 {
                encoded.dense[row * self.dense_width + at + code as usize] = 1.0;
            } else {
                encoded.codes[row * self.code_width + at] = code;
            }
        }
    }
}

impl Scale {
    fn standardise(&self, value: f64) -> f32 {
        ((value - self.mean) / self.std) as f32
    }

    /// What becomes of a value that is null, not finite, out of range or too large once standardised.
    fn of_unusual(&self, value: Option<f64>) -> Result<(f32, Option<Note>), Cause> {
        let clamped = |value: f64| value.clamp(self.min, self.max);
        let (value, note) = match value {
            Some(value) if value.is_infinite() => return Err(Cause::Infinite),
            Some(value) if !value.is_nan() => match self.out_of_range {
                OutOfRange::Reject if value < self.min => return Err(Cause::BelowRange),
                OutOfRange::Reject if value > self.max => return Err(Cause::AboveRange),
                OutOfRange::Clamp if clamped(value) != value => {
                    (clamped(value), Some(Note::Clamped))
                }
                // In range, but too large for f32, which is found below.
                _ => (value, None),
            },
            missing => {
                let cause = match missing {
                    None => Cause::Null,
                    Some(_) => Cause::NotANumber,
                };
                let fill = self.fill.ok_or(cause)?;
                // A fill beyond the range is subject to the range like any value.
                let fill = match self.out_of_range {
                    OutOfRange::Clamp => clamped(fill),
                    OutOfRange::Reject | OutOfRange::Keep => fill,
                };
                (fill, Some(Note::Imputed))
            }
        };
        let standardised = self.standardise(value);
        match standardised.is_finite() {
            true => Ok((standardised, note)),
            false => Err(Cause::TooLarge),
        }
    }
}

/// What is being encoded, row-major.
struct Matrices {
    dense: Vec<f32>,
    codes: Vec<u32>,
    rejections: Vec<Option<Rejection>>,
    notes: Vec<(u32, u32, Note)>,
    category_codes: Vec<Vec<u32>>,
}

impl Matrices {
    fn note(&mut self, row: usize, feature: usize, note: Note) {
        self.notes.push((row as u32, feature as u32, note));
    }

    /// The first feature at fault counts.
    fn reject(&mut self, row: usize, feature: usize, cause: Cause) {
        self.rejections[row].get_or_insert(Rejection { feature, cause });
    }
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
