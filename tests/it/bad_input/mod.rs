//! Bad input of every kind: it is refused or set aside with words that help, under the exit code
//! of the contract, and consumers never see anything of it.

/// The disk: full, read-only, or not holding the database that it should.
mod disk;
/// The job file, and input that is not there (yet).
mod job_file;
/// Bundles that do not hold what they say.
mod model;
/// Parquet files that are damaged, strange, or of another schema.
mod parquet;
/// Records at fault: identities, values, and the limit of dead letters.
mod records;

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};

use crate::harness::{Ended, Workspace, batch, linear_bundle, simple_job, write_parquet};

const RUN: [&str; 4] = ["run", "job.toml", "--date", "2026-11-23"];
const RUN_NAME: &str = "simple@2026-11-23#1";

/// A workspace whose bundle says 2·x + 1, with `feature` in its feature and `job` in its job.
fn workspace(feature: &str, job: &str) -> Workspace {
    let workspace = Workspace::new();
    linear_bundle(&workspace.path("bundle"), &[("x", 2.0)], 1.0, feature);
    workspace.write("job.toml", simple_job(job));
    workspace
}

fn text(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn numbers(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

/// Records `r0000`, `r0001`, … of which the n-th has x = n.
fn numbered(count: usize) -> RecordBatch {
    let ids: Vec<String> = (0..count).map(|index| format!("r{index:04}")).collect();
    let xs: Vec<f64> = (0..count).map(|index| index as f64).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    batch(vec![("id", text(&ids)), ("x", numbers(&xs))])
}

/// Writes `input/NAME`.
fn put(workspace: &Workspace, name: &str, columns: Vec<(&str, ArrayRef)>) -> PathBuf {
    put_batch(workspace, name, &batch(columns))
}

fn put_batch(workspace: &Workspace, name: &str, rows: &RecordBatch) -> PathBuf {
    let path = workspace.path(&format!("input/{name}"));
    write_parquet(&path, rows, 1_000);
    path
}

fn run(workspace: &Workspace) -> Ended {
    workspace.lamplighter(&RUN)
}

/// Checks that the database, if there is one, holds no run at all.
#[track_caller]
fn nothing_was_planned(workspace: &Workspace) {
    if workspace.path("lamplighter.db").exists() {
        for table in ["runs", "shards", "predictions", "dead_letters"] {
            let rows = workspace.value(&format!("SELECT count(*) FROM {table}"));
            assert_eq!(rows, "0", "rows in {table}");
        }
    }
}

/// Checks that consumers see nothing.
#[track_caller]
fn nothing_is_visible(workspace: &Workspace) {
    for view in ["predictions_by_date", "predictions_latest", "publications"] {
        let rows = workspace.value(&format!("SELECT count(*) FROM {view}"));
        assert_eq!(rows, "0", "rows in {view}");
    }
    let published = "SELECT count(*) FROM runs WHERE publication = 'published'";
    assert_eq!(workspace.value(published), "0");
}

/// Id and value of each published record, in the order of the ids.
fn published(workspace: &Workspace) -> Vec<Vec<String>> {
    workspace.query("SELECT record_id, value FROM predictions_by_date ORDER BY record_id")
}

/// Ordinal, id, stage, code, field and message of each dead letter.
fn dead_letters(workspace: &Workspace) -> Vec<Vec<String>> {
    workspace.query(
        "SELECT ordinal, record_id, stage, code, field, message FROM dead_letters ORDER BY ordinal",
    )
}

/// The stored report of the newest run.
fn report(workspace: &Workspace) -> serde_json::Value {
    workspace
        .lamplighter(&["report", "--format", "json"])
        .expect(0)
        .json()
}

#[track_caller]
fn verifies(workspace: &Workspace) {
    workspace.lamplighter(&["runs", "verify"]).expect(0);
}
