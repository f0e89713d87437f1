use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::monitor::drift::Level;
use crate::monitor::profile::Side;
use crate::report::sample::{dead, flights, rule, series};
use crate::report::{Bucket, CostOfRun, DatedMetric, MonthlyCost, RuleState, Severity, Verdict};

/// What may stand in the name of a column, a class or a rule.
const HOSTILE: &str = "a\"b\\c\nd{e=\"f\"} 1\n# TYPE x counter\r\u{1b}[2J,\u{202e}é";

/// The flights, with everything that a report may say.
fn full() -> RunReport {
    let mut report = flights();
    report.counts.predicted = 84_000;
    report.counts.dead_letters = 242;
    report.counts.duplicates = 2;
    report.counts.filtered = 50;
    report.dead_letters = vec![
        dead("validate", "out_of_range", Some("distance"), 200),
        dead("validate", "out_of_range", Some("month"), 40),
        dead("read", "duplicate_id", None, 2),
    ];
    report.timing.minutes_past_finish_by = Some(-90.0);
    report.timing.batch_histogram = [(0.000_25, 99), (0.001, 150), (0.01, 165), (1.0, 165)]
        .map(|(seconds, batches)| Bucket { seconds, batches })
        .into();
    report.resources.network_received_bytes = Some(2_000_000);
    report.resources.network_sent_bytes = Some(1_000_000);
    if let Some(decay) = &mut report.decay {
        decay.history = [
            ("2026-11-20", Some(0.72)),
            ("2026-11-21", Some(0.70)),
            ("2026-11-22", None),
        ]
        .map(|(date, value)| DatedMetric {
            logical_date: date.into(),
            value,
            records: 800,
        })
        .into();
    }
    report.cost = Some(CostOfRun {
        amount: 0.125,
        currency: "EUR".into(),
        machine_seconds: 900.0,
        per_million_records: Some(1.5),
        month: Some(MonthlyCost {
            month: "2026-11".into(),
            spent: 2.75,
            starts_left: 7,
            forecast: 3.625,
        }),
    });
    report.alerts = vec![
        rule("temperature-drift", Severity::Critical, RuleState::Firing),
        rule("wind-drift", Severity::Info, RuleState::Quiet),
        rule("auc", Severity::Warning, RuleState::Unknown),
    ];
    report
}

fn facts() -> Facts {
    Facts {
        last_success_timestamp_seconds: Some(1_795_477_015.25),
        pending_deliveries: 3,
    }
}

/// Samples by name with labels. Panics where a line is not as the format wants it.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    let (mut family, mut kind) = (String::new(), String::new());
    let mut families = BTreeSet::new();
    for line in text.split_terminator('\n') {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').unwrap();
            assert!(words.ends_with('.'), "{line}");
            assert!(families.insert(name.to_owned()), "twice: {line}");
            family = name.to_owned();
        } else if let Some(declared) = line.strip_prefix("# TYPE ") {
            let (name, declared) = declared.split_once(' ').unwrap();
            assert_eq!(name, family);
            kind = declared.to_owned();
        } else {
            // Quotes in values are escaped, so that the last one ends the labels.
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let of_family = match kind.as_str() {
                "gauge" => name == family,
                "histogram" => ["_bucket", "_sum", "_count"]
                    .iter()
                    .any(|suffix| name.strip_suffix(suffix) == Some(&family)),
                _ => false,
            };
            assert!(of_family, "{kind} {family}: {line}");
            assert!(family.starts_with("lamplighter_"), "{line}");
            assert!(series.ends_with("\"}"), "{line}");
            let value: f64 = value.parse().unwrap();
            assert!(value.is_finite(), "{line}");
            let series = series.replace("job_name=\"flight-delay\"", "");
            let series = series.replace("{,", "{").replace("{}", "");
            assert!(found.insert(series, value).is_none(), "twice: {line}");
        }
    }
    found
}

#[test]
fn figures_are_those_of_the_report_in_base_units() {
    let text = render(&full(), &facts());
    let found = samples(&text);
    for (series, expected) in [
        ("run_exit_code", 0.0),
        ("run_published", 1.0),
        ("run_attempts", 1.0),
        ("run_duration_seconds", 0.22),
        ("run_plan_seconds", 0.01),
        ("run_stage_seconds{stage=\"commit\"}", 0.17),
        ("run_started_timestamp_seconds", 1_795_477_014.0),
        ("run_finished_timestamp_seconds", 1_795_477_015.0),
        ("run_last_success_timestamp_seconds", 1_795_477_015.25),
        ("run_planned_records", 84_292.0),
        ("run_records{outcome=\"predicted\"}", 84_000.0),
        ("run_records{outcome=\"dead_letter\"}", 242.0),
        ("run_records{outcome=\"filtered\"}", 50.0),
        ("run_records{outcome=\"erased\"}", 0.0),
        ("run_records{outcome=\"unfinished\"}", 0.0),
        ("run_duplicate_records", 2.0),
        ("run_records_per_second", 412_253.0),
        (
            "run_dead_letters{stage=\"validate\",code=\"out_of_range\"}",
            240.0,
        ),
        (
            "run_dead_letters{stage=\"read\",code=\"duplicate_id\"}",
            2.0,
        ),
        ("run_past_finish_by_seconds", -5400.0),
        ("batch_duration_seconds_bucket{le=\"0.00025\"}", 99.0),
        ("batch_duration_seconds_bucket{le=\"0.001\"}", 150.0),
        ("batch_duration_seconds_bucket{le=\"0.01\"}", 165.0),
        ("batch_duration_seconds_bucket{le=\"1\"}", 165.0),
        ("batch_duration_seconds_bucket{le=\"+Inf\"}", 165.0),
        ("batch_duration_seconds_count", 165.0),
        ("drift_inputs", 21.0),
        ("drift_drifted_inputs", 8.0),
        (
            "drift_psi{side=\"input\",series=\"days_to_holiday\"}",
            4.177,
        ),
        (
            "drift_level{side=\"input\",series=\"days_to_holiday\"}",
            2.0,
        ),
        ("drift_level{side=\"input\",series=\"wind\"}", 1.0),
        ("drift_level{side=\"output\",series=\"score\"}", 0.0),
        ("drift_missing_ratio{side=\"output\",series=\"score\"}", 0.0),
        ("model_age_seconds", 259_200.0),
        (
            "model_metric{metric=\"roc_auc\",logical_date=\"2026-11-21\"}",
            0.70,
        ),
        ("model_metric_baseline{metric=\"roc_auc\"}", 0.7431),
        ("run_cost{currency=\"EUR\"}", 0.125),
        ("run_cost_per_million_records{currency=\"EUR\"}", 1.5),
        ("month_cost{currency=\"EUR\"}", 2.75),
        ("month_cost_forecast{currency=\"EUR\"}", 3.625),
        ("run_cpu_seconds", 0.27),
        ("run_cpu_ratio", 0.61),
        ("run_peak_memory_bytes", 49_492_787.0),
        ("run_memory_limit_bytes", 2_147_483_648.0),
        ("run_read_bytes", 18_140_365.0),
        ("run_written_bytes", 9_856_614.0),
        ("run_network_received_bytes", 2_000_000.0),
        ("run_network_sent_bytes", 1_000_000.0),
        ("run_free_disk_bytes", 68_182_605_824.0),
        (
            "alert_firing{rule=\"temperature-drift\",severity=\"critical\"}",
            1.0,
        ),
        ("alert_firing{rule=\"wind-drift\",severity=\"info\"}", 0.0),
        ("alert_unknown{rule=\"auc\"}", 1.0),
        ("deliveries_pending", 3.0),
    ] {
        let series = format!("lamplighter_{series}");
        assert_eq!(found.get(&series), Some(&expected), "{series}\n{text}");
    }
    let sum = found["lamplighter_batch_duration_seconds_sum"];
    assert!((sum - 0.066).abs() < 1e-9, "{sum}");
    let info = "lamplighter_run_info{job_name=\"flight-delay\",logical_date=\"2026-11-23\",generation=\"1\",\
                model=\"flight-delay\",version=\"1.0.0\",digest=\"sha256:1f3bbb2a4e36692474f8ed34ebc159f651d72\
                79a87ffa2c8ec210928ab680f9a\",numerics=\"avx512\",verdict=\"published\"} 1\n";
    assert!(text.contains(info), "{text}");
    let of_rules = found
        .keys()
        .filter(|series| series.contains("rule=\"auc\""));
    assert_eq!(
        of_rules.count(),
        1,
        "an unknown rule neither fires nor is quiet"
    );
}

#[test]
fn what_is_not_known_is_left_out_with_its_family() {
    let mut report = flights();
    report.outcome.verdict = Verdict::Withheld;
    report.outcome.exit_code = 79;
    report.drift = None;
    report.decay = None;
    report.timing.started_at = "yesterday".into();
    report.timing.batch_histogram = Vec::new();
    report.resources.cpu_share = Some(f64::NAN);
    report.timing.records_per_second = f64::INFINITY;
    report.timing.plan_seconds = f64::NEG_INFINITY;
    let text = render(&report, &Facts::default());
    let found = samples(&text);
    assert_eq!(found["lamplighter_run_published"], 0.0);
    assert_eq!(found["lamplighter_run_exit_code"], 79.0);
    assert_eq!(found["lamplighter_deliveries_pending"], 0.0);
    for absent in [
        "last_success",
        "started",
        "drift_",
        "model_",
        "cost",
        "alert_",
        "batch_duration",
        "past_finish_by",
        "dead_letters",
        "network",
        "cpu_ratio",
        "records_per_second",
        "plan_seconds",
    ] {
        assert!(!text.contains(absent), "{absent}\n{text}");
    }
}

#[test]
fn hostile_names_stay_inside_their_quotes() {
    let mut report = full();
    report.job = HOSTILE.into();
    report.model.name = HOSTILE.into();
    report.logical_date = HOSTILE.into();
    report.dead_letters = vec![dead(HOSTILE, HOSTILE, None, 1)];
    report.alerts = vec![
        rule(HOSTILE, Severity::Info, RuleState::Firing),
        rule(HOSTILE, Severity::Info, RuleState::Unknown),
    ];
    if let Some(cost) = &mut report.cost {
        cost.currency = HOSTILE.into();
    }
    if let Some(drift) = &mut report.drift {
        drift.series = vec![
            series(HOSTILE, Side::Input, Level::Significant, 1.0),
            series("\\", Side::Input, Level::None, 0.0),
            series("\n", Side::Input, Level::None, 0.0),
            series("\\n", Side::Input, Level::None, 0.0),
        ];
    }
    let plain = render(&full(), &facts());
    let text = render(&report, &facts());
    samples(&text);
    let types = |text: &str| text.matches("\n# TYPE ").count();
    assert_eq!(types(&text), types(&plain), "{text}");
    let escaped =
        "job_name=\"a\\\"b\\\\c\\nd{e=\\\"f\\\"} 1\\n# TYPE x counter\r\u{1b}[2J,\u{202e}é\"";
    for line in text.lines().filter(|line| !line.starts_with("# ")) {
        assert!(line.contains(escaped), "{line}");
    }
    for series in ["series=\"\\\\\"", "series=\"\\n\"", "series=\"\\\\n\""] {
        assert_eq!(text.matches(series).count(), 3, "{series}\n{text}");
    }
}

#[test]
fn series_are_limited_to_those_that_drifted_most_and_never_twice() {
    let mut report = flights();
    if let Some(drift) = &mut report.drift {
        let name = |number: u32| format!("column_{number:05}");
        let many = (0..10_000).map(|number| {
            series(
                &name(number),
                Side::Input,
                Level::Moderate,
                1.0 / f64::from(number + 1),
            )
        });
        drift.series = many.collect();
        let again = series(&name(0), Side::Input, Level::None, 0.5);
        drift.series.insert(1, again);
    }
    let text = render(&report, &facts());
    let found = samples(&text);
    let of_psi = found.keys().filter(|series| series.contains("drift_psi"));
    assert_eq!(of_psi.count(), MOST_SERIES - 1);
    let first = "lamplighter_drift_psi{side=\"input\",series=\"column_00000\"}";
    assert_eq!(found[first], 1.0);
    assert!(!text.contains("column_00199"), "{text}");
    let limit = format!("at most {MOST_SERIES}");
    assert_eq!(text.matches(&limit).count(), 3, "{text}");
}

#[test]
fn a_histogram_of_approximate_counts_grows_and_ends_with_all() {
    let mut report = full();
    report.timing.batch_histogram = [
        (0.001, 100),
        (f64::NAN, 1),
        (0.002, 99),
        (0.002, 120),
        (0.004, 170),
        (f64::INFINITY, 170),
    ]
    .map(|(seconds, batches)| Bucket { seconds, batches })
    .into();
    let text = render(&report, &facts());
    let buckets: Vec<&str> = text
        .lines()
        .filter_map(|line| {
            line.split_once("{job_name=\"flight-delay\",le=\"")
                .map(|(_, bucket)| bucket)
        })
        .collect();
    let expected = [
        "0.001\"} 100",
        "0.002\"} 100",
        "0.004\"} 165",
        "+Inf\"} 165",
    ];
    assert_eq!(buckets, expected);
}

#[test]
fn help_is_the_same_for_every_run() {
    let help = |report: &RunReport| -> BTreeSet<String> {
        let text = render(report, &facts());
        let help = text.lines().filter(|line| line.starts_with("# "));
        help.map(str::to_owned).collect()
    };
    let mut other = full();
    other.job = "churn".into();
    other.logical_date = "2026-11-24".into();
    if let Some(drift) = &mut other.drift {
        drift.series.truncate(2);
    }
    assert_eq!(help(&full()), help(&other));
}
