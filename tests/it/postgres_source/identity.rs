//! What is asked for is part of a run's identity, the rows are not. Counting, trials, duplicates.

use std::sync::Arc;

use arrow::array::{Float64Array, Int64Array, StringArray};

use super::{DATE, NEXT, database, job, linear, numbered, run};
use crate::harness::postgres::load_parquet;
use crate::harness::results::Results;
use crate::harness::{batch, linear_bundle, simple_job, write_parquet};

const TABLE: &str = "table = \"t\"\nid_column = \"id\"";

#[test]
fn where_chooses_the_rows_that_are_planned() {
    let source = format!("{TABLE}\nwhere = \"x <= 7 AND id <> 3 -- not three\"");
    let results = linear(&numbered("t", 100), &source, "");
    let told = run(&results, DATE, &["--dry-run", "--format", "json"])
        .expect(0)
        .json();
    assert_eq!(told["records"].as_u64(), Some(6), "{told}");
    assert_eq!(results.value("SELECT count(*) FROM runs"), "0");
    run(&results, DATE, &[]).expect(0);
    assert_eq!(results.value("SELECT planned FROM runs"), "6");
    let ids: Vec<String> = results
        .published(DATE)
        .iter()
        .map(|row| row[0].clone())
        .collect();
    assert_eq!(ids, ["1", "2", "4", "5", "6", "7"]);
}

#[test]
fn the_date_of_the_run_chooses_too() {
    let sql = "CREATE TABLE t (id integer, x integer, day date, moment timestamp);
               INSERT INTO t VALUES (1, 1, '2026-11-23', '2026-11-23 05:30'), (2, 1, '2026-11-24', '2026-11-23 06:30')";
    let source = format!("{TABLE}\nwhere = \"day = :date\"");
    let results = linear(sql, &source, "");
    for (date, id) in [(DATE, "1"), (NEXT, "2")] {
        run(&results, date, &[]).expect(0);
        assert_eq!(results.published(date), [[id, "3"]]);
    }
    run(&results, "2026-11-25", &[])
        .expect(66)
        .says(&["min_rows"]);
    let query = "query = \"SELECT id, x FROM t WHERE moment >= :date AND moment < :date + interval '1 hour'\"\nid_column = \"id\"";
    let hourly = job(query, "[schedule]\ngrain = \"hour\"\n").replace("\"simple\"", "\"hourly\"");
    results.workspace.write("job.toml", hourly);
    run(&results, "2026-11-23T06", &[]).expect(0);
    assert_eq!(results.published("2026-11-23T06"), [["2", "3"]]);
}

#[test]
fn too_few_rows_are_no_input() {
    let results = linear(&numbered("t", 2), TABLE, "");
    let demanding = ["--set", "source.min_rows=3"];
    run(&results, DATE, &demanding)
        .expect(66)
        .says(&["min_rows"]);
    database(&results).execute("TRUNCATE t");
    run(&results, DATE, &[]).expect(66).says(&["min_rows"]);
    assert_eq!(results.value("SELECT count(*) FROM runs"), "0");
    run(&results, DATE, &["--set", "source.min_rows=0"]).expect(0);
    assert_eq!(results.value("SELECT publication FROM runs"), "published");
}

#[test]
fn a_trial_reads_as_many_rows_as_it_is_told() {
    let results = linear(&numbered("t", 100), TABLE, "");
    run(&results, DATE, &["--limit", "7"]).expect(0);
    assert_eq!(results.value("SELECT planned FROM runs"), "7");
    assert_eq!(results.value("SELECT count(*) FROM predictions"), "7");
    assert_eq!(results.value("SELECT count(*) FROM publications"), "0");
    run(&results, DATE, &[]).expect(0);
    assert_eq!(results.published(DATE).len(), 100);
    results.verify();
}

#[test]
fn a_date_that_is_done_stays_done_when_the_table_changes() {
    let results = linear(&numbered("t", 5), TABLE, "");
    run(&results, DATE, &[]).expect(0);
    database(&results).execute("DELETE FROM t WHERE id < 3; UPDATE t SET x = 100");
    let again = run(&results, DATE, &[]).expect(0);
    assert!(
        again.stdout.contains("already complete"),
        "{}",
        again.stdout
    );
    assert_eq!(results.published(DATE).len(), 5);
    let other = ["--set", "source.where=x > 0"];
    run(&results, DATE, &other).expect(78).says(&[
        "[source]",
        "another table or query",
        "--rescore",
    ]);
    let reason = ["--rescore", "--reason", "corrected"];
    run(&results, DATE, &[&other[..], &reason].concat()).expect(0);
    let expected = [["3", "201"], ["4", "201"], ["5", "201"]];
    assert_eq!(results.published(DATE), expected);
    results.verify();
}

/// As in tables that keep what was: of an id's rows, the condition chooses one.
#[test]
fn rows_that_the_condition_leaves_out_are_not_mistaken_for_those_it_chooses() {
    let sql = "CREATE TABLE t (id integer, x integer, is_current boolean);
               INSERT INTO t SELECT id, id + 1000 * age, age = 1
               FROM generate_series(1, 50) AS id, generate_series(0, 2) AS age ORDER BY age, id;
               CREATE TABLE indexed AS SELECT * FROM t ORDER BY md5(x::text);
               CREATE INDEX ON indexed (id);
               CREATE VIEW v AS SELECT * FROM t";
    let results = linear(sql, "", "");
    for (date, table) in [(DATE, "t"), (NEXT, "indexed"), ("2026-11-25", "v")] {
        let source = format!("table = \"{table}\"\nid_column = \"id\"\nwhere = \"is_current\"");
        let job = job(&source, "[run]\nshard_size = 7\n");
        let job = job.replace("\"simple\"", &format!("\"of-{table}\""));
        results.workspace.write("job.toml", job);
        run(&results, date, &[]).expect(0);
        let wrong = format!(
            "SELECT record_id, value FROM predictions_by_date
             WHERE logical_date = '{date}' AND value <> 2 * (record_id::integer + 1000) + 1"
        );
        assert_eq!(results.query(&wrong), [] as [[&str; 2]; 0]);
        assert_eq!(results.published(date).len(), 50);
        results.verify();
    }
}

/// The same records from Parquet into SQLite, and from Postgres into Postgres.
#[test]
fn records_at_fault_are_the_same_as_in_parquet() {
    let ids = [
        Some("a"),
        None,
        Some("b"),
        Some("a"),
        None,
        Some("b"),
        Some("c"),
        Some(""),
    ];
    let xs = [
        Some(1.0),
        Some(2.0),
        None,
        Some(4.0),
        None,
        Some(4.5),
        Some(f64::INFINITY),
        Some(3.0),
    ];
    let numbers = [
        Some(1),
        None,
        Some(7),
        Some(1),
        Some(7),
        Some(-3),
        Some(0),
        None,
    ];
    let rows = batch(vec![
        ("id", Arc::new(StringArray::from(ids.to_vec()))),
        ("number", Arc::new(Int64Array::from(numbers.to_vec()))),
        ("x", Arc::new(Float64Array::from(xs.to_vec()))),
    ]);
    for id_column in ["id", "number"] {
        for filter in ["", "filter = \"x < 5 OR x IS NULL\""] {
            for duplicates in ["first", "fail"] {
                let more = format!(
                    "[errors]\nmax_dead_letters = \"100%\"\nduplicates = \"{duplicates}\"\n[run]\nshard_size = 3\n"
                );
                let files = Results::in_sqlite();
                let table = linear("", "", "");
                let path = files.workspace.path("input/a.parquet");
                write_parquet(&path, &rows, 3);
                load_parquet(database(&table), "t", &path, None);
                let bundle = files.workspace.path("bundle");
                linear_bundle(&bundle, &[("x", 2.0)], 1.0, "missing = \"reject\"");
                let named = format!("id_column = \"{id_column}\"\n{filter}");
                let of_files = simple_job(&more).replace("id_column = \"id\"", &named);
                files.workspace.write("job.toml", of_files);
                let source = format!("table = \"t\"\n{named}");
                table.workspace.write("job.toml", job(&source, &more));
                let code = if duplicates == "fail" { 65 } else { 0 };
                let same =
                    |sql: &str| assert_eq!(files.query(sql), table.query(sql), "{named} {sql}");
                for results in [&files, &table] {
                    let ended = run(results, DATE, &[]).expect(code);
                    assert!(
                        code == 0 || ended.stderr.contains("repeat the id"),
                        "{}",
                        ended.stderr
                    );
                    results.verify();
                }
                same(
                    "SELECT ordinal, record_id, stage, code, field, message FROM dead_letters ORDER BY ordinal",
                );
                same("SELECT ordinal, record_id, value FROM predictions ORDER BY ordinal");
                same("SELECT planned, predicted, dead_letters, duplicates, filtered FROM reports");
            }
        }
    }
}

/// A shard is read by its ids: what only polars could tell apart would be mixed up.
#[test]
fn rows_of_one_id_are_told_apart_by_where_and_not_by_filter() {
    let history = "CREATE TABLE t (id bigint, is_current boolean, x double precision);
         INSERT INTO t VALUES (1, false, 1), (1, true, 2), (2, true, 3), (2, false, 4);";
    let source = "table = \"t\"\nid_column = \"id\"\n";
    let filtered = linear(
        history,
        &format!("{source}filter = \"is_current\""),
        "[run]\nshard_size = 1\n",
    );
    run(&filtered, DATE, &[]).expect(65).says(&[
        "2 rows have the id of another row",
        "[source] filter",
        "hint:",
        "[source] where",
    ]);
    let pushed_down = linear(
        history,
        &format!("{source}where = \"is_current\""),
        "[run]\nshard_size = 1\n",
    );
    run(&pushed_down, DATE, &[]).expect(0);
    let values = "SELECT record_id, value FROM predictions ORDER BY record_id";
    assert_eq!(pushed_down.query(values), [["1", "5"], ["2", "7"]]);
}
