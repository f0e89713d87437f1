//! What a run's records and predictions looked like, in a form that merges.
//!
//! A [`Collector`] counts while a shard is scored; the [`ShardProfile`] that it leaves is committed in the
//! shard's own transaction, so that nothing counts twice, and all of them are merged in the order of shards
//! when the run ends. However the work was shared out, and whatever died, the same records make the same
//! profile, but for the last digits of sums.
//!
//! Its size is bounded by the number of series: bins, 64 points and 64 names for each.

mod categories;
mod check;
mod collect;
mod layout;
mod numbers;
mod refine;
#[cfg(test)]
mod tests;
mod text;

use std::io::Read;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::error::Failure;

pub use categories::Categories;
pub use collect::{Chunk, Collector, Counted};
pub use layout::{Bins, Layout, SeriesLayout, Side};
pub use numbers::Numbers;

/// Of Zstandard: the fastest that is worth it.
const LEVEL: i32 = 1;

/// With which what Zstandard compressed begins.
const MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();

/// No shard's profile is larger: one of 10,000 columns takes 20 MB.
const LARGEST_BYTES: u64 = 256 << 20;

/// What records and predictions looked like.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Profile {
    /// Records that it is of: those that were validated.
    pub records: u64,
    /// What is known of each column and output.
    pub series: Vec<Series>,
}

/// A column, something measured of it, or an output.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Series {
    /// Column, or what of it: `review`, `tokens of review`, `score`.
    pub name: String,
    /// Input or output.
    pub side: Side,
    /// What was there and what was not.
    pub values: Values,
    /// What the values were.
    #[serde(flatten)]
    pub content: Content,
}

/// How many values of a series were there, and what happened to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Values {
    /// Values that were counted.
    pub present: u64,
    /// Nulls.
    pub missing: u64,
    /// Numbers that are none.
    pub not_a_number: u64,
    /// Infinite ones.
    pub infinite: u64,
    /// Missing, replaced by the bundle's fill.
    pub imputed: u64,
    /// Beyond the range, replaced by its nearest bound.
    pub clamped: u64,
    /// Missing or not a known category, encoded as "other".
    pub unknown: u64,
    /// Texts that were cut.
    pub truncated: u64,
    /// Records that were rejected for it.
    pub rejected: u64,
}

/// What the values of a series were.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Content {
    /// Numbers.
    Numbers {
        /// Where bins meet, ascending.
        edges: Vec<f64>,
        /// What differences are taken from.
        origin: f64,
        /// The counts.
        #[serde(flatten)]
        numbers: Numbers,
    },
    /// Categories.
    Categories {
        /// Those that are counted each by itself.
        names: Vec<String>,
        /// The counts.
        #[serde(flatten)]
        categories: Categories,
    },
    /// Something of which only its presence is counted.
    Presence,
}

/// What a shard committed, or several when merged: counts without the bins that they are of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShardProfile {
    /// Digest of the layout that it was counted by.
    layout: String,
    records: u64,
    series: Vec<(Values, Counts)>,
}

/// Counts of a series.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Counts {
    Numbers(Numbers),
    Categories(Categories),
    Presence,
}

impl Profile {
    /// Of shards that were counted by `layout`.
    pub fn of(layout: &Layout, counted: ShardProfile) -> Self {
        let series = layout.series.iter().zip(counted.series);
        let series = series.map(|(layout, (values, counts))| {
            let content = match (&layout.bins, counts) {
                (Bins::Numbers { edges, origin }, Counts::Numbers(numbers)) => Content::Numbers {
                    edges: edges.to_vec(),
                    origin: *origin,
                    numbers,
                },
                (Bins::Categories { names, .. }, Counts::Categories(categories)) => {
                    Content::Categories {
                        names: names.to_vec(),
                        categories,
                    }
                }
                _ => Content::Presence,
            };
            Series {
                name: layout.name.clone(),
                side: layout.side,
                values,
                content,
            }
        });
        Self {
            records: counted.records,
            series: series.collect(),
        }
    }

    /// The series of this name.
    pub fn series(&self, side: Side, name: &str) -> Option<&Series> {
        let mut series = self.series.iter();
        series.find(|series| series.side == side && series.name == name)
    }
}

impl Values {
    fn merge(&mut self, other: &Self) {
        self.present += other.present;
        self.missing += other.missing;
        self.not_a_number += other.not_a_number;
        self.infinite += other.infinite;
        self.imputed += other.imputed;
        self.clamped += other.clamped;
        self.unknown += other.unknown;
        self.truncated += other.truncated;
        self.rejected += other.rejected;
    }

    /// Values that were there or not.
    pub fn all(&self) -> u64 {
        self.present + self.missing + self.not_a_number + self.infinite
    }
}

impl ShardProfile {
    /// The form in which it is stored: JSON, compressed by Zstandard. The database would compress it in ten
    /// times the time, while it holds its locks.
    ///
    /// # Errors
    /// None that can be met: all numbers are finite.
    pub fn to_bytes(&self) -> anyhow::Result<Vec<u8>> {
        let json = serde_json::to_vec(self)?;
        zstd::bulk::compress(&json, LEVEL).context("cannot compress a shard's profile")
    }

    /// Reads what was stored, be it plain JSON, as in earlier versions.
    ///
    /// # Errors
    /// It is none (70).
    pub fn from_bytes(bytes: &[u8]) -> anyhow::Result<Self> {
        let read = || -> anyhow::Result<Self> {
            if !bytes.starts_with(&MAGIC) {
                return Ok(serde_json::from_slice(bytes)?);
            }
            let mut json = Vec::new();
            let plain = zstd::Decoder::new(bytes)?;
            plain.take(LARGEST_BYTES).read_to_end(&mut json)?;
            Ok(serde_json::from_slice(&json)?)
        };
        read().map_err(|error| {
            Failure::internal(format!("a shard's profile can not be read: {error}")).into()
        })
    }

    fn numbers(&self, index: usize) -> Option<&Numbers> {
        match self.series.get(index) {
            Some((_, Counts::Numbers(numbers))) => Some(numbers),
            _ => None,
        }
    }

    /// Whether it was counted by this layout.
    pub fn is_of(&self, layout: &Layout) -> bool {
        self.layout == layout.digest() && self.series.len() == layout.series.len()
    }

    /// Takes the counts of the next shard, by the same layout.
    pub fn merge(&mut self, next: &Self) {
        self.records += next.records;
        for ((values, counts), (more_values, more_counts)) in
            self.series.iter_mut().zip(&next.series)
        {
            values.merge(more_values);
            match (counts, more_counts) {
                (Counts::Numbers(counts), Counts::Numbers(more)) => counts.merge(more),
                (Counts::Categories(counts), Counts::Categories(more)) => counts.merge(more),
                _ => {}
            }
        }
    }
}
