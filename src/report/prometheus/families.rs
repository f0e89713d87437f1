//! Which figures of a report become which samples.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::samples::{Families, Histogram};
use super::{Facts, MOST_SERIES};
use crate::monitor::Drift;
use crate::monitor::drift::{Level, SeriesDrift};
use crate::report::{CostOfRun, Decay, Resources, RuleState, RunReport, Timing, Verdict};

const SECONDS_OF_A_DAY: f64 = 86_400.0;

/// All families of a report.
pub(super) fn of(report: &RunReport, facts: &Facts) -> Families {
    let mut families = Families::default();
    ending(&mut families, report);
    families.one(
        "lamplighter_run_last_success_timestamp_seconds",
        "When a run of the job was last published, in seconds since 1970.",
        facts.last_success_timestamp_seconds,
    );
    records(&mut families, report);
    timing(&mut families, &report.timing);
    if let Some(drift) = &report.drift {
        self::drift(&mut families, drift);
    }
    if let Some(decay) = &report.decay {
        self::decay(&mut families, decay);
    }
    if let Some(cost) = &report.cost {
        self::cost(&mut families, cost);
    }
    resources(&mut families, &report.resources);
    alerts(&mut families, report);
    families.one(
        "lamplighter_deliveries_pending",
        "Messages of alert rules that are still to be delivered.",
        facts.pending_deliveries as f64,
    );
    families
}

fn ending(families: &mut Families, report: &RunReport) {
    let (model, verdict) = (&report.model, report.outcome.verdict);
    let generation = report.generation.to_string();
    let info = [
        ("logical_date", report.logical_date.as_str()),
        ("generation", &generation),
        ("model", &model.name),
        ("version", &model.version),
        ("digest", &model.digest),
        ("numerics", &model.numerics),
        ("verdict", verdict.as_str()),
    ];
    families.many(
        "lamplighter_run_info",
        "The newest run of the job that came to a report, and the model that scored.",
        [(info, 1.0)],
    );
    families.one(
        "lamplighter_run_exit_code",
        "Exit code of the process that ended the run: 0 if all is well.",
        f64::from(report.outcome.exit_code),
    );
    families.one(
        "lamplighter_run_published",
        "1 if consumers see the run, else 0.",
        f64::from(u8::from(verdict == Verdict::Published)),
    );
    families.one(
        "lamplighter_run_attempts",
        "Processes that worked on the run.",
        report.timing.attempts as f64,
    );
}

fn records(families: &mut Families, report: &RunReport) {
    let counts = &report.counts;
    families.one(
        "lamplighter_run_planned_records",
        "Records of the run.",
        counts.planned as f64,
    );
    let outcomes = [
        ("predicted", counts.predicted),
        ("dead_letter", counts.dead_letters),
        ("filtered", counts.filtered),
        ("erased", counts.erased),
        ("unfinished", counts.unfinished),
    ];
    families.many(
        "lamplighter_run_records",
        "Records of the run by what became of them; together they are the planned ones.",
        outcomes.map(|(outcome, records)| ([("outcome", outcome)], records as f64)),
    );
    families.one(
        "lamplighter_run_duplicate_records",
        "Dead letters whose id came before; the limit of dead letters does not count them.",
        counts.duplicates as f64,
    );
    families.one(
        "lamplighter_run_records_per_second",
        "Records that the finishing process worked on, over its time without planning.",
        report.timing.records_per_second,
    );
    let mut kinds: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for kind in &report.dead_letters {
        let records = kinds.entry((&kind.stage, &kind.code)).or_default();
        *records = records.saturating_add(kind.records);
    }
    families.many(
        "lamplighter_run_dead_letters",
        "Dead letters by the stage that refused them and the code that says why, over all columns.",
        kinds
            .into_iter()
            .map(|((stage, code), records)| ([("stage", stage), ("code", code)], records as f64)),
    );
}

fn timing(families: &mut Families, timing: &Timing) {
    families.one(
        "lamplighter_run_started_timestamp_seconds",
        "When the process that ended the run began, in seconds since 1970.",
        since_1970(&timing.started_at),
    );
    families.one(
        "lamplighter_run_finished_timestamp_seconds",
        "When the run ended, in seconds since 1970.",
        since_1970(&timing.finished_at),
    );
    families.one(
        "lamplighter_run_duration_seconds",
        "Wall-clock time of the process that ended the run.",
        timing.duration_seconds,
    );
    families.one(
        "lamplighter_run_plan_seconds",
        "Of the duration, opening and planning.",
        timing.plan_seconds,
    );
    let stages = &timing.stage_seconds;
    let stages = [
        ("read", stages.read),
        ("encode", stages.encode),
        ("infer", stages.infer),
        ("commit", stages.commit),
    ];
    families.many(
        "lamplighter_run_stage_seconds",
        "Time by stage, added over all workers and processes.",
        stages.map(|(stage, seconds)| ([("stage", stage)], seconds)),
    );
    families.one(
        "lamplighter_run_past_finish_by_seconds",
        "How much later than the schedule's finish_by the run ended; below 0 if it was earlier.",
        timing.minutes_past_finish_by.map(|minutes| minutes * 60.0),
    );
    if let Some(histogram) = batches(timing) {
        families.histogram(histogram);
    }
}

/// Forward passes by their time; `None` if there were none, or a report of old does not say.
fn batches(timing: &Timing) -> Option<Histogram> {
    let summary = timing.batch_milliseconds.as_ref()?;
    let count = summary.count;
    let sum = summary.mean / 1e3 * count as f64;
    if !sum.is_finite() {
        return None;
    }
    let mut buckets = Vec::with_capacity(timing.batch_histogram.len());
    let (mut bound, mut below) = (f64::NEG_INFINITY, 0);
    for bucket in &timing.batch_histogram {
        if bucket.seconds.is_finite() && bucket.seconds > bound {
            // A sketch's counts are approximate: none is to be less than the one before.
            let batches = bucket.batches.clamp(below, count);
            buckets.push((bucket.seconds, batches - below));
            (bound, below) = (bucket.seconds, batches);
        }
    }
    (!buckets.is_empty()).then_some(Histogram {
        name: "lamplighter_batch_duration_seconds",
        help: "Forward passes of the run by their time; it begins anew with each run.",
        sum,
        count,
        buckets,
    })
}

fn drift(families: &mut Families, drift: &Drift) {
    families.one(
        "lamplighter_drift_inputs",
        "Input series that were held against the reference.",
        drift.inputs as f64,
    );
    families.one(
        "lamplighter_drift_drifted_inputs",
        "Of these, series that have drifted.",
        drift.drifted_inputs as f64,
    );
    let by_series = |figure: fn(&SeriesDrift) -> Option<f64>| {
        drift
            .series
            .iter()
            .take(MOST_SERIES)
            .filter_map(move |series| {
                let labels = [
                    ("side", series.side.as_str()),
                    ("series", series.name.as_str()),
                ];
                Some((labels, figure(series)?))
            })
    };
    families.many(
        "lamplighter_drift_psi",
        "Population stability index without what is due to chance, of the at most 200 series that drifted most.",
        by_series(|series| series.measures.psi_corrected),
    );
    families.many(
        "lamplighter_drift_level",
        "0 if the series has not drifted, 1 if moderately, 2 if significantly, of the at most 200 that drifted most.",
        by_series(|series| {
            Some(match series.level {
                Level::None => 0.0,
                Level::Moderate => 1.0,
                Level::Significant => 2.0,
            })
        }),
    );
    families.many(
        "lamplighter_drift_missing_ratio",
        "Share of missing values, from 0 to 1, of the at most 200 series that drifted most.",
        by_series(|series| series.missing_share),
    );
}

fn decay(families: &mut Families, decay: &Decay) {
    families.one(
        "lamplighter_model_age_seconds",
        "Time from the day on which the model was trained to the report, in whole days.",
        decay
            .model_age_days
            .map(|days| days as f64 * SECONDS_OF_A_DAY),
    );
    let Some(metric) = &decay.metric else {
        return;
    };
    let newest = decay.history.iter().rev();
    let newest = newest
        .filter_map(|dated| Some((dated.logical_date.as_str(), dated.value?)))
        .take(1);
    families.many(
        "lamplighter_model_metric",
        "The metric that is watched, for the newest date whose ground truth is there.",
        newest.map(|(date, value)| ([("metric", metric.as_str()), ("logical_date", date)], value)),
    );
    families.many(
        "lamplighter_model_metric_baseline",
        "The same metric on the data that the model was trained on.",
        decay
            .baseline
            .map(|value| ([("metric", metric.as_str())], value)),
    );
}

fn cost(families: &mut Families, cost: &CostOfRun) {
    let month = cost.month.as_ref();
    for (name, help, amount) in [
        (
            "lamplighter_run_cost",
            "What the machines of the run cost.",
            Some(cost.amount),
        ),
        (
            "lamplighter_run_cost_per_million_records",
            "What a million records cost.",
            cost.per_million_records,
        ),
        (
            "lamplighter_month_cost",
            "What the job's runs of this calendar month have cost so far.",
            month.map(|month| month.spent),
        ),
        (
            "lamplighter_month_cost_forecast",
            "What they will have cost by the end of the month.",
            month.map(|month| month.forecast),
        ),
    ] {
        let labels = [("currency", cost.currency.as_str())];
        families.many(name, help, amount.map(|amount| (labels, amount)));
    }
}

fn resources(families: &mut Families, resources: &Resources) {
    families.one(
        "lamplighter_run_cpu_seconds",
        "Processor time of the process that ended the run.",
        resources.cpu_seconds,
    );
    families.one(
        "lamplighter_run_cpu_ratio",
        "Processor time over wall-clock time and workers: 1 is all of them, all the time.",
        resources.cpu_share,
    );
    for (name, help, bytes) in [
        (
            "lamplighter_run_peak_memory_bytes",
            "Greatest resident set of the process that ended the run.",
            resources.peak_memory_bytes,
        ),
        (
            "lamplighter_run_memory_limit_bytes",
            "Memory that the run may use.",
            resources.memory_limit_bytes,
        ),
        (
            "lamplighter_run_read_bytes",
            "Read from files, cached or not.",
            resources.bytes_read,
        ),
        (
            "lamplighter_run_written_bytes",
            "Written to files.",
            resources.bytes_written,
        ),
        (
            "lamplighter_run_network_received_bytes",
            "Came over the network of the host or container while the run was under way.",
            resources.network_received_bytes,
        ),
        (
            "lamplighter_run_network_sent_bytes",
            "Went over the network of the host or container while the run was under way.",
            resources.network_sent_bytes,
        ),
        (
            "lamplighter_run_free_disk_bytes",
            "Space left where the database's file is.",
            resources.free_disk_bytes,
        ),
    ] {
        families.one(name, help, bytes.map(|bytes| bytes as f64));
    }
}

fn alerts(families: &mut Families, report: &RunReport) {
    let known = report.alerts.iter().filter_map(|rule| {
        let value = match rule.state {
            RuleState::Quiet => 0.0,
            RuleState::Firing => 1.0,
            RuleState::Unknown => return None,
        };
        let severity = rule.severity.as_str();
        let labels = [("rule", rule.rule.as_str()), ("severity", severity)];
        Some((labels, value))
    });
    families.many(
        "lamplighter_alert_firing",
        "1 if the alert rule of the job file holds for the run, else 0.",
        known,
    );
    let unknown = report.alerts.iter();
    let unknown = unknown.filter(|rule| rule.state == RuleState::Unknown);
    families.many(
        "lamplighter_alert_unknown",
        "1 if the metric of the alert rule is not known of the run.",
        unknown.map(|rule| ([("rule", rule.rule.as_str())], 1.0)),
    );
}

fn since_1970(at: &str) -> Option<f64> {
    let at: Timestamp = at.parse().ok()?;
    Some(at.as_millisecond() as f64 / 1e3)
}
