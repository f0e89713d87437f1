use super::*;
use crate::ledger::{EvaluationRow, Origin};
use crate::monitor::drift::Level;
use crate::monitor::profile::Side;
use crate::monitor::stats::ColumnNotes;
use crate::report::sample::{dead, flights, rule, series};
use crate::report::text::fit::width;
use crate::report::{CostOfRun, RuleState, Severity, Verdict};

fn compare(change: impl FnOnce(&mut RunReport)) -> Comparison {
    let mut after = flights();
    after.run = "flight-delay@2026-11-24#1".into();
    change(&mut after);
    Comparison::between(&flights(), &after, None)
}

fn names(comparison: &Comparison) -> Vec<&str> {
    comparison
        .notable()
        .map(|change| change.name.as_str())
        .collect()
}

#[test]
fn a_run_and_itself_are_the_same() {
    let comparison = compare(|_| {});
    assert!(comparison.changes.iter().all(Change::is_same));
    assert!(names(&comparison).is_empty());
    let text = render(&comparison);
    let expected = "\
flight-delay@2026-11-23#1 → flight-delay@2026-11-24#1
  nothing beyond what two good nights differ by

  same: verdict, identity, records, columns, predictions, drift, time, machine
";
    assert_eq!(text, expected);
}

#[test]
fn what_two_good_nights_differ_by_is_not_notable() {
    let comparison = compare(|after| {
        after.input.manifest = "sha256:ef".into();
        after.input.fingerprint = "sha256:01".into();
        after.input.bytes = 1_700_000;
        after.counts.planned = 90_000;
        after.counts.predicted = 89_990;
        after.counts.dead_letters = 10;
        after.dead_letters = vec![dead("read", "duplicate_id", None, 10)];
        let notes = ColumnNotes {
            imputed: 300,
            ..ColumnNotes::default()
        };
        after.columns.insert("carrier".into(), notes);
        after.outputs.labels = [("late".into(), 32_500), ("on_time".into(), 57_490)].into();
        after.outputs.scores.as_mut().unwrap().mean = 0.195;
        after.timing.duration_seconds = 0.5;
        after.timing.stage_seconds.commit = 0.4;
        after.timing.batch_milliseconds.as_mut().unwrap().p99 = 9.0;
        after.resources.peak_memory_bytes = Some(60_000_000);
        after.resources.cpu_share = Some(0.9);
        after.resources.host = "other".into();
    });
    assert!(names(&comparison).is_empty(), "{:?}", names(&comparison));
    let text = render(&comparison);
    let line = "    planned                                              84,292 → 90,000                  +6.8 %\n";
    assert!(text.contains("  as from night to night\n"), "{text}");
    assert!(text.contains(line), "{text}");
}

#[test]
fn each_kind_of_change_beyond_that_is() {
    let is_notable = |name: &str, change: &dyn Fn(&mut RunReport)| {
        let comparison = compare(change);
        assert!(
            names(&comparison).contains(&name),
            "{name}: {:?}",
            names(&comparison)
        );
    };
    is_notable("model digest", &|after| {
        after.model.digest = "sha256:00".into()
    });
    is_notable("numerics", &|after| after.model.numerics = "avx2".into());
    is_notable("fingerprint", &|after| {
        after.input.fingerprint = "sha256:00".into()
    });
    is_notable("verdict", &|after| {
        after.outcome.verdict = Verdict::Withheld
    });
    is_notable("planned", &|after| after.counts.planned = 60_000);
    is_notable("input files", &|after| after.input.files = 0);
    is_notable("share of dead letters", &|after| {
        after.counts.dead_letters = 200
    });
    is_notable("validate/missing_value age", &|after| {
        after.dead_letters = vec![dead("validate", "missing_value", Some("age"), 200)];
    });
    is_notable("imputed share of carrier", &|after| {
        after.columns.get_mut("carrier").unwrap().imputed = 2_000;
    });
    is_notable("unknown share of new", &|after| {
        let notes = ColumnNotes {
            unknown: 2_000,
            ..ColumnNotes::default()
        };
        after.columns.insert("new".into(), notes);
    });
    is_notable("share of late", &|after| {
        after.outputs.labels = [("late".into(), 40_000), ("on_time".into(), 44_292)].into();
    });
    is_notable("share of early", &|after| {
        after.outputs.labels.insert("early".into(), 5_000);
    });
    is_notable("mean score", &|after| {
        after.outputs.scores.as_mut().unwrap().mean = 0.21
    });
    is_notable("p95 score", &|after| {
        after.outputs.scores.as_mut().unwrap().p95 = 0.55
    });
    is_notable("duration", &|after| after.timing.duration_seconds = 2.0);
    is_notable("attempts", &|after| after.timing.attempts = 2);
    is_notable("past finish_by", &|after| {
        after.timing.minutes_past_finish_by = Some(5.0)
    });
    is_notable("peak memory", &|after| {
        after.resources.peak_memory_bytes = Some(200_000_000)
    });
    is_notable("workers", &|after| after.resources.workers = 4);
    is_notable("memory limit", &|after| {
        after.resources.memory_limit_bytes = None
    });
    is_notable("rule warm", &|after| {
        after.alerts = vec![rule("warm", Severity::Info, RuleState::Firing)];
    });
    is_notable("level of temperature", &|after| {
        after.drift.as_mut().unwrap().series[1].level = Level::None;
    });
    is_notable("level of output score", &|after| {
        let score = after.drift.as_mut().unwrap().series.last_mut();
        score.unwrap().level = Level::Moderate;
    });
}

#[test]
fn a_few_records_differ_by_chance() {
    let small = |late: u64| {
        let mut report = flights();
        report.outputs.labels = [("late".into(), late), ("on_time".into(), 100 - late)].into();
        report
    };
    let by_chance = Comparison::between(&small(35), &small(45), None);
    assert!(names(&by_chance).is_empty());
    let far = Comparison::between(&small(35), &small(75), None);
    assert_eq!(names(&far), ["share of late", "share of on_time"]);
}

#[test]
fn rules_that_fire_anew_or_are_quiet_again_are_notable_and_those_that_go_on_are_not() {
    let with = |states: [RuleState; 3]| {
        let mut report = flights();
        let rules = ["a", "b", "c"].into_iter().zip(states);
        report.alerts = rules
            .map(|(name, state)| rule(name, Severity::Warning, state))
            .collect();
        report
    };
    let before = with([RuleState::Quiet, RuleState::Firing, RuleState::Firing]);
    let after = with([RuleState::Firing, RuleState::Quiet, RuleState::Firing]);
    let comparison = Comparison::between(&before, &after, None);
    assert_eq!(names(&comparison), ["rule a", "rule b"]);
    // A rule that is new and quiet is not.
    let added = Comparison::between(&flights(), &with([RuleState::Quiet; 3]), None);
    assert!(names(&added).is_empty());
}

#[test]
fn metrics_and_costs_are_compared() {
    let with = |auc: f64, records: u64, seconds: f64| {
        let mut report = flights();
        let row = |metric: &str, class: &str| EvaluationRow {
            model_name: "flight-delay".into(),
            model_version: "1.0.0".into(),
            logical_date: "2026-11-23".into(),
            origin: Origin::Observed,
            segment: String::new(),
            metric: metric.into(),
            class: class.into(),
            value: Some(auc),
            baseline: None,
            records,
            missing: 0,
        };
        report.evaluation = vec![
            row("roc_auc", ""),
            row("recall", "late"),
            row("confusion", "a"),
        ];
        report.cost = Some(CostOfRun {
            amount: seconds * 0.001,
            currency: "EUR".into(),
            machine_seconds: seconds,
            per_million_records: Some(seconds),
            month: None,
        });
        report
    };
    let compare = |before: RunReport, after: RunReport| Comparison::between(&before, &after, None);
    let worse = compare(with(0.75, 80_000, 10.0), with(0.7, 80_000, 30.0));
    assert_eq!(
        names(&worse),
        [
            "recall of late",
            "roc_auc",
            "cost",
            "cost of a million records"
        ]
    );
    assert!(
        worse
            .changes
            .iter()
            .all(|change| !change.name.contains("confusion"))
    );
    let few = compare(with(0.75, 80_000, 10.0), with(0.7, 100, 10.0));
    assert!(names(&few).is_empty());
}

#[test]
fn hundreds_of_columns_do_not_make_it_endless() {
    let mut drift = flights().drift.unwrap();
    let long = |number: usize| format!("column{number}\u{1b}[2J{}", "東".repeat(200));
    for number in 0..300 {
        drift.series.insert(
            0,
            series(&long(number), Side::Input, Level::Significant, 1.0),
        );
        drift.drifted_inputs += 1;
    }
    let mut after = flights();
    after.run = long(0);
    after.model.version = long(1);
    after.timing.duration_seconds = 1e12;
    after.counts.planned = u64::MAX;
    after.outputs.scores.as_mut().unwrap().mean = -1e300;
    for number in 0..300 {
        let notes = ColumnNotes {
            imputed: 50_000,
            clamped: 1,
            ..ColumnNotes::default()
        };
        after.columns.insert(long(number), notes);
        after.outputs.labels.insert(long(number), 50_000);
        after
            .dead_letters
            .push(dead("validate", &long(number), Some("x"), 50_000));
        after
            .alerts
            .push(rule(&long(number), Severity::Info, RuleState::Firing));
    }
    let comparison = Comparison::between(&flights(), &after, Some(drift));
    let text = render(&comparison);
    assert!(text.lines().count() < 110, "{}", text.lines().count());
    for line in text.lines() {
        assert!(width(line) <= 100, "{}: {line}", width(line));
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    assert!(
        text.contains("    and 292 more, see --format json\n"),
        "{text}"
    );
    // The JSON has all.
    let json = serde_json::to_value(&comparison).unwrap();
    assert!(json["changes"].as_array().unwrap().len() > 1_500);
    let first = &json["changes"][0];
    assert_eq!(first["section"], "verdict");
    assert_eq!(first["before"], "published");
    assert_eq!(first["is_notable"], false);
    assert_eq!(json["drift"]["inputs"], 21);
}

#[test]
fn figures_are_shown_in_their_units() {
    let comparison = compare(|after| {
        after.counts.planned = 168_584;
        after.timing.duration_seconds = 60.0;
        after.resources.peak_memory_bytes = Some(1 << 30);
        after.model.version = "1.1.0".into();
        after.drift = None;
    });
    let text = render(&comparison);
    for line in [
        "  identity\n    model version                                         1.0.0 → 1.1.0\n",
        "    planned                                              84,292 → 168,584               +100.0 %\n",
        "    duration                                             0.22 s → 60.00 s               +27173 %\n",
        "    peak memory                                        47.2 MiB → 1.0 GiB                +2069 %\n",
    ] {
        assert!(text.contains(line), "{line}\nis not in\n{text}");
    }
}
