//! What a series of numbers looked like: bins, moments, and points that stand for its distribution.
//!
//! Every value is binned and counted; points are made of a sample. Neither depends on how the values came
//! in parts: bins are integers, and a shard's sample is sorted before points are made of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tdigest::{Centroid, TDigest};

use crate::model::kernels::{Kernels, Moments, count_numbers};

/// Points that a shard leaves.
const POINTS_OF_A_SHARD: usize = 64;

/// Points of several shards.
const POINTS: usize = 200;

/// Magnitude as which a greater one enters the moments, so that no square of it overflows.
const LARGEST: f64 = 1e140;

/// Different values that are told apart at most.
pub const MOST_DISTINCT: usize = 20;

/// Counts of a series of finite numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Numbers {
    /// Values in each bin: bin `i` holds those from edge `i − 1` on that are below edge `i`.
    pub bins: Vec<u64>,
    /// The smallest; `None` if there are no values.
    pub minimum: Option<f64>,
    /// The largest.
    pub maximum: Option<f64>,
    /// Sum of their differences from the series' origin.
    pub sum: f64,
    /// Sum of the squares of these.
    pub squares: f64,
    /// What stands for their distribution: values and weights, ascending: the centroids of a t-digest
    /// (Dunning and Ertl, 2019).
    pub points: Vec<(f64, f64)>,
}

impl Numbers {
    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.bins.iter().sum()
    }

    /// Their mean, where differences were taken from `origin`.
    pub fn mean(&self, origin: f64) -> Option<f64> {
        match self.count() {
            0 => None,
            count => Some(origin + self.sum / count as f64),
        }
    }

    /// Their standard deviation, over all of them (not a sample's).
    pub fn standard_deviation(&self) -> Option<f64> {
        let count = match self.count() {
            0 => return None,
            count => count as f64,
        };
        let mean = self.sum / count;
        Some((self.squares / count - mean * mean).max(0.0).sqrt())
    }

    /// The value at `rank`, from 0 to 1.
    pub fn quantile(&self, rank: f64) -> Option<f64> {
        self.digest()?.estimate_quantile(rank)
    }

    /// Takes the counts of further values of the same series.
    pub fn merge(&mut self, other: &Self) {
        if self.bins.len() < other.bins.len() {
            self.bins.resize(other.bins.len(), 0);
        }
        for (bin, more) in self.bins.iter_mut().zip(&other.bins) {
            *bin += more;
        }
        let minima = [self.minimum, other.minimum].into_iter().flatten();
        self.minimum = minima.reduce(f64::min);
        let maxima = [self.maximum, other.maximum].into_iter().flatten();
        self.maximum = maxima.reduce(f64::max);
        self.sum += other.sum;
        self.squares += other.squares;
        self.points = match (self.digest(), other.digest()) {
            (Some(mine), Some(others)) => points(&TDigest::merge_digests(vec![mine, others])),
            (None, Some(_)) => other.points.clone(),
            (_, None) => std::mem::take(&mut self.points),
        };
    }

    /// Counts of all these values, each of which stands for itself.
    #[cfg(test)]
    pub fn of(edges: Arc<[f64]>, values: &[f64]) -> Self {
        let mut counter = NumberCounter::new(edges, 0.0);
        counter.add(values);
        values
            .iter()
            .for_each(|value| counter.add_to_sample(*value));
        counter.finish(1)
    }

    fn digest(&self) -> Option<TDigest> {
        let weight: f64 = self.points.iter().map(|(_, weight)| weight).sum();
        if weight <= 0.0 {
            return None;
        }
        let sum = self
            .points
            .iter()
            .map(|(value, weight)| value * weight)
            .sum();
        let ends = (self.points.first()?.0, self.points.last()?.0);
        let centroids = self.points.iter();
        Some(TDigest::new(
            centroids
                .map(|&(value, weight)| Centroid::new(value, weight))
                .collect(),
            sum,
            weight,
            Some(ends.1),
            Some(ends.0),
            POINTS,
        ))
    }
}

/// Counts finite numbers as they come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NumberCounter {
    #[serde(skip)]
    edges: Arc<[f64]>,
    #[serde(skip)]
    origin: f64,
    count: u64,
    /// Values that are not below each edge.
    at_least: Vec<u64>,
    #[serde(with = "moments_as_bits")]
    moments: Moments,
    #[serde(with = "bits")]
    sample: Vec<f64>,
    #[serde(skip)]
    distinct: Option<Distinct>,
}

/// Numbers on their way between processes, where none may change.
mod bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(numbers: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(numbers.iter().map(|number| number.to_bits()))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        let bits = Vec::<u64>::deserialize(deserializer)?;
        Ok(bits.into_iter().map(f64::from_bits).collect())
    }
}

/// The same of sums and extremes.
mod moments_as_bits {
    use serde::de::Error;
    use serde::{Deserializer, Serializer};

    use super::{Moments, bits};

    pub fn serialize<S: Serializer>(moments: &Moments, serializer: S) -> Result<S::Ok, S::Error> {
        let Moments {
            minimum,
            maximum,
            sum,
            squares,
        } = *moments;
        bits::serialize(&[minimum, maximum, sum, squares], serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Moments, D::Error> {
        let numbers = bits::deserialize(deserializer)?;
        let [minimum, maximum, sum, squares] = numbers[..] else {
            return Err(D::Error::invalid_length(numbers.len(), &"four numbers"));
        };
        Ok(Moments {
            minimum,
            maximum,
            sum,
            squares,
        })
    }
}

/// The different values of a series, as long as they are few.
#[derive(Clone, Debug, Default)]
struct Distinct {
    bits: BTreeSet<u64>,
    are_many: bool,
}

impl NumberCounter {
    /// Counts into the bins between `edges`, which ascend; differences are taken from `origin`.
    pub fn new(edges: Arc<[f64]>, origin: f64) -> Self {
        Self {
            at_least: vec![0; edges.len()],
            edges,
            origin,
            count: 0,
            moments: Moments::NONE,
            sample: Vec::new(),
            distinct: None,
        }
    }

    /// The same, and keeps up to [`MOST_DISTINCT`] different values.
    #[must_use]
    pub fn with_distinct(mut self) -> Self {
        self.distinct = Some(Distinct::default());
        self
    }

    /// The different values, ascending, if there are at most [`MOST_DISTINCT`] and they were to be kept.
    pub fn distinct(&self) -> Option<Vec<f64>> {
        let distinct = self
            .distinct
            .as_ref()
            .filter(|distinct| !distinct.are_many)?;
        let mut values: Vec<f64> = distinct.bits.iter().copied().map(f64::from_bits).collect();
        values.sort_by(f64::total_cmp);
        Some(values)
    }

    /// Counts values, all of which are finite.
    pub fn add(&mut self, values: &[f64]) {
        self.count += values.len() as u64;
        count_numbers(
            Kernels::best(),
            values,
            &self.edges,
            &mut self.at_least,
            (self.origin, LARGEST),
            &mut self.moments,
        );
        if let Some(distinct) = &mut self.distinct {
            distinct.add(values);
        }
    }

    /// Takes a value into the sample that points are made of.
    pub fn add_to_sample(&mut self, value: f64) {
        self.sample.push(value);
    }

    /// Takes what another counter of the same series has counted.
    pub fn append(&mut self, other: Self) {
        self.count += other.count;
        for (count, more) in self.at_least.iter_mut().zip(other.at_least) {
            *count += more;
        }
        self.moments.merge(&other.moments);
        self.sample.extend(other.sample);
        if let (Some(distinct), Some(others)) = (&mut self.distinct, other.distinct) {
            distinct.bits.extend(others.bits);
            distinct.are_many |= others.are_many || distinct.bits.len() > MOST_DISTINCT;
        }
    }

    /// The counts. Each value of the sample stands for `one_in` values.
    pub fn finish(mut self, one_in: u64) -> Numbers {
        self.sample.sort_unstable_by(f64::total_cmp);
        let digest = TDigest::new_with_size(POINTS_OF_A_SHARD).merge_sorted(self.sample);
        let mut points = points(&digest);
        for (_, weight) in &mut points {
            *weight *= one_in as f64;
        }
        let above = self.at_least.iter().chain([&0]);
        let from = [self.count]
            .into_iter()
            .chain(self.at_least.iter().copied());
        Numbers {
            bins: from.zip(above).map(|(from, above)| from - above).collect(),
            minimum: (self.count > 0).then_some(self.moments.minimum),
            maximum: (self.count > 0).then_some(self.moments.maximum),
            sum: self.moments.sum,
            squares: self.moments.squares,
            points,
        }
    }
}

impl Distinct {
    fn add(&mut self, values: &[f64]) {
        for value in values {
            if self.are_many {
                return;
            }
            // Zero is one value, whatever its sign.
            self.bits.insert((value + 0.0).to_bits());
            self.are_many = self.bits.len() > MOST_DISTINCT;
        }
    }
}

fn points(digest: &TDigest) -> Vec<(f64, f64)> {
    let centroids = digest.centroids().iter();
    centroids
        .map(|centroid| (centroid.mean(), centroid.weight()))
        .collect()
}
