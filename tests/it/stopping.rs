//! `finish_by`, and what a run leaves when it is to stop.

use std::process::Command;

use crate::harness::flights_on_postgres::{DATE, Flights, eventually};
use crate::harness::results::Results;
use crate::harness::started::Started;
use crate::harness::{Ended, Workspace, linear_bundle, repository, simple_job};

/// `finish_by` a moment from now, by a database's clock.
fn soon(flights: &Flights, seconds: u32) -> String {
    let at = format!("to_char((now() + interval '{seconds} s') AT TIME ZONE 'UTC', 'HH24:MI:SS')");
    format!(
        "schedule.finish_by={}",
        flights.value(&format!("SELECT {at}"))
    )
}

/// Every commit takes so long.
fn slow_down(flights: &Flights, seconds: f32) {
    flights.database.execute(&format!(
        "CREATE FUNCTION lamplighter.slowly() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$;
         CREATE TRIGGER slowly BEFORE INSERT ON lamplighter.predictions
             FOR EACH STATEMENT EXECUTE FUNCTION lamplighter.slowly()"
    ));
}

#[test]
fn past_finish_by_the_run_ends_with_80_after_a_warning_and_a_later_start_completes_it() {
    let flights = Flights::new();
    slow_down(&flights, 0.2);
    let finish_by = soon(&flights, 4);
    let more = ["--set", &finish_by, "--format", "json"];
    let ended = Ended::of(&mut flights.run(DATE, "late", 1_000, &more)).expect(80);
    let time = finish_by.rsplit('=').next().expect("a time");
    let ended = ended.says(&[
        "at this rate the run will not be done by [schedule] finish_by",
        "error: it is past [schedule] finish_by",
        time,
        "hint: what is committed stays",
    ]);
    let so_far = ended.json();
    assert_eq!(so_far["outcome"]["verdict"], "unfinished");
    assert_eq!(so_far["outcome"]["exit_code"], 80);
    let committed = so_far["counts"]["predicted"].as_u64().expect("a number");
    assert!(committed > 0, "{so_far}");
    let counts = "SELECT count(*) FROM predictions";
    assert_eq!(flights.value(counts), committed.to_string());
    let left = so_far["counts"]["unfinished"].as_u64().expect("a number");
    assert_eq!(so_far["counts"]["planned"], committed + left);
    assert_eq!(flights.value("SELECT state FROM runs"), "running");
    let held = "SELECT count(*) FROM shards WHERE state = 'leased' OR attempts > 1";
    assert_eq!(flights.value(held), "0");
    assert_eq!(flights.value("SELECT exit_code FROM run_attempts"), "80");

    flights
        .database
        .execute("DROP TRIGGER slowly ON lamplighter.predictions");
    Ended::of(&mut flights.run(DATE, "next", 1_000, &[])).expect(0);
    flights.check(DATE);
}

#[test]
fn a_start_does_not_wait_for_its_input_past_finish_by() {
    let workspace = Workspace::new();
    linear_bundle(&workspace.path("bundle"), &[("x", 1.0)], 0.0, "");
    let job = simple_job("").replace(
        "id_column",
        "wait_for = \"never\"\nwait = \"1h\"\nid_column",
    );
    workspace.write("job.toml", job);
    let clock = Command::new("date")
        .args(["-u", "-d", "+2 seconds", "+%T"])
        .output();
    let clock = String::from_utf8(clock.expect("the program `date`").stdout).expect("text");
    let finish_by = format!("schedule.finish_by={}", clock.trim());
    workspace
        .lamplighter(&["run", "job.toml", "--set", &finish_by])
        .expect(80)
        .says(&["waiting for input", "past [schedule] finish_by"]);
}

#[test]
fn a_stop_tells_what_there_is() {
    let flights = Flights::new();
    let barrier = flights.barrier();
    let mut started = flights.start("stopped", 20_000, &["--format", "json"]);
    flights.until_it_holds(&mut started);
    started.send("TERM");
    drop(barrier);
    let so_far = started.end().expect(75).json();
    assert_eq!(so_far["outcome"]["verdict"], "unfinished");
    assert_eq!(so_far["outcome"]["explanation"], "interrupted");
    let predicted = so_far["counts"]["predicted"].as_u64().expect("a number");
    let sum = predicted + so_far["counts"]["unfinished"].as_u64().expect("a number");
    assert_eq!(so_far["counts"]["planned"], sum);
    let counts = "SELECT count(*) FROM predictions";
    assert_eq!(flights.value(counts), predicted.to_string());
}

/// One shard that takes a while.
fn one_shard(results: &Results, more: &[&str]) -> Command {
    let run = [
        "run",
        "jobs/flight-delay.toml",
        "--date",
        DATE,
        "--workers",
        "1",
    ];
    let size = ["--set", "run.shard_size=1000000"];
    let mut command = results.command(&[&run[..], &size, more].concat());
    let database = results.workspace.path("lamplighter.db");
    command
        .env("DATABASE_URL", format!("sqlite://{}", database.display()))
        .current_dir(repository());
    command
}

#[test]
fn without_grace_the_shard_in_hand_is_dropped_and_scored_by_the_next_start() {
    let results = Results::in_sqlite();
    let mut command = one_shard(&results, &["--set", "run.grace=0s"]);
    command.env("LAMPLIGHTER_FAULT", "slow:2013-10-01-US1877-EWR-0500");
    let started = Started::new(&mut command);
    started.until("a fault strikes").send("TERM");
    started.end().expect(75);
    assert_eq!(results.value("SELECT count(*) FROM predictions"), "0");
    let shard = "SELECT state || ' ' || attempts FROM shards";
    assert_eq!(results.value(shard), "available 0");
    Ended::of(&mut one_shard(&results, &[])).expect(0);
    results.verify();
}

#[test]
fn a_worker_that_hangs_does_not_keep_a_stop_from_coming() {
    let results = Results::in_sqlite();
    let mut command = one_shard(&results, &["--set", "run.grace=0s"]);
    command.env("LAMPLIGHTER_FAULT", "hang:2013-10-01-US1877-EWR-0500");
    let started = Started::new(&mut command);
    started.until("a fault strikes").send("TERM");
    started
        .end()
        .expect(75)
        .says(&["a worker does not let go of its shard"]);
    // It is as if the process had been killed: the shard may be the reason.
    assert_eq!(results.value("SELECT attempts FROM shards"), "1");
}

#[test]
fn a_finish_by_that_is_no_time_is_refused_with_its_line() {
    let workspace = Workspace::new();
    workspace.write("job.toml", simple_job("[schedule]\nfinish_by = \"6 am\"\n"));
    workspace
        .lamplighter(&["run", "job.toml"])
        .expect(78)
        .says(&[
            "job.toml:13: [schedule] finish_by: expected a time of day; found",
            "hint: such as \"06:00\"",
        ]);
}

#[test]
fn others_go_on_when_one_is_late() {
    let flights = Flights::new();
    let barrier = flights.barrier();
    let finish_by = soon(&flights, 2);
    let mut late = flights.start("late", 5_000, &["--set", &finish_by]);
    flights.until_it_holds(&mut late);
    let passed = format!(
        "SELECT to_char(now() AT TIME ZONE 'UTC', 'HH24:MI:SS') > '{}'",
        finish_by.rsplit('=').next().expect("a time")
    );
    eventually(|| flights.value(&passed) == "t");
    let other = flights.start("other", 5_000, &[]);
    other.until("going on with an unfinished run");
    drop(barrier);
    late.end().expect(80);
    flights.ends(vec![other]).remove(0).expect(0);
    flights.check(DATE);
}
