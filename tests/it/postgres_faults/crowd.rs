use std::sync::Arc;

use arrow::array::{Float64Array, StringArray};

use crate::harness::flights_on_postgres::{DATE, Flights};
use crate::harness::pgbouncer::{self, Pgbouncer};
use crate::harness::postgres::{Cluster, cluster};
use crate::harness::started::Started;
use crate::harness::{Workspace, batch, linear_bundle, simple_job, write_parquet};

#[test]
fn three_processes_share_two_connections_of_a_pooler() {
    if pgbouncer::is_left_out() {
        return;
    }
    let flights = Flights::new();
    let pgbouncer = Pgbouncer::start(cluster(), "transaction", 2);
    let url = pgbouncer.url(&flights.database);
    let barrier = flights.barrier();
    let mut all: Vec<Started> = (0..3)
        .map(|_| Started::new(&mut flights.run_at(&url, DATE, 200, &[])))
        .collect();
    // With both connections in a commit that waits, the third process waits for a connection.
    all.iter_mut()
        .take(1)
        .for_each(|started| flights.until_it_holds(started));
    let servers = "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name NOT LIKE 'harness%'";
    let most: u32 = flights.value(servers).parse().expect("a number");
    assert!((1..=2).contains(&most), "{most} connections of the pooler");
    drop(barrier);
    for ended in flights.ends(all) {
        ended.expect(0);
    }
    flights.check(DATE);
    assert_eq!(flights.value("SELECT count(*) FROM run_attempts"), "3");
    let logins = pgbouncer.log().matches("login attempt").count();
    assert!(logins >= 3, "{}", pgbouncer.log());
}

/// Jobs of five records each, `job_0.toml` and so on.
fn small_jobs(count: usize) -> Workspace {
    let workspace = Workspace::new();
    linear_bundle(
        &workspace.path("bundle"),
        &[("x", 2.0)],
        1.0,
        "missing = \"reject\"",
    );
    let ids = StringArray::from_iter_values((0..5).map(|row| format!("r{row}")));
    let numbers = Float64Array::from_iter_values((0..5).map(f64::from));
    let rows = batch(vec![("id", Arc::new(ids)), ("x", Arc::new(numbers))]);
    write_parquet(&workspace.path("input/rows.parquet"), &rows, 5);
    for number in 0..count {
        let job = simple_job("[run]\nshard_size = 2\nworkers = 1\n");
        let job = job.replace("\"simple\"", &format!("\"job-{number}\""));
        workspace.write(&format!("job_{number}.toml"), job);
    }
    workspace
}

/// Schemas of so many jobs: half of them have one of their own.
fn schema_of(number: usize) -> String {
    match number % 2 {
        0 => "shared".to_owned(),
        _ => format!("team_{number}"),
    }
}

/// Runs so many jobs at once on a cluster, which may have too few connections for them.
fn run_at_once(cluster: &Cluster, count: usize) {
    let database = cluster.database();
    let workspace = small_jobs(count);
    let url = database.url();
    for number in 0..count {
        let schema = schema_of(number);
        workspace
            .lamplighter(&["db", "migrate", "--database", &url, "--schema", &schema])
            .expect(0);
    }
    let all: Vec<Started> = (0..count)
        .map(|number| {
            let job = format!("job_{number}.toml");
            let schema = schema_of(number);
            let arguments = [
                "run",
                &job,
                "--date",
                DATE,
                "--database",
                &url,
                "--schema",
                &schema,
            ];
            Started::new(&mut workspace.command(&arguments))
        })
        .collect();
    for started in all {
        started.end().expect(0);
    }
    for number in 0..count {
        let seen = database.value(&format!(
            "SELECT count(*) FROM {}.predictions_by_date WHERE job = 'job-{number}'",
            schema_of(number)
        ));
        assert_eq!(seen, "5", "job {number}");
    }
}

#[test]
fn forty_jobs_at_once_are_all_done() {
    run_at_once(&Cluster::start(&["max_connections = 60"]), 40);
}

#[test]
fn a_server_without_a_free_connection_is_waited_for() {
    let cluster = Cluster::start(&[
        "max_connections = 5",
        "superuser_reserved_connections = 0",
        "max_wal_senders = 0",
    ]);
    run_at_once(&cluster, 16);
    assert!(
        cluster.log().contains("too many clients"),
        "there were enough"
    );
}
