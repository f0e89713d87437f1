use super::fit::width;
use super::*;
use crate::ledger::{EvaluationRow, Origin};
use crate::monitor::drift::Level;
use crate::monitor::profile::Side;
use crate::monitor::stats::ColumnNotes;
use crate::report::sample::{dead, flights, quiet, rule, series};
use crate::report::{
    CostOfRun, Decay, Delivery, Ending, MonthlyCost, RetryOf, RuleState, Severity, Verdict,
};

/// At most 25 lines of at most 100 columns, none of which steers a terminal.
fn assert_fits(text: &str) {
    assert!(
        text.lines().count() <= 25,
        "{}:\n{text}",
        text.lines().count()
    );
    for line in text.lines() {
        assert!(width(line) <= 100, "{}: {line}", width(line));
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert_eq!(line.trim_end(), line, "{line:?}");
    }
    assert!(text.ends_with('\n') && !text.contains("\n\n\n"), "{text}");
}

#[test]
fn the_flights_are_told_on_a_screen() {
    let text = render(&flights());
    assert_fits(&text);
    let expected = "\
flight-delay@2026-11-23#1  PUBLISHED
  consumers see this run in predictions_by_date (exit code 0)
  Look at it: published, but 2 inputs have drifted, most days_to_holiday (PSI 4.177).

    attention     2 of 21 inputs have drifted significantly from the training data: days_to_holiday
                  (PSI 4.177), temperature (PSI 0.855); 6 moderately
                  → look at days_to_holiday: lamplighter drift JOB flight-delay@2026-11-23#1

    model         flight-delay 1.0.0, f32 avx512, batches of 512, sha256:1f3bbb2a4e36
    input         3 files, 1.5 MiB
    records       84,292 planned, 84,292 predicted (100 %), no dead letters
    values        47 imputed, 5 unknown
    predictions   on_time 64.34 %, late 35.66 %
    score         mean 0.1885, p05 0.0380, median 0.1511, p95 0.4819, from 0.0095 to 0.8839
    drift         8 of 21 inputs, 0 of 2 outputs: days_to_holiday PSI 4.177 and 7 more
    trained       2026-11-23, 3 days ago
    time          0.22 s (0.01 s of it planning), 412,253 records/s
    by stage      read 0.05 s, encode 0.03 s, infer 0.06 s, commit 0.17 s
    batch         p50 0.19 ms, p95 1.32 ms, p99 2.77 ms, 165 batches
    machine       2 workers, CPU 61 %, peak memory 47.2 MiB of 2.0 GiB
";
    assert_eq!(text, expected);
}

/// A name that is long, wide and hostile.
fn name(number: usize) -> String {
    let bad = ["\u{1b}[2J", "\n", "東京", "\u{202e}", " ", "x"];
    format!("n{number}{}", bad[number % bad.len()].repeat(200))
}

fn summary(size: f64) -> Summary {
    Summary {
        count: u64::MAX,
        mean: -size,
        standard_deviation: size,
        minimum: -size,
        p05: -size,
        p25: size,
        p50: size,
        p75: size,
        p95: size,
        p99: size,
        maximum: size,
    }
}

fn stuffed(verdict: Verdict, exit_code: u8) -> RunReport {
    let mut report = flights();
    report.run = name(5);
    report.reason = Some(name(0));
    report.retry = Some(RetryOf {
        run: name(1),
        wanted: u64::MAX,
        not_found: u64::MAX,
    });
    report.outcome = Ending {
        verdict,
        explanation: name(2),
        exit_code,
    };
    for name_of in [
        &mut report.model.name,
        &mut report.model.version,
        &mut report.model.digest,
        &mut report.model.numerics,
    ] {
        *name_of = name(3);
    }
    let counts = &mut report.counts;
    (counts.planned, counts.predicted) = (u64::MAX, u64::MAX / 2);
    (counts.dead_letters, counts.duplicates) = (u64::MAX / 4, u64::MAX / 8);
    (counts.filtered, counts.erased, counts.unfinished) = (u64::MAX / 8, 1, 1);
    let kind = |number| {
        dead(
            &name(number),
            &name(number + 1),
            Some(&name(number + 2)),
            1 << 60,
        )
    };
    report.dead_letters = (0..30).map(kind).collect();
    report.columns = (0..300)
        .map(|number| {
            let notes = ColumnNotes {
                imputed: 1 << 40,
                clamped: 1 << 40,
                unknown: 1 << 40,
                truncated: 1 << 40,
            };
            (name(number), notes)
        })
        .collect();
    report.outputs.labels = (0..300).map(|number| (name(number), 1 << 40)).collect();
    report.outputs.scores = Some(summary(f64::MAX));
    report.outputs.values = Some(summary(9_999_999.0));
    let drift = report.drift.as_mut().unwrap();
    drift.against = name(0);
    for (side, level) in [
        (Side::Input, Level::Significant),
        (Side::Output, Level::Significant),
        (Side::Input, Level::Moderate),
    ] {
        let many = (0..100).map(|number| series(&name(number), side, level, 1e9));
        drift.series.extend(many);
    }
    report.decay = Some(Decay {
        metric: Some(name(1)),
        retrain: (0..4).map(name).collect(),
        ..report.decay.unwrap()
    });
    let row = |number| EvaluationRow {
        model_name: name(number),
        model_version: name(number),
        logical_date: name(1),
        origin: Origin::Observed,
        segment: String::new(),
        metric: name(number),
        class: String::new(),
        value: Some(0.5),
        baseline: Some(0.6),
        records: u64::MAX,
        missing: u64::MAX,
    };
    report.evaluation = (0..50).map(row).collect();
    let timing = &mut report.timing;
    timing.minutes_past_finish_by = Some(1e15);
    timing.finish_by = Some(name(4));
    (timing.duration_seconds, timing.attempts) = (1e15, u64::MAX);
    report.resources.peak_memory_bytes = Some(u64::MAX);
    report.resources.memory_limit_bytes = Some(u64::MAX);
    report.cost = Some(CostOfRun {
        amount: 1e15,
        currency: name(0),
        machine_seconds: 1e15,
        per_million_records: Some(1e15),
        month: Some(MonthlyCost {
            month: name(1),
            spent: 1e15,
            starts_left: 9,
            forecast: 1e15,
        }),
    });
    report.alerts = (0..40)
        .map(|number| {
            let states = [RuleState::Firing, RuleState::Unknown, RuleState::Firing];
            let severities = [
                Severity::Critical,
                Severity::Warning,
                Severity::Info,
                Severity::Warning,
            ];
            let mut rule = rule(&name(number), severities[number % 4], states[number % 3]);
            rule.summary = name(number);
            rule.subject = name(number);
            rule.actions.push("withhold".into());
            rule
        })
        .collect();
    report.deliveries = (0..40)
        .map(|number| Delivery {
            rule: name(number),
            action: name(number),
            state: ["pending", "expired", "delivered"][number % 3].into(),
            attempts: u64::MAX,
            last_error: Some(name(number)),
            delivered_at: None,
        })
        .collect();
    report
}

#[test]
fn whatever_a_report_holds_it_stays_on_a_screen() {
    for (verdict, exit_code) in [
        (Verdict::Published, 0),
        (Verdict::Withheld, 65),
        (Verdict::Withheld, 79),
        (Verdict::Withheld, 78),
        (Verdict::Trial, 0),
        (Verdict::Unfinished, 255),
    ] {
        let mut report = stuffed(verdict, exit_code);
        let text = render(&report);
        assert_fits(&text);
        let first = text.lines().next().unwrap();
        assert!(
            first.ends_with(&format!("  {}", verdict.as_str().to_uppercase())),
            "{text}"
        );
        assert!(text.contains(&format!("(exit code {exit_code})")), "{text}");
        assert!(text.contains(" more: lamplighter report "), "{text}");
        for name in [
            "records",
            "dead letters",
            "predictions",
            "drift",
            "time",
            "machine",
            "cost",
            "alerts",
        ] {
            let begin = format!("    {name:<13} ");
            assert!(text.contains(&begin), "{name} is missing in\n{text}");
        }
        // These are named by Lamplighter itself.
        report.evaluation.clear();
        report.drift.as_mut().unwrap().against = "reference".into();
        for line in render_all(&report).lines() {
            assert!(!line.chars().any(char::is_control), "{line:?}");
        }
    }
}

#[test]
fn whatever_is_missing_of_it_does_not_matter() {
    // A few dozen of the 2,048 combinations, each part missing in about half of them.
    for parts in (0..1_u32 << 11).step_by(37) {
        let is_missing = |part: u32| parts & (1 << part) != 0;
        let mut report = stuffed(Verdict::Published, 0);
        if is_missing(0) {
            report.reason = None;
        }
        if is_missing(1) {
            report.retry = None;
        }
        if is_missing(2) {
            report.alerts.truncate(parts as usize % 7);
        }
        if is_missing(3) {
            report.deliveries.clear();
        }
        if is_missing(4) {
            report.drift = None;
        }
        if is_missing(5) {
            report.decay = None;
        }
        if is_missing(6) {
            report.cost = None;
        }
        if is_missing(7) {
            report.outputs = Default::default();
        }
        if is_missing(8) {
            report.dead_letters.clear();
        }
        if is_missing(9) {
            report.evaluation.clear();
        }
        if is_missing(10) {
            report.counts.duplicates = 0;
            report.timing.minutes_past_finish_by = None;
        }
        assert_fits(&render(&report));
    }
}

#[test]
fn each_part_that_is_missing_leaves_a_report_that_reads_well() {
    let mut report = quiet();
    report.decay = None;
    report.columns.clear();
    report.outputs = Default::default();
    report.timing.batch_milliseconds = None;
    report.resources.peak_memory_bytes = None;
    report.resources.cpu_share = None;
    report.counts.planned = 0;
    report.counts.predicted = 0;
    let text = render(&report);
    assert_fits(&text);
    assert!(
        text.contains("records       0 planned, 0 predicted, no dead letters\n"),
        "{text}"
    );
    assert!(
        text.contains("CPU unknown, peak memory unknown\n"),
        "{text}"
    );
    for absent in ["NaN", "score", "drift ", "cost", "alerts"] {
        assert!(!text.contains(absent), "{absent}:\n{text}");
    }
}

#[test]
fn dead_letters_costs_and_alerts_are_told_in_a_line_each() {
    let mut report = quiet();
    let counts = &mut report.counts;
    (counts.predicted, counts.dead_letters, counts.duplicates) = (84_248, 44, 4);
    report.dead_letters = vec![
        dead("validate", "missing_value", Some("age"), 30),
        dead("read", "duplicate_id", None, 4),
        dead("validate", "out_of_range", Some("fare"), 9),
        dead("infer", "not_finite", None, 1),
    ];
    report.cost = Some(CostOfRun {
        amount: 0.0042,
        currency: "EUR".into(),
        machine_seconds: 12.5,
        per_million_records: Some(0.05),
        month: Some(MonthlyCost {
            month: "2026-11".into(),
            spent: 1.2,
            starts_left: 7,
            forecast: 1.5,
        }),
    });
    report.alerts = vec![
        rule("warm", Severity::Warning, RuleState::Firing),
        rule("calm", Severity::Critical, RuleState::Quiet),
    ];
    report.deliveries = vec![Delivery {
        rule: "warm".into(),
        action: "webhook".into(),
        state: "delivered".into(),
        attempts: 2,
        last_error: None,
        delivered_at: Some("2026-11-23T23:37:00Z".into()),
    }];
    let text = render(&report);
    assert_fits(&text);
    for line in [
        "    records       84,292 planned, 84,248 predicted (99.9 %), 44 dead letters (0.05 %)\n",
        "    dead letters  30 validate/missing_value age, 9 validate/out_of_range fare and 2 more\n",
        "    cost          0.0042 EUR (0.0500 a million records); 2026-11: 1.20 so far, 1.50 forecast\n",
        "    alerts        1 of 2 rules firing, 1 message delivered: warm\n",
        "    attention     Rule warm is firing (warning): psi of temperature is 0.855, the limit is 0.25\n",
    ] {
        assert!(text.contains(line), "{line}\nis not in\n{text}");
    }
    let all = render_all(&report);
    for line in [
        "                4  read/duplicate_id\n",
        "\n  cost\n    cost          0.0042 EUR for 12.50 s of machines\n",
        "    month         2026-11: 1.20 EUR so far, 1.50 EUR forecast, 7 starts to come\n",
        "\n  alerts\n    firing        warning    warm: psi of temperature is 0.855, the limit is 0.25\n    quiet ",
        "\n  deliveries\n    delivered     webhook    warm, at 2026-11-23T23:37:00Z, tried 2 times\n",
    ] {
        assert!(all.contains(line), "{line}\nis not in\n{all}");
    }
}

#[test]
fn what_stands_above_is_not_said_again() {
    let mut report = quiet();
    report.outcome.verdict = Verdict::Unfinished;
    report.outcome.exit_code = 75;
    report.outcome.explanation = "interrupted by SIGTERM".into();
    report.counts.unfinished = 4_292;
    report.counts.predicted = 80_000;
    let text = render(&report);
    assert_eq!(text.matches("interrupted by SIGTERM").count(), 1, "{text}");
    assert!(
        text.contains("    bad           It is not finished, the next start goes on with it\n"),
        "{text}"
    );
}

#[test]
fn all_of_a_report_leaves_nothing_out() {
    let mut report = flights();
    report.outputs.labels = (0..300)
        .map(|number| (format!("class{number}"), 1))
        .collect();
    report.columns = (0..300)
        .map(|number| {
            let notes = ColumnNotes {
                imputed: 1,
                ..ColumnNotes::default()
            };
            (format!("column{number}"), notes)
        })
        .collect();
    let text = render_all(&report);
    assert!(text.starts_with(
        "flight-delay@2026-11-23#1  PUBLISHED\n  consumers see this run in predictions_by_date (exit code 0)\n"
    ));
    for title in [
        "findings",
        "model",
        "records",
        "predictions",
        "drift",
        "age of the model",
        "time",
    ] {
        assert!(
            text.contains(&format!("\n\n  {title}\n")),
            "{title}:\n{text}"
        );
    }
    for number in 0..300 {
        assert!(text.contains(&format!("    class{number} ")), "{number}");
        assert!(text.contains(&format!("    column{number} ")), "{number}");
    }
    assert!(!text.contains("more, see"), "{text}");
    for line in [
        "    digest        sha256:1f3bbb2a4e36692474f8ed34ebc159f651d7279a87ffa2c8ec210928ab680f9a\n",
        "    predicted     84,292     100.00 %\n",
        "    8 of 21 inputs and 0 of 2 outputs have drifted from the training data\n",
        "      temperature              significant  PSI 0.855\n",
        "    disk          17.3 MiB read, 9.4 MiB written, 63.5 GiB free\n",
    ] {
        assert!(text.contains(line), "{line}\nis not in\n{text}");
    }
}
