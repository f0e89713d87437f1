//! Postgres for the tests: one private cluster for all of them, a database for each, and clusters of
//! their own for those that stop or damage one, or reach it by TCP, TLS or password.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection, Row, ValueRef};
use tokio::runtime::Runtime;

use super::certificates::{CERTIFICATES, OPENSSL};
use super::small_disk::SmallDisk;
use super::watched::{Watched, as_server_user, owned_directory};
use super::{prediction_bits, runtime};

pub use super::postgres_tables::load_parquet;

/// The commands of a cluster's watcher; its arguments are the directory of the binaries, where data
/// and write-ahead log are to be (nothing: in its own directory), MB of a segment of that log, and lines of
/// `postgresql.conf`. The time limits of `pg_ctl` are no limits: a slow machine is not a failure.
const SCRIPT: &str = r#"
binaries=$1
data=$2
wal=$3
segment=$4
shift 4
settings=$(printf '%s\n' "$@")
create() {
    [ -z "$data" ] || ln -s "$data" "$directory/data"
    "$binaries/initdb" -D "$directory/data" ${wal:+-X "$wal"} --wal-segsize="$segment" -A trust -E UTF8 --locale=C -U postgres -N --no-instructions &&
        printf '%s\n' "unix_socket_directories = '$directory'" "$settings" >>"$directory/data/postgresql.conf"
}
start() { "$binaries/pg_ctl" start -D "$directory/data" -l "$directory/log" -w -t 86400 -s; }
stop() { "$binaries/pg_ctl" stop -D "$directory/data" -m immediate -w -t 86400 -s; }
restart() { stop; start; }
end() { stop; }
"#;

/// What every cluster has. The tests kill processes and never the machine, so nothing needs to reach
/// the disk; `synchronous_commit` stays what it is for users.
const SETTINGS: [&str; 6] = [
    "listen_addresses = ''",
    "fsync = off",
    "full_page_writes = off",
    "shared_buffers = 128MB",
    "max_connections = 60",
    "max_wal_size = 1GB",
];

/// The cluster that tests share, started by the first that asks and stopped with the process.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(&[]))
}

/// A running server with data of its own. It is gone when the last clone and the last of its
/// databases is dropped.
#[derive(Clone)]
pub struct Cluster {
    server: Arc<Server>,
}

struct Server {
    watched: Mutex<Watched>,
    directory: PathBuf,
    binaries: PathBuf,
    port: u16,
    databases: AtomicUsize,
}

impl Cluster {
    /// Starts a cluster for a test of its own, with lines of `postgresql.conf`. With a line on
    /// `listen_addresses` it gets a port that was free a moment before.
    pub fn start(settings: &[&str]) -> Self {
        Self::start_on(None, None, settings)
    }

    /// The same with data, or the write-ahead log, on disks of their own.
    pub fn start_on(data: Option<&SmallDisk>, wal: Option<&SmallDisk>, settings: &[&str]) -> Self {
        let binaries = binaries();
        let port = match settings
            .iter()
            .any(|line| line.contains("listen_addresses"))
        {
            true => TcpListener::bind(("127.0.0.1", 0))
                .and_then(|listener| listener.local_addr())
                .expect("a free port")
                .port(),
            false => 5432,
        };
        // Small ones are made sooner; what is to reach the disk is measured, with those of any server.
        let segment_megabytes = match settings.contains(&"fsync = on") {
            true => "16",
            false => "1",
        };
        let port_line = format!("port = {port}");
        // The last line on a setting counts.
        let lines = SETTINGS.iter().chain(settings).copied();
        // Its own user can not create a directory on a disk, and wants one that is empty.
        let [data, wal] = [data, wal].map(|disk| {
            disk.map(|disk| owned_directory(&disk.path().join("postgres")))
                .unwrap_or_default()
        });
        let arguments: Vec<&OsStr> = [&binaries, &data, &wal]
            .map(|path| path.as_os_str())
            .into_iter()
            .chain([OsStr::new(segment_megabytes)])
            .chain(lines.chain([port_line.as_str()]).map(OsStr::new))
            .collect();
        let mut watched = Watched::start(SCRIPT, &arguments);
        watched.call("create");
        watched.call("start");
        Self {
            server: Arc::new(Server {
                directory: watched.directory().to_owned(),
                watched: Mutex::new(watched),
                binaries,
                port,
                databases: AtomicUsize::new(0),
            }),
        }
    }

    /// An empty database, dropped with what is returned.
    pub fn database(&self) -> Database {
        let number = self.server.databases.fetch_add(1, Ordering::Relaxed) + 1;
        let database = Database {
            cluster: self.clone(),
            name: format!("test_{number}"),
        };
        let create = format!("CREATE DATABASE {}", database.name);
        self.administrator().execute(&create);
        database
    }

    /// Where the server's socket is.
    pub fn socket_directory(&self) -> &Path {
        &self.server.directory
    }

    /// Part of the name of the socket; the TCP port, if the cluster listens on one.
    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// One of Postgres' own programs, such as `psql`, of the server's version.
    pub fn binary(&self, name: &str) -> PathBuf {
        self.server.binaries.join(name)
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        self.watched().log()
    }

    /// Stops the server as a crash would: no connection is ended in peace, and the next start
    /// recovers from the log.
    pub fn stop_immediately(&self) {
        self.watched().call("stop");
    }

    /// Starts the stopped server again, with the same data, and waits until it can be asked.
    pub fn start_again(&self) {
        self.watched().call("start");
    }

    /// Starts the server again after whatever ended it.
    pub fn restart(&self) {
        self.watched().call("restart");
    }

    /// Restarts the server with these lines as its `pg_hba.conf`. By the socket, the superuser
    /// can still come in without a password.
    pub fn authenticate(&self, lines: &[&str]) {
        self.stop_immediately();
        let own = "local all postgres trust";
        self.replace("pg_hba.conf", &format!("{own}\n{}\n", lines.join("\n")));
        self.start_again();
    }

    /// Restarts the server with a certificate for `localhost` and 127.0.0.1; returns the file with
    /// the root certificate that vouches for it.
    pub fn enable_tls(&self) -> PathBuf {
        self.stop_immediately();
        let directory = self.server.directory.join("data");
        self.replace("openssl.cnf", OPENSSL);
        let made = as_server_user("sh")
            .args(["-ec", CERTIFICATES, "certificates"])
            .arg(&directory)
            .output()
            .expect("a shell");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "openssl failed: {said}");
        let settings = directory.join("postgresql.conf");
        let before = fs::read_to_string(settings).expect("settings");
        self.replace("postgresql.conf", &format!("{before}ssl = on\n"));
        self.start_again();
        directory.join("root.crt")
    }

    /// Restarts the server as one that only follows another and takes no writes.
    pub fn become_replica(&self) {
        self.stop_immediately();
        self.replace("standby.signal", "");
        self.start_again();
    }

    /// Writes a file of the data directory, as a file of the server's.
    fn replace(&self, name: &str, content: &str) {
        let mut child = as_server_user("sh")
            .args(["-c", "umask 077; cat >\"$1\"", "replace"])
            .arg(self.server.directory.join("data").join(name))
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut input = child.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut input, content.as_bytes()).expect("a shell that reads");
        drop(input);
        assert!(child.wait().expect("an end").success(), "{name}");
    }

    fn administrator(&self) -> PostgresSession {
        self.try_session("postgres", "postgres")
            .unwrap_or_else(|error| panic!("{error}: {}", self.log()))
    }

    fn try_session(&self, database: &str, role: &str) -> Result<PostgresSession, sqlx::Error> {
        let options = PgConnectOptions::new_without_pgpass()
            .socket(self.socket_directory())
            .port(self.port())
            .username(role)
            .database(database)
            .application_name("harness");
        PostgresSession::connect(&options)
    }

    /// A test that failed while it held this has told what it had to tell.
    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.server
            .watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The directory with `initdb`, `pg_ctl` and `postgres`; `tests/programs.sh` looks in the same
/// places.
fn binaries() -> PathBuf {
    let configured = Command::new("pg_config").arg("--bindir").output();
    let configured = configured
        .ok()
        .into_iter()
        .map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    let path = std::env::var_os("PATH").unwrap_or_default();
    configured
        .chain(versions.into_iter().map(|(_, directory)| directory))
        .chain(std::env::split_paths(&path))
        .find(|directory| {
            ["initdb", "pg_ctl", "postgres"]
                .iter()
                .all(|name| directory.join(name).is_file())
        })
        .expect("PostgreSQL is not installed: `make test` installs it, or `make programs` alone")
}

/// A database of a test's own. By the `postgres` of its cluster, unless said otherwise.
pub struct Database {
    cluster: Cluster,
    name: String,
}

impl Database {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What Lamplighter is given.
    pub fn url(&self) -> String {
        self.url_as("postgres")
    }

    /// The same for another role.
    pub fn url_as(&self, role: &str) -> String {
        url(
            role,
            &self.name,
            self.cluster.socket_directory(),
            self.cluster.port(),
        )
    }

    /// Executes statements.
    #[track_caller]
    pub fn execute(&self, sql: &str) {
        self.session().execute(sql);
    }

    /// Rows of a query, each value as Postgres writes it, null as "NULL".
    #[track_caller]
    pub fn query(&self, sql: &str) -> Vec<Vec<String>> {
        self.session().query(sql)
    }

    /// The one value of a query's one row.
    #[track_caller]
    pub fn value(&self, sql: &str) -> String {
        self.session().value(sql)
    }

    /// Executes a `COPY … FROM STDIN` with this data.
    #[track_caller]
    pub fn copy_in(&self, statement: &str, data: &[u8]) {
        self.session().copy_in(statement, data);
    }

    /// A connection that stays open, for what happens inside of a transaction.
    #[track_caller]
    pub fn session(&self) -> PostgresSession {
        self.session_as("postgres")
    }

    /// The same for another role.
    #[track_caller]
    pub fn session_as(&self, role: &str) -> PostgresSession {
        self.cluster
            .try_session(&self.name, role)
            .unwrap_or_else(|error| panic!("{role} in {}: {error}", self.name))
    }

    /// Every prediction of a run, by record id, each number as its bits: what "same bits" compares,
    /// also with [`Workspace::prediction_bits_without_ordinal`](super::Workspace).
    pub fn prediction_bits(&self, schema: &str, run_id: i64) -> BTreeMap<String, String> {
        let mut session = self.session();
        let rows = session.run(async |connection| {
            sqlx::query(AssertSqlSafe(format!(
                "SELECT record_id::text, label::text, score::double precision,
                        value::double precision, output::text
                 FROM \"{schema}\".predictions WHERE run_id = $1"
            )))
            .bind(run_id)
            .fetch_all(connection)
            .await
        });
        let mut found = BTreeMap::new();
        for row in rows.expect("predictions") {
            let bits = prediction_bits(row.get(1), row.get(2), row.get(3), row.get(4));
            let record: String = row.get(0);
            let twice = found.insert(record.clone(), bits);
            assert!(twice.is_none(), "{record} has two predictions");
        }
        found
    }
}

impl Drop for Database {
    /// A server that was stopped, or is about to be, takes its databases with it.
    fn drop(&mut self) {
        if let Ok(mut administrator) = self.cluster.try_session("postgres", "postgres") {
            let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
            if let Err(error) = administrator.try_execute(&drop) {
                eprintln!("{drop}: {error}");
            }
        }
    }
}

/// A URL that reaches a database by the socket in a directory. sqlx, unlike `psql`, refuses one that
/// names a user before an empty host.
pub(super) fn url(role: &str, database: &str, directory: &Path, port: u16) -> String {
    let directory = directory.display();
    format!("postgres:///{database}?host={directory}&port={port}&user={role}")
}

/// A connection that stays open; what it left open is rolled back when it is dropped.
pub struct PostgresSession {
    runtime: Runtime,
    connection: Option<PgConnection>,
}

impl PostgresSession {
    /// Connects to any database, by TCP or through pgbouncer too, if it lets this one in.
    pub fn open(url: &str) -> Result<Self, sqlx::Error> {
        // pgbouncer refuses it unless told otherwise.
        let options = url.parse::<PgConnectOptions>()?.extra_float_digits(None);
        Self::connect(&options)
    }

    fn connect(options: &PgConnectOptions) -> Result<Self, sqlx::Error> {
        let runtime = runtime();
        let connection = runtime.block_on(PgConnection::connect_with(options))?;
        Ok(Self {
            runtime,
            connection: Some(connection),
        })
    }

    /// Executes statements.
    #[track_caller]
    pub fn execute(&mut self, sql: &str) {
        self.try_execute(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Executes statements that may be refused.
    pub fn try_execute(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        self.run(async |connection| {
            sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
                .execute(connection)
                .await
                .map(drop)
        })
    }

    /// Rows of a query, each value as Postgres writes it, null as "NULL".
    #[track_caller]
    pub fn query(&mut self, sql: &str) -> Vec<Vec<String>> {
        self.run(async |connection| {
            sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
                .fetch_all(connection)
                .await
        })
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
        .iter()
        .map(texts)
        .collect()
    }

    /// The one value of a query's one row.
    #[track_caller]
    pub fn value(&mut self, sql: &str) -> String {
        let rows = self.query(sql);
        assert!(rows.len() == 1 && rows[0].len() == 1, "{sql}: {rows:?}");
        rows[0][0].clone()
    }

    /// Executes a `COPY … FROM STDIN` with this data.
    #[track_caller]
    pub fn copy_in(&mut self, statement: &str, data: &[u8]) {
        self.run(async |connection| {
            let mut copy = connection.copy_in_raw(statement).await?;
            copy.send(data).await?;
            copy.finish().await
        })
        .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    #[track_caller]
    pub fn begin(&mut self) {
        self.execute("BEGIN");
    }

    #[track_caller]
    pub fn commit(&mut self) {
        self.execute("COMMIT");
    }

    #[track_caller]
    pub fn roll_back(&mut self) {
        self.execute("ROLLBACK");
    }

    /// The server's process for this connection, as in `pg_stat_activity` and for
    /// `pg_terminate_backend`.
    #[track_caller]
    pub fn process_id(&mut self) -> String {
        self.value("SELECT pg_backend_pid()")
    }

    fn run<T>(&mut self, act: impl AsyncFnOnce(&mut PgConnection) -> T) -> T {
        let connection = self.connection.as_mut().expect("open until dropped");
        self.runtime.block_on(act(connection))
    }
}

impl Drop for PostgresSession {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _server_may_be_gone = self.runtime.block_on(connection.close());
        }
    }
}

fn texts(row: &PgRow) -> Vec<String> {
    (0..row.len())
        .map(|index| {
            let value = row.try_get_raw(index).expect("a value");
            match value.is_null() {
                true => "NULL".to_owned(),
                false => value.as_str().expect("text").to_owned(),
            }
        })
        .collect()
}
