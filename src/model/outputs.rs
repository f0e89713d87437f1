//! From logits to labels, scores and values.
//!
//! Exponentials come from the `libm` crate and not from the host's C library, whose last bit
//! differs between versions; a score must not.

use std::sync::Arc;

use super::bundle::{TargetTransform, Task};
use super::network::NetworkOutput;
use crate::error::Failure;
use crate::record::{Outputs, Rankings};

/// Turns logits into outputs.
#[derive(Clone, Debug)]
pub enum Head {
    /// One logit, sigmoid; positive if the score reaches the threshold.
    Binary {
        /// The second class is the positive one.
        classes: Arc<[String]>,
        /// In (0, 1).
        threshold: f32,
    },
    /// One logit a class, softmax.
    Multiclass {
        /// Class names.
        classes: Arc<[String]>,
    },
    /// One number.
    Regression {
        /// What that number is of the target.
        transform: Option<TargetTransform>,
    },
    /// A vector.
    Embedding {
        /// Its length.
        width: usize,
    },
    /// Items, best first.
    Ranking {
        /// Ids of all items.
        items: Arc<[String]>,
        /// How many a record gets at most.
        top_k: usize,
    },
}

impl Head {
    /// Checks that a task has just what it needs; `width` is that of the vectors that the network
    /// gives, if it gives such. Of rankings there is but one kind: [`Head::Ranking`].
    ///
    /// # Errors
    /// Names the key at fault (78).
    pub fn new(
        task: Task,
        classes: Option<Vec<String>>,
        threshold: Option<f32>,
        transform: Option<TargetTransform>,
        width: Option<usize>,
    ) -> anyhow::Result<Self> {
        let config = |why: &str| anyhow::Error::from(Failure::config(why));
        if task != Task::Binary && threshold.is_some() {
            return Err(config("`threshold` is for task \"binary\" only"));
        }
        if task != Task::Regression && transform.is_some() {
            return Err(config(
                "[output] `transform` is for task \"regression\" only",
            ));
        }
        if let Some(classes) = &classes {
            let mut sorted: Vec<_> = classes.iter().collect();
            sorted.sort();
            sorted.dedup();
            if sorted.len() < classes.len() {
                return Err(config("`classes` lists a class twice"));
            }
        }
        match (task, classes) {
            (Task::Binary, Some(classes)) if classes.len() == 2 => {
                let threshold = threshold.unwrap_or(0.5);
                if !(threshold > 0.0 && threshold < 1.0) {
                    return Err(config("`threshold` must lie between 0 and 1"));
                }
                Ok(Head::Binary {
                    classes: classes.into(),
                    threshold,
                })
            }
            (Task::Binary, _) => Err(config(
                "task \"binary\" needs `classes` with two names, the second the positive one",
            )),
            (Task::Multiclass, Some(classes)) if classes.len() >= 2 => Ok(Head::Multiclass {
                classes: classes.into(),
            }),
            (Task::Multiclass, _) => Err(config(
                "task \"multiclass\" needs `classes` with at least two names",
            )),
            (Task::Regression, None) => Ok(Head::Regression { transform }),
            (Task::Regression, Some(_)) => Err(config("task \"regression\" has no `classes`")),
            (Task::Embedding, None) => match width {
                Some(width) => Ok(Head::Embedding { width }),
                None => Err(config("task \"embedding\" is for architecture \"bert\"")),
            },
            (Task::Embedding, Some(_)) => Err(config("task \"embedding\" has no `classes`")),
            (Task::Ranking, _) => Err(config("task \"ranking\" is for architecture \"two_tower\"")),
        }
    }

    /// Numbers that the network must give for a record.
    pub fn width(&self) -> usize {
        match self {
            Head::Binary { .. } | Head::Regression { .. } => 1,
            Head::Embedding { width } => *width,
            Head::Multiclass { classes } => classes.len(),
            // Item and score.
            Head::Ranking { top_k, .. } => 2 * top_k,
        }
    }

    /// About what a record's output takes until it is in the database, in bytes: its numbers, and the text
    /// that is made of them.
    pub fn bytes_per_output(&self) -> u64 {
        // Quotes, colon, comma and the digits of a number; of an item the keys, too.
        const CLASS: usize = 20;
        const ITEM: usize = 48;
        let numbers = self.width() * size_of::<f32>();
        let text = match self {
            Head::Multiclass { classes } => classes.iter().map(|class| class.len() + CLASS).sum(),
            Head::Ranking { items, top_k } => {
                let longest = items.iter().map(String::len).max().unwrap_or(0);
                top_k * (longest + ITEM)
            }
            Head::Binary { .. } | Head::Regression { .. } | Head::Embedding { .. } => 0,
        };
        (numbers + text) as u64
    }

    /// The classes; none if the task has none.
    pub fn classes(&self) -> &[String] {
        match self {
            Head::Binary { classes, .. } | Head::Multiclass { classes } => classes,
            Head::Regression { .. } | Head::Embedding { .. } | Head::Ranking { .. } => &[],
        }
    }

    /// Empty outputs with room for `capacity` records.
    pub fn empty(&self, capacity: usize) -> Outputs {
        match self {
            Head::Binary { classes, .. } => Outputs::Binary {
                classes: classes.clone(),
                labels: Vec::with_capacity(capacity),
                scores: Vec::with_capacity(capacity),
            },
            Head::Multiclass { classes } => Outputs::Multiclass {
                classes: classes.clone(),
                labels: Vec::with_capacity(capacity),
                scores: Vec::with_capacity(capacity),
                probabilities: Vec::with_capacity(capacity * classes.len()),
            },
            Head::Regression { .. } => Outputs::Regression {
                values: Vec::with_capacity(capacity),
            },
            Head::Embedding { width } => Outputs::Embedding {
                width: *width,
                vectors: Vec::with_capacity(capacity * width),
            },
            Head::Ranking { items, .. } => Outputs::Ranking {
                items: items.clone(),
                rankings: Rankings::default(),
            },
        }
    }

    /// Appends what `given` holds of the record at `row` to `outputs` (made by [`Head::empty`]). Returns
    /// false, and appends nothing, if the network's output or what follows from it is not finite.
    pub fn push(&self, given: &NetworkOutput, row: usize, outputs: &mut Outputs) -> bool {
        match (given, outputs) {
            (NetworkOutput::Numbers(numbers), outputs) => {
                let width = self.width();
                let logits = numbers.get(row * width..(row + 1) * width);
                logits.is_some_and(|logits| self.push_numbers(logits, outputs))
            }
            (NetworkOutput::Rankings(given), Outputs::Ranking { rankings, .. }) => {
                let (items, scores) = given.list(row);
                let is_finite = scores.iter().all(|score| score.is_finite());
                if is_finite {
                    rankings.push(items.iter().copied().zip(scores.iter().copied()));
                }
                is_finite
            }
            (NetworkOutput::Rankings(_), _) => false,
        }
    }

    fn push_numbers(&self, logits: &[f32], outputs: &mut Outputs) -> bool {
        if logits.iter().any(|logit| !logit.is_finite()) {
            return false;
        }
        match (self, outputs) {
            (Head::Binary { threshold, .. }, Outputs::Binary { labels, scores, .. }) => {
                let score = sigmoid(logits[0]);
                labels.push(u32::from(score >= *threshold));
                scores.push(score);
                true
            }
            (
                Head::Multiclass { .. },
                Outputs::Multiclass {
                    labels,
                    scores,
                    probabilities,
                    ..
                },
            ) => {
                let start = probabilities.len();
                softmax(logits, probabilities);
                let (label, score) = first_maximum(&probabilities[start..]);
                labels.push(label);
                scores.push(score);
                true
            }
            (Head::Regression { transform }, Outputs::Regression { values }) => {
                let value = f64::from(logits[0]);
                let value = match transform {
                    None => value,
                    Some(TargetTransform::Log1p) => libm::expm1(value),
                };
                if value.is_finite() {
                    values.push(value);
                }
                value.is_finite()
            }
            (Head::Embedding { .. }, Outputs::Embedding { vectors, .. }) => {
                vectors.extend_from_slice(logits);
                true
            }
            _ => false,
        }
    }
}

/// 1 / (1 + e^-x), from the side that cannot overflow.
fn sigmoid(logit: f32) -> f32 {
    if logit >= 0.0 {
        1.0 / (1.0 + libm::expf(-logit))
    } else {
        let exponential = libm::expf(logit);
        exponential / (1.0 + exponential)
    }
}

fn softmax(logits: &[f32], probabilities: &mut Vec<f32>) {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let start = probabilities.len();
    probabilities.extend(logits.iter().map(|logit| libm::expf(logit - highest)));
    let sum: f32 = probabilities[start..].iter().sum();
    for probability in &mut probabilities[start..] {
        *probability /= sum;
    }
}

/// Index and value of the greatest probability; the first one on a tie, as PyTorch's argmax.
fn first_maximum(probabilities: &[f32]) -> (u32, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (index, &probability) in (0u32..).zip(probabilities) {
        if probability > best.1 {
            best = (index, probability);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Option<Vec<String>> {
        Some(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn extreme_logits_give_probabilities() {
        assert_eq!(sigmoid(0.0), 0.5);
        assert_eq!(sigmoid(200.0), 1.0);
        assert_eq!(sigmoid(-200.0), 0.0);
        let mut probabilities = Vec::new();
        softmax(&[1000.0, 1000.0, -1000.0], &mut probabilities);
        assert_eq!(probabilities, [0.5, 0.5, 0.0]);
    }

    #[test]
    fn a_score_that_reaches_the_threshold_is_positive() {
        let head = Head::new(Task::Binary, names(&["no", "yes"]), Some(0.5), None, None).unwrap();
        let mut outputs = head.empty(2);
        assert!(head.push_numbers(&[0.0], &mut outputs));
        assert!(head.push_numbers(&[-1e-3], &mut outputs));
        let Outputs::Binary { labels, .. } = outputs else {
            panic!("not binary");
        };
        assert_eq!(labels, [1, 0]);
    }

    #[test]
    fn what_is_not_finite_is_no_output() {
        let heads = [
            Head::new(Task::Binary, names(&["no", "yes"]), None, None, None).unwrap(),
            Head::new(Task::Multiclass, names(&["a", "b"]), None, None, None).unwrap(),
            Head::new(
                Task::Regression,
                None,
                None,
                Some(TargetTransform::Log1p),
                None,
            )
            .unwrap(),
        ];
        for head in heads {
            let mut outputs = head.empty(1);
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let logits = vec![bad; head.width()];
                assert!(!head.push_numbers(&logits, &mut outputs));
            }
            assert!(outputs.is_empty());
        }
        // Finite, but its exponential is not.
        let head = Head::new(
            Task::Regression,
            None,
            None,
            Some(TargetTransform::Log1p),
            None,
        )
        .unwrap();
        assert!(!head.push_numbers(&[1e30], &mut head.empty(1)));
    }

    #[test]
    fn a_tie_goes_to_the_first_class() {
        assert_eq!(first_maximum(&[0.4, 0.4, 0.2]), (0, 0.4));
    }
}
