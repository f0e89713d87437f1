//! `kill -9` at any moment, and a start after it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::Ended;
use crate::harness::night::{Night, date};
use crate::harness::pgbouncer::{self, Pgbouncer};
use crate::harness::postgres::cluster;
use crate::harness::started::Started;
use crate::harness::tally::{Random, Tally};

/// Dates that share a database; the next ones begin with an empty one.
const DATES: u64 = 8;

/// Kills processes that work on a date together, each at a moment of its own, until so many kills
/// have struck. Who is killed is started again, until the date is completed; then the next begins.
fn kill(tally: &mut Tally, stream: u64, kills: u64, processes: u64, fresh: impl Fn() -> Night) {
    let longest = undisturbed(&fresh());
    let random = AtomicU64::new(stream * 1_000_000 + 1);
    let seed = || Random::new(random.fetch_add(1, Ordering::Relaxed));
    while tally.struck < kills && tally.tries < kills * 20 + 100 {
        let night = fresh();
        for number in 0..DATES {
            let left = kills.saturating_sub(tally.struck);
            let share = left.div_ceil(processes);
            let date = date(number);
            let counted = Tally::of_threads("", processes, |_, tally| {
                kill_one(tally, &night, &date, share, longest, seed());
            });
            tally.add(counted);
            night.judge(&date, tally);
            if tally.struck >= kills {
                return;
            }
        }
    }
}

fn kill_one(
    tally: &mut Tally,
    night: &Night,
    date: &str,
    kills: u64,
    longest: Duration,
    mut random: Random,
) {
    while tally.wrong_exit_codes < 5 {
        let started = Started::new(&mut night.run(date, &[]));
        tally.tries += 1;
        let ended = match tally.struck < kills {
            true => {
                // The moment itself is the fault: there is no event to wait for.
                thread::sleep(moment(longest, &mut random));
                started.killed()
            }
            false => started.end(),
        };
        match ended.signal {
            Some(9) => tally.struck += 1,
            _ if night.judge_end(date, &ended, &[0], tally) => return,
            _ => {}
        }
    }
}

/// Any moment of a run, those of its beginning more often: a start after a kill has less to do.
fn moment(longest: Duration, random: &mut Random) -> Duration {
    let share = match random.share() < 0.25 {
        true => random.share() * 0.25,
        false => random.share() * 1.05,
    };
    longest.mul_f64(share)
}

fn undisturbed(night: &Night) -> Duration {
    let begun = Instant::now();
    Ended::of(&mut night.run(&date(0), &[])).expect(0);
    begun.elapsed()
}

/// On SQLite, where one process works.
pub fn on_sqlite(kills: u64) -> Tally {
    Tally::of_threads("SIGKILL at a random moment, SQLite", 2, |stream, tally| {
        kill(tally, stream, kills.div_ceil(2), 1, Night::in_sqlite);
    })
}

/// On Postgres, one process at a time.
pub fn on_postgres(kills: u64) -> Tally {
    // Most of the time passes with waiting for the leases of the dead.
    Tally::of_threads(
        "SIGKILL at a random moment, Postgres",
        4,
        |stream, tally| {
            kill(tally, stream, kills.div_ceil(4), 1, Night::in_postgres);
        },
    )
}

/// On Postgres, several processes on one run.
pub fn among_peers(kills: u64) -> Tally {
    let fault = "SIGKILL of any of three processes, Postgres";
    Tally::of_threads(fault, 2, |stream, tally| {
        kill(tally, stream, kills.div_ceil(2), 3, Night::in_postgres);
    })
}

/// On Postgres, behind a pooler that gives each transaction another connection.
pub fn behind_pgbouncer(kills: u64) -> Tally {
    let fault = "SIGKILL of either of two processes, behind pgbouncer";
    let pooler = Pgbouncer::start(cluster(), "transaction", 2);
    Tally::of_threads(fault, 2, |stream, tally| {
        kill(tally, stream, kills.div_ceil(2), 2, || {
            let night = Night::in_postgres();
            let url = pooler.url(night.database());
            night.by_way_of(url)
        });
    })
}

#[test]
fn killed_at_random_moments_a_run_on_sqlite_still_scores_every_record_once_and_alike() {
    on_sqlite(12).check(12);
}

#[test]
fn killed_at_random_moments_a_run_on_postgres_still_scores_every_record_once_and_alike() {
    on_postgres(12).check(12);
}

#[test]
fn whichever_of_three_processes_is_killed_their_run_scores_every_record_once_and_alike() {
    among_peers(12).check(12);
}

#[test]
fn killed_behind_a_pooler_processes_still_score_every_record_once_and_alike() {
    if pgbouncer::is_left_out() {
        return;
    }
    behind_pgbouncer(12).check(12);
}
