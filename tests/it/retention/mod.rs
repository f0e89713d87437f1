//! Pruning and erasure, with results in each of the databases: what goes, what stays, and that what
//! stays can be proven.

/// Records that are erased by their ids.
mod erase;
/// Which ids and jobs an erasure is given.
mod ids;
/// Who is killed, or told to stop, in the midst.
mod midst;
/// What is kept for so long and no longer.
mod prune;
/// Any order of everything.
mod random;
/// Who may.
mod roles;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use arrow::array::{Float64Array, StringArray};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection};

use crate::harness::results::Results;
use crate::harness::{Ended, batch, linear_bundle, simple_job, write_parquet};

/// Records: without a number they become dead letters.
type Records<'a> = &'a [(&'a str, Option<f64>)];

const SOME: Records<'static> = &[
    ("alpha-17", Some(1.0)),
    ("bravo-17", None),
    ("charlie-17", Some(3.0)),
    ("alpha-17", Some(9.0)),
    ("delta-17", Some(4.0)),
    ("echo-17", None),
    ("foxtrot-17", Some(6.0)),
];

fn put_input(results: &Results, records: Records<'_>) {
    let ids = StringArray::from_iter_values(records.iter().map(|(id, _)| *id));
    let numbers = Float64Array::from_iter(records.iter().map(|(_, number)| *number));
    let rows = batch(vec![("id", Arc::new(ids)), ("x", Arc::new(numbers))]);
    write_parquet(&results.workspace.path("input/rows.parquet"), &rows, 1000);
}

/// A bundle that says 2·x + 1, a job that reads these records in shards of three, and a key.
fn set_up(results: &Results, records: Records<'_>) {
    let workspace = &results.workspace;
    let bundle = workspace.path("bundle");
    linear_bundle(&bundle, &[("x", 2.0)], 1.0, "missing = \"reject\"");
    workspace.write(
        "job.toml",
        simple_job(
            "[run]\nshard_size = 3\nbatch_size = 2\n[errors]\nmax_dead_letters = \"100%\"\n",
        ),
    );
    put_input(results, records);
    put_key(results, "key", 7);
}

fn put_key(results: &Results, name: &str, byte: u8) {
    let key = results.workspace.write(name, [byte; 32]);
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).expect("a key of one's own");
}

fn in_each(records: Records<'_>) -> [Results; 2] {
    Results::in_each().map(|results| {
        set_up(&results, records);
        results
    })
}

fn run(results: &Results, date: &str, more: &[&str]) -> Ended {
    results.lamplighter(&[&["run", "job.toml", "--date", date], more].concat())
}

const RESCORE: [&str; 3] = ["--rescore", "--reason", "a test"];

/// Prunes with these keys of `[retention]`.
fn prune(results: &Results, keys: &[&str], more: &[&str]) -> Ended {
    let keys: Vec<String> = keys.iter().map(|key| format!("retention.{key}")).collect();
    let mut arguments = vec!["runs", "prune", "job.toml"];
    for key in &keys {
        arguments.extend(["--set", key]);
    }
    results.lamplighter(&[&arguments, more].concat())
}

/// Erases these ids.
fn erase(results: &Results, ids: &[&str], more: &[&str]) -> Ended {
    results.workspace.write("ids.txt", ids.join("\n"));
    let erase = ["records", "erase", "--ids", "ids.txt", "--key-file", "key"];
    results.lamplighter(&[&erase, more].concat())
}

/// Date, generation, state and publication of each run.
fn runs(results: &Results) -> Vec<String> {
    let sql =
        "SELECT substr(logical_date, 9) || '#' || generation || ' ' || state || ' ' || publication
               FROM runs ORDER BY run_id";
    results.query(sql).concat()
}

/// Each published record and its run.
fn seen(results: &Results) -> Vec<String> {
    let rows = results
        .query("SELECT record_id, run_id FROM predictions_by_date ORDER BY run_id, record_id");
    rows.iter().map(|row| row.join(" ")).collect()
}

fn verified(results: &Results, run: &str) -> serde_json::Value {
    let verify = ["runs", "verify", run, "--format", "json"];
    results.lamplighter(&verify).expect(0).json()
}

/// A connection to `lamplighter.db` that stays open.
struct Held {
    runtime: tokio::runtime::Runtime,
    connection: SqliteConnection,
}

impl Held {
    fn open(results: &Results) -> Self {
        let file = results.workspace.path("lamplighter.db");
        let options = SqliteConnectOptions::new().filename(file);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let connection = runtime
            .block_on(SqliteConnection::connect_with(&options))
            .expect("a connection");
        Self {
            runtime,
            connection,
        }
    }

    #[track_caller]
    fn execute(&mut self, sql: &str) {
        let query = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        self.runtime
            .block_on(query.execute(&mut self.connection))
            .expect("the statement works");
    }
}
