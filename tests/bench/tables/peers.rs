//! The same records, scored by tests/bench/peers/tables.py into the same server.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::cases::Case;
use crate::databases::{Server, run};
use crate::harness::repository;
use crate::median;

const ENGINES: [&str; 2] = ["adbc", "pyspark"];

/// Lamplighter and each engine, in turn, `rounds` times after one to warm up. Of an engine that does not
/// run here nothing is measured, and why is said.
pub fn measure(python: &Path, case: &Case, server: &Server, rounds: usize) -> Vec<Value> {
    let mut ours = Vec::new();
    let mut theirs: Vec<(&str, Vec<Value>)> = ENGINES.map(|engine| (engine, Vec::new())).into();
    for round in 0..=rounds {
        let database = server.database();
        let seconds = run(case, &database.url()).seconds;
        if round > 0 {
            ours.push(seconds);
        }
        theirs.retain_mut(|(engine, rounds)| match by(python, engine, case, server) {
            Ok(result) => {
                if round > 0 {
                    rounds.push(result);
                }
                true
            }
            Err(problem) => {
                println!("{engine} was not measured: {problem}");
                false
            }
        });
    }
    ours.sort_by(f64::total_cmp);
    let ours = median(&ours);
    println!(
        "{:10} {:>10} {ours:>6.2} s, all of it",
        "lamplighter", case.records
    );
    let mut results = Vec::new();
    for (engine, rounds) in theirs {
        let of = |key: &str| {
            let mut values: Vec<f64> = rounds
                .iter()
                .filter_map(|round| round[key].as_f64())
                .collect();
            values.sort_by(f64::total_cmp);
            (!values.is_empty()).then(|| median(&values))
        };
        let (Some(work), Some(import)) = (of("work_seconds"), of("import_seconds")) else {
            continue;
        };
        println!(
            "{engine:10} {:>10} {work:>6.2} s without {import:.2} s of imports: {:.2} × lamplighter",
            case.records,
            work / ours
        );
        results.push(json!({
            "engine": engine, "versions": rounds[0]["versions"], "records": case.records,
            "work_seconds": work, "import_seconds": import, "lamplighter_seconds": ours,
            "ratio": work / ours, "peak_memory_bytes": of("peak_memory_bytes"),
        }));
    }
    results
}

fn by(python: &Path, engine: &str, case: &Case, server: &Server) -> Result<Value, String> {
    let database = server.database();
    database.execute("CHECKPOINT");
    let done = Command::new(python)
        .arg(repository().join("tests/bench/peers/tables.py"))
        .args(["--engine", engine, "--table", "floor"])
        .arg("--input")
        .arg(&case.input)
        .arg("--bundle")
        .arg(&case.bundle)
        .args(["--database", &database.url()])
        // Some machines set these for old libraries; they slow new ones.
        .env_remove("OPENBLAS_CORETYPE")
        .env_remove("OPENBLAS_L2_SIZE")
        .output()
        .map_err(|error| error.to_string())?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(said.lines().last().unwrap_or_default().to_owned());
    }
    let said = String::from_utf8_lossy(&done.stdout);
    let last = said.lines().last().unwrap_or_default();
    let result: Value = serde_json::from_str(last).map_err(|error| error.to_string())?;
    // What an engine says it did, and what is there.
    assert_eq!(result["records"], case.records, "{result}");
    let stored = database.value("SELECT count(*) FROM floor");
    assert_eq!(stored, case.records.to_string());
    Ok(result)
}
