//! What a rule looks at, taken from a run's report.

use crate::job::AlertRule;
use crate::ledger::EvaluationRow;
use crate::monitor::Drift;
use crate::monitor::drift::SeriesDrift;
use crate::monitor::profile::Side;
use crate::monitor::stats::ColumnNotes;
use crate::record::DUPLICATE_ID;
use crate::report::RunReport;

/// A figure, and of what it is.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Figure {
    /// `None` if it is not known.
    pub value: Option<f64>,
    /// The column that it is of, where the rule leaves open of which.
    pub column: Option<String>,
    /// Why it is not known, in words that go on from "is not known:".
    pub why: &'static str,
}

impl Figure {
    fn of(value: impl Into<Option<f64>>, why: &'static str) -> Self {
        let value: Option<f64> = value.into();
        Self {
            value: value.filter(|value| value.is_finite()),
            column: None,
            why,
        }
    }
}

const NO_REFERENCE: &str =
    "the bundle has no reference.json, which `lamplighter model profile` makes";
const NO_COST: &str = "[cost] of the job does not say what the machine costs";
const NO_RECORDS: &str = "no record was predicted";
const NO_SYSTEM: &str = "the system does not tell";

/// The figure that a rule looks at. Series that may drift untold (`ignored`) are left out unless the rule
/// names one.
pub(super) fn figure(
    rule: &AlertRule,
    report: &RunReport,
    ignored: &dyn Fn(&str) -> bool,
) -> Figure {
    let counts = &report.counts;
    let (timing, resources) = (&report.timing, &report.resources);
    let count = |count: u64| Figure::of(count as f64, "");
    let share = |part: u64, of: u64| match of {
        0 => Figure::of(None, "the run has no records"),
        of => Figure::of(part as f64 / of as f64, ""),
    };
    let batch = |figure: fn(&crate::monitor::stats::Summary) -> f64| {
        Figure::of(timing.batch_milliseconds.as_ref().map(figure), NO_RECORDS)
    };
    let drift =
        |figure: fn(&Drift) -> f64| Figure::of(report.drift.as_ref().map(figure), NO_REFERENCE);
    let bytes = |bytes: Option<u64>| Figure::of(bytes.map(|bytes| bytes as f64), NO_SYSTEM);
    let dead_letters = || dead_letters(report, rule.column.as_deref());
    match rule.metric.name() {
        "planned" => count(counts.planned),
        "predicted" => count(counts.predicted),
        "filtered" => count(counts.filtered),
        "filtered_rate" => share(counts.filtered, counts.planned),
        "duplicates" => count(counts.duplicates),
        "duplicate_rate" => share(counts.duplicates, counts.planned),
        "row_change" => row_change(report),
        "dead_letters" => count(dead_letters()),
        // Duplicates are no fault of a record, as for [errors] max_dead_letters.
        "dead_letter_rate" => {
            let all = counts.predicted + counts.dead_letters.saturating_sub(counts.duplicates);
            share(dead_letters(), all)
        }
        "imputed_rate" => noted(rule, report, |notes| notes.imputed),
        "clamped_rate" => noted(rule, report, |notes| notes.clamped),
        "unknown_rate" => noted(rule, report, |notes| notes.unknown),
        "cut_rate" => noted(rule, report, |notes| notes.truncated),
        "class_share" => {
            let class = rule.class.as_deref().unwrap_or_default();
            let records = report.outputs.labels.get(class).copied().unwrap_or(0);
            match counts.predicted {
                0 => Figure::of(None, NO_RECORDS),
                predicted => share(records, predicted),
            }
        }
        "mean_score" => {
            let scores = report.outputs.scores.as_ref();
            Figure::of(scores.map(|scores| scores.mean), "there are no scores")
        }
        "mean_value" => {
            let values = report.outputs.values.as_ref();
            Figure::of(values.map(|values| values.mean), "there are no values")
        }
        "exit_code" => Figure::of(f64::from(report.outcome.exit_code), ""),
        "attempts" => count(timing.attempts),
        "duration_seconds" => Figure::of(timing.duration_seconds, ""),
        "minutes_past_finish_by" => Figure::of(
            timing.minutes_past_finish_by,
            "the job has no [schedule] finish_by, or the run is a backfill's",
        ),
        "records_per_second" => Figure::of(
            Some(timing.records_per_second).filter(|rate| *rate > 0.0),
            "the process that finished the run scored none of it",
        ),
        "p50_batch_ms" => batch(|summary| summary.p50),
        "p95_batch_ms" => batch(|summary| summary.p95),
        "p99_batch_ms" => batch(|summary| summary.p99),
        "cpu_share" => Figure::of(resources.cpu_share, NO_SYSTEM),
        "peak_memory_bytes" => bytes(resources.peak_memory_bytes),
        "peak_memory_share" => {
            let both = resources
                .peak_memory_bytes
                .zip(resources.memory_limit_bytes);
            let share = both.map(|(peak, limit)| peak as f64 / limit.max(1) as f64);
            Figure::of(share, NO_SYSTEM)
        }
        "free_disk_bytes" => Figure::of(
            resources.free_disk_bytes.map(|bytes| bytes as f64),
            "the database is no file",
        ),
        "cost" => Figure::of(report.cost.as_ref().map(|cost| cost.amount), NO_COST),
        "cost_per_million_records" => {
            let cost = report.cost.as_ref();
            Figure::of(cost.and_then(|cost| cost.per_million_records), NO_COST)
        }
        "cost_forecast" => {
            let month = report.cost.as_ref().and_then(|cost| cost.month.as_ref());
            Figure::of(month.map(|month| month.forecast), NO_COST)
        }
        "model_age_days" => {
            let age = report.decay.as_ref().and_then(|decay| decay.model_age_days);
            Figure::of(age.map(|days| days as f64), NO_REFERENCE)
        }
        "drifted_inputs" => drift(|drift| drift.drifted_inputs as f64),
        "drifted_share" => drift(|drift| drift.share_of_drifted_inputs),
        "drifted_outputs" => drift(|drift| drift.drifted_outputs as f64),
        _ => of_series(rule, report, ignored),
    }
}

/// Dead letters that are no duplicates, of one column or of all.
fn dead_letters(report: &RunReport, column: Option<&str>) -> u64 {
    match column {
        None => (report.counts.dead_letters).saturating_sub(report.counts.duplicates),
        Some(column) => {
            let kinds = report.dead_letters.iter();
            let of_column = kinds
                .filter(|kind| kind.field.as_deref() == Some(column) && kind.code != DUPLICATE_ID);
            of_column.map(|kind| kind.records).sum()
        }
    }
}

/// By which share the number of records differs from that of the last date that was published.
fn row_change(report: &RunReport) -> Figure {
    let change = report.previously_planned.map(|before| {
        let (before, now) = (before as f64, report.counts.planned as f64);
        match before == now {
            true => 0.0,
            false => (now - before).abs() / before.max(1.0),
        }
    });
    Figure::of(change, "no earlier date is published")
}

/// Share of a column's values that something happened to, or of the column's of which it is the worst.
fn noted(rule: &AlertRule, report: &RunReport, count: fn(&ColumnNotes) -> u64) -> Figure {
    let predicted = report.counts.predicted;
    if predicted == 0 {
        return Figure::of(None, NO_RECORDS);
    }
    // Of records that failed later the values were noted, too.
    let share = |notes: &ColumnNotes| (count(notes) as f64 / predicted as f64).min(1.0);
    match &rule.column {
        // A column without notes had nothing happen to it.
        Some(column) => Figure::of(report.columns.get(column).map_or(0.0, share), ""),
        None => {
            let shares = report.columns.iter();
            let shares = shares.map(|(column, notes)| (column.as_str(), share(notes)));
            let worst = worst(rule, shares);
            // Columns of which nothing was noted are not listed.
            worst.unwrap_or_else(|| Figure::of(0.0, ""))
        }
    }
}

/// Of one series, or of the input that differs most.
fn of_series(rule: &AlertRule, report: &RunReport, ignored: &dyn Fn(&str) -> bool) -> Figure {
    let Some(drift) = &report.drift else {
        return Figure::of(None, NO_REFERENCE);
    };
    let name = rule.metric.name();
    if let Some(column) = &rule.column {
        let mut series = drift.series.iter();
        return match series.find(|series| series.name == *column) {
            Some(series) => {
                Figure::of(measure(series, name), "the measure is none of such columns")
            }
            None => Figure::of(None, "the reference has no such column or output"),
        };
    }
    let inputs = drift.series.iter();
    let inputs = inputs.filter(|series| series.side == Side::Input && !ignored(&series.name));
    let measured = inputs.filter_map(|series| Some((series.name.as_str(), measure(series, name)?)));
    worst(rule, measured).unwrap_or_else(|| Figure::of(None, "no input has this measure"))
}

fn measure(series: &SeriesDrift, name: &str) -> Option<f64> {
    let measures = &series.measures;
    match name {
        "psi" if measures.psi_may_be_chance => measures.psi_corrected.map(|_| 0.0),
        "psi" => measures.psi_corrected,
        "jensen_shannon" => measures.jensen_shannon,
        "kolmogorov_smirnov" => measures.kolmogorov_smirnov,
        "wasserstein" => measures.wasserstein,
        "cramers_v" => measures.cramers_v,
        "l_infinity" => measures.l_infinity,
        "missing_share" => series.missing_share,
        "missing_change" => {
            let both = series.missing_share.zip(series.reference_missing_share);
            both.map(|(now, before)| (now - before).abs())
        }
        "new_categories" => Some(series.new_categories.len() as f64),
        "vanished_categories" => Some(series.vanished_categories.len() as f64),
        _ => None,
    }
}

/// The greatest figure, or the smallest if that is what the rule is about; `None` of none.
fn worst<'a>(rule: &AlertRule, figures: impl Iterator<Item = (&'a str, f64)>) -> Option<Figure> {
    let figures = figures.filter(|(_, figure)| figure.is_finite());
    let order = |one: &(&str, f64), other: &(&str, f64)| one.1.total_cmp(&other.1);
    let (column, value) = match rule.op.wants_the_least() {
        true => figures.min_by(order),
        false => figures.max_by(order),
    }?;
    Some(Figure {
        value: Some(value),
        column: Some(column.to_owned()),
        why: "",
    })
}

/// What predictions of a date were worth.
pub(super) fn evaluated(rule: &AlertRule, rows: &[&EvaluationRow]) -> Figure {
    let mut rows = rows.iter();
    let row = rows.find(|row| {
        row.metric == rule.metric.name()
            && row.class == rule.class.as_deref().unwrap_or_default()
            && row.segment == rule.segment.as_deref().unwrap_or_default()
    });
    match row {
        Some(row) => Figure::of(row.value, "it is not defined for these records"),
        None => Figure::of(None, "the task, class or segment has no such metric"),
    }
}
