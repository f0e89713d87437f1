//! Several processes on one run in Postgres, whatever happens to one of them.

use crate::harness::Ended;
use crate::harness::flights_on_postgres::{DATE, Flights, eventually, expected};
use crate::harness::started::Started;

/// So that there are moments between its transactions.
const ONE_CONNECTION: [&str; 2] = ["--set", "sink.connections=1"];

const LAPSED: &str = "its claim lapsed: the shard is another's now";

#[test]
fn eight_processes_make_one_run_though_one_is_killed_and_one_sleeps_through_its_lease() {
    let flights = Flights::new();
    let lease = ["--set", "run.lease=2s"];
    let mut sleeper = flights.start("sleeper", 100, &[&lease[..], &ONE_CONNECTION].concat());
    assert!(
        flights.stop_with_shards("sleeper", &mut sleeper),
        "it was done before it could be stopped"
    );
    let slept_on = flights.value(&format!(
        "SELECT string_agg(shard_no::text, ',') FROM shards
         WHERE state = 'leased' AND owner LIKE '%:{}:%'",
        sleeper.id()
    ));
    let barrier = flights.barrier();
    let mut others: Vec<Started> = (0..7)
        .map(|number| flights.start(&format!("other_{number}"), 100, &lease))
        .collect();
    others
        .iter_mut()
        .for_each(|started| flights.until_it_holds(started));
    let victim = others.remove(3);
    victim.send("KILL");
    assert_eq!(victim.end().code, None, "the kill struck");
    drop(barrier);

    for ended in flights.ends(others) {
        ended.expect(0);
    }
    // They took over what the sleeper held, all of it.
    assert_eq!(flights.held_by(&sleeper), 0);
    let taken_over = flights.value(&format!(
        "SELECT bool_and(state = 'completed' AND epoch > 1) FROM shards WHERE shard_no IN ({slept_on})"
    ));
    assert_eq!(taken_over, "t", "{slept_on}");
    sleeper.send("CONT");
    let ended = flights.ends(vec![sleeper]).remove(0);
    ended.expect(0).says(&[LAPSED]);
    flights.check(DATE);
    assert_eq!(flights.value("SELECT count(*) FROM run_attempts"), "8");
}

#[test]
fn a_start_that_finds_everything_claimed_waits_for_the_lease_and_takes_over() {
    let flights = Flights::new();
    let lease = ["--set", "run.lease=2s"];
    let mut sleeper = flights.start(
        "sleeper",
        1_000_000,
        &[&lease[..], &ONE_CONNECTION].concat(),
    );
    assert!(
        flights.stop_with_shards("sleeper", &mut sleeper),
        "it was done before it could be stopped"
    );
    assert_eq!(flights.value("SELECT count(*) FROM shards"), "1");
    let second = flights.start("second", 1_000_000, &lease);
    second.until("other processes hold the shards that are left; waiting for them");
    let ended = flights.ends(vec![second]).remove(0);
    ended.expect(0);
    assert_eq!(flights.value("SELECT epoch FROM shards"), "2");
    flights.check(DATE);
    sleeper.send("CONT");
    let ended = flights.ends(vec![sleeper]).remove(0);
    ended.expect(0).says(&[LAPSED]);
    flights.check(DATE);
}

#[test]
fn beside_a_process_that_lives_nobody_is_alone() {
    let flights = Flights::new();
    let barrier = flights.barrier();
    let mut first = flights.start("first", 5000, &[]);
    flights.until_it_holds(&mut first);
    let pid = first.id().to_string();
    Ended::of(&mut flights.run(DATE, "second", 5000, &["--exclusive"]))
        .expect(75)
        .says(&[&pid, "--exclusive"]);
    let attempts = flights.value("SELECT count(*) FROM run_attempts");
    assert_eq!(attempts, "1", "who may not begin leaves no trace");
    drop(barrier);
    flights.ends(vec![first]).remove(0).expect(0);
    flights.check(DATE);
}

#[test]
fn who_is_alone_keeps_everybody_out_until_it_is_done() {
    let flights = Flights::new();
    let barrier = flights.barrier();
    let mut first = flights.start("first", 5000, &["--exclusive", "--set", "run.lease=1h"]);
    flights.until_it_holds(&mut first);
    first.send("STOP");
    let pid = first.id().to_string();
    for more in [&["--exclusive"][..], &[]] {
        Ended::of(&mut flights.run(DATE, "second", 5000, more))
            .expect(75)
            .says(&[&pid, "--exclusive"]);
    }
    first.send("CONT");
    drop(barrier);
    flights.ends(vec![first]).remove(0).expect(0);
    flights.check(DATE);
    // It is done: there is nobody to be in the way of.
    Ended::of(&mut flights.run(DATE, "second", 5000, &["--exclusive"])).expect(0);
}

#[test]
fn who_was_alone_and_is_killed_is_forgotten_after_its_lease() {
    let flights = Flights::new();
    let barrier = flights.barrier();
    let exclusive = ["--exclusive", "--set", "run.lease=2s"];
    let mut first = flights.start("first", 5000, &exclusive);
    flights.until_it_holds(&mut first);
    first.send("KILL");
    assert_eq!(first.end().code, None);
    drop(barrier);
    let alive =
        "SELECT alive_until > clock_timestamp() FROM run_attempts ORDER BY attempt_id LIMIT 1";
    eventually(|| flights.value(alive) == "f");
    Ended::of(&mut flights.run(DATE, "second", 5000, &exclusive)).expect(0);
    flights.check(DATE);
}

#[test]
fn two_who_score_a_date_again_at_once_make_one_generation() {
    let flights = Flights::new();
    Ended::of(&mut flights.run(DATE, "first", 5000, &[])).expect(0);
    let mut session = flights.database.session();
    // The lock that planning takes: both want a new generation before either has planned one.
    let lock = format!("hashtextextended('lamplighter:plan:flight-delay@{DATE}', 0)");
    session.execute(&format!("SELECT pg_advisory_lock({lock})"));
    let rescore = ["--rescore", "--reason", "the model was wrong"];
    let both: Vec<Started> = ["one", "other"]
        .map(|name| flights.start(name, 5000, &rescore))
        .into();
    eventually(|| {
        session.value(
            "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
             WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()",
        ) == "2"
    });
    session.execute(&format!("SELECT pg_advisory_unlock({lock})"));
    for started in both {
        started.end().expect(0);
    }
    let runs = "SELECT string_agg(generation || ' ' || state || ' ' || publication, ', ' ORDER BY generation) FROM runs";
    assert_eq!(
        flights.value(runs),
        "1 completed withheld, 2 completed published"
    );
    let found = flights.database.prediction_bits("lamplighter", 2);
    assert!(&found == expected(), "bits differ");
}

#[test]
fn a_signal_to_one_of_two_gives_its_shards_to_the_other() {
    let flights = Flights::new();
    let barrier = flights.barrier();
    // Nobody waits for this lease.
    let lease = ["--set", "run.lease=1h"];
    let mut both = ["one", "other"].map(|name| flights.start(name, 100, &lease));
    for started in &mut both {
        flights.until_it_holds(started);
    }
    let [one, other] = both;
    one.send("TERM");
    let pid = one.id();
    drop(barrier);
    let ended = one.end().expect(75).says(&["error: interrupted"]);
    assert_eq!(
        flights.value(&format!(
            "SELECT count(*) FROM shards WHERE state = 'leased' AND owner LIKE '%:{pid}:%'"
        )),
        "0",
        "{}",
        ended.stderr
    );
    flights.ends(vec![other]).remove(0).expect(0);
    flights.check(DATE);
    assert_eq!(
        flights
            .value("SELECT string_agg(exit_code::text, ' ' ORDER BY exit_code) FROM run_attempts"),
        "0 75"
    );
}

#[test]
fn a_start_that_waits_for_its_peers_can_be_stopped() {
    let flights = Flights::new();
    let lease = ["--set", "run.lease=1h"];
    let mut sleeper = flights.start(
        "sleeper",
        1_000_000,
        &[&lease[..], &ONE_CONNECTION].concat(),
    );
    assert!(
        flights.stop_with_shards("sleeper", &mut sleeper),
        "it was done before it could be stopped"
    );
    let second = flights.start("second", 1_000_000, &lease);
    second.until("waiting for them").send("TERM");
    second.end().expect(75).says(&["error: interrupted"]);
    sleeper.send("CONT");
    flights.ends(vec![sleeper]).remove(0).expect(0);
    flights.check(DATE);
}

#[test]
fn a_run_that_is_cancelled_under_a_process_ends_it_and_takes_nothing_more() {
    let flights = Flights::new();
    let mut started = flights.start("worker", 100, &ONE_CONNECTION);
    assert!(
        flights.stop_with_shards("worker", &mut started),
        "it was done before it could be stopped"
    );
    let name = format!("flight-delay@{DATE}#1");
    let url = flights.database.url();
    flights
        .workspace
        .lamplighter(&["runs", "cancel", &name, "--database", &url])
        .expect(0);
    let rows = flights.value("SELECT count(*) FROM predictions");
    started.send("CONT");
    started
        .end()
        .expect(75)
        .says(&[&name, "was given up while this process worked on it"]);
    assert_eq!(flights.value("SELECT count(*) FROM predictions"), rows);
    assert_eq!(flights.value("SELECT count(*) FROM publications"), "0");
    Ended::of(&mut flights.run(DATE, "next", 5000, &[])).expect(0);
    let second = flights.database.prediction_bits("lamplighter", 2);
    assert!(&second == expected(), "bits differ");
}

#[test]
fn a_process_that_sleeps_in_the_middle_of_a_commit_keeps_nobody_from_joining() {
    let flights = Flights::new();
    // One connection to commit over, and one for everything else.
    let connections = ["--set", "sink.connections=2"];
    let lease = [&["--set", "run.lease=2s"][..], &connections].concat();
    let barrier = flights.barrier();
    let sleeper = flights.start("sleeper", 5000, &lease);
    let commits = "SELECT count(*) > 0 FROM pg_stat_activity
         WHERE application_name = 'sleeper' AND datname = current_database()
           AND wait_event_type = 'Lock' AND query LIKE 'COPY%'";
    eventually(|| flights.value(commits) == "t");
    sleeper.send("STOP");
    drop(barrier);
    let mut second = flights.start("second", 5000, &lease);
    // All but the one whose rows the sleeper is about to send.
    let left = "SELECT count(*) FROM shards WHERE state <> 'completed'";
    eventually(|| {
        assert!(second.is_alive(), "it ended before everything was done");
        flights.value(left) == "1"
    });
    sleeper.send("CONT");
    for ended in flights.ends(vec![sleeper, second]) {
        ended.expect(0);
    }
    flights.check(DATE);
}

#[test]
fn commits_that_take_longer_than_the_lease_lose_nothing() {
    let flights = Flights::new();
    let lease = ["--set", "run.lease=2s"];
    let barrier = flights.barrier();
    let mut all: Vec<Started> =
        Vec::from(["one", "other"].map(|name| flights.start(name, 1000, &lease)));
    all.iter_mut()
        .for_each(|started| flights.until_it_holds(started));
    // By the clock that leases go by.
    let begun = flights.value("SELECT clock_timestamp()");
    let passed = format!("SELECT clock_timestamp() - '{begun}'::timestamptz > interval '6 s'");
    eventually(|| flights.value(&passed) == "t");
    // Whoever comes now takes what lapsed first, for it has the lowest numbers.
    let mut third = flights.start("third", 1000, &lease);
    flights.until_it_holds(&mut third);
    all.push(third);
    drop(barrier);
    for ended in flights.ends(all) {
        let ended = ended.expect(0);
        assert!(!ended.stderr.contains(LAPSED), "{}", ended.stderr);
    }
    assert_eq!(flights.value("SELECT max(epoch) FROM shards"), "1");
    flights.check(DATE);
}
