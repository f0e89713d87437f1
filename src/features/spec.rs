//! The `[[feature]]` tables of a bundle's `model.toml`.

use serde::Deserialize;

use crate::error::Failure;
use crate::source::columns::Purpose;

/// One `[[feature]]` as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSpec {
    /// Input column.
    pub column: String,
    /// `numeric` or `categorical`.
    pub kind: Kind,
    /// Numeric: subtracted first.
    pub mean: Option<f64>,
    /// Numeric: divided by; positive.
    pub std: Option<f64>,
    /// Numeric: smallest value in range.
    pub min: Option<f64>,
    /// Numeric: largest value in range.
    pub max: Option<f64>,
    /// Numeric: what a missing value becomes under `missing = "impute"`; else the mean.
    pub fill: Option<f64>,
    /// Numeric: what to do with null and NaN.
    pub missing: Option<Missing>,
    /// Numeric: what to do beyond `min` and `max`.
    pub out_of_range: Option<OutOfRange>,
    /// Categorical: known values, in the order of their rows.
    pub categories: Option<Vec<String>>,
    /// Categorical: width of the embedding; 0 for one-hot.
    pub dim: Option<usize>,
    /// Categorical: what to do with null and values that are not in `categories`.
    pub unknown: Option<Unknown>,
}

/// Kind of a feature, as written.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A number.
    Numeric,
    /// One of several known values.
    Categorical,
}

/// What to do with null and NaN. Infinity is always rejected.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Use `fill`, else the mean.
    #[default]
    Impute,
    /// Make the record a dead letter.
    Reject,
}

/// What to do with a number beyond `min` or `max`.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum OutOfRange {
    /// Use the nearest bound.
    #[default]
    Clamp,
    /// Make the record a dead letter.
    Reject,
    /// Use it as it is.
    Keep,
}

/// What to do with null and unknown categories.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// Use row 0.
    #[default]
    Other,
    /// Make the record a dead letter.
    Reject,
}

/// A checked feature.
#[derive(Clone, Debug)]
pub struct Feature {
    /// Input column.
    pub column: String,
    /// How it is encoded.
    pub kind: FeatureKind,
}

/// How a number is encoded.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Subtracted first.
    pub mean: f64,
    /// Divided by.
    pub std: f64,
    /// Smallest value in range; −∞ if there is no bound.
    pub min: f64,
    /// Largest value in range; +∞ if there is no bound.
    pub max: f64,
    /// Value of a missing one; `None` rejects the record.
    pub fill: Option<f64>,
    /// What happens beyond the range.
    pub out_of_range: OutOfRange,
}

/// How a feature is encoded.
#[derive(Clone, Debug)]
pub enum FeatureKind {
    /// `(x - mean) / std` in f64, then cast to f32 once.
    Numeric(Scale),
    /// Row `i + 1` for `categories[i]`, row 0 for "other".
    Categorical {
        /// Known values.
        categories: Vec<String>,
        /// Width of the embedding; 0 for one-hot over `1 + categories.len()`.
        dim: usize,
        /// What happens with null and unknown values.
        unknown: Unknown,
    },
    /// Tokens.
    Text {
        /// Of a text or a pair at most.
        max_length: usize,
        /// Bytes that the tokenizer is given at most.
        max_bytes: usize,
    },
    /// What items are ranked for: a row of an embedding table. An unknown one is rejected.
    Query,
    /// A list of items.
    Items,
}

impl FeatureKind {
    /// What a column of this kind is read for.
    pub fn purpose(&self) -> Purpose {
        match self {
            FeatureKind::Numeric(_) => Purpose::Numeric,
            FeatureKind::Categorical { .. } | FeatureKind::Query => Purpose::Categorical,
            FeatureKind::Text { .. } => Purpose::Text,
            FeatureKind::Items => Purpose::Items,
        }
    }
}

impl Feature {
    /// Number of inputs that the feature contributes to the model's input vector.
    pub fn width(&self) -> usize {
        match &self.kind {
            FeatureKind::Numeric(_) => 1,
            FeatureKind::Categorical {
                categories, dim: 0, ..
            } => categories.len() + 1,
            FeatureKind::Categorical { dim, .. } => *dim,
            FeatureKind::Text { .. } | FeatureKind::Query | FeatureKind::Items => 0,
        }
    }
}

impl FeatureSpec {
    /// Checks that the keys are there that the kind needs, and none that it does not know.
    ///
    /// # Errors
    /// Names the column and the key (78).
    pub fn resolve(self) -> anyhow::Result<Feature> {
        let column = self.column.clone();
        self.resolve_kind()
            .map(|kind| Feature {
                column: column.clone(),
                kind,
            })
            .map_err(|why| Failure::config(format!("feature `{column}`: {why}")).into())
    }

    fn resolve_kind(self) -> Result<FeatureKind, String> {
        match self.kind {
            Kind::Numeric => {
                forbid("categories", self.categories.is_some(), "numeric")?;
                forbid("dim", self.dim.is_some(), "numeric")?;
                forbid("unknown", self.unknown.is_some(), "numeric")?;
                let finite = |key: &str, value: Option<f64>| match value {
                    Some(value) if !value.is_finite() => Err(format!("`{key}` must be finite")),
                    value => Ok(value),
                };
                let mean = finite("mean", self.mean)?.ok_or("a numeric feature needs `mean`")?;
                let std = finite("std", self.std)?.ok_or("a numeric feature needs `std`")?;
                if std <= 0.0 {
                    return Err("`std` must be positive".to_owned());
                }
                let min = finite("min", self.min)?.unwrap_or(f64::NEG_INFINITY);
                let max = finite("max", self.max)?.unwrap_or(f64::INFINITY);
                if min > max {
                    return Err("`min` is greater than `max`".to_owned());
                }
                let fill = finite("fill", self.fill)?;
                let fill = match self.missing.unwrap_or_default() {
                    Missing::Impute => Some(fill.unwrap_or(mean)),
                    Missing::Reject if fill.is_some() => {
                        return Err("`fill` has no use with `missing = \"reject\"`".to_owned());
                    }
                    Missing::Reject => None,
                };
                Ok(FeatureKind::Numeric(Scale {
                    mean,
                    std,
                    min,
                    max,
                    fill,
                    out_of_range: self.out_of_range.unwrap_or_default(),
                }))
            }
            Kind::Categorical => {
                for (key, present) in [
                    ("mean", self.mean.is_some()),
                    ("std", self.std.is_some()),
                    ("min", self.min.is_some()),
                    ("max", self.max.is_some()),
                    ("fill", self.fill.is_some()),
                    ("missing", self.missing.is_some()),
                    ("out_of_range", self.out_of_range.is_some()),
                ] {
                    forbid(key, present, "categorical")?;
                }
                let categories = self
                    .categories
                    .filter(|categories| !categories.is_empty())
                    .ok_or("a categorical feature needs `categories`")?;
                let mut sorted: Vec<_> = categories.iter().collect();
                sorted.sort();
                if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
                    return Err(format!("category `{}` is listed twice", twice[0]));
                }
                Ok(FeatureKind::Categorical {
                    categories,
                    dim: self
                        .dim
                        .ok_or("a categorical feature needs `dim` (0: one-hot)")?,
                    unknown: self.unknown.unwrap_or_default(),
                })
            }
        }
    }
}

fn forbid(key: &str, present: bool, kind: &str) -> Result<(), String> {
    if present {
        return Err(format!("`{key}` has no meaning for a {kind} feature"));
    }
    Ok(())
}
