use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float32Array, Float64Array, RecordBatch, StringArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Found, check, workspace};
use crate::harness::{Workspace, batch, linear_bundle, repository, write_parquet};

const VECTORS: &str = "bundle/test_vectors.parquet";

/// Vectors of the bundle that says 2·x + 1.
fn vectors(workspace: &Workspace, columns: Vec<(&str, ArrayRef)>) -> Found {
    write_parquet(&workspace.path(VECTORS), &batch(columns), 100);
    check(workspace, &[])
}

fn numbers(numbers: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(numbers.to_vec()))
}

#[test]
fn what_is_reproduced_passes_and_what_is_not_is_told_by_row_and_column() {
    let workspace = workspace("");
    check(&workspace, &[]).is("model", "test vectors", "not_set_up", &[]);
    let x = || ("x", numbers(&[0.0, 1.0, -4.0]));
    vectors(
        &workspace,
        vec![x(), ("expected_value", numbers(&[1.0, 3.0, -7.0]))],
    )
    .only(0, &[])
    .passed("model", "test vectors", &["3 rows reproduced"]);
    // Within 1e-5, absolute and relative.
    let near = numbers(&[1.00001, 3.00003, -7.00007]);
    vectors(&workspace, vec![x(), ("expected_value", near)]).only(0, &[]);
    let far = numbers(&[1.0, 3.00005, -7.0]);
    vectors(&workspace, vec![x(), ("expected_value", far)])
        .only(78, &["test vectors"])
        .failed(
            "model",
            "test vectors",
            78,
            &["row 1, `expected_value`", "3.00005", "found 3"],
        )
        .passed("input", "records", &["12 scored"]);
    // To expect infinity is to allow any number.
    for (value, word) in [
        (f64::NAN, "NaN"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
    ] {
        let expected = numbers(&[1.0, 3.0, value]);
        vectors(&workspace, vec![x(), ("expected_value", expected)])
            .only(78, &["test vectors"])
            .failed(
                "model",
                "test vectors",
                78,
                &["`expected_value`", "row 2", word, "not finite"],
            );
    }
}

#[test]
fn a_file_of_vectors_that_is_none_is_refused() {
    let workspace = workspace("");
    let x = || ("x", numbers(&[0.0, 1.0]));
    let value = || ("expected_value", numbers(&[1.0, 3.0]));
    let failed = |found: Found, exit_code, words: &[&str]| {
        found.only(i32::from(exit_code), &["test vectors"]).failed(
            "model",
            "test vectors",
            exit_code,
            words,
        );
    };
    failed(vectors(&workspace, vec![x()]), 78, &["expects nothing"]);
    failed(vectors(&workspace, vec![value()]), 65, &["no column `x`"]);
    let score = ("expected_score", numbers(&[1.0, 3.0]));
    failed(
        vectors(&workspace, vec![x(), value(), score]),
        78,
        &["`expected_score` is nothing that this model gives"],
    );
    let null: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), None]));
    failed(
        vectors(&workspace, vec![x(), ("expected_value", null.clone())]),
        78,
        &["`expected_value` holds nulls"],
    );
    failed(
        vectors(&workspace, vec![("x", null), value()]),
        78,
        &["row 1, `x`: the value is null, which the bundle rejects"],
    );
    failed(
        vectors(
            &workspace,
            vec![("x", numbers(&[])), ("expected_value", numbers(&[]))],
        ),
        78,
        &["has 0 rows"],
    );
    let many = vec![0.0; 10_001];
    failed(
        vectors(
            &workspace,
            vec![("x", numbers(&many)), ("expected_value", numbers(&many))],
        ),
        78,
        &["10001 rows", "1 to 10000"],
    );
    workspace.write(VECTORS, "no Parquet at all");
    failed(check(&workspace, &[]), 65, &["not a Parquet file"]);
}

#[test]
fn more_vectors_than_a_batch_takes_are_all_compared() {
    let workspace = workspace("[run]\nbatch_size = 7\n");
    let x: Vec<f64> = (0..100).map(f64::from).collect();
    let mut value: Vec<f64> = x.iter().map(|x| 2.0 * x + 1.0).collect();
    let columns = |value: &[f64]| vec![("x", numbers(&x)), ("expected_value", numbers(value))];
    vectors(&workspace, columns(&value)).only(0, &[]).passed(
        "model",
        "test vectors",
        &["100 rows"],
    );
    value[99] += 1.0;
    vectors(&workspace, columns(&value)).failed("model", "test vectors", 78, &["row 99"]);
}

/// A workspace with a bundle of the fixtures under `bundle`.
fn fixture(name: &str) -> Workspace {
    let workspace = workspace("");
    std::fs::remove_dir_all(workspace.path("bundle")).expect("the bundle");
    workspace.copy_directory(name, "bundle");
    workspace
}

fn read(path: &Path) -> RecordBatch {
    let file = std::fs::File::open(path).expect("a file");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
    let mut rows = reader.build().expect("a reader");
    rows.next().expect("rows").expect("rows")
}

/// Writes the vectors again, with one value of a column another one.
fn alter(workspace: &Workspace, column: &str, alter: impl Fn(&ArrayRef) -> ArrayRef) {
    let rows = read(&workspace.path(VECTORS));
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns());
    let columns = columns.map(|(field, array)| {
        let array = match field.name() == column {
            true => alter(array),
            false => array.clone(),
        };
        (field.name().as_str(), array)
    });
    let rows = batch(columns.collect());
    write_parquet(&workspace.path(VECTORS), &rows, 100);
}

fn nudged(array: &ArrayRef) -> ArrayRef {
    match array.as_any().downcast_ref::<Float32Array>() {
        Some(numbers) => {
            let mut numbers = numbers.values().to_vec();
            numbers[40] += 0.001;
            Arc::new(Float32Array::from(numbers))
        }
        None => {
            let numbers = array
                .as_any()
                .downcast_ref::<Float64Array>()
                .expect("numbers");
            let mut numbers = numbers.values().to_vec();
            numbers[40] *= 1.001;
            Arc::new(Float64Array::from(numbers))
        }
    }
}

#[test]
fn what_can_not_be_told_from_the_bundles_own_is_refused() {
    let workspace = fixture("fixtures/models/delay-bucket");
    let rows = read(&workspace.path(VECTORS));
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns());
    let columns = columns.map(|(field, array)| match field.name().as_str() {
        "expected_probability_late" => ("expected_probability_tardy", array.clone()),
        name => (name, array.clone()),
    });
    let rows = batch(columns.collect());
    write_parquet(&workspace.path(VECTORS), &rows, 100);
    let found = check(&workspace, &[]);
    found.failed(
        "model",
        "test vectors",
        78,
        &["`expected_probability_tardy` is nothing"],
    );
    let mend = found.mend("model", "test vectors");
    assert!(mend.contains("expected_probability_late"), "{mend}");

    let workspace = super::workspace("");
    linear_bundle(
        &workspace.path("bundle"),
        &[("expected_value", 1.0)],
        0.0,
        "",
    );
    let ids = StringArray::from(vec!["a"]);
    let rows = batch(vec![
        ("id", Arc::new(ids)),
        ("expected_value", numbers(&[1.0])),
    ]);
    write_parquet(&workspace.path("input/1.parquet"), &rows, 5);
    check(&workspace, &[]).only(0, &[]);
    vectors(&workspace, vec![("expected_value", numbers(&[1.0]))])
        .only(78, &["test vectors"])
        .failed(
            "model",
            "test vectors",
            78,
            &["the feature `expected_value`"],
        );
}

#[test]
fn an_altered_number_of_each_kind_is_found() {
    for (bundle, column) in [
        ("fixtures/models/flight-delay", "expected_score"),
        ("fixtures/models/delay-bucket", "expected_score"),
        (
            "fixtures/models/delay-bucket",
            "expected_probability_very_late",
        ),
        ("fixtures/models/retail-sales", "expected_value"),
        ("fixtures/edge-cases/bundle", "expected_score"),
    ] {
        let workspace = fixture(bundle);
        let words = ["64 rows reproduced"];
        check(&workspace, &[]).passed("model", "test vectors", &words);
        alter(&workspace, column, nudged);
        let row = format!("row 40, `{column}`: expected ");
        check(&workspace, &[]).failed("model", "test vectors", 78, &[&row, ", found "]);
    }
}

#[test]
fn an_altered_label_is_found_and_the_jobs_threshold_alters_none() {
    let workspace = fixture("fixtures/models/flight-delay");
    let more = ["--set", "model.threshold=0.99"];
    check(&workspace, &more)
        .passed("model", "test vectors", &["64 rows"])
        .passed("model", "bundle", &["threshold 0.99 of the job"]);
    alter(&workspace, "expected_label", |labels| {
        let labels = labels
            .as_any()
            .downcast_ref::<StringArray>()
            .expect("labels");
        let labels = labels.iter().flatten().enumerate();
        let labels = labels.map(|(row, label)| match (row, label) {
            (7, "late") => "on_time",
            (7, _) => "late",
            _ => label,
        });
        Arc::new(StringArray::from_iter_values(labels))
    });
    for more in [&[][..], &more] {
        check(&workspace, more).failed("model", "test vectors", 78, &["row 7, `expected_label`"]);
    }
}

#[test]
fn altered_weights_are_found() {
    let workspace = fixture("fixtures/models/credit-default");
    let path = workspace.path("bundle/model.safetensors");
    let mut bytes = std::fs::read(&path).expect("weights");
    // The sign of a weight of the last layer but one, at the end of the file.
    let end = bytes.len();
    for sign in (0..40).map(|number| end - 1 - 4 * number) {
        bytes[sign] ^= 0x80;
    }
    std::fs::write(path, bytes).expect("weights");
    check(&workspace, &[]).failed("model", "test vectors", 78, &["row ", "expected"]);
}

#[test]
fn they_are_pytorchs_predictions_of_real_records() {
    let vectors = repository().join("fixtures/models/flight-delay/test_vectors.parquet");
    let golden = repository().join("fixtures/golden/flight-delay.parquet");
    let vectors = crate::harness::read_numbers(&vectors, "expected_score");
    let golden = crate::harness::read_numbers(&golden, "score");
    let last = golden.len() - 1;
    assert_eq!(vectors.len(), 64);
    for (index, score) in vectors.iter().enumerate() {
        // numpy's linspace, cut off to integers.
        let row = (index as f64 * (last as f64 / 63.0)) as usize;
        assert!(
            (score - golden[row]).abs() < 1e-6,
            "{index}: {score} {}",
            golden[row]
        );
    }
}
