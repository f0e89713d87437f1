//! Many dates of a job, each with a run of its own.

/// A month in four processes, interrupted, and a night meanwhile.
mod month;

use std::fs;
use std::sync::Arc;

use arrow::array::{Float64Array, StringArray};

use crate::harness::started::Started;
use crate::harness::{Ended, batch, linear_bundle, simple_job, write_parquet};
use crate::ledger::{Home, on_both};

on_both! {
    a_date_is_scored_once_and_the_newest_stays_the_latest,
    a_date_that_fails_keeps_none_of_the_others_from_being_scored,
    what_was_withheld_or_is_published_is_scored_again_once_for_each_reason,
    an_interrupted_backfill_is_gone_on_with_by_itself_and_not_by_the_night,
    missing_dates_are_found_and_filled,
    dates_whose_runs_were_pruned_are_still_missing,
    what_was_given_up_or_begun_for_another_reason_is_no_answer,
    what_consumers_see_is_complete_whatever_was_tried_since,
    a_date_that_was_new_has_been_scored_for_the_reason_too,
    input_that_is_not_announced_is_not_waited_for,
    a_dry_run_writes_nothing,
}

/// Input of ten records for each of these days of November 2026, and a job that scores them.
fn set_up(home: &Home, days: impl IntoIterator<Item = u32>, more: &str) {
    let workspace = home.workspace();
    linear_bundle(
        &workspace.path("bundle"),
        &[("x", 2.0)],
        0.0,
        "missing = \"reject\"",
    );
    for day in days {
        write_day(home, day, Some(f64::from(day)));
    }
    let job = simple_job(more).replace("input/*.parquet", "input/{date}.parquet");
    workspace.write("job.toml", job);
}

/// Ten records, whose number may be missing.
fn write_day(home: &Home, day: u32, number: Option<f64>) {
    let ids = StringArray::from_iter_values((0..10).map(|row| format!("r{row}")));
    let numbers = Float64Array::from(vec![number; 10]);
    let rows = batch(vec![("id", Arc::new(ids)), ("x", Arc::new(numbers))]);
    let file = format!("input/2026-11-{day:02}.parquet");
    write_parquet(&home.workspace().path(&file), &rows, 5);
}

fn lamplighter(home: &Home, arguments: &[&str]) -> Ended {
    let url = home.url();
    let arguments = [arguments, &["--database", &url]].concat();
    home.workspace().lamplighter(&arguments)
}

fn backfill(home: &Home, from: u32, to: u32, more: &[&str]) -> Ended {
    let [from, to] = [from, to].map(|day| format!("2026-11-{day:02}"));
    let range = ["backfill", "job.toml", "--from", &from, "--to", &to];
    lamplighter(home, &[&range, more].concat())
}

/// Date, generation, state and publication of all runs.
fn runs(home: &Home) -> Vec<String> {
    let sql = "SELECT logical_date, generation, state, publication FROM runs ORDER BY logical_date, generation";
    let rows = home.query(sql);
    rows.iter()
        .map(|row| format!("{}#{} {} {}", &row[0][8..], row[1], row[2], row[3]))
        .collect()
}

/// Outcome and exit code of each date of a backfill.
fn outcomes(ended: &Ended) -> Vec<(String, Option<u64>)> {
    let json = ended.json();
    let dates = json.as_array().expect("dates");
    dates
        .iter()
        .map(|date| {
            let outcome = date["outcome"].as_str().expect("an outcome").to_owned();
            (outcome, date["exit_code"].as_u64())
        })
        .collect()
}

fn a_date_is_scored_once_and_the_newest_stays_the_latest(home: &Home) {
    set_up(home, [1, 2, 3, 9], "");
    lamplighter(home, &["run", "job.toml", "--date", "2026-11-09"]).expect(0);
    let first = backfill(home, 1, 3, &[]).expect(0);
    assert!(
        first.stdout.contains("3 of 3 dates are published"),
        "{first}"
    );
    let again = backfill(home, 1, 3, &["--format", "json"]).expect(0);
    let left_alone = ("already published".to_owned(), Some(0));
    assert_eq!(outcomes(&again), vec![left_alone; 3]);
    assert_eq!(
        runs(home),
        [
            "01#1 completed published",
            "02#1 completed published",
            "03#1 completed published",
            "09#1 completed published"
        ]
    );
    let latest = home.query("SELECT DISTINCT logical_date, value FROM predictions_latest");
    assert_eq!(latest, [["2026-11-09", "18"]]);
    let by_date = "SELECT DISTINCT logical_date, value FROM predictions_by_date ORDER BY 1";
    assert_eq!(home.query(by_date)[0], ["2026-11-01", "2"]);
}

fn a_date_that_fails_keeps_none_of_the_others_from_being_scored(home: &Home) {
    set_up(home, [1, 2, 4], "");
    write_day(home, 2, None);
    fs::write(home.workspace().path("input/2026-11-04.parquet"), "no file").expect("a file");
    let ended = backfill(home, 1, 4, &["--format", "json"]).expect(66);
    let codes: Vec<Option<u64>> = outcomes(&ended).into_iter().map(|(_, code)| code).collect();
    assert_eq!(codes, [Some(0), Some(65), Some(66), Some(65)]);
    ended.says(&["2026-11-03.parquet"]);
    assert_eq!(
        runs(home),
        ["01#1 completed published", "02#1 completed withheld"]
    );
    // What ended so stays so, and the exit code still tells.
    let again = backfill(home, 1, 2, &["--format", "json"]).expect(65);
    assert_eq!(
        outcomes(&again)[1],
        ("already withheld".to_owned(), Some(65))
    );
    assert_eq!(runs(home).len(), 2);
}

fn what_was_withheld_or_is_published_is_scored_again_once_for_each_reason(home: &Home) {
    set_up(home, [1, 2], "");
    write_day(home, 2, None);
    backfill(home, 1, 2, &[]).expect(65);
    write_day(home, 2, Some(2.0));
    let without = backfill(home, 1, 2, &["--reprocess", "failed"]).expect(64);
    without.says(&["--reason"]);
    let mended = ["--reprocess", "failed", "--reason", "mended"];
    backfill(home, 1, 2, &mended).expect(0);
    let after = [
        "01#1 completed published",
        "02#1 completed withheld",
        "02#2 completed published",
    ];
    assert_eq!(runs(home), after);
    let all = ["--reprocess", "all", "--reason", "once more"];
    for _ in 0..2 {
        backfill(home, 1, 2, &all).expect(0);
        assert_eq!(runs(home).len(), 5, "once for each reason");
    }
    backfill(home, 1, 1, &["--reprocess", "all", "--reason", "and again"]).expect(0);
    let reasons =
        home.query("SELECT reason FROM runs WHERE logical_date = '2026-11-01' ORDER BY generation");
    assert_eq!(reasons, [["NULL"], ["once more"], ["and again"]]);
    assert_eq!(home.counts(&["predictions_by_date"]), ["20"]);
}

fn an_interrupted_backfill_is_gone_on_with_by_itself_and_not_by_the_night(home: &Home) {
    set_up(
        home,
        [1, 2, 3, 9],
        "[run]\nshard_size = 2\nworkers = 1\ngrace = \"0s\"\nlease = \"2s\"\n",
    );
    let url = home.url();
    let arguments = [
        "backfill",
        "job.toml",
        "--from",
        "2026-11-01",
        "--to",
        "2026-11-03",
        "--database",
        &url,
    ];
    let mut command = home.workspace().command(&arguments);
    // The last shard takes its time.
    command.env("LAMPLIGHTER_FAULT", "slow:r9");
    let started = Started::new(&mut command);
    started.until("scoring");
    let committed = "SELECT count(*) FROM shards WHERE state = 'completed'";
    crate::harness::flights_on_postgres::eventually(|| home.value(committed) == "4");
    started.send("TERM");
    let ended = started.end().expect(75);
    assert!(ended.stdout.contains("not begun"), "{ended}");
    assert_eq!(runs(home), ["01#1 running pending"]);
    lamplighter(home, &["run", "job.toml", "--date", "2026-11-09"]).expect(0);
    assert_eq!(
        runs(home),
        ["01#1 running pending", "09#1 completed published"],
        "the night leaves it alone"
    );
    backfill(home, 1, 3, &[]).expect(0);
    assert_eq!(home.counts(&["runs"]), ["4"], "it was gone on with");
    assert_eq!(home.counts(&["predictions_by_date"]), ["40"]);
}

fn missing_dates_are_found_and_filled(home: &Home) {
    // Dates of yesterday and before, by the database's clock.
    let cron = "[schedule]\ndate = \"-1d\"\ncron = \"0 0 * * *\"\n";
    set_up(home, [], cron);
    let dates = last_four_dates(home);
    for date in &dates {
        put_record(home, date, Some(1.0));
    }
    for date in [&dates[0], &dates[2]] {
        lamplighter(home, &["run", "job.toml", "--date", date]).expect(0);
    }
    let listed = || listed_as_missing(home);
    let never = |date: &String| format!("{date} never begun");
    assert_eq!(listed(), [never(&dates[1]), never(&dates[3])]);
    let filled = lamplighter(
        home,
        &["backfill", "job.toml", "--missing", "--format", "json"],
    );
    assert_eq!(outcomes(&filled.expect(0)).len(), 2);
    assert_eq!(listed(), [""; 0]);
    let nothing = lamplighter(home, &["backfill", "job.toml", "--missing"]).expect(0);
    assert!(nothing.stdout.contains("0 of 0 dates"), "{nothing}");
}

/// The four dates before today, by the database's clock.
fn last_four_dates(home: &Home) -> Vec<String> {
    let sql = match home.url().starts_with("sqlite") {
        true => {
            "SELECT date('now', '-' || days || ' days') FROM (SELECT 1 AS days UNION SELECT 2 UNION SELECT 3 UNION SELECT 4) ORDER BY 1"
        }
        false => {
            "SELECT (timezone('UTC', now())::date - days)::text FROM generate_series(1, 4) AS days ORDER BY 1"
        }
    };
    home.query(sql).concat()
}

/// The input of a date: one record with this number.
fn put_record(home: &Home, date: &str, number: Option<f64>) {
    let rows = batch(vec![
        ("id", Arc::new(StringArray::from_iter_values(["a"]))),
        ("x", Arc::new(Float64Array::from(vec![number]))),
    ]);
    let file = format!("input/{date}.parquet");
    write_parquet(&home.workspace().path(&file), &rows, 5);
}

/// Date and standing of what `runs list --missing` shows.
fn listed_as_missing(home: &Home) -> Vec<String> {
    let list = ["runs", "list", "--missing", "--format", "json"];
    let json = lamplighter(home, &list).expect(0).json();
    let dates = json.as_array().expect("dates").iter();
    dates
        .map(|date| {
            let [date, standing] = ["date", "standing"].map(|key| date[key].as_str().unwrap());
            format!("{date} {standing}")
        })
        .collect()
}

fn dates_whose_runs_were_pruned_are_still_missing(home: &Home) {
    let cron = "[schedule]\ndate = \"-1d\"\ncron = \"0 0 * * *\"\n";
    set_up(home, [], cron);
    let dates = last_four_dates(home);
    for (date, number) in dates.iter().zip([Some(1.0), None, Some(1.0), None]) {
        put_record(home, date, number);
    }
    let run = |date: &str, more: &[&str]| {
        lamplighter(home, &[&["run", "job.toml", "--date", date], more].concat())
    };
    // Of the first date only a trial, of the second and the fourth a withheld run.
    run(&dates[0], &["--limit", "1"]).expect(0);
    run(&dates[1], &[]).expect(65);
    run(&dates[2], &[]).expect(0);
    run(&dates[3], &[]).expect(65);
    let [second, fourth] = [&dates[1], &dates[3]];
    let before = [format!("{second} withheld"), format!("{fourth} withheld")];
    assert_eq!(listed_as_missing(home), before);
    let prune = ["runs", "prune", "job.toml", "--set", "retention.runs=0s"];
    lamplighter(home, &prune).expect(0);
    assert_eq!(home.counts(&["runs"]), ["1"]);
    let after = [format!("{second} pruned"), format!("{fourth} pruned")];
    assert_eq!(listed_as_missing(home), after);
    put_record(home, second, Some(1.0));
    put_record(home, fourth, Some(1.0));
    let filled = lamplighter(
        home,
        &["backfill", "job.toml", "--missing", "--format", "json"],
    );
    assert_eq!(outcomes(&filled.expect(0)).len(), 2);
    assert_eq!(listed_as_missing(home), [""; 0]);
}

/// Leaves a rescoring unfinished, for this reason.
fn interrupt_rescoring(home: &Home, reason: &str) {
    let url = home.url();
    let arguments = [
        "backfill",
        "job.toml",
        "--from",
        "2026-11-01",
        "--to",
        "2026-11-01",
        "--reprocess",
        "all",
        "--reason",
        reason,
        "--database",
        &url,
    ];
    let mut command = home.workspace().command(&arguments);
    command.env("LAMPLIGHTER_FAULT", "slow:r9");
    let started = Started::new(&mut command);
    started.until("a fault strikes");
    started.send("TERM");
    started.end().expect(75);
}

fn what_was_given_up_or_begun_for_another_reason_is_no_answer(home: &Home) {
    set_up(
        home,
        [1],
        "[run]\nshard_size = 2\nworkers = 1\ngrace = \"0s\"\nlease = \"2s\"\n",
    );
    backfill(home, 1, 1, &[]).expect(0);
    interrupt_rescoring(home, "A");
    let reasons = || {
        let sql = "SELECT reason FROM runs WHERE state = 'completed' ORDER BY generation";
        home.query(sql).concat()
    };
    // What was begun for A is finished, and then B is heard.
    backfill(home, 1, 1, &["--reprocess", "all", "--reason", "B"]).expect(0);
    assert_eq!(reasons(), ["NULL", "A", "B"]);
    interrupt_rescoring(home, "C");
    lamplighter(home, &["runs", "cancel", "simple@2026-11-01#4"]).expect(0);
    backfill(home, 1, 1, &["--reprocess", "all", "--reason", "D"]).expect(0);
    assert_eq!(reasons(), ["NULL", "A", "B", "D"]);
    interrupt_rescoring(home, "E");
    linear_bundle(
        &home.workspace().path("bundle"),
        &[("x", 3.0)],
        0.0,
        "missing = \"reject\"",
    );
    backfill(home, 1, 1, &["--reprocess", "all", "--reason", "F"]).expect(0);
    assert_eq!(reasons(), ["NULL", "A", "B", "D", "F"]);
    let seen = home.query("SELECT DISTINCT value FROM predictions_by_date");
    assert_eq!(seen, [["3"]]);
}

fn what_consumers_see_is_complete_whatever_was_tried_since(home: &Home) {
    set_up(home, [1], "");
    backfill(home, 1, 1, &[]).expect(0);
    write_day(home, 1, None);
    let again = ["--rescore", "--reason", "x"];
    let run = ["run", "job.toml", "--date", "2026-11-01"];
    lamplighter(home, &[&run[..], &again].concat()).expect(65);
    assert_eq!(
        runs(home),
        ["01#1 completed published", "01#2 completed withheld"]
    );
    let ended = backfill(home, 1, 1, &["--format", "json"]).expect(0);
    assert_eq!(
        outcomes(&ended),
        [("already published".to_owned(), Some(0))]
    );
    let seen = ended.json();
    assert_eq!(seen[0]["run"], "simple@2026-11-01#1", "not what was tried");
    assert_eq!(seen[0]["dead_letters"], 0);
    // A job that is known from its runs alone can be retired, too.
    home.execute("DELETE FROM jobs");
    lamplighter(home, &["status"]).expect(79);
    lamplighter(home, &["runs", "retire", "simple"]).expect(0);
    lamplighter(home, &["status"]).expect(0);
}

fn a_date_that_was_new_has_been_scored_for_the_reason_too(home: &Home) {
    set_up(home, [1, 2, 3], "");
    backfill(home, 1, 1, &[]).expect(0);
    for _ in 0..2 {
        backfill(home, 1, 2, &["--reprocess", "all", "--reason", "x"]).expect(0);
        assert_eq!(
            runs(home),
            [
                "01#1 completed withheld",
                "01#2 completed published",
                "02#1 completed published"
            ]
        );
    }
    backfill(home, 2, 3, &["--reprocess", "failed", "--reason", "y"]).expect(0);
    assert_eq!(home.counts(&["runs"]), ["4"]);
}

fn input_that_is_not_announced_is_not_waited_for(home: &Home) {
    set_up(home, [1, 2], "");
    let job = fs::read_to_string(home.workspace().path("job.toml")).expect("the job");
    let waiting = job.replace(
        "id_column",
        "wait_for = \"input/{date}.done\"\nwait = \"1h\"\nid_column",
    );
    home.workspace().write("job.toml", waiting);
    home.workspace().write("input/2026-11-02.done", "");
    let ended = backfill(home, 1, 2, &["--format", "json"]).expect(66);
    let ended = ended.says(&["input/2026-11-01.done is not there", "[source] wait_for"]);
    let codes: Vec<Option<u64>> = outcomes(&ended).into_iter().map(|(_, code)| code).collect();
    assert_eq!(codes, [Some(66), Some(0)]);
}

fn a_dry_run_writes_nothing(home: &Home) {
    set_up(home, [1, 2], "");
    backfill(home, 1, 1, &[]).expect(0);
    let before = home.counts(&["runs", "predictions", "jobs"]);
    let ended = backfill(home, 1, 2, &["--dry-run"]).expect(0);
    assert!(
        ended.stdout.contains("1 of 2 dates would be scored"),
        "{ended}"
    );
    assert!(ended.stdout.contains("2026-11-02  score"), "{ended}");
    assert_eq!(home.counts(&["runs", "predictions", "jobs"]), before);
}

#[test]
fn a_range_that_is_none_is_refused() {
    let home = Home::sqlite();
    set_up(&home, [1], "");
    backfill(&home, 3, 1, &[])
        .expect(64)
        .says(&["2026-11-03 lies after"]);
    let open = lamplighter(&home, &["backfill", "job.toml", "--from", "2026-11-01"]);
    open.expect(64).says(&["--to"]);
    let long = ["--from", "0001-01-01", "--to", "9999-12-31"];
    for more in [&["--dry-run"][..], &[]] {
        let ended = lamplighter(
            &home,
            &[&["backfill", "job.toml"], &long[..], more].concat(),
        );
        ended.expect(64).says(&["more than 100,000 dates"]);
    }
    let job = fs::read_to_string(home.workspace().path("job.toml")).expect("the job");
    let queue = job
        .replace("kind = \"parquet\"", "kind = \"queue\"")
        .replace("path = \"input/{date}.parquet\"\n", "");
    home.workspace().write("job.toml", queue);
    backfill(&home, 1, 3, &[]).expect(78).says(&["queue"]);
}

#[test]
fn without_a_database_all_dates_of_a_range_are_missing() {
    let home = Home::sqlite();
    set_up(&home, 1..=3, "");
    let nowhere = format!("sqlite://{}", home.workspace().path("nowhere.db").display());
    let missing = ["backfill", "job.toml", "--missing", "--database", &nowhere];
    let start = |more: &[&str]| home.workspace().lamplighter(&[&missing[..], more].concat());
    start(&[]).expect(66).says(&["without --from"]);
    let range = ["--from", "2026-11-01", "--to", "2026-11-03"];
    let planned = start(&[&range[..], &["--dry-run"]].concat()).expect(0);
    assert!(planned.stdout.contains("3 of 3 dates"), "{planned}");
    let scored = start(&range).expect(0);
    assert!(
        scored.stdout.contains("3 of 3 dates are published"),
        "{scored}"
    );
}

#[test]
fn on_sqlite_a_night_gets_its_turn_between_two_dates() {
    let home = Home::sqlite();
    set_up(&home, 1..=9, "[run]\nworkers = 1\n");
    let url = home.url();
    let range = [
        "backfill",
        "job.toml",
        "--from",
        "2026-11-01",
        "--to",
        "2026-11-08",
        "--database",
        &url,
    ];
    let mut command = home.workspace().command(&range);
    // Each date takes a while.
    command.env("LAMPLIGHTER_FAULT", "slow:r9");
    let started = Started::new(&mut command);
    started.until("a fault strikes");
    let night = lamplighter(&home, &["run", "job.toml", "--date", "2026-11-09"]);
    night.expect(0).says(&["waiting for another lamplighter"]);
    let published = home.counts(&["publications"])[0]
        .parse::<u32>()
        .expect("a number");
    assert!(published < 9, "the night was let in before the end");
    started.send("TERM");
    started.end().expect(75);
    backfill(&home, 1, 8, &[]).expect(0);
    assert_eq!(home.counts(&["runs", "publications"]), ["9", "9"]);
}

#[test]
fn dates_that_are_worked_on_at_a_time_share_the_workers() {
    let home = Home::postgres();
    set_up(&home, 1..=6, "[run]\nworkers = 2\nlease = \"2s\"\n");
    let ended = backfill(&home, 1, 6, &["--max-active", "3", "--format", "json"]).expect(0);
    assert_eq!(outcomes(&ended), vec![("published".to_owned(), Some(0)); 6]);
    assert_eq!(home.counts(&["runs", "run_attempts"]), ["6", "6"]);
}
