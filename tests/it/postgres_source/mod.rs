//! A Postgres table or query as a source.

/// The flights' bits: from any relation, into any ledger.
mod flights;
/// What is asked for, and what a date that is done means when it changes.
mod identity;
/// Rows that come, go and change between the plan and the reading.
mod moments;
/// Job files that ask for what is not there or not allowed.
mod refusals;
/// Passwords.
mod secrets;
/// Every type of column, as everything that it can serve.
mod types;
/// Somebody who writes all the time.
mod writer;

use crate::harness::postgres::Database;
use crate::harness::results::Results;
use crate::harness::{Ended, linear_bundle};

const DATE: &str = "2026-11-23";
const NEXT: &str = "2026-11-24";

/// A job on Postgres with the bundle `bundle`, and more TOML.
fn job(source: &str, more: &str) -> String {
    format!(
        "[job]\nname = \"simple\"\n[source]\nkind = \"postgres\"\n{source}\n\
         [model]\nbundle = \"bundle\"\n{more}"
    )
}

/// Results in the database that is read, which `sql` fills; a bundle that says 2·x + 1 and a job.
fn linear(sql: &str, source: &str, more: &str) -> Results {
    let results = Results::in_postgres();
    let bundle = results.workspace.path("bundle");
    linear_bundle(&bundle, &[("x", 2.0)], 1.0, "missing = \"reject\"");
    results.workspace.write("job.toml", job(source, more));
    database(&results).execute(sql);
    results
}

/// The database that is read.
fn database(results: &Results) -> &Database {
    results.postgres().expect("results in Postgres")
}

fn run(results: &Results, date: &str, more: &[&str]) -> Ended {
    results.lamplighter(&[&["run", "job.toml", "--date", date], more].concat())
}

/// A table of records 1 to `count`, of which each is its own x.
fn numbered(table: &str, count: usize) -> String {
    format!(
        "CREATE TABLE {table} (id bigint PRIMARY KEY, x double precision);
         INSERT INTO {table} SELECT id, id FROM generate_series(1, {count}) AS id;"
    )
}
