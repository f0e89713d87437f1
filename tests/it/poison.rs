//! Records that fail, panic, kill or hang whoever scores them. Each becomes a dead letter; no other
//! record notices.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arrow::array::{Float64Array, StringArray};

use crate::harness::results::Results;
use crate::harness::started::Started;
use crate::harness::{Ended, batch, linear_bundle, simple_job, write_parquet};
use crate::parquet_pages::damage;

const DATE: &str = "2026-11-23";
const RUN: [&str; 4] = ["run", "job.toml", "--date", DATE];
const RECORDS: usize = 1_000;

/// A thousand records in shards of a hundred, in a file, and a job that reads them from `source`.
fn put(results: &Results, source: Option<&str>) {
    put_so_many(results, source, RECORDS);
}

fn put_so_many(results: &Results, source: Option<&str>, records: usize) {
    let workspace = &results.workspace;
    linear_bundle(&workspace.path("bundle"), &[("x", 3.0)], 0.5, "");
    let ids = StringArray::from_iter_values((0..records).map(|row| format!("r{row}")));
    let numbers = Float64Array::from_iter_values((0..records).map(|row| row as f64 / 7.0));
    let rows = batch(vec![("id", Arc::new(ids)), ("x", Arc::new(numbers))]);
    write_parquet(&workspace.path("input/rows.parquet"), &rows, 250);
    let job = simple_job("[run]\nshard_size = 100\nbatch_size = 16\nworkers = 1\n");
    let parquet = "kind = \"parquet\"\npath = \"input/*.parquet\"";
    workspace.write("job.toml", job.replace(parquet, source.unwrap_or(parquet)));
}

fn run(results: &Results, fault: &str) -> Command {
    let mut command = results.command(&RUN);
    command.env("LAMPLIGHTER_FAULT", fault);
    command
}

/// What every record but these must have come to.
fn check(results: &Results, dead: &[&str]) {
    check_so_many(results, dead, RECORDS);
}

fn check_so_many(results: &Results, dead: &[&str], records: usize) {
    let undisturbed = Results::in_sqlite();
    put_so_many(&undisturbed, None, records);
    undisturbed.lamplighter(&RUN).expect(0);
    let mut expected = undisturbed.prediction_bits(1);
    for record in dead {
        expected.remove(*record).expect("a record of the input");
    }
    assert!(results.prediction_bits(1) == expected, "bits differ");
    results.verify();
    assert_eq!(
        results.value("SELECT count(*) FROM shards WHERE state <> 'completed'"),
        "0"
    );
}

#[test]
fn a_record_that_fails_or_panics_is_a_dead_letter_and_its_neighbours_are_scored_alike() {
    for results in Results::in_each() {
        put(&results, None);
        let faults = "error:r3,panic:r4,panic:r555,encode-panic:r700";
        Ended::of(&mut run(&results, faults)).expect(0);
        assert_eq!(
            results.dead_letters(1),
            [
                "r3 infer/inference_failed -",
                "r4 infer/inference_failed -",
                "r555 infer/inference_failed -",
                "r700 validate/validation_failed -",
            ]
        );
        check(&results, &["r3", "r4", "r555", "r700"]);
    }
}

/// Starts until a start ends by itself. Returns how many were killed before it, and the last one.
fn start_until_it_ends(command: &mut Command) -> (usize, Ended) {
    for deaths in 0.. {
        let output = command.output().expect("the binary starts");
        if output.status.signal().is_some() {
            continue;
        }
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        return (deaths, Ended::of(command));
    }
    unreachable!("a range without an end");
}

#[test]
fn a_record_that_kills_its_process_twice_is_found_and_set_aside() {
    for fault in ["abort", "overflow"] {
        for results in Results::in_each() {
            put(&results, None);
            let mut command = run(&results, &format!("{fault}:r123"));
            if results.postgres().is_some() {
                command.args(["--set", "run.lease=2s"]);
            }
            let (deaths, again) = start_until_it_ends(&mut command);
            assert_eq!(deaths, 2, "{fault}");
            again.expect(0).says(&["already complete"]);
            assert_eq!(results.dead_letters(1), ["r123 infer/process_died -"]);
            let message = results.value("SELECT message FROM dead_letters");
            assert!(message.contains("twice (SIG"), "{message}");
            check(&results, &["r123"]);
        }
    }
}

#[test]
fn a_record_that_takes_all_memory_is_found_by_a_process_with_a_limit_of_its_own() {
    let results = Results::in_sqlite();
    put(&results, None);
    let mut command = Command::new("sh");
    let run = run(&results, "memory:r500");
    command
        .args(["-c", "ulimit -v 4000000; exec \"$0\" \"$@\""])
        .arg(run.get_program())
        .args(run.get_args())
        .args(["--set", "run.max_memory=512MiB"])
        .env("LAMPLIGHTER_FAULT", "memory:r500")
        .current_dir(results.workspace.path(""));
    let (deaths, _) = start_until_it_ends(&mut command);
    assert_eq!(deaths, 2);
    assert_eq!(results.dead_letters(1), ["r500 infer/process_died -"]);
    check(&results, &["r500"]);
}

#[test]
fn a_record_that_never_ends_is_found_and_set_aside() {
    let results = Results::in_sqlite();
    put(&results, None);
    let hang = || {
        let mut command = run(&results, "hang:r42");
        command.args(["--set", "run.shard_timeout=1s"]);
        Ended::of(&mut command)
    };
    for _ in 0..2 {
        hang()
            .expect(75)
            .says(&["shard 0 has taken longer than [run] shard_timeout, 1 s"]);
    }
    hang().expect(0).says(&["no answer in 1 s"]);
    assert_eq!(results.dead_letters(1), ["r42 infer/process_died -"]);
    check(&results, &["r42"]);
}

#[test]
fn where_every_record_kills_it_is_not_the_records() {
    let results = Results::in_sqlite();
    put(&results, None);
    plan_only(&results);
    make_all_shards_suspect(&results);
    let all: Vec<String> = (0..RECORDS).map(|row| format!("abort:r{row}")).collect();
    Ended::of(&mut run(&results, &all.join(",")))
        .expect(75)
        .says(&["so that it is not the records", "hint: it may lack memory"]);
    results.lamplighter(&RUN).expect(0);
    assert_eq!(results.dead_letters(1), [""; 0]);
    check(&results, &[]);
}

#[test]
fn an_error_beside_a_worker_that_hangs_ends_the_process_and_is_told() {
    let results = Results::in_sqlite();
    // Damage that no worker sees with what it reads first.
    put_so_many(&results, None, 20_000);
    damage(&results.workspace.path("input/rows.parquet"), "x", 60);
    let mut command = run(&results, "hang:r0");
    command.args(["--workers", "2"]);
    Ended::of(&mut command).expect(65).says(&[
        "a fault strikes",
        "rows.parquet",
        "ending this process",
    ]);
}

#[test]
fn a_fault_that_there_is_not_is_refused() {
    let results = Results::in_sqlite();
    put(&results, None);
    Ended::of(&mut run(&results, "explode:r1"))
        .expect(78)
        .says(&["LAMPLIGHTER_FAULT", "faults are error, panic"]);
}

/// As after two processes that died with every shard in hand.
fn make_all_shards_suspect(results: &Results) {
    results.execute("UPDATE shards SET attempts = 2");
}

/// Plans the run and leaves all of it undone.
fn plan_only(results: &Results) {
    let mut command = run(results, "abort:r0");
    let output = command.output().expect("the binary starts");
    assert!(output.status.signal().is_some(), "it was to die at once");
    results.execute("UPDATE shards SET state = 'available', owner = NULL, lease_until = NULL");
}

#[test]
fn from_every_source_a_process_of_its_own_scores_with_the_same_bits() {
    let in_postgres = || {
        let results = Results::in_postgres();
        let database = results.postgres().expect("Postgres");
        database.execute("CREATE TABLE rows (id text, x double precision)");
        database.execute(
            "INSERT INTO rows SELECT 'r' || n, n::double precision / 7 FROM generate_series(0, 999) AS n",
        );
        results
    };
    let table = "kind = \"postgres\"\ntable = \"rows\"";
    for (results, source) in [
        (Results::in_sqlite(), None),
        (Results::in_postgres(), None),
        (in_postgres(), Some(table)),
        (Results::in_sqlite(), Some("kind = \"queue\"")),
        (Results::in_postgres(), Some("kind = \"queue\"")),
    ] {
        put(&results, source);
        if source.is_some_and(|source| source.contains("queue")) {
            let push = ["queue", "push", "job.toml", "input/rows.parquet"];
            results.lamplighter(&push).expect(0);
        }
        plan_only(&results);
        make_all_shards_suspect(&results);
        results
            .lamplighter(&RUN)
            .expect(0)
            .says(&["a process of its own scores it now"]);
        assert_eq!(results.dead_letters(1), [""; 0], "{source:?}");
        check(&results, &[]);
    }
}

/// Processes that this one has started.
fn children(pid: u32) -> Vec<u32> {
    let listed = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    listed
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok())
        .flat_map(|line| {
            line.split_whitespace()
                .map(|pid| pid.parse().expect("a process"))
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn kills_from_outside_of_the_process_that_scores_cost_no_record() {
    // Enough of them to strike while they are scored.
    let records = 200_000;
    let results = Results::in_sqlite();
    put_so_many(&results, None, records);
    plan_only(&results);
    make_all_shards_suspect(&results);
    let mut kills = 0;
    let ended = loop {
        let mut started = Started::new(&mut results.command(&RUN));
        while started.is_alive() && kills < 20 {
            for child in children(started.id()) {
                // The moment itself is the fault: there is no event to wait for.
                thread::sleep(Duration::from_millis(15 + kills * 3));
                let kill = Command::new("kill")
                    .args(["-s", "KILL", &child.to_string()])
                    .output();
                kills += u64::from(kill.expect("the program `kill`").status.success());
            }
        }
        let ended = started.end();
        // Who is killed three times before it could begin gives up for now.
        if ended.code != Some(75) {
            break ended.expect(0);
        }
    };
    assert!(kills >= 10, "only {kills} kills struck: {}", ended.stderr);
    assert_eq!(results.dead_letters(1), [""; 0]);
    check_so_many(&results, &[], records);
}

#[test]
fn a_process_of_its_own_dies_with_the_one_that_started_it() {
    let results = Results::in_sqlite();
    put(&results, None);
    plan_only(&results);
    make_all_shards_suspect(&results);
    let started = Started::new(run(&results, "hang:r0").args(["--set", "run.shard_timeout=1h"]));
    started.until("a process of its own scores it now");
    let child = loop {
        if let [child, ..] = children(started.id())[..] {
            break child;
        }
    };
    started.send("KILL");
    assert_eq!(started.end().code, None);
    let is_gone = || {
        let status = fs::read_to_string(format!("/proc/{child}/status"));
        status.map_or(true, |status| status.contains("State:\tZ"))
    };
    crate::harness::flights_on_postgres::eventually(is_gone);
    // Nothing was charged: whoever killed it, it was not the record.
    results.lamplighter(&RUN).expect(0);
    check(&results, &[]);
}

#[test]
fn stops_that_were_asked_for_make_no_shard_suspect() {
    let results = Results::in_postgres();
    put(&results, None);
    for _ in 0..3 {
        let mut barrier = results.postgres().expect("Postgres").session();
        barrier.begin();
        barrier.execute("LOCK TABLE lamplighter.predictions IN SHARE MODE");
        let started = Started::new(&mut results.command(&RUN));
        started.until("scoring").send("TERM");
        drop(barrier);
        started.end().expect(75);
        let charged = "SELECT count(*) FROM shards WHERE attempts > 0 AND state <> 'completed'";
        assert_eq!(results.value(charged), "0");
    }
    let ended = results.lamplighter(&RUN).expect(0);
    assert!(
        !ended.stderr.contains("a process of its own"),
        "{}",
        ended.stderr
    );
    check(&results, &[]);
}
