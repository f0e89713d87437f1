//! `init`: what it writes runs at once, whatever the file is like, or it says what is wrong and
//! writes nothing.

/// Columns of every kind and name.
mod columns;
/// The files that are written, and that nothing else is touched.
mod files;
/// Which column names the records, and what is predicted.
mod guesses;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray};
use lamplighter::cli::Cli;
use serde_json::Value;

use crate::harness::{Ended, Workspace, batch, write_parquet};

fn texts<'text>(values: impl IntoIterator<Item = &'text str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn numbers(values: impl IntoIterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}

/// Ids `r0`, `r1`, …
fn ids(count: usize) -> ArrayRef {
    let ids = (0..count).map(|row| format!("r{row}"));
    Arc::new(StringArray::from_iter_values(ids))
}

/// Writes `records.parquet` with these columns.
fn workspace(columns: Vec<(&str, ArrayRef)>) -> Workspace {
    let workspace = Workspace::new();
    write_parquet(&workspace.path("records.parquet"), &batch(columns), 100);
    workspace
}

/// `init` from `records.parquet` into the working directory.
fn init(workspace: &Workspace, more: &[&str]) -> Ended {
    let arguments = [&["init", "--from", "records.parquet"], more].concat();
    workspace.lamplighter(&arguments)
}

/// The same, which succeeds, in JSON.
#[track_caller]
fn scaffolded(workspace: &Workspace, more: &[&str]) -> Value {
    init(workspace, &[more, &["--format", "json"]].concat())
        .expect(0)
        .json()
}

/// Runs the commands that `init` names next, as a person would.
#[track_caller]
fn follow(workspace: &Workspace, scaffold: &Value) {
    let commands: Vec<&str> = scaffold["next"]
        .as_array()
        .expect("commands")
        .iter()
        .filter_map(Value::as_str)
        .filter(|command| {
            let mut words = command.split(' ').skip_while(|word| *word != "lamplighter");
            // Not every build has all commands yet.
            words
                .nth(1)
                .is_none_or(|name| Cli::tree().find_subcommand(name).is_some())
        })
        .collect();
    assert!(commands.len() >= 2, "{commands:?}");
    Ended::of(&mut workspace.in_shell(&commands.join(" && "))).expect(0);
}

/// Every file and directory below a directory, sorted.
fn listing(directory: &Path) -> Vec<String> {
    fn walk(directory: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(root).expect("inside");
            found.push(name.display().to_string());
            if path.is_dir() {
                walk(&path, root, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(directory, directory, &mut found);
    found.sort();
    found
}
