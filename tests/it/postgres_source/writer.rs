//! Somebody who writes all the time: inserts, deletes, updates, and commits late.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{database, linear};
use crate::harness::results::Results;

const NIGHTS: usize = 6;

fn ids(results: &Results, sql: &str) -> BTreeSet<i64> {
    let rows = database(results).query(sql);
    rows.iter()
        .map(|row| row[0].parse().expect("an id"))
        .collect()
}

#[test]
fn whatever_others_write_every_row_of_the_plan_is_accounted_for() {
    let sql = "CREATE TABLE t (id bigserial PRIMARY KEY, x double precision NOT NULL);
               CREATE TABLE gone (id bigint);
               INSERT INTO t (x) SELECT 1 FROM generate_series(1, 2000)";
    let more = "[errors]\nmax_dead_letters = \"100%\"\n[run]\nshard_size = 40\nworkers = 2\n";
    let results = linear(sql, "table = \"t\"\nid_column = \"id\"", more);
    let results = &results;
    let stop = &AtomicBool::new(false);
    let mut before = Vec::new();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut now = database(results).session();
            let mut late = database(results).session();
            late.begin();
            for step in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                now.execute("INSERT INTO t (x) SELECT 1 FROM generate_series(1, 7)");
                now.execute(
                    "WITH chosen AS (SELECT id FROM t ORDER BY md5(id::text || now()) LIMIT 5),
                          deleted AS (DELETE FROM t WHERE id IN (SELECT id FROM chosen) RETURNING id)
                     INSERT INTO gone SELECT id FROM deleted",
                );
                now.execute("UPDATE t SET x = 2 WHERE id % 37 = (random() * 36)::integer");
                late.execute("INSERT INTO t (x) VALUES (3)");
                if step % 11 == 10 {
                    late.commit();
                    late.begin();
                }
            }
            late.commit();
        });
        for night in 1..=NIGHTS {
            before.push(ids(results, "SELECT id FROM t"));
            let date = format!("2026-11-{night:02}");
            let arguments = ["run", "job.toml", "--date", &date];
            let ended = results.lamplighter(&arguments);
            // A failure must not leave the writer writing.
            if ended.code != Some(0) {
                stop.store(true, Ordering::Relaxed);
            }
            ended.expect(0);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let gone = ids(results, "SELECT id FROM gone");
    for (run_id, there) in (1..).zip(&before) {
        let of_run = |table: &str| {
            let sql = format!("SELECT record_id FROM lamplighter.{table} WHERE run_id = {run_id}");
            ids(results, &sql)
        };
        let (predicted, dead) = (of_run("predictions"), of_run("dead_letters"));
        assert!(predicted.is_disjoint(&dead));
        assert!(dead.is_subset(&gone), "a row that stayed is a dead letter");
        let missed: Vec<&i64> = there
            .iter()
            .filter(|id| !predicted.contains(id) && !gone.contains(id))
            .collect();
        assert!(missed.is_empty(), "run {run_id} lost {missed:?}");
    }
    let other = "SELECT count(*) FROM dead_letters WHERE code <> 'record_vanished'";
    assert_eq!(results.value(other), "0");
    assert!(!gone.is_empty(), "nobody wrote");
    let doubted = "SELECT count(*) FROM predictions WHERE value NOT IN (3, 5, 7)";
    assert_eq!(results.value(doubted), "0");
    results.verify();
}
