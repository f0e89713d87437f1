//! How far a run's data and predictions are from those that the model was trained on, or from another
//! run's.
//!
//! What counts is the size of the difference, never whether it could be told from chance: of a million
//! records every difference could. Chance is taken off where there are few records: the population
//! stability index by what two samples of one distribution come to, shares by four of their standard
//! errors. Measures are defined as Evidently and SciPy define them, see [`measures`](super::measures).

mod categories;
mod numbers;
mod shown;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::measures::{merge_rare, psi, psi_by_chance};
use super::profile::{Content, Profile, Series, Side};
use super::rounded;
use crate::job::Thresholds;

/// How far two profiles are apart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Drift {
    /// What the run was held against: `reference`, or the name of a run.
    pub against: String,
    /// Records of the run that were looked at.
    pub records: u64,
    /// Those of the other side.
    pub reference_records: u64,
    /// Input series that have drifted.
    pub drifted_inputs: u64,
    /// Input series.
    pub inputs: u64,
    /// Their share, from 0 to 1.
    pub share_of_drifted_inputs: f64,
    /// Output series that have drifted.
    pub drifted_outputs: u64,
    /// All series, those that have drifted most first.
    pub series: Vec<SeriesDrift>,
}

/// How far a series has drifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Not so that it were told.
    None,
    /// Worth a look.
    Moderate,
    /// Worth an action.
    Significant,
}

impl Level {
    /// The word in tables and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::None => "none",
            Level::Moderate => "moderate",
            Level::Significant => "significant",
        }
    }
}

/// How far one series is from the reference's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SeriesDrift {
    /// Name of the series.
    pub name: String,
    /// Input or output.
    pub side: Side,
    /// How far, in a word.
    pub level: Level,
    /// Why, in words; empty if it has not drifted.
    pub reasons: Vec<String>,
    /// The measures. One that is not defined, or not for this kind of series, is missing.
    #[serde(flatten)]
    pub measures: Measures,
    /// Share of missing values, NaN among them.
    pub missing_share: Option<f64>,
    /// The same in the reference.
    pub reference_missing_share: Option<f64>,
    /// Mean, of numbers.
    pub mean: Option<f64>,
    /// The same in the reference.
    pub reference_mean: Option<f64>,
    /// Standard deviation, of numbers.
    pub standard_deviation: Option<f64>,
    /// The same in the reference.
    pub reference_standard_deviation: Option<f64>,
    /// Categories that the reference does not have, the most frequent first.
    pub new_categories: Vec<CategoryShare>,
    /// Categories that are gone, the most frequent of the reference first.
    pub vanished_categories: Vec<CategoryShare>,
    /// Both distributions, as they are shown.
    #[serde(default)]
    pub distribution: Option<Distributions>,
}

/// Two distributions over the same bins, of which there are at most [`MOST_SHOWN`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Distributions {
    /// What each bin holds: categories, or numbers such as `0.5 to 0.75`.
    pub bins: Vec<String>,
    /// Share of the reference's values in each, from 0 to 1.
    pub reference: Vec<f64>,
    /// The same of the run's.
    pub current: Vec<f64>,
}

/// Bins of a distribution that is shown, at most.
pub const MOST_SHOWN: usize = 20;

/// How far a series is from the reference's, by several measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// Population stability index over the reference's bins.
    pub psi: Option<f64>,
    /// The same without what chance makes of so few records, rare bins merged: what thresholds are for.
    pub psi_corrected: Option<f64>,
    /// Whether even that may be due to chance, so that it is not told whatever the threshold.
    #[serde(default)]
    pub psi_may_be_chance: bool,
    /// Jensen–Shannon distance over the reference's bins, base e.
    pub jensen_shannon: Option<f64>,
    /// Numbers: greatest difference of the distribution functions, at the edges of the reference's bins.
    pub kolmogorov_smirnov: Option<f64>,
    /// Numbers: Wasserstein distance by the reference's standard deviation.
    pub wasserstein: Option<f64>,
    /// Categories: Cramér's V.
    pub cramers_v: Option<f64>,
    /// Categories: greatest change of a share.
    pub l_infinity: Option<f64>,
}

/// A category and its share of the values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CategoryShare {
    /// The category.
    pub name: String,
    /// Its share, from 0 to 1.
    pub share: f64,
}

impl Drift {
    /// Holds the profile of a run against a `reference` that is called `against`.
    pub fn between(
        reference: &Profile,
        current: &Profile,
        against: &str,
        thresholds: &Thresholds,
    ) -> Self {
        let pairs = current
            .series
            .iter()
            .filter_map(|series| Some((reference.series(series.side, &series.name)?, series)));
        let mut series: Vec<SeriesDrift> = pairs
            .map(|(reference, current)| compare(reference, current, thresholds))
            .collect();
        series.sort_by(|one, other| {
            let size = |series: &SeriesDrift| series.measures.psi_corrected.unwrap_or(0.0);
            (other.level.cmp(&one.level))
                .then_with(|| size(other).total_cmp(&size(one)))
                .then_with(|| one.name.cmp(&other.name))
        });
        let count = |side: Side, least: Level| {
            let found = series.iter();
            found
                .filter(|series| series.side == side && series.level >= least)
                .count() as u64
        };
        let inputs = count(Side::Input, Level::None);
        let drifted_inputs = count(Side::Input, Level::Moderate);
        Self {
            against: against.to_owned(),
            records: current.records,
            reference_records: reference.records,
            drifted_inputs,
            inputs,
            share_of_drifted_inputs: rounded(drifted_inputs as f64 / inputs.max(1) as f64),
            drifted_outputs: count(Side::Output, Level::Moderate),
            series,
        }
    }

    /// Series that have drifted, the worst first.
    pub fn drifted(&self) -> impl Iterator<Item = &SeriesDrift> {
        let series = self.series.iter();
        series.filter(|series| series.level > Level::None)
    }
}

/// What was found of a series so far.
struct Finding {
    level: Level,
    reasons: Vec<String>,
}

impl Finding {
    fn add(&mut self, level: Level, reason: String) {
        self.level = self.level.max(level);
        self.reasons.push(reason);
    }

    /// Tells a measure that has come to its threshold.
    fn hold(&mut self, name: &str, value: Option<f64>, threshold: Option<f64>) {
        if let (Some(value), Some(threshold)) = (value, threshold)
            && value >= threshold
        {
            self.add(Level::Moderate, format!("{name} {value:.3}"));
        }
    }

    fn hold_psi(&mut self, psi: Option<CorrectedPsi>, thresholds: &Thresholds) {
        let Some(psi) = psi.filter(|psi| !psi.may_be_chance) else {
            return;
        };
        let level = if psi.value >= thresholds.psi_significant {
            Level::Significant
        } else if psi.value >= thresholds.psi_moderate {
            Level::Moderate
        } else {
            return;
        };
        self.add(level, format!("PSI {:.3}", psi.value));
    }
}

fn compare(reference: &Series, current: &Series, thresholds: &Thresholds) -> SeriesDrift {
    let mut finding = Finding {
        level: Level::None,
        reasons: Vec::new(),
    };
    let mut drift = SeriesDrift {
        name: current.name.clone(),
        side: current.side,
        level: Level::None,
        reasons: Vec::new(),
        measures: Measures::default(),
        missing_share: missing_share(current).map(rounded),
        reference_missing_share: missing_share(reference).map(rounded),
        mean: None,
        reference_mean: None,
        standard_deviation: None,
        reference_standard_deviation: None,
        new_categories: Vec::new(),
        vanished_categories: Vec::new(),
        distribution: None,
    };
    hold_missing(&mut finding, reference, current, thresholds);
    match (&reference.content, &current.content) {
        (Content::Numbers { .. }, Content::Numbers { .. }) => {
            numbers::compare(reference, current, thresholds, &mut drift, &mut finding);
        }
        (
            Content::Categories {
                names,
                categories: counts,
            },
            Content::Categories {
                names: current_names,
                categories: current_counts,
            },
        ) => {
            let reference = categories::Side { names, counts };
            let current = categories::Side {
                names: current_names,
                counts: current_counts,
            };
            categories::compare(reference, current, thresholds, &mut drift, &mut finding);
        }
        _ => {}
    }
    if !thresholds.ignore.contains(&drift.name) {
        (drift.level, drift.reasons) = (finding.level, finding.reasons);
    }
    drift
}

fn missing_share(series: &Series) -> Option<f64> {
    let values = &series.values;
    match values.all() {
        0 => None,
        all => Some((values.missing + values.not_a_number) as f64 / all as f64),
    }
}

fn hold_missing(
    finding: &mut Finding,
    reference: &Series,
    current: &Series,
    thresholds: &Thresholds,
) {
    let (Some(before), Some(now)) = (missing_share(reference), missing_share(current)) else {
        return;
    };
    let all = (reference.values.all() as f64, current.values.all() as f64);
    let change = now - before;
    if change.abs() < thresholds.missing || may_be_chance(before, now, all) {
        return;
    }
    let level = match change.abs() >= 2.0 * thresholds.missing {
        true => Level::Significant,
        false => Level::Moderate,
    };
    let reason = format!("missing {:.1} %, was {:.1} %", 100.0 * now, 100.0 * before);
    finding.add(level, reason);
}

/// Standard errors that a difference of shares must exceed.
const STANDARD_ERRORS: f64 = 4.0;

/// Whether samples of these sizes may have these shares though their distribution is one.
fn may_be_chance(one: f64, other: f64, sizes: (f64, f64)) -> bool {
    let pooled = (one * sizes.0 + other * sizes.1) / (sizes.0 + sizes.1);
    let error = (pooled * (1.0 - pooled) * (1.0 / sizes.0 + 1.0 / sizes.1)).sqrt();
    (one - other).abs() <= STANDARD_ERRORS * error
}

/// A population stability index without what is due to chance.
#[derive(Clone, Copy)]
struct CorrectedPsi {
    value: f64,
    may_be_chance: bool,
}

/// The population stability index over bins of which rare ones are merged and each got half a record more,
/// so that one which is empty by chance is not without bounds; less what is to be expected by chance.
fn corrected_psi(reference: &[u64], current: &[u64], are_ordered: bool) -> Option<CorrectedPsi> {
    let (reference, current) = merge_rare(reference, current, are_ordered);
    let with_halves =
        |counts: &[u64]| -> Vec<u64> { counts.iter().map(|count| 2 * count + 1).collect() };
    if reference.iter().sum::<u64>() == 0 || current.iter().sum::<u64>() == 0 {
        return None;
    }
    let raw = psi(&with_halves(&reference), &with_halves(&current))?;
    let total = |counts: &[u64]| counts.iter().sum();
    let chance = psi_by_chance(reference.len(), total(&reference), total(&current));
    Some(CorrectedPsi {
        value: rounded((raw - chance.mean).max(0.0)),
        may_be_chance: raw <= chance.mean * chi_square_limit(reference.len() - 1),
    })
}

/// How many times its mean a chi-square distributed number may be, by as much chance as a normal one is four
/// standard deviations from its own (Wilson and Hilferty, 1931).
fn chi_square_limit(degrees_of_freedom: usize) -> f64 {
    let spread = 2.0 / (9.0 * degrees_of_freedom.max(1) as f64);
    (1.0 - spread + STANDARD_ERRORS * spread.sqrt()).powi(3)
}
