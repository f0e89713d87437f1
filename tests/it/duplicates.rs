//! Duplicate ids in files of which several threads read a part each: the first record of an id is scored,
//! whoever found the others, and a damaged page is told wherever it is.

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray};

use crate::harness::{Ended, Workspace, batch, linear_bundle, simple_job, write_parquet};

/// Of each of two files; enough for four threads.
const ROWS: usize = 140_000;

/// Two files of these ids, and of numbers of which the filter drops every tenth.
fn put(id: impl Fn(usize) -> Option<String>) -> Workspace {
    let workspace = Workspace::new();
    linear_bundle(&workspace.path("bundle"), &[("x", 2.0)], 1.0, "");
    let job = simple_job("[run]\nworkers = 4\n[errors]\nmax_dead_letters = \"100%\"\n");
    workspace.write(
        "job.toml",
        job.replace("[model]", "filter = \"x > 0\"\n\n[model]"),
    );
    for file in 0..2 {
        let rows = file * ROWS..(file + 1) * ROWS;
        let ids: ArrayRef = Arc::new(StringArray::from_iter(rows.clone().map(&id)));
        let numbers = rows.map(|row| if is_kept(row) { 1.0 } else { 0.0 });
        let numbers: ArrayRef = Arc::new(Float64Array::from_iter_values(numbers));
        let rows = batch(vec![("id", ids), ("x", numbers)]);
        write_parquet(
            &workspace.path(&format!("input/{file}.parquet")),
            &rows,
            50_000,
        );
    }
    workspace
}

fn is_kept(row: usize) -> bool {
    !row.is_multiple_of(10)
}

fn run(workspace: &Workspace) -> Ended {
    workspace.lamplighter(&["run", "job.toml", "--date", "2026-11-23"])
}

#[test]
fn the_first_of_an_id_stays_whoever_reads_the_others() {
    // Far apart and next to each other, across the border of the files and of what a thread reads.
    let id = |row: usize| match row {
        row if row % 1_000 == 1 => None,
        row if row % 1_000 < 5 => Some(format!("rare-{}", row % 7)),
        139_998 | 140_011 => Some("border".to_owned()),
        row => Some(format!("{:x}", row.wrapping_mul(0x9E37_79B9) & 0xFFFF_FFFF)),
    };
    let workspace = put(id);
    run(&workspace).expect(0);
    let mut seen = HashSet::new();
    let repeated: Vec<String> = (0..2 * ROWS)
        .filter(|row| is_kept(*row))
        .filter(|row| id(*row).is_some_and(|id| !seen.insert(id)))
        .map(|row| row.to_string())
        .collect();
    assert!(repeated.len() > 500 && repeated.contains(&"140011".to_owned()));
    let found = "SELECT ordinal FROM dead_letters WHERE code = 'duplicate_id' ORDER BY ordinal";
    assert_eq!(workspace.query(found).concat(), repeated);
    assert_eq!(
        workspace.value("SELECT count(*) FROM predictions"),
        seen.len().to_string()
    );
    workspace
        .lamplighter(&["runs", "verify", "simple@2026-11-23#1"])
        .expect(0);
}

#[test]
fn ids_that_ascend_but_for_one_hide_no_duplicate() {
    let last = 2 * ROWS - 1;
    let workspace = put(|row| Some(if row == last { 77 } else { row }.to_string()));
    run(&workspace).expect(0);
    let found = "SELECT ordinal FROM dead_letters WHERE code = 'duplicate_id'";
    assert_eq!(workspace.query(found).concat(), [last.to_string()]);
}

#[test]
fn a_damaged_page_is_told_whichever_thread_comes_by_it() {
    for ascending in [true, false] {
        let workspace = put(|row| Some(if ascending { row } else { 2 * ROWS - row }.to_string()));
        let path = workspace.path("input/1.parquet");
        let mut bytes = fs::read(&path).expect("the file");
        // Before the footer and the last numbers, which nobody asks for yet.
        let at = bytes.len() / 2;
        bytes[at..at + 20_000].fill(0xA5);
        fs::write(&path, bytes).expect("the file");
        run(&workspace).expect(65).says(&["input/1.parquet"]);
        assert_eq!(workspace.value("SELECT count(*) FROM runs"), "0");
    }
}
