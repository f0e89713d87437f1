use std::sync::Arc;
use std::thread;

use arrow::array::{Float64Array, StringArray};
use lamplighter::error::{Class, classify};
use lamplighter::job::OnConflict;
use lamplighter::ledger::{Access, SchemaStatus};

use super::Home;
use crate::harness::postgres::cluster;
use crate::harness::{Ended, Workspace, batch, linear_bundle, simple_job, write_parquet};

on_both! {
    migrating_again_changes_nothing,
    tables_of_the_next_version_are_worked_on,
    tables_of_the_version_after_next_are_refused,
}

fn migrating_again_changes_nothing(home: &Home) {
    let records = [("a".to_owned(), "{}".to_owned())];
    let mut ledger = home.open();
    let pushed = ledger.push("simple", &records, 0, OnConflict::Replace);
    assert_eq!(pushed.unwrap(), 1);
    ledger.close().unwrap();
    let applied = "SELECT version, installed_on FROM _sqlx_migrations ORDER BY version";
    let before = home.query(applied);
    for _ in 0..2 {
        let mut ledger = home.open_for(Access::Migrate);
        let SchemaStatus { applied, known } = ledger.schema_status().unwrap();
        assert!(known > 0);
        assert_eq!(applied, known);
        ledger.close().unwrap();
    }
    assert_eq!(home.query(applied), before);
    assert_eq!(home.counts(&["queue"]), ["1"]);
}

/// Tells the tables that they are so many versions ahead, with columns that nobody knows yet.
fn bring_ahead(home: &Home, versions: i64) -> i64 {
    let known = home.open().schema_status().unwrap().known;
    for version in known + 1..=known + versions {
        home.execute(&format!(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES ({version}, 'later', true, '', 0)"
        ));
        for table in ["runs", "predictions", "queue", "shards", "dead_letters"] {
            home.execute(&format!(
                "ALTER TABLE {table} ADD COLUMN later_{version} text"
            ));
        }
    }
    known + versions
}

/// Ten records and a job that scores them.
fn set_up_job(workspace: &Workspace) {
    linear_bundle(
        &workspace.path("bundle"),
        &[("x", 2.0)],
        1.0,
        "missing = \"reject\"",
    );
    let ids = StringArray::from_iter_values((0..10).map(|row| format!("r{row}")));
    let numbers = Float64Array::from_iter_values((0..10).map(f64::from));
    let rows = batch(vec![("id", Arc::new(ids)), ("x", Arc::new(numbers))]);
    write_parquet(&workspace.path("input/rows.parquet"), &rows, 5);
    workspace.write("job.toml", simple_job("[run]\nshard_size = 3\n"));
}

fn run(home: &Home, more: &[&str]) -> Ended {
    let url = home.url();
    let arguments = [
        "run",
        "job.toml",
        "--date",
        "2026-11-23",
        "--database",
        &url,
    ];
    home.workspace().lamplighter(&[&arguments, more].concat())
}

fn tables_of_the_next_version_are_worked_on(home: &Home) {
    set_up_job(home.workspace());
    bring_ahead(home, 1);
    run(home, &[]).expect(0);
    assert_eq!(home.counts(&["predictions_by_date"]), ["10"]);
    home.workspace()
        .lamplighter(&["runs", "verify", "--database", &home.url()])
        .expect(0);
    let mut ledger = home.open();
    let records = [("a".to_owned(), "{}".to_owned())];
    let pushed = ledger.push("other", &records, 0, OnConflict::Ignore);
    assert_eq!(pushed.unwrap(), 1);
    drop(ledger);
    let migrated = home.open_for(Access::Migrate).schema_status().unwrap();
    assert_eq!(migrated.applied, migrated.known + 1, "it is left as it is");
}

fn tables_of_the_version_after_next_are_refused(home: &Home) {
    set_up_job(home.workspace());
    let version = bring_ahead(home, 2);
    let message = format!("schema version {version}");
    run(home, &[])
        .expect(78)
        .says(&[&message, "use a newer lamplighter"]);
    assert_eq!(home.counts(&["runs"]), ["0"]);
    for access in [Access::Read, Access::Write, Access::Migrate] {
        let error = home.try_open(access).err().expect("a refusal");
        assert_eq!(classify(&error), Class::Config, "{access:?}: {error:#}");
    }
    let looked = home.open_for(Access::Look).schema_status().unwrap();
    assert_eq!(looked.applied, version, "`db status` can still tell");
}

#[test]
fn a_schema_without_tables_is_refused_with_the_command_that_makes_them() {
    let database = cluster().database();
    let workspace = Workspace::new();
    set_up_job(&workspace);
    let url = database.url();
    let arguments = ["run", "job.toml", "--database", &url, "--schema", "team_a"];
    let hint = "`lamplighter db migrate --schema team_a`";
    workspace.lamplighter(&arguments).expect(78).says(&[hint]);
    database.execute("CREATE SCHEMA team_a");
    workspace.lamplighter(&arguments).expect(78).says(&[hint]);
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'team_a'";
    assert_eq!(database.value(tables), "0", "a run creates nothing");
    let migrate = ["db", "migrate", "--database", &url, "--schema", "team_a"];
    workspace.lamplighter(&migrate).expect(0);
    workspace.lamplighter(&arguments).expect(0);
}

#[test]
fn a_schema_with_somebody_elses_tables_is_left_alone() {
    let database = cluster().database();
    database.execute("CREATE SCHEMA theirs; CREATE TABLE theirs.orders (id bigint)");
    let url = database.url();
    let workspace = Workspace::new();
    let migrate = ["db", "migrate", "--database", &url, "--schema", "theirs"];
    workspace
        .lamplighter(&migrate)
        .expect(78)
        .says(&["not one of Lamplighter's"]);
    let tables = "SELECT string_agg(tablename, ',') FROM pg_tables WHERE schemaname = 'theirs'";
    assert_eq!(database.value(tables), "orders");
}

#[test]
fn migrations_at_once_wait_for_each_other() {
    let database = cluster().database();
    let url = database.url();
    let workspace = Workspace::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let migrate = ["db", "migrate", "--database", &url];
                workspace.lamplighter(&migrate).expect(0);
            });
        }
    });
    let versions = "SELECT count(*) = max(version) FROM lamplighter._sqlx_migrations";
    assert_eq!(database.value(versions), "t");
}
