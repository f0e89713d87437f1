use std::fs;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{Float64Array, StringArray};

use crate::harness::flights_on_postgres::{DATE, Flights};
use crate::harness::postgres::{Cluster, Database};
use crate::harness::started::Started;
use crate::harness::{
    Ended, Workspace, batch, linear_bundle, repository, simple_job, write_parquet,
};

const CANARY: &str = "canary-4711";

/// A cluster that asks the role `night` for its password, and a database with tables for it.
fn guarded() -> (Cluster, Flights) {
    let cluster = Cluster::start(&["listen_addresses = '127.0.0.1'", "log_connections = on"]);
    let flights = Flights::in_database(cluster.database());
    flights.database.execute(&format!(
        "CREATE ROLE night SUPERUSER LOGIN PASSWORD '{CANARY}'"
    ));
    cluster.authenticate(&["host all night 127.0.0.1/32 scram-sha-256"]);
    (cluster, flights)
}

fn url(cluster: &Cluster, database: &str, password: &str) -> String {
    let port = cluster.port();
    format!("postgres://night{password}@127.0.0.1:{port}/{database}")
}

/// A run whose address stands where other users can not read it.
fn run_by_environment(flights: &Flights, url: &str, more: &[&str]) -> Command {
    let command = flights.run_at("postgres:///", DATE, 5000, more);
    let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let at = arguments.iter().position(|word| word == "--database");
    let at = at.expect("the address");
    let mut guarded = flights.workspace.command(&[]);
    guarded
        .args(&arguments[..at])
        .args(&arguments[at + 2..])
        .current_dir(repository())
        .env("DATABASE_URL", url);
    guarded
}

#[test]
fn a_wrong_password_is_refused_at_once_and_told_to_nobody() {
    let (cluster, flights) = guarded();
    let wrong = url(&cluster, flights.database.name(), ":canary-4712");
    let ended = Ended::of(&mut run_by_environment(&flights, &wrong, &["-vv"]))
        .expect(77)
        .says(&["hint: check the user and the password"]);
    let said = ended.stdout + &ended.stderr;
    assert!(!said.contains("waiting for the database"), "{said}");
    assert!(!said.contains("canary"), "{said}");
    let tries = cluster
        .log()
        .matches("password authentication failed")
        .count();
    assert_eq!(tries, 1, "{}", cluster.log());
}

#[test]
fn a_password_is_nowhere_to_be_read() {
    let (cluster, flights) = guarded();
    let right = url(&cluster, flights.database.name(), &format!(":{CANARY}"));
    let barrier = flights.barrier();
    let mut started = Started::new(&mut run_by_environment(&flights, &right, &["-vv"]));
    flights.until_it_holds(&mut started);
    let command_line = fs::read(format!("/proc/{}/cmdline", started.id())).expect("a process");
    let command_line = String::from_utf8_lossy(&command_line).into_owned();
    assert!(command_line.contains("flight-delay.toml"));
    drop(barrier);
    let ended = started.end().expect(0);
    flights.check(DATE);
    let tables = "SELECT string_agg(query_to_xml('SELECT * FROM lamplighter.' || tablename, true, false, '')::text, '')
         FROM pg_tables WHERE schemaname = 'lamplighter' AND tablename NOT IN ('predictions', 'dead_letters')";
    let stored = flights.value(tables);
    assert!(stored.contains("flight-delay"), "the tables were read");
    for text in [&command_line, &ended.stdout, &ended.stderr, &stored] {
        assert!(!text.contains(CANARY), "{text}");
    }
}

#[test]
fn a_database_that_is_not_there_is_a_mistake_of_the_configuration() {
    let (cluster, flights) = guarded();
    let missing = url(&cluster, "elsewhere", &format!(":{CANARY}"));
    Ended::of(&mut run_by_environment(&flights, &missing, &[]))
        .expect(78)
        .says(&["\"elsewhere\" does not exist", "hint: create the database"]);
}

#[test]
fn the_password_command_is_asked_anew_for_each_connection() {
    let (cluster, flights) = guarded();
    let asked = flights.workspace.path("asked");
    let script = format!("echo x >>'{}'; echo {CANARY}", asked.display());
    let script = flights.workspace.write("password.sh", script);
    let command = format!("sink.password_command=[\"sh\", \"{}\"]", script.display());
    let address = url(&cluster, flights.database.name(), "");
    let more = ["--set", command.as_str(), "--set", "run.lease=2s"];
    let barrier = flights.barrier();
    let mut started = Started::new(&mut run_by_environment(&flights, &address, &more));
    flights.until_it_holds(&mut started);
    // The next ones are new, too.
    let mut session = flights.database.session();
    session
        .execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'night'");
    drop(barrier);
    started.end().expect(0);
    flights.check(DATE);
    let connections = cluster
        .log()
        .matches("connection authorized: user=night")
        .count();
    let asked = fs::read_to_string(asked).expect("a file").lines().count();
    assert!(connections >= 2, "{}", cluster.log());
    assert_eq!(asked, connections);
}

/// What a role may not do.
#[track_caller]
fn refused(database: &Database, role: &str, sql: &str) {
    let error = database
        .session_as(role)
        .try_execute(sql)
        .expect_err("a refusal");
    let code = error.as_database_error().and_then(|error| error.code());
    assert_eq!(code.as_deref(), Some("42501"), "{sql}: {error}");
}

/// A database whose rights are those that `db roles` prints, with a login of each kind.
fn with_roles() -> (Flights, [String; 2]) {
    let flights = Flights::new();
    let printed = flights.workspace.lamplighter(&["db", "roles"]).expect(0);
    flights.database.execute(&printed.stdout);
    let logins = ["runner", "reader"].map(|kind| {
        let login = format!("{kind}_of_{}", flights.database.name());
        flights.database.execute(&format!(
            "CREATE ROLE {login} LOGIN IN ROLE lamplighter_{kind}"
        ));
        login
    });
    (flights, logins)
}

/// Ten records to push, and a job that scores what waits.
fn set_up_queue(workspace: &Workspace) {
    linear_bundle(
        &workspace.path("bundle"),
        &[("x", 2.0)],
        1.0,
        "missing = \"reject\"",
    );
    let ids = StringArray::from_iter_values((0..10).map(|row| format!("r{row}")));
    let numbers = Float64Array::from_iter_values((0..10).map(f64::from));
    let rows = batch(vec![("id", Arc::new(ids)), ("x", Arc::new(numbers))]);
    write_parquet(&workspace.path("rows.parquet"), &rows, 5);
    let source = "kind = \"parquet\"\npath = \"input/*.parquet\"";
    let job = simple_job("[retention]\nqueue = \"0s\"\n").replace(source, "kind = \"queue\"");
    workspace.write("queue.toml", job);
}

#[test]
fn the_runner_can_do_its_work_and_no_harm() {
    let (flights, [runner, _]) = with_roles();
    let url = flights.database.url_as(&runner);
    Ended::of(&mut flights.run_at(&url, DATE, 5000, &[])).expect(0);
    flights.check(DATE);
    set_up_queue(&flights.workspace);
    let lamplighter = |arguments: &[&str]| {
        let arguments = [arguments, &["--database", &url]].concat();
        flights.workspace.lamplighter(&arguments).expect(0)
    };
    lamplighter(&["queue", "push", "queue.toml", "rows.parquet"]);
    lamplighter(&["queue", "push", "queue.toml", "rows.parquet"]);
    lamplighter(&["run", "queue.toml", "--date", DATE]);
    lamplighter(&["runs", "verify", &format!("simple@{DATE}#1")]);
    let seen = "SELECT count(*) FROM predictions_by_date WHERE job = 'simple'";
    assert_eq!(flights.value(seen), "10");
    assert_eq!(flights.value("SELECT count(*) FROM queue"), "0", "pruned");
    for sql in [
        "DELETE FROM lamplighter.predictions",
        "UPDATE lamplighter.predictions SET score = 0",
        "DELETE FROM lamplighter.dead_letters",
        "UPDATE lamplighter.reports SET verdict = 'published'",
        "DELETE FROM lamplighter.runs",
        "TRUNCATE lamplighter.queue",
        "CREATE TABLE lamplighter.mine (id bigint)",
        "INSERT INTO lamplighter._sqlx_migrations VALUES (99, '', now(), true, '', 0)",
    ] {
        refused(&flights.database, &runner, sql);
    }
    refused(
        &flights.database,
        &runner,
        "DROP SCHEMA lamplighter CASCADE",
    );
}

#[test]
fn the_reader_sees_results_and_not_what_waits() {
    let (flights, [_, reader]) = with_roles();
    Ended::of(&mut flights.run(DATE, "run", 5000, &[])).expect(0);
    let mut session = flights.database.session_as(&reader);
    for view in ["predictions_by_date", "predictions_latest"] {
        let rows = session.value(&format!("SELECT count(*) FROM lamplighter.{view}"));
        assert_eq!(rows, expected_rows(), "{view}");
    }
    let url = flights.database.url_as(&reader);
    flights
        .workspace
        .lamplighter(&["runs", "verify", "--database", &url])
        .expect(0);
    for sql in [
        "SELECT * FROM lamplighter.queue",
        "INSERT INTO lamplighter.publications VALUES ('a', 'b', 0, 1)",
        "DELETE FROM lamplighter.predictions",
    ] {
        refused(&flights.database, &reader, sql);
    }
    Ended::of(&mut flights.run_at(&url, "2026-01-02", 5000, &[]))
        .expect(77)
        .says(&["`lamplighter db roles`"]);
}

fn expected_rows() -> String {
    crate::harness::flights_on_postgres::expected()
        .len()
        .to_string()
}

/// To somebody without rights a schema looks empty; nobody is sent to create its tables again.
#[test]
fn a_role_without_rights_is_told_so_and_not_to_migrate() {
    let (flights, _) = with_roles();
    let stranger = format!("stranger_to_{}", flights.database.name());
    flights
        .database
        .execute(&format!("CREATE ROLE {stranger} LOGIN"));
    let url = flights.database.url_as(&stranger);
    for command in [&["runs", "list"][..], &["db", "migrate"]] {
        let ended = flights
            .workspace
            .lamplighter(&[command, &["--database", &url]].concat());
        ended.expect(77).says(&[
            "may not use",
            "schema lamplighter",
            "`lamplighter db roles`",
        ]);
    }
}
