//! Transactions that meet others in the database, and that it ends for that.

use crate::harness::flights_on_postgres::{barrier, eventually};
use crate::harness::night::{Night, date};
use crate::harness::postgres::Cluster;
use crate::harness::tally::Tally;

/// Deadlocks: a session that has what a commit waits for comes to wait for what the commit has.
pub fn deadlocked(tries: u64) -> Tally {
    let cluster = Cluster::start(&["log_line_prefix = '[%a] '"]);
    let night = Night::in_database(cluster.database());
    let mut tally = Tally::new("deadlock with another session, of which ours is the victim");
    // Whoever looks for a deadlock first is its victim, and looks once.
    let name = night.database().name();
    night.database().execute(&format!(
        "ALTER DATABASE {name} SET deadlock_timeout = '2s'"
    ));
    for date in (0..tries).map(date) {
        let mut other = night.database().session();
        other.execute("SET deadlock_timeout = '1h'");
        other.begin();
        other.execute("LOCK TABLE lamplighter.predictions IN SHARE MODE");
        let mut started = night.start("victim", &date, &[]);
        tally.tries += 1;
        let mut waits = false;
        eventually(|| {
            let waiting = "SELECT count(*) > 0 FROM pg_stat_activity
                 WHERE wait_event_type = 'Lock' AND query LIKE 'COPY%' AND application_name = 'victim'";
            waits = night.database().value(waiting) == "t";
            waits || !started.is_alive()
        });
        if waits {
            other.execute(
                "SELECT FROM lamplighter.shards WHERE state = 'leased' ORDER BY shard_no FOR UPDATE",
            );
        }
        drop(other);
        night.judge_end(&date, &started.end(), &[0], &mut tally);
        night.judge(&date, &mut tally);
    }
    let said = "[victim] ERROR:  deadlock detected";
    tally.struck = cluster.log().matches(said).count() as u64;
    tally
}

/// Statements, and the first of each that a transaction of a run makes.
const STATEMENTS: [&str; 8] = [
    "INSERT ON runs",
    "INSERT ON shards",
    "INSERT ON run_attempts",
    "UPDATE ON shards",
    "INSERT ON predictions",
    "INSERT ON dead_letters",
    "INSERT ON reports",
    "INSERT ON publications",
];

/// What the server says to a transaction that is to be tried again.
const CODES: [&str; 3] = ["40001", "40P01", "55P03"];

/// Refusals: each statement fails the first so many times, with one code after another. What counts
/// them is not rolled back.
pub fn refused(times: u64) -> Tally {
    let night = Night::in_postgres();
    let mut tally = Tally::new("40001, 40P01, 55P03 from each of a run's statements");
    for (number, statement) in STATEMENTS.iter().enumerate() {
        night.database().execute(&format!(
            "SET search_path = lamplighter;
             CREATE SEQUENCE refusals_{number};
             CREATE FUNCTION refuse_{number}() RETURNS trigger LANGUAGE plpgsql AS $$
             DECLARE tried bigint := nextval('lamplighter.refusals_{number}');
             BEGIN
                 IF tried > {times} THEN PERFORM setval('lamplighter.refusals_{number}', {times}); RETURN NULL; END IF;
                 RAISE 'refused' USING ERRCODE = ('{{{codes}}}'::text[])[1 + tried % 3];
             END $$;
             CREATE TRIGGER refuse_{number} BEFORE {statement} FOR EACH STATEMENT
             EXECUTE FUNCTION refuse_{number}();",
            codes = CODES.join(","),
        ));
    }
    let date = date(0);
    let ended = night.start("refused", &date, &[]).end();
    night.judge_end(&date, &ended, &[0], &mut tally);
    night.judge(&date, &mut tally);
    for number in 0..STATEMENTS.len() {
        let counted = "SELECT last_value FROM refusals_";
        let counted = night.results.value(&format!("{counted}{number}"));
        tally.tries += times;
        tally.struck += counted.parse::<u64>().expect("a number").min(times);
    }
    tally
}

/// Commits that wait for a lock for longer than a statement may.
pub fn locked_out(tries: u64) -> Tally {
    let cluster = Cluster::start(&["log_line_prefix = '[%a] '"]);
    let night = Night::in_database(cluster.database());
    let mut tally = Tally::new("statements cancelled while they wait for a lock");
    for date in (0..tries).map(date) {
        let closed = barrier(night.database());
        let mut started = night.start("waiting", &date, &[]);
        let mut session = night.database().session();
        let mut cancelled = 0;
        eventually(|| {
            let now = session.value(
                "SELECT count(*) FILTER (WHERE pg_cancel_backend(pid)) FROM pg_stat_activity
                 WHERE application_name = 'waiting' AND wait_event_type = 'Lock' AND query LIKE 'COPY%'",
            );
            cancelled += now.parse::<u64>().expect("a number");
            cancelled >= 3 || !started.is_alive()
        });
        drop(closed);
        tally.tries += 1;
        tally.struck += u64::from(cancelled >= 3);
        night.judge_end(&date, &started.end(), &[0], &mut tally);
        night.judge(&date, &mut tally);
    }
    tally
}

#[test]
fn the_victim_of_a_deadlock_tries_again() {
    deadlocked(1).check(1);
}

#[test]
fn what_the_server_refuses_for_another_transactions_sake_is_tried_again() {
    refused(3).check(24);
}

#[test]
fn a_statement_that_is_cancelled_while_it_waits_is_tried_again() {
    locked_out(1).check(1);
}
