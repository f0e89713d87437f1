//! What a shard measured, in a form that merges.
//!
//! A shard's statistics are committed in the shard's own transaction, so a retry can not count
//! twice, and a report after a kill covers the whole run, not its last process.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sketches_ddsketch::{Config, DDSketch};

use crate::features::Note;
use crate::record::Outputs;

/// Statistics of one shard, or of several when merged.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ShardStats {
    /// Time of workers by stage, in seconds.
    pub seconds: StageSeconds,
    /// Time of each forward pass, in seconds.
    pub batch_seconds: Distribution,
    /// What happened to values, by input column.
    pub columns: BTreeMap<String, ColumnNotes>,
    /// Predictions by class.
    pub labels: BTreeMap<String, u64>,
    /// Scores, for classification.
    pub scores: Distribution,
    /// Values, for regression.
    pub values: Distribution,
}

/// Worker time by stage, in seconds, added over all workers.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct StageSeconds {
    /// Reading and decoding input.
    pub read: f64,
    /// Filter, transform, validation and encoding, and the encoding of what is committed.
    pub encode: f64,
    /// Forward passes and what makes predictions of them.
    pub infer: f64,
    /// Transactions, with the wait for the disk.
    pub commit: f64,
}

/// What happened to a column's values, short of rejection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnNotes {
    /// Missing, replaced by the bundle's fill.
    pub imputed: u64,
    /// Beyond the range, replaced by its nearest bound.
    pub clamped: u64,
    /// Not a known category, encoded as "other".
    pub unknown: u64,
    /// Texts that were cut.
    #[serde(default)]
    pub truncated: u64,
}

impl ColumnNotes {
    /// Counts one more value.
    pub fn add(&mut self, note: Note) {
        match note {
            Note::Imputed => self.imputed += 1,
            Note::Clamped => self.clamped += 1,
            Note::Unknown => self.unknown += 1,
            Note::Truncated => self.truncated += 1,
        }
    }
}

impl ShardStats {
    /// Takes another shard's statistics in.
    pub fn merge(&mut self, other: &ShardStats) {
        self.seconds.read += other.seconds.read;
        self.seconds.encode += other.seconds.encode;
        self.seconds.infer += other.seconds.infer;
        self.seconds.commit += other.seconds.commit;
        self.batch_seconds.merge(&other.batch_seconds);
        for (column, notes) in &other.columns {
            let sum = self.columns.entry(column.clone()).or_default();
            sum.imputed += notes.imputed;
            sum.clamped += notes.clamped;
            sum.unknown += notes.unknown;
            sum.truncated += notes.truncated;
        }
        for (label, count) in &other.labels {
            *self.labels.entry(label.clone()).or_default() += count;
        }
        self.scores.merge(&other.scores);
        self.values.merge(&other.values);
    }

    /// Notes the time of one forward pass.
    pub fn add_batch(&mut self, elapsed: Duration) {
        self.batch_seconds.add(elapsed.as_secs_f64());
    }

    /// Counts a shard's predictions.
    pub fn add_outputs(&mut self, outputs: &Outputs) {
        match outputs {
            Outputs::Binary {
                classes,
                labels,
                scores,
            }
            | Outputs::Multiclass {
                classes,
                labels,
                scores,
                ..
            } => {
                let mut counts = vec![0; classes.len()];
                for &label in labels {
                    counts[label as usize] += 1;
                }
                for (class, count) in classes.iter().zip(counts) {
                    *self.labels.entry(class.clone()).or_default() += count;
                }
                for &score in scores {
                    self.scores.add(f64::from(score));
                }
            }
            Outputs::Regression { values } => {
                for &value in values {
                    self.values.add(value);
                }
            }
            // Neither has one number that a distribution could be of.
            Outputs::Embedding { .. } | Outputs::Ranking { .. } => {}
        }
    }
}

/// Count, mean, standard deviation and quantiles of a stream of finite numbers. Quantiles are
/// within 1 % of the value at that rank (DDSketch, Masson et al., VLDB 2019); moments merge by the
/// formula of Chan, Golub and LeVeque (1979).
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Distribution {
    mean: f64,
    squared_deviations: f64,
    /// `None` while there are no numbers: an empty sketch holds infinities, which JSON lacks.
    sketch: Option<DDSketch>,
}

impl std::fmt::Debug for Distribution {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Distribution")
            .field("count", &self.count())
            .field("mean", &self.mean)
            .finish_non_exhaustive()
    }
}

/// Greatest magnitude that enters a distribution: JSON has no infinity to store a sum in.
const LARGEST: f64 = 1e280;

impl Distribution {
    /// Takes one finite number. Beyond ±1e280 it counts as that, so that no sum overflows.
    pub fn add(&mut self, value: f64) {
        let value = value.clamp(-LARGEST, LARGEST);
        self.sketch
            .get_or_insert_with(|| DDSketch::new(Config::defaults()))
            .add(value);
        let difference = value - self.mean;
        self.mean += difference / self.count() as f64;
        self.squared_deviations += difference * (value - self.mean);
        self.squared_deviations = self.squared_deviations.min(f64::MAX);
    }

    /// Takes all numbers of another distribution.
    pub fn merge(&mut self, other: &Distribution) {
        let Some(others) = &other.sketch else {
            return;
        };
        let Some(sketch) = &mut self.sketch else {
            *self = other.clone();
            return;
        };
        // Only sketches of different configurations refuse to merge; all of ours are alike.
        let mine = sketch.count();
        let _ = sketch.merge(others);
        let (mine, theirs) = (mine as f64, other.count() as f64);
        let difference = other.mean - self.mean;
        self.mean += difference * theirs / (mine + theirs);
        self.squared_deviations +=
            other.squared_deviations + difference * difference * mine * theirs / (mine + theirs);
        self.squared_deviations = self.squared_deviations.min(f64::MAX);
    }

    /// How many numbers there were.
    pub fn count(&self) -> u64 {
        self.sketch
            .as_ref()
            .map_or(0, |sketch| sketch.count() as u64)
    }

    /// How many numbers are at most `limit`, which itself is met within 1 %.
    pub fn count_up_to(&self, limit: f64) -> u64 {
        let Some(sketch) = &self.sketch else {
            return 0;
        };
        let count = self.count();
        // The number at a rank grows with it: how many ranks have one that is not greater?
        let (mut least, mut most) = (0, count);
        while least < most {
            let middle = (least + most) / 2;
            let rank = middle as f64 / count.saturating_sub(1).max(1) as f64;
            let number = sketch.quantile(rank.min(1.0)).ok().flatten();
            match number.is_some_and(|number| number <= limit) {
                true => least = middle + 1,
                false => most = middle,
            }
        }
        least
    }

    /// The figures that people read; `None` without numbers.
    pub fn summary(&self) -> Option<Summary> {
        let sketch = self.sketch.as_ref()?;
        // An estimate may lie beyond what there was.
        let (minimum, maximum) = (sketch.min()?, sketch.max()?);
        let quantile = |rank: f64| {
            let estimate = sketch.quantile(rank).ok().flatten()?;
            Some(estimate.clamp(minimum, maximum.max(minimum)))
        };
        Some(Summary {
            count: self.count(),
            mean: self.mean,
            standard_deviation: (self.squared_deviations / self.count() as f64).sqrt(),
            minimum,
            p05: quantile(0.05)?,
            p25: quantile(0.25)?,
            p50: quantile(0.5)?,
            p75: quantile(0.75)?,
            p95: quantile(0.95)?,
            p99: quantile(0.99)?,
            maximum,
        })
    }
}

/// The figures of a [`Distribution`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// How many numbers.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, over all of them (not a sample's).
    pub standard_deviation: f64,
    /// The smallest.
    pub minimum: f64,
    /// 5th percentile.
    pub p05: f64,
    /// First quartile.
    pub p25: f64,
    /// Median.
    pub p50: f64,
    /// Third quartile.
    pub p75: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// The largest.
    pub maximum: f64,
}

impl Summary {
    /// The same figures in another unit, `factor` of which make one of this.
    pub fn scaled(&self, factor: f64) -> Self {
        Self {
            count: self.count,
            mean: self.mean * factor,
            standard_deviation: self.standard_deviation * factor,
            minimum: self.minimum * factor,
            p05: self.p05 * factor,
            p25: self.p25 * factor,
            p50: self.p50 * factor,
            p75: self.p75 * factor,
            p95: self.p95 * factor,
            p99: self.p99 * factor,
            maximum: self.maximum * factor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_parts_equal_the_whole() {
        let numbers: Vec<f64> = (0..1000).map(|i| f64::from(i * i % 977) - 300.0).collect();
        let mut whole = Distribution::default();
        numbers.iter().for_each(|&number| whole.add(number));
        let mut merged = Distribution::default();
        for part in numbers.chunks(133) {
            let mut distribution = Distribution::default();
            part.iter().for_each(|&number| distribution.add(number));
            merged.merge(&distribution);
        }
        let (whole, merged) = (whole.summary().unwrap(), merged.summary().unwrap());
        assert_eq!(whole.count, merged.count);
        assert!((whole.mean - merged.mean).abs() < 1e-9);
        assert!((whole.standard_deviation - merged.standard_deviation).abs() < 1e-9);
        assert_eq!(whole.p95, merged.p95);
        let mut sorted = numbers;
        sorted.sort_by(f64::total_cmp);
        let exact = sorted[(0.95 * 999.0) as usize];
        assert!((merged.p95 - exact).abs() <= 0.011 * exact.abs());
    }

    #[test]
    fn numbers_are_counted_up_to_a_limit() {
        let mut distribution = Distribution::default();
        assert_eq!(distribution.count_up_to(1.0), 0);
        (1..=1000).for_each(|number| distribution.add(f64::from(number) / 100.0));
        for (limit, expected) in [(0.005, 0), (1.0, 100), (5.0, 500), (100.0, 1000)] {
            let counted = distribution.count_up_to(limit);
            let tolerance = 1 + expected / 50;
            assert!(
                counted.abs_diff(expected) <= tolerance,
                "{limit}: {counted} of {expected}"
            );
        }
    }

    #[test]
    fn extreme_values_survive_storage() {
        let mut one = Distribution::default();
        for value in [f64::MAX, -f64::MAX, 1e200, 0.0] {
            one.add(value);
        }
        let mut other = Distribution::default();
        other.merge(&one);
        other.merge(&one);
        let stored = serde_json::to_string(&other).unwrap();
        let read: Distribution = serde_json::from_str(&stored).unwrap();
        let summary = read.summary().unwrap();
        assert_eq!(summary.count, 8);
        assert!(summary.mean.is_finite() && summary.standard_deviation.is_finite());
    }

    #[test]
    fn survives_storage() {
        let mut stats = ShardStats::default();
        stats.add_batch(Duration::from_micros(130));
        let stored = serde_json::to_string(&stats).unwrap();
        let read: ShardStats = serde_json::from_str(&stored).unwrap();
        assert_eq!(read.batch_seconds.count(), 1);
        assert!(read.values.summary().is_none());
    }
}
