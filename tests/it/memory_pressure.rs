//! After a process that vanished, perhaps for want of memory, the next one takes less in hand.

use std::process::Command;

use crate::harness::results::Results;
use crate::harness::started::Started;
use crate::harness::{Ended, repository};

fn run(results: &Results, more: &[&str]) -> Command {
    let run = ["run", "jobs/flight-delay.toml", "--date", "2026-01-01"];
    let sets = ["--set", "run.shard_size=5000", "--set", "run.lease=2s"];
    let mut command = results.command(&[&run[..], &sets, more].concat());
    if results.postgres().is_none() {
        let database = results.workspace.path("lamplighter.db");
        command.env("DATABASE_URL", format!("sqlite://{}", database.display()));
    }
    command.current_dir(repository());
    command
}

const FIRST_RECORD: &str = "2013-10-01-US1877-EWR-0500";
const LAST_RECORD: &str = "2013-12-31-DL412-JFK-2359";

#[test]
fn an_allocation_that_fails_ends_the_process_and_the_next_start_reads_half_and_says_so() {
    let results = Results::in_sqlite();
    let mut limited = Command::new("sh");
    let inner = run(&results, &[]);
    limited
        .args(["-c", "ulimit -v 3000000; exec \"$0\" \"$@\""])
        .arg(inner.get_program())
        .args(inner.get_args())
        .envs(
            inner
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("LAMPLIGHTER_FAULT", format!("memory:{}", FIRST_RECORD))
        .current_dir(repository());
    let ended = Ended::of(&mut limited);
    assert_eq!(ended.code, None, "an abort is a signal");
    assert!(
        ended.stderr.contains("memory allocation of"),
        "{}",
        ended.stderr
    );
    Ended::of(&mut run(&results, &[])).expect(0).says(&[
        "the process before this one vanished, perhaps for want of memory",
        "reading 4096 rows at a time, after 8192",
    ]);
    let rows = "SELECT chunk_rows FROM run_attempts ORDER BY attempt_id";
    assert_eq!(results.query(rows).concat(), ["8192", "4096"]);
    results.verify();
}

#[test]
fn a_process_that_the_system_kills_is_followed_by_smaller_ones_until_one_ends_in_order() {
    for results in Results::in_each() {
        let rows_of = |ended: &Ended, rows: u32| {
            let said = format!("reading {rows} rows at a time");
            ended.stderr.contains(&said)
        };
        // A kill by the system, as far as anybody can tell afterwards.
        let kill = |after: &[u32]| {
            // One that is alone in it does no more than it was killed at.
            let mut command = run(&results, &["--workers", "1"]);
            command.env("LAMPLIGHTER_FAULT", format!("hang:{}", FIRST_RECORD));
            let started = Started::new(&mut command);
            started.until("a fault strikes").send("KILL");
            let ended = started.end();
            assert_eq!(ended.code, None);
            assert!(
                after.iter().all(|rows| rows_of(&ended, *rows)),
                "{}",
                ended.stderr
            );
        };
        kill(&[]);
        kill(&[4096]);
        if results.postgres().is_some() {
            // What the killed ones held lapses last, after all others are done.
            Ended::of(&mut run(&results, &[]))
                .expect(0)
                .says(&["reading 2048 rows"]);
            results.verify();
            continue;
        }
        // One that gives up in order has told its reason: whoever comes next need not be careful.
        let mut gives_up = run(&results, &["--set", "run.shard_timeout=1s"]);
        gives_up.env("LAMPLIGHTER_FAULT", format!("hang:{LAST_RECORD}"));
        let ended = Ended::of(&mut gives_up).expect(75);
        assert!(rows_of(&ended, 2048), "{}", ended.stderr);
        let ended = Ended::of(&mut run(&results, &[])).expect(0);
        assert!(!ended.stderr.contains("rows at a time"), "{}", ended.stderr);
        results.verify();
    }
}
