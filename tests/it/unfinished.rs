//! Runs that did not come to their end: who goes on with them, when, and from where. A damaged
//! page, later mended, is what keeps a run from its end here.

use std::fs;
use std::sync::Arc;

use arrow::array::{Float64Array, StringArray};

use crate::harness::{Workspace, batch, linear_bundle, write_parquet};
use crate::identity::{job, run, runs, seen};
use crate::parquet_pages::damage;

const RECORDS: usize = 2000;

/// Input of four row groups and eight shards for `2026-11-20` to `-23`.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    linear_bundle(&workspace.path("bundle"), &[("x", 10.0)], 0.0, "");
    for day in 20..=23 {
        let ids = StringArray::from_iter_values((0..RECORDS).map(|row| format!("r{row}")));
        let numbers = Float64Array::from(vec![f64::from(day); RECORDS]);
        let rows = batch(vec![("id", Arc::new(ids)), ("x", Arc::new(numbers))]);
        write_parquet(&input(&workspace, day), &rows, 500);
    }
    let small = job("simple", "").replace(
        "shard_size = 6\n",
        // As little memory as there is: chunks of 256 records.
        "shard_size = 250\nworkers = 1\nmax_memory = 1\n",
    );
    workspace.write("job.toml", small);
    workspace
}

fn input(workspace: &Workspace, day: i32) -> std::path::PathBuf {
    workspace.path(&format!("input/2026-11-{day}.parquet"))
}

/// Damages the last row group of a day's input. The size and footer of the file stay as they are.
/// What is returned mends it.
fn break_input(workspace: &Workspace, day: i32) -> Vec<u8> {
    let file = input(workspace, day);
    let whole = fs::read(&file).expect("the file");
    damage(&file, "x", 3);
    whole
}

/// Leaves the run of a day unfinished; what is returned mends its input.
fn leave_unfinished(workspace: &Workspace, day: i32) -> Vec<u8> {
    let whole = break_input(workspace, day);
    let name = format!("2026-11-{day}.parquet");
    let stopped = run(workspace, day, &["--set", "schedule.catch_up=0"]);
    stopped.expect(65).says(&[&name]);
    whole
}

fn by_date(workspace: &Workspace) -> Vec<String> {
    seen(workspace, "predictions_by_date")
}

/// Number, state, epoch and time of completion of a run's shards.
fn shards(workspace: &Workspace, run_id: i64) -> Vec<Vec<String>> {
    workspace.query(&format!(
        "SELECT shard_no, state, epoch, completed_at FROM shards WHERE run_id = {run_id} ORDER BY 1"
    ))
}

#[test]
fn a_run_goes_on_with_the_shards_that_are_left() {
    let workspace = workspace();
    let whole = leave_unfinished(&workspace, 20);
    assert_eq!(runs(&workspace), ["20#1 running pending"]);
    assert_eq!(by_date(&workspace), [""; 0]);
    let before = shards(&workspace, 1);
    let done = before
        .iter()
        .filter(|shard| shard[1] == "completed")
        .count();
    assert!((1..8).contains(&done), "{before:?}");
    assert!(
        before.iter().all(|shard| shard[1] != "leased"),
        "{before:?}"
    );

    fs::write(input(&workspace, 20), whole).expect("the file");
    // What is no part of the fingerprint may be another one; the shards are those of the plan.
    let more = ["--workers", "2", "--set", "run.shard_size=77"];
    run(&workspace, 20, &more).expect(0);
    assert_eq!(runs(&workspace), ["20#1 completed published"]);
    assert_eq!(by_date(&workspace), ["simple 20 200 2000"]);
    let after = shards(&workspace, 1);
    assert_eq!(after.len(), 8);
    for (before, after) in before.iter().zip(&after) {
        if before[1] == "completed" {
            assert_eq!(before, after, "it was done again");
            assert_eq!(after[2], "1");
        } else {
            let epochs = [before, after].map(|shard| shard[2].parse::<i64>().expect("an epoch"));
            assert!(epochs[1] > epochs[0], "{epochs:?}");
        }
    }
    let arguments = ["runs", "show", "simple@2026-11-20#1", "--format", "json"];
    let shown = workspace.lamplighter(&arguments).expect(0).json();
    let attempts = shown["attempts"].as_array().expect("attempts");
    let codes: Vec<_> = attempts
        .iter()
        .map(|attempt| attempt["exit_code"].as_i64())
        .collect();
    assert_eq!(codes, [Some(65), Some(0)]);
    workspace
        .lamplighter(&["runs", "verify", "simple@2026-11-20#1"])
        .expect(0);
}

#[test]
fn a_run_whose_input_changed_gives_way_to_a_new_generation() {
    let workspace = workspace();
    let whole = leave_unfinished(&workspace, 20);
    fs::write(input(&workspace, 20), whole).expect("the file");
    linear_bundle(&workspace.path("bundle"), &[("x", 11.0)], 0.0, "");
    run(&workspace, 20, &[]).expect(0);
    assert_eq!(
        runs(&workspace),
        ["20#1 cancelled pending", "20#2 completed published"]
    );
    assert_eq!(by_date(&workspace), ["simple 20 220 2000"]);
}

#[test]
fn an_earlier_date_is_finished_before_tonights() {
    let workspace = workspace();
    let whole = leave_unfinished(&workspace, 20);
    fs::write(input(&workspace, 20), whole).expect("the file");
    run(&workspace, 21, &[]).expect(0);
    assert_eq!(
        runs(&workspace),
        ["20#1 completed published", "21#1 completed published"]
    );
    assert_eq!(
        by_date(&workspace),
        ["simple 20 200 2000", "simple 21 210 2000"]
    );
    let attempts =
        workspace.query("SELECT run_id, exit_code FROM run_attempts ORDER BY attempt_id");
    assert_eq!(attempts, [["1", "65"], ["1", "0"], ["2", "0"]]);
}

#[test]
fn an_earlier_date_that_still_fails_does_not_stop_tonights_and_the_exit_code_tells() {
    let workspace = workspace();
    leave_unfinished(&workspace, 20);
    let tonight = run(&workspace, 21, &[]).expect(65);
    tonight.says(&["unfinished date 2026-11-20"]);
    assert_eq!(
        runs(&workspace),
        ["20#1 running pending", "21#1 completed published"]
    );
    assert_eq!(by_date(&workspace), ["simple 21 210 2000"]);

    // Tonight's own failure is told as well as an earlier one's.
    fs::remove_file(input(&workspace, 22)).expect("the file");
    run(&workspace, 22, &[])
        .expect(66)
        .says(&["unfinished date 2026-11-20", "2026-11-22"]);
}

/// What was begun with one bundle is never finished with another without being asked.
#[test]
fn an_earlier_date_is_not_scored_with_what_changed_since() {
    let workspace = workspace();
    let whole = leave_unfinished(&workspace, 20);
    fs::write(input(&workspace, 20), whole).expect("the file");
    linear_bundle(&workspace.path("bundle"), &[("x", 11.0)], 0.0, "");
    let tonight = run(&workspace, 21, &[]).expect(78);
    tonight.says(&["unfinished date 2026-11-20", "runs cancel"]);
    assert_eq!(
        runs(&workspace),
        ["20#1 running pending", "21#1 completed published"]
    );
    assert_eq!(by_date(&workspace), ["simple 21 231 2000"]);
}

#[test]
fn as_many_unfinished_dates_are_caught_up_as_the_job_says_the_newest_first() {
    for (catch_up, left) in [
        ("0", &[20, 21, 22][..]),
        ("1", &[20, 21]),
        ("2", &[20]),
        ("3", &[]),
    ] {
        let workspace = workspace();
        for day in 20..=22 {
            let whole = leave_unfinished(&workspace, day);
            // The next night must not mend what it is not told to.
            fs::write(input(&workspace, day), whole).expect("the file");
        }
        let set = format!("schedule.catch_up={catch_up}");
        run(&workspace, 23, &["--set", &set]).expect(0);
        let unfinished: Vec<String> = left
            .iter()
            .map(|day| format!("{day}#1 running pending"))
            .collect();
        let found: Vec<String> = runs(&workspace)
            .into_iter()
            .filter(|run| run.contains("running"))
            .collect();
        assert_eq!(found, unfinished, "catch_up = {catch_up}");
        assert_eq!(
            by_date(&workspace).len(),
            4 - left.len(),
            "catch_up = {catch_up}"
        );
        // Those that are caught up are finished from the oldest on, tonight's last.
        let order = workspace.query(
            "SELECT logical_date FROM run_attempts AS attempt JOIN runs USING (run_id)
             WHERE attempt.exit_code = 0 ORDER BY attempt_id",
        );
        assert_eq!(order.len(), 4 - left.len());
        assert!(order.is_sorted(), "{order:?}");
    }
}

#[test]
fn a_cancelled_run_is_not_continued() {
    let workspace = workspace();
    let whole = leave_unfinished(&workspace, 20);
    workspace
        .lamplighter(&["runs", "cancel", "simple@2026-11-20#1"])
        .expect(0);
    fs::write(input(&workspace, 20), whole).expect("the file");
    let before = shards(&workspace, 1);
    run(&workspace, 21, &[]).expect(0);
    assert_eq!(
        runs(&workspace),
        ["20#1 cancelled pending", "21#1 completed published"]
    );
    assert_eq!(shards(&workspace, 1), before);

    // Asked for, the date is begun anew; what is finished cannot be cancelled.
    run(&workspace, 20, &[]).expect(0);
    assert_eq!(runs(&workspace)[2], "20#2 completed published");
    assert_eq!(shards(&workspace, 1), before);
    workspace
        .lamplighter(&["runs", "cancel", "simple@2026-11-20#2"])
        .expect(64);
    assert_eq!(
        by_date(&workspace),
        ["simple 20 200 2000", "simple 21 210 2000"]
    );
}

#[test]
fn a_rescored_generation_that_stops_midway_leaves_the_views_as_they_were_and_is_finished_later() {
    let workspace = workspace();
    run(&workspace, 20, &[]).expect(0);
    let whole = break_input(&workspace, 20);
    run(&workspace, 20, &["--rescore", "--reason", "again"]).expect(65);
    assert_eq!(
        runs(&workspace),
        ["20#1 completed published", "20#2 running pending"]
    );
    assert_eq!(by_date(&workspace), ["simple 20 200 2000"]);
    fs::write(input(&workspace, 20), whole).expect("the file");
    run(&workspace, 21, &[]).expect(0);
    assert_eq!(
        runs(&workspace)[..2],
        ["20#1 completed withheld", "20#2 completed published"]
    );
    let published = workspace.query("SELECT DISTINCT run_id FROM predictions_by_date ORDER BY 1");
    assert_eq!(published, [["2"], ["3"]]);
}

#[test]
fn other_jobs_of_the_database_are_not_continued() {
    let workspace = workspace();
    let whole = leave_unfinished(&workspace, 20);
    fs::write(input(&workspace, 20), whole).expect("the file");
    workspace.write("job.toml", job("other", ""));
    run(&workspace, 21, &[]).expect(0);
    assert_eq!(
        runs(&workspace),
        ["20#1 running pending", "21#1 completed published"]
    );
}

#[test]
fn a_trial_that_stops_midway_is_nobodys_business() {
    let workspace = workspace();
    let whole = break_input(&workspace, 20);
    run(&workspace, 20, &["--limit", "1990"]).expect(65);
    // A trial continues nobody's run, and nobody a trial.
    run(&workspace, 21, &[]).expect(0);
    assert_eq!(by_date(&workspace), ["simple 21 210 2000"]);
    fs::write(input(&workspace, 20), whole).expect("the file");
    run(&workspace, 20, &[]).expect(0);
    assert_eq!(
        by_date(&workspace),
        ["simple 20 200 2000", "simple 21 210 2000"]
    );
    let trial = workspace.value("SELECT state FROM runs WHERE trial = 1");
    assert_eq!(trial, "cancelled");
}
