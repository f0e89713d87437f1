//! `runs verify` proves a run from its rows: it finds whatever is changed by hand.

use std::sync::Arc;

use arrow::array::{Float64Array, StringArray};

use crate::harness::{Workspace, batch, linear_bundle, simple_job, write_parquet};

/// 60 records in shards of 16: 5 dead letters, of which one is a duplicate, and 6 filtered.
fn finished_run() -> Workspace {
    let workspace = Workspace::new();
    linear_bundle(
        &workspace.path("bundle"),
        &[("x", 2.0)],
        1.0,
        "missing = \"reject\"\nmax = 1000.0\nout_of_range = \"reject\"",
    );
    let mut ids: Vec<String> = (0..60).map(|index| format!("r{index:02}")).collect();
    ids[50] = "r03".to_owned();
    let mut values: Vec<Option<f64>> = (0..60).map(|index| Some(f64::from(index))).collect();
    values[5] = None;
    values[6] = Some(f64::INFINITY);
    values[20] = Some(2000.0);
    values[40] = None;
    let rows = batch(vec![
        ("id", Arc::new(StringArray::from(ids))),
        ("x", Arc::new(Float64Array::from(values))),
        (
            "kind",
            Arc::new(StringArray::from_iter_values(
                (0..60).map(|index| if index % 10 == 9 { "skip" } else { "keep" }),
            )),
        ),
    ]);
    write_parquet(&workspace.path("input/rows.parquet"), &rows, 13);
    let job =
        simple_job("[run]\nshard_size = 16\nbatch_size = 4\n[errors]\nmax_dead_letters = 10\n")
            .replace(
                "id_column = \"id\"",
                "id_column = \"id\"\nfilter = \"kind = 'keep'\"",
            );
    workspace.write("job.toml", job);
    workspace
        .lamplighter(&["run", "job.toml", "--date", "2026-01-01"])
        .expect(0);
    workspace
}

const RUN: &str = "simple@2026-01-01#1";

#[test]
fn an_untouched_run_holds() {
    let workspace = finished_run();
    let ended = workspace
        .lamplighter(&["runs", "verify", RUN, "--format", "json"])
        .expect(0);
    let json = ended.json();
    assert_eq!(json["ok"], true);
    assert_eq!(json["planned"], 60);
    assert_eq!(json["predicted"], 49);
    assert_eq!(json["dead_letters"], 5);
    assert_eq!(json["filtered"], 6);
}

#[test]
fn whatever_is_changed_by_hand_is_found() {
    let changes = [
        ("a prediction deleted", "DELETE FROM predictions WHERE record_id = 'r30'"),
        (
            "a prediction doubled under another id",
            "INSERT INTO predictions SELECT run_id, record_id || 'x', ordinal, label, score, value, embedding, output FROM predictions WHERE record_id = 'r30'",
        ),
        (
            "a prediction added beyond the input",
            "INSERT INTO predictions SELECT run_id, record_id || 'x', 4711, label, score, value, embedding, output FROM predictions WHERE record_id = 'r30'",
        ),
        ("a value altered in its last digit", "UPDATE predictions SET value = value + 1e-13 WHERE record_id = 'r01'"),
        ("a value nulled", "UPDATE predictions SET value = NULL WHERE record_id = 'r01'"),
        (
            "the ids of two records exchanged",
            "UPDATE predictions SET record_id = 'tmp' WHERE record_id = 'r01';
             UPDATE predictions SET record_id = 'r01' WHERE record_id = 'r02';
             UPDATE predictions SET record_id = 'r02' WHERE record_id = 'tmp'",
        ),
        ("a prediction moved to another run", "UPDATE predictions SET ordinal = 9 WHERE record_id = 'r30'"),
        ("a dead letter deleted", "DELETE FROM dead_letters WHERE ordinal = 20"),
        ("a dead letter's reason altered", "UPDATE dead_letters SET code = 'missing_value' WHERE ordinal = 20"),
        (
            "a prediction turned into a dead letter",
            "DELETE FROM predictions WHERE record_id = 'r30';
             INSERT INTO dead_letters VALUES (1, 30, 'r30', 'infer', 'non_finite_output', NULL, '')",
        ),
        (
            "a prediction deleted and the counters mended",
            "DELETE FROM predictions WHERE record_id = 'r30';
             UPDATE shards SET predicted = predicted - 1, filtered = filtered + 1 WHERE shard_no = 1;
             UPDATE runs SET predicted = predicted - 1, filtered = filtered + 1",
        ),
        ("a shard's counter altered", "UPDATE shards SET predicted = predicted + 1 WHERE shard_no = 1"),
        ("a run's counter altered", "UPDATE runs SET dead_letters = dead_letters + 1"),
        ("a shard removed", "DELETE FROM shards WHERE shard_no = 2"),
        ("a shard's state altered", "UPDATE shards SET state = 'available' WHERE shard_no = 2"),
    ];
    for (what, sql) in changes {
        let workspace = finished_run();
        workspace.execute(sql);
        let ended = workspace.lamplighter(&["runs", "verify", RUN, "--format", "json"]);
        assert_eq!(
            ended.code,
            Some(70),
            "{what} was not found: {}",
            ended.stdout
        );
        let json = ended.json();
        assert_eq!(json["ok"], false, "{what}");
        assert!(
            !json["findings"].as_array().expect("findings").is_empty(),
            "{what}"
        );
    }
}
