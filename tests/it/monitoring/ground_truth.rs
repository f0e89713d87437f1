use std::sync::Arc;

use arrow::array::{Float64Array, StringArray};
use serde_json::Value;

use super::{job, make_reference, put_bundle};
use crate::harness::results::Results;
use crate::harness::{batch, flights, linear_bundle, repository, simple_job, write_parquet};

const RUN: [&str; 4] = ["run", "job.toml", "--date", "2026-11-23"];

/// Ten records whose prediction is `x`.
fn put(results: &Results, more: &str) {
    let workspace = &results.workspace;
    linear_bundle(&workspace.path("bundle"), &[("x", 1.0)], 0.0, "");
    let ids = StringArray::from_iter_values((0..10).map(|row| format!("r{row}")));
    let x = Float64Array::from_iter_values((0..10).map(f64::from));
    let rows = batch(vec![("id", Arc::new(ids)), ("x", Arc::new(x))]);
    write_parquet(&workspace.path("input/rows.parquet"), &rows, 10);
    let more = format!("[ground_truth]\ncolumn = \"y\"\n{more}");
    workspace.write("job.toml", simple_job(&more));
    results.lamplighter(&RUN).expect(0);
}

fn deliver(results: &Results, rows: &[(Option<&str>, Option<f64>, &str)], more: &[&str]) -> Value {
    let ids: StringArray = rows.iter().map(|(id, ..)| *id).collect();
    let truths: Float64Array = rows.iter().map(|(_, truth, _)| *truth).collect();
    let segments = StringArray::from_iter_values(rows.iter().map(|(.., segment)| *segment));
    let rows = batch(vec![
        ("id", Arc::new(ids)),
        ("y", Arc::new(truths)),
        ("region", Arc::new(segments)),
    ]);
    write_parquet(&results.workspace.path("truth.parquet"), &rows, 100);
    let arguments = [
        "evaluate",
        "job.toml",
        "--ground-truth",
        "truth.parquet",
        "--format",
        "json",
    ];
    results
        .lamplighter(&[&arguments[..], more].concat())
        .expect(0)
        .json()
}

/// Value and records of a metric.
fn metric(evaluation: &Value, name: &str, origin: &str, segment: &str) -> (f64, u64) {
    let rows = evaluation["metrics"].as_array().expect("a list").iter();
    let row = rows.clone().find(|row| {
        row["metric"] == name
            && row["origin"] == origin
            && row["segment"] == segment
            && row["logical_date"] == "2026-11-23"
    });
    let row = row.expect("the metric");
    (
        row["value"].as_f64().expect("a number"),
        row["records"].as_u64().expect("a count"),
    )
}

#[test]
fn ground_truth_comes_in_parts_twice_and_for_nobody() {
    for results in Results::in_each() {
        put(&results, "by = \"region\"\n");
        let evaluation = deliver(
            &results,
            &[
                (Some("r0"), Some(1.0), "north"),
                (Some("r1"), Some(1.0), "south"),
                (Some("r1"), Some(7.0), "south"),
                (Some("r1"), Some(1.0), "south"),
                (Some("nobody"), Some(1.0), "south"),
                (None, Some(1.0), "south"),
                (Some("r2"), None, "south"),
            ],
            &[],
        );
        let delivery = &evaluation["delivery"];
        assert_eq!(delivery["rows"], 7);
        assert_eq!(delivery["stored"], 3);
        assert_eq!(delivery["duplicates"]["count"], 2);
        assert_eq!(delivery["duplicates"]["examples"][0], "r1");
        assert_eq!(delivery["contradictions"], 1);
        assert_eq!(delivery["without_id"], 1);
        assert_eq!(delivery["without_truth"], 1);
        assert_eq!(evaluation["unknown_records"]["count"], 1);
        assert_eq!(evaluation["unknown_records"]["examples"][0], "nobody");
        assert_eq!(evaluation["predictions"], 10);
        assert_eq!(evaluation["missing"], 8);
        // Predictions are 0 and 1, truths 1 and 1.
        assert_eq!(metric(&evaluation, "mae", "observed", ""), (0.5, 2));
        assert_eq!(metric(&evaluation, "mae", "observed", "north"), (1.0, 1));

        // A later delivery adds a record and corrects another.
        let more = [
            (Some("r0"), Some(0.0), "north"),
            (Some("r9"), Some(6.0), "north"),
            (Some("r8"), Some(8.0), ""),
        ];
        let evaluation = deliver(&results, &more, &[]);
        assert_eq!(metric(&evaluation, "mae", "observed", ""), (0.75, 4));
        assert_eq!(metric(&evaluation, "mae", "observed", "north"), (1.5, 2));
        assert_eq!(evaluation["missing"], 6);

        // What people corrected is kept apart.
        let corrected = [(Some("r5"), Some(9.0), "north")];
        let evaluation = deliver(&results, &corrected, &["--corrections"]);
        assert_eq!(metric(&evaluation, "mae", "correction", ""), (4.0, 1));
        assert_eq!(metric(&evaluation, "mae", "observed", ""), (0.75, 4));

        // SQL, and the report of the run, say the same.
        let stored =
            "SELECT value FROM evaluations WHERE metric = 'mae' AND logical_date = '2026-11-23'
                      AND origin = 'observed' AND segment = ''";
        assert_eq!(
            results.value(stored).parse::<f64>().expect("a number"),
            0.75
        );
        let report = results
            .lamplighter(&["report", "--format", "json"])
            .expect(0)
            .json();
        let rows = report["evaluation"].as_array().expect("a list");
        assert!(
            rows.iter()
                .any(|row| row["metric"] == "mae" && row["value"] == 4.0)
        );
        let text = results.lamplighter(&["report"]).expect(0);
        assert!(
            text.stdout.contains("6 lack their ground truth"),
            "{}",
            text.stdout
        );
    }
}

#[test]
fn predictions_count_for_the_version_that_made_them() {
    let results = Results::in_sqlite();
    put(&results, "");
    let model = results.workspace.path("bundle/model.toml");
    let text = std::fs::read_to_string(&model).expect("text");
    std::fs::write(
        &model,
        text.replacen("version = \"1\"", "version = \"2\"", 1),
    )
    .expect("room");
    results
        .lamplighter(&["run", "job.toml", "--date", "2026-11-24"])
        .expect(0);
    let evaluation = deliver(&results, &[(Some("r3"), Some(5.0), "")], &[]);
    let rows = evaluation["metrics"].as_array().expect("a list").iter();
    let mut found: Vec<String> = rows
        .filter(|row| row["metric"] == "mae")
        .map(|row| {
            format!(
                "{} {} {}",
                row["model_version"], row["logical_date"], row["value"]
            )
        })
        .collect();
    found.sort();
    assert_eq!(
        found,
        [
            r#""1" "" 2.0"#,
            r#""1" "2026-11-23" 2.0"#,
            r#""2" "" 2.0"#,
            r#""2" "2026-11-24" 2.0"#,
        ]
    );
}

#[test]
fn a_date_column_says_which_prediction_is_meant() {
    let results = Results::in_sqlite();
    put(&results, "date_column = \"region\"\n");
    results
        .lamplighter(&["run", "job.toml", "--date", "2026-11-24"])
        .expect(0);
    let evaluation = deliver(
        &results,
        &[
            (Some("r3"), Some(5.0), "2026-11-24"),
            (Some("r3"), Some(3.0), "2026-11-23"),
        ],
        &[],
    );
    assert_eq!(metric(&evaluation, "mae", "observed", ""), (0.0, 1));
    assert_eq!(evaluation["delivery"]["duplicates"]["count"], 0);
    let other =
        "SELECT value FROM evaluations WHERE metric = 'mae' AND logical_date = '2026-11-24'";
    assert_eq!(results.value(other).parse::<f64>().expect("a number"), 2.0);
}

#[test]
fn a_table_of_postgres_tells_what_was_true() {
    let results = Results::in_postgres();
    put(&results, "table = \"outcomes\"\n");
    let database = results.postgres().expect("Postgres");
    database.execute("CREATE TABLE outcomes (id text, y double precision); INSERT INTO outcomes VALUES ('r1', 3), ('r2', 2)");
    let arguments = ["evaluate", "job.toml", "--format", "json"];
    let evaluation = results.lamplighter(&arguments).expect(0).json();
    assert_eq!(metric(&evaluation, "mae", "observed", ""), (1.0, 2));
}

#[test]
fn a_model_that_lost_against_its_baseline_is_to_be_trained_anew() {
    for results in Results::in_each() {
        let workspace = &results.workspace;
        put_bundle(workspace);
        let october = flights::files()[0].to_string_lossy().into_owned();
        let december = flights::files()[2].to_string_lossy().into_owned();
        let truth = repository().join("fixtures/ground-truth/flights.parquet");
        let truth = truth.to_string_lossy().into_owned();
        make_reference(&results, &october);
        let rules = "[ground_truth]\ncolumn = \"late\"\n\n[drift]\nmax_model_age_days = 10\nmax_drifted_share = 0.05\nmetric = \"brier\"\nmax_metric_loss = 0.01\nnew_ground_truth = 20000\n";
        workspace.write("job.toml", job(&december, rules));
        let profile = [
            "model",
            "profile",
            "bundle",
            "--data",
            &october,
            "--job",
            "job.toml",
            "--ground-truth",
            &truth,
            "--trained-at",
            "2020-01-01",
        ];
        results.lamplighter(&profile).expect(0);
        results
            .lamplighter(&["run", "job.toml", "--date", "2013-12-01"])
            .expect(0);
        let arguments = [
            "evaluate",
            "job.toml",
            "--ground-truth",
            &truth,
            "--format",
            "json",
        ];
        let evaluation = results.lamplighter(&arguments).expect(0).json();
        // Two months of ground truth are of flights that were not scored here.
        assert!(
            evaluation["unknown_records"]["count"]
                .as_u64()
                .expect("a count")
                > 50_000
        );
        let reasons = evaluation["decay"]["retrain"].to_string();
        for reason in [
            "days old, more than 10",
            "brier was",
            "worse than the baseline",
            "20000 are enough",
        ] {
            assert!(reasons.contains(reason), "{reasons}");
        }
        // The next run says so too, and knows the share of drifted columns.
        results
            .lamplighter(&["run", "job.toml", "--date", "2013-12-02"])
            .expect(0);
        let report = results.lamplighter(&["report", "--all"]).expect(0);
        for reason in ["inputs have drifted, more than 5 %", "brier was"] {
            assert!(report.stdout.contains(reason), "{}", report.stdout);
        }
    }
}

#[test]
fn what_can_not_be_evaluated_is_refused() {
    let results = Results::in_sqlite();
    put(&results, "");
    let evaluate = |more: &[&str]| results.lamplighter(&[&["evaluate", "job.toml"], more].concat());
    evaluate(&["--ground-truth", "nothing.parquet"]).expect(66);
    let input = ["--ground-truth", "input/rows.parquet"];
    evaluate(&input).expect(65).says(&["`y`"]);
    results.workspace.write("job.toml", simple_job(""));
    evaluate(&input)
        .expect(78)
        .says(&["[ground_truth] column", "--set"]);
    assert_eq!(results.value("SELECT count(*) FROM ground_truth"), "0");
}
