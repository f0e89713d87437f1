use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray};

use super::{follow, ids, init, numbers, scaffolded, texts, workspace};
use crate::harness::Workspace;

fn six() -> ArrayRef {
    numbers((0..6).map(f64::from))
}

#[test]
fn the_one_column_that_is_called_an_id_and_is_one_names_the_records() {
    let repeating: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 2, 2, 3, 3]));
    let with_null: ArrayRef = Arc::new(StringArray::from(vec![
        Some("a"),
        None,
        Some("c"),
        Some("d"),
        Some("e"),
        Some("f"),
    ]));
    let workspace = workspace(vec![
        ("customer_id", repeating),
        ("session_id", with_null),
        ("price_id", six()),
        ("order_id", ids(6)),
        ("x", six()),
    ]);
    let scaffold = scaffolded(&workspace, &[]);
    assert_eq!(scaffold["id_column"], "order_id");
    follow(&workspace, &scaffold);
    assert_eq!(
        workspace.value("SELECT count(*) FROM predictions_latest"),
        "6"
    );
}

#[test]
fn an_id_that_can_not_be_told_is_asked_for() {
    let two = workspace(vec![("id", ids(6)), ("order_id", ids(6)), ("x", six())]);
    init(&two, &[])
        .expect(64)
        .says(&["`id`", "`order_id`", "--id-column"]);
    assert_eq!(scaffolded(&two, &["--id-column", "id"])["id_column"], "id");

    let none = workspace(vec![("code", ids(6)), ("x", six())]);
    init(&none, &[])
        .expect(64)
        .says(&["no column is called id", "`code`", "--id-column"]);

    let repeated: ArrayRef = Arc::new(Int32Array::from(vec![1, 1, 2, 3, 4, 5]));
    let repeated = workspace(vec![("id", repeated), ("x", six())]);
    init(&repeated, &[])
        .expect(64)
        .says(&["`id` repeats values"]);
    let asked = init(&repeated, &["--id-column", "id"]).expect(0);
    asked.says(&["WARN", "id column repeats values"]);
}

#[test]
fn a_column_that_can_not_serve_is_refused_by_name() {
    let workspace = workspace(vec![("order_id", ids(6)), ("x", six())]);
    let refused = |more: &[&str]| init(&workspace, more).expect(64);
    refused(&["--id-column", "order-id"]).says(&["`order-id`", "`order_id`"]);
    refused(&["--id-column", "x"]).says(&["`x`", "Float64", "text or integers"]);
    refused(&["--target", "y"]).says(&["--target", "`y`", "order_id, x"]);
    refused(&["--target", "order_id", "--id-column", "order_id"]).says(&["both name `order_id`"]);
    assert_eq!(super::listing(&workspace.path("")), ["records.parquet"]);
}

/// Task and classes that are told from a target with these values.
fn told(target: ArrayRef, more: &[&str]) -> (String, String) {
    let count = target.len();
    let x = numbers((0..count).map(|row| row as f64));
    let workspace = workspace(vec![("id", ids(count)), ("x", x), ("y", target)]);
    let scaffold = scaffolded(&workspace, &[&["--target", "y"], more].concat());
    follow(&workspace, &scaffold);
    assert_eq!(scaffold["features"], 1, "the target is no feature");
    let classes = scaffold["classes"].to_string();
    (
        scaffold["task"].as_str().expect("a task").to_owned(),
        classes,
    )
}

#[test]
fn the_task_is_told_from_the_target() {
    let integers = |values: &[i32]| -> ArrayRef { Arc::new(Int32Array::from(values.to_vec())) };
    let booleans: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]));
    let cases: [(ArrayRef, &[&str], &str, &str); 9] = [
        (booleans, &[], "binary", r#"["false","true"]"#),
        (integers(&[0, 1, 1, 0]), &[], "binary", r#"["0","1"]"#),
        (integers(&[10, 9, 10]), &[], "binary", r#"["9","10"]"#),
        (numbers([0.0, 1.0, 0.0]), &[], "binary", r#"["0","1"]"#),
        (
            texts(["yes", "no", "yes"]),
            &[],
            "binary",
            r#"["no","yes"]"#,
        ),
        (
            texts(["b", "a", "c", "a"]),
            &[],
            "multiclass",
            r#"["a","b","c"]"#,
        ),
        (
            integers(&[2, 10, 9]),
            &["--task", "multiclass"],
            "multiclass",
            r#"["2","9","10"]"#,
        ),
        (numbers([0.5, 1.5, 2.5]), &[], "regression", "[]"),
        (integers(&[3, 1, 2, 7]), &[], "regression", "[]"),
    ];
    for (target, more, task, classes) in cases {
        assert_eq!(told(target, more), (task.to_owned(), classes.to_owned()));
    }
}

#[test]
fn without_a_target_the_classes_have_names_that_say_so() {
    let workspace = workspace(vec![("id", ids(6)), ("x", six())]);
    let ended = init(&workspace, &[]).expect(0);
    for words in ["negative, positive", "no --target"] {
        assert!(ended.stdout.contains(words), "{ended}");
    }
    let toml = std::fs::read_to_string(workspace.path("models/records/model.toml"));
    assert!(toml.expect("model.toml").contains("put your own names in"));
    let regression = scaffolded(&workspace, &["--name", "other", "--task", "regression"]);
    assert_eq!(regression["task"], "regression");
    follow(&workspace, &regression);
    init(&workspace, &["--name", "third", "--task", "multiclass"])
        .expect(64)
        .says(&["which classes", "--target"]);
}

/// What is said of a target that does not go with the task.
#[track_caller]
fn refused(target: ArrayRef, more: &[&str], words: &[&str]) {
    let count = target.len();
    let x = numbers((0..count).map(|row| row as f64));
    let workspace: Workspace = workspace(vec![("id", ids(count)), ("x", x), ("y", target)]);
    let arguments = [&["--target", "y"], more].concat();
    init(&workspace, &arguments).expect(64).says(words);
    assert_eq!(super::listing(&workspace.path("")), ["records.parquet"]);
}

#[test]
fn a_target_that_does_not_go_with_the_task_is_refused() {
    let three = || texts(["a", "b", "c"]);
    refused(
        three(),
        &["--task", "binary"],
        &["`y`", "3 different values", "needs two"],
    );
    refused(
        three(),
        &["--task", "regression"],
        &["`y`", "text", "numbers"],
    );
    refused(texts(["a", "a"]), &[], &["`y`", "one value only"]);
    refused(
        texts(["a", "a"]),
        &["--task", "multiclass"],
        &["one value only"],
    );
    refused(
        numbers([0.5, 1.5]),
        &["--task", "multiclass"],
        &["fraction"],
    );
    let nothing: ArrayRef = Arc::new(Float64Array::from(vec![None, Some(f64::NAN)]));
    refused(nothing, &[], &["`y`", "no value"]);
    let nothing: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>, None]));
    refused(nothing, &[], &["`y`", "no value"]);
    let many: Vec<String> = (0..2_000).map(|row| format!("free text {row}")).collect();
    let many = texts(many.iter().map(String::as_str));
    refused(many, &[], &["`y`", "more values than there can be classes"]);
    let dates: ArrayRef = Arc::new(arrow::array::Date32Array::from(vec![1, 2]));
    refused(dates, &[], &["`y`", "Date32"]);
}
