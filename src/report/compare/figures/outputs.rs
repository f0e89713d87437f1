//! What the model said, how far it and its data have drifted, and what it was worth.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{
    ERROR_OF_QUANTILE, LEAST_CHANGE_OF_MEAN, LEAST_CHANGE_OF_METRIC, LEAST_CHANGE_OF_QUANTILE,
    LEAST_CHANGE_OF_SHARE, STANDARD_ERRORS, Unit,
};
use super::changes::{Changes, Sample, Taken, is_far};
use crate::ledger::Origin;
use crate::monitor::drift::Level;
use crate::monitor::profile::Side;
use crate::monitor::stats::Summary;
use crate::report::RunReport;

/// Standard errors of a quantile over those of the mean, as they are of a normal distribution's 5th and
/// 95th percentile.
const ERRORS_OF_QUANTILE: f64 = 2.1;

pub(super) fn predictions(changes: &mut Changes, before: &RunReport, after: &RunReport) {
    changes.section("predictions");
    let all = before.outputs.labels.keys();
    let all: BTreeSet<&String> = all.chain(after.outputs.labels.keys()).collect();
    let sample = |report: &RunReport, label: &str| {
        let count = report.outputs.labels.get(label).copied().unwrap_or(0);
        Sample::new(count, report.outputs.labels.values().sum())
    };
    let mut labels: Vec<(&String, Sample, Sample)> = all
        .into_iter()
        .map(|label| (label, sample(before, label), sample(after, label)))
        .collect();
    labels.sort_by(|one, other| other.1.distance(other.2).total_cmp(&one.1.distance(one.2)));
    for (label, one, other) in labels {
        let name = format!("share of {label}");
        changes.share(&name, one, other, LEAST_CHANGE_OF_SHARE);
    }
    let (one, other) = (&before.outputs, &after.outputs);
    spread(changes, "score", one.scores.as_ref(), other.scores.as_ref());
    spread(changes, "value", one.values.as_ref(), other.values.as_ref());
}

fn spread(changes: &mut Changes, what: &str, before: Option<&Summary>, after: Option<&Summary>) {
    if before.is_none() && after.is_none() {
        return;
    }
    let deviation = before.map_or(0.0, |summary| summary.standard_deviation);
    let error = match (before, after) {
        (Some(before), Some(after)) => {
            let records = (before.count.max(1) as f64, after.count.max(1) as f64);
            deviation * (1.0 / records.0 + 1.0 / records.1).sqrt()
        }
        _ => 0.0,
    };
    let figures: [Taken<Summary, f64>; 6] = [
        ("mean", |summary| summary.mean),
        ("standard deviation of", |summary| {
            summary.standard_deviation
        }),
        ("p05", |summary| summary.p05),
        ("median", |summary| summary.p50),
        ("p95", |summary| summary.p95),
        ("p99", |summary| summary.p99),
    ];
    for (index, (name, figure)) in figures.into_iter().enumerate() {
        let numbers = (before.map(figure), after.map(figure));
        let is_notable = match numbers {
            (Some(before), Some(after)) => {
                let least = match index {
                    0 => LEAST_CHANGE_OF_MEAN * deviation + STANDARD_ERRORS * error,
                    _ => {
                        LEAST_CHANGE_OF_QUANTILE * deviation
                            + STANDARD_ERRORS * ERRORS_OF_QUANTILE * error
                            + 2.0 * ERROR_OF_QUANTILE * before.abs().max(after.abs())
                    }
                };
                (after - before).abs() > least
            }
            _ => false,
        };
        changes.number(&format!("{name} {what}"), Unit::Number, numbers, is_notable);
    }
}

/// Levels of drift from the training data.
pub(super) fn drift(changes: &mut Changes, before: &RunReport, after: &RunReport) {
    changes.section("drift");
    let (Some(one), Some(other)) = (&before.drift, &after.drift) else {
        return;
    };
    // Levels that are from something else can not be held against each other.
    if one.against != other.against {
        return;
    }
    let levels = |drift: &crate::monitor::Drift| {
        let series = drift.series.iter();
        let levels = series.map(|series| {
            let side = if series.side == Side::Input { 0 } else { 1 };
            ((side, series.name.clone()), series.level)
        });
        levels.collect::<BTreeMap<(u8, String), Level>>()
    };
    let (one, other) = (levels(one), levels(other));
    let mut found = Vec::new();
    for key in one.keys().chain(other.keys()).collect::<BTreeSet<_>>() {
        let (one, other) = (one.get(key).copied(), other.get(key).copied());
        // A column that is new has no level that it could have left.
        let is_notable = one.is_some() && other.is_some() && one != other;
        let worst = one.max(other);
        found.push((std::cmp::Reverse(worst), key, one, other, is_notable));
    }
    found.sort();
    for (_, (side, name), one, other, is_notable) in found {
        let side = if *side == 0 { "" } else { "output " };
        let words = (one.map(Level::as_str), other.map(Level::as_str));
        changes.words(&format!("level of {side}{name}"), words, is_notable);
    }
}

/// Metrics by what was true, of all records, a segment or a class. Tables of confusion are left out: they
/// are as large as there are classes, squared.
pub(super) fn ground_truth(changes: &mut Changes, before: &RunReport, after: &RunReport) {
    changes.section("ground truth");
    let metrics = |report: &RunReport| {
        let rows = report.evaluation.iter();
        let rows = rows.filter(|row| row.metric != "confusion" && row.origin == Origin::Observed);
        let rows = rows.map(|row| {
            let mut name = row.metric.clone();
            for (preposition, what) in [("of", &row.class), ("in", &row.segment)] {
                if !what.is_empty() {
                    name = format!("{name} {preposition} {what}");
                }
            }
            (name, (row.value, row.records))
        });
        rows.collect::<BTreeMap<String, (Option<f64>, u64)>>()
    };
    let (one, other) = (metrics(before), metrics(after));
    for name in one.keys().chain(other.keys()).collect::<BTreeSet<_>>() {
        let value = |rows: &BTreeMap<String, (Option<f64>, u64)>| {
            rows.get(name).and_then(|(value, _)| *value)
        };
        let records = |rows: &BTreeMap<String, (Option<f64>, u64)>| {
            rows.get(name).map_or(0, |(_, records)| *records)
        };
        let values = (value(&one), value(&other));
        // Of a metric's error nothing is known but that it is about one over the root of the records.
        let fewest = records(&one).min(records(&other)).max(1) as f64;
        let least = LEAST_CHANGE_OF_METRIC.max(1.0 / fewest.sqrt());
        let is_notable = match values {
            (Some(before), Some(after)) => is_far(before, after, least),
            _ => false,
        };
        changes.number(name, Unit::Number, values, is_notable);
    }
}
