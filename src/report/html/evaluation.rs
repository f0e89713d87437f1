//! What predictions were worth, once it is known what was true.

use serde::Serialize;

use super::Figure;
use super::plots::dates;
use super::words::{NOTHING, brief, clipped, measure};
use crate::ledger::{EvaluationRow, Origin};
use crate::report::text::{decimals, grouped};
use crate::report::{Decay, RunReport};

/// Rows that are listed.
const MOST_ROWS: usize = 200;

#[derive(Serialize)]
pub(super) struct View {
    age: Option<String>,
    retrain: Vec<String>,
    watched: Option<String>,
    figure: Option<Figure>,
    rows: Vec<Row>,
    more_rows: usize,
    /// Whether there can be any ground truth to hold predictions against.
    is_judged: bool,
}

/// A metric of this run.
#[derive(Serialize)]
struct Row {
    metric: String,
    of: String,
    value: String,
    baseline: String,
    records: String,
    missing: String,
}

pub(super) fn view(report: &RunReport) -> anyhow::Result<View> {
    let decay = report.decay.as_ref();
    let figure = match decay {
        Some(decay) => figure(decay)?,
        None => None,
    };
    let mut rows: Vec<&EvaluationRow> = report.evaluation.iter().collect();
    // Of many classes there are more of these than anybody reads.
    rows.sort_by_key(|row| row.metric == "confusion");
    let rows = rows.into_iter().take(MOST_ROWS).map(row);
    Ok(View {
        age: decay.map(|decay| {
            let age = decay
                .model_age_days
                .map_or_else(String::new, |days| match days {
                    1 => ", 1 day before the run".to_owned(),
                    days => format!(", {days} days before the run"),
                });
            format!(
                "The model was trained on {}{age}; {} records have got their ground truth since.",
                clipped(&decay.trained_at, 40),
                grouped(decay.ground_truth_since_training)
            )
        }),
        retrain: decay.map(|decay| decay.retrain.clone()).unwrap_or_default(),
        watched: decay.and_then(|decay| decay.metric.as_ref().map(|metric| clipped(metric, 60))),
        is_judged: figure.is_some() || !report.evaluation.is_empty(),
        figure,
        rows: rows.collect(),
        more_rows: report.evaluation.len().saturating_sub(MOST_ROWS),
    })
}

fn figure(decay: &Decay) -> anyhow::Result<Option<Figure>> {
    let Some(metric) = &decay.metric else {
        return Ok(None);
    };
    if decay.history.iter().all(|dated| dated.value.is_none()) {
        return Ok(None);
    }
    let values = decay.history.iter();
    let values: Vec<(String, Option<f64>)> = values
        .map(|dated| (dated.logical_date.clone(), dated.value))
        .collect();
    let metric = clipped(metric, 60);
    let label = format!("{metric} by date");
    let plot = dates(label, &values, decay.baseline, brief)?;
    Ok(plot.map(|plot| Figure {
        title: format!("{metric} by date"),
        note: decay.baseline.map(|baseline| {
            format!(
                "orange: baseline {}, on the training data",
                measure(Some(baseline))
            )
        }),
        plot,
    }))
}

fn row(row: &EvaluationRow) -> Row {
    let number = |value: Option<f64>| match (row.metric.as_str(), value) {
        (_, None) => NOTHING.to_owned(),
        ("confusion", Some(count)) => grouped(count as u64),
        (_, Some(value)) => decimals(value),
    };
    let mut of: Vec<String> = Vec::new();
    if !row.class.is_empty() {
        of.push(clipped(&row.class, 60));
    }
    if !row.segment.is_empty() {
        of.push(clipped(&row.segment, 60));
    }
    if row.origin == Origin::Correction {
        of.push("corrections".to_owned());
    }
    Row {
        metric: clipped(&row.metric, 60),
        of: of.join(", "),
        value: number(row.value),
        baseline: number(row.baseline),
        records: grouped(row.records),
        missing: grouped(row.missing),
    }
}
