//! A report to test the faces with: that of the README, a night of flights whose weather and holidays the
//! model does not know.

use std::collections::BTreeMap;

use super::*;
use crate::monitor::drift::{Level, Measures, SeriesDrift};
use crate::monitor::profile::Side;

/// The report of the README.
pub(crate) fn flights() -> RunReport {
    let mut columns = BTreeMap::new();
    let notes = ColumnNotes {
        unknown: 5,
        ..ColumnNotes::default()
    };
    columns.insert("carrier".to_owned(), notes);
    let notes = ColumnNotes {
        imputed: 47,
        ..ColumnNotes::default()
    };
    columns.insert("carrier_late_1d".to_owned(), notes);
    let labels = [("late", 30_062), ("on_time", 54_230)];
    RunReport {
        run: "flight-delay@2026-11-23#1".into(),
        run_id: 1,
        job: "flight-delay".into(),
        job_file: None,
        logical_date: "2026-11-23".into(),
        generation: 1,
        trial: false,
        reason: None,
        retry: None,
        previously_planned: None,
        outcome: Ending {
            verdict: Verdict::Published,
            explanation: "consumers see this run in predictions_by_date".into(),
            exit_code: 0,
        },
        model: ModelIdentity {
            name: "flight-delay".into(),
            version: "1.0.0".into(),
            digest: "sha256:1f3bbb2a4e36692474f8ed34ebc159f651d7279a87ffa2c8ec210928ab680f9a"
                .into(),
            precision: "f32".into(),
            numerics: "avx512".into(),
            batch_size: 512,
        },
        input: InputIdentity {
            source: "parquet".into(),
            files: 3,
            bytes: 1_572_864,
            manifest: "sha256:ab".into(),
            fingerprint: "sha256:cd".into(),
        },
        counts: Counts {
            planned: 84_292,
            predicted: 84_292,
            dead_letters: 0,
            duplicates: 0,
            filtered: 0,
            erased: 0,
            unfinished: 0,
            shards: 6,
        },
        dead_letters: Vec::new(),
        columns,
        outputs: OutputDistribution {
            labels: labels
                .map(|(label, count)| (label.to_owned(), count))
                .into(),
            scores: Some(Summary {
                count: 84_292,
                mean: 0.1885,
                standard_deviation: 0.13,
                minimum: 0.0095,
                p05: 0.0380,
                p25: 0.09,
                p50: 0.1511,
                p75: 0.25,
                p95: 0.4819,
                p99: 0.61,
                maximum: 0.8839,
            }),
            values: None,
        },
        drift: Some(Drift {
            against: "reference".into(),
            records: 84_292,
            reference_records: 246_000,
            drifted_inputs: 8,
            inputs: 21,
            share_of_drifted_inputs: 8.0 / 21.0,
            drifted_outputs: 0,
            series: series_of_flights(),
        }),
        decay: Some(Decay {
            trained_at: "2026-11-23".into(),
            model_age_days: Some(3),
            ground_truth_since_training: 0,
            metric: Some("roc_auc".into()),
            baseline: Some(0.7431),
            history: Vec::new(),
            retrain: Vec::new(),
        }),
        evaluation: Vec::new(),
        timing: Timing {
            started_at: "2026-11-23T23:36:54Z".into(),
            finished_at: "2026-11-23T23:36:55Z".into(),
            duration_seconds: 0.22,
            plan_seconds: 0.01,
            records_per_second: 412_253.0,
            stage_seconds: StageSeconds {
                read: 0.05,
                encode: 0.03,
                infer: 0.06,
                commit: 0.17,
            },
            batch_milliseconds: Some(Summary {
                count: 165,
                mean: 0.4,
                standard_deviation: 0.3,
                minimum: 0.1,
                p05: 0.12,
                p25: 0.15,
                p50: 0.19,
                p75: 0.3,
                p95: 1.32,
                p99: 2.77,
                maximum: 3.0,
            }),
            attempts: 1,
            finish_by: None,
            minutes_past_finish_by: None,
            batch_histogram: Vec::new(),
            course: Vec::new(),
        },
        resources: Resources {
            host: "worker".into(),
            workers: 2,
            peak_memory_bytes: Some(49_492_787),
            memory_limit_bytes: Some(2_147_483_648),
            cpu_seconds: Some(0.27),
            network_received_bytes: None,
            network_sent_bytes: None,
            cpu_share: Some(0.61),
            bytes_read: Some(18_140_365),
            bytes_written: Some(9_856_614),
            free_disk_bytes: Some(68_182_605_824),
        },
        cost: None,
        alerts: Vec::new(),
        deliveries: Vec::new(),
        lamplighter: "0.1.0".into(),
    }
}

fn series_of_flights() -> Vec<SeriesDrift> {
    let mut all = vec![
        series("days_to_holiday", Side::Input, Level::Significant, 4.177),
        series("temperature", Side::Input, Level::Significant, 0.855),
    ];
    let moderate = [
        "dew_point",
        "humidity",
        "month",
        "pressure",
        "visibility",
        "wind",
    ];
    all.extend(moderate.map(|name| series(name, Side::Input, Level::Moderate, 0.15)));
    all.extend((0..13).map(|number| {
        let name = format!("column_{number:02}");
        series(&name, Side::Input, Level::None, 0.01)
    }));
    all.push(series("label", Side::Output, Level::None, 0.02));
    all.push(series("score", Side::Output, Level::None, 0.03));
    all
}

/// A series that has drifted so far, by its PSI.
pub(crate) fn series(name: &str, side: Side, level: Level, psi: f64) -> SeriesDrift {
    SeriesDrift {
        name: name.to_owned(),
        side,
        level,
        reasons: match level {
            Level::None => Vec::new(),
            Level::Moderate | Level::Significant => vec![format!("PSI {psi:.3}")],
        },
        measures: Measures {
            psi: Some(psi),
            psi_corrected: Some(psi),
            ..Measures::default()
        },
        missing_share: Some(0.0),
        reference_missing_share: Some(0.0),
        mean: None,
        reference_mean: None,
        standard_deviation: None,
        reference_standard_deviation: None,
        new_categories: Vec::new(),
        vanished_categories: Vec::new(),
        distribution: None,
    }
}

/// A rule of this name over the PSI of `temperature`.
pub(crate) fn rule(name: &str, severity: Severity, state: RuleState) -> JudgedRule {
    JudgedRule {
        rule: name.to_owned(),
        severity,
        subject: "psi of temperature".into(),
        metric: "psi".into(),
        column: Some("temperature".into()),
        class: None,
        op: ">".into(),
        threshold: 0.25,
        value: (state != RuleState::Unknown).then_some(0.855),
        state,
        summary: match state {
            RuleState::Unknown => {
                "psi of temperature is not known: the bundle has no reference.json"
            }
            RuleState::Quiet | RuleState::Firing => {
                "psi of temperature is 0.855, the limit is 0.25"
            }
        }
        .into(),
        actions: vec!["webhook".into()],
    }
}

/// Dead letters of a kind.
pub(crate) fn dead(stage: &str, code: &str, field: Option<&str>, records: u64) -> DeadLetterCount {
    DeadLetterCount {
        stage: stage.to_owned(),
        code: code.to_owned(),
        field: field.map(str::to_owned),
        records,
    }
}

/// A night of nothing to tell: no column has drifted.
pub(crate) fn quiet() -> RunReport {
    let mut report = flights();
    report.drift = None;
    report
}
