//! Profiles and drift of runs, references of bundles, and evaluation by ground truth.

use std::path::Path;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::harness::results::Results;
use crate::harness::{Workspace, flights, repository};

/// What is told of planted and of natural drift, and what is not.
mod drift;
/// Ground truth that comes late, twice, in parts or for nobody.
mod ground_truth;
/// The same profile, whoever scored and whatever died.
mod profiles;
/// `reference.json`, and data of which little can be said.
mod references;

/// All rows of a file.
pub fn read_rows(path: &Path) -> RecordBatch {
    let file = std::fs::File::open(path).expect("a file");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a footer");
    let schema = reader.schema().clone();
    let batches = reader
        .build()
        .expect("pages")
        .map(|batch| batch.expect("rows"));
    concat_batches(&schema, &batches.collect::<Vec<_>>()).expect("one schema")
}

/// The fixture's flights of October.
pub fn october() -> RecordBatch {
    read_rows(&flights::files()[0])
}

/// Rows of which a column is replaced.
pub fn replaced(
    rows: &RecordBatch,
    name: &str,
    change: impl FnOnce(&ArrayRef) -> ArrayRef,
) -> RecordBatch {
    let (index, _) = rows.schema().column_with_name(name).expect("a column");
    let mut columns = rows.columns().to_vec();
    columns[index] = change(&columns[index]);
    RecordBatch::try_new(rows.schema(), columns).expect("the same types")
}

/// A copy of a fixture bundle, without a reference.
pub fn put_bundle(workspace: &Workspace) {
    let from = repository().join("fixtures/models/flight-delay");
    workspace.copy_directory(&from.to_string_lossy(), "bundle");
    let _ = std::fs::remove_file(workspace.path("bundle/reference.json"));
}

/// Makes the bundle's reference of a file of flights.
pub fn make_reference(results: &Results, data: &str) {
    let arguments = [
        "model",
        "profile",
        "bundle",
        "--data",
        data,
        "--id-column",
        "flight_id",
    ];
    results.lamplighter(&arguments).expect(0);
}

/// A job on flights in `path`, with more TOML.
pub fn job(path: &str, more: &str) -> String {
    format!(
        "[job]\nname = \"flights\"\n\n[source]\nkind = \"parquet\"\npath = \"{path}\"\nid_column = \"flight_id\"\n\n[model]\nbundle = \"bundle\"\n\n{more}"
    )
}

/// Names of the series of a side that have drifted, by name.
pub fn drifted(drift: &Value, side: &str) -> Vec<String> {
    let series = drift["series"].as_array().expect("a list").iter();
    let mut names: Vec<String> = series
        .filter(|series| series["side"] == side && series["level"] != "none")
        .map(|series| series["name"].as_str().expect("a name").to_owned())
        .collect();
    names.sort();
    names
}
