//! Counts what a shard's records and predictions look like, chunk by chunk.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::filter;
use arrow::datatypes::Float64Type;
use serde::{Deserialize, Serialize};

use super::categories::CategoryCounter;
use super::layout::{Bins, Layout};
use super::numbers::NumberCounter;
use super::text::{Text, characters, mistaken};
use super::{Counts, ShardProfile, Values};
use crate::features::{Encoded, Encoder, Feature, FeatureKind, Note, Rows, TextEncoder, Tokens};
use crate::record::Outputs;

/// Counts the records of a shard, or of a part of one.
#[derive(Clone, Debug)]
pub struct Collector {
    layout: Arc<Layout>,
    /// One in so many values is part of the samples.
    one_in: u64,
    counted: Counted,
    /// Finite values of a column that also has others.
    scratch: Vec<f64>,
}

/// What a collector has counted, on its way to another one of the same layout.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Counted {
    records: u64,
    series: Vec<Counter>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Counter {
    values: Values,
    kind: Kind,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Kind {
    Numbers(NumberCounter),
    Categories(CategoryCounter),
    Presence,
}

/// Neighbouring records as they went into the model.
pub struct Chunk<'a> {
    /// A column for each feature.
    pub columns: &'a [ArrayRef],
    /// What was made of them.
    pub encoded: &'a Encoded,
    /// Which rows are counted.
    pub counted: &'a BooleanArray,
    /// Ordinal of the first row.
    pub first_ordinal: u64,
}

/// Values of a shard that are sampled, about.
const SAMPLE: u64 = 1024;

/// One in so many is sampled at least.
const RAREST: u64 = 16;

impl Collector {
    /// No records yet; each value of the samples is to stand for `one_in` values.
    pub fn new(layout: Arc<Layout>, one_in: u64) -> Self {
        let series = layout.series.iter().map(|series| Counter {
            values: Values::default(),
            kind: match &series.bins {
                Bins::Numbers { edges, origin } => {
                    Kind::Numbers(NumberCounter::new(edges.clone(), *origin))
                }
                Bins::Categories { known, .. } => {
                    Kind::Categories(CategoryCounter::new(known.clone()))
                }
                Bins::Presence => Kind::Presence,
            },
        });
        Self {
            counted: Counted {
                records: 0,
                series: series.collect(),
            },
            layout,
            one_in: one_in.max(1),
            scratch: Vec::new(),
        }
    }

    /// One in how many values of a shard with so many records is sampled.
    pub fn one_in(records: u64) -> u64 {
        (records / SAMPLE).clamp(1, RAREST)
    }

    /// The same, with samples of whose values each stands for `one_in`.
    #[must_use]
    pub fn sampling(mut self, one_in: u64) -> Self {
        self.one_in = one_in.max(1);
        self
    }

    /// Keeps the different values of numbers too, as long as they are few.
    #[must_use]
    pub fn with_distinct(mut self) -> Self {
        for counter in &mut self.counted.series {
            if let Kind::Numbers(numbers) = &mut counter.kind {
                *numbers = numbers.clone().with_distinct();
            }
        }
        self
    }

    /// What it counts by.
    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How often each category that the model knows came in a series.
    pub(super) fn category_counts(&self, index: usize) -> Vec<u64> {
        match &self.counted.series[index].kind {
            Kind::Categories(categories) => categories.counts().to_vec(),
            _ => Vec::new(),
        }
    }

    /// The different values of each series of numbers, by its place, if they are few and were to be kept.
    pub(super) fn distinct(&self) -> Vec<Option<Vec<f64>>> {
        let series = self.counted.series.iter();
        series
            .map(|counter| match &counter.kind {
                Kind::Numbers(numbers) => numbers.distinct(),
                _ => None,
            })
            .collect()
    }

    /// Counts the features of a chunk's rows.
    ///
    /// # Errors
    /// Columns are of other types than the encoder takes, which is a mistake of the caller.
    pub fn add(&mut self, encoder: &Encoder, chunk: &Chunk<'_>) -> anyhow::Result<()> {
        if self.layout.is_nothing() {
            return Ok(());
        }
        let count = chunk.counted.true_count();
        let is_whole = count == chunk.counted.len();
        self.counted.records += count as u64;
        let rows: Vec<usize> = match is_whole {
            true => Vec::new(),
            false => chunk.counted.values().set_indices().collect(),
        };
        let row_at = |index: usize| if is_whole { index } else { rows[index] };
        let sampled: Vec<usize> = (0..count)
            .filter(|index| is_sampled(chunk.first_ordinal + row_at(*index) as u64, self.one_in))
            .collect();
        let layout = self.layout.clone();
        let features = encoder.features().iter().zip(chunk.columns);
        for (index, ((feature, column), &at)) in features.zip(layout.places()).enumerate() {
            let column = match is_whole {
                true => column.clone(),
                false => filter(column, chunk.counted)?,
            };
            let codes = Codes {
                codes: chunk.encoded.codes(index),
                rows: &rows,
            };
            self.add_feature(at, feature, &column, &codes, &sampled)?;
        }
        if let (Encoder::Text(texts), Rows::Tokens(tokens)) = (encoder, &chunk.encoded.rows) {
            let rows: Vec<usize> = sampled.iter().map(|&index| row_at(index)).collect();
            self.add_tokens(texts, tokens, chunk, &rows);
        }
        self.add_notes(chunk);
        Ok(())
    }

    /// Counts one feature, whose series begin at `at`.
    fn add_feature(
        &mut self,
        at: usize,
        feature: &Feature,
        column: &ArrayRef,
        codes: &Codes<'_>,
        sampled: &[usize],
    ) -> anyhow::Result<()> {
        match &feature.kind {
            FeatureKind::Numeric(_) => {
                let Some(values) = column.as_primitive_opt::<Float64Type>() else {
                    return Err(mistaken(column));
                };
                self.add_numbers(at, values, sampled);
            }
            FeatureKind::Categorical { .. } => {
                self.add_categories(at, column, codes)?;
            }
            FeatureKind::Text { .. } => {
                self.add_presence(at, column);
                let lengths = characters(column)?;
                self.add_finite(at + 1, lengths, sampled);
            }
            FeatureKind::Query => {
                self.add_presence(at, column);
            }
            FeatureKind::Items => {
                self.add_presence(at, column);
                let lengths = column.as_list_opt::<i32>().map(|lists| {
                    let lists = lists.iter();
                    lists
                        .map(|list| list.map(|list| list.len() as f64))
                        .collect()
                });
                self.add_finite(at + 1, lengths.unwrap_or_default(), sampled);
            }
        }
        Ok(())
    }

    fn add_presence(&mut self, at: usize, column: &ArrayRef) {
        let missing = column.logical_null_count() as u64;
        let values = &mut self.counted.series[at].values;
        values.missing += missing;
        values.present += column.len() as u64 - missing;
    }

    fn add_numbers(&mut self, at: usize, column: &arrow::array::Float64Array, sampled: &[usize]) {
        let Counter { values, kind } = &mut self.counted.series[at];
        let Kind::Numbers(numbers) = kind else { return };
        let all = column.values();
        let missing = column.null_count();
        let strange = all
            .iter()
            .map(|value| u64::from(!value.is_finite()))
            .sum::<u64>();
        let finite = if missing == 0 && strange == 0 {
            &all[..]
        } else {
            self.scratch.clear();
            for value in column.iter().flatten() {
                if value.is_finite() {
                    self.scratch.push(value);
                } else if value.is_nan() {
                    values.not_a_number += 1;
                } else {
                    values.infinite += 1;
                }
            }
            &self.scratch[..]
        };
        values.missing += missing as u64;
        values.present += finite.len() as u64;
        numbers.add(finite);
        for &row in sampled {
            if column.is_valid(row) && all[row].is_finite() {
                numbers.add_to_sample(all[row]);
            }
        }
    }

    /// Counts numbers that are finite where they are there, and missing elsewhere; `sampled` are some of their
    /// places.
    fn add_finite(&mut self, at: usize, numbers: Vec<Option<f64>>, sampled: &[usize]) {
        let missing = numbers.iter().filter(|number| number.is_none()).count();
        self.counted.series[at].values.missing += missing as u64;
        self.add_those_there(at, &numbers, sampled);
    }

    /// The same, where what is not there is none of the series.
    fn add_those_there(&mut self, at: usize, numbers: &[Option<f64>], sampled: &[usize]) {
        let Counter { values, kind } = &mut self.counted.series[at];
        let Kind::Numbers(counter) = kind else { return };
        self.scratch.clear();
        self.scratch.extend(numbers.iter().flatten());
        values.present += self.scratch.len() as u64;
        counter.add(&self.scratch);
        for number in sampled.iter().filter_map(|&index| *numbers.get(index)?) {
            counter.add_to_sample(number);
        }
    }

    fn add_categories(
        &mut self,
        at: usize,
        column: &ArrayRef,
        codes: &Codes<'_>,
    ) -> anyhow::Result<()> {
        self.add_presence(at, column);
        let Kind::Categories(counter) = &mut self.counted.series[at].kind else {
            return Ok(());
        };
        match codes.rows {
            [] => counter.add(codes.codes.iter().copied()),
            rows => counter.add(rows.iter().filter_map(|&row| codes.codes.get(row).copied())),
        }
        let is_unknown = |index: &usize| {
            let row = codes.rows.get(*index).unwrap_or(index);
            codes.codes.get(*row) == Some(&0)
        };
        let text = Text::of(column)?;
        for index in (0..column.len()).filter(is_unknown) {
            if let Some(name) = text.at(index) {
                counter.add_unknown(name);
            }
        }
        Ok(())
    }

    /// Counts tokens of texts that were not rejected; `sampled` are some of the chunk's rows.
    fn add_tokens(
        &mut self,
        texts: &TextEncoder,
        tokens: &Tokens,
        chunk: &Chunk<'_>,
        sampled: &[usize],
    ) {
        // Behind presence and characters of the first text.
        let at = self.layout.places()[0] + 2;
        let unknown = texts.unknown_token();
        let is_counted =
            |row: usize| chunk.counted.value(row) && chunk.encoded.rejections[row].is_none();
        let rows = 0..chunk.counted.len();
        let measure = |of: &dyn Fn(&[u32]) -> f64| -> Vec<Option<f64>> {
            let rows = rows.clone();
            rows.map(|row| is_counted(row).then(|| of(tokens.text(row).0)))
                .collect()
        };
        let lengths = measure(&|ids| ids.len() as f64);
        let shares = measure(&|ids| {
            let unknown = ids.iter().filter(|id| Some(**id) == unknown).count();
            unknown as f64 / ids.len().max(1) as f64
        });
        self.add_those_there(at, &lengths, sampled);
        self.add_those_there(at + 1, &shares, sampled);
    }

    fn add_notes(&mut self, chunk: &Chunk<'_>) {
        let layout = self.layout.clone();
        let places = layout.places();
        for (row, feature, note) in chunk.encoded.notes() {
            if chunk.counted.value(row) {
                let values = &mut self.counted.series[places[feature]].values;
                match note {
                    Note::Imputed => values.imputed += 1,
                    Note::Clamped => values.clamped += 1,
                    Note::Unknown => values.unknown += 1,
                    Note::Truncated => values.truncated += 1,
                }
            }
        }
        for (row, rejection) in chunk.encoded.rejections.iter().enumerate() {
            if let Some(rejection) = rejection
                && chunk.counted.value(row)
            {
                self.counted.series[places[rejection.feature]]
                    .values
                    .rejected += 1;
            }
        }
    }

    /// Counts the predictions of records with these ordinals.
    pub fn add_outputs(&mut self, outputs: &Outputs, ordinals: &[u64]) {
        if self.layout.is_nothing() {
            return;
        }
        let places = 0..ordinals.len();
        let sampled: Vec<usize> = places
            .filter(|&index| is_sampled(ordinals[index], self.one_in))
            .collect();
        let at = self.layout.inputs;
        let wide = |numbers: &[f32]| -> Vec<Option<f64>> {
            numbers
                .iter()
                .map(|&number| Some(f64::from(number)))
                .collect()
        };
        match outputs {
            Outputs::Binary { labels, scores, .. } | Outputs::Multiclass { labels, scores, .. } => {
                if let Counter {
                    values,
                    kind: Kind::Categories(counter),
                } = &mut self.counted.series[at]
                {
                    values.present += labels.len() as u64;
                    counter.add(labels.iter().map(|label| label + 1));
                }
                self.add_finite(at + 1, wide(scores), &sampled);
            }
            Outputs::Regression { values } => {
                let values = values.iter().copied().map(Some).collect();
                self.add_finite(at, values, &sampled);
            }
            Outputs::Embedding { width, vectors } => {
                let lengths = vectors.chunks(*width).map(|vector| {
                    let squares = vector.iter().map(|&number| f64::from(number).powi(2));
                    Some(squares.sum::<f64>().sqrt())
                });
                self.add_finite(at, lengths.collect(), &sampled);
            }
            Outputs::Ranking { rankings, .. } => {
                let lists = (0..rankings.len()).map(|row| rankings.list(row));
                let (lengths, best) = lists
                    .map(|(items, scores)| {
                        let best = scores.first().map(|&score| f64::from(score));
                        (Some(items.len() as f64), best)
                    })
                    .unzip();
                self.add_finite(at, lengths, &sampled);
                self.add_finite(at + 1, best, &sampled);
            }
        }
    }

    /// What it has counted.
    pub fn into_counted(self) -> Counted {
        self.counted
    }

    /// Takes what was counted of the records after these.
    pub fn append(&mut self, other: Counted) {
        self.counted.records += other.records;
        for (counter, more) in self.counted.series.iter_mut().zip(other.series) {
            counter.values.merge(&more.values);
            match (&mut counter.kind, more.kind) {
                (Kind::Numbers(numbers), Kind::Numbers(more)) => numbers.append(more),
                (Kind::Categories(categories), Kind::Categories(more)) => categories.append(more),
                _ => {}
            }
        }
    }

    /// What the shard commits; `None` if nothing is measured.
    ///
    /// # Errors
    /// None that can be met: all numbers are finite.
    pub fn into_bytes(self) -> anyhow::Result<Option<Vec<u8>>> {
        match self.layout.is_nothing() {
            true => Ok(None),
            false => self.finish().to_bytes().map(Some),
        }
    }

    /// What was counted.
    pub fn finish(self) -> ShardProfile {
        let one_in = self.one_in;
        let series = self.counted.series.into_iter().map(|counter| {
            let counts = match counter.kind {
                Kind::Numbers(numbers) => Counts::Numbers(numbers.finish(one_in)),
                Kind::Categories(categories) => Counts::Categories(categories.finish()),
                Kind::Presence => Counts::Presence,
            };
            (counter.values, counts)
        });
        ShardProfile {
            layout: self.layout.digest().to_owned(),
            records: self.counted.records,
            series: series.collect(),
        }
    }
}

/// Codes of a column's rows, and which of these are counted; none named is all.
struct Codes<'a> {
    codes: &'a [u32],
    rows: &'a [usize],
}

/// Whether the record of this ordinal is part of the samples: by a hash, so that no period in the data
/// meets one of the choice (splitmix64, Steele et al., 2014).
fn is_sampled(ordinal: u64, one_in: u64) -> bool {
    let mut hash = ordinal.wrapping_add(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (hash ^ (hash >> 31)).is_multiple_of(one_in)
}
