use crate::harness::Ended;
use crate::harness::flights_on_postgres::{DATE, Flights};
use crate::harness::proxy::{Message, Proxy, Then};

/// Whether to keep the answer to a connection's COMMIT; it is told whether rows were copied since
/// the one before.
type Choice = dyn FnMut(bool) -> bool + Send;

/// A run of the flights through a proxy that keeps these answers; says how many it kept.
fn run_through(mut choose: Box<Choice>) -> (Flights, usize) {
    let flights = Flights::new();
    let decide = move |message: &Message<'_>| match message.is_commit() && choose(message.copied) {
        true => Then::KeepAnswer,
        false => Then::Pass,
    };
    let proxy = Proxy::start(&flights.workspace, Box::new(decide));
    let url = proxy.url(&flights.database);
    let mut command = flights.run_at(&url, DATE, 2000, &["--set", "run.lease=2s"]);
    Ended::of(&mut command).expect(0);
    flights.check(DATE);
    (flights, proxy.kept())
}

#[test]
fn a_shard_whose_commit_was_not_heard_of_is_written_once() {
    let mut left = 3;
    let (flights, kept) = run_through(Box::new(move |copied| {
        let chosen = copied && left > 0;
        left -= i32::from(chosen);
        chosen
    }));
    assert_eq!(kept, 3);
    // It was asked for, and not scored anew.
    assert_eq!(flights.value("SELECT max(epoch) FROM shards"), "1");
}

#[test]
fn whichever_commit_is_not_heard_of_the_run_is_planned_scored_and_finished_once() {
    for offset in 0..3 {
        let mut number = 0;
        let (flights, kept) = run_through(Box::new(move |_| {
            number += 1;
            number % 3 == offset
        }));
        assert!(kept > 10, "only {kept} answers were kept");
        assert_eq!(
            flights.value("SELECT string_agg(exit_code::text, ',') FROM run_attempts"),
            "0",
            "one process, one attempt"
        );
        let counts = "SELECT count(*) || ' ' || (SELECT count(*) FROM reports) FROM publications";
        assert_eq!(flights.value(counts), "1 1");
    }
}
