//! `dead-letters retry`: the corrected records of a run, scored by a run of their own and seen with it.

use std::sync::Arc;

use arrow::array::{Float64Array, StringArray};

use crate::harness::results::Results;
use crate::harness::{Ended, batch, linear_bundle, simple_job, write_parquet};

const DATE: &str = "2026-11-23";
const RUN: [&str; 4] = ["run", "job.toml", "--date", DATE];
const RETRY: [&str; 3] = ["dead-letters", "retry", "job.toml"];

/// Records with these ids and values.
fn put_input(results: &Results, records: &[(Option<&str>, Option<f64>)]) {
    let ids = StringArray::from_iter(records.iter().map(|(id, _)| *id));
    let numbers = Float64Array::from_iter(records.iter().map(|(_, number)| *number));
    let rows = batch(vec![("id", Arc::new(ids)), ("x", Arc::new(numbers))]);
    write_parquet(&results.workspace.path("input/rows.parquet"), &rows, 3);
}

/// A job that reads them from `source`, and publishes at most `limit` dead letters.
fn put_job(results: &Results, source: &str, limit: &str) {
    let workspace = &results.workspace;
    let reject = "missing = \"reject\"\nmax = 1000.0\nout_of_range = \"reject\"";
    linear_bundle(&workspace.path("bundle"), &[("x", 2.0)], 1.0, reject);
    let job = simple_job(&format!(
        "[run]\nshard_size = 3\nbatch_size = 2\n[errors]\nmax_dead_letters = {limit}\n"
    ));
    let parquet = "kind = \"parquet\"\npath = \"input/*.parquet\"";
    workspace.write("job.toml", job.replace(parquet, source));
}

/// A limit that is always kept.
const ALL: &str = "\"100%\"";

const PARQUET: &str = "kind = \"parquet\"\npath = \"input/*.parquet\"";

const FLAWED: [(Option<&str>, Option<f64>); 9] = [
    (Some("a"), Some(1.0)),
    (Some("b"), None),
    (Some("c"), Some(3.0)),
    (Some("a"), Some(9.0)),
    (None, Some(5.0)),
    (Some("d"), Some(4000.0)),
    (Some("e"), Some(5.0)),
    (Some("f"), None),
    (Some("g"), Some(7.0)),
];

/// `b` and `d` are right now, `f` is still wrong, and all are somewhere else.
const CORRECTED: [(Option<&str>, Option<f64>); 8] = [
    (Some("f"), None),
    (Some("g"), Some(7.0)),
    (Some("d"), Some(4.0)),
    (Some("a"), Some(1.0)),
    (Some("b"), Some(2.0)),
    (Some("c"), Some(3.0)),
    (Some("b"), Some(99.0)),
    (Some("e"), Some(5.0)),
];

fn states(results: &Results) -> Vec<String> {
    let sql = "SELECT generation || ' ' || state || ' ' || publication FROM runs ORDER BY run_id";
    results.query(sql).concat()
}

fn seen(results: &Results) -> Vec<String> {
    let rows = results.query(
        "SELECT record_id, CAST(value AS integer), run_id FROM predictions_by_date ORDER BY 1",
    );
    rows.iter().map(|row| row.join(" ")).collect()
}

#[test]
fn corrected_records_are_seen_with_those_of_the_run_they_belong_to() {
    for results in Results::in_each() {
        put_job(&results, PARQUET, ALL);
        put_input(&results, &FLAWED);
        results.lamplighter(&RUN).expect(0);
        let before = [
            "a validate/- duplicate",
            "a 3 1",
            "c 7 1",
            "e 11 1",
            "g 15 1",
        ];
        assert_eq!(seen(&results), before[1..]);
        let letters = results.dead_letters(1);
        assert_eq!(
            letters,
            [
                "b validate/missing_value x",
                "a read/duplicate_id -",
                "- read/null_id -",
                "d validate/out_of_range x",
                "f validate/missing_value x",
            ]
        );

        put_input(&results, &CORRECTED);
        let ended = results.lamplighter(&RETRY).expect(0);
        assert!(
            ended
                .stdout
                .contains("3 dead letters of simple@2026-11-23#1 scored again, 0 not found"),
            "{}",
            ended.stdout
        );
        let after = ["a 3 1", "b 5 2", "c 7 1", "d 9 2", "e 11 1", "g 15 1"];
        assert_eq!(seen(&results), after);
        assert_eq!(
            states(&results),
            ["1 completed published", "2 completed published"]
        );
        assert_eq!(
            results.value("SELECT parent_run_id FROM runs WHERE run_id = 2"),
            "1"
        );
        assert_eq!(
            results.dead_letters(1),
            letters,
            "the parent's stay as they are"
        );
        assert_eq!(results.dead_letters(2), ["f validate/missing_value x"]);
        results.verify();

        // What is left can be corrected later; what was scored is not scored again.
        let mut last = CORRECTED;
        last[0].1 = Some(6.0);
        put_input(&results, &last);
        results.lamplighter(&RETRY).expect(0);
        let all = [
            "a 3 1", "b 5 2", "c 7 1", "d 9 2", "e 11 1", "f 13 3", "g 15 1",
        ];
        assert_eq!(seen(&results), all);
        assert_eq!(
            results.value("SELECT planned FROM runs WHERE run_id = 3"),
            "1"
        );
        let nothing = results.lamplighter(&RETRY).expect(0);
        assert!(
            nothing
                .stdout
                .contains("has no dead letters that can be scored again")
        );
        results.verify();

        // Scored anew, the date is one run again.
        let rescore = [&RUN[..], &["--rescore", "--reason", "all of it"]].concat();
        results.lamplighter(&rescore).expect(0);
        assert_eq!(seen(&results).len(), 7);
        assert!(seen(&results).iter().all(|row| row.ends_with(" 4")));
        results.verify();
    }
}

#[test]
fn a_run_that_was_withheld_is_published_with_its_retry_if_both_keep_the_limit() {
    for results in Results::in_each() {
        put_job(&results, PARQUET, "2");
        // One shard, so that no run ends early.
        let job = std::fs::read_to_string(results.workspace.path("job.toml")).expect("the job");
        let job = job.replace("shard_size = 3", "shard_size = 100");
        results.workspace.write("job.toml", job);
        put_input(&results, &FLAWED);
        results.lamplighter(&RUN).expect(65);
        assert_eq!(states(&results), ["1 completed withheld"]);

        // Not yet: with the one that has no id, two are left, and one more.
        let mut worse = CORRECTED;
        worse[4].1 = None;
        put_input(&results, &worse);
        results
            .lamplighter(&RETRY)
            .expect(65)
            .says(&["3 of 8 records are dead letters, the limit is 2"]);
        assert_eq!(seen(&results), [""; 0]);

        put_input(&results, &CORRECTED);
        results.lamplighter(&RETRY).expect(0);
        let all = ["a 3 1", "b 5 3", "c 7 1", "d 9 3", "e 11 1", "g 15 1"];
        assert_eq!(seen(&results), all);
        assert_eq!(
            states(&results),
            [
                "1 completed published",
                "2 completed withheld",
                "3 completed published"
            ]
        );
        results.verify();
    }
}

#[test]
fn only_the_named_code_is_scored_again() {
    let results = Results::in_sqlite();
    put_job(&results, PARQUET, ALL);
    put_input(&results, &FLAWED);
    results.lamplighter(&RUN).expect(0);
    put_input(&results, &CORRECTED);
    let only = [
        &RETRY[..],
        &["--code", "out_of_range", "--run", "simple@2026-11-23#1"],
    ]
    .concat();
    results.lamplighter(&only).expect(0);
    assert_eq!(
        seen(&results),
        ["a 3 1", "c 7 1", "d 9 2", "e 11 1", "g 15 1"]
    );
}

#[test]
fn records_of_a_table_are_scored_again_as_they_are_now() {
    let results = Results::in_postgres();
    put_job(&results, "kind = \"postgres\"\ntable = \"rows\"", ALL);
    let database = results.postgres().expect("Postgres");
    database.execute(
        "CREATE TABLE rows (id text, x double precision);
         INSERT INTO rows VALUES ('a', 1), ('b', NULL), ('c', 3), ('d', 4000), ('e', NULL)",
    );
    results.lamplighter(&RUN).expect(0);
    database.execute(
        "UPDATE rows SET x = 2 WHERE id = 'b'; UPDATE rows SET x = 4 WHERE id = 'd';
         DELETE FROM rows WHERE id = 'e'; INSERT INTO rows VALUES ('new', 1)",
    );
    let ended = results.lamplighter(&RETRY).expect(0);
    assert!(
        ended.stdout.contains("3 dead letters of"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("1 not found"), "{}", ended.stdout);
    assert_eq!(seen(&results), ["a 3 1", "b 5 2", "c 7 1", "d 9 2"]);
    results.verify();
}

#[test]
fn records_of_the_queue_are_scored_again_from_what_was_pushed_since() {
    for results in Results::in_each() {
        put_job(&results, "kind = \"queue\"", ALL);
        let push = |lines: &str| {
            results.workspace.write("rows.jsonl", lines);
            let push = ["queue", "push", "job.toml", "rows.jsonl"];
            results.lamplighter(&push).expect(0);
        };
        let flawed =
            "{\"id\":\"a\",\"x\":1}\n{\"id\":\"b\",\"x\":\"two\"}\n{\"id\":\"c\",\"x\":null}\n";
        push(flawed);
        results.lamplighter(&RUN).expect(0);
        assert_eq!(seen(&results), ["a 3 1"]);
        push("{\"id\":\"b\",\"x\":2}\n{\"id\":\"z\",\"x\":26}\n");
        results.lamplighter(&RETRY).expect(0);
        assert_eq!(seen(&results), ["a 3 1", "b 5 2"]);
        assert_eq!(results.dead_letters(2), ["c validate/missing_value x"]);
        let waiting = "SELECT record_id FROM queue WHERE run_id IS NULL";
        assert_eq!(
            results.query(waiting),
            [["z"]],
            "what is no dead letter waits on"
        );
        results.verify();
    }
}

#[test]
fn a_retry_that_was_killed_is_gone_on_with() {
    let results = Results::in_sqlite();
    put_job(&results, PARQUET, ALL);
    let bad: Vec<_> = (0..60).map(|row| format!("r{row}")).collect();
    let flawed: Vec<_> = bad.iter().map(|id| (Some(id.as_str()), None)).collect();
    put_input(&results, &flawed);
    results.lamplighter(&RUN).expect(0);
    let corrected: Vec<_> = bad
        .iter()
        .map(|id| (Some(id.as_str()), Some(1.0)))
        .collect();
    put_input(&results, &corrected);
    let mut killed = results.command(&RETRY);
    killed.env("LAMPLIGHTER_FAULT", "abort:r50");
    assert_eq!(Ended::of(&mut killed).code, None, "it was to die");
    assert_eq!(
        states(&results),
        ["1 completed published", "2 running pending"]
    );
    // A night's start leaves it alone.
    results
        .lamplighter(&RUN)
        .expect(78)
        .says(&["changed since"]);
    assert_eq!(
        states(&results),
        ["1 completed published", "2 running pending"]
    );
    results.lamplighter(&RETRY).expect(0).says(&["resuming"]);
    assert_eq!(
        states(&results),
        ["1 completed published", "2 completed published"]
    );
    assert_eq!(seen(&results).len(), 60);
    results.verify();
}

#[test]
fn what_can_not_be_retried_is_refused_with_the_way_out() {
    let results = Results::in_sqlite();
    put_job(&results, PARQUET, ALL);
    put_input(&results, &FLAWED);
    results.lamplighter(&RETRY).expect(66);
    results
        .lamplighter(&[&RUN[..], &["--limit", "2"]].concat())
        .expect(0);
    results
        .lamplighter(&RETRY)
        .expect(64)
        .says(&["has no completed run"]);
    let trial = [&RETRY[..], &["--run", "simple@2026-11-23#1"]].concat();
    results.lamplighter(&trial).expect(64).says(&["is a trial"]);

    results.lamplighter(&RUN).expect(0);
    put_input(&results, &CORRECTED[1..2]);
    results
        .lamplighter(&RETRY)
        .expect(66)
        .says(&["none of the 3 records"]);
    put_input(&results, &CORRECTED);
    let other = "missing = \"reject\"\nmax = 5000.0\nout_of_range = \"reject\"";
    linear_bundle(&results.workspace.path("bundle"), &[("x", 2.0)], 1.0, other);
    results.lamplighter(&RETRY).expect(78).says(&["--rescore"]);
    results
        .lamplighter(&[&RUN[..], &["--rescore", "--reason", "a wider model"]].concat())
        .expect(0);
    let replaced = [&RETRY[..], &["--run", "simple@2026-11-23#2"]].concat();
    results
        .lamplighter(&replaced)
        .expect(78)
        .says(&["is not what consumers see of the date: that is simple@2026-11-23#4"]);
}
