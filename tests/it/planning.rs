//! What `plan` says before a run, and what `[cost]` refuses.

use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray};

use crate::harness::started::Started;
use crate::harness::{Ended, batch, linear_bundle, simple_job, write_parquet};
use crate::ledger::{Home, on_both};
use crate::parquet_pages::damage;

on_both! {
    a_plan_counts_what_a_run_will_do_and_writes_nothing,
    a_plan_knows_what_is_done_already,
    a_run_that_would_cost_too_much_is_refused_before_anything_is_claimed,
    a_queue_is_planned_and_goes_on_waiting,
}

const RECORDS: usize = 3000;

/// Records with a column that nobody needs, and a job that scores them.
fn set_up(home: &Home, more: &str) {
    let workspace = home.workspace();
    linear_bundle(&workspace.path("bundle"), &[("x", 2.0)], 0.0, "");
    let ids = StringArray::from_iter_values((0..RECORDS).map(|row| format!("r{row:05}")));
    let numbers: ArrayRef = Arc::new(Float64Array::from_iter_values(
        (0..RECORDS).map(|row| row as f64),
    ));
    let rows = batch(vec![
        ("id", Arc::new(ids)),
        ("x", numbers.clone()),
        ("unused", numbers),
    ]);
    write_parquet(&workspace.path("input/rows.parquet"), &rows, 1000);
    workspace.write("job.toml", simple_job(more));
}

fn lamplighter(home: &Home, arguments: &[&str]) -> Ended {
    let url = home.url();
    let arguments = [arguments, &["--database", &url]].concat();
    home.workspace().lamplighter(&arguments)
}

fn plan(home: &Home, more: &[&str]) -> serde_json::Value {
    let plan = ["plan", "job.toml", "--format", "json"];
    lamplighter(home, &[&plan, more].concat()).expect(0).json()
}

/// Files of the workspace, those that SQLite makes beside a database that is read aside.
fn files(home: &Home) -> Vec<String> {
    let directory = fs::read_dir(home.workspace().path("")).expect("a directory");
    let mut names: Vec<String> = directory
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm"))
        .collect();
    names.sort();
    names
}

const TABLES: [&str; 7] = [
    "runs",
    "run_attempts",
    "shards",
    "predictions",
    "dead_letters",
    "publications",
    "jobs",
];

fn a_plan_counts_what_a_run_will_do_and_writes_nothing(home: &Home) {
    set_up(
        home,
        "[run]\nshard_size = 100\n[cost]\nper_hour = 3600\ncurrency = \"EUR\"\n",
    );
    let (tables, before) = (home.counts(&TABLES), files(home));
    let plan = plan(home, &["--workers", "2"]);
    assert_eq!(plan["action"], "plan a new run");
    assert_eq!(plan["records"], RECORDS);
    assert_eq!(plan["shards"], 30);
    assert_eq!(plan["workers"], 2);
    assert_eq!(plan["columns"], serde_json::json!(["id", "x"]));
    let (read, whole) = (plan["column_bytes"].as_u64(), plan["input_bytes"].as_u64());
    assert!(read > Some(0) && read < whole, "{plan}");
    assert_eq!(plan["probe_records"], RECORDS, "it fits into the probe");
    let seconds = plan["forecast_seconds"].as_f64().expect("seconds");
    assert!(seconds > 0.0);
    let cost = plan["cost"].as_f64().expect("an amount");
    assert!(
        (cost / seconds - 1.0).abs() < 1e-9,
        "1 EUR a second: {plan}"
    );
    assert!(plan["peak_memory_bytes"].as_u64() > Some(1 << 20), "{plan}");
    let text = lamplighter(
        home,
        &["plan", "job.toml", "--set", "schedule.finish_by=23:59"],
    );
    let text = text.expect(0).stdout;
    for said in [
        "3,000",
        "30 of 100 records",
        "EUR",
        "finish_by",
        "2 columns",
    ] {
        assert!(text.contains(said), "`{said}` is missing: {text}");
    }
    assert_eq!(home.counts(&TABLES), tables);
    assert_eq!(files(home), before, "nothing is left behind");
}

fn a_plan_knows_what_is_done_already(home: &Home) {
    set_up(
        home,
        "[run]\nshard_size = 100\nworkers = 1\ngrace = \"0s\"\n",
    );
    let url = home.url();
    let run = [
        "run",
        "job.toml",
        "--date",
        "2026-11-23",
        "--database",
        &url,
    ];
    let mut command = home.workspace().command(&run);
    command.env("LAMPLIGHTER_FAULT", "slow:r02950");
    let started = Started::new(&mut command);
    started.until("a fault strikes");
    started.send("TERM");
    started.end().expect(75);
    let plan_of = |date: &str| plan(home, &["--date", date]);
    let unfinished = plan_of("2026-11-23");
    assert_eq!(unfinished["action"], "resume");
    assert_eq!(unfinished["run"], "simple@2026-11-23#1");
    let done = unfinished["done"].as_u64().expect("a number");
    assert!(
        (100..=2900).contains(&done) && done % 100 == 0,
        "{unfinished}"
    );
    lamplighter(home, &run[..4]).expect(0);
    let complete = plan_of("2026-11-23");
    assert_eq!(complete["action"], "nothing, it is complete");
    assert_eq!(complete["forecast_seconds"], 0.0);
    assert_eq!(plan_of("2026-11-24")["action"], "plan a new run");
}

fn a_run_that_would_cost_too_much_is_refused_before_anything_is_claimed(home: &Home) {
    // A million a second.
    set_up(home, "[cost]\nper_hour = 3600000000\nmax_per_run = 1\n");
    let refused = lamplighter(home, &["run", "job.toml", "--date", "2026-11-23"]).expect(78);
    refused.says(&["[cost] max_per_run is 1.00 USD", "nothing was claimed"]);
    assert_eq!(
        home.counts(&["runs", "shards", "run_attempts"]),
        ["0", "0", "0"]
    );
    let range = [
        "backfill",
        "job.toml",
        "--from",
        "2026-11-23",
        "--to",
        "2026-11-23",
    ];
    lamplighter(home, &range).expect(78).says(&["max_per_run"]);
    let text = lamplighter(home, &["plan", "job.toml"]).expect(0).stdout;
    assert!(text.contains("REFUSED"), "{text}");
    // A trial is cheap, and tells what there is.
    let trial = ["run", "job.toml", "--date", "2026-11-23", "--limit", "10"];
    lamplighter(home, &trial).expect(0);
    let dear = ["--set", "cost.max_per_run=1e12", "--format", "json"];
    let run = ["run", "job.toml", "--date", "2026-11-23"];
    let report = lamplighter(home, &[&run[..], &dear].concat())
        .expect(0)
        .json();
    assert!(report["cost"]["amount"].as_f64() > Some(0.0), "{report}");
    assert_eq!(report["cost"]["currency"], "USD");
}

fn a_queue_is_planned_and_goes_on_waiting(home: &Home) {
    set_up(home, "");
    let job = fs::read_to_string(home.workspace().path("job.toml")).expect("the job");
    let queue = job
        .replace("kind = \"parquet\"", "kind = \"queue\"")
        .replace("path = \"input/*.parquet\"\n", "");
    home.workspace().write("job.toml", queue);
    lamplighter(home, &["queue", "push", "job.toml", "input/rows.parquet"]).expect(0);
    let plan = plan(home, &[]);
    assert_eq!(
        (&plan["records"], &plan["probe_records"]),
        (&RECORDS.into(), &RECORDS.into())
    );
    assert_eq!(
        home.value("SELECT count(*) FROM queue WHERE run_id IS NULL"),
        "3000"
    );
}

#[test]
fn a_first_run_needs_no_database_to_be_planned() {
    let home = Home::sqlite();
    set_up(&home, "");
    let nowhere = home.workspace().path("nowhere.db");
    let url = format!("sqlite://{}", nowhere.display());
    let plan = ["plan", "job.toml", "--database", &url];
    home.workspace().lamplighter(&plan).expect(0);
    assert!(!nowhere.exists());
}

#[test]
fn a_table_is_planned_by_its_statistics() {
    let home = Home::postgres();
    set_up(&home, "");
    home.execute(
        "CREATE TABLE lamplighter.flights AS
         SELECT 'f' || n AS id, n::float8 AS x FROM generate_series(1, 5000) AS n",
    );
    home.execute("ANALYZE lamplighter.flights");
    let job = fs::read_to_string(home.workspace().path("job.toml")).expect("the job");
    let table = job
        .replace("kind = \"parquet\"", "kind = \"postgres\"")
        .replace(
            "path = \"input/*.parquet\"",
            "table = \"lamplighter.flights\"",
        );
    home.workspace().write("job.toml", table);
    let plan = plan(&home, &[]);
    assert_eq!(plan["records"], 5000);
    assert_eq!(plan["records_are_expected"], true);
    assert!(plan["column_bytes"].as_u64() > Some(5000), "{plan}");
    assert_eq!(plan["probe_records"], 5000);
}

/// Scoring again is no way around the limit, and a limit no obstacle to it.
#[test]
fn what_is_scored_again_is_held_to_the_limit_too() {
    let home = Home::sqlite();
    set_up(&home, "[cost]\nper_hour = 1\nmax_per_run = 1000\n");
    let run = ["run", "job.toml", "--date", "2026-11-23"];
    lamplighter(&home, &run).expect(0);
    let again = ["--rescore", "--reason", "again"];
    let dear = ["--set", "cost.per_hour=3600000000"];
    let refused = lamplighter(&home, &[&run[..], &again, &dear].concat()).expect(78);
    refused.says(&["[cost] max_per_run is"]);
    assert_eq!(home.counts(&["runs"]), ["1"]);
    // Another model.
    linear_bundle(&home.workspace().path("bundle"), &[("x", 3.0)], 0.0, "");
    lamplighter(&home, &[&run[..], &again].concat()).expect(0);
    let range = [
        "backfill",
        "job.toml",
        "--from",
        "2026-11-23",
        "--to",
        "2026-11-23",
    ];
    let all = ["--reprocess", "all", "--reason", "once more"];
    lamplighter(&home, &[&range[..], &all].concat()).expect(0);
    assert_eq!(home.counts(&["runs"]), ["3"]);
}

/// What keeps the forecast from being made keeps the run from being begun.
#[test]
fn without_a_forecast_nothing_is_claimed() {
    let home = Home::sqlite();
    set_up(&home, "[cost]\nper_hour = 1\nmax_per_run = 1000\n");
    damage(&home.workspace().path("input/rows.parquet"), "x", 0);
    let run = ["run", "job.toml", "--date", "2026-11-23"];
    let refused = lamplighter(&home, &run).expect(65);
    refused.says(&[
        "no forecast, which [cost] max_per_run needs",
        "rows.parquet",
    ]);
    assert_eq!(home.counts(&["runs"]), ["0"]);
}

/// What workers have in hand when the time is up counts.
#[test]
fn a_shard_that_takes_longer_than_the_probe_is_measured_all_the_same() {
    let home = Home::sqlite();
    set_up(&home, "[run]\nshard_size = 1500\nworkers = 2\n");
    let url = home.url();
    let plan = ["plan", "job.toml", "--format", "json", "--database", &url];
    let mut command = home.workspace().command(&plan);
    command.env("LAMPLIGHTER_FAULT", "slow:r00001,slow:r01501");
    let plan = Ended::of(&mut command).expect(0).json();
    assert_eq!(plan["probe_records"], RECORDS);
    let seconds = plan["probe_seconds"].as_f64();
    assert!(seconds >= Some(3.0), "{plan}");
}

/// A forecast is no part of the night: what kills it does not keep the night from finding out which
/// record it was.
#[test]
fn a_record_that_kills_the_forecast_is_found_by_the_run() {
    let home = Home::sqlite();
    set_up(
        &home,
        "[run]\nshard_size = 1000\n[errors]\nmax_dead_letters = 10\n[cost]\nper_hour = 1\nmax_per_run = 1000\n",
    );
    let url = home.url();
    let arguments = [
        "run",
        "job.toml",
        "--date",
        "2026-11-23",
        "--database",
        &url,
    ];
    let start = || {
        let mut command = home.workspace().command(&arguments);
        Ended::of(command.env("LAMPLIGHTER_FAULT", "abort:r01500"))
    };
    for _ in 0..2 {
        let ended = start();
        assert!(ended.signal.is_some(), "{ended}");
    }
    start().expect(0);
    assert_eq!(home.counts(&["predictions", "dead_letters"]), ["2999", "1"]);
}

#[test]
fn a_role_without_temporary_tables_plans_without_the_databases_part() {
    let home = Home::postgres();
    set_up(&home, "[cost]\nper_hour = 1\nmax_per_run = 1000\n");
    home.execute(
        "DO $$ BEGIN
             EXECUTE 'REVOKE ALL ON DATABASE ' || current_database() || ' FROM PUBLIC';
             EXECUTE 'CREATE ROLE ' || current_database() || '_night LOGIN';
             EXECUTE 'GRANT CONNECT ON DATABASE ' || current_database() || ' TO ' || current_database() || '_night';
             EXECUTE 'GRANT USAGE ON SCHEMA lamplighter TO ' || current_database() || '_night';
             EXECUTE 'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA lamplighter TO ' || current_database() || '_night';
         END $$",
    );
    let role = home.value("SELECT current_database() || '_night'");
    let url = home.url_as(&role);
    let workspace = home.workspace();
    let plan = ["plan", "job.toml", "--database", &url];
    let text = workspace.lamplighter(&plan).expect(0).stdout;
    assert!(text.contains("may not create temporary tables"), "{text}");
    let run = [
        "run",
        "job.toml",
        "--date",
        "2026-11-23",
        "--database",
        &url,
    ];
    workspace.lamplighter(&run).expect(0);
}
