//! Job files that are wrong, and input that is not there.

use super::{RUN, nothing_was_planned, numbered, put_batch, run, workspace};
use crate::harness::{Workspace, simple_job};

fn intact() -> Workspace {
    let workspace = workspace("", "");
    put_batch(&workspace, "a.parquet", &numbered(3));
    workspace
}

/// A job file in which `from` was written as `to`.
fn misspelt(from: &str, to: &str) -> Workspace {
    let workspace = intact();
    let job = simple_job("[run]\nbatch_size = 4\n\n[errors]\nmax_dead_letters = 1\n");
    assert!(job.contains(from), "{job}");
    workspace.write("job.toml", job.replacen(from, to, 1));
    workspace
}

#[test]
fn an_unknown_key_is_named_with_file_line_allowed_keys_and_the_nearest_name() {
    let workspace = misspelt("id_column", "id_colum");
    let ended = run(&workspace).expect(78);
    insta::assert_snapshot!(ended.stderr, @r"
    error: job.toml:7: unknown key `id_colum` in [source]; allowed: kind, path, table, where, query, url, url_file, password_command, on_conflict, columns, strict_input, id_column, filter, transform, wait_for, wait, min_rows
    hint: did you mean `id_column`?
    ");
    let workspace = misspelt("batch_size", "batchsize");
    let ended = run(&workspace).expect(78);
    insta::assert_snapshot!(ended.stderr, @r"
    error: job.toml:13: unknown key `batchsize` in [run]; allowed: batch_size, batch_tokens, shard_size, workers, max_memory, lease, grace, shard_timeout
    hint: did you mean `batch_size`?
    ");
    let workspace = misspelt("max_dead_letters", "maximum_of_failures");
    let ended = run(&workspace).expect(78);
    insta::assert_snapshot!(ended.stderr, @"error: job.toml:16: unknown key `maximum_of_failures` in [errors]; allowed: max_dead_letters, duplicates");
    nothing_was_planned(&workspace);
}

#[test]
fn an_unknown_section_is_named_with_file_line_allowed_sections_and_the_nearest_name() {
    let workspace = misspelt("[errors]", "[error]");
    let ended = run(&workspace).expect(78);
    insta::assert_snapshot!(ended.stderr, @r"
    error: job.toml:15: unknown section [error]; allowed: job, schedule, source, model, run, errors, sink, retention, cost, drift, ground_truth, notify, alert, metrics, env
    hint: did you mean `errors`?
    ");
    nothing_was_planned(&workspace);
}

#[test]
fn a_value_that_cannot_be_is_named_with_file_line_and_what_may_be() {
    let wrongs = [
        (
            "batch_size = 4",
            "batch_size = 0",
            "job.toml:13",
            "1 to 65536",
        ),
        (
            "batch_size = 4",
            "batch_size = \"4\"",
            "job.toml:13",
            "a whole number",
        ),
        ("= 1", "= \"101%\"", "job.toml:16", "a share such as"),
        ("\"parquet\"", "\"csv\"", "job.toml:5", "parquet"),
        ("\"simple\"", "\"Simple Job\"", "job.toml:2", "a-z"),
        ("\"bundle\"", "bundle", "job.toml:10", ""),
    ];
    for (from, to, place, allowed) in wrongs {
        let workspace = misspelt(from, to);
        run(&workspace).expect(78).says(&["error:", place, allowed]);
        nothing_was_planned(&workspace);
    }
}

#[test]
fn a_key_that_is_missing_is_named_with_its_section() {
    let workspace = misspelt("id_column = \"id\"\n", "");
    run(&workspace)
        .expect(78)
        .says(&["job.toml:4", "[source]", "`id_column` is missing"]);
    let workspace = misspelt("[model]\nbundle = \"bundle\"\n", "");
    run(&workspace)
        .expect(78)
        .says(&["job.toml", "[model] is missing"]);
    nothing_was_planned(&workspace);
}

#[test]
fn a_job_file_that_is_not_there_is_named() {
    intact()
        .lamplighter(&["run", "jobs/none.toml"])
        .expect(78)
        .says(&["no job file at jobs/none.toml"]);
}

#[test]
fn input_that_no_file_matches_is_66_with_the_pattern_and_where_it_starts() {
    let workspace = workspace("", "");
    run(&workspace).expect(66).says(&[
        "error: no file matches [source] path `input/*.parquet`",
        "hint: relative paths start at the working directory",
    ]);
    nothing_was_planned(&workspace);
}

#[test]
fn fewer_records_than_min_rows_are_66_with_both_numbers() {
    let workspace = intact();
    let run = [&RUN[..], &["--set", "source.min_rows=4"]].concat();
    workspace
        .lamplighter(&run)
        .expect(66)
        .says(&["3 records", "min_rows demands 4", "hint:"]);
    nothing_was_planned(&workspace);
    let run = [&RUN[..], &["--set", "source.min_rows=3"]].concat();
    workspace.lamplighter(&run).expect(0);
}

#[test]
fn input_that_is_announced_and_not_there_yet_is_75_and_a_later_start_scores_it() {
    let workspace = intact();
    let run = [
        &RUN[..],
        &["--set", "source.wait_for=input/{date}/_SUCCESS"],
    ]
    .concat();
    workspace
        .lamplighter(&run)
        .expect(75)
        .says(&["input/2026-11-23/_SUCCESS is not there yet", "hint:"]);
    nothing_was_planned(&workspace);
    workspace.write("input/2026-11-23/_SUCCESS", "");
    workspace.lamplighter(&run).expect(0);
    let published = "SELECT count(*) FROM predictions_by_date";
    assert_eq!(workspace.value(published), "3");
}
