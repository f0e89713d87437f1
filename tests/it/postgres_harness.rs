//! What the other tests rely on: servers that come, go and forget nothing, and data that arrives as
//! it was.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float32Array, Float64Array, Int32Array, Int64Array,
    StringArray, TimestampMicrosecondArray,
};

use crate::harness::pgbouncer::{self, Pgbouncer};
use crate::harness::postgres::{Cluster, PostgresSession, cluster, load_parquet};
use crate::harness::{Workspace, batch, repository, write_parquet};

#[test]
fn two_databases_are_separate() {
    let one = cluster().database();
    let other = cluster().database();
    one.execute("CREATE TABLE mine (id bigint); INSERT INTO mine VALUES (1), (NULL)");
    assert_eq!(
        one.query("SELECT id, id IS NULL FROM mine"),
        [["1", "f"], ["NULL", "t"]]
    );
    assert_eq!(
        other.value("SELECT count(*) FROM pg_tables WHERE tablename = 'mine'"),
        "0"
    );
}

#[test]
fn a_database_is_gone_when_it_is_dropped() {
    let database = cluster().database();
    let name = database.name().to_owned();
    let _still_open = database.session();
    drop(database);
    let other = cluster().database();
    let left = other.value(&format!(
        "SELECT count(*) FROM pg_database WHERE datname = '{name}'"
    ));
    assert_eq!(left, "0");
}

#[test]
fn every_flight_arrives() {
    let database = cluster().database();
    for month in ["10", "11", "12"] {
        let path = repository().join(format!("fixtures/flights/flights-2013-{month}.parquet"));
        load_parquet(&database, "flights", &path, Some("flight_id"));
    }
    assert_eq!(database.value("SELECT count(*) FROM flights"), "84292");
}

#[test]
fn awkward_values_arrive_as_they_were() {
    let workspace = Workspace::new();
    let path = workspace.path("awkward.parquet");
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "Id \"x\"",
            Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX, 0])),
        ),
        (
            "small",
            Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(7)])),
        ),
        (
            "single",
            Arc::new(Float32Array::from(vec![
                Some(f32::MIN_POSITIVE),
                Some(f32::NAN),
                None,
            ])),
        ),
        (
            "double",
            Arc::new(Float64Array::from(vec![0.1 + 0.2, -0.0, f64::NEG_INFINITY])),
        ),
        (
            "text",
            Arc::new(StringArray::from(vec![
                Some("a\tb\\N\n\r'é"),
                Some(""),
                Some("\\N"),
            ])),
        ),
        (
            "flag",
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        ),
        (
            "day",
            Arc::new(Date32Array::from(vec![Some(0), Some(-1), None])),
        ),
        (
            "moment",
            Arc::new(TimestampMicrosecondArray::from(vec![
                Some(1),
                Some(-1),
                None,
            ])),
        ),
    ];
    write_parquet(&path, &batch(columns), 2);
    let database = cluster().database();
    database.execute("CREATE SCHEMA night");
    load_parquet(&database, "night.awkward", &path, Some("Id \"x\""));
    assert_eq!(
        database.query("SELECT * FROM night.awkward ORDER BY ctid"),
        [
            [
                "-9223372036854775808",
                "-2147483648",
                "1.1754944e-38",
                "0.30000000000000004",
                "a\tb\\N\n\r'é",
                "t",
                "1970-01-01",
                "1970-01-01 00:00:00.000001",
            ],
            [
                "9223372036854775807",
                "NULL",
                "NaN",
                "-0",
                "",
                "f",
                "1969-12-31",
                "1969-12-31 23:59:59.999999",
            ],
            ["0", "7", "NULL", "-Infinity", "\\N", "NULL", "NULL", "NULL"],
        ]
    );
    let types = "SELECT string_agg(data_type, ', ' ORDER BY ordinal_position)
                 FROM information_schema.columns WHERE table_name = 'awkward'";
    assert_eq!(
        database.value(types),
        "bigint, integer, real, double precision, text, boolean, date, timestamp without time zone"
    );
    let key =
        "SELECT count(*) FROM pg_index WHERE indisprimary AND indrelid = 'night.awkward'::regclass";
    assert_eq!(database.value(key), "1");
}

#[test]
fn equal_predictions_are_equal_in_both_databases() {
    let workspace = Workspace::new();
    workspace.write("lamplighter.db", "");
    let database = cluster().database();
    let predictions = "predictions (run_id bigint, record_id text, ordinal bigint, label text,
                       score double precision, value double precision, output text)";
    workspace.execute(&format!("CREATE TABLE {predictions}"));
    database.execute(&format!(
        "CREATE SCHEMA night; CREATE TABLE night.{predictions}"
    ));
    let rows = "predictions VALUES
        (7, 'a', 0, 'late', 0.30000000000000004, NULL, NULL),
        (7, 'b', 1, NULL, NULL, -2.2250738585072014e-308, '{\"x\": 1}'),
        (8, 'a', 0, NULL, 0.3, NULL, NULL)";
    workspace.execute(&format!("INSERT INTO {rows}"));
    database.execute(&format!("INSERT INTO night.{rows}"));
    let bits = database.prediction_bits("night", 7);
    assert_eq!(bits, workspace.prediction_bits_without_ordinal(7));
    let number = (0.1_f64 + 0.2).to_bits();
    assert_eq!(bits["a"], format!("late|{number}|-|-"));
    assert_eq!(
        workspace.prediction_bits(7)["b"],
        format!("1|{}", bits["b"])
    );
    assert_ne!(bits["a"], database.prediction_bits("night", 8)["a"]);
}

#[test]
fn copied_rows_arrive() {
    let database = cluster().database();
    database.execute("CREATE TABLE pairs (id bigint, name text)");
    database.copy_in(
        "COPY pairs FROM STDIN (FORMAT csv)",
        b"1,one\n2,\"two, or so\"\n",
    );
    assert_eq!(
        database.query("SELECT * FROM pairs"),
        [["1", "one"], ["2", "two, or so"]]
    );
}

#[test]
fn a_session_keeps_its_transaction_to_itself() {
    let database = cluster().database();
    database.execute("CREATE TABLE counted (id bigint PRIMARY KEY)");
    let count = "SELECT count(*) FROM counted";
    let mut session = database.session();
    session.begin();
    session.execute("INSERT INTO counted VALUES (1)");
    assert_eq!(session.query(count), [["1"]]);
    assert_eq!(database.value(count), "0");
    session.commit();
    assert_eq!(database.value(count), "1");
    session.begin();
    session.execute("INSERT INTO counted VALUES (2)");
    session.roll_back();
    assert_eq!(database.value(count), "1");

    let process = session.process_id();
    database.execute(&format!("SELECT pg_terminate_backend({process}, 60000)"));
    assert!(session.try_execute("SELECT 1").is_err());
}

#[test]
fn a_role_is_held_to_its_rights() {
    let database = cluster().database();
    let role = format!("reader_of_{}", database.name());
    database.execute(&format!(
        "CREATE TABLE secrets (id bigint); CREATE ROLE {role} LOGIN"
    ));
    let refused = database
        .session_as(&role)
        .try_execute("TABLE secrets")
        .expect_err("no right");
    let code = refused.as_database_error().and_then(|error| error.code());
    assert_eq!(code.as_deref(), Some("42501"));
    let mut session = PostgresSession::open(&database.url_as(&role)).expect("a connection");
    assert_eq!(session.value("SELECT current_user"), role);
    database.execute(&format!("DROP ROLE {role}"));
}

#[test]
fn committed_rows_outlive_a_crash() {
    let cluster = Cluster::start(&["max_connections = 10"]);
    let database = cluster.database();
    database.execute("CREATE TABLE kept (id bigint); INSERT INTO kept VALUES (42)");
    let mut session = database.session();
    session.begin();
    session.execute("INSERT INTO kept VALUES (43)");
    cluster.stop_immediately();
    assert!(session.try_execute("COMMIT").is_err());
    assert!(PostgresSession::open(&database.url()).is_err());
    cluster.start_again();
    assert_eq!(database.query("SELECT id FROM kept"), [["42"]]);
    assert_eq!(database.value("SHOW max_connections"), "10");
    assert!(cluster.log().contains("automatic recovery in progress"));
}

#[test]
fn passwords_and_certificates_are_asked_for() {
    let cluster = Cluster::start(&["listen_addresses = '127.0.0.1'"]);
    let database = cluster.database();
    database.execute("CREATE ROLE night LOGIN PASSWORD 'sesame'");
    cluster.authenticate(&["hostssl all night 127.0.0.1/32 scram-sha-256"]);
    let root = cluster.enable_tls();
    // Only its owner and root may read the directory.
    let workspace = Workspace::new();
    let copy = workspace.path("root.crt");
    std::fs::copy(root, &copy).expect("a copy");
    let url = |password: &str, mode: &str| {
        let (port, name) = (cluster.port(), database.name());
        let copy = copy.display();
        format!(
            "postgres://night:{password}@localhost:{port}/{name}?sslmode={mode}&sslrootcert={copy}"
        )
    };
    let mut session = PostgresSession::open(&url("sesame", "verify-full")).expect("a connection");
    assert_eq!(
        session.value("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"),
        "t"
    );
    assert!(PostgresSession::open(&url("wrong", "verify-full")).is_err());
    assert!(PostgresSession::open(&url("sesame", "disable")).is_err());
}

#[test]
fn clients_of_pgbouncer_share_a_connection() {
    if pgbouncer::is_left_out() {
        return;
    }
    let cluster = cluster();
    let pgbouncer = Pgbouncer::start(cluster, "transaction", 1);
    let database = cluster.database();
    let role = format!("client_of_{}", database.name());
    database.execute(&format!("CREATE ROLE {role} LOGIN"));
    {
        let mut one = PostgresSession::open(&pgbouncer.url(&database)).expect("a connection");
        let mut other = PostgresSession::open(&pgbouncer.url(&database)).expect("a connection");
        assert_eq!(one.process_id(), other.process_id());
        let named = PostgresSession::open(&pgbouncer.url_as(&database, &role));
        assert_eq!(
            named.expect("a connection").value("SELECT current_user"),
            role
        );
    }
    assert!(
        pgbouncer.log().contains("login attempt"),
        "{}",
        pgbouncer.log()
    );
    drop(pgbouncer);
    database.execute(&format!("DROP ROLE {role}"));
}

#[test]
fn programs_of_postgres_reach_the_cluster() {
    let database = cluster().database();
    let output = Command::new(cluster().binary("psql"))
        .args(["-XAt", &database.url(), "-c", "SELECT current_database()"])
        .output()
        .expect("psql");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        database.name()
    );
}

/// The test starts itself a second time: that process has a cluster and waits to be killed.
#[test]
fn a_killed_test_process_leaves_nothing_behind() {
    const HOLD: &str = "LAMPLIGHTER_TESTS_HOLD_A_CLUSTER";
    if std::env::var_os(HOLD).is_some() {
        let cluster = Cluster::start(&[]);
        println!("\nholding {}", cluster.socket_directory().display());
        let _until_killed = std::io::stdin().read(&mut [0]);
        return;
    }
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "--nocapture"])
        .arg("postgres_harness::a_killed_test_process_leaves_nothing_behind")
        .env(HOLD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this program again");
    let directory = BufReader::new(child.stdout.take().expect("a pipe"))
        .lines()
        .map(|line| line.expect("text"))
        .find_map(|line| line.strip_prefix("holding ").map(str::to_owned))
        .expect("a cluster");
    let directory = Path::new(&directory);
    assert!(directory.join("data/postmaster.pid").exists());
    child.kill().expect("killed");
    child.wait().expect("an end");
    // The watcher has the same standard error, and is the last to close it.
    let mut said = String::new();
    let mut stderr = child.stderr.take().expect("a pipe");
    stderr.read_to_string(&mut said).expect("text");
    assert!(!directory.exists(), "{said}");
}
