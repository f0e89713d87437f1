//! What people and programs see of a run: the page, the comparison, the figures for Prometheus.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};

use crate::harness::results::Results;
use crate::harness::{batch, linear_bundle, simple_job, write_parquet};

/// Two runs side by side.
mod comparison;
/// Figures where Prometheus finds them.
mod figures;
/// The report in a browser.
mod page;

/// A job on columns `c0`, `c1` … of so many records, whose bundle has a reference; half the columns then move.
pub fn wide(results: &Results, columns: usize, records: usize) {
    let workspace = &results.workspace;
    let names: Vec<String> = (0..columns).map(|column| format!("c{column}")).collect();
    let weights: Vec<(&str, f32)> = names.iter().map(|name| (name.as_str(), 0.01)).collect();
    linear_bundle(&workspace.path("bundle"), &weights, 0.0, "");
    let rows = |moved: usize| -> RecordBatch {
        let ids: Vec<String> = (0..records).map(|record| format!("r{record}")).collect();
        let mut all: Vec<(&str, ArrayRef)> = vec![("id", Arc::new(StringArray::from(ids)))];
        for (column, name) in names.iter().enumerate() {
            let shift = if column < moved { 1.0 } else { 0.0 };
            let values = (0..records)
                .map(|record| ((record * 37 + column * 11) % 1000) as f64 / 500.0 - 1.0 + shift);
            all.push((name, Arc::new(Float64Array::from_iter_values(values))));
        }
        batch(all)
    };
    write_parquet(&workspace.path("train/rows.parquet"), &rows(0), 100_000);
    results
        .lamplighter(&[
            "model",
            "profile",
            "bundle",
            "--data",
            "train/rows.parquet",
            "--id-column",
            "id",
        ])
        .expect(0);
    write_parquet(
        &workspace.path("input/rows.parquet"),
        &rows(columns / 2),
        100_000,
    );
    workspace.write("job.toml", simple_job(""));
}
