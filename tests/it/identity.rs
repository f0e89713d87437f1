//! Which run a start means: the one that is done, one to go on with, or a new one; and which run
//! consumers see.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use arrow::array::{Float64Array, StringArray};

use crate::harness::{Ended, Workspace, batch, linear_bundle, simple_job, write_parquet};

/// A workspace with input for `2026-11-20` to `-23` (the day is the value of its only feature),
/// and a bundle that predicts ten times that.
pub fn workspace() -> Workspace {
    let workspace = Workspace::new();
    set_factor(&workspace, 10.0);
    for day in 20..=23 {
        set_input(&workspace, day, 20, f64::from(day));
    }
    workspace.write("job.toml", job("simple", ""));
    workspace
}

pub fn job(name: &str, more: &str) -> String {
    simple_job(&format!(
        "[errors]\nmax_dead_letters = 1\n\n[run]\nshard_size = 6\nbatch_size = 4\n\n{more}"
    ))
    .replace("input/*.parquet", "input/{date}.parquet")
    .replace("\"simple\"", &format!("\"{name}\""))
}

fn set_factor(workspace: &Workspace, factor: f32) {
    let more = "missing = \"reject\"";
    linear_bundle(&workspace.path("bundle"), &[("x", factor)], 0.0, more);
}

fn set_input(workspace: &Workspace, day: i32, count: usize, x: f64) {
    let ids = StringArray::from_iter_values((0..count).map(|row| format!("r{row}")));
    let numbers = Float64Array::from(vec![x; count]);
    let rows = batch(vec![("id", Arc::new(ids)), ("x", Arc::new(numbers))]);
    let file = workspace.path(&format!("input/2026-11-{day}.parquet"));
    write_parquet(&file, &rows, 5);
}

/// Input of which three records have no feature: more than the job's limit of dead letters.
fn set_poor_input(workspace: &Workspace, day: i32) {
    let ids = StringArray::from_iter_values((0..20).map(|row| format!("r{row}")));
    let numbers: Float64Array = (0..20).map(|row| (row > 2).then_some(1.0)).collect();
    let rows = batch(vec![("id", Arc::new(ids)), ("x", Arc::new(numbers))]);
    let file = workspace.path(&format!("input/2026-11-{day}.parquet"));
    write_parquet(&file, &rows, 5);
}

/// `lamplighter run job.toml --date 2026-11-DAY` and more.
pub fn run(workspace: &Workspace, day: i32, more: &[&str]) -> Ended {
    let date = format!("2026-11-{day}");
    workspace.lamplighter(&[&["run", "job.toml", "--date", &date], more].concat())
}

const RESCORE: [&str; 3] = ["--rescore", "--reason", "the model was wrong"];

/// What consumers see in `view`: job, date, value and number of records, of each run.
pub fn seen(workspace: &Workspace, view: &str) -> Vec<String> {
    workspace
        .query(&format!(
            "SELECT job || ' ' || substr(logical_date, 9) || ' ' || CAST(value AS INTEGER) || ' ' || count(*)
             FROM {view} GROUP BY job, logical_date, run_id, value ORDER BY 1"
        ))
        .concat()
}

fn by_date(workspace: &Workspace) -> Vec<String> {
    seen(workspace, "predictions_by_date")
}

/// Date, generation, state and publication of every run.
pub fn runs(workspace: &Workspace) -> Vec<String> {
    workspace
        .query(
            "SELECT substr(logical_date, 9) || '#' || generation || ' ' || state || ' ' || publication
             FROM runs ORDER BY run_id",
        )
        .concat()
}

/// Every row of every table.
fn content(workspace: &Workspace) -> Vec<Vec<String>> {
    let tables = workspace.query("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1");
    let mut rows = Vec::new();
    for table in tables.concat() {
        rows.push(vec![table.clone()]);
        rows.extend(workspace.query(&format!("SELECT * FROM \"{table}\" ORDER BY 1, 2")));
    }
    rows
}

/// Names of everything in the workspace's directory.
fn listing(workspace: &Workspace) -> BTreeSet<String> {
    fs::read_dir(workspace.path(""))
        .expect("the directory")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

#[test]
fn started_again_after_it_completed_it_says_so_and_writes_nothing() {
    let workspace = workspace();
    run(&workspace, 20, &[]).expect(0);
    let before = content(&workspace);
    let again = run(&workspace, 20, &[]).expect(0);
    assert!(
        again
            .stdout
            .contains("simple@2026-11-20#1 is already complete"),
        "{}",
        again.stdout
    );
    assert_eq!(content(&workspace), before);

    // A program gets the report of the run that did it.
    let report = run(&workspace, 20, &["--format", "json"]).expect(0).json();
    assert_eq!(report["run"], "simple@2026-11-20#1");
    assert_eq!(report["outcome"]["verdict"], "published");
    assert_eq!(content(&workspace), before);
}

#[test]
fn a_withheld_run_started_again_ends_the_same_and_writes_nothing() {
    let workspace = workspace();
    set_poor_input(&workspace, 20);
    // One shard, so that it does not end early.
    let whole = ["--set", "run.shard_size=100"];
    let first = run(&workspace, 20, &whole).expect(65);
    assert!(first.stdout.contains("WITHHELD") && first.stdout.contains("missing_value"));
    assert_eq!(by_date(&workspace), [""; 0]);
    let before = content(&workspace);
    run(&workspace, 20, &whole).expect(65);
    assert_eq!(content(&workspace), before);
}

#[test]
fn workers_memory_shards_and_limits_do_not_make_another_run() {
    let workspace = workspace();
    run(&workspace, 20, &[]).expect(0);
    let before = content(&workspace);
    for change in [
        &["--workers", "3"][..],
        &["--set", "run.workers=2"],
        &["--set", "run.shard_size=1000"],
        &["--set", "run.max_memory=64MiB"],
        &["--set", "errors.max_dead_letters=50%"],
        &["--set", "source.min_rows=3"],
        &["--set", "schedule.catch_up=0"],
    ] {
        run(&workspace, 20, change).expect(0);
        assert_eq!(content(&workspace), before, "{change:?}");
    }
}

#[test]
fn a_change_of_what_predictions_depend_on_is_refused_once_the_date_is_published() {
    let workspace = workspace();
    run(&workspace, 20, &[]).expect(0);
    let before = content(&workspace);
    let words = ["simple@2026-11-20#1 is published", "--rescore"];
    for (key, said) in [
        ("source.filter=x > 0", "[source] filter is another"),
        (
            "source.transform=x + 0 AS y",
            "[source] transform is another",
        ),
        ("run.batch_size=5", "batch_size was 4, now it is 5"),
    ] {
        let refused = run(&workspace, 20, &["--set", key]).expect(78);
        refused.says(&words).says(&[said]);
    }
    set_factor(&workspace, 11.0);
    run(&workspace, 20, &[])
        .expect(78)
        .says(&words)
        .says(&["bundle"]);
    set_factor(&workspace, 10.0);
    set_input(&workspace, 20, 21, 20.0);
    run(&workspace, 20, &[])
        .expect(78)
        .says(&words)
        .says(&["20 records", "21"]);
    set_input(&workspace, 20, 20, 19.0);
    run(&workspace, 20, &[])
        .expect(78)
        .says(&words)
        .says(&["content"]);
    assert_eq!(content(&workspace), before);

    // All as it was: the run is known again.
    set_input(&workspace, 20, 20, 20.0);
    run(&workspace, 20, &[]).expect(0);
    assert_eq!(content(&workspace), before);
}

#[test]
fn a_change_of_the_threshold_is_another_fingerprint() {
    let workspace = Workspace::new();
    workspace.copy_directory("fixtures/edge-cases/bundle", "bundle");
    let records = crate::harness::repository().join("fixtures/edge-cases/records.parquet");
    workspace.write("input/1.parquet", fs::read(records).expect("records"));
    let job = simple_job("[errors]\nmax_dead_letters = \"100%\"\n");
    workspace.write("job.toml", job.replace("\"id\"", "\"record\""));
    run(&workspace, 20, &[]).expect(0);
    let refused = run(&workspace, 20, &["--set", "model.threshold=0.9"]).expect(78);
    refused.says(&["simple@2026-11-20#1 is published", "threshold"]);
}

#[test]
fn a_change_makes_a_new_generation_while_nothing_of_the_date_is_published() {
    let workspace = workspace();
    set_poor_input(&workspace, 20);
    run(&workspace, 20, &[]).expect(65);
    set_input(&workspace, 20, 20, 20.0);
    run(&workspace, 20, &[]).expect(0);
    let expected = ["20#1 completed withheld", "20#2 completed published"];
    assert_eq!(runs(&workspace), expected);
    assert_eq!(by_date(&workspace), ["simple 20 200 20"]);
}

#[test]
fn rescoring_makes_a_generation_that_replaces_the_published_one() {
    let workspace = workspace();
    run(&workspace, 20, &[]).expect(0);
    let first = workspace.prediction_bits(1);
    set_factor(&workspace, 11.0);
    run(&workspace, 20, &RESCORE).expect(0);
    let expected = ["20#1 completed withheld", "20#2 completed published"];
    assert_eq!(runs(&workspace), expected);
    assert_eq!(by_date(&workspace), ["simple 20 220 20"]);
    assert_eq!(seen(&workspace, "predictions_latest"), ["simple 20 220 20"]);
    assert_eq!(workspace.prediction_bits(1), first);
    let arguments = ["report", "simple@2026-11-20#2", "--format", "json"];
    let report = workspace.lamplighter(&arguments).expect(0).json();
    assert_eq!(report["reason"], "the model was wrong");
    assert_eq!(report["generation"], 2);

    // The new generation is the date's run now; without a change it may be scored again as well.
    run(&workspace, 20, &[]).expect(0);
    assert_eq!(runs(&workspace).len(), 2);
    run(&workspace, 20, &RESCORE).expect(0);
    assert_eq!(
        runs(&workspace)[1..],
        ["20#2 completed withheld", "20#3 completed published"]
    );
}

#[test]
fn what_rescoring_replaced_is_refused_when_it_comes_back() {
    let workspace = workspace();
    run(&workspace, 20, &[]).expect(0);
    set_factor(&workspace, 11.0);
    run(&workspace, 20, &RESCORE).expect(0);
    set_factor(&workspace, 10.0);
    let words = ["simple@2026-11-20#2 is published", "bundle"];
    run(&workspace, 20, &[]).expect(78).says(&words);
    assert_eq!(by_date(&workspace), ["simple 20 220 20"]);
}

#[test]
fn a_rescored_generation_that_is_withheld_leaves_the_views_as_they_were() {
    let workspace = workspace();
    run(&workspace, 20, &[]).expect(0);
    set_poor_input(&workspace, 20);
    run(&workspace, 20, &RESCORE).expect(65);
    assert_eq!(
        runs(&workspace),
        ["20#1 completed published", "20#2 completed withheld"]
    );
    assert_eq!(by_date(&workspace), ["simple 20 200 20"]);

    // The old input comes back: its run is done, and published.
    set_input(&workspace, 20, 20, 20.0);
    let done = run(&workspace, 20, &[]).expect(0);
    assert!(
        done.stdout
            .contains("simple@2026-11-20#1 is already complete"),
        "{}",
        done.stdout
    );
}

#[test]
fn a_withheld_date_can_be_rescored_with_another_limit() {
    let workspace = workspace();
    set_poor_input(&workspace, 20);
    run(&workspace, 20, &[]).expect(65);
    let more = ["--set", "errors.max_dead_letters=3"];
    run(&workspace, 20, &[&RESCORE[..], &more].concat()).expect(0);
    assert_eq!(by_date(&workspace), ["simple 20 10 17"]);
}

#[test]
fn rescoring_takes_a_reason_and_a_reason_takes_rescoring() {
    let workspace = workspace();
    run(&workspace, 20, &["--rescore"])
        .expect(64)
        .says(&["--reason"]);
    run(&workspace, 20, &["--reason", "x"])
        .expect(64)
        .says(&["--rescore"]);
    assert!(!workspace.path("lamplighter.db").exists());
}

#[test]
fn a_trial_is_labelled_and_stands_in_nobodys_way() {
    let workspace = workspace();
    let trial = run(&workspace, 20, &["--limit", "7"]).expect(0);
    assert!(trial.stdout.contains("TRIAL"), "{}", trial.stdout);
    assert_eq!(by_date(&workspace), [""; 0]);
    let list = workspace.lamplighter(&["runs", "list"]).expect(0);
    assert!(list.stdout.contains("trial"), "{}", list.stdout);
    let scored = workspace
        .query("SELECT ordinal FROM predictions ORDER BY ordinal")
        .concat();
    assert_eq!(scored, ["0", "1", "2", "3", "4", "5", "6"]);

    // The date is still to be done; then trials go on, and change nothing of it.
    run(&workspace, 20, &[]).expect(0);
    assert_eq!(by_date(&workspace), ["simple 20 200 20"]);
    run(&workspace, 20, &["--limit", "3"]).expect(0);
    run(&workspace, 20, &["--limit", "3"]).expect(0);
    run(
        &workspace,
        20,
        &["--limit", "1000", "--set", "run.batch_size=2"],
    )
    .expect(0);
    assert_eq!(by_date(&workspace), ["simple 20 200 20"]);
    let again = run(&workspace, 20, &[]).expect(0);
    assert!(
        again.stdout.contains("already complete"),
        "{}",
        again.stdout
    );
    let trials =
        workspace.value("SELECT count(*) FROM runs WHERE trial = 1 AND publication = 'withheld'");
    assert_eq!(trials, "4");
}

#[test]
fn a_dry_run_writes_nothing_at_all() {
    let workspace = workspace();
    let before = listing(&workspace);
    let arguments = ["--dry-run", "--format", "json"];
    let plan = run(&workspace, 20, &arguments).expect(0).json();
    assert_eq!(listing(&workspace), before);
    assert_eq!(plan["action"], "plan a new run");
    assert_eq!(plan["records"], 20);
    assert_eq!(plan["shards"], 4);

    run(&workspace, 20, &[]).expect(0);
    let (names, rows) = (listing(&workspace), content(&workspace));
    for (day, more, code) in [
        (20, &[][..], 0),
        (21, &[], 0),
        (20, &RESCORE, 0),
        (20, &["--limit", "2"], 0),
        (20, &["--set", "run.batch_size=5"], 78),
        (24, &[], 66),
    ] {
        let arguments = [&["--dry-run"], more].concat();
        run(&workspace, day, &arguments).expect(code);
        assert_eq!(listing(&workspace), names, "{more:?}");
    }
    assert_eq!(content(&workspace), rows);
}

#[test]
fn views_show_the_published_run_of_each_date_and_the_newest_date_of_each_job() {
    let workspace = workspace();
    workspace.write("other.toml", job("other", ""));
    let other = |day: &str| {
        workspace
            .lamplighter(&["run", "other.toml", "--date", day])
            .expect(0)
    };
    run(&workspace, 21, &[]).expect(0);
    run(&workspace, 22, &[]).expect(0);
    other("2026-11-20");
    // A date that is done late is not the newest.
    run(&workspace, 20, &[]).expect(0);
    run(&workspace, 23, &["--limit", "5"]).expect(0);
    let all = [
        "other 20 200 20",
        "simple 20 200 20",
        "simple 21 210 20",
        "simple 22 220 20",
    ];
    assert_eq!(by_date(&workspace), all);
    let latest = ["other 20 200 20", "simple 22 220 20"];
    assert_eq!(seen(&workspace, "predictions_latest"), latest);

    set_poor_input(&workspace, 23);
    run(&workspace, 23, &[]).expect(65);
    assert_eq!(by_date(&workspace), all);
    assert_eq!(seen(&workspace, "predictions_latest"), latest);
    other("2026-11-21");
    assert_eq!(
        seen(&workspace, "predictions_latest"),
        ["other 21 210 20", "simple 22 220 20"]
    );
}
