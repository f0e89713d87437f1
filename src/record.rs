//! What becomes of a record: a prediction or a dead letter.
//!
//! These are the rows that a shard commits. Their *output hash* is defined here too, because the
//! worker that makes the rows, the ledger that stores them and `runs verify` that reads them back
//! must agree on it byte for byte. The hash takes the bits of numbers, never their print.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, StringArray};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::printable::storable;

pub use rankings::Rankings;

mod rankings;

/// The stage at which a record was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Reading: the record has no usable identity.
    Read,
    /// Validation: a value breaks the bundle's contract.
    Validate,
    /// Inference: the model gave no usable output.
    Infer,
}

impl Stage {
    /// The word that tables and reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Read => "read",
            Stage::Validate => "validate",
            Stage::Infer => "infer",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The code of a duplicate's dead letter. Duplicates do not count against `max_dead_letters`.
pub const DUPLICATE_ID: &str = "duplicate_id";

/// The longest id that is stored, in bytes. Postgres keeps ids in an index whose entries may have
/// 2,704; what is one database's is the other's.
pub const LONGEST_ID: usize = 2_048;

/// Why an id can not be stored, if it can not.
pub fn unstorable(id: &str) -> Option<String> {
    if id.contains('\0') {
        // Postgres holds no such text.
        return Some("the id holds the character U+0000, shown here as U+FFFD".to_owned());
    }
    (id.len() > LONGEST_ID).then(|| {
        format!(
            "the id has {} bytes, the limit is {LONGEST_ID}; its beginning is shown here",
            id.len()
        )
    })
}

/// The part of an id that can not be stored that stands for it in its dead letter.
pub fn stand_in(id: &str) -> String {
    const SHOWN_CHARACTERS: usize = 100;
    let id = storable(id);
    match id.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) if id.len() > LONGEST_ID => format!("{}…", &id[..end]),
        _ => id,
    }
}

/// A record that could not be scored, and why. Carries no value of the record but its id: values
/// may be personal data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Place of the record in the run's input.
    pub ordinal: u64,
    /// Identity, if it has one.
    pub record_id: Option<String>,
    /// Where it was given up.
    pub stage: Stage,
    /// Why, for machines: `missing_value`, `out_of_range`, …
    pub code: Cow<'static, str>,
    /// The input column at fault, if it was one.
    pub field: Option<String>,
    /// Why, for people.
    pub message: String,
}

/// What the model said of a shard's records, by column; row `i` belongs to `ordinals[i]`.
/// Ordinals ascend.
#[derive(Debug)]
pub struct Predictions {
    record_ids: StringArray,
    ordinals: Vec<u64>,
    outputs: Outputs,
}

/// The columns that a task fills, one entry a record.
#[derive(Clone, Debug)]
pub enum Outputs {
    /// Two classes: the positive class's probability and the class chosen by the threshold.
    Binary {
        /// Class names; the second is the positive one.
        classes: Arc<[String]>,
        /// Index into `classes`.
        labels: Vec<u32>,
        /// Probability of the positive class.
        scores: Vec<f32>,
    },
    /// Several classes: the most probable one and all probabilities.
    Multiclass {
        /// Class names.
        classes: Arc<[String]>,
        /// Index into `classes`.
        labels: Vec<u32>,
        /// Probability of the chosen class.
        scores: Vec<f32>,
        /// Row-major `[records, classes]`.
        probabilities: Vec<f32>,
    },
    /// A number, in the target's own unit.
    Regression {
        /// The predicted values.
        values: Vec<f64>,
    },
    /// A vector.
    Embedding {
        /// Its length.
        width: usize,
        /// Row-major `[records, width]`.
        vectors: Vec<f32>,
    },
    /// Items, best first.
    Ranking {
        /// Ids of all items.
        items: Arc<[String]>,
        /// Each record's items.
        rankings: Rankings,
    },
}

impl Outputs {
    /// Number of records.
    pub fn len(&self) -> usize {
        match self {
            Outputs::Binary { scores, .. } | Outputs::Multiclass { scores, .. } => scores.len(),
            Outputs::Regression { values } => values.len(),
            Outputs::Embedding { width, vectors } => vectors.len() / width,
            Outputs::Ranking { rankings, .. } => rankings.len(),
        }
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the outputs of further records by the same model.
    pub fn append(&mut self, other: Outputs) {
        match (self, other) {
            (
                Outputs::Binary { labels, scores, .. },
                Outputs::Binary {
                    labels: more_labels,
                    scores: more_scores,
                    ..
                },
            ) => {
                labels.extend(more_labels);
                scores.extend(more_scores);
            }
            (
                Outputs::Multiclass {
                    labels,
                    scores,
                    probabilities,
                    ..
                },
                Outputs::Multiclass {
                    labels: more_labels,
                    scores: more_scores,
                    probabilities: more_probabilities,
                    ..
                },
            ) => {
                labels.extend(more_labels);
                scores.extend(more_scores);
                probabilities.extend(more_probabilities);
            }
            (Outputs::Regression { values }, Outputs::Regression { values: more }) => {
                values.extend(more);
            }
            (
                Outputs::Embedding { vectors, .. },
                Outputs::Embedding {
                    vectors: more_vectors,
                    ..
                },
            ) => vectors.extend(more_vectors),
            (Outputs::Ranking { rankings, .. }, Outputs::Ranking { rankings: more, .. }) => {
                rankings.append(more);
            }
            // Another model's: what is missing then shows when rows are counted.
            _ => {}
        }
    }
}

/// One row of the `predictions` table, borrowed from the worker's columns or read back from the
/// database.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictionRow<'a> {
    /// Identity.
    pub record_id: Cow<'a, str>,
    /// Place in the run's input.
    pub ordinal: i64,
    /// Class name, for classification.
    pub label: Option<Cow<'a, str>>,
    /// Probability, for classification: an f32, widened.
    pub score: Option<f64>,
    /// Value, for regression.
    pub value: Option<f64>,
    /// The vector, for embedding.
    pub embedding: Option<Cow<'a, [f32]>>,
    /// Further output as JSON text: all probabilities by class, for multiclass; the items, for ranking.
    pub output: Option<Cow<'a, str>>,
}

impl Predictions {
    /// Joins ids, ordinals and outputs of the same records.
    ///
    /// # Errors
    /// If the three do not have the same length.
    pub fn new(
        record_ids: StringArray,
        ordinals: Vec<u64>,
        outputs: Outputs,
    ) -> anyhow::Result<Self> {
        if record_ids.len() != ordinals.len() || outputs.len() != ordinals.len() {
            return Err(crate::error::Failure::internal(format!(
                "{} ids, {} ordinals and {} outputs do not belong together",
                record_ids.len(),
                ordinals.len(),
                outputs.len()
            ))
            .into());
        }
        Ok(Self {
            record_ids,
            ordinals,
            outputs,
        })
    }

    /// Number of predictions.
    pub fn len(&self) -> usize {
        self.ordinals.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ordinals.is_empty()
    }

    /// The task's columns.
    pub fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    /// The rows, in ascending order of their ordinals.
    pub fn rows(&self) -> impl Iterator<Item = PredictionRow<'_>> {
        (0..self.len()).map(|index| self.row(index))
    }

    /// Identity of the prediction at `index`.
    pub fn record_id(&self, index: usize) -> &str {
        self.record_ids.value(index)
    }

    /// The prediction at `index`.
    pub fn row(&self, index: usize) -> PredictionRow<'_> {
        let mut row = PredictionRow {
            record_id: Cow::Borrowed(self.record_ids.value(index)),
            ordinal: self.ordinals[index] as i64,
            label: None,
            score: None,
            value: None,
            embedding: None,
            output: None,
        };
        match &self.outputs {
            Outputs::Binary {
                classes,
                labels,
                scores,
            } => {
                row.label = Some(Cow::Borrowed(&classes[labels[index] as usize]));
                row.score = Some(one_zero(f64::from(scores[index])));
            }
            Outputs::Multiclass {
                classes,
                labels,
                scores,
                probabilities,
            } => {
                let width = classes.len();
                row.label = Some(Cow::Borrowed(&classes[labels[index] as usize]));
                row.score = Some(one_zero(f64::from(scores[index])));
                row.output = Some(Cow::Owned(probabilities_json(
                    classes,
                    &probabilities[index * width..(index + 1) * width],
                )));
            }
            Outputs::Regression { values } => row.value = Some(one_zero(values[index])),
            Outputs::Embedding { width, vectors } => {
                let vector = &vectors[index * width..(index + 1) * width];
                row.embedding = Some(Cow::Borrowed(vector));
            }
            Outputs::Ranking { items, rankings } => {
                let json = rankings::json(items, rankings.list(index));
                row.output = Some(Cow::Owned(json));
            }
        }
        row
    }
}

/// The number, with 0 for -0: SQLite keeps no sign of a zero, and what is committed must be what is
/// read back.
fn one_zero(number: f64) -> f64 {
    number + 0.0
}

/// `{"class": probability, …}` in the order of the classes, each number in the shortest form that
/// reads back as the same f32.
fn probabilities_json(classes: &[String], probabilities: &[f32]) -> String {
    let mut json = String::from("{");
    for (class, probability) in classes.iter().zip(probabilities) {
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str(&serde_json::Value::from(class.as_str()).to_string());
        json.push(':');
        // An f32 displays as the shortest decimal that reads back as the same bits.
        json.push_str(&probability.to_string());
    }
    json.push('}');
    json
}

/// The hash of what a shard wrote: SHA-256 over its slice, the number of records that the filter
/// dropped, and its predictions and dead letters, each in ascending order of ordinals.
///
/// Of a shard from which something was taken since, it covers what is left, the number of dead
/// letters that were pruned, and the tombstones of the records that were erased. No hash of what is
/// gone is kept: whoever guesses a record could prove by it that the guess is right.
#[derive(Clone)]
pub struct OutputHasher {
    slice: [u64; 3],
    predictions: Sha256,
    dead_letters: Sha256,
    tombstones: Sha256,
    erased: u64,
    pruned: u64,
}

impl OutputHasher {
    /// For the shard of `records` records that begins at `first_ordinal`, of which the filter
    /// dropped `filtered`.
    pub fn new(first_ordinal: u64, records: u64, filtered: u64) -> Self {
        Self {
            slice: [first_ordinal, records, filtered],
            predictions: Sha256::new(),
            dead_letters: Sha256::new(),
            tombstones: Sha256::new(),
            erased: 0,
            pruned: 0,
        }
    }

    /// Takes the next tombstone, in ascending order of ordinals.
    pub fn tombstone(&mut self, ordinal: i64, token: &str) {
        self.erased += 1;
        self.tombstones.update(ordinal.to_le_bytes());
        text(&mut self.tombstones, Some(token));
    }

    /// Takes the number of dead letters that were pruned.
    pub fn pruned(&mut self, dead_letters: u64) {
        self.pruned = dead_letters;
    }

    /// Takes the next prediction.
    pub fn prediction(&mut self, row: &PredictionRow<'_>) {
        let hasher = &mut self.predictions;
        hasher.update(row.ordinal.to_le_bytes());
        text(hasher, Some(&row.record_id));
        text(hasher, row.label.as_deref());
        bits(hasher, row.score.map(f64::to_le_bytes));
        bits(hasher, row.value.map(f64::to_le_bytes));
        text(hasher, row.output.as_deref());
        if let Some(embedding) = &row.embedding {
            hasher.update((embedding.len() as u64).to_le_bytes());
            for number in embedding.iter() {
                hasher.update(number.to_le_bytes());
            }
        }
    }

    /// Takes the next dead letter.
    pub fn dead_letter(
        &mut self,
        ordinal: i64,
        record_id: Option<&str>,
        stage: &str,
        code: &str,
        field: Option<&str>,
        message: &str,
    ) {
        let hasher = &mut self.dead_letters;
        hasher.update(ordinal.to_le_bytes());
        text(hasher, record_id);
        for part in [Some(stage), Some(code), field, Some(message)] {
            text(hasher, part);
        }
    }

    /// The hash as lower-case hexadecimal digits.
    pub fn finish(self) -> String {
        let mut all = Sha256::new();
        for number in self.slice {
            all.update(number.to_le_bytes());
        }
        all.update(self.predictions.finalize());
        all.update(self.dead_letters.finalize());
        if self.pruned > 0 || self.erased > 0 {
            all.update(self.pruned.to_le_bytes());
            all.update(self.tombstones.finalize());
        }
        hex::encode(all.finalize())
    }
}

/// The hash of what a run wrote: SHA-256 over its shards' output hashes, in their order.
#[derive(Default)]
pub struct RunHasher(Sha256);

impl RunHasher {
    /// Takes the next shard's.
    pub fn add(&mut self, output_hash: &str) {
        self.0.update(output_hash);
    }

    /// The hash of all that were taken.
    pub fn finish(self) -> String {
        hex::encode(self.0.finalize())
    }
}

/// The same of hashes that are all there.
pub fn run_hash<'hashes>(output_hashes: impl IntoIterator<Item = &'hashes str>) -> String {
    let mut hasher = RunHasher::default();
    for output_hash in output_hashes {
        hasher.add(output_hash);
    }
    hasher.finish()
}

/// Lengths keep neighbours apart ("ab","c" is not "a","bc"); the tag keeps null from empty.
fn text(hasher: &mut Sha256, text: Option<&str>) {
    match text {
        None => hasher.update([0]),
        Some(text) => {
            hasher.update([1]);
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        }
    }
}

fn bits<const WIDTH: usize>(hasher: &mut Sha256, bits: Option<[u8; WIDTH]>) {
    match bits {
        None => hasher.update([0]),
        Some(bits) => {
            hasher.update([1]);
            hasher.update(bits);
        }
    }
}
