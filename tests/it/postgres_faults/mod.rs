//! A Postgres that fails in the middle of a run, and ways to it that are narrow, guarded or closed.

/// Many clients, few connections.
mod crowd;
/// Who may come in, and what they may do then.
mod login;
/// Encryption, or nothing.
mod tls;
/// Commits of which nobody hears what came of them.
mod unheard;

use crate::harness::Ended;
use crate::harness::flights_on_postgres::{DATE, Flights, eventually};
use crate::harness::postgres::Cluster;

/// Backends that are terminated within a transaction.
const TERMINATED: u32 = 25;

#[test]
fn a_run_outlives_the_end_of_its_connections() {
    let flights = Flights::new();
    let mut started = flights.start("victim", 200, &["--set", "run.lease=2s"]);
    let mut session = flights.database.session();
    let mut terminated = 0;
    eventually(|| {
        let now = session.value(
            "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE application_name = 'victim' AND datname = current_database()
               AND xact_start IS NOT NULL",
        );
        terminated += now.parse::<u32>().expect("a number");
        terminated >= TERMINATED || !started.is_alive()
    });
    started.end().expect(0);
    assert!(terminated >= 5, "only {terminated} connections were ended");
    flights.check(DATE);
}

#[test]
fn a_run_outlives_a_crash_of_the_server() {
    let cluster = Cluster::start(&[]);
    let flights = Flights::in_database(cluster.database());
    let lease = ["--set", "run.lease=2s", "--set", "sink.retry_for=1h"];
    let mut started = flights.start("survivor", 200, &lease);
    flights.until_it_holds(&mut started);
    cluster.stop_immediately();
    started.until("waiting for the database");
    assert!(started.is_alive());
    cluster.start_again();
    started.end().expect(0);
    flights.check(DATE);
}

#[test]
fn a_server_that_stays_away_ends_the_run_and_a_later_start_completes_it() {
    let cluster = Cluster::start(&[]);
    let flights = Flights::in_database(cluster.database());
    let settings = ["--set", "run.lease=2s", "--set", "sink.retry_for=2s"];
    let mut started = flights.start("patient", 200, &settings);
    flights.until_it_holds(&mut started);
    cluster.stop_immediately();
    let place = cluster.socket_directory().display().to_string();
    let ended = started.end().expect(69);
    let ended = ended.says(&["waiting for the database", &place, "gave up after"]);
    assert!(ended.stdout.is_empty(), "{}", ended.stdout);
    // Nor does one begin.
    let mut command = flights.run(DATE, "patient", 200, &settings);
    Ended::of(&mut command)
        .expect(69)
        .says(&["waiting for the database", &place]);
    cluster.start_again();
    let shards = "SELECT count(*) FILTER (WHERE state <> 'completed') > 0 FROM shards";
    assert_eq!(flights.value(shards), "t", "it was stopped midway");
    Ended::of(&mut flights.run(DATE, "later", 200, &settings)).expect(0);
    flights.check(DATE);
}

#[test]
fn a_run_that_waits_for_its_server_can_be_stopped() {
    let cluster = Cluster::start(&[]);
    let flights = Flights::in_database(cluster.database());
    let settings = ["--set", "run.lease=2s", "--set", "sink.retry_for=1h"];
    let mut started = flights.start("patient", 200, &settings);
    flights.until_it_holds(&mut started);
    cluster.stop_immediately();
    started.until("waiting for the database").send("TERM");
    started.end().expect(75).says(&["interrupted"]);
    cluster.start_again();
    Ended::of(&mut flights.run(DATE, "later", 200, &settings)).expect(0);
    flights.check(DATE);
}
