//! What parent and child say to each other: lines of JSON.
//!
//! Numbers travel as their bits: a prediction must not depend on the way that it came.

use arrow::array::StringBuilder;
use serde::{Deserialize, Serialize};

use crate::error::{Class, Failure};
use crate::ledger::ShardSlice;
use crate::monitor::ShardStats;
use crate::monitor::profile::Counted;
use crate::record::{DeadLetter, Outputs, Rankings};
use crate::run::results::Results;

/// What a child is asked.
#[derive(Serialize, Deserialize)]
pub(super) struct Question {
    /// The part of a shard.
    pub(super) slice: ShardSlice,
    /// One in how many values is part of the profile's samples.
    pub(super) one_in: u64,
}

/// What a child says.
#[derive(Serialize, Deserialize)]
pub(super) enum Answer {
    /// It can be asked.
    Ready,
    /// What became of the part that it was asked for.
    Scored(Box<Part>),
    /// That part can not be scored, through no fault of a record.
    Failed(Failed),
}

/// [`Results`] on their way.
#[derive(Serialize, Deserialize)]
pub(super) struct Part {
    record_ids: Vec<String>,
    ordinals: Vec<u64>,
    outputs: Bits,
    dead_letters: Vec<DeadLetter>,
    filtered: u64,
    stats: ShardStats,
    counted: Counted,
}

/// [`Outputs`] as bits.
#[derive(Serialize, Deserialize)]
struct Bits {
    labels: Vec<u32>,
    scores: Vec<u32>,
    probabilities: Vec<u32>,
    values: Vec<u64>,
    vectors: Vec<u32>,
    items: Vec<u32>,
    ends: Vec<usize>,
}

/// A failure on its way.
#[derive(Serialize, Deserialize)]
pub(super) struct Failed {
    exit_code: u8,
    message: String,
    hint: Option<String>,
}

impl Part {
    pub(super) fn of(mut results: Results) -> Self {
        let ids = results.record_ids.finish();
        Self {
            record_ids: ids.iter().flatten().map(str::to_owned).collect(),
            ordinals: results.ordinals,
            outputs: Bits::of(&results.outputs),
            dead_letters: results.dead_letters,
            filtered: results.filtered,
            stats: results.stats,
            counted: results.collector.into_counted(),
        }
    }

    /// The results, put into `empty` ones of the model's kind.
    ///
    /// # Errors
    /// They are of another kind (70).
    pub(super) fn into_results(self, empty: Results) -> anyhow::Result<Results> {
        let mut record_ids = StringBuilder::new();
        for id in &self.record_ids {
            record_ids.append_value(id);
        }
        let outputs = self.outputs.into_outputs(empty.outputs);
        if outputs.len() != self.ordinals.len() || self.record_ids.len() != self.ordinals.len() {
            return Err(Failure::internal("a child's answer does not add up").into());
        }
        let mut collector = empty.collector;
        collector.append(self.counted);
        Ok(Results {
            record_ids,
            ordinals: self.ordinals,
            outputs,
            dead_letters: self.dead_letters,
            filtered: self.filtered,
            stats: self.stats,
            collector,
        })
    }
}

impl Bits {
    fn of(outputs: &Outputs) -> Self {
        let bits = |numbers: &[f32]| numbers.iter().map(|number| number.to_bits()).collect();
        let mut all = Self {
            labels: Vec::new(),
            scores: Vec::new(),
            probabilities: Vec::new(),
            values: Vec::new(),
            vectors: Vec::new(),
            items: Vec::new(),
            ends: Vec::new(),
        };
        match outputs {
            Outputs::Binary { labels, scores, .. } => {
                all.labels.clone_from(labels);
                all.scores = bits(scores);
            }
            Outputs::Multiclass {
                labels,
                scores,
                probabilities,
                ..
            } => {
                all.labels.clone_from(labels);
                all.scores = bits(scores);
                all.probabilities = bits(probabilities);
            }
            Outputs::Regression { values } => {
                all.values = values.iter().map(|value| value.to_bits()).collect();
            }
            Outputs::Embedding { vectors, .. } => all.vectors = bits(vectors),
            Outputs::Ranking { rankings, .. } => {
                let (items, scores, ends) = rankings.parts();
                all.items = items.to_vec();
                all.scores = bits(scores);
                all.ends = ends.to_vec();
            }
        }
        all
    }

    fn into_outputs(self, empty: Outputs) -> Outputs {
        let numbers = |bits: Vec<u32>| bits.into_iter().map(f32::from_bits).collect();
        match empty {
            Outputs::Binary { classes, .. } => Outputs::Binary {
                classes,
                labels: self.labels,
                scores: numbers(self.scores),
            },
            Outputs::Multiclass { classes, .. } => Outputs::Multiclass {
                classes,
                labels: self.labels,
                scores: numbers(self.scores),
                probabilities: numbers(self.probabilities),
            },
            Outputs::Regression { .. } => Outputs::Regression {
                values: self.values.into_iter().map(f64::from_bits).collect(),
            },
            Outputs::Embedding { width, .. } => Outputs::Embedding {
                width,
                vectors: numbers(self.vectors),
            },
            Outputs::Ranking { items, .. } => Outputs::Ranking {
                items,
                // Of parts that do not belong together nothing is left, which shows when records are counted.
                rankings: Rankings::from_parts(self.items, numbers(self.scores), self.ends)
                    .unwrap_or_default(),
            },
        }
    }
}

impl Failed {
    pub(super) fn of(error: &anyhow::Error) -> Self {
        Self {
            exit_code: crate::error::classify(error).exit_code(),
            message: format!("{error:#}"),
            hint: crate::error::hint(error).map(str::to_owned),
        }
    }

    pub(super) fn into_failure(self) -> Failure {
        let failure = Failure::new(Class::of_exit_code(self.exit_code), self.message);
        match self.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::monitor::profile::{Collector, Layout};
    use crate::record::Stage;

    #[test]
    fn results_arrive_with_the_same_bits() {
        let classes: Arc<[String]> = ["a".to_owned(), "b".to_owned()].into();
        let scores = vec![0.1_f32, f32::MIN_POSITIVE, 0.999_999_94];
        let outputs = Outputs::Multiclass {
            classes: classes.clone(),
            labels: vec![0, 1, 1],
            scores: scores.clone(),
            probabilities: vec![0.9, 0.1, 1e-45, 1.0, 0.3, 0.7],
        };
        let layout = Arc::new(Layout::new(&[], &outputs, None));
        let collector = Collector::new(layout, 1);
        let mut results = Results::new(outputs, 3, collector.clone());
        for (ordinal, id) in (7..).zip(["one", "", "drei\n"]) {
            results.record_ids.append_value(id);
            results.ordinals.push(ordinal);
        }
        results.dead_letters.push(DeadLetter {
            ordinal: 10,
            record_id: None,
            stage: Stage::Validate,
            code: "missing_value".into(),
            field: Some("x".to_owned()),
            message: "the value is null".to_owned(),
        });
        let line = serde_json::to_string(&Part::of(results)).unwrap();
        assert!(!line.contains('\n'));
        let part: Part = serde_json::from_str(&line).unwrap();
        let empty = Outputs::Multiclass {
            classes,
            labels: Vec::new(),
            scores: Vec::new(),
            probabilities: Vec::new(),
        };
        let mut arrived = part
            .into_results(Results::new(empty, 0, collector))
            .unwrap();
        let Outputs::Multiclass {
            scores: found,
            probabilities,
            ..
        } = &arrived.outputs
        else {
            panic!("another kind");
        };
        assert_eq!(found, &scores);
        assert_eq!(probabilities[2].to_bits(), 1);
        assert_eq!(arrived.dead_letters[0].code, "missing_value");
        assert_eq!(arrived.record_ids.finish().value(2), "drei\n");
    }
}
