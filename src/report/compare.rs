//! What changed from one run to another.
//!
//! Two good nights are never alike: other records came, another process was at work beside. A change is
//! *notable* if it is beyond what two good nights differ by, as the constants of this module say, and if it
//! is a difference of shares or means, beyond what chance does to so few records.

mod figures;
#[cfg(test)]
mod tests;
mod text;

use serde::Serialize;

use super::RunReport;
use crate::monitor::Drift;

pub use text::render;

/// Records, files and bytes: relative change.
const LEAST_CHANGE_OF_COUNT: f64 = 0.2;

/// Shares of predictions and of values imputed, clamped or unknown: difference.
const LEAST_CHANGE_OF_SHARE: f64 = 0.01;

/// Shares of dead letters, which are few on good nights: difference.
const LEAST_CHANGE_OF_DEAD_LETTERS: f64 = 0.001;

/// Mean of scores and values: difference by their standard deviation.
const LEAST_CHANGE_OF_MEAN: f64 = 0.1;

/// Quantiles of scores and values: difference by their standard deviation.
const LEAST_CHANGE_OF_QUANTILE: f64 = 0.2;

/// Error of a quantile, relative to it: those of both sides may come to twice that.
const ERROR_OF_QUANTILE: f64 = 0.01;

/// Standard errors that a difference of shares or means must exceed.
const STANDARD_ERRORS: f64 = 4.0;

/// Metrics of predictions whose truth is known: relative change.
const LEAST_CHANGE_OF_METRIC: f64 = 0.03;

/// Times, rates and costs: relative change.
const LEAST_CHANGE_OF_TIME: f64 = 0.5;

/// Times: difference in seconds; shorter ones are anything.
const LEAST_SECONDS: f64 = 1.0;

/// Forward passes of which quantiles say something.
const LEAST_BATCHES: u64 = 100;

/// Share of the processors that was used: difference.
const LEAST_CHANGE_OF_CPU: f64 = 0.2;

/// Memory: relative change.
const LEAST_CHANGE_OF_MEMORY: f64 = 0.25;

/// Memory: difference in bytes.
const LEAST_BYTES_OF_MEMORY: f64 = 64.0 * 1024.0 * 1024.0;

/// What changed from one run to another.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Name of the run before.
    pub before: String,
    /// Name of the run after.
    pub after: String,
    /// Whatever was compared, what is the same among it, by section.
    pub changes: Vec<Change>,
    /// How far the data and predictions of the run after are from those of the run before, if both left
    /// profiles.
    pub drift: Option<Drift>,
}

/// A figure of both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// What it belongs to, such as `records`.
    pub section: String,
    /// What it is, such as `imputed share of age`.
    pub name: String,
    /// What it is measured in.
    pub unit: Unit,
    /// What it was; `None` if there was none.
    pub before: Option<Figure>,
    /// What it is; `None` if there is none.
    pub after: Option<Figure>,
    /// Difference over what it was; `None` if it is no number, or was nothing.
    pub change: Option<f64>,
    /// Whether it is beyond what two good nights differ by.
    pub is_notable: bool,
}

/// A number or a word.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Figure {
    /// A number, in the change's unit.
    Number(f64),
    /// A word.
    Text(String),
}

/// What a figure is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Nothing: a word.
    Text,
    /// Pieces.
    Count,
    /// A share, from 0 to 1.
    Share,
    /// Whatever the model or the metric measures in.
    Number,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Bytes.
    Bytes,
    /// The currency of the job.
    Money,
}

impl Change {
    /// Whether both runs have the same.
    pub fn is_same(&self) -> bool {
        self.before == self.after
    }
}

impl Comparison {
    /// Compares two runs. `drift` is how far the data of the second are from those of the first.
    pub fn between(before: &RunReport, after: &RunReport, drift: Option<Drift>) -> Self {
        Self {
            before: before.run.clone(),
            after: after.run.clone(),
            changes: figures::changes(before, after),
            drift,
        }
    }

    /// Changes beyond what two good nights differ by.
    pub fn notable(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.is_notable)
    }
}
