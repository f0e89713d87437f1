//! The fixture jobs, from start to finish, against PyTorch's own predictions of the same rows.

use std::path::Path;

use crate::harness::{Workspace, read_numbers, read_text, repository};

/// What DESIGN demands of tabular models: absolute and relative, before output transforms.
const TOLERANCE: f64 = 1e-5;

/// Runs a job of the repository, from the repository, into the workspace's database.
fn run_fixture_job(workspace: &Workspace, job: &str) {
    let database = format!("sqlite://{}", workspace.path("lamplighter.db").display());
    let job = repository().join("jobs").join(job);
    let job = job.to_str().expect("a path");
    let mut command = workspace.command(&["run", job, "--database", &database]);
    crate::harness::Ended::of(command.current_dir(repository())).expect(0);
}

fn assert_close(what: &str, found: f64, expected: f64) {
    let allowed = TOLERANCE * (1.0 + expected.abs());
    assert!(
        (found - expected).abs() <= allowed,
        "{what}: {found} is not PyTorch's {expected}"
    );
}

/// Compares label and score of every published record with the golden file.
fn compare_classifier(workspace: &Workspace, job: &str, golden: &Path, id: &str) {
    let rows = workspace.query(&format!(
        "SELECT record_id, label, printf('%!.17g', score) FROM predictions_latest
         WHERE job = '{job}' ORDER BY record_id"
    ));
    let mut expected: Vec<(String, String, f64)> = read_text(golden, id)
        .into_iter()
        .zip(read_text(golden, "label"))
        .zip(read_numbers(golden, "score"))
        .map(|((id, label), score)| (id, label, score))
        .collect();
    expected.sort_by(|left, right| left.0.cmp(&right.0));
    assert_eq!(rows.len(), expected.len());
    for (row, (id, label, score)) in rows.iter().zip(&expected) {
        assert_eq!(&row[0], id);
        assert_eq!(&row[1], label, "{id}");
        assert_close(id, row[2].parse().expect("a number"), *score);
    }
}

#[test]
fn flight_delays_are_pytorchs() {
    let workspace = Workspace::new();
    run_fixture_job(&workspace, "flight-delay.toml");
    let golden = repository().join("fixtures/golden/flight-delay.parquet");
    compare_classifier(&workspace, "flight-delay", &golden, "flight_id");
}

#[test]
fn credit_defaults_are_pytorchs() {
    let workspace = Workspace::new();
    run_fixture_job(&workspace, "credit-default.toml");
    let golden = repository().join("fixtures/golden/credit-default.parquet");
    compare_classifier(&workspace, "credit-default", &golden, "customer_id");
}

#[test]
fn retail_sales_are_pytorchs() {
    let workspace = Workspace::new();
    run_fixture_job(&workspace, "retail-sales.toml");
    let golden = repository().join("fixtures/golden/retail-sales.parquet");
    let rows = workspace.query(
        "SELECT record_id, printf('%!.17g', value) FROM predictions_latest
         WHERE job = 'retail-sales' ORDER BY record_id",
    );
    let mut expected: Vec<(String, f64)> = read_text(&golden, "sale_id")
        .into_iter()
        .zip(read_numbers(&golden, "value"))
        .collect();
    expected.sort_by(|left, right| left.0.cmp(&right.0));
    assert_eq!(rows.len(), expected.len());
    for (row, (id, value)) in rows.iter().zip(&expected) {
        assert_eq!(&row[0], id);
        let found: f64 = row[1].parse().expect("a number");
        // The network predicts log1p: that is where the tolerance applies.
        assert_close(id, found.ln_1p(), value.ln_1p());
    }
}

#[test]
fn all_class_probabilities_are_pytorchs() {
    let workspace = Workspace::new();
    let job = repository().join("jobs/delay-bucket.toml");
    let database = format!("sqlite://{}", workspace.path("lamplighter.db").display());
    let job = job.to_str().expect("a path");
    let arguments = ["run", job, "--database", &database, "--limit", "5000"];
    let mut command = workspace.command(&arguments);
    crate::harness::Ended::of(command.current_dir(repository())).expect(0);

    let golden = repository().join("fixtures/golden/delay-bucket.parquet");
    let ids = read_text(&golden, "flight_id");
    let rows = workspace.query(
        "SELECT record_id, label, printf('%!.17g', score), output FROM predictions ORDER BY ordinal",
    );
    assert_eq!(rows.len(), ids.len());
    let labels = read_text(&golden, "label");
    let scores = read_numbers(&golden, "score");
    let classes =
        ["on_time", "late", "very_late"].map(|class| (class, read_numbers(&golden, class)));
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(row[0], ids[index]);
        assert_eq!(row[1], labels[index]);
        assert_close(&row[0], row[2].parse().expect("a number"), scores[index]);
        let output: serde_json::Value = serde_json::from_str(&row[3]).expect("JSON");
        for (class, probabilities) in &classes {
            let found = output[class].as_f64().expect("a probability");
            assert_close(&format!("{} {class}", row[0]), found, probabilities[index]);
        }
    }
}

/// A bundle as somebody else would export it from the format's description alone, and records with
/// everything that real data has: nulls, NaN, unknown categories, values out of range, odd types.
#[test]
fn a_strangers_bundle_and_odd_values_are_pytorchs() {
    let workspace = Workspace::new();
    let edge_cases = repository().join("fixtures/edge-cases");
    let job = format!(
        "[job]\nname = \"edge-cases\"\n[source]\nkind = \"parquet\"\npath = \"{0}/records.parquet\"\nid_column = \"record\"\n[model]\nbundle = \"{0}/bundle\"\n",
        edge_cases.display()
    );
    workspace.write("job.toml", job);
    workspace.lamplighter(&["run", "job.toml"]).expect(0);
    compare_classifier(
        &workspace,
        "edge-cases",
        &edge_cases.join("golden.parquet"),
        "record",
    );
}
