//! The command line as scripts and schedulers meet it: exit codes, help, what goes to which
//! stream, and which database is meant.

/// What each command prints, as text and as JSON.
mod commands;
/// Which database a command means, and that no password is told.
mod database;
/// The examples of every help.
mod examples;
/// Exit codes and help.
mod help;
/// Who may write at the same time.
mod lock;
/// Completions and man pages.
mod shells;
/// What goes to standard output and what to standard error.
mod streams;

use std::sync::Arc;

use arrow::array::{Float64Array, StringArray};

use crate::harness::{Workspace, batch, linear_bundle, simple_job, write_parquet};

const RUN: [&str; 4] = ["run", "job.toml", "--date", "2026-11-23"];
const RUN_NAME: &str = "simple@2026-11-23#1";

/// A job of four records: `a` gives 3, `b` has no value, the second `a` is a duplicate, `c` gives 7.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    let reject = "missing = \"reject\"";
    linear_bundle(&workspace.path("bundle"), &[("x", 2.0)], 1.0, reject);
    let job = simple_job("[errors]\nmax_dead_letters = 1\n");
    workspace.write("job.toml", job);
    let ids = StringArray::from(vec!["a", "b", "a", "c"]);
    let xs = Float64Array::from(vec![Some(1.0), None, Some(2.0), Some(3.0)]);
    let rows = batch(vec![("id", Arc::new(ids)), ("x", Arc::new(xs))]);
    write_parquet(&workspace.path("input/a.parquet"), &rows, 10);
    workspace
}

/// The same, scored.
fn scored() -> Workspace {
    let workspace = workspace();
    workspace.lamplighter(&RUN).expect(0);
    workspace
}
