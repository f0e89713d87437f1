use std::fs;
use std::sync::Arc;

use arrow::array::{Float64Array, StringArray};
use serde_json::Value;

use super::{job, make_reference, put_bundle};
use crate::harness::results::Results;
use crate::harness::{batch, flights, linear_bundle, simple_job, write_parquet};

fn put_flights(results: &Results) {
    put_bundle(&results.workspace);
    let data = flights::files()[0].to_string_lossy().into_owned();
    make_reference(results, &data);
    results.workspace.write("job.toml", job(&data, ""));
}

#[test]
fn a_reference_leaves_the_digest_as_it_is_and_belongs_to_one_version() {
    let results = Results::in_sqlite();
    put_flights(&results);
    let path = results.workspace.path("bundle/reference.json");
    let reference: Value = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
    results
        .lamplighter(&["run", "job.toml", "--date", "2013-10-01"])
        .expect(0);
    assert_eq!(
        results.value("SELECT model_digest FROM runs"),
        reference["model"]["digest"].as_str().expect("a digest")
    );
    // Without it nothing else changes: the date is complete.
    fs::rename(&path, results.workspace.path("aside.json")).expect("a file");
    results
        .lamplighter(&["run", "job.toml", "--date", "2013-10-01"])
        .expect(0)
        .says(&["already complete"]);
    fs::rename(results.workspace.path("aside.json"), &path).expect("a file");

    for (from, to, problem) in [
        (
            "\"version\":\"1.0.0\"",
            "\"version\":\"0.9.0\"",
            "flight-delay 0.9.0",
        ),
        ("\"format\":1", "\"format\":2", "has the format 2"),
        (
            "\"edges\":[",
            "\"edges\":[1e9,",
            "`minute_of_day` has not one bin more",
        ),
        (
            "\"names\":[",
            "\"names\":[\"XX\",",
            "`carrier` has not as many bins",
        ),
        ("\"profile\":{", "\"profile\":[{", "reference.json"),
        (
            "\"trained_at\":\"20",
            "\"trained_at\":\"yesterday\",\"x\":\"20",
            "trained_at is no day",
        ),
    ] {
        let text = fs::read_to_string(&path).expect("text");
        assert!(text.contains(from), "{from}");
        fs::write(&path, text.replacen(from, to, 1)).expect("room");
        let run = ["run", "job.toml", "--date", "2013-10-02"];
        results
            .lamplighter(&run)
            .expect(78)
            .says(&[problem, "model profile"]);
        fs::write(&path, text).expect("room");
    }
    // A bundle that was changed in place keeps its reference, and that is said.
    let text = fs::read_to_string(&path).expect("text");
    let other = text.replacen("\"digest\":\"sha256:", "\"digest\":\"sha256:f", 1);
    fs::write(&path, other).expect("room");
    results
        .lamplighter(&["run", "job.toml", "--date", "2013-10-03"])
        .expect(0)
        .says(&["the bundle was changed after its reference.json was made"]);
    fs::write(&path, text).expect("room");
    // A run of one version is not held against the reference of another.
    let model = results.workspace.path("bundle/model.toml");
    let text = fs::read_to_string(&model).expect("text");
    fs::write(&model, text.replacen("1.0.0", "1.0.1", 1)).expect("room");
    make_reference(&results, &flights::files()[0].to_string_lossy());
    results
        .lamplighter(&["drift", "job.toml"])
        .expect(78)
        .says(&["1.0.1", "1.0.0"]);
}

/// No number in the text is none.
fn assert_is_json(text: &str) {
    let value: Value = serde_json::from_str(text).expect("JSON");
    assert!(value.is_object());
    assert!(
        !text.contains("NaN") && !text.contains("Infinity"),
        "{text}"
    );
}

#[test]
fn data_of_which_little_can_be_said_has_defined_values() {
    for results in Results::in_each() {
        let workspace = &results.workspace;
        let columns = [("x", 1.0), ("constant", 0.0), ("empty", 0.0), ("wild", 0.0)];
        linear_bundle(&workspace.path("bundle"), &columns, 0.5, "");
        let rows = |count: usize, shift: f64| {
            let ids = StringArray::from_iter_values((0..count).map(|row| format!("r{row}")));
            let x = Float64Array::from_iter_values((0..count).map(|row| row as f64 + shift));
            let wild = (0..count).map(|row| match row % 4 {
                0 => Some(f64::NAN),
                1 => Some(1e30),
                2 => None,
                _ => Some(-1e30),
            });
            batch(vec![
                ("id", Arc::new(ids)),
                ("x", Arc::new(x)),
                ("constant", Arc::new(Float64Array::from(vec![0.1; count]))),
                ("empty", Arc::new(Float64Array::new_null(count))),
                ("wild", Arc::new(wild.collect::<Float64Array>())),
            ])
        };
        write_parquet(&workspace.path("train.parquet"), &rows(5_000, 0.0), 1_000);
        workspace.write("job.toml", simple_job(""));
        let profile = ["model", "profile", "bundle", "--data", "train.parquet"];
        results.lamplighter(&profile).expect(0);
        assert_is_json(&fs::read_to_string(workspace.path("bundle/reference.json")).expect("text"));
        for (date, count, shift, drifted) in [
            ("2026-01-01", 5_000, 0.0, 0),
            ("2026-01-02", 1, 0.0, 0),
            ("2026-01-03", 5_000, 9e3, 1),
        ] {
            write_parquet(
                &workspace.path("input/rows.parquet"),
                &rows(count, shift),
                1_000,
            );
            results
                .lamplighter(&["run", "job.toml", "--date", date])
                .expect(0);
            let report = results
                .lamplighter(&["report", "--format", "json"])
                .expect(0);
            assert_is_json(&report.stdout);
            let report = report.json();
            assert_eq!(
                report["drift"]["drifted_inputs"], drifted,
                "{date}: {}",
                report["drift"]
            );
            assert_is_json(&results.value(&format!(
                "SELECT profile FROM profiles WHERE run_id = {}",
                report["run_id"]
            )));
        }
        let constant = "SELECT psi, wasserstein, standard_deviation FROM drift WHERE name = 'constant' AND run_id = 1";
        let numbers: Vec<f64> = results.query(constant)[0]
            .iter()
            .map(|number| number.parse().expect("a number"))
            .collect();
        assert!(
            numbers.iter().all(|number| number.abs() < 1e-9),
            "{numbers:?}"
        );
        let empty =
            "SELECT count(*) FROM drift WHERE name = 'empty' AND psi IS NULL AND missing_share = 1";
        assert_eq!(results.value(empty), "3");
    }
}

#[test]
fn what_a_reference_can_not_be_made_of_is_refused() {
    let results = Results::in_sqlite();
    put_flights(&results);
    let before = fs::read(results.workspace.path("bundle/reference.json")).expect("a file");
    let profile = |more: &[&str]| {
        results.lamplighter(&[&["model", "profile", "bundle", "--data"], more].concat())
    };
    profile(&["nothing.parquet"]).expect(66);
    let none = super::october().slice(0, 0);
    write_parquet(&results.workspace.path("none.parquet"), &none, 10);
    profile(&["none.parquet", "--id-column", "flight_id"])
        .expect(66)
        .says(&["there are no records"]);
    let data = flights::files()[0].to_string_lossy().into_owned();
    profile(&[&data]).expect(65).says(&["`id`"]);
    let with_id = [data.as_str(), "--id-column", "flight_id"];
    profile(&[&with_id[..], &["--trained-at", "soon"]].concat()).expect(64);
    let truth = "--ground-truth";
    profile(&[&with_id[..], &[truth, &data]].concat())
        .expect(78)
        .says(&["[ground_truth] column"]);
    let after = fs::read(results.workspace.path("bundle/reference.json")).expect("a file");
    assert!(before == after, "the reference was changed");
}
