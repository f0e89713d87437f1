//! Whether a profile that comes from outside is one.

use std::collections::HashSet;

use super::{Content, Profile, Series};

/// Counts beyond this are no counts: sums of them must not overflow.
const MOST: u64 = 1 << 50;

impl Profile {
    /// What is wrong with it, if something is.
    pub fn problem(&self) -> Option<String> {
        let mut names = HashSet::new();
        self.series.iter().find_map(|series| {
            let problem = match names.insert((series.side, &series.name)) {
                true => series.problem()?,
                false => "is there twice",
            };
            Some(format!("`{}` {problem}", series.name))
        })
    }
}

impl Series {
    fn problem(&self) -> Option<&'static str> {
        let are_counts = |counts: &[u64]| counts.iter().all(|count| *count < MOST);
        let values = &self.values;
        if !are_counts(&[
            values.present,
            values.missing,
            values.not_a_number,
            values.infinite,
        ]) {
            return Some("has counts that are too large");
        }
        match &self.content {
            Content::Numbers { edges, numbers, .. } => {
                let is_ascending = |pair: &[f64]| pair[0] < pair[1];
                let points = &numbers.points;
                if numbers.bins.len() != edges.len() + 1 {
                    Some("has not one bin more than edges")
                } else if !edges.windows(2).all(is_ascending) {
                    Some("has edges that do not ascend")
                } else if !are_counts(&numbers.bins) {
                    Some("has counts that are too large")
                } else if !points.is_sorted_by(|one, other| one.0 <= other.0)
                    || points.iter().any(|(_, weight)| *weight <= 0.0)
                {
                    Some("has points that do not ascend, or without weight")
                } else {
                    None
                }
            }
            Content::Categories { names, categories } => {
                let different: HashSet<&String> = names.iter().collect();
                let others = categories.others.iter().map(|(_, count)| *count);
                let more: Vec<u64> = others
                    .chain([categories.rest, categories.others_error])
                    .collect();
                if names.len() != categories.bins.len() {
                    Some("has not as many bins as names")
                } else if different.len() != names.len() {
                    Some("has a name twice")
                } else if !are_counts(&categories.bins) || !are_counts(&more) {
                    Some("has counts that are too large")
                } else {
                    None
                }
            }
            Content::Presence => None,
        }
    }
}
