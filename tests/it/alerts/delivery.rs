use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{DATE, notify, outbox, put, put_job, rule};
use crate::harness::Ended;
use crate::harness::receiver::{Answer, Receiver};
use crate::harness::results::Results;
use crate::monitoring::october;

const ALWAYS: &str = "predicted > 0";

fn run(results: &Results) -> Ended {
    results.lamplighter(&["run", "job.toml", DATE[0], DATE[1]])
}

#[test]
fn a_receiver_that_is_down_costs_no_run_and_hears_of_it_from_the_next_start() {
    for results in Results::in_each() {
        // A port that nobody listens on.
        let port = TcpListener::bind("127.0.0.1:0")
            .expect("a port")
            .local_addr()
            .expect("one");
        let two = rule("one", ALWAYS, "") + &rule("two", ALWAYS, "");
        put(
            &results,
            &october(),
            &(notify(&format!("http://{port}/secret-path")) + &two),
        );
        let arguments = ["run", "job.toml", "-vv", DATE[0], DATE[1]];
        let ended = results
            .lamplighter(&arguments)
            .expect(0)
            .says(&["an alert was not delivered"]);
        assert!(!ended.stderr.contains("secret-path"), "{ended}");
        let states: Vec<String> = outbox(&results)
            .into_iter()
            .map(|row| row[2].clone())
            .collect();
        assert_eq!(states, ["pending", "pending"]);
        let errors = results
            .query("SELECT last_error FROM outbox ORDER BY outbox_id")
            .concat();
        assert!(errors[0].contains("can not be reached"), "{errors:?}");
        assert_eq!(errors[1], "NULL", "nobody asked the same receiver again");
        let report = results
            .lamplighter(&["report", "--format", "json"])
            .expect(0)
            .json();
        let deliveries = report["deliveries"].as_array().expect("a list");
        assert!(
            deliveries
                .iter()
                .all(|delivery| delivery["state"] == "pending"),
            "{report}"
        );
        let findings = report["assessment"]["findings"].to_string();
        assert!(findings.contains("Nobody has yet been told"), "{findings}");

        let receiver = Receiver::answering(&[]);
        put_job(&results, &(notify(&receiver.url("/")) + &two));
        run(&results).expect(0);
        assert_eq!(receiver.taken().len(), 2);
        let ids: BTreeSet<String> = receiver
            .taken()
            .iter()
            .map(|request| request.headers["webhook-id"].clone())
            .collect();
        assert_eq!(ids.len(), 2, "each message has an id of its own");
    }
}

#[test]
fn an_answer_that_another_try_would_meet_again_is_left_to_the_next_start() {
    let results = Results::in_sqlite();
    let receiver = Receiver::answering(&[Answer::Status(404)]);
    put(
        &results,
        &october(),
        &(notify(&receiver.url("/")) + &rule("one", ALWAYS, "")),
    );
    run(&results).expect(0).says(&["404"]);
    assert_eq!(receiver.requests().len(), 1);
    run(&results).expect(0);
    assert_eq!(receiver.taken().len(), 1);
}

#[test]
fn what_is_sent_is_signed_by_the_secret_of_the_file() {
    let results = Results::in_sqlite();
    let receiver = Receiver::answering(&[]);
    let workspace = &results.workspace;
    workspace.write("secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
    workspace.write("url", receiver.url("/from-a-file"));
    let more = "[notify]\nwebhook_url_file = \"url\"\nwebhook_secret_file = \"secret\"\n";
    put(
        &results,
        &october(),
        &(more.to_owned() + &rule("one", ALWAYS, "")),
    );
    run(&results).expect(0);
    let request = &receiver.taken()[0];
    assert_eq!(request.path, "/from-a-file");
    let header = |name: &str| request.headers[name].as_str();
    let secret = BASE64_STANDARD
        .decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        .expect("base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret).expect("a key");
    mac.update(
        format!(
            "{}.{}.{}",
            header("webhook-id"),
            header("webhook-timestamp"),
            request.body
        )
        .as_bytes(),
    );
    let expected = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(header("webhook-signature"), expected);
    assert!(
        !results
            .value("SELECT message FROM outbox")
            .contains("whsec")
    );
}

#[test]
fn bodies_are_those_that_the_job_wants() {
    let results = Results::in_sqlite();
    let receiver = Receiver::answering(&[]);
    results.workspace.write(
        "page.json",
        r#"{"title": {{ summary }}, "who": {{ (job ~ ": " ~ alert) }}}"#,
    );
    let rules = rule("json", ALWAYS, "")
        + &rule("slack", ALWAYS, "webhook_body = \"slack\"")
        + &rule("template", ALWAYS, "webhook_body = \"page.json\"");
    put(&results, &october(), &(notify(&receiver.url("/")) + &rules));
    run(&results).expect(0);
    let bodies: Vec<serde_json::Value> = receiver
        .taken()
        .iter()
        .map(|request| request.json())
        .collect();
    assert_eq!(bodies[0]["metric"], "predicted");
    assert_eq!(bodies[0]["run"], "flights@2013-11-01#1");
    assert_eq!(bodies[0]["test"], false);
    let text = bodies[1]["text"].as_str().expect("text");
    assert!(
        text.starts_with("WARNING flights@2013-11-01#1: predicted is"),
        "{text}"
    );
    assert_eq!(bodies[2]["who"], "flights: template");
}

#[test]
fn a_program_gets_the_alert_on_its_standard_input_and_no_shell_reads_its_arguments() {
    for results in Results::in_each() {
        let more = "[notify]\nexec = [\"sh\", \"-c\", \"cat > told.json; echo \\\"$DATABASE_URL\\\" > url; echo \\\"$1\\\" > argument\", \"sh\", \"$(touch hacked) a b\"]\n";
        put(
            &results,
            &october(),
            &(more.to_owned() + &rule("one", ALWAYS, "")),
        );
        run(&results).expect(0);
        let read = |name: &str| fs::read_to_string(results.workspace.path(name)).expect(name);
        let told: serde_json::Value = serde_json::from_str(&read("told.json")).expect("JSON");
        assert_eq!(told["alert"], "one");
        assert_eq!(read("argument"), "$(touch hacked) a b\n");
        assert_eq!(
            read("url"),
            "\n",
            "the database's address is not its business"
        );
        assert!(!results.workspace.path("hacked").is_file());
        assert_eq!(outbox(&results)[0][2], "delivered");
    }
}

#[test]
fn a_program_that_fails_or_hangs_is_killed_and_tried_by_the_next_start() {
    let results = Results::in_sqlite();
    let rules = rule(
        "fails",
        ALWAYS,
        "exec = [\"sh\", \"-c\", \"echo why >&2; exit 3\"]",
    ) + &rule(
        "hangs",
        ALWAYS,
        "exec = [\"sh\", \"-c\", \"sleep 600\"]\nexec_timeout = \"1s\"",
    ) + &rule("missing", ALWAYS, "exec = [\"no-such-program\"]");
    put(&results, &october(), &rules);
    run(&results).expect(0).says(&[
        "it failed (exit status: 3): why",
        "it was killed after 1 s",
        "it does not start",
    ]);
    for row in outbox(&results) {
        assert_eq!(
            (row[2].as_str(), row[3].as_str()),
            ("pending", "4"),
            "{row:?}"
        );
    }
}

#[test]
fn a_rule_that_is_gone_and_an_old_alert_are_given_up() {
    for results in Results::in_each() {
        let receiver = Receiver::answering(&[Answer::Status(404); 3]);
        let rules = rule("one", ALWAYS, "") + &rule("two", ALWAYS, "") + &rule("three", ALWAYS, "");
        put(&results, &october(), &(notify(&receiver.url("/")) + &rules));
        run(&results).expect(0);
        results.execute("UPDATE outbox SET created_at = '2013-11-01T00:00:00Z' WHERE rule = 'one'");
        put_job(
            &results,
            &(notify(&receiver.url("/")) + &rule("three", ALWAYS, "")),
        );
        run(&results)
            .expect(0)
            .says(&["were given up", "no such rule"]);
        let states: Vec<String> = outbox(&results)
            .into_iter()
            .map(|row| row[2].clone())
            .collect();
        assert_eq!(states, ["expired", "expired", "delivered"]);
    }
}

#[test]
fn a_test_is_sent_to_each_receiver_and_nothing_is_written() {
    let results = Results::in_sqlite();
    let receiver = Receiver::answering(&[]);
    let rules = rule("hook", "psi > 0.25", "")
        + &rule(
            "program",
            ALWAYS,
            "actions = [\"exec\"]\nexec = [\"false\"]",
        )
        + &rule("gate", ALWAYS, "actions = [\"withhold\"]");
    results.workspace.write("bundle/model.toml", "");
    put_job(&results, &(notify(&receiver.url("/")) + &rules));
    let ended = results
        .lamplighter(&["alerts", "test", "job.toml"])
        .expect(69);
    assert!(
        ended
            .stdout
            .contains("hook                     webhook  taken"),
        "{ended}"
    );
    assert!(ended.stdout.contains("NOT TAKEN: it failed"), "{ended}");
    assert!(
        ended.stdout.contains("withholds the run and tells nobody"),
        "{ended}"
    );
    let body = receiver.taken()[0].json();
    assert_eq!(body["test"], true);
    assert!(
        body["summary"]
            .as_str()
            .expect("text")
            .contains("nothing is wrong")
    );
    assert!(!results.workspace.path("lamplighter.db").is_file());
}

#[test]
fn of_trials_retries_and_backfills_nobody_is_told() {
    let results = Results::in_sqlite();
    let receiver = Receiver::answering(&[]);
    put(
        &results,
        &october(),
        &(notify(&receiver.url("/")) + &rule("one", ALWAYS, "")),
    );
    results
        .lamplighter(&["run", "job.toml", "--limit", "100", DATE[0], DATE[1]])
        .expect(0);
    results
        .lamplighter(&[
            "backfill",
            "job.toml",
            "--from",
            "2013-11-02",
            "--to",
            "2013-11-03",
        ])
        .expect(0);
    let report = results
        .lamplighter(&["report", "--format", "json"])
        .expect(0)
        .json();
    assert_eq!(
        report["alerts"][0]["state"], "firing",
        "the report says so all the same"
    );
    assert_eq!(receiver.requests().len(), 0);
    assert!(outbox(&results).is_empty());
}

#[test]
fn a_message_that_is_refused_is_in_no_other_ones_way() {
    for results in Results::in_each() {
        let exec = "[notify]\nexec = [\"sh\", \"-c\", \"grep -q two && echo once >> told\"]\n";
        let two = rule("one", ALWAYS, "") + &rule("two", ALWAYS, "");
        put(&results, &october(), &(exec.to_owned() + &two));
        run(&results).expect(0);
        let states: Vec<Vec<String>> = outbox(&results);
        assert_eq!(states[0][2], "pending");
        assert_eq!(states[1][2], "delivered", "{states:?}");
        // And once more does not tell it again.
        run(&results).expect(0);
        let told = fs::read_to_string(results.workspace.path("told")).expect("it was told");
        assert_eq!(told, "once\n");
    }
}
