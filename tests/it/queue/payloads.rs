//! Payloads, one at a time: what can not be read costs its own record only, and is told by stage,
//! code and column, never by its value.

use super::{linear, push, run};
use crate::harness::results::Results;

const DATE: &str = "2026-11-23";
const ALL_MAY_FAIL: &str = "[errors]\nmax_dead_letters = \"100%\"\n";

fn insert(results: &Results, id: &str, payload: &str) {
    results.execute(&format!(
        "INSERT INTO queue (job, record_id, payload) VALUES ('queued', '{id}', '{payload}')"
    ));
}

/// Nothing that people, logs or tables show holds a payload's values.
#[track_caller]
fn assert_secret(results: &Results, said: &str) {
    let mut said = said.to_owned();
    for arguments in [
        &["dead-letters", "list"][..],
        &["dead-letters", "export"],
        &["report"],
        &["runs", "show"],
        &["queue", "stats"],
    ] {
        let more = results.lamplighter(arguments).expect(0);
        said += &(more.stdout + &more.stderr);
    }
    said += &format!("{:?}", results.query("SELECT * FROM dead_letters"));
    said += &format!("{:?}", results.query("SELECT report FROM reports"));
    assert!(!said.contains("canary"), "{said}");
}

#[test]
fn a_payload_at_fault_is_a_dead_letter_with_its_column() {
    let columns = "filter = \"coalesce(day, DATE '2026-01-01') > DATE '2000-01-01'\"\ncolumns = { day = \"date\" }";
    for results in linear(columns, ALL_MAY_FAIL) {
        results.lamplighter(&["db", "migrate"]).expect(0);
        let payloads = [
            ("good", r#"{"x": 3, "day": "2026-01-01"}"#, ""),
            ("more", r#"{"other": "canary", "x": 3, "day": null}"#, ""),
            ("twice", r#"{"x": "canary", "x": 3, "day": null}"#, ""),
            ("truth", r#"{"x": true, "day": null}"#, ""),
            ("lacks", r#"{"day": null}"#, "missing_column x"),
            ("both", r#"{}"#, "missing_column x"),
            ("text", r#"{"x": "canary", "day": null}"#, "wrong_type x"),
            ("digits", r#"{"x": "3", "day": null}"#, "wrong_type x"),
            (
                "nested",
                r#"{"x": {"canary": 1}, "day": null}"#,
                "wrong_type x",
            ),
            ("list", r#"{"x": ["canary"], "day": null}"#, "wrong_type x"),
            ("huge", r#"{"x": 1e999, "day": null}"#, "wrong_type x"),
            ("date", r#"{"x": 3, "day": "canary"}"#, "wrong_type day"),
            ("number", r#"{"x": 3, "day": 20260101}"#, "wrong_type day"),
            ("array", r#"["canary"]"#, "invalid_payload -"),
            ("word", r#""canary""#, "invalid_payload -"),
            ("null", "null", "invalid_payload -"),
        ];
        for (id, payload, _) in payloads {
            insert(&results, id, payload);
        }
        let ended = run(&results, DATE, &[]).expect(0);
        let expected = [["good", "7"], ["more", "7"], ["truth", "3"], ["twice", "7"]];
        assert_eq!(results.published(DATE), expected);
        let wrong = payloads.iter().filter(|(_, _, fault)| !fault.is_empty());
        let expected: Vec<String> = wrong
            .map(|(id, _, fault)| format!("{id} read/{fault}"))
            .collect();
        assert_eq!(results.dead_letters(1), expected);
        results.verify();
        assert_secret(&results, &(ended.stdout + &ended.stderr));
    }
}

#[test]
fn a_value_that_is_null_is_missing_as_in_every_source() {
    for results in linear("", ALL_MAY_FAIL) {
        push(
            &results,
            "{\"id\":\"a\",\"x\":null}\n{\"id\":\"b\",\"x\":1}\n",
            &[],
        );
        run(&results, DATE, &[]).expect(0);
        assert_eq!(results.dead_letters(1), ["a validate/missing_value x"]);
        assert_eq!(results.published(DATE), [["b", "3"]]);
    }
}

#[test]
fn what_is_no_json_is_refused_by_postgres_and_a_dead_letter_in_sqlite() {
    let [sqlite, postgres] = linear("", ALL_MAY_FAIL);
    sqlite.lamplighter(&["db", "migrate"]).expect(0);
    insert(&sqlite, "good", r#"{"x": 3}"#);
    insert(&sqlite, "bad", r#"{"x": canary}"#);
    insert(&sqlite, "empty", "");
    let ended = run(&sqlite, DATE, &[]).expect(0);
    let expected = ["bad read/invalid_payload -", "empty read/invalid_payload -"];
    assert_eq!(sqlite.dead_letters(1), expected);
    assert_eq!(sqlite.published(DATE), [["good", "7"]]);
    assert_secret(&sqlite, &(ended.stdout + &ended.stderr));

    let mut session = postgres.postgres().expect("Postgres").session();
    let insert =
        "INSERT INTO lamplighter.queue (job, record_id, payload) VALUES ('queued', 'bad', '{')";
    session.try_execute(insert).expect_err("no JSON");
}

#[test]
fn a_filter_reads_what_is_declared_and_the_id() {
    let source = "filter = \"stops < 2 AND id <> 'c'\"\ntransform = \"x + stops AS x\"\n\
                  columns = { stops = \"integer\", x = \"float\" }";
    for results in linear(source, "") {
        let lines: String = [("a", 0), ("b", 1), ("c", 1), ("d", 2)]
            .map(|(id, stops)| format!("{{\"id\":\"{id}\",\"x\":1.5,\"stops\":{stops}}}\n"))
            .concat();
        push(&results, &lines, &[]);
        run(&results, DATE, &[]).expect(0);
        assert_eq!(results.published(DATE), [["a", "4"], ["b", "6"]]);
        assert_eq!(results.value("SELECT filtered FROM reports"), "2");
        results.verify();
    }
}

#[test]
fn a_column_of_unknown_type_is_refused_with_the_line_to_add() {
    for results in linear("filter = \"stops < 2\"", "") {
        push(&results, "{\"id\":\"a\",\"x\":1,\"stops\":1}\n", &[]);
        let hint = "stops = \"text\"";
        run(&results, DATE, &[])
            .expect(78)
            .says(&["`stops`", "[source.columns]", hint]);
        assert_eq!(super::stats(&results), [1, 0, 0, 0]);
    }
}
