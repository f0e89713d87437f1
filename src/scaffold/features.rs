//! What of the file the model reads, and how.

use arrow::datatypes::DataType;

use super::identity::is_called_id;
use super::numbers::Numbers;
use super::survey::{Column, Survey};
use super::values::Values;
use crate::error::Failure;
use crate::features::spec::{Feature, FeatureKind, OutOfRange, Scale, Unknown};
use crate::report::text::grouped;

/// Categories that a feature gets at most.
const MOST_CATEGORIES: usize = 100;

/// So many categories are one-hot; more get an embedding.
const ONE_HOT: usize = 8;

/// A text of which fewer records than this repeat a value, in percent, is no category.
const LEAST_COVERED_PERCENT: u64 = 20;

/// So few records repeat nothing by chance.
const FEW_RECORDS: u64 = 20;

/// A column that the model reads.
pub struct Chosen {
    /// How it is encoded.
    pub feature: Feature,
    /// What is odd about it.
    pub note: Option<String>,
}

/// A column that the model does not read.
pub struct LeftOut {
    /// Its name.
    pub column: String,
    /// Why.
    pub reason: String,
}

/// Features and what is none, both in the order of the file. Neither has the id nor the target.
///
/// # Errors
/// No column can be a feature (65).
pub fn choose(
    survey: &Survey,
    id_column: &str,
    target: Option<&str>,
) -> Result<(Vec<Chosen>, Vec<LeftOut>), Failure> {
    let (mut features, mut left_out) = (Vec::new(), Vec::new());
    for column in &survey.columns {
        if column.name == id_column || target == Some(&column.name) {
            continue;
        }
        match feature(column) {
            Ok((kind, note)) => features.push(Chosen {
                feature: Feature {
                    column: column.name.clone(),
                    kind,
                },
                note,
            }),
            Err(reason) => left_out.push(LeftOut {
                column: column.name.clone(),
                reason,
            }),
        }
    }
    if !features.is_empty() {
        return Ok((features, left_out));
    }
    const SHOWN: usize = 5;
    let reasons: Vec<String> = left_out
        .iter()
        .take(SHOWN)
        .map(|left| format!("`{}`: {}", left.column, left.reason))
        .collect();
    let problem = match reasons.is_empty() {
        true => "the file has no column besides id and target".to_owned(),
        false => format!("no column can be a feature; {}", reasons.join("; ")),
    };
    Err(Failure::data(problem).hint("features are numbers, booleans, and text whose values repeat"))
}

/// How a column is encoded, and what is odd about it; or why it is no feature.
fn feature(column: &Column) -> Result<(FeatureKind, Option<String>), String> {
    if column.is_double {
        return Err("the file has more than one column of this name".to_owned());
    }
    match (&column.numbers, &column.values) {
        (Some(_), _) if is_called_id(&column.name) && column.stored.is_integer() => Err(
            "an id, by its name: it is no number; it may serve as a categorical feature".to_owned(),
        ),
        (Some(numbers), _) => numeric(numbers),
        (None, Some(values)) => categorical(values),
        (None, None) => Err(unusable(&column.name, &column.stored)),
    }
}

fn numeric(numbers: &Numbers) -> Result<(FeatureKind, Option<String>), String> {
    if numbers.count == 0 {
        return Err("it holds no number".to_owned());
    }
    let (mean, std) = numbers
        .mean_and_std()
        .ok_or("its numbers are too large to be standardised")?;
    let is_constant = numbers.is_constant();
    let (min, max) = match is_constant {
        true => (f64::NEG_INFINITY, f64::INFINITY),
        false => (numbers.min, numbers.max),
    };
    let mut notes = Vec::new();
    if is_constant {
        notes.push("the same number in every record, so std is 1".to_owned());
    }
    if numbers.infinite > 0 {
        let infinite = grouped(numbers.infinite);
        notes.push(format!(
            "{infinite} infinite values: such records become dead letters"
        ));
    }
    if numbers.missing > 0 {
        notes.push(format!("{} missing values", grouped(numbers.missing)));
    }
    let kind = FeatureKind::Numeric(Scale {
        mean,
        std,
        min,
        max,
        fill: Some(mean),
        out_of_range: OutOfRange::Clamp,
    });
    Ok((kind, (!notes.is_empty()).then(|| notes.join("; "))))
}

fn categorical(values: &Values) -> Result<(FeatureKind, Option<String>), String> {
    if values.count == 0 {
        return Err("it holds no value".to_owned());
    }
    let all = values.most_frequent();
    let chosen = &all[..all.len().min(MOST_CATEGORIES)];
    let repeating = chosen.iter().filter(|(_, count)| *count > 1);
    let covered: u64 = repeating.map(|(_, count)| count).sum();
    let is_free = covered * 100 < values.count * LEAST_COVERED_PERCENT;
    if chosen.is_empty() || (is_free && values.count > FEW_RECORDS) {
        return Err("an id or free text: its values hardly repeat".to_owned());
    }
    let note = match (values.is_partial, all.len() > chosen.len()) {
        (true, _) => Some(format!("{} frequent values out of many", chosen.len())),
        (false, true) => Some(format!(
            "the {} most frequent of {} values",
            chosen.len(),
            grouped(all.len() as u64)
        )),
        (false, false) => None,
    };
    let mut categories: Vec<String> = chosen
        .iter()
        .map(|(value, _)| (*value).to_owned())
        .collect();
    categories.sort_unstable();
    let dim = match categories.len() {
        0..=ONE_HOT => 0,
        many => many.ilog2() as usize + 1,
    };
    let kind = FeatureKind::Categorical {
        categories,
        dim,
        unknown: Unknown::Other,
    };
    Ok((kind, note))
}

fn unusable(name: &str, stored: &DataType) -> String {
    match stored {
        DataType::Null => "it holds no value".to_owned(),
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _) => format!(
            "a date or time; [source] transform makes numbers of it, such as EXTRACT(month FROM \"{name}\") AS month"
        ),
        DataType::Dictionary(_, values) => unusable(name, values),
        nested if nested.is_nested() => format!("nested ({})", kind(nested)),
        other => format!("of a type that no feature can be ({})", kind(other)),
    }
}

/// A type's name without what it is made of, which may fill pages.
fn kind(stored: &DataType) -> String {
    let text = stored.to_string();
    text.split(['(', '{', '<'])
        .next()
        .unwrap_or_default()
        .to_owned()
}
