//! How all jobs are, and the exit code that tells it.

use std::sync::Arc;

use arrow::array::{Float64Array, StringArray};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::Value;

use crate::harness::flights_on_postgres::eventually;
use crate::harness::started::Started;
use crate::harness::{Ended, batch, linear_bundle, simple_job, write_parquet};
use crate::ledger::{Home, on_both};

on_both! {
    a_date_that_is_published_in_time_is_well,
    a_date_from_before_the_job_is_not_asked_for,
    of_a_job_that_never_planned_a_run_the_last_date_alone_is_missed,
    what_was_scored_again_is_not_late_for_that,
    a_date_that_was_not_begun_is_told_with_the_command_that_scores_it,
    a_withheld_night_is_not_well,
    a_process_that_lives_is_at_work_and_one_that_was_killed_is_not,
    a_retired_job_is_left_out_until_it_runs_again,
    a_job_without_a_crontab_is_judged_by_its_newest_run,
}

/// A job that was to start an hour ago, by the database's clock, and the date of that start.
struct Nightly<'a> {
    home: &'a Home,
    date: String,
}

impl<'a> Nightly<'a> {
    fn new(home: &'a Home, number: Option<f64>, more: &str) -> Self {
        let started = now(home).checked_sub(1.hour()).expect("a time");
        let started = TimeZone::UTC.to_datetime(started);
        let cron = format!("{} {} * * *", started.minute(), started.hour());
        let nightly = Self::with_schedule(home, number, &format!("cron = \"{cron}\"\n"), more);
        Self {
            date: started.date().to_string(),
            ..nightly
        }
    }

    fn with_schedule(home: &'a Home, number: Option<f64>, schedule: &str, more: &str) -> Self {
        let workspace = home.workspace();
        linear_bundle(
            &workspace.path("bundle"),
            &[("x", 2.0)],
            0.0,
            "missing = \"reject\"",
        );
        let ids = StringArray::from_iter_values((0..10).map(|row| format!("r{row}")));
        let rows = batch(vec![
            ("id", Arc::new(ids)),
            ("x", Arc::new(Float64Array::from(vec![number; 10]))),
        ]);
        write_parquet(&workspace.path("input/rows.parquet"), &rows, 5);
        workspace.write(
            "job.toml",
            simple_job(&format!("[schedule]\n{schedule}\n{more}")),
        );
        Self {
            home,
            date: "2026-11-23".to_owned(),
        }
    }

    fn run(&self, date: &str) -> Ended {
        lamplighter(self.home, &["run", "job.toml", "--date", date])
    }

    fn run_due(&self) -> Ended {
        self.run(&self.date)
    }

    /// Exit code of `status`, and what it says of the one job.
    fn status(&self) -> (Option<i32>, Value) {
        let ended = lamplighter(self.home, &["status", "--format", "json"]);
        let json = ended.json();
        assert_eq!(json["ok"].as_bool(), Some(ended.code == Some(0)), "{ended}");
        (ended.code, json["jobs"][0].clone())
    }
}

fn now(home: &Home) -> Timestamp {
    let sql = match home.url().starts_with("sqlite") {
        true => "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
        false => {
            "SELECT to_char(timezone('UTC', clock_timestamp()), 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
        }
    };
    home.value(sql).parse().expect("a time")
}

fn lamplighter(home: &Home, arguments: &[&str]) -> Ended {
    let url = home.url();
    let arguments = [arguments, &["--database", &url]].concat();
    home.workspace().lamplighter(&arguments)
}

fn a_date_that_is_published_in_time_is_well(home: &Home) {
    let nightly = Nightly::new(home, Some(1.0), "");
    nightly.run_due().expect(0);
    let (code, job) = nightly.status();
    assert_eq!(code, Some(0), "{job}");
    assert_eq!(job["standing"], "published");
    assert_eq!(job["due"]["date"], nightly.date.as_str());
    assert_eq!(job["published_date"], nightly.date.as_str());
    assert_eq!(job["last_run"]["exit_code"], 0);
    let time = |key: &str| -> Timestamp {
        let text = job[key].as_str().expect("a time");
        text.parse().expect("a time")
    };
    let hours = time("next_start").duration_since(now(home)).as_hours();
    assert!((22..=23).contains(&hours), "{job}");
    assert!(time("next_finish") > time("next_start"), "{job}");
    let text = lamplighter(home, &["status"]).expect(0);
    assert!(text.stdout.contains("all 1 jobs are well"), "{text}");
}

fn a_date_from_before_the_job_is_not_asked_for(home: &Home) {
    let nightly = Nightly::new(home, Some(1.0), "");
    nightly.run_due().expect(0);
    let week = ["status", "--since", "7d"];
    lamplighter(home, &week).expect(0);
}

fn of_a_job_that_never_planned_a_run_the_last_date_alone_is_missed(home: &Home) {
    let nightly = Nightly::new(home, Some(1.0), "");
    let moved = home.workspace().path("elsewhere");
    std::fs::rename(home.workspace().path("bundle"), moved).expect("a bundle");
    nightly.run_due().expect(78);
    let ended = lamplighter(home, &["status", "--since", "7d", "--format", "json"]).expect(79);
    let troubles = ended.json()["jobs"][0]["troubles"].clone();
    assert_eq!(troubles.as_array().map(Vec::len), Some(1), "{troubles}");
    assert_eq!(troubles[0]["date"], nightly.date.as_str());
    assert_eq!(troubles[0]["standing"], "not begun");
}

fn what_was_scored_again_is_not_late_for_that(home: &Home) {
    let nightly = Nightly::new(home, Some(1.0), "");
    let minutes_ago = |minutes: i64| now(home).checked_sub(minutes.minutes()).expect("a time");
    // Half an hour after the start, which was an hour ago.
    let finish_by = TimeZone::UTC.to_datetime(minutes_ago(30)).strftime("%H:%M");
    let finish_by = format!("schedule.finish_by={finish_by}");
    let run = [
        "run",
        "job.toml",
        "--date",
        &nightly.date,
        "--set",
        &finish_by,
    ];
    lamplighter(home, &run).expect(0);
    let late = || nightly.status().1["due"]["late_seconds"].clone();
    let seconds = late().as_i64().expect("it is late");
    assert!((29 * 60..=32 * 60).contains(&seconds), "{seconds} s");
    // As if it had been finished in time.
    home.execute(&format!(
        "UPDATE runs SET completed_at = '{}'",
        minutes_ago(40)
    ));
    assert_eq!(late(), Value::Null);
    lamplighter(
        home,
        &[&run[..], &["--rescore", "--reason", "again"]].concat(),
    )
    .expect(0);
    assert_eq!(home.counts(&["runs"]), ["2"]);
    assert_eq!(late(), Value::Null);
}

fn a_date_that_was_not_begun_is_told_with_the_command_that_scores_it(home: &Home) {
    let nightly = Nightly::new(home, Some(1.0), "");
    // Some other date has told when the job is to run.
    nightly.run("2020-01-01").expect(0);
    let (code, job) = nightly.status();
    assert_eq!(code, Some(79), "{job}");
    assert_eq!(job["standing"], "not begun");
    let text = lamplighter(home, &["status"]).expect(79);
    let way_out = format!("lamplighter run JOB --date {}", nightly.date);
    assert!(text.stdout.contains(&way_out), "{text}");
    assert!(text.stdout.contains("1 of 1 jobs are NOT well"), "{text}");
}

fn a_withheld_night_is_not_well(home: &Home) {
    let nightly = Nightly::new(home, None, "");
    nightly.run_due().expect(65);
    let (code, job) = nightly.status();
    assert_eq!(code, Some(79), "{job}");
    assert_eq!(job["standing"], "withheld");
    assert_eq!(job["troubles"][0]["exit_code"], 65);
    assert_eq!(job["published_date"], Value::Null);
}

fn a_process_that_lives_is_at_work_and_one_that_was_killed_is_not(home: &Home) {
    let more = "[run]\nshard_size = 2\nworkers = 1\nlease = \"2s\"\n";
    let nightly = Nightly::new(home, Some(1.0), more);
    let url = home.url();
    let arguments = [
        "run",
        "job.toml",
        "--date",
        &nightly.date,
        "--database",
        &url,
    ];
    let mut command = home.workspace().command(&arguments);
    command.env("LAMPLIGHTER_FAULT", "hang:r9");
    let started = Started::new(&mut command);
    started.until("a fault strikes");
    let (code, job) = nightly.status();
    assert_eq!(
        (code, job["standing"].as_str()),
        (Some(0), Some("running")),
        "{job}"
    );
    started.killed();
    // On Postgres its lease has to run out first.
    eventually(|| nightly.status().1["standing"] == "stopped");
    let (code, job) = nightly.status();
    assert_eq!(code, Some(79), "{job}");
    nightly.run_due().expect(0);
    assert_eq!(nightly.status().0, Some(0));
}

/// In a container every process is number one.
#[test]
fn another_process_with_the_number_of_the_one_that_was_killed_is_not_at_work() {
    let home = Home::sqlite();
    let nightly = Nightly::new(&home, Some(1.0), "[run]\nworkers = 1\n");
    let url = home.url();
    let run = [
        "run",
        "job.toml",
        "--date",
        &nightly.date,
        "--database",
        &url,
    ];
    let mut command = home.workspace().command(&run);
    command.env("LAMPLIGHTER_FAULT", "hang:r9");
    let started = Started::new(&mut command);
    started.until("a fault strikes");
    started.killed();
    home.execute(&format!(
        "UPDATE run_attempts SET pid = {}",
        std::process::id()
    ));
    let (code, job) = nightly.status();
    assert_eq!(
        (code, job["standing"].as_str()),
        (Some(79), Some("stopped"))
    );
}

fn a_retired_job_is_left_out_until_it_runs_again(home: &Home) {
    let nightly = Nightly::new(home, Some(1.0), "");
    nightly.run("2020-01-01").expect(0);
    lamplighter(home, &["runs", "retire", "no-such-job"]).expect(64);
    lamplighter(home, &["runs", "retire", "simple"]).expect(0);
    let ended = lamplighter(home, &["status"]).expect(0);
    assert!(ended.stdout.contains("all 0 jobs"), "{ended}");
    let missing = lamplighter(home, &["runs", "list", "--missing"]).expect(0);
    assert!(missing.stdout.contains("no date is missing"), "{missing}");
    nightly.run("2020-01-02").expect(0);
    assert_eq!(nightly.status().1["standing"], "not begun");
}

fn a_job_without_a_crontab_is_judged_by_its_newest_run(home: &Home) {
    let nightly = Nightly::with_schedule(home, Some(1.0), "", "");
    nightly.run_due().expect(0);
    let (code, job) = nightly.status();
    assert_eq!(
        (code, job["standing"].as_str()),
        (Some(0), Some("published"))
    );
    assert_eq!(job["due"], Value::Null);
    let nightly = Nightly::with_schedule(home, None, "", "");
    nightly.run("2026-11-24").expect(65);
    assert_eq!(nightly.status().0, Some(79));
    // A trial changes nothing.
    let trial = ["run", "job.toml", "--date", "2026-11-23", "--limit", "2"];
    lamplighter(home, &trial).expect(65);
    assert_eq!(nightly.status().0, Some(79));
}
