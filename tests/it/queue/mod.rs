//! The queue as a source, with results in each of the databases.

/// Files that are pushed.
mod files;
/// What becomes of a date's rows: done, scored again, given back, pruned.
mod nights;
/// Payloads, one at a time.
mod payloads;
/// Many that push while runs take.
mod together;
/// What waits: order, conflicts, and what people are told.
mod waiting;

use crate::harness::results::Results;
use crate::harness::{Ended, linear_bundle};

/// A job on the queue with the bundle `bundle`, shards of three records, and more TOML.
fn job(source: &str, more: &str) -> String {
    format!(
        "[job]\nname = \"queued\"\n[source]\nkind = \"queue\"\nid_column = \"id\"\n{source}\n\
         [model]\nbundle = \"bundle\"\n[run]\nshard_size = 3\nbatch_size = 2\n{more}"
    )
}

/// A bundle that says 2·x + 1 and refuses what is missing, and a job, in each of the databases.
fn linear(source: &str, more: &str) -> [Results; 2] {
    Results::in_each().map(|results| {
        let bundle = results.workspace.path("bundle");
        linear_bundle(&bundle, &[("x", 2.0)], 1.0, "missing = \"reject\"");
        results.workspace.write("job.toml", job(source, more));
        results
    })
}

/// Pushes lines of JSON.
#[track_caller]
fn push(results: &Results, lines: &str, more: &[&str]) -> Ended {
    results.workspace.write("pushed.jsonl", lines);
    let push = ["queue", "push", "job.toml", "pushed.jsonl"];
    results.lamplighter(&[&push, more].concat()).expect(0)
}

/// Lines of records `a`, `b`, … whose x is 1, 2, ….
fn letters(count: u8) -> String {
    (0..count)
        .map(|index| {
            let id = char::from(b'a' + index);
            format!("{{\"id\": \"{id}\", \"x\": {}}}\n", index + 1)
        })
        .collect()
}

fn run(results: &Results, date: &str, more: &[&str]) -> Ended {
    results.lamplighter(&[&["run", "job.toml", "--date", date], more].concat())
}

/// Rows that wait, are in progress, are done, and were replaced.
fn stats(results: &Results) -> [u64; 4] {
    let arguments = ["queue", "stats", "--format", "json"];
    let stats = results.lamplighter(&arguments).expect(0).json();
    let Some(job) = stats.as_array().expect("jobs").first() else {
        return [0; 4];
    };
    ["pending", "in_progress", "done", "replaced"]
        .map(|count| job[count].as_u64().expect("a count"))
}
