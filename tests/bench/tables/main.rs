//! How fast tables are scored into a database, beside what the database alone takes for the same
//! finished rows: a run, and its floor, in turn. With `--peers` also what Python makes of the same work.

/// What is measured.
mod cases;
/// Records and models.
mod data;
/// Runs, and what databases take alone.
mod databases;
/// The tests' servers and processes.
#[allow(dead_code, unused_imports)]
#[path = "../../it/harness/mod.rs"]
mod harness;
/// The same work in Python.
mod peers;

use std::fs;
use std::path::PathBuf;

use clap::Parser;
use serde_json::{Value, json};

use cases::{Case, Kind};
use databases::{Disk, Server, Store, Timing};
use harness::{processor, repository};

#[derive(Parser)]
struct Options {
    /// What is measured
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "numeric,categories,wide,groups,unsorted,source"
    )]
    cases: Vec<Kind>,
    /// Numbers of records, each case with each of them
    #[arg(long, value_delimiter = ',', default_value = "1000000")]
    records: Vec<u64>,
    /// Databases
    #[arg(long, value_delimiter = ',', default_value = "postgres,sqlite")]
    databases: Vec<Store>,
    /// Pairs of a run and its floor, after one to warm up
    #[arg(long, default_value_t = 9)]
    pairs: usize,
    /// A Python that has what tests/bench/peers/tables.py needs: it does the numeric case, too
    #[arg(long)]
    peers: Option<PathBuf>,
    /// Where data and results go
    #[arg(long, default_value = "target/bench")]
    directory: PathBuf,
    /// Cargo says so
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let options = Options::parse();
    let directory = repository().join(&options.directory);
    fs::create_dir_all(&directory).expect("a directory");
    let server = Server::start();
    let disk = Disk::new(&directory);
    println!(
        "Parquet (zstd) or Postgres → MLP 64-32 → database; {}; medians of {} pairs",
        processor(),
        options.pairs
    );
    println!(
        "{:10} {:8} {:>10} {:>8} {:>11} {:>8} {:>6} {:>15} {:>6} {:>7}",
        "",
        "",
        "records",
        "run",
        "records/s",
        "floor",
        "ratio",
        "(min to max)",
        "µs CPU",
        "peak MB"
    );
    let mut measured = Vec::new();
    let mut by_peers = Vec::new();
    for &kind in &options.cases {
        for &records in &options.records {
            let case = Case::new(&directory, kind, records, &server);
            for &store in &options.databases {
                if store == Store::Sqlite && (disk.is_none() || kind == Kind::Source) {
                    continue;
                }
                let pair = |first| match (store, &disk) {
                    (Store::Sqlite, Some(disk)) => disk.pair(&case, first),
                    _ => server.pair(&case, first),
                };
                measured.push(measure(&case, store, options.pairs, pair));
            }
            if let (Kind::Numeric, Some(python)) = (kind, &options.peers) {
                by_peers.extend(peers::measure(python, &case, &server, options.pairs));
            }
        }
    }
    if disk.is_none() {
        println!("SQLite was not measured: sqlite3 is not installed");
    }
    let results = json!({
        "processor": processor(), "pairs": options.pairs, "cases": measured, "peers": by_peers,
    });
    let file = directory.join("tables.json");
    fs::write(&file, format!("{results:#}\n")).expect("a file");
    println!("written to {}", file.display());
}

/// Which of a pair comes first, so that neither always finds what the other left.
#[derive(Clone, Copy, PartialEq)]
enum First {
    Run,
    Floor,
}

fn measure(
    case: &Case,
    store: Store,
    pairs: usize,
    pair: impl Fn(First) -> (Timing, Timing),
) -> Value {
    // The floor's rows come from the first run.
    pair(First::Run);
    let order = |index| match index % 2 {
        0 => First::Run,
        _ => First::Floor,
    };
    let pairs: Vec<(Timing, Timing)> = (0..pairs).map(|index| pair(order(index))).collect();
    let of = |value: &dyn Fn(&(Timing, Timing)) -> f64| {
        let mut values: Vec<f64> = pairs.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let run = median(&of(&|(run, _)| run.seconds));
    let floor = median(&of(&|(_, floor)| floor.seconds));
    let cpu = median(&of(&|(run, _)| run.cpu_seconds));
    let ratios = of(&|(run, floor)| run.seconds / floor.seconds);
    let ratio = median(&ratios);
    let peak = pairs.iter().map(|(run, _)| run.peak_memory_bytes).max();
    let peak = peak.unwrap_or(0);
    let rate = case.records as f64 / run;
    let cpu_of_a_record = cpu * 1e6 / case.records as f64;
    println!(
        "{:10} {:8} {:>10} {run:>6.2} s {rate:>11.0} {floor:>6.2} s {ratio:>6.2} {:>6.2} to {:<5.2} {cpu_of_a_record:>6.2} {:>7}",
        case.kind.to_string(),
        store.to_string(),
        case.records,
        ratios[0],
        ratios[ratios.len() - 1],
        peak >> 20
    );
    json!({
        "case": case.kind.to_string(), "database": store.to_string(), "records": case.records,
        "run_seconds": run, "records_per_second": rate, "floor_seconds": floor, "ratio": ratio,
        "ratios": ratios, "cpu_seconds": cpu, "peak_memory_bytes": peak,
    })
}

/// Of sorted values, an odd number of them.
fn median(values: &[f64]) -> f64 {
    values[values.len() / 2]
}
