//! A run that can not be published any more stops early, keeps what it has, and says why.

use std::sync::Arc;

use arrow::array::{Float64Array, StringArray};

use crate::harness::results::Results;
use crate::harness::{batch, linear_bundle, simple_job, write_parquet};

const RUN: [&str; 4] = ["run", "job.toml", "--date", "2026-11-23"];

/// 2,000 records in 40 shards, of which those from `bad` on lack their value.
fn put(results: &Results, bad: usize) {
    let workspace = &results.workspace;
    let reject = "missing = \"reject\"";
    linear_bundle(&workspace.path("bundle"), &[("x", 2.0)], 1.0, reject);
    let ids = StringArray::from_iter_values((0..2_000).map(|row| format!("r{row}")));
    let numbers = (0..2_000).map(|row| (row < bad).then_some(row as f64));
    let numbers = Float64Array::from_iter(numbers);
    let rows = batch(vec![("id", Arc::new(ids)), ("x", Arc::new(numbers))]);
    write_parquet(&workspace.path("input/rows.parquet"), &rows, 500);
    workspace.write(
        "job.toml",
        simple_job("[run]\nshard_size = 50\nworkers = 1\n[errors]\nmax_dead_letters = \"5%\"\n"),
    );
}

#[test]
fn a_limit_that_can_not_be_kept_ends_the_run_and_names_column_and_code() {
    for results in Results::in_each() {
        put(&results, 1_000);
        let ended = results.lamplighter(&RUN).expect(65);
        let ended = ended.says(&[
            "so that the limit of 5% can not be kept any more",
            "missing_value in column `x`",
            "hint: `lamplighter dead-letters list` shows them",
        ]);
        assert!(ended.stdout.contains("UNFINISHED"), "{}", ended.stdout);
        assert!(ended.stdout.contains("exit code 65"), "{}", ended.stdout);
        let state = "SELECT state || ' ' || publication || ' ' || exit_code FROM runs";
        assert_eq!(results.value(state), "failed withheld 65");
        let shards = |state: &str| {
            let count = format!("SELECT count(*) FROM shards WHERE state = '{state}'");
            results.value(&count).parse::<u32>().expect("a number")
        };
        // 101 dead letters of 2,000 are known after 23 shards; a few more are in hand by then.
        let done = shards("completed");
        assert!((23..40).contains(&done), "{done} of 40 shards");
        assert_eq!(shards("leased"), 0);
        assert_eq!(results.published("2026-11-23"), [] as [[&str; 2]; 0]);
        results.verify();

        // The same again is the same, and costs nothing.
        results
            .lamplighter(&RUN)
            .expect(65)
            .says(&["missing_value in column `x`"]);
        assert_eq!(shards("completed"), done);
        assert_eq!(results.value(state), "failed withheld 65");

        let raised = [&RUN[..], &["--set", "errors.max_dead_letters=60%"]].concat();
        results.lamplighter(&raised).expect(0);
        assert_eq!(results.value("SELECT count(*) FROM runs"), "1");
        assert_eq!(
            results.value("SELECT max(epoch) FROM shards WHERE shard_no < 23"),
            "1"
        );
        assert_eq!(results.published("2026-11-23").len(), 1_000);
        results.verify();
    }
}

#[test]
fn corrected_input_takes_the_place_of_a_run_that_had_too_many() {
    let results = Results::in_sqlite();
    put(&results, 0);
    results.lamplighter(&RUN).expect(65);
    put(&results, 2_000);
    results.lamplighter(&RUN).expect(0);
    let states = "SELECT generation || ' ' || state || ' ' || publication FROM runs ORDER BY 1";
    assert_eq!(
        results.query(states).concat(),
        ["1 cancelled withheld", "2 completed published"]
    );
    assert_eq!(results.published("2026-11-23").len(), 2_000);
}

#[test]
fn a_trial_finds_all_of_them() {
    let results = Results::in_sqlite();
    put(&results, 0);
    let trial = [&RUN[..], &["--limit", "1500"]].concat();
    results.lamplighter(&trial).expect(65);
    assert_eq!(results.value("SELECT count(*) FROM dead_letters"), "1500");
}

#[test]
fn the_last_shard_is_judged_with_all_others() {
    let results = Results::in_sqlite();
    put(&results, 1_899);
    results.lamplighter(&RUN).expect(65);
    let state = "SELECT state FROM runs";
    assert_eq!(
        results.value(state),
        "completed",
        "101 of 2,000, all of them known"
    );
}
