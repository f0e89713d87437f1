//! What SECURITY.md promises: secrets that stay secret, text that steers nothing, privileges that
//! are not exceeded, and a binary that talks to its database and to nobody else.

/// What stands in SECURITY.md, and that it is tested.
mod documented;
/// The environment, and the files that it names.
mod environment;
/// Files that the binary makes.
mod files;
/// Names with quotes, SQL in them, and where SQL may be made.
mod injection;
/// Log lines and tables that stay what they are, whatever records are called.
mod lines;
/// Bundles with what does not belong in them, or that change.
mod models;
/// Whom the binary connects to.
mod network;
/// Paths that lead elsewhere, and what is no file.
mod paths;
/// Values of records, which nothing repeats.
mod personal_data;
/// A hostile neighbour in the database.
mod search_path;
/// Passwords in every failing path.
mod secrets;
/// Values beyond all size.
mod sizes;
/// What is compiled in, and what may not be.
mod supply_chain;

use std::sync::Arc;

use arrow::array::{Float64Array, StringArray};

use crate::harness::results::Results;
use crate::harness::{Workspace, batch, linear_bundle, simple_job, write_parquet};

const DATE: &str = "2026-11-23";
const RUN: [&str; 4] = ["run", "job.toml", "--date", DATE];

/// A bundle that says 2·x + 1 and rejects what is missing, records, and a job that takes any share
/// of dead letters.
fn set_up(workspace: &Workspace, records: &[(&str, Option<f64>)]) {
    linear_bundle(
        &workspace.path("bundle"),
        &[("x", 2.0)],
        1.0,
        "missing = \"reject\"",
    );
    put(workspace, "input/rows.parquet", records);
    workspace.write(
        "job.toml",
        simple_job("[errors]\nmax_dead_letters = \"100%\"\n"),
    );
}

fn put(workspace: &Workspace, name: &str, records: &[(&str, Option<f64>)]) {
    let ids = StringArray::from_iter_values(records.iter().map(|(id, _)| id));
    let numbers = Float64Array::from_iter(records.iter().map(|(_, x)| *x));
    let rows = batch(vec![("id", Arc::new(ids)), ("x", Arc::new(numbers))]);
    write_parquet(&workspace.path(name), &rows, 100);
}

/// Two good records, in a workspace with SQLite.
fn intact() -> Workspace {
    let workspace = Workspace::new();
    set_up(&workspace, &[("a", Some(1.0)), ("b", Some(2.0))]);
    workspace
}

/// Checks that a run scored these records and no others.
#[track_caller]
fn scored(results: &Results, ids: &[&str]) {
    let rows = results.published(DATE);
    let found: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(found, ids);
}
