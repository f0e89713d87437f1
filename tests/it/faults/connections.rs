//! Servers, connections and processes that go away and come back.

use std::thread;

use crate::harness::flights_on_postgres::{eventually, held_by, stop_with_shards};
use crate::harness::night::{Night, date};
use crate::harness::postgres::{Cluster, Database, PostgresSession};
use crate::harness::started::Started;
use crate::harness::tally::Tally;

const LAPSED: &str = "its claim lapsed: the shard is another's now";

/// Waits for something that shows in a database while a process works; says whether it came before
/// the process ended.
fn until(started: &mut Started, mut happened: impl FnMut() -> bool) -> bool {
    let mut came = false;
    eventually(|| {
        let is_alive = started.is_alive();
        came = happened();
        came || !is_alive
    });
    came
}

/// A gate in the middle of each shard's rows: while it is closed, a COPY that has begun waits there.
struct Gate;

impl Gate {
    fn build(database: &Database) -> Self {
        database.execute(
            "SET search_path = lamplighter;
             CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NEW; END $$;
             CREATE TRIGGER gate BEFORE INSERT ON predictions FOR EACH ROW
             WHEN (NEW.ordinal % 100 = 50) EXECUTE FUNCTION gate();",
        );
        Self
    }

    /// Closed until what is returned is dropped.
    fn close(&self, database: &Database) -> PostgresSession {
        let mut session = database.session();
        session.execute("SELECT pg_advisory_lock(4711)");
        session
    }

    /// Whether a COPY waits there.
    fn holds(&self, database: &Database) -> bool {
        let waiting = "SELECT count(*) > 0 FROM pg_stat_activity
             WHERE wait_event = 'advisory' AND query LIKE 'COPY%' AND datname = current_database()";
        database.value(waiting) == "t"
    }
}

/// Processes that are stopped for longer than their lease, and go on when others have taken over.
pub fn slept(tries: u64) -> Tally {
    let night = Night::in_postgres();
    let fault = "SIGSTOP for longer than the lease, then SIGCONT";
    Tally::of_threads(fault, 2, |thread, tally| {
        for number in (thread..tries).step_by(2) {
            let (date, name) = (date(number), format!("sleeper_{thread}"));
            tally.tries += 1;
            let alone = ["--set", "schedule.catch_up=0"];
            // So that there are moments between its transactions.
            let sleepy = [&alone[..], &["--set", "sink.connections=1"]].concat();
            let mut sleeper = night.start(&name, &date, &sleepy);
            if stop_with_shards(night.database(), &name, &mut sleeper) {
                let other = night.start("other", &date, &alone).end();
                night.judge_end(&date, &other, &[0], tally);
                let held = held_by(&mut night.database().session(), &sleeper);
                if held > 0 {
                    let note = format!("{date}: {held} shards stayed with the sleeper");
                    tally.notes.push(note);
                }
                sleeper.send("CONT");
            }
            let ended = sleeper.end();
            tally.struck += u64::from(ended.stderr.contains(LAPSED));
            night.judge_end(&date, &ended, &[0], tally);
            night.judge(&date, tally);
        }
    })
}

/// Crashes of the server while rows of a shard are on their way into it.
pub fn crashed(tries: u64) -> Tally {
    let cluster = Cluster::start(&[]);
    let night = Night::in_database(cluster.database());
    let gate = Gate::build(night.database());
    let mut tally = Tally::new("pg_ctl stop -m immediate in the middle of a COPY, then start");
    for date in (0..tries).map(date) {
        let closed = gate.close(night.database());
        let mut started = night.start("survivor", &date, &[]);
        tally.tries += 1;
        if until(&mut started, || gate.holds(night.database())) {
            cluster.stop_immediately();
            started.until("waiting for the database");
            cluster.start_again();
            tally.struck += 1;
        }
        drop(closed);
        night.judge_end(&date, &started.end(), &[0], &mut tally);
        night.judge(&date, &mut tally);
    }
    tally
}

/// Connections that the server ends in the middle of a COPY.
pub fn terminated_in_copy(tries: u64) -> Tally {
    let night = Night::in_postgres();
    let gate = Gate::build(night.database());
    let mut tally = Tally::new("pg_terminate_backend in the middle of a COPY");
    for date in (0..tries).map(date) {
        let mut closed = gate.close(night.database());
        let mut started = night.start("victim", &date, &[]);
        tally.tries += 1;
        if until(&mut started, || gate.holds(night.database())) {
            let ended = closed.value(
                "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
                 WHERE query LIKE 'COPY%' AND datname = current_database()",
            );
            tally.struck += u64::from(ended != "0");
        }
        drop(closed);
        night.judge_end(&date, &started.end(), &[0], &mut tally);
        night.judge(&date, &mut tally);
    }
    tally
}

/// Connections that the server ends within a transaction, wherever that is.
pub fn terminated(count: u64) -> Tally {
    let night = Night::in_postgres();
    let mut tally = Tally::new("pg_terminate_backend within a transaction");
    let mut session = night.database().session();
    for date in (0..count).map(date) {
        let mut started = night.start("victim", &date, &[]);
        until(&mut started, || {
            let ended = session.value(
                "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
                 WHERE application_name = 'victim' AND datname = current_database()
                   AND xact_start IS NOT NULL",
            );
            let ended = ended.parse::<u64>().expect("a number");
            tally.tries += ended;
            tally.struck += ended;
            tally.struck >= count
        });
        night.judge_end(&date, &started.end(), &[0], &mut tally);
        night.judge(&date, &mut tally);
        if tally.struck >= count {
            break;
        }
    }
    tally
}

/// Processes of several workers that have one connection each.
pub fn one_connection(tries: u64) -> Tally {
    let night = Night::in_postgres();
    let mut tally = Tally::new("a pool of one connection, three processes of four workers");
    let more = ["--set", "sink.connections=1", "--workers", "4"];
    for date in (0..tries).map(date) {
        let mut all = ["one", "two", "three"].map(|name| night.start(name, &date, &more));
        let mut session = night.database().session();
        let mut most = 0;
        eventually(|| {
            let now = session.value(
                "SELECT coalesce(max(count), 0) FROM (
                     SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND application_name IN ('one', 'two', 'three')
                     GROUP BY application_name) AS connections",
            );
            most = now.parse::<u64>().expect("a number").max(most);
            !all.iter_mut().any(Started::is_alive)
        });
        tally.tries += 1;
        tally.struck += u64::from(most == 1);
        // One that has just been closed may still be on its way out.
        if most > 2 {
            tally.notes.push(format!("{date}: {most} connections"));
        }
        thread::scope(|scope| {
            let ends = all.map(|started| scope.spawn(|| started.end()));
            for ended in ends {
                let ended = ended.join().expect("an end");
                night.judge_end(&date, &ended, &[0], &mut tally);
            }
        });
        night.judge(&date, &mut tally);
    }
    tally
}

#[test]
fn who_sleeps_through_its_lease_writes_nothing_of_what_is_anothers_by_then() {
    slept(2).check(2);
}

#[test]
fn a_run_outlives_crashes_of_the_server_in_the_middle_of_a_copy() {
    crashed(3).check(3);
}

#[test]
fn a_run_outlives_the_end_of_its_connection_in_the_middle_of_a_copy() {
    terminated_in_copy(3).check(3);
}

#[test]
fn a_run_outlives_the_end_of_its_connections_wherever_it_is() {
    terminated(25).check(25);
}

#[test]
fn one_connection_is_enough_for_four_workers() {
    one_connection(2).check(1);
}
