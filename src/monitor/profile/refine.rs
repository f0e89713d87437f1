//! Bins for a reference, from the data itself.
//!
//! Numbers of few different values get a bin for each; others twenty bins with about as many values each,
//! and one on either side for what the data does not reach.

use std::sync::Arc;

use super::Collector;
use super::layout::{Bins, Layout, MOST_CATEGORIES, binned};
use super::numbers::Numbers;
use crate::monitor::rounded;

/// Bins between the smallest and the largest value.
const BINS: u8 = 20;

/// What is beyond the smallest and the largest value by so much of itself is beyond the data.
const MARGIN: f64 = 1e-6;

impl Collector {
    /// A layout for data of which this collector has counted a part, different values included.
    pub fn refined(&self) -> Layout {
        let counted = self.clone().finish();
        let distinct = self.distinct();
        let mut series = self.layout().series.clone();
        for (index, series) in series.iter_mut().enumerate() {
            match &mut series.bins {
                Bins::Numbers { edges, origin } => {
                    if let Some(numbers) = counted.numbers(index)
                        && let Some(refined) = edges_of(numbers, distinct[index].as_deref())
                    {
                        *origin = numbers.mean(*origin).unwrap_or(*origin);
                        *edges = refined.into();
                    }
                }
                Bins::Categories { names, known } if known.names.len() > MOST_CATEGORIES => {
                    *names = most_frequent(&known.names, &self.category_counts(index));
                    *known = binned(known.names.clone(), names);
                }
                _ => {}
            }
        }
        self.layout().with_series(series)
    }
}

/// Where bins meet; `None` if there are no values. Edges have few enough digits to be read back from JSON as
/// they are: what was counted by one number must not be compared by its neighbour.
fn edges_of(numbers: &Numbers, distinct: Option<&[f64]>) -> Option<Vec<f64>> {
    let (minimum, maximum) = (numbers.minimum?, numbers.maximum?);
    let inner: Vec<f64> = match distinct {
        Some(values) => {
            let pairs = values.windows(2);
            pairs.map(|pair| pair[0] / 2.0 + pair[1] / 2.0).collect()
        }
        None => {
            let ranks = (1..BINS).map(|rank| f64::from(rank) / f64::from(BINS));
            ranks.filter_map(|rank| numbers.quantile(rank)).collect()
        }
    };
    let margin = |value: f64| (value.abs() * MARGIN).max(MARGIN);
    let outer = [minimum - margin(minimum), maximum + margin(maximum)];
    let edges = outer.into_iter().chain(inner).map(rounded);
    let mut edges: Vec<f64> = edges.filter(|edge| edge.is_finite()).collect();
    edges.sort_by(f64::total_cmp);
    edges.dedup();
    Some(edges)
}

/// The most frequent categories, in the model's order.
fn most_frequent(names: &[String], counts: &[u64]) -> Arc<[String]> {
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(counts.get(index).copied().unwrap_or(0)));
    order.truncate(MOST_CATEGORIES);
    order.sort_unstable();
    order
        .into_iter()
        .map(|index| names[index].clone())
        .collect()
}
