//! Files that are damaged, or made to do harm: each start ends by itself with a code of the contract
//! and words that name the file, and no row is lost or made up.
//!
//! Every process is confined in memory and processor time, so that what would fill a machine, or
//! never end, fails its test instead.

/// Flipped bits, in files of several encodings.
mod flipped;
/// Parquet footers that claim what can not be.
mod footers;
/// A Parquet writer that writes what it is told.
mod forged;
/// Pages that are larger than they look.
mod pages;
/// Job files and descriptions of models.
mod settings;
/// Files that end too early.
mod truncated;
/// Weights.
mod weights;

use std::process::Command;

use crate::harness::{Ended, Workspace, linear_bundle, simple_job};

const RUN: [&str; 4] = ["run", "job.toml", "--date", "2026-11-23"];

/// Address space of a process; a run of the fixtures takes less than half of it.
const MEMORY_KIB: u64 = 1 << 20;

/// Processor time of a process; a start takes a hundredth of a second.
const SECONDS: u64 = 20;

/// A workspace whose bundle says 2·x + 1, and whose job accepts any share of dead letters.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    linear_bundle(&workspace.path("bundle"), &[("x", 2.0)], 1.0, "");
    workspace.write("job.toml", job(""));
    workspace
}

fn job(more: &str) -> String {
    simple_job(&format!(
        "[run]\nworkers = 2\n\n[errors]\nmax_dead_letters = \"100%\"\n{more}"
    ))
}

/// Runs the job in confinement.
fn run(workspace: &Workspace) -> Ended {
    confined(&workspace.command(&RUN))
}

/// Runs a command under limits of memory and processor time.
pub fn confined(command: &Command) -> Ended {
    let script = format!(
        "ulimit -c 0 && ulimit -v {MEMORY_KIB} && ulimit -t {SECONDS} && exec \"$0\" \"$@\""
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]);
    shell.arg(command.get_program()).args(command.get_args());
    if let Some(directory) = command.get_current_dir() {
        shell.current_dir(directory);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    Ended::of(&mut shell)
}

/// Checks that nothing was planned, let alone published.
#[track_caller]
fn nothing_was_planned(workspace: &Workspace) {
    if workspace.path("lamplighter.db").exists() {
        let rows = workspace.value("SELECT count(*) FROM runs");
        assert_eq!(rows, "0", "a run was planned");
    }
}

/// Checks that consumers see nothing.
#[track_caller]
fn nothing_is_visible(workspace: &Workspace) {
    if workspace.path("lamplighter.db").exists() {
        let rows = workspace.value("SELECT count(*) FROM publications");
        assert_eq!(rows, "0", "something was published");
    }
}

/// Checks that the file `input/a.parquet` of these bytes is refused by name, with `words`, before
/// anything is visible.
#[track_caller]
fn is_refused(bytes: &[u8], words: &[&str]) {
    let workspace = workspace();
    workspace.write("input/a.parquet", bytes);
    run(&workspace)
        .expect(65)
        .says(&["error:", "input/a.parquet", "hint:"])
        .says(words);
    nothing_is_visible(&workspace);
}

/// Id and value of each published record, in the order of the ids.
fn published(workspace: &Workspace) -> Vec<Vec<String>> {
    workspace.query("SELECT record_id, value FROM predictions_by_date ORDER BY record_id")
}

/// What [`published`] says of the records `r0000`, `r0001`, … of which the n-th has x = n.
fn expected(records: usize) -> Vec<Vec<String>> {
    (0..records)
        .map(|n| vec![format!("r{n:04}"), (2 * n + 1).to_string()])
        .collect()
}

/// Where a Parquet file's footer begins.
fn footer_start(file: &[u8]) -> usize {
    let tail = file.len() - 8;
    let length: [u8; 4] = file[tail..tail + 4].try_into().expect("four bytes");
    tail - u32::from_le_bytes(length) as usize
}
