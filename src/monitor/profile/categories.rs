//! What a series of categories looked like: how often each known one came, and the names of others.
//!
//! Counts of known categories are exact. Names of others are kept while there is room, by the algorithm
//! of Misra and Gries (1982), whose parts merge (Agarwal et al., "Mergeable summaries", 2012): a name's
//! count is at most `others_error` too low, and never too high.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::printable::storable;

/// Names that are counted at a time.
const COUNTED: usize = 1024;

/// Names that are kept.
const KEPT: usize = 64;

/// A name of fewer records is not kept: it may say who they are.
const FEWEST: u64 = 5;

/// Characters of a name that are kept.
const LONGEST_NAME: usize = 64;

/// Counts of a series of categories.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Categories {
    /// How often each of the series' categories came.
    pub bins: Vec<u64>,
    /// How often others did.
    pub rest: u64,
    /// Names of some of these, the most frequent first, and how often each came at least.
    pub others: Vec<(String, u64)>,
    /// How much more often each of these may have come, and how often one that is not named.
    pub others_error: u64,
}

impl Categories {
    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.bins.iter().sum::<u64>() + self.rest
    }

    /// Takes the counts of further values of the same series.
    pub fn merge(&mut self, other: &Self) {
        if self.bins.len() < other.bins.len() {
            self.bins.resize(other.bins.len(), 0);
        }
        for (bin, more) in self.bins.iter_mut().zip(&other.bins) {
            *bin += more;
        }
        self.rest += other.rest;
        let mut counts: HashMap<String, u64> =
            std::mem::take(&mut self.others).into_iter().collect();
        for (name, count) in &other.others {
            *counts.entry(name.clone()).or_default() += count;
        }
        let (others, cut) = most_frequent(counts.into_iter().collect(), 1);
        self.others = others;
        self.others_error += other.others_error + cut;
    }
}

/// Counts categories as they come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CategoryCounter {
    #[serde(skip)]
    known: KnownCategories,
    /// By code: 0 is none of the known ones.
    codes: Vec<u64>,
    unknown: u64,
    names: HashMap<String, u64>,
    error: u64,
}

/// The categories that a model knows, and in which of a series' bins each is counted.
#[derive(Clone, Debug, Default)]
pub struct KnownCategories {
    /// Their names, by code from 1 on.
    pub names: Arc<[String]>,
    /// Their bins; `None` for those that have none.
    pub bins: Arc<[Option<usize>]>,
    /// Bins of the series.
    pub count_of_bins: usize,
}

impl CategoryCounter {
    /// No values yet.
    pub fn new(known: KnownCategories) -> Self {
        Self {
            codes: vec![0; known.names.len() + 1],
            known,
            unknown: 0,
            names: HashMap::new(),
            error: 0,
        }
    }

    /// Counts values by their code, from 1 on. Those of code 0 are for
    /// [`add_unknown`](Self::add_unknown), unless they are missing.
    pub fn add(&mut self, codes: impl IntoIterator<Item = u32>) {
        for code in codes {
            if let Some(count) = self.codes.get_mut(code as usize) {
                *count += 1;
            }
        }
        self.codes[0] = 0;
    }

    /// Counts a value that is not known.
    pub fn add_unknown(&mut self, name: &str) {
        self.unknown += 1;
        let end = name
            .char_indices()
            .nth(LONGEST_NAME)
            .map_or(name.len(), |(end, _)| end);
        let name = &storable(&name[..end]);
        if let Some(count) = self.names.get_mut(name) {
            *count += 1;
        } else if self.names.len() < COUNTED {
            self.names.insert(name.to_owned(), 1);
        } else {
            self.error += 1;
            self.names.retain(|_, count| {
                *count -= 1;
                *count > 0
            });
        }
    }

    /// How often each known category came.
    pub fn counts(&self) -> &[u64] {
        &self.codes[1..]
    }

    /// Takes what another counter of the same series has counted.
    pub fn append(&mut self, other: Self) {
        for (count, more) in self.codes.iter_mut().zip(other.codes) {
            *count += more;
        }
        for (name, count) in other.names {
            *self.names.entry(name).or_default() += count;
        }
        self.unknown += other.unknown;
        self.error += other.error;
    }

    /// The counts.
    pub fn finish(self) -> Categories {
        let mut bins = vec![0; self.known.count_of_bins];
        let mut rest = self.unknown;
        // By reference: of a shard's thousands of rare names few are kept.
        let mut names: Vec<(&str, u64)> = Vec::new();
        for (code, &count) in self.codes.iter().skip(1).enumerate() {
            match self.known.bins.get(code).copied().flatten() {
                Some(bin) => bins[bin] += count,
                None if count > 0 => {
                    rest += count;
                    names.push((&self.known.names[code], count));
                }
                None => {}
            }
        }
        let unknown = self.names.iter();
        names.extend(unknown.map(|(name, count)| (name.as_str(), *count)));
        let (others, cut) = most_frequent(names, FEWEST);
        let others = others
            .into_iter()
            .map(|(name, count)| (name.to_owned(), count))
            .collect();
        Categories {
            bins,
            rest,
            others,
            others_error: self.error + cut,
        }
    }
}

/// The most frequent names, with those of fewer than `fewest` records left out, and the count of the most
/// frequent one that is left out.
fn most_frequent<Name: Ord>(mut names: Vec<(Name, u64)>, fewest: u64) -> (Vec<(Name, u64)>, u64) {
    let rare = names.iter().map(|(_, count)| *count);
    let most_of_rare = rare.filter(|count| *count < fewest).max().unwrap_or(0);
    names.retain(|(_, count)| *count >= fewest);
    names.sort_unstable_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    let cut = names.get(KEPT).map_or(most_of_rare, |(_, count)| *count);
    names.truncate(KEPT);
    (names, cut)
}
