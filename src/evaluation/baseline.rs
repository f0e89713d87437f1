//! The metrics of a model on the data that it was trained on.

use std::borrow::Cow;
use std::collections::HashMap;

use arrow::array::StringArray;

use super::groups::Judge;
use super::truth::{self, Delivery};
use crate::interrupt::Interrupt;
use crate::job::{Job, SourceKind};
use crate::ledger::{Judged, Truth};
use crate::model::Bundle;
use crate::monitor::reference::BaselineMetric;
use crate::record::{Outputs, Predictions};

/// What the predictions were worth.
pub struct Baseline {
    /// The metrics that are defined.
    pub metrics: Vec<BaselineMetric>,
    /// Predictions whose truth was there.
    pub judged: u64,
    /// What became of the ground truth.
    pub delivery: Delivery,
}

/// Holds predictions against the ground truth in `source`. `predictions` are ids and outputs, in parts.
///
/// # Errors
/// The ground truth can not be read (66, 65) or is not described (78); the task has none (78).
pub fn baseline(
    job: &Job,
    bundle: &Bundle,
    source: &SourceKind,
    predictions: Vec<(Vec<String>, Outputs)>,
    interrupt: &Interrupt,
) -> anyhow::Result<Baseline> {
    let judge = Judge::of(bundle)?;
    let mut truths: HashMap<String, Truth> = HashMap::new();
    let delivery = truth::read(job, source, bundle.task, None, interrupt, |truth| {
        truths.insert(truth.id.clone(), truth);
        Ok(())
    })?;
    let mut samples = Vec::new();
    for (ids, outputs) in predictions {
        let ordinals = (0..ids.len() as u64).collect();
        let predictions = Predictions::new(StringArray::from(ids), ordinals, outputs)?;
        for row in predictions.rows() {
            let Some(truth) = truths.get(row.record_id.as_ref()) else {
                continue;
            };
            let judged = Judged {
                record_id: row.record_id.into_owned(),
                model_name: String::new(),
                model_version: String::new(),
                label: row.label.map(Cow::into_owned),
                score: row.score,
                value: row.value,
                output: row.output.map(Cow::into_owned),
                true_label: truth.label.clone(),
                true_value: truth.value,
                true_items: truth.items.clone(),
                segment: None,
            };
            // A class that the model does not have is no baseline of anything.
            samples.extend(judge.sample(&judged).ok());
        }
    }
    let (metrics, _) = judge.metrics(&samples);
    let metrics = metrics.into_iter().filter_map(|metric| {
        Some(BaselineMetric {
            name: metric.name.to_owned(),
            class: metric.class.unwrap_or_default(),
            value: metric.value?,
        })
    });
    Ok(Baseline {
        metrics: metrics.collect(),
        judged: samples.len() as u64,
        delivery,
    })
}
