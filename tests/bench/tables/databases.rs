//! Runs into a database, and what the database takes alone.
//!
//! The floor of Postgres is a server-side `COPY … FROM` in the binary format into an identical table with
//! its key; that of SQLite the shell's `.import` into a table with the key and the columns that have values.

use std::fmt;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::ValueEnum;
use serde_json::Value;

use crate::First;
use crate::cases::Case;
use crate::data::{self, Shape};
use crate::harness::find_program;
use crate::harness::postgres::{Cluster, Database};

/// What a server is given that is not there for tests: what is committed reaches the disk.
const SETTINGS: [&str; 4] = [
    "fsync = on",
    "full_page_writes = on",
    "max_wal_size = 8GB",
    "checkpoint_timeout = 1h",
];

/// A quarter of the memory, as the manual advises, as a line of `postgresql.conf`.
fn shared_buffers() -> String {
    let memory = fs::read_to_string("/proc/meminfo").expect("it is Linux");
    let total = memory.lines().find_map(|line| {
        let rest = line.strip_prefix("MemTotal:")?.trim();
        rest.strip_suffix(" kB")?.parse::<u64>().ok()
    });
    format!("shared_buffers = {}kB", total.expect("a line") / 4)
}

/// Where predictions go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Store {
    Postgres,
    Sqlite,
}

impl fmt::Display for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Postgres => "Postgres",
            Self::Sqlite => "SQLite",
        })
    }
}

/// A run, or a floor, of which only the time is known.
#[derive(Default)]
pub struct Timing {
    pub seconds: f64,
    pub cpu_seconds: f64,
    pub peak_memory_bytes: u64,
}

/// Scores all records into a database.
pub fn run(case: &Case, url: &str) -> Timing {
    let begun = Instant::now();
    let done = lamplighter(&["run", &case.job.to_string_lossy(), "--database", url])
        .args(["--format", "json"])
        .output()
        .expect("a process");
    let seconds = begun.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&done.stdout).expect("a report");
    assert_eq!(report["counts"]["predicted"], case.records, "{report}");
    let resource = |key: &str| report["resources"][key].as_f64().unwrap_or(0.0);
    Timing {
        seconds,
        cpu_seconds: resource("cpu_share") * resource("workers") * seconds,
        peak_memory_bytes: resource("peak_memory_bytes") as u64,
    }
}

fn lamplighter(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lamplighter"));
    command
        .args(arguments)
        .env_remove("DATABASE_URL")
        .env_remove("DATABASE_URL_FILE");
    command
}

fn timed(act: impl FnOnce()) -> Timing {
    let begun = Instant::now();
    act();
    Timing {
        seconds: begun.elapsed().as_secs_f64(),
        ..Timing::default()
    }
}

/// A private Postgres.
pub struct Server {
    cluster: Cluster,
    /// Holds what is read from Postgres.
    source: Database,
}

impl Server {
    pub fn start() -> Self {
        let memory = shared_buffers();
        let settings: Vec<&str> = SETTINGS.into_iter().chain([memory.as_str()]).collect();
        let cluster = Cluster::start(&settings);
        Self {
            source: cluster.database(),
            cluster,
        }
    }

    /// Fills the table `records` with those of a file. Returns where it is.
    pub fn source(&self, input: &Path, shape: &Shape) -> String {
        let columns = shape.columns().join(" double precision, ");
        self.source.execute("DROP TABLE IF EXISTS records");
        let create = format!("CREATE TABLE records (id bigint, {columns} double precision)");
        self.source.execute(&create);
        let file = self.cluster.socket_directory().join("records");
        data::write_copy(input, &file);
        let copy = format!("COPY records FROM '{}' (FORMAT binary)", file.display());
        self.source.execute(&copy);
        self.source
            .execute("ALTER TABLE records ADD PRIMARY KEY (id)");
        self.source.execute("VACUUM (ANALYZE, FREEZE) records");
        fs::remove_file(file).expect("it was written");
        self.source.url()
    }

    /// A database with the ledger's tables, and an empty one like that of the predictions.
    pub fn database(&self) -> Database {
        let database = self.cluster.database();
        let migrated = lamplighter(&["db", "migrate", "--database", &database.url()])
            .stdout(Stdio::null())
            .status();
        assert!(migrated.is_ok_and(|status| status.success()));
        database.execute("CREATE TABLE floor (LIKE lamplighter.predictions INCLUDING ALL)");
        database
    }

    /// A run, and its floor.
    pub fn pair(&self, case: &Case, first: First) -> (Timing, Timing) {
        let database = self.database();
        let rows = self
            .cluster
            .socket_directory()
            .join(format!("{}.rows", case.name));
        let run = || {
            database.execute("CHECKPOINT");
            run(case, &database.url())
        };
        if first == First::Floor {
            let floor = copy(&database, &rows);
            return (run(), floor);
        }
        let run = run();
        if !rows.exists() {
            let rows = rows.display();
            database.execute(&format!(
                "COPY lamplighter.predictions TO '{rows}' (FORMAT binary)"
            ));
        }
        (run, copy(&database, &rows))
    }
}

fn copy(database: &Database, rows: &Path) -> Timing {
    database.execute("CHECKPOINT");
    let mut session = database.session();
    let copy = format!("COPY floor FROM '{}' (FORMAT binary)", rows.display());
    timed(|| session.execute(&copy))
}

/// SQLite's shell, and where its files are.
pub struct Disk {
    shell: PathBuf,
    directory: PathBuf,
}

impl Disk {
    /// `None` without the shell.
    pub fn new(directory: &Path) -> Option<Self> {
        Some(Self {
            shell: find_program("sqlite3")?,
            directory: directory.to_owned(),
        })
    }

    /// A run, and its floor.
    pub fn pair(&self, case: &Case, first: First) -> (Timing, Timing) {
        let file = self.directory.join("bench.db");
        let rows = self.directory.join(format!("{}.csv", case.name));
        remove(&file);
        let url = format!("sqlite://{}", file.display());
        if first == First::Floor {
            let floor = self.import(&rows);
            return (run(case, &url), floor);
        }
        let run = run(case, &url);
        // Every time: it may be another day's, of another model.
        let export = format!(
            ".mode csv\n.output '{}'\nSELECT run_id, record_id, ordinal, label, score FROM predictions;\n",
            rows.display()
        );
        self.shell(&file, &export);
        (run, self.import(&rows))
    }

    fn import(&self, rows: &Path) -> Timing {
        let file = self.directory.join("floor.db");
        remove(&file);
        // The modes of the ledger.
        let create = "PRAGMA journal_mode = wal;\nCREATE TABLE predictions (run_id INTEGER NOT NULL, \
                      record_id TEXT NOT NULL, ordinal INTEGER NOT NULL, label TEXT, score REAL, \
                      PRIMARY KEY (run_id, record_id)) STRICT, WITHOUT ROWID;\n";
        self.shell(&file, create);
        let import = format!(".import --csv '{}' predictions\n", rows.display());
        timed(|| self.shell(&file, &import))
    }

    fn shell(&self, file: &Path, script: &str) {
        let mut child = Command::new(&self.shell)
            .arg("-bail")
            .arg(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("sqlite3");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(script.as_bytes()).expect("it listens");
        drop(input);
        assert!(child.wait().is_ok_and(|status| status.success()));
    }
}

fn remove(database: &Path) {
    for ending in ["", "-wal", "-shm", ".lock"] {
        let _ = fs::remove_file(format!("{}{ending}", database.display()));
    }
}
