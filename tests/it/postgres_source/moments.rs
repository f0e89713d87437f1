//! The input of a run is fixed when it is planned: rows that come, go and change between the plan
//! and the reading.
//!
//! A lock on the predictions holds a run there: it is planned, has read a shard or two ahead, and
//! can commit nothing until the lock is gone.

use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use super::{DATE, NEXT, database, linear, run};
use crate::harness::postgres::PostgresSession;
use crate::harness::results::Results;

const ROWS: i64 = 400;
/// Shards are read in order, at most a few ahead: nothing beyond this has been read yet.
const UNREAD: i64 = 200;
const SETTINGS: &str = "[errors]\nmax_dead_letters = \"100%\"\n\
                        [run]\nshard_size = 10\nworkers = 1\nmax_memory = 1\nlease = \"2s\"\n";

/// A run between its plan and its reading.
struct Held<'a> {
    results: &'a Results,
    lock: PostgresSession,
    child: Child,
}

impl<'a> Held<'a> {
    fn start(results: &'a Results, date: &str) -> Self {
        let mut lock = database(results).session();
        lock.begin();
        lock.execute("LOCK TABLE lamplighter.predictions IN SHARE MODE");
        let mut child = results
            .command(&["run", "job.toml", "--date", date])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let planned = format!(
            "SELECT 1 FROM shards JOIN runs USING (run_id) WHERE logical_date = '{date}' LIMIT 1"
        );
        while results.query(&planned).is_empty() {
            let ended = child.try_wait().expect("a child");
            assert!(ended.is_none(), "it was not held: {ended:?}");
            thread::sleep(Duration::from_millis(2));
        }
        Self {
            results,
            lock,
            child,
        }
    }

    /// Lets it go on, to its end.
    #[track_caller]
    fn go_on(mut self, code: i32) {
        self.lock.roll_back();
        let status = self.child.wait().expect("an end");
        assert_eq!(
            status.code(),
            Some(code),
            "{:?}",
            self.results.query("SELECT * FROM runs")
        );
    }

    /// Ends it where it stands.
    fn kill(mut self) {
        self.child.kill().expect("a kill");
        self.child.wait().expect("an end");
        self.lock.roll_back();
    }
}

/// A table with these columns for id and keys, filled, and a job on `source`.
fn table(columns: &str, id: &str, source: &str) -> Results {
    let sql = format!(
        "CREATE TABLE t ({columns}, x double precision);
         INSERT INTO t (id, x) SELECT {id}, n FROM generate_series(1, {ROWS}) AS n ORDER BY n;
         CREATE VIEW v AS SELECT * FROM t"
    );
    linear(&sql, &format!("{source}\nid_column = \"id\""), SETTINGS)
}

/// Every way to read: by place or by id, with an index or without.
fn relations() -> impl Iterator<Item = (Results, &'static str)> {
    let key = "id bigint PRIMARY KEY";
    let text = "'r' || n";
    [
        (key, "n", "table = \"t\""),
        ("id bigint", "n", "table = \"t\""),
        ("id text", text, "table = \"t\""),
        (key, "n", "table = \"v\""),
        (key, "n", "query = \"SELECT * FROM t ORDER BY x\""),
        // What a row is now does not decide whether it is in the run.
        (key, "n", "table = \"t\"\nwhere = \"x <= 400\""),
    ]
    .into_iter()
    .map(|(columns, id, source)| (table(columns, id, source), id))
}

/// Records `first..=last`, written for SQL in which their numbers are `n`.
fn ids(id: &str, first: i64, last: i64) -> String {
    format!("SELECT {id} FROM generate_series({first}, {last}) AS n")
}

#[test]
fn a_run_has_the_rows_of_its_plan_with_what_they_hold_when_they_are_read() {
    for (results, id) in relations() {
        let database = database(&results);
        let mut late = database.session();
        late.begin();
        late.execute(&format!(
            "INSERT INTO t (id, x) SELECT {id}, 1 FROM generate_series(1001, 1010) AS n"
        ));

        let held = Held::start(&results, DATE);
        database.execute(&format!(
            "DELETE FROM t WHERE id IN ({})",
            ids(id, 301, 320)
        ));
        database.execute(&format!("UPDATE t SET x = x + 1000 WHERE x > {UNREAD}"));
        database.execute(&format!(
            "INSERT INTO t (id, x) SELECT {id}, 1 FROM generate_series(2001, 2010) AS n"
        ));
        late.commit();
        held.go_on(0);

        assert_eq!(results.value("SELECT planned FROM runs"), "400");
        assert_vanished(&results, id, 301, 320);
        assert_values(&results, id);
        assert_eq!(results.value("SELECT count(*) FROM predictions"), "380");
        results.verify();

        let everything = ["--set", "source.where=true"];
        let has_condition = results.workspace.path("job.toml");
        let has_condition = std::fs::read_to_string(has_condition).expect("the job");
        let more: &[&str] = match has_condition.contains("where") {
            true => &everything,
            false => &[],
        };
        run(&results, NEXT, more).expect(0);
        let next =
            format!("SELECT count(*) FROM predictions_by_date WHERE logical_date = '{NEXT}'");
        assert_eq!(results.value(&next), "400");
        let new = format!(
            "{next} AND record_id IN (SELECT ({id})::text FROM generate_series(1001, 2010) AS n)"
        );
        assert_eq!(results.value(&new), "20");
        results.verify();
    }
}

/// Checks that the dead letters of the first run are these records, gone.
#[track_caller]
fn assert_vanished(results: &Results, id: &str, first: i64, last: i64) {
    let expected: Vec<String> = database(results)
        .query(&format!(
            "SELECT ({id})::text FROM generate_series({first}, {last}) AS n ORDER BY n"
        ))
        .concat()
        .iter()
        .map(|id| format!("{id} read/record_vanished -"))
        .collect();
    assert_eq!(results.dead_letters(1), expected);
}

/// Checks that no value of the first run is another than the one that was there to be read.
#[track_caller]
fn assert_values(results: &Results, id: &str) {
    let wrong = format!(
        "SELECT record_id, value FROM predictions
         JOIN (SELECT ({id})::text AS record_id, n FROM generate_series(1, {ROWS}) AS n) AS numbers
             USING (record_id)
         WHERE run_id = 1 AND value <> 2 * (n + CASE WHEN n > {UNREAD} THEN 1000 ELSE 0 END) + 1"
    );
    assert_eq!(results.query(&wrong), [] as [[&str; 2]; 0]);
}

#[test]
fn rows_are_found_again_wherever_they_moved() {
    for (results, id) in relations() {
        let database = database(&results);
        let held = Held::start(&results, DATE);
        database.execute(&format!("UPDATE t SET x = x + 1000 WHERE x > {UNREAD}"));
        // In another order, in other files.
        database.execute("CREATE INDEX by_hash ON t (md5(x::text))");
        database.execute("CLUSTER t USING by_hash");
        database.execute("VACUUM FULL t");
        held.go_on(0);
        assert_eq!(results.value("SELECT count(*) FROM predictions"), "400");
        assert_values(&results, id);
        assert_eq!(results.dead_letters(1), [""; 0]);
        results.verify();
    }
}

#[test]
fn a_place_that_another_row_has_taken_is_not_mistaken() {
    for (results, id) in relations() {
        let database = database(&results);
        let held = Held::start(&results, DATE);
        database.execute(&format!("DELETE FROM t WHERE x > {UNREAD}"));
        database.execute("VACUUM t");
        database.execute(&format!(
            "INSERT INTO t (id, x) SELECT {id}, 5 FROM generate_series(2001, 2200) AS n"
        ));
        held.go_on(0);
        assert_vanished(&results, id, UNREAD + 1, ROWS);
        assert_values(&results, id);
        assert_eq!(results.value("SELECT count(*) FROM predictions"), "200");
        results.verify();
    }
}

#[test]
fn a_run_that_was_killed_goes_on_with_the_rows_of_its_plan() {
    for (results, id) in relations() {
        let database = database(&results);
        Held::start(&results, DATE).kill();
        database.execute(&format!(
            "DELETE FROM t WHERE id IN ({})",
            ids(id, 301, 320)
        ));
        database.execute(&format!("UPDATE t SET x = x + 1000 WHERE x > {UNREAD}"));
        database.execute("VACUUM FULL t");
        database.execute(&format!(
            "INSERT INTO t (id, x) SELECT {id}, 1 FROM generate_series(2001, 2010) AS n"
        ));
        run(&results, DATE, &[]).expect(0);
        let states = "SELECT generation || ' ' || state || ' ' || planned FROM runs";
        assert_eq!(results.query(states), [["1 completed 400"]]);
        assert_vanished(&results, id, 301, 320);
        assert_values(&results, id);
        results.verify();
    }
}

#[test]
fn a_table_that_is_emptied_withholds_the_run() {
    let results = table("id bigint PRIMARY KEY", "n", "table = \"t\"");
    let strict = std::fs::read_to_string(results.workspace.path("job.toml")).expect("the job");
    results
        .workspace
        .write("job.toml", strict.replace("100%", "1%"));
    let held = Held::start(&results, DATE);
    database(&results).execute("TRUNCATE t");
    held.go_on(65);
    assert_eq!(results.published(DATE), [] as [[&str; 2]; 0]);
    let state = "SELECT state || ' ' || publication FROM runs";
    assert_eq!(results.value(state), "failed withheld");
    results.verify();
}

/// As many loads do: a new table is filled aside and takes the old one's name.
#[test]
fn a_table_that_is_swapped_is_read_as_the_new_one() {
    for columns in ["id bigint PRIMARY KEY", "id bigint"] {
        let results = table(columns, "n", "table = \"t\"");
        let held = Held::start(&results, DATE);
        database(&results).execute(&format!(
            "BEGIN;
             ALTER TABLE t RENAME TO old;
             CREATE TABLE t AS SELECT 'new' AS more, (x + CASE WHEN x > {UNREAD} THEN 1000 ELSE 0 END)::numeric AS x,
                 id::integer FROM old WHERE id NOT BETWEEN 301 AND 320 ORDER BY md5(id::text);
             COMMIT"
        ));
        held.go_on(0);
        assert_vanished(&results, "n", 301, 320);
        assert_values(&results, "n");
        results.verify();
    }
}

#[test]
fn a_column_whose_type_changes_meanwhile_is_not_misread() {
    for change in [
        "x TYPE numeric(20, 3)",
        "x TYPE real",
        "x TYPE integer",
        "id TYPE integer",
    ] {
        let results = table("id bigint PRIMARY KEY", "n", "table = \"t\"");
        let held = Held::start(&results, DATE);
        let change = format!("ALTER TABLE t ALTER COLUMN {change}");
        database(&results).execute(&format!(
            "DROP VIEW v; UPDATE t SET x = x + 1000 WHERE x > {UNREAD}; {change}"
        ));
        held.go_on(0);
        assert_values(&results, "n");
        assert_eq!(results.value("SELECT count(*) FROM predictions"), "400");
        results.verify();
    }
}

#[test]
fn a_table_that_is_gone_stops_the_run_until_it_is_back() {
    let results = table("id bigint PRIMARY KEY", "n", "table = \"t\"");
    let held = Held::start(&results, DATE);
    database(&results).execute("ALTER TABLE t RENAME TO away");
    held.go_on(78);
    assert_eq!(results.published(DATE), [] as [[&str; 2]; 0]);
    let away = "[source] table t: there is no table `t`";
    run(&results, DATE, &[]).expect(78).says(&[away]);
    database(&results).execute("ALTER TABLE away RENAME TO t");
    run(&results, DATE, &[]).expect(0);
    assert_eq!(results.value("SELECT count(*) FROM runs"), "1");
    assert_eq!(results.published(DATE).len(), 400);
    results.verify();
}

/// The date that was left behind keeps the rows that it was planned with.
#[test]
fn the_next_date_first_finishes_the_one_before() {
    let results = table("id bigint PRIMARY KEY", "n", "table = \"t\"");
    Held::start(&results, DATE).kill();
    database(&results).execute("DELETE FROM t WHERE id > 390; INSERT INTO t VALUES (1000, 1)");
    run(&results, NEXT, &[]).expect(0);
    assert_vanished(&results, "n", 391, 400);
    assert_eq!(results.published(DATE).len(), 390);
    assert_eq!(results.published(NEXT).len(), 391);
    results.verify();
}

/// A load that empties the table first makes readers wait until the new rows are there.
#[test]
fn a_run_that_waits_for_a_load_has_all_its_rows() {
    let results = table("id bigint PRIMARY KEY", "n", "table = \"t\"");
    let database = database(&results);
    let partitions = "CREATE TABLE p (id bigint, x double precision) PARTITION BY RANGE (id);
         CREATE TABLE p0 PARTITION OF p FOR VALUES FROM (0) TO (100);
         CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (100) TO (1000);
         INSERT INTO p SELECT id, x FROM t;
         CREATE TABLE u AS SELECT * FROM t;
         CREATE VIEW w AS SELECT * FROM u";
    database.execute(partitions);
    let job = std::fs::read_to_string(results.workspace.path("job.toml")).expect("the job");
    for (date, name, emptied) in [
        (DATE, "t", "t"),
        (NEXT, "p", "p1"),
        ("2026-11-25", "w", "u"),
    ] {
        let job = job.replace("\"t\"", &format!("\"{name}\""));
        let job = job.replace("\"simple\"", &format!("\"of-{name}\""));
        results.workspace.write("job.toml", job);
        let mut load = database.session();
        load.begin();
        load.execute(&format!("TRUNCATE {emptied}"));
        load.execute(&format!(
            "INSERT INTO {emptied} SELECT n, n + 1000 FROM generate_series(100, {ROWS}) AS n"
        ));
        let mut child = results
            .command(&["run", "job.toml", "--date", date])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let waiting = "SELECT 1 FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while database.query(waiting).is_empty() {
            let ended = child.try_wait().expect("a child");
            assert!(ended.is_none(), "it did not wait: {ended:?}");
            thread::sleep(Duration::from_millis(2));
        }
        load.commit();
        assert_eq!(child.wait().expect("an end").code(), Some(0), "{name}");
        let loaded = format!(
            "SELECT count(*) FROM predictions_by_date WHERE logical_date = '{date}' AND value > 2000"
        );
        assert_eq!(results.value(&loaded), "301", "{name}");
        let untouched = if name == "p" { 99 } else { 0 };
        assert_eq!(results.published(date).len(), 301 + untouched, "{name}");
        results.verify();
    }
}

/// A row that is gone is a dead letter, though another day's row has its id.
#[test]
fn the_row_of_another_day_does_not_stand_in_for_one_that_is_gone() {
    let history = format!(
        "CREATE TABLE t (day date, id bigint, x double precision, PRIMARY KEY (day, id));
         INSERT INTO t SELECT day, id, id FROM generate_series(1, {ROWS}) AS id,
             unnest(ARRAY['2026-11-22', '2026-11-23']::date[]) AS day;"
    );
    let source = "table = \"t\"\nwhere = \"day = :date\"\nid_column = \"id\"\n";
    let results = linear(&history, source, SETTINGS);
    let held = Held::start(&results, DATE);
    database(&results).execute(&format!(
        "DELETE FROM t WHERE day = '{DATE}' AND id = {ROWS}"
    ));
    held.go_on(0);
    assert_eq!(
        results.query("SELECT record_id, code FROM dead_letters"),
        [[ROWS.to_string().as_str(), "record_vanished"]]
    );
    results.verify();
}
