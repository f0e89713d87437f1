//! The flights of the fixtures: whatever they are read from and wherever the results go, no bit of
//! a prediction changes.

use crate::harness::flights::{expected_bits, files, job};
use crate::harness::postgres::{Database, cluster, load_parquet};
use crate::harness::results::Results;

fn load(database: &Database) {
    for file in files() {
        load_parquet(database, "flights", &file, Some("flight_id"));
    }
}

/// Runs the job on `source` and compares every prediction.
#[track_caller]
fn compare(results: &Results, run_id: i64, source: &str, more: &[&str]) {
    let source = format!("kind = \"postgres\"\n{source}");
    results.workspace.write("job.toml", job(&source));
    let date = format!("2026-11-{run_id:02}");
    let run = ["run", "job.toml", "--date", &date];
    results.lamplighter(&[&run, more].concat()).expect(0);
    // Not assert_eq: on failure it would print every flight twice.
    assert!(
        &results.prediction_bits(run_id) == expected_bits(),
        "{source} {more:?} changes predictions"
    );
    let name = format!("flights@{date}#1");
    results.lamplighter(&["runs", "verify", &name]).expect(0);
}

#[test]
fn workers_and_shards_do_not_change_a_bit() {
    let results = Results::in_postgres();
    load(results.postgres().expect("Postgres"));
    let variants: [&[&str]; 4] = [
        &["--workers", "1"],
        &["--workers", "2", "--set", "run.shard_size=1777"],
        &["--workers", "3", "--set", "run.shard_size=40000"],
        &["--workers", "2", "--set", "run.max_memory=1MiB"],
    ];
    for (run_id, variant) in (1..).zip(variants) {
        compare(&results, run_id, "table = \"flights\"", variant);
    }
}

#[test]
fn views_partitions_heaps_and_queries_give_the_same_bits() {
    let results = Results::in_postgres();
    let database = results.postgres().expect("Postgres");
    load(database);
    database.execute(
        "CREATE VIEW seen AS SELECT * FROM flights;
         CREATE MATERIALIZED VIEW kept AS SELECT * FROM flights;
         CREATE TABLE parts (LIKE flights) PARTITION BY HASH (flight_id);
         CREATE TABLE part0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
         CREATE TABLE part1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
         INSERT INTO parts SELECT * FROM flights;
         CREATE TABLE parent AS SELECT * FROM part0;
         CREATE TABLE child () INHERITS (parent);
         INSERT INTO child SELECT * FROM part1;
         CREATE SCHEMA \"Other one\";
         CREATE TABLE \"Other one\".\"Flights\" AS SELECT * FROM flights ORDER BY md5(flight_id::text);",
    );
    let sources = [
        "table = \"seen\"",
        "table = \"kept\"",
        "table = \"parts\"",
        "table = \"parent\"",
        "table = \"Other one.Flights\"",
        "query = \"SELECT * FROM flights WHERE DATE '2025-12-31' < :date -- all\"",
        "query = \"SELECT * FROM part0 UNION ALL SELECT * FROM part1;\"",
        "table = \"flights\"\nwhere = \"extract(year FROM :date) = 2026 OR ':date' = ''\"",
    ];
    for (run_id, source) in (1..).zip(sources) {
        compare(&results, run_id, source, &[]);
    }
}

#[test]
fn results_may_go_into_sqlite() {
    let database = cluster().database();
    load(&database);
    let results = Results::in_sqlite();
    let url = database.url();
    results.workspace.write("secrets/url", format!("{url}\n"));
    let sources = [
        format!("table = \"flights\"\nurl = \"{url}\""),
        "table = \"flights\"\nurl_file = \"secrets/url\"".to_owned(),
    ];
    for (run_id, source) in (1..).zip(&sources) {
        compare(&results, run_id, source, &[]);
    }
}

#[test]
fn results_may_go_into_another_postgres_database() {
    let database = cluster().database();
    load(&database);
    let results = Results::in_postgres();
    let url = database.url();
    compare(
        &results,
        1,
        &format!("table = \"flights\"\nurl = \"{url}\""),
        &[],
    );
}

#[test]
fn a_table_without_an_address_is_not_looked_for_in_sqlite() {
    let results = Results::in_sqlite();
    let source = job("kind = \"postgres\"\ntable = \"flights\"");
    results.workspace.write("job.toml", source);
    let words = ["[source]", "url", "SQLite"];
    results
        .lamplighter(&["run", "job.toml"])
        .expect(78)
        .says(&words);
}
