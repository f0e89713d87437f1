//! How fast tables are scored from Parquet into a database, beside what the database alone takes for the
//! same finished rows: a run, and its floor, in turn.
//!
//! The floor of Postgres is a server-side `COPY … FROM` in the binary format into an identical table with
//! its key; that of SQLite the shell's `.import` into a table with the key and the columns that have values.

/// Records and a model.
mod data;
/// The tests' servers and processes.
#[allow(dead_code, unused_imports)]
#[path = "../../it/harness/mod.rs"]
mod harness;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::Parser;
use serde_json::{Value, json};

use harness::postgres::{Cluster, Database};
use harness::{find_program, processor, repository};

/// What a server is given that is not there for tests: what is committed reaches the disk.
const SERVER: [&str; 5] = [
    "fsync = on",
    "full_page_writes = on",
    "shared_buffers = 1GB",
    "max_wal_size = 8GB",
    "checkpoint_timeout = 1h",
];

#[derive(Parser)]
struct Options {
    /// Numbers of records, one case for each
    #[arg(long, value_delimiter = ',', default_value = "1000000")]
    records: Vec<u64>,
    /// Pairs of a run and its floor, after one to warm up
    #[arg(long, default_value_t = 9)]
    pairs: usize,
    /// Where data and results go
    #[arg(long, default_value = "target/bench")]
    directory: PathBuf,
    /// Cargo says so
    #[arg(long, hide = true)]
    bench: bool,
}

/// A run, or a floor.
struct Timing {
    seconds: f64,
    peak_memory_bytes: Option<u64>,
}

/// What one case is made of.
struct Case {
    records: u64,
    job: PathBuf,
    directory: PathBuf,
}

fn main() {
    let options = Options::parse();
    let directory = repository().join(&options.directory);
    fs::create_dir_all(&directory).expect("a directory");
    data::write_bundle(&directory.join("bundle"));
    let cluster = Cluster::start(&SERVER);
    println!(
        "{} × f64 columns, Parquet (zstd) → MLP 64-32 → database; {}; medians of {} pairs",
        data::COLUMNS,
        processor(),
        options.pairs
    );
    println!(
        "{:10} {:>10} {:>8} {:>12} {:>8} {:>7} {:>16} {:>8}",
        "", "records", "run", "records/s", "floor", "ratio", "(min to max)", "peak MB"
    );
    let mut cases = Vec::new();
    for &records in &options.records {
        let case = Case::new(&directory, records);
        let server_file = cluster.socket_directory().join(format!("{records}.rows"));
        cases.push(measure("Postgres", &case, options.pairs, |case, order| {
            on_postgres(case, &cluster, &server_file, order)
        }));
        match find_program("sqlite3") {
            Some(shell) => cases.push(measure("SQLite", &case, options.pairs, |case, order| {
                on_sqlite(case, &shell, order)
            })),
            None => println!("SQLite     not measured: sqlite3 is not installed"),
        }
    }
    let results = json!({ "processor": processor(), "pairs": options.pairs, "cases": cases });
    let file = directory.join("tables.json");
    fs::write(&file, format!("{results:#}\n")).expect("a file");
    println!("written to {}", file.display());
}

impl Case {
    fn new(directory: &Path, records: u64) -> Self {
        let input = directory.join(format!("{records}.parquet"));
        data::write_records(&input, records);
        let job = directory.join(format!("{records}.toml"));
        let text = format!(
            "[job]\nname = \"bench\"\n[source]\nkind = \"parquet\"\npath = \"{}\"\nid_column = \"id\"\n\
             [model]\nbundle = \"{}\"\n",
            input.display(),
            directory.join("bundle").display()
        );
        fs::write(&job, text).expect("a file");
        // Rows of another day's model.
        let _ = fs::remove_file(directory.join(format!("{records}.csv")));
        Self {
            records,
            job,
            directory: directory.to_owned(),
        }
    }

    /// Scores all records into a database.
    fn run(&self, url: &str) -> Timing {
        let begun = Instant::now();
        let done = lamplighter(&["run", &self.job.to_string_lossy(), "--database", url])
            .args(["--format", "json"])
            .output()
            .expect("a process");
        let seconds = begun.elapsed().as_secs_f64();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{said}");
        let report: Value = serde_json::from_slice(&done.stdout).expect("a report");
        Timing {
            seconds,
            peak_memory_bytes: report["resources"]["peak_memory_bytes"].as_u64(),
        }
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

/// Which of a pair comes first, so that neither always finds what the other left.
#[derive(Clone, Copy, PartialEq)]
enum First {
    Run,
    Floor,
}

fn measure(
    name: &str,
    case: &Case,
    pairs: usize,
    pair: impl Fn(&Case, First) -> (Timing, Timing),
) -> Value {
    // The floor's rows come from the first run.
    pair(case, First::Run);
    let order = |index| match index % 2 {
        0 => First::Run,
        _ => First::Floor,
    };
    let pairs: Vec<(Timing, Timing)> = (0..pairs).map(|index| pair(case, order(index))).collect();
    let of = |value: &dyn Fn(&(Timing, Timing)) -> f64| {
        let mut values: Vec<f64> = pairs.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let runs = of(&|(run, _)| run.seconds);
    let floors = of(&|(_, floor)| floor.seconds);
    let ratios = of(&|(run, floor)| run.seconds / floor.seconds);
    let peak = pairs.iter().filter_map(|(run, _)| run.peak_memory_bytes);
    let peak = peak.max().unwrap_or(0);
    let (run, floor, ratio) = (median(&runs), median(&floors), median(&ratios));
    let rate = case.records as f64 / run;
    println!(
        "{name:10} {:>10} {run:>6.2} s {rate:>12.0} {floor:>6.2} s {ratio:>7.2} {:>7.2} to {:<5.2} {:>8}",
        case.records,
        ratios[0],
        ratios[ratios.len() - 1],
        peak >> 20
    );
    json!({
        "database": name, "records": case.records, "run_seconds": run, "records_per_second": rate,
        "floor_seconds": floor, "ratio": ratio, "ratios": ratios, "peak_memory_bytes": peak,
    })
}

/// Of sorted values, an odd number of them.
fn median(values: &[f64]) -> f64 {
    values[values.len() / 2]
}

fn on_postgres(case: &Case, cluster: &Cluster, rows: &Path, first: First) -> (Timing, Timing) {
    let database = cluster.database();
    let url = database.url();
    let migrated = lamplighter(&["db", "migrate", "--database", &url])
        .stdout(Stdio::null())
        .status();
    assert!(migrated.is_ok_and(|status| status.success()));
    database.execute("CREATE TABLE floor (LIKE lamplighter.predictions INCLUDING ALL)");
    let run = || {
        database.execute("CHECKPOINT");
        case.run(&url)
    };
    if first == First::Floor {
        let floor = copy(&database, rows);
        return (run(), floor);
    }
    let run = run();
    if fs::metadata(rows).is_err() {
        let rows = rows.display();
        database.execute(&format!(
            "COPY lamplighter.predictions TO '{rows}' (FORMAT binary)"
        ));
    }
    (run, copy(&database, rows))
}

fn copy(database: &Database, rows: &Path) -> Timing {
    database.execute("CHECKPOINT");
    let mut session = database.session();
    let begun = Instant::now();
    session.execute(&format!(
        "COPY floor FROM '{}' (FORMAT binary)",
        rows.display()
    ));
    Timing {
        seconds: begun.elapsed().as_secs_f64(),
        peak_memory_bytes: None,
    }
}

fn on_sqlite(case: &Case, shell: &Path, first: First) -> (Timing, Timing) {
    let file = case.directory.join("bench.db");
    let rows = case.directory.join(format!("{}.csv", case.records));
    remove(&file);
    let url = format!("sqlite://{}", file.display());
    if first == First::Floor {
        let floor = import(shell, &case.directory, &rows);
        return (case.run(&url), floor);
    }
    let run = case.run(&url);
    if !rows.exists() {
        let export = format!(
            ".mode csv\n.output '{}'\nSELECT run_id, record_id, ordinal, label, score FROM predictions;\n",
            rows.display()
        );
        sqlite(shell, &file, &export);
    }
    (run, import(shell, &case.directory, &rows))
}

fn import(shell: &Path, directory: &Path, rows: &Path) -> Timing {
    let file = directory.join("floor.db");
    remove(&file);
    // The modes of the ledger.
    let create = "PRAGMA journal_mode = wal;\nCREATE TABLE predictions (run_id INTEGER NOT NULL, \
                  record_id TEXT NOT NULL, ordinal INTEGER NOT NULL, label TEXT, score REAL, \
                  PRIMARY KEY (run_id, record_id)) STRICT, WITHOUT ROWID;\n";
    sqlite(shell, &file, create);
    let begun = Instant::now();
    sqlite(
        shell,
        &file,
        &format!(".import --csv '{}' predictions\n", rows.display()),
    );
    Timing {
        seconds: begun.elapsed().as_secs_f64(),
        peak_memory_bytes: None,
    }
}

fn sqlite(shell: &Path, file: &Path, script: &str) {
    use std::io::Write;
    let mut child = Command::new(shell)
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

fn remove(database: &Path) {
    for ending in ["", "-wal", "-shm", ".lock"] {
        let _ = fs::remove_file(format!("{}{ending}", database.display()));
    }
}
