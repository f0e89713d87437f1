//! Where a setting comes from: the job file, its overlays, the command line, the environment; and
//! which date a start means.

use std::sync::Arc;

use arrow::array::{Float64Array, StringArray};

use crate::harness::{Ended, Workspace, batch, linear_bundle, simple_job, write_parquet};

/// A workspace with twelve records and a job with `more`.
fn workspace(more: &str) -> Workspace {
    let workspace = Workspace::new();
    linear_bundle(&workspace.path("bundle"), &[("x", 1.0)], 0.0, "");
    let ids = StringArray::from_iter_values((0..12).map(|row| format!("r{row}")));
    let numbers = Float64Array::from(vec![1.0; 12]);
    let rows = batch(vec![("id", Arc::new(ids)), ("x", Arc::new(numbers))]);
    write_parquet(&workspace.path("input/1.parquet"), &rows, 5);
    workspace.write("job.toml", simple_job(more));
    workspace
}

/// What a dry run with these arguments, in this time zone, says in JSON.
fn dry_run(workspace: &Workspace, more: &[&str], zone: &str) -> serde_json::Value {
    let arguments = [&["run", "job.toml", "--dry-run", "--format", "json"], more].concat();
    Ended::of(workspace.command(&arguments).env("TZ", zone))
        .expect(0)
        .json()
}

fn date_of(workspace: &Workspace, more: &[&str], zone: &str) -> String {
    let plan = dry_run(workspace, more, zone);
    plan["logical_date"].as_str().expect("a date").to_owned()
}

/// The clocks of these two are 26 hours apart: their dates differ at every moment.
const EARLY: &str = "Pacific/Kiritimati";
const LATE: &str = "Etc/GMT+12";

#[test]
fn an_overlay_lies_over_the_file_and_the_command_line_over_both() {
    let overlays = "[run]\nshard_size = 12\n\n[env.prod.run]\nshard_size = 6\n\n[env.test.run]\nshard_size = 4\n";
    let workspace = workspace(overlays);
    for (arguments, shards) in [
        (&[][..], 1),
        (&["--env", "prod"], 2),
        (&["--env", "test"], 3),
        (&["--set", "run.shard_size=3"], 4),
        (&["--env", "prod", "--set", "run.shard_size=3"], 4),
        (
            &["--set", "run.shard_size=3", "--set", "run.shard_size=2"],
            6,
        ),
    ] {
        let plan = dry_run(&workspace, arguments, "UTC");
        assert_eq!(plan["shards"], shards, "{arguments:?}");
    }
    let arguments = ["--set", "run.workers=3", "--workers", "5"];
    assert_eq!(dry_run(&workspace, &arguments, "UTC")["workers"], 5);
}

#[test]
fn what_is_not_there_is_refused_by_name() {
    let workspace = workspace("[env.prod.run]\nshard_size = 6\n");
    let run = |more: &[&str]| workspace.lamplighter(&[&["run", "job.toml"], more].concat());
    run(&["--env", "prd"]).expect(78).says(&["`prd`", "prod"]);
    run(&["--set", "run.shardsize=6"])
        .expect(64)
        .says(&["shardsize", "shard_size"]);
    run(&["--set", "run.shard_size"])
        .expect(64)
        .says(&["SECTION.KEY=VALUE"]);
    run(&["--set", "run.shard_size=many"]).expect(64);
    run(&["--set", "run.shard_size=0"]).expect(64);
    run(&["--workers", "0"]).expect(64);
    run(&["--limit", "0"]).expect(64);
    assert!(!workspace.path("lamplighter.db").exists());
}

#[test]
fn the_database_is_the_one_that_is_named_nearest_to_the_start() {
    let sink = "[sink]\ndatabase = \"sqlite://of-job.db\"\n\n[env.prod.sink]\ndatabase = \"sqlite://of-overlay.db\"\n";
    let workspace = workspace(sink);
    workspace.write("url", "sqlite://of-file.db\n");
    let names = [
        "of-job.db",
        "of-overlay.db",
        "of-file.db",
        "of-variable.db",
        "of-option.db",
    ];
    for (name, environment, more) in [
        (names[0], &[][..], &[][..]),
        (names[1], &[], &["--env", "prod"]),
        (
            names[2],
            &[("DATABASE_URL_FILE", "url")],
            &["--env", "prod"],
        ),
        (
            names[3],
            &[
                ("DATABASE_URL_FILE", "url"),
                ("DATABASE_URL", "sqlite://of-variable.db"),
            ],
            &["--env", "prod"],
        ),
        (
            names[4],
            &[("DATABASE_URL", "sqlite://of-variable.db")],
            &["--database", "sqlite://of-option.db"],
        ),
    ] {
        let there = |name: &&str| workspace.path(name).exists();
        assert!(!there(&name));
        let before = names.iter().filter(|name| there(name)).count();
        let arguments = [&["run", "job.toml", "--date", "2026-11-23"], more].concat();
        Ended::of(
            workspace
                .command(&arguments)
                .envs(environment.iter().copied()),
        )
        .expect(0);
        assert!(there(&name), "{name}");
        assert_eq!(names.iter().filter(|name| there(name)).count(), before + 1);
    }
    assert!(!workspace.path("lamplighter.db").exists());
}

#[test]
fn a_date_is_named_on_the_command_line_or_by_the_schedule() {
    let workspace = workspace("[schedule]\ndate = \"2026-03-05\"\n");
    for zone in [EARLY, LATE] {
        assert_eq!(date_of(&workspace, &[], zone), "2026-03-05");
        assert_eq!(
            date_of(&workspace, &["--date", "2026-11-23"], zone),
            "2026-11-23"
        );
    }
    for wrong in [
        "2026-11-31",
        "23.11.2026",
        "1d",
        "tomorrow",
        "2026-11-23T05",
    ] {
        let refused = workspace.lamplighter(&["run", "job.toml", "--date", wrong]);
        refused.expect(64).says(&[wrong]);
    }
}

#[test]
fn today_is_that_of_the_schedules_time_zone_whatever_the_processs_is() {
    let workspace = workspace("");
    let in_zone = |zone: &str, process: &str| {
        let set = format!("schedule.timezone={zone}");
        date_of(&workspace, &["--set", &set], process)
    };
    // Time goes on between two starts, so the one that is to be earlier comes first.
    let (late, early) = (in_zone(LATE, EARLY), in_zone(EARLY, LATE));
    assert!(late < early, "{late} {early}");
    // If the process's zone had a say, the second would be the day before.
    let (first, second) = (in_zone("UTC", EARLY), in_zone("UTC", LATE));
    assert!(first <= second, "{first} {second}");
    let yesterday = date_of(&workspace, &["--date", "-1d"], LATE);
    assert!(yesterday < date_of(&workspace, &["--date", "0d"], LATE));
}

#[test]
fn a_week_is_its_monday_a_month_its_first_and_an_hour_itself() {
    for (grain, given, date) in [
        ("day", "2026-11-25", "2026-11-25"),
        ("week", "2026-11-25", "2026-11-23"),
        ("week", "2026-11-23", "2026-11-23"),
        ("week", "2026-11-29", "2026-11-23"),
        ("week", "2027-01-01", "2026-12-28"),
        ("month", "2026-11-25", "2026-11-01"),
        ("month", "2024-02-29", "2024-02-01"),
        ("hour", "2026-11-25T07", "2026-11-25T07"),
    ] {
        let workspace = workspace(&format!("[schedule]\ngrain = \"{grain}\"\n"));
        assert_eq!(
            date_of(&workspace, &["--date", given], LATE),
            date,
            "{grain}"
        );
    }
}

#[test]
fn two_days_of_a_week_are_one_run() {
    let workspace = workspace("[schedule]\ngrain = \"week\"\n");
    let run = |date: &str| {
        workspace
            .lamplighter(&["run", "job.toml", "--date", date])
            .expect(0)
    };
    run("2026-11-24");
    let again = run("2026-11-27");
    assert!(
        again
            .stdout
            .contains("simple@2026-11-23#1 is already complete"),
        "{}",
        again.stdout
    );
    run("2026-11-30");
    let dates = workspace.query("SELECT DISTINCT logical_date FROM predictions_by_date ORDER BY 1");
    assert_eq!(dates, [["2026-11-23"], ["2026-11-30"]]);
}

#[test]
fn hours_of_a_day_are_runs_of_their_own() {
    let workspace = workspace("[schedule]\ngrain = \"hour\"\n");
    let source = "source.path=input/{date:%Y%m%d}-{date:%H}.parquet";
    let whole = std::fs::read(workspace.path("input/1.parquet")).expect("records");
    workspace.write("input/20261123-07.parquet", whole);
    let run =
        |date: &str| workspace.lamplighter(&["run", "job.toml", "--date", date, "--set", source]);
    run("2026-11-23T07").expect(0);
    run("2026-11-23T08")
        .expect(66)
        .says(&["input/20261123-08.parquet"]);
    run("2026-11-23").expect(64);
    let seen = workspace.query("SELECT DISTINCT logical_date FROM predictions_latest");
    assert_eq!(seen, [["2026-11-23T07"]]);
}
