//! Reports of several nights.

use std::collections::BTreeMap;

use crate::ledger::{EvaluationRow, Origin};
use crate::monitor::drift::{CategoryShare, Distributions, Drift, Level, SeriesDrift};
use crate::monitor::profile::Side;
use crate::monitor::stats::{ColumnNotes, StageSeconds};
use crate::report::RunReport;
use crate::report::html::{DeadLetterExample, PastRun};
use crate::report::sample::{dead, flights, rule, series};
use crate::report::{
    Bucket, CostOfRun, DatedMetric, Delivery, Moment, MonthlyCost, OutputDistribution, RuleState,
    Severity, Verdict,
};

pub(super) const HOSTILE: &str = "<script>alert(1)</script>&\"'\u{202e}";

/// A column of numbers that has moved up by so many bins.
pub(super) fn shifted(name: &str, side: Side, level: Level, psi: f64, by: f64) -> SeriesDrift {
    let mut shifted = series(name, side, level, psi);
    let share = |bin: usize, middle: f64| (-((bin as f64 - middle) / 3.2).powi(2)).exp() / 5.67;
    shifted.distribution = Some(Distributions {
        bins: (0..20)
            .map(|bin| match bin {
                0 => "below -8".to_owned(),
                19 => "from 28".to_owned(),
                _ => format!("{} to {}", bin * 2 - 10, bin * 2 - 8),
            })
            .collect(),
        reference: (0..20).map(|bin| share(bin, 9.0)).collect(),
        current: (0..20).map(|bin| share(bin, 9.0 + by)).collect(),
    });
    shifted.measures.kolmogorov_smirnov = Some(0.1 * by.abs());
    shifted.measures.jensen_shannon = Some(0.08 * by.abs());
    (shifted.mean, shifted.reference_mean) = (Some(12.0 + 2.0 * by), Some(12.0));
    shifted
}

/// A column of categories, one of which is new.
fn categories(name: &str, level: Level, psi: f64, others: usize) -> SeriesDrift {
    let mut drifted = series(name, Side::Input, level, psi);
    let mut distribution = Distributions::default();
    let mut add = |name: &str, reference: f64, current: f64| {
        distribution.bins.push(name.to_owned());
        distribution.reference.push(reference);
        distribution.current.push(current);
    };
    add("United Air Lines, Inc.", 0.31, 0.18);
    add("new carrier", 0.0, 0.22);
    for number in 0..others {
        let share = 0.6 / others as f64;
        add(&format!("carrier {number}"), share, share * 0.9);
    }
    drifted.distribution = Some(distribution);
    drifted.measures.cramers_v = Some(0.3);
    drifted.new_categories = vec![CategoryShare {
        name: "new carrier".to_owned(),
        share: 0.22,
    }];
    drifted
}

fn course(report: &mut RunReport, seconds: f64) {
    let steps = 40_u64;
    report.timing.course = (1..=steps)
        .map(|step| {
            let slow = if (18..24).contains(&step) { 0.3 } else { 0.0 };
            Moment {
                seconds: seconds * (step as f64 + slow) / steps as f64,
                records: report.counts.planned * step / steps,
                batch_p50_milliseconds: Some(0.18 + 0.02 * (step % 5) as f64),
                batch_p99_milliseconds: Some(2.0 + slow * 6.0 + 0.3 * (step % 7) as f64),
            }
        })
        .collect();
    let batches = [0, 2, 60, 110, 140, 155, 162, 164, 165, 165];
    let limits = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6];
    report.timing.batch_histogram = (limits.into_iter().zip(batches))
        .map(|(milliseconds, batches)| Bucket {
            seconds: milliseconds / 1e3,
            batches,
        })
        .collect();
}

pub(super) fn past(number: u64) -> Vec<PastRun> {
    (1..=number)
        .map(|day| PastRun {
            run: format!("flight-delay@2026-10-{day:02}#1"),
            logical_date: format!("2026-10-{day:02}"),
            verdict: if day == 9 { "withheld" } else { "published" }.to_owned(),
            predicted: 80_000 + day * 311 % 4_000,
            dead_letters: if day == 9 { 2_600 } else { day % 4 },
            planned: 80_100 + day * 311 % 4_000,
            duration_seconds: 0.2 + (day % 6) as f64 / 60.0,
            cost: Some(0.001 + day as f64 * 1e-5),
        })
        .collect()
}

pub(super) fn good() -> RunReport {
    let mut report = flights();
    course(&mut report, 0.22);
    report.previously_planned = Some(83_910);
    let names = [
        "distance",
        "wind",
        "humidity",
        "pressure",
        "hour",
        "temperature",
    ];
    let mut all: Vec<SeriesDrift> = names
        .iter()
        .enumerate()
        .map(|(index, name)| shifted(name, Side::Input, Level::None, 0.02, 0.1 * index as f64))
        .collect();
    all.push(categories("carrier", Level::None, 0.01, 9));
    all.push(shifted("score", Side::Output, Level::None, 0.03, 0.4));
    report.drift = Some(Drift {
        against: "reference".into(),
        records: 84_292,
        reference_records: 246_000,
        drifted_inputs: 0,
        inputs: 7,
        share_of_drifted_inputs: 0.0,
        drifted_outputs: 0,
        series: all,
    });
    report.decay = report.decay.map(|mut decay| {
        decay.ground_truth_since_training = 61_204;
        decay.history = (1..=14)
            .map(|day| DatedMetric {
                logical_date: format!("2026-11-{day:02}"),
                value: (day != 6).then_some(0.741 - 0.004 * f64::from(day % 4)),
                records: 80_000,
            })
            .collect();
        decay
    });
    report.evaluation = [
        ("roc_auc", "", 0.7391),
        ("f1", "late", 0.4120),
        ("confusion", "late as on_time", 1_204.0),
    ]
    .map(|(metric, class, value)| evaluated(metric, class, Some(value)))
    .into();
    report.timing.finish_by = Some("2026-11-24T06:00:00Z".into());
    report.timing.minutes_past_finish_by = Some(-383.0);
    report.alerts = vec![rule("warm", Severity::Warning, RuleState::Quiet)];
    report.cost = Some(cost());
    report
}

fn evaluated(metric: &str, class: &str, value: Option<f64>) -> EvaluationRow {
    EvaluationRow {
        model_name: "flight-delay".into(),
        model_version: "1.0.0".into(),
        logical_date: "2026-11-23".into(),
        origin: Origin::Observed,
        segment: String::new(),
        metric: metric.into(),
        class: class.into(),
        value,
        baseline: Some(0.7431),
        records: 61_204,
        missing: 23_088,
    }
}

fn cost() -> CostOfRun {
    CostOfRun {
        amount: 0.0012,
        currency: "EUR".into(),
        machine_seconds: 4.1,
        per_million_records: Some(0.0142),
        month: Some(MonthlyCost {
            month: "2026-11".into(),
            spent: 0.031,
            starts_left: 7,
            forecast: 0.0394,
        }),
    }
}

pub(super) fn bad() -> RunReport {
    let mut report = good();
    report.counts.predicted = 82_605;
    report.counts.dead_letters = 1_687;
    report.dead_letters = vec![
        dead("validate", "not_in_range", Some("temperature"), 1_402),
        dead("validate", "missing", Some("carrier"), 240),
        dead("read", "duplicate_id", None, 45),
    ];
    report.outputs.labels = BTreeMap::from([("late".into(), 41_002), ("on_time".into(), 41_603)]);
    course(&mut report, 5_420.0);
    report.timing.duration_seconds = 5_431.0;
    report.timing.records_per_second = 15.6;
    report.timing.stage_seconds = StageSeconds {
        read: 5_100.0,
        encode: 220.0,
        infer: 1_630.0,
        commit: 410.0,
    };
    report.timing.minutes_past_finish_by = Some(47.0);
    let mut all = vec![
        shifted(
            "days_to_holiday",
            Side::Input,
            Level::Significant,
            4.177,
            7.0,
        ),
        shifted("temperature", Side::Input, Level::Significant, 0.855, -3.4),
        categories("carrier", Level::Significant, 0.341, 14),
    ];
    all.extend(
        ["dew_point", "humidity", "pressure"]
            .map(|name| shifted(name, Side::Input, Level::Moderate, 0.151, 1.5)),
    );
    all.push(shifted("score", Side::Output, Level::Moderate, 0.131, 1.2));
    all.extend((0..14).map(|number| {
        shifted(
            &format!("column_{number:02}"),
            Side::Input,
            Level::None,
            0.01,
            0.2,
        )
    }));
    let drift = report.drift.as_mut().unwrap();
    (drift.drifted_inputs, drift.inputs, drift.drifted_outputs) = (6, 20, 1);
    drift.series = all;
    report.alerts = vec![
        rule("calm", Severity::Info, RuleState::Quiet),
        rule("warm", Severity::Critical, RuleState::Firing),
        rule("truth", Severity::Warning, RuleState::Unknown),
    ];
    report.deliveries = vec![
        Delivery {
            rule: "warm".into(),
            action: "webhook".into(),
            state: "pending".into(),
            attempts: 2,
            last_error: Some("the receiver answered 503 Service Unavailable".into()),
            delivered_at: None,
        },
        Delivery {
            rule: "warm".into(),
            action: "exec".into(),
            state: "delivered".into(),
            attempts: 1,
            last_error: None,
            delivered_at: Some("2026-11-24T06:48:02Z".into()),
        },
    ];
    if let Some(decay) = &mut report.decay {
        decay.retrain = vec!["roc_auc 0.7290 is 0.0141 below its baseline".into()];
    }
    report.resources.cpu_share = Some(0.31);
    report.resources.workers = 8;
    report.resources.peak_memory_bytes = Some(2_040_000_000);
    report
}

pub(super) fn examples() -> Vec<DeadLetterExample> {
    let example = |ordinal, record_id: Option<&str>| DeadLetterExample {
        stage: "validate".into(),
        code: "not_in_range".into(),
        field: Some("temperature".into()),
        ordinal,
        record_id: record_id.map(str::to_owned),
        message: "temperature is 1999.9, which is above 140".into(),
    };
    vec![
        example(12_345, None),
        example(12_399, Some("2013-10-07-WN19-EWR-1730")),
    ]
}

/// So many columns, all of which have drifted.
pub(super) fn wide(columns: usize) -> RunReport {
    let mut report = bad();
    let drift = report.drift.as_mut().unwrap();
    drift.series = (0..columns)
        .map(|number| {
            let name = format!("a_rather_long_name_of_a_column_{number:03}");
            shifted(
                &name,
                Side::Input,
                Level::Significant,
                3.0 - 0.01 * number as f64,
                5.0,
            )
        })
        .collect();
    (drift.inputs, drift.drifted_inputs) = (columns as u64, columns as u64);
    for number in 0..columns {
        let notes = ColumnNotes {
            imputed: number as u64,
            ..ColumnNotes::default()
        };
        report
            .columns
            .insert(format!("a_rather_long_name_of_a_column_{number:03}"), notes);
    }
    report
}

/// What is left of a report if all is missing that may be.
pub(super) fn minimal() -> RunReport {
    let mut report = flights();
    report.outcome.verdict = Verdict::Unfinished;
    report.outcome.explanation = "the next start goes on with it".into();
    report.counts.planned = 0;
    report.counts.predicted = 0;
    report.columns.clear();
    report.outputs = OutputDistribution::default();
    (report.drift, report.decay, report.cost) = (None, None, None);
    report.timing.batch_milliseconds = None;
    report.timing.duration_seconds = 0.0;
    report.timing.stage_seconds = Default::default();
    report.timing.records_per_second = 0.0;
    let resources = &mut report.resources;
    (resources.peak_memory_bytes, resources.memory_limit_bytes) = (None, None);
    (resources.cpu_share, resources.cpu_seconds) = (None, None);
    (
        resources.bytes_read,
        resources.bytes_written,
        resources.free_disk_bytes,
    ) = (None, None, None);
    report
}

pub(super) fn hostile(report: &mut RunReport) {
    let name = || HOSTILE.to_owned();
    report.run = name();
    report.job = name();
    report.reason = Some(name());
    report.logical_date = name();
    report.outcome.explanation = name();
    report.model.name = name();
    report.model.digest = name();
    report.input.source = name();
    report.dead_letters = vec![dead(HOSTILE, HOSTILE, Some(HOSTILE), 7)];
    report.columns.insert(name(), ColumnNotes::default());
    report.outputs.labels.insert(name(), 3);
    let drift = report.drift.as_mut().unwrap();
    drift.against = name();
    for series in &mut drift.series {
        series.name = name();
        series.reasons = vec![name()];
        if let Some(distribution) = &mut series.distribution {
            distribution.bins.iter_mut().for_each(|bin| *bin = name());
        }
    }
    drift
        .series
        .push(series(HOSTILE, Side::Input, Level::None, 0.0));
    let decay = report.decay.as_mut().unwrap();
    decay.metric = Some(name());
    decay.trained_at = name();
    decay.retrain = vec![name()];
    decay
        .history
        .iter_mut()
        .for_each(|dated| dated.logical_date = name());
    report.evaluation = vec![evaluated(HOSTILE, HOSTILE, Some(1.0))];
    for rule in &mut report.alerts {
        (rule.rule, rule.subject, rule.summary, rule.op) = (name(), name(), name(), name());
        rule.actions = vec![name()];
    }
    for delivery in &mut report.deliveries {
        (delivery.rule, delivery.action, delivery.state) = (name(), name(), name());
        delivery.last_error = Some(name());
        delivery.delivered_at = Some(name());
    }
    let cost = report.cost.as_mut().unwrap();
    cost.currency = name();
    cost.month.as_mut().unwrap().month = name();
    report.timing.finish_by = Some(name());
    report.timing.finished_at = name();
    report.resources.host = name();
}
