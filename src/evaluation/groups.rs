//! Predictions with their truth, in groups of which each gets its metrics.

use std::collections::{BTreeMap, BTreeSet};

use super::not_evaluated;
use crate::ledger::{EvaluationRow, Judged, Origin};
use crate::model::{Bundle, Task};
use crate::monitor::metrics::{Confusion, Metric, classification, ranking, regression};
use crate::record::Outputs;

/// Makes samples of predictions and their truth.
pub struct Judge {
    task: Task,
    /// Names of the classes.
    classes: Vec<String>,
}

/// A prediction with its truth.
#[derive(Clone, Debug)]
pub enum Sample {
    /// Whether the second class was true, whether it was predicted, and its probability.
    Binary(bool, bool, f32),
    /// The true class, the predicted one, and all probabilities if they are known.
    Multiclass(u32, u32, Option<Vec<f32>>),
    /// The true number and the predicted one.
    Regression(f64, f64),
    /// Items, best first, and the relevant ones.
    Ranking(Vec<String>, BTreeSet<String>),
}

/// What a group is of. Empty text stands for all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    date: String,
    model_name: String,
    model_version: String,
    origin: Origin,
    segment: String,
}

/// Samples by what they are of.
pub struct Groups<'a> {
    judge: &'a Judge,
    samples: BTreeMap<Key, Vec<Sample>>,
}

impl Judge {
    /// For predictions of the bundle's kind.
    ///
    /// # Errors
    /// They have no truth to be held against (78).
    pub fn of(bundle: &Bundle) -> anyhow::Result<Self> {
        let classes = match bundle.head.empty(0) {
            Outputs::Binary { classes, .. } | Outputs::Multiclass { classes, .. } => {
                classes.to_vec()
            }
            Outputs::Embedding { .. } => return Err(not_evaluated(bundle.task).into()),
            Outputs::Regression { .. } | Outputs::Ranking { .. } => Vec::new(),
        };
        Ok(Self {
            task: bundle.task,
            classes,
        })
    }

    /// The sample that a prediction and its truth make.
    ///
    /// # Errors
    /// The class that is not the model's, or what is no truth of this task.
    pub fn sample(&self, row: &Judged) -> Result<Sample, String> {
        match self.task {
            Task::Binary => {
                let truth = self.class(row.true_label.as_deref())? == 1;
                let predicted = self.class(row.label.as_deref())? == 1;
                Ok(Sample::Binary(
                    truth,
                    predicted,
                    row.score.unwrap_or(f64::NAN) as f32,
                ))
            }
            Task::Multiclass => {
                let truth = self.class(row.true_label.as_deref())?;
                let predicted = self.class(row.label.as_deref())?;
                let probabilities = row
                    .output
                    .as_deref()
                    .and_then(|output| self.probabilities(output));
                Ok(Sample::Multiclass(truth, predicted, probabilities))
            }
            Task::Regression => match (row.true_value, row.value) {
                (Some(truth), Some(predicted)) => Ok(Sample::Regression(truth, predicted)),
                _ => Err("not a number".to_owned()),
            },
            Task::Ranking => {
                let relevant = row
                    .true_items
                    .as_deref()
                    .and_then(|items| serde_json::from_str(items).ok());
                let items = row.output.as_deref().and_then(items_of);
                match (items, relevant) {
                    (Some(items), Some(relevant)) => Ok(Sample::Ranking(items, relevant)),
                    _ => Err("not a list of items".to_owned()),
                }
            }
            Task::Embedding => Err("a vector".to_owned()),
        }
    }

    /// The index of a class, by its name; of two classes also by what is true or false.
    fn class(&self, label: Option<&str>) -> Result<u32, String> {
        let label = label.unwrap_or_default();
        if let Some(index) = self.classes.iter().position(|class| class == label) {
            return Ok(index as u32);
        }
        match (self.task, label) {
            (Task::Binary, "true" | "1") => Ok(1),
            (Task::Binary, "false" | "0") => Ok(0),
            _ => Err(label.to_owned()),
        }
    }

    fn probabilities(&self, output: &str) -> Option<Vec<f32>> {
        let by_class: BTreeMap<String, f32> = serde_json::from_str(output).ok()?;
        let classes = self.classes.iter();
        classes.map(|class| by_class.get(class).copied()).collect()
    }
}

/// The items of an output, best first.
fn items_of(output: &str) -> Option<Vec<String>> {
    let items: Vec<serde_json::Value> = serde_json::from_str(output).ok()?;
    let items = items.iter();
    items
        .map(|item| Some(item.get("item")?.as_str()?.to_owned()))
        .collect()
}

impl Key {
    /// Of a prediction for `date`.
    pub fn of(row: &Judged, date: &str, origin: Origin) -> Self {
        Self {
            date: date.to_owned(),
            model_name: row.model_name.clone(),
            model_version: row.model_version.clone(),
            origin,
            segment: String::new(),
        }
    }

    /// The same of all dates.
    pub fn of_all_dates(&self) -> Self {
        Self {
            date: String::new(),
            ..self.clone()
        }
    }
}

impl<'a> Groups<'a> {
    /// No groups yet.
    pub fn new(judge: &'a Judge) -> Self {
        Self {
            judge,
            samples: BTreeMap::new(),
        }
    }

    /// Adds a sample to its group, and to that of its segment.
    pub fn add(&mut self, key: Key, segment: Option<&str>, sample: Sample) {
        // Empty text stands for all.
        if let Some(segment) = segment.filter(|segment| !segment.is_empty()) {
            let key = Key {
                segment: segment.to_owned(),
                ..key.clone()
            };
            self.samples.entry(key).or_default().push(sample.clone());
        }
        self.samples.entry(key).or_default().push(sample);
    }

    /// The metrics of all groups.
    pub fn rows(self) -> Vec<EvaluationRow> {
        let mut rows = Vec::new();
        for (key, samples) in self.samples {
            let records = samples.len() as u64;
            let (metrics, confusion) = self.judge.metrics(&samples);
            let row = |metric: &str, class: String, value| EvaluationRow {
                model_name: key.model_name.clone(),
                model_version: key.model_version.clone(),
                logical_date: key.date.clone(),
                origin: key.origin,
                segment: key.segment.clone(),
                metric: metric.to_owned(),
                class,
                value,
                baseline: None,
                records,
                missing: 0,
            };
            for metric in metrics {
                rows.push(row(
                    metric.name,
                    metric.class.unwrap_or_default(),
                    metric.value,
                ));
            }
            for (class, count) in confusion.iter().flat_map(cells) {
                rows.push(row("confusion", class, Some(count as f64)));
            }
        }
        rows
    }
}

/// Each cell of a confusion matrix, as `TRUE as PREDICTED`.
fn cells(confusion: &Confusion) -> Vec<(String, u64)> {
    let classes = &confusion.classes;
    let pairs = classes.iter().flat_map(|truth| {
        classes
            .iter()
            .map(move |predicted| format!("{truth} as {predicted}"))
    });
    pairs.zip(confusion.counts.iter().copied()).collect()
}

impl Judge {
    /// The metrics of some samples.
    pub fn metrics(&self, samples: &[Sample]) -> (Vec<Metric>, Option<Confusion>) {
        match self.task {
            Task::Binary => {
                let rows = samples.iter().filter_map(|sample| match sample {
                    Sample::Binary(truth, predicted, score) => Some((*truth, (*predicted, *score))),
                    _ => None,
                });
                let (truth, said): (Vec<bool>, Vec<(bool, f32)>) = rows.unzip();
                let (predicted, scores): (Vec<bool>, Vec<f32>) = said.into_iter().unzip();
                let classes = match self.classes.as_slice() {
                    [negative, positive] => [negative.as_str(), positive.as_str()],
                    _ => ["", ""],
                };
                let (metrics, confusion) =
                    classification::binary(classes, &truth, &predicted, &scores);
                (metrics, Some(confusion))
            }
            Task::Multiclass => {
                let (mut truth, mut predicted, mut all) = (Vec::new(), Vec::new(), Vec::new());
                for sample in samples {
                    if let Sample::Multiclass(true_class, said, probabilities) = sample {
                        truth.push(*true_class);
                        predicted.push(*said);
                        all.extend(probabilities.iter().flatten().copied());
                    }
                }
                let is_whole = all.len() == truth.len() * self.classes.len();
                let (metrics, confusion) = classification::multiclass(
                    &self.classes,
                    &truth,
                    &predicted,
                    is_whole.then_some(&all),
                );
                (metrics, Some(confusion))
            }
            Task::Regression => {
                let rows = samples.iter().filter_map(|sample| match sample {
                    Sample::Regression(truth, predicted) => Some((*truth, *predicted)),
                    _ => None,
                });
                let (truth, predicted): (Vec<f64>, Vec<f64>) = rows.unzip();
                (regression::regression(&truth, &predicted), None)
            }
            Task::Ranking => {
                let rows = samples.iter().filter_map(|sample| match sample {
                    Sample::Ranking(items, relevant) => Some((items.clone(), relevant.clone())),
                    _ => None,
                });
                let (items, relevant): (Vec<Vec<String>>, Vec<BTreeSet<String>>) = rows.unzip();
                let longest = items.iter().map(Vec::len).max().unwrap_or(0);
                (ranking::ranking(&items, &relevant, longest), None)
            }
            Task::Embedding => (Vec::new(), None),
        }
    }
}
