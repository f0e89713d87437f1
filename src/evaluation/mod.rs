//! What predictions were worth, once it is known what was true.
//!
//! Ground truth is taken in and kept, so that later deliveries complete it or correct it. It is joined by
//! record to the predictions that consumers see, each with the version that made it, and the metrics replace
//! those of the same dates. What can not be used is counted and named.

pub mod alerts;
mod baseline;
mod groups;
mod truth;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use serde::Serialize;

use crate::error::{Class, Failure};
use crate::interrupt::Interrupt;
use crate::job::{Job, SourceKind};
use crate::ledger::{EvaluationRow, Ledger, Origin, PublishedPredictions, Target};
use crate::model::{Bundle, Task};
use crate::monitor::Reference;
use crate::run::decay::watched_metric;
use groups::{Groups, Judge, Key};
use truth::deliver;

pub use baseline::{Baseline, baseline};
pub use truth::Delivery;

/// What is asked for.
pub struct Request<'a> {
    /// The job.
    pub job: &'a Job,
    /// The model that it names, for its classes.
    pub bundle: &'a Bundle,
    /// That model's reference, for its baseline.
    pub reference: Option<&'a Reference>,
    /// Ground truth that is delivered now, if some is.
    pub delivered: Option<SourceKind>,
    /// By whom that is known.
    pub origin: Origin,
    /// The ledger, which may hold a table of ground truth.
    pub target: &'a Target,
    /// Whether somebody wants this to stop.
    pub interrupt: &'a Interrupt,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Evaluation {
    /// The job.
    pub job: String,
    /// What was delivered; `None` if nothing was.
    pub delivery: Option<Delivery>,
    /// Records with ground truth of which consumers see no prediction.
    pub unknown_records: Named,
    /// Classes that the model does not have, which were found in the ground truth.
    pub unknown_labels: Named,
    /// Predictions that consumers see.
    pub predictions: u64,
    /// Of these, those whose observed truth is not there yet.
    pub missing: u64,
    /// The metric by which the task's models are compared first.
    pub watched: Option<&'static str>,
    /// The metrics, of all dates together first.
    pub metrics: Vec<EvaluationRow>,
}

/// How many there are, and some by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Named {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub examples: Vec<String>,
}

impl Named {
    fn add(&mut self, name: &str) {
        const SHOWN: usize = 5;
        self.count += 1;
        if self.examples.len() < SHOWN && !self.examples.iter().any(|known| known == name) {
            self.examples.push(name.to_owned());
        }
    }
}

/// Takes in what is delivered, and judges all published predictions of the job.
///
/// # Errors
/// The ground truth can not be read (66, 65) or is not described (78); the task can not be evaluated (78);
/// the database's.
pub fn evaluate(request: &Request<'_>, ledger: &mut Ledger) -> anyhow::Result<Evaluation> {
    let Request { job, bundle, .. } = request;
    let judge = Judge::of(bundle)?;
    let delivery = match &request.delivered {
        Some(source) => Some(deliver(request, source, ledger)?),
        None => None,
    };
    let published = ledger.published_predictions(&job.name)?;
    let dates: BTreeSet<&str> = published
        .iter()
        .map(|predictions| predictions.logical_date.as_str())
        .collect();
    let mut all = Groups::new(&judge);
    let mut rows = Vec::new();
    let mut unknown_labels = Named::default();
    let mut unknown_records = Named::default();
    let mut segments: HashSet<String> = HashSet::new();
    for origin in [Origin::Observed, Origin::Correction] {
        let mut judged: HashSet<u64, FixedState> = HashSet::default();
        for date in &dates {
            request.interrupt.check()?;
            let mut of_date = Groups::new(&judge);
            ledger.for_each_judged(&job.name, date, origin, |row| {
                judged.insert(hash(&row.record_id));
                let key = Key::of(&row, date, origin);
                if let Some(segment) = &row.segment
                    && !segments.contains(segment)
                {
                    if segments.len() == MOST_SEGMENTS {
                        return Err(too_many_segments(job).into());
                    }
                    segments.insert(segment.clone());
                }
                match judge.sample(&row) {
                    Ok(sample) => {
                        all.add(key.of_all_dates(), row.segment.as_deref(), sample.clone());
                        of_date.add(key, row.segment.as_deref(), sample);
                    }
                    Err(label) => unknown_labels.add(&label),
                }
                Ok(())
            })?;
            rows.extend(of_date.rows());
        }
        ledger.for_each_truth(&job.name, origin, |record| {
            if !judged.contains(&hash(record)) {
                unknown_records.add(record);
            }
            Ok(())
        })?;
    }
    let mut metrics = all.rows();
    metrics.append(&mut rows);
    count_missing(&mut metrics, &published);
    if let Some(reference) = request.reference {
        add_baseline(&mut metrics, reference);
    }
    let mut replaced: Vec<String> = dates.iter().map(|date| (*date).to_owned()).collect();
    replaced.push(String::new());
    ledger.replace_evaluations(&job.name, &replaced, &metrics)?;
    let predictions = published.iter().map(|found| found.predicted).sum();
    let with_truth = observed(&metrics);
    Ok(Evaluation {
        job: job.name.clone(),
        delivery,
        unknown_records,
        unknown_labels,
        predictions,
        missing: predictions.saturating_sub(with_truth),
        watched: watched_metric(bundle.task),
        metrics,
    })
}

fn hash(id: &str) -> u64 {
    FixedState::default().hash_one(id)
}

/// Predictions whose observed truth is there, of all models: each row of a model says how many.
fn observed(rows: &[EvaluationRow]) -> u64 {
    let of_all = rows.iter().filter(|row| {
        row.logical_date.is_empty() && row.segment.is_empty() && row.origin == Origin::Observed
    });
    let models: BTreeMap<(&str, &str), u64> = of_all
        .map(|row| {
            (
                (row.model_name.as_str(), row.model_version.as_str()),
                row.records,
            )
        })
        .collect();
    models.values().sum()
}

/// Says of each row that is not of a segment how many predictions have no ground truth.
fn count_missing(rows: &mut [EvaluationRow], published: &[PublishedPredictions]) {
    for row in rows.iter_mut().filter(|row| row.segment.is_empty()) {
        let of_model = published.iter().filter(|predictions| {
            predictions.model_name == row.model_name
                && predictions.model_version == row.model_version
                && (row.logical_date.is_empty() || row.logical_date == predictions.logical_date)
        });
        let predicted: u64 = of_model.map(|predictions| predictions.predicted).sum();
        row.missing = predicted.saturating_sub(row.records);
    }
}

/// Puts the reference's metrics beside those of the same model.
fn add_baseline(rows: &mut [EvaluationRow], reference: &Reference) {
    let model = &reference.model;
    for row in rows {
        if row.model_name == model.name && row.model_version == model.version {
            row.baseline = reference.baseline_of(&row.metric, &row.class);
        }
    }
}

/// Values of `[ground_truth] by` at most.
const MOST_SEGMENTS: usize = 1_000;

fn too_many_segments(job: &Job) -> Failure {
    let column = job.ground_truth.by.as_deref().unwrap_or_default();
    Failure::new(
        Class::Data,
        format!("the ground truth has more than {MOST_SEGMENTS} different values of `{column}`"),
    )
    .hint("[ground_truth] by is for columns of few values: each gets metrics of its own")
}

/// Nothing tells what is true of a vector.
fn not_evaluated(task: Task) -> Failure {
    Failure::new(
        Class::Config,
        format!(
            "predictions of the task {} have no truth to be held against",
            task.as_str()
        ),
    )
}
