//! What went in and what came out, against what the model was trained on.

use serde::Serialize;

use super::plots::{Pair, categories, histogram};
use super::words::{NOTHING, brief, clipped, measure, percentage};
use super::{Entry, Figure};
use crate::monitor::drift::{Level, SeriesDrift};
use crate::monitor::profile::Side;
use crate::monitor::stats::Summary;
use crate::report::RunReport;
use crate::report::assessment::{against, percent};
use crate::report::text::{decimals, grouped};

/// Columns that get a plot.
const MOST_PLOTS: usize = 24;

/// Of these, those that are shown at first.
const MOST_AT_FIRST: usize = 8;

/// Columns without a plot that are listed.
const MOST_ROWS: usize = 600;

/// Classes that are listed.
const MOST_CLASSES: usize = 20;

/// What the model said.
#[derive(Serialize)]
pub(super) struct Outputs {
    classes: Vec<Class>,
    more_classes: usize,
    /// What the numbers are of.
    of: &'static str,
    figures: Vec<Entry>,
    plots: Vec<Figure>,
    has_reference: bool,
}

/// Predictions of a class.
#[derive(Serialize)]
struct Class {
    name: String,
    records: String,
    share: String,
    width: f64,
}

/// How far the columns are from the reference.
#[derive(Serialize)]
pub(super) struct View {
    is_known: bool,
    summary: String,
    drifted: Vec<Card>,
    more_drifted: Vec<Card>,
    others: Vec<Card>,
    rows: Vec<Row>,
    more_rows: usize,
}

/// A column with its plot.
#[derive(Serialize)]
struct Card {
    name: String,
    side: &'static str,
    level: &'static str,
    reasons: String,
    change: Option<String>,
    plot: Option<super::Plot>,
}

/// A column without a plot.
#[derive(Serialize)]
struct Row {
    name: String,
    side: &'static str,
    level: &'static str,
    psi: String,
    jensen_shannon: String,
    distance: String,
    missing: String,
    mean: String,
}

pub(super) fn outputs(report: &RunReport) -> anyhow::Result<Outputs> {
    let outputs = &report.outputs;
    let all = outputs
        .labels
        .values()
        .fold(0, |all: u64, count| all.saturating_add(*count));
    let mut labels: Vec<(&String, &u64)> = outputs.labels.iter().collect();
    labels.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let classes = labels.into_iter().take(MOST_CLASSES).map(|(name, count)| {
        let share = *count as f64 / all.max(1) as f64;
        Class {
            name: clipped(name, 80),
            records: grouped(*count),
            share: percent(share),
            width: percentage(share),
        }
    });
    let (of, summary) = match (&outputs.scores, &outputs.values) {
        (Some(scores), _) => ("score", Some(scores)),
        (None, Some(values)) => ("value", Some(values)),
        (None, None) => ("", None),
    };
    let mut plots = Vec::new();
    let series = report.drift.iter().flat_map(|drift| &drift.series);
    for series in series.filter(|series| series.side == Side::Output).take(6) {
        let Some(plot) = plot(series)? else { continue };
        let level = match series.level {
            Level::None => "has not drifted".to_owned(),
            level => format!("has drifted: {}", level.as_str()),
        };
        let change =
            greatest_change(series).map_or_else(String::new, |change| format!("; {change}"));
        plots.push(Figure {
            title: clipped(&series.name, 60),
            note: Some(format!("{level}{change}")),
            plot,
        });
    }
    Ok(Outputs {
        classes: classes.collect(),
        more_classes: outputs.labels.len().saturating_sub(MOST_CLASSES),
        of,
        figures: summary.map(figures).unwrap_or_default(),
        plots,
        has_reference: report.drift.is_some(),
    })
}

fn figures(summary: &Summary) -> Vec<Entry> {
    [
        ("Mean", summary.mean),
        ("Standard deviation", summary.standard_deviation),
        ("Minimum", summary.minimum),
        ("5th percentile", summary.p05),
        ("Median", summary.p50),
        ("95th percentile", summary.p95),
        ("99th percentile", summary.p99),
        ("Maximum", summary.maximum),
    ]
    .map(|(name, number)| Entry::new(name, decimals(number)))
    .into()
}

pub(super) fn view(report: &RunReport) -> anyhow::Result<View> {
    let mut view = View {
        is_known: report.drift.is_some(),
        summary: String::new(),
        drifted: Vec::new(),
        more_drifted: Vec::new(),
        others: Vec::new(),
        rows: Vec::new(),
        more_rows: 0,
    };
    let Some(drift) = &report.drift else {
        return Ok(view);
    };
    view.summary = format!(
        "{} of {} inputs and {} of {} outputs have drifted from {}: {} records against {}",
        drift.drifted_inputs,
        drift.inputs,
        drift.drifted_outputs,
        (drift.series.len() as u64).saturating_sub(drift.inputs),
        against(drift),
        grouped(drift.records),
        grouped(drift.reference_records)
    );
    for (index, series) in drift.series.iter().enumerate() {
        let plot = match index < MOST_PLOTS {
            true => plot(series)?,
            false => None,
        };
        let has_drifted = series.level > Level::None;
        match (index < MOST_PLOTS && has_drifted, plot) {
            (true, plot) => view.drifted.push(card(series, plot)),
            (false, Some(plot)) => view.others.push(card(series, Some(plot))),
            (false, None) if view.rows.len() < MOST_ROWS => view.rows.push(row(series)),
            (false, None) => view.more_rows += 1,
        }
    }
    let at_first = view.drifted.len().min(MOST_AT_FIRST);
    view.more_drifted = view.drifted.split_off(at_first);
    Ok(view)
}

fn card(series: &SeriesDrift, plot: Option<super::Plot>) -> Card {
    Card {
        name: clipped(&series.name, 80),
        side: series.side.as_str(),
        level: series.level.as_str(),
        reasons: match series.reasons.is_empty() {
            true => format!("PSI {}", measure(series.measures.psi)),
            false => clipped(&series.reasons.join("; "), 200),
        },
        change: greatest_change(series),
        plot,
    }
}

fn row(series: &SeriesDrift) -> Row {
    let measures = &series.measures;
    let both = |now: Option<String>, was: Option<String>| match (now, was) {
        (Some(now), Some(was)) if now == was => now,
        (Some(now), Some(was)) => format!("{now} ← {was}"),
        (Some(now), None) => now,
        (None, _) => NOTHING.to_owned(),
    };
    Row {
        name: clipped(&series.name, 80),
        side: series.side.as_str(),
        level: series.level.as_str(),
        psi: measure(measures.psi),
        jensen_shannon: measure(measures.jensen_shannon),
        distance: measure(measures.kolmogorov_smirnov.or(measures.cramers_v)),
        missing: both(
            series.missing_share.map(percent),
            series.reference_missing_share.map(percent),
        ),
        mean: both(series.mean.map(brief), series.reference_mean.map(brief)),
    }
}

fn is_of_categories(series: &SeriesDrift) -> bool {
    let measures = &series.measures;
    match measures.cramers_v.or(measures.l_infinity) {
        Some(_) => true,
        None if measures
            .kolmogorov_smirnov
            .or(measures.wasserstein)
            .is_some() =>
        {
            false
        }
        None => series.mean.is_none() && series.reference_mean.is_none(),
    }
}

fn plot(series: &SeriesDrift) -> anyhow::Result<Option<super::Plot>> {
    let Some(distribution) = &series.distribution else {
        return Ok(None);
    };
    let pairs = Pair::of(distribution);
    let change = greatest_change(series).map_or_else(String::new, |change| format!(", {change}"));
    let label = format!(
        "Distribution of {}, reference and this run{change}",
        clipped(&series.name, 80)
    );
    match is_of_categories(series) {
        true => categories(label, &pairs),
        false => histogram(label, &pairs),
    }
}

/// Which bin's share has changed most, in words.
fn greatest_change(series: &SeriesDrift) -> Option<String> {
    let pairs = Pair::of(series.distribution.as_ref()?);
    let most = pairs
        .into_iter()
        .max_by(|one, other| one.change().total_cmp(&other.change()))?;
    // A number and its unit stay on one line.
    let share = |share: f64| percent(share).replace(' ', "\u{a0}");
    let name = clipped(&most.name, 40);
    let (now, before) = (share(most.current), share(most.reference));
    Some(format!("{name}: {now}, was {before}"))
}
