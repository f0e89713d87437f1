//! `kill -9` at any moment, and a start after it: nothing lost, nothing twice, no bit changed.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::harness::{Ended, Workspace, repository};

/// Kills that must have struck a living process for the test to mean something.
const KILLS: usize = 12;

/// Shards small enough that a run takes many commits, and a kill finds one under way.
const SETTINGS: [&str; 4] = ["--set", "run.shard_size=700", "--set", "run.batch_size=128"];

fn arguments<'a>(database: &'a str, date: &'a str) -> Vec<&'a str> {
    let mut arguments = vec![
        "run",
        "jobs/flight-delay.toml",
        "--date",
        date,
        "--database",
        database,
    ];
    arguments.extend(SETTINGS);
    arguments
}

#[test]
fn killed_at_random_moments_a_run_still_scores_every_record_once_and_alike() {
    let undisturbed = Workspace::new();
    let database = format!("sqlite://{}", undisturbed.path("lamplighter.db").display());
    let mut command = undisturbed.command(&arguments(&database, "2026-01-01"));
    Ended::of(command.current_dir(repository())).expect(0);
    let expected = undisturbed.prediction_bits(1);

    let workspace = Workspace::new();
    let database = format!("sqlite://{}", workspace.path("lamplighter.db").display());
    let mut kills = 0;
    let mut random: u64 = 0x2545_F491_4F6C_DD1D;
    // A date that completes before its kill strikes is checked, and the next one is begun.
    for day in 1..=28 {
        let date = format!("2026-01-{day:02}");
        loop {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let mut command = workspace.command(&arguments(&database, &date));
            let mut child = command
                .current_dir(repository())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the binary starts");
            // The moment itself is the fault: there is no event to wait for.
            thread::sleep(Duration::from_millis(random % 300));
            child.kill().expect("a kill");
            let status = child.wait().expect("an end");
            match (status.signal(), status.code()) {
                (Some(9), _) => kills += 1,
                (None, Some(0)) => break,
                other => panic!("a start after a kill ended with {other:?}"),
            }
        }
        check(&workspace, &date, &expected);
        if kills >= KILLS {
            return;
        }
    }
    panic!("only {kills} of {KILLS} kills struck: the run is faster than this test thinks");
}

fn check(workspace: &Workspace, date: &str, expected: &std::collections::BTreeMap<String, String>) {
    let run_id = workspace.value(&format!(
        "SELECT run_id FROM publications WHERE job = 'flight-delay' AND logical_date = '{date}'"
    ));
    let found = workspace.prediction_bits(run_id.parse().expect("a number"));
    assert!(
        &found == expected,
        "{date}: predictions differ from the undisturbed run's"
    );
    assert_eq!(
        workspace.value(&format!(
            "SELECT count(*) FROM runs WHERE logical_date = '{date}'"
        )),
        "1"
    );
    workspace
        .lamplighter(&["runs", "verify", &format!("flight-delay@{date}#1")])
        .expect(0);
    // Every shard was completed by exactly one claim.
    assert_eq!(
        workspace.value(&format!(
            "SELECT count(*) FROM shards WHERE run_id = {run_id} AND (state <> 'completed' OR epoch < 1)"
        )),
        "0"
    );
}
