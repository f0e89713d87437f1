use std::sync::Arc;

use jiff::ToSpan;

use arrow::array::{ArrayRef, Float64Array, StringArray};

use super::{DATE, bad_rows, put, put_job, rule};
use crate::harness::results::Results;
use crate::harness::{batch, linear_bundle, simple_job, write_parquet};
use crate::monitoring::october;

/// Judged rules by name: state and value.
fn judged(results: &Results, rules: &str, more: &str) -> Vec<(String, String, serde_json::Value)> {
    put_job(
        results,
        &(rules.to_owned() + "[errors]\nmax_dead_letters = \"5%\"\n" + more),
    );
    let arguments = [
        "run",
        "job.toml",
        "--format",
        "json",
        DATE[0],
        DATE[1],
        "--rescore",
        "--reason",
        "rules",
    ];
    let report = results.lamplighter(&arguments);
    let report = report.json();
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    report["alerts"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|judged| {
            (
                text(&judged["rule"]),
                text(&judged["state"]),
                judged["value"].clone(),
            )
        })
        .collect()
}

#[test]
fn rules_look_at_run_columns_drift_and_cost() {
    let results = Results::in_sqlite();
    put(&results, &bad_rows(), "");
    let firing = [
        rule("planned", "planned > 28000", ""),
        rule("letters", "dead_letters >= 500", ""),
        rule("worst", "psi > 0.25", ""),
        rule("psi", "psi > 0.25", "column = \"distance\""),
        rule("share", "drifted_inputs == 1", ""),
        rule("output", "psi < 0.25", "column = \"score\""),
        rule("class", "class_share > 0.1", "class = \"late\""),
        rule("mean", "mean_score != 0", ""),
        rule("batch", "p99_batch_ms > 0", ""),
        rule("memory", "peak_memory_share < 1", ""),
        rule("cost", "cost > 0", ""),
        rule("million", "cost_per_million_records > 0", ""),
        rule("month", "cost_forecast > 0", ""),
        rule("age", "model_age_days < 100000", ""),
        rule("exit", "exit_code == 0", ""),
    ];
    let quiet = [
        rule("no-letters", "dead_letters > 0", "column = \"carrier\""),
        rule("moved", "psi > 0.25", "column = \"carrier\""),
        rule("imputed", "imputed_rate > 0.5", "column = \"dest\""),
    ];
    let unknown = [
        rule("change", "row_change > 0.5", ""),
        rule("value", "mean_value > 0", ""),
        rule("v", "cramers_v > 0", "column = \"distance\""),
    ];
    let rules = [firing.concat(), quiet.concat(), unknown.concat()].concat();
    let found = judged(&results, &rules, "[cost]\nper_hour = 1.0\n");
    let expected = std::iter::repeat_n("firing", firing.len())
        .chain(std::iter::repeat_n("quiet", quiet.len()))
        .chain(std::iter::repeat_n("unknown", unknown.len()));
    assert_eq!(found.len(), firing.len() + quiet.len() + unknown.len());
    for ((rule, state, value), expected) in found.iter().zip(expected) {
        assert_eq!(state, expected, "{rule}: {value}");
    }
}

#[test]
fn row_change_is_against_the_last_date_that_consumers_see() {
    for results in Results::in_each() {
        let rows = october();
        put(
            &results,
            &rows,
            &rule("rows", "row_change > 0.5", "actions = [\"withhold\"]"),
        );
        let run = |date: &str, code: i32| {
            results
                .lamplighter(&["run", "job.toml", "--date", date])
                .expect(code);
        };
        run("2013-11-01", 0);
        run("2013-11-02", 0);
        let fewer = rows.slice(0, rows.num_rows() / 3);
        crate::harness::write_parquet(
            &results.workspace.path("input/rows.parquet"),
            &fewer,
            10_000,
        );
        run("2013-11-03", 79);
        run("2013-11-03", 79);
        let status = results.lamplighter(&["status"]);
        assert_eq!(status.code, Some(79), "{status}");
    }
}

#[test]
fn a_rule_that_could_never_hold_is_refused_before_anything_is_written() {
    let results = Results::in_sqlite();
    put(&results, &october(), "");
    for (rules, message, hint) in [
        (
            rule("one", "acuracy < 0.9", ""),
            "[alert 1] metric: expected a metric, one of",
            "did you mean `accuracy`?",
        ),
        (
            rule("one", "psi > 0.25", "column = \"distanse\""),
            "there is no column `distanse`",
            "did you mean `distance`?",
        ),
        (
            rule("one", "class_share > 0.5", "class = \"later\""),
            "there is no class `later`",
            "did you mean `late`?",
        ),
        (rule("one", "class_share > 0.5", ""), "needs a class", ""),
        (
            rule("one", "planned > 5", "column = \"distance\""),
            "is of no column",
            "",
        ),
        (rule("one", "planned => 5", ""), "op: expected one of", ""),
        (rule("One", "planned > 5", ""), "[alert 1] name", ""),
        (
            rule("one", "planned > 5", "") + &rule("one", "planned > 6", ""),
            "[alert 2] name: another rule",
            "",
        ),
        (
            rule("one", "planned > 5", "actions = [\"webhook\"]"),
            "`webhook` needs webhook_url",
            "",
        ),
        (
            rule("one", "planned > 5", "actions = [\"mail\"]"),
            "[alert 1] actions",
            "",
        ),
        (
            rule("one", "minutes_past_finish_by > 0", ""),
            "needs [schedule] finish_by",
            "",
        ),
        (
            rule("one", "cost_forecast > 0", ""),
            "needs [cost] per_hour",
            "",
        ),
        (
            rule("one", "accuracy < 0.9", "segment = \"JFK\""),
            "needs [ground_truth] by",
            "",
        ),
        (
            rule("one", "accuracy < 0.9", "actions = [\"withhold\"]"),
            "none can be withheld",
            "",
        ),
        (
            rule(
                "one",
                "planned > 5",
                "webhook_url = \"ftp://hidden.example\"",
            ),
            "begins with https:// or http://",
            "",
        ),
        (
            rule("one", "planned > 5", "colunm = \"distance\""),
            "unknown key `colunm` in [alert]",
            "did you mean `column`?",
        ),
        (
            "[alert]\nname = \"one\"\n".to_owned(),
            "begin each with [[alert]]",
            "",
        ),
        (
            "[[run]]\nworkers = 1\n".to_owned(),
            "stands outside of the job's sections",
            "",
        ),
        (
            "[[alert]]\nname = \"one\"\n".to_owned(),
            "[alert 1]: the key `metric` is missing",
            "",
        ),
    ] {
        put_job(&results, &rules);
        let ended = results
            .lamplighter(&["run", "job.toml", DATE[0], DATE[1]])
            .expect(78);
        assert!(ended.stderr.contains(message), "{message}: {ended}");
        assert!(ended.stderr.contains(hint), "{hint}: {ended}");
        assert!(!ended.stderr.contains("hidden.example"), "{ended}");
    }
    assert!(results.query("SELECT 1 FROM runs").is_empty());
    put_job(&results, "");
    results
        .lamplighter(&["run", "job.toml", "--set", "alert.name=one"])
        .expect(64)
        .says(&["there may be several of `alert`"]);
}

#[test]
fn an_overlay_replaces_all_rules_or_none() {
    let results = Results::in_sqlite();
    let base = rule("one", "planned > 0", "") + &rule("two", "planned > 0", "");
    let overlay = "\n[[env.prod.alert]]\nname = \"three\"\nmetric = \"planned\"\nop = \">\"\nvalue = 0\n\n[env.test.run]\nworkers = 1\n\n[env.quiet]\nalert = []\n";
    put(&results, &october(), &(base + overlay));
    for (env, expected) in [
        ("prod", vec!["three"]),
        ("test", vec!["one", "two"]),
        ("quiet", vec![]),
    ] {
        let arguments = [
            "run", "job.toml", "--env", env, "--limit", "50", "--format", "json",
        ];
        let report = results.lamplighter(&arguments).expect(0).json();
        let names: Vec<&str> = report["alerts"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|judged| judged["rule"].as_str().expect("a name"))
            .collect();
        assert_eq!(names, expected);
    }
}

#[test]
fn a_run_that_has_too_many_dead_letters_or_is_late_is_told_when_it_stops() {
    for results in Results::in_each() {
        let receiver = crate::harness::receiver::Receiver::answering(&[]);
        let rules = super::notify(&receiver.url("/"))
            + &rule("letters", "dead_letter_rate > 0.01", "")
            + &rule("code", "exit_code != 0", "")
            + &rule("few", "predicted < 20000", "");
        put(
            &results,
            &bad_rows(),
            &(rules + "[errors]\nmax_dead_letters = 10\n[run]\nshard_size = 1000\n"),
        );
        results
            .lamplighter(&["run", "job.toml", DATE[0], DATE[1]])
            .expect(65);
        let mut told: Vec<String> = receiver
            .taken()
            .iter()
            .map(|request| request.json()["alert"].as_str().expect("a name").to_owned())
            .collect();
        told.sort();
        assert_eq!(
            told,
            ["code", "letters"],
            "what is not known yet is not told"
        );
    }
}

#[test]
fn dead_letters_are_counted_by_column() {
    let results = Results::in_sqlite();
    let workspace = &results.workspace;
    linear_bundle(
        &workspace.path("bundle"),
        &[("x", 1.0), ("y", 1.0)],
        0.0,
        "missing = \"reject\"",
    );
    let ids: Vec<String> = (0..100).map(|record| format!("r{record}")).collect();
    let x: Vec<Option<f64>> = (0..100)
        .map(|record| (record % 10 != 0).then_some(1.0))
        .collect();
    let rows = batch(vec![
        ("id", Arc::new(StringArray::from(ids)) as ArrayRef),
        ("x", Arc::new(Float64Array::from(x))),
        ("y", Arc::new(Float64Array::from(vec![1.0; 100]))),
    ]);
    write_parquet(&workspace.path("input/rows.parquet"), &rows, 100);
    let rules = rule("x", "dead_letter_rate == 0.1", "column = \"x\"")
        + &rule("y", "dead_letters > 0", "column = \"y\"")
        + "[errors]\nmax_dead_letters = 50\n";
    workspace.write("job.toml", simple_job(&rules));
    let report = results
        .lamplighter(&["run", "job.toml", "--format", "json"])
        .expect(0)
        .json();
    assert_eq!(
        report["alerts"][0]["state"], "firing",
        "{}",
        report["alerts"]
    );
    assert_eq!(
        report["alerts"][1]["state"], "quiet",
        "{}",
        report["alerts"]
    );
}

#[test]
fn a_retry_publishes_nothing_that_a_rule_withheld_and_tells_nobody() {
    for results in Results::in_each() {
        let receiver = crate::harness::receiver::Receiver::answering(&[]);
        let workspace = &results.workspace;
        linear_bundle(
            &workspace.path("bundle"),
            &[("x", 1.0)],
            0.0,
            "missing = \"reject\"",
        );
        let put_rows = |is_whole: bool| {
            let ids: Vec<String> = (0..100).map(|record| format!("r{record}")).collect();
            let x = (0..100).map(|record| (is_whole || record % 10 != 0).then_some(1.0));
            let rows = batch(vec![
                ("id", Arc::new(StringArray::from(ids)) as ArrayRef),
                ("x", Arc::new(x.collect::<Float64Array>())),
            ]);
            write_parquet(&workspace.path("input/rows.parquet"), &rows, 100);
        };
        put_rows(false);
        let rules = super::notify(&receiver.url("/"))
            + &rule(
                "letters",
                "dead_letter_rate > 0.01",
                "actions = [\"webhook\", \"withhold\"]",
            )
            + "[errors]\nmax_dead_letters = 50\n";
        workspace.write("job.toml", simple_job(&rules));
        let date = ["--date", "2026-11-20"];
        results
            .lamplighter(&["run", "job.toml", date[0], date[1]])
            .expect(79);
        put_rows(true);
        let run = "simple@2026-11-20#1";
        let retry = ["dead-letters", "retry", "job.toml", "--run", run];
        results
            .lamplighter(&retry)
            .expect(78)
            .says(&["withheld by a rule", "runs publish"]);
        results.lamplighter(&["runs", "publish", run]).expect(0);
        results.lamplighter(&retry).expect(0);
        assert_eq!(results.published("2026-11-20").len(), 100);
        assert_eq!(
            receiver.requests().len(),
            1,
            "of the night, and not of the retry"
        );
    }
}

#[test]
fn a_run_that_stops_at_finish_by_is_told_at_once_and_not_again_when_it_ends() {
    for results in Results::in_each() {
        let receiver = crate::harness::receiver::Receiver::answering(&[]);
        let rows = october();
        let rules = super::notify(&receiver.url("/"))
            + &rule("late", "minutes_past_finish_by > 0", "")
            + "[run]\nshard_size = 1000\nworkers = 1\n";
        put(
            &results,
            &rows,
            &(rules.clone() + "[schedule]\nfinish_by = \"00:00\"\n"),
        );
        let clock = super::clock_in(2.seconds(), "%H:%M:%S");
        let finish_by = format!("schedule.finish_by={clock}");
        // The first shard takes three seconds.
        let ids = rows.column_by_name("flight_id").expect("a column");
        let first = arrow::array::AsArray::as_string::<i32>(ids)
            .value(0)
            .to_owned();
        let run = ["run", "job.toml", "--set", &finish_by, DATE[0], DATE[1]];
        let mut late = results.command(&run);
        let ended =
            crate::harness::Ended::of(late.env("LAMPLIGHTER_FAULT", format!("slow:{first}")));
        assert_eq!(ended.code, Some(80), "{ended}");
        assert_eq!(receiver.taken().len(), 1, "{ended}");
        results.lamplighter(&run).expect(0);
        assert_eq!(receiver.requests().len(), 1);
    }
}
