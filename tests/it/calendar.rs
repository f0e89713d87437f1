//! Clocks that change, and clocks that are wrong: no night is skipped or doubled.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{Float64Array, StringArray};

use crate::harness::postgres::Database;
use crate::harness::results::Results;
use crate::harness::{Ended, Workspace, batch, linear_bundle, simple_job, write_parquet};

/// Debian's libfaketime, which lets a process see another time.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// A command that sees the time `time`, or the true one shifted by it.
pub fn at<'a>(command: &'a mut Command, time: &str) -> &'a mut Command {
    assert!(
        Path::new(LIBRARY).exists(),
        "libfaketime is not installed: `make test` installs it"
    );
    command.env("LD_PRELOAD", LIBRARY).env("FAKETIME", time)
}

fn put(workspace: &Workspace, schedule: &str) {
    linear_bundle(&workspace.path("bundle"), &[("x", 2.0)], 1.0, "");
    let ids = StringArray::from_iter_values((0..5).map(|row| format!("r{row}")));
    let numbers = Float64Array::from_iter_values((0..5).map(f64::from));
    let rows = batch(vec![("id", Arc::new(ids)), ("x", Arc::new(numbers))]);
    write_parquet(&workspace.path("input/rows.parquet"), &rows, 5);
    workspace.write("job.toml", simple_job(&format!("[schedule]\n{schedule}\n")));
}

#[test]
fn around_changes_of_the_clocks_each_night_is_scored_once_whatever_the_host_believes() {
    // Instants of 02:30 in Berlin, or what cron makes of it when that time is skipped or comes twice.
    let starts = [
        ("2026-03-28 01:30:00", "2026-03-28"),
        ("2026-03-29 01:30:00", "2026-03-29"),
        ("2026-03-30 00:30:00", "2026-03-30"),
        ("2026-10-24 00:30:00", "2026-10-24"),
        ("2026-10-25 00:30:00", "2026-10-25"),
        ("2026-10-25 01:30:00", "2026-10-25"),
        ("2026-10-26 01:30:00", "2026-10-26"),
    ];
    for zone_of_the_host in [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Pacific/Auckland",
    ] {
        let workspace = Workspace::new();
        put(&workspace, "timezone = \"Europe/Berlin\"");
        for (instant, night) in starts {
            // libfaketime reads the time in the zone of the process.
            let seconds = Command::new("date")
                .args(["-u", "-d", &format!("{instant} UTC"), "+%s"])
                .output()
                .expect("the program `date`");
            let seconds = String::from_utf8(seconds.stdout).expect("text");
            let local = Command::new("date")
                .args(["-d", &format!("@{}", seconds.trim()), "+@%F %T"])
                .env("TZ", zone_of_the_host)
                .output()
                .expect("the program `date`");
            let local = String::from_utf8(local.stdout).expect("text");
            let mut command = workspace.command(&["run", "job.toml"]);
            at(&mut command, local.trim()).env("TZ", zone_of_the_host);
            let ended = Ended::of(&mut command).expect(0);
            let name = format!("simple@{night}#1");
            assert!(
                ended.stdout.contains(&name),
                "{instant} UTC: {}",
                ended.stdout
            );
        }
        let nights =
            workspace.query("SELECT logical_date, count(*) FROM runs GROUP BY 1 ORDER BY 1");
        let nights: Vec<_> = nights.iter().map(|row| row.join(" ")).collect();
        let expected = ["03-28", "03-29", "03-30", "10-24", "10-25", "10-26"];
        assert_eq!(
            nights,
            expected.map(|night| format!("2026-{night} 1")),
            "{zone_of_the_host}"
        );
    }
}

/// The logical date of today, and a time to finish by, as a database sees them.
fn today_and_soon(database: &Database) -> [String; 2] {
    let clock = "clock_timestamp() AT TIME ZONE 'UTC'";
    let row = database.query(&format!(
        "SELECT to_char({clock}, 'YYYY-MM-DD'), to_char({clock} + interval '3 hours', 'HH24:MI:SS')"
    ));
    [row[0][0].clone(), row[0][1].clone()]
}

#[test]
fn on_postgres_the_clock_of_a_host_decides_nothing() {
    for wrong in ["+2h", "-2h", "+30h", "-30h"] {
        let results = Results::in_postgres();
        let database = results.postgres().expect("Postgres");
        let [_, soon] = today_and_soon(database);
        put(&results.workspace, &format!("finish_by = \"{soon}\""));
        let [before, _] = today_and_soon(database);
        let mut command = results.command(&["run", "job.toml", "--format", "json"]);
        let ended = Ended::of(at(&mut command, wrong)).expect(0);
        let [after, _] = today_and_soon(database);
        let ended = ended.says(&["this host's clock is not the database's"]);
        let report = ended.json();
        let date = report["logical_date"].as_str().expect("a date");
        assert!(
            [before.as_str(), after.as_str()].contains(&date),
            "{wrong}: {date}"
        );
        let finished = report["timing"]["finished_at"].as_str().expect("a time");
        let age = format!(
            "SELECT abs(extract(epoch FROM clock_timestamp() - '{finished}'::timestamptz)) < 600"
        );
        assert_eq!(results.value(&age), "t", "{wrong}: {finished}");
        results.verify();
    }
}
