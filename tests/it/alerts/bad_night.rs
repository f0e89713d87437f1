use std::process::Command;

use jiff::ToSpan;

use super::{DATE, RUN, an_id, bad_rows, clock_in, notify, outbox, put, rule};
use crate::harness::Ended;
use crate::harness::receiver::{Answer, Receiver};
use crate::harness::results::Results;
use crate::harness::started::Started;
use crate::monitoring::october;

fn rules(receiver: &Receiver) -> String {
    let mut rules = notify(&receiver.url("/hook"));
    rules += &rule(
        "late",
        "minutes_past_finish_by > 0",
        "severity = \"critical\"",
    );
    rules += &rule("dead-letters", "dead_letter_rate > 0.01", "");
    rules += &rule(
        "drift",
        "psi > 0.25",
        "actions = [\"webhook\", \"withhold\"]\ncolumn = \"distance\"",
    );
    rules += &rule("empty", "predicted < 1000", "");
    rules
        + &finish_by_in_hours()
        + "[errors]\nmax_dead_letters = \"5%\"\n[run]\nshard_size = 1000\n"
}

/// Nobody comes near it, whenever the tests are run.
fn finish_by_in_hours() -> String {
    format!(
        "[schedule]\nfinish_by = \"{}\"\n",
        clock_in(6.hours(), "%H:%M")
    )
}

fn start(results: &Results) -> Command {
    results.command(&["run", "job.toml", DATE[0], DATE[1]])
}

#[test]
fn a_bad_night_is_told_once_whoever_is_killed_and_whatever_fails() {
    for results in Results::in_each() {
        let receiver = Receiver::answering(&[Answer::Silence]);
        let rows = bad_rows();
        put(&results, &rows, &rules(&receiver));

        // Killed while it scores, and a day late.
        let killed =
            Ended::of(start(&results).env("LAMPLIGHTER_FAULT", format!("abort:{}", an_id(&rows))));
        assert_eq!(killed.signal, Some(6), "{killed}");
        results.execute("UPDATE runs SET created_at = '2013-11-02T02:00:00Z'");
        results.execute(
            "UPDATE shards SET lease_until = NULL, state = 'available' WHERE state = 'leased'",
        );

        // Killed between scoring and delivery.
        let started = Started::new(&mut start(&results));
        receiver.wait_for_arrival();
        started.killed();
        assert_eq!(results.value("SELECT state FROM runs"), "completed");
        assert_eq!(receiver.requests().len(), 0, "nothing was answered");
        // On Postgres the claim of the process that died has to lapse first.

        // A receiver that fails twice.
        receiver.answer(&[Answer::Status(503), Answer::Status(500)]);
        Ended::of(&mut start(&results)).expect(79);
        let taken = receiver.taken();
        let mut told: Vec<String> = taken
            .iter()
            .map(|request| request.json()["alert"].as_str().expect("a name").to_owned())
            .collect();
        told.sort();
        assert_eq!(told, ["dead-letters", "drift", "late"]);
        assert_eq!(receiver.requests().len(), 5, "two failed");

        // And nothing more is told.
        Ended::of(&mut start(&results)).expect(79);
        assert_eq!(receiver.requests().len(), 5);
        for row in outbox(&results) {
            assert_eq!(row[2], "delivered", "{row:?}");
        }

        assert_eq!(results.value("SELECT publication FROM runs"), "withheld");
        assert_eq!(
            results.query("SELECT 1 FROM publications"),
            Vec::<Vec<String>>::new()
        );
        let report = results
            .lamplighter(&["report", RUN, "--format", "json"])
            .expect(0)
            .json();
        assert_eq!(report["assessment"]["grade"], "bad");
        assert_eq!(report["outcome"]["exit_code"], 79);
        let states: Vec<(&str, &str)> = report["alerts"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|judged| {
                let text = |key: &str| judged[key].as_str().expect("text");
                (text("rule"), text("state"))
            })
            .collect();
        assert_eq!(
            states,
            [
                ("late", "firing"),
                ("dead-letters", "firing"),
                ("drift", "firing"),
                ("empty", "quiet")
            ]
        );
        let text = results.lamplighter(&["report", RUN]).expect(0).stdout;
        assert!(
            text.contains("distance") && text.lines().count() <= 25,
            "{text}"
        );
    }
}

#[test]
fn of_a_good_night_nobody_is_told() {
    for results in Results::in_each() {
        let receiver = Receiver::answering(&[]);
        put(&results, &october(), &rules(&receiver));
        Ended::of(&mut start(&results)).expect(0);
        assert_eq!(receiver.requests().len(), 0);
        assert_eq!(outbox(&results), Vec::<Vec<String>>::new());
        let report = results
            .lamplighter(&["report", "--format", "json"])
            .expect(0)
            .json();
        assert_eq!(
            report["assessment"]["grade"], "good",
            "{}",
            report["assessment"]
        );
    }
}

#[test]
fn a_run_that_was_withheld_is_published_by_hand_and_stays_so() {
    for results in Results::in_each() {
        let receiver = Receiver::answering(&[]);
        put(&results, &bad_rows(), &rules(&receiver));
        Ended::of(&mut start(&results)).expect(79);
        results
            .lamplighter(&["runs", "publish", "flights@2013-11-01#2"])
            .expect(64)
            .says(&["there is no run"]);
        results.lamplighter(&["runs", "publish", RUN]).expect(0);
        assert!(
            !results
                .query("SELECT 1 FROM predictions_latest LIMIT 1")
                .is_empty()
        );
        results
            .lamplighter(&["runs", "publish", RUN])
            .expect(64)
            .says(&["is published and can not be published"]);
        Ended::of(&mut start(&results)).expect(0);
    }
}
