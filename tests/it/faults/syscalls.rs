//! A kill or an error at the N-th call of one kind, wherever in a run that call stands.

use crate::harness::night::{Night, date};
use crate::harness::strace;
use crate::harness::tally::Tally;

/// What the binary calls to write: SQLite's file and log, and Postgres' connections.
const SQLITE: [&str; 4] = ["fsync", "pwrite64", "ftruncate", "write"];
const POSTGRES: [&str; 2] = ["sendto", "recvfrom"];

/// At most so many numbers from 1 to `most`, spread evenly, with both ends.
fn spread(most: u64, count: u64) -> Vec<u64> {
    let count = count.min(most);
    (0..count)
        .map(|index| 1 + index * (most - 1) / (count - 1).max(1))
        .collect()
}

/// Every pair of a call and one of at most `count` numbers of it.
fn moments(night: &Night, calls: &[&'static str], count: u64) -> Vec<(&'static str, u64)> {
    let counts = strace::count(&night.run(&date(0), &[]), calls);
    let numbers = |call: &'static str| {
        let most = *counts.get(call).unwrap_or_else(|| panic!("no {call}"));
        spread(most, count).into_iter().map(move |n| (call, n))
    };
    calls.iter().copied().flat_map(numbers).collect()
}

/// On SQLite, each time on an empty database, so that its creation is a part of it.
pub fn killed_on_sqlite(count: u64) -> Tally {
    let moments = moments(&Night::in_sqlite(), &SQLITE, count);
    let fault = "SIGKILL at the N-th fsync, pwrite64, ftruncate, write; SQLite";
    Tally::of_threads(fault, 2, |thread, tally| {
        for &(call, number) in moments.iter().skip(thread as usize).step_by(2) {
            let (night, date) = (Night::in_sqlite(), date(0));
            let command = night.run(&date, &[]);
            let (ended, _) = strace::disturb(&command, call, "signal=KILL", &number.to_string());
            tally.tries += 1;
            match ended.signal {
                Some(9) => tally.struck += 1,
                _ => drop(night.judge_end(&date, &ended, &[0], tally)),
            }
            night.complete(&date, tally);
            night.judge(&date, tally);
        }
    })
}

/// On Postgres. All are killed before the first is started again: by then, leases have lapsed.
pub fn killed_on_postgres(count: u64) -> Tally {
    let night = Night::in_postgres();
    let moments = moments(&night, &POSTGRES, count);
    let fault = "SIGKILL at the N-th sendto, recvfrom; Postgres";
    let dates: Vec<String> = (1..=moments.len() as u64).map(date).collect();
    let mut tally = Tally::of_threads(fault, 2, |thread, tally| {
        let mine = moments.iter().zip(&dates).skip(thread as usize).step_by(2);
        for ((call, number), date) in mine {
            let command = night.run(date, &ONE_DATE);
            let (ended, _) = strace::disturb(&command, call, "signal=KILL", &number.to_string());
            tally.tries += 1;
            match ended.signal {
                Some(9) => tally.struck += 1,
                _ => drop(night.judge_end(date, &ended, &[0], tally)),
            }
        }
    });
    for date in &dates {
        night.complete(date, &mut tally);
        night.judge(date, &mut tally);
    }
    tally
}

/// Unfinished dates before it are none of a start's business.
const ONE_DATE: [&str; 2] = ["--set", "schedule.catch_up=0"];

/// A disk that fails once, or from then on.
pub fn failing_disk(count: u64) -> Tally {
    let calls = ["fsync", "pwrite64", "ftruncate"];
    let moments = moments(&Night::in_sqlite(), &calls, count);
    let kinds = ["error=EIO", "error=ENOSPC"];
    let kinds = kinds.map(|error| [(error, ""), (error, "+")]).concat();
    let fault = "EIO or ENOSPC at the N-th fsync, pwrite64, ftruncate, once or for good; SQLite";
    Tally::of_threads(fault, 2, |thread, tally| {
        for &(call, number) in moments.iter().skip(thread as usize).step_by(2) {
            for (error, how_long) in &kinds {
                let (night, date) = (Night::in_sqlite(), date(0));
                let when = format!("{number}{how_long}");
                let command = night.run(&date, &[]);
                let (ended, has_struck) = strace::disturb(&command, call, error, &when);
                tally.tries += 1;
                tally.struck += u64::from(has_struck);
                // Some calls are not needed: those of folding the log into the file.
                let codes = match has_struck {
                    true => &[74, 0][..],
                    false => &[0],
                };
                night.judge_end(&date, &ended, codes, tally);
                night.complete(&date, tally);
                night.judge(&date, tally);
            }
        }
    })
}

/// A connection that breaks while the N-th message is sent or awaited.
pub fn broken_connection(count: u64) -> Tally {
    let night = Night::in_postgres();
    let moments = moments(&night, &POSTGRES, count);
    let fault = "ECONNRESET at the N-th sendto, recvfrom; Postgres";
    Tally::of_threads(fault, 2, |thread, tally| {
        let numbered = moments.iter().zip(1..).skip(thread as usize).step_by(2);
        for ((call, number), day) in numbered {
            let date = date(day);
            let command = night.run(&date, &ONE_DATE);
            let when = number.to_string();
            let (ended, has_struck) = strace::disturb(&command, call, "error=ECONNRESET", &when);
            tally.tries += 1;
            tally.struck += u64::from(has_struck);
            night.judge_end(&date, &ended, &[0], tally);
            night.judge(&date, tally);
        }
    })
}

#[test]
fn killed_at_any_write_a_run_on_sqlite_goes_on() {
    if strace::is_left_out() {
        return;
    }
    killed_on_sqlite(8).check(15);
}

#[test]
fn killed_at_any_message_a_run_on_postgres_goes_on() {
    if strace::is_left_out() {
        return;
    }
    killed_on_postgres(8).check(12);
}

#[test]
fn a_disk_that_fails_at_any_write_ends_a_run_with_74_and_the_next_start_completes_it() {
    if strace::is_left_out() {
        return;
    }
    failing_disk(4).check(25);
}

#[test]
fn a_connection_that_breaks_at_any_message_is_replaced() {
    if strace::is_left_out() {
        return;
    }
    broken_connection(8).check(12);
}
