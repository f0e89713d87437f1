use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields, Int32Type, TimeUnit};

use super::{follow, ids, init, numbers, scaffolded, texts, workspace};
use crate::harness::{Workspace, batch, write_parquet};

const ROWS: usize = 50;

fn every<T>(of: impl Fn(usize) -> T) -> impl Iterator<Item = T> {
    (0..ROWS).map(of)
}

/// A column of every type, one more of some, and what is to become of each: `None` is a feature, else a
/// word of the reason.
fn columns() -> Vec<(&'static str, ArrayRef, Option<&'static str>)> {
    let float = |of: fn(usize) -> f64| numbers(every(of));
    let text = |of: fn(usize) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(every(of)))
    };
    let decimal = Decimal128Array::from_iter_values(every(|row| row as i128 * 125))
        .with_precision_and_scale(10, 2);
    let dictionary: DictionaryArray<Int32Type> = every(|row| ["x", "y"][row % 2]).collect();
    let item = Arc::new(Field::new("item", DataType::Int32, true));
    let list = ListArray::new(
        item,
        OffsetBuffer::from_lengths(every(|_| 1)),
        Arc::new(Int32Array::from_iter_values(every(|row| row as i32))),
        None,
    );
    let inner = Fields::from(vec![Field::new("inner", DataType::Float64, true)]);
    let nested = StructArray::new(inner, vec![float(|row| row as f64)], None);
    let moments = TimestampMicrosecondArray::from_iter_values(every(|row| row as i64));
    let time = arrow::compute::cast(
        &Int32Array::from(vec![7; ROWS]),
        &DataType::Time32(TimeUnit::Second),
    );
    vec![
        (
            "integer",
            Arc::new(Int32Array::from_iter_values(every(|row| row as i32))),
            None,
        ),
        (
            "unsigned",
            Arc::new(UInt64Array::from_iter_values(every(|row| {
                u64::MAX - row as u64
            }))),
            None,
        ),
        (
            "float",
            Arc::new(Float32Array::from_iter_values(every(|row| {
                row as f32 / 3.0
            }))),
            None,
        ),
        ("decimal", Arc::new(decimal.expect("decimals")), None),
        (
            "flag",
            Arc::new(BooleanArray::from_iter(every(|row| Some(row % 3 == 0)))),
            None,
        ),
        ("constant", float(|_| 0.1), None),
        (
            "with NaN",
            float(|row| if row % 2 == 0 { f64::NAN } else { row as f64 }),
            None,
        ),
        ("word", text(|row| format!("w{}", row % 5)), None),
        ("one word", text(|_| "same".into()), None),
        (
            "with null",
            Arc::new(StringArray::from_iter(every(|row| {
                (row % 2 == 0).then_some("a")
            }))),
            None,
        ),
        ("dictionary", Arc::new(dictionary), None),
        ("many words", text(|row| format!("w{}", row / 2)), None),
        (
            "empty text",
            text(|row| {
                if row % 2 == 0 {
                    String::new()
                } else {
                    "a\nb\u{7f}".into()
                }
            }),
            None,
        ),
        ("", float(|row| row as f64), None),
        (
            "a \"quoted\" 'name'",
            text(|row| format!("\"{}\"", row % 3)),
            None,
        ),
        ("名前 é\\", text(|row| format!("値{}", row % 3)), None),
        ("a\nline\ttab", float(|row| row as f64), None),
        ("${HOME}", text(|row| format!("${{v{}}}", row % 3)), None),
        ("a.b", text(|row| format!("v{}", row % 12)), None),
        ("keys", text(|row| format!("v{}", row % 12)), None),
        (
            "account_id",
            Arc::new(Int32Array::from_iter_values(every(|row| (row / 2) as i32))),
            Some("an id"),
        ),
        (
            "all null",
            Arc::new(Float64Array::from(vec![None; ROWS])),
            Some("no number"),
        ),
        (
            "no text",
            Arc::new(StringArray::from(vec![None::<&str>; ROWS])),
            Some("no value"),
        ),
        (
            "null type",
            Arc::new(NullArray::new(ROWS)),
            Some("no value"),
        ),
        ("only NaN", float(|_| f64::NAN), Some("no number")),
        (
            "too large",
            float(|row| if row % 2 == 0 { f64::MAX } else { f64::MIN }),
            Some("too large"),
        ),
        (
            "free text",
            text(|row| format!("text {row}")),
            Some("hardly repeat"),
        ),
        (
            "long text",
            text(|_| "x".repeat(200)),
            Some("hardly repeat"),
        ),
        (
            "moment",
            Arc::new(moments),
            Some("EXTRACT(month FROM \"moment\")"),
        ),
        (
            "date",
            Arc::new(Date32Array::from_iter_values(every(|row| row as i32))),
            Some("a date"),
        ),
        ("time", time.expect("times"), Some("Time32")),
        (
            "bytes",
            Arc::new(BinaryArray::from_iter_values(every(|_| b"b"))),
            Some("Binary"),
        ),
        ("list", Arc::new(list), Some("nested (List)")),
        ("struct", Arc::new(nested), Some("nested (Struct)")),
    ]
}

#[test]
fn columns_of_every_kind_and_name_are_features_or_have_a_reason() {
    let columns = columns();
    let mut all = vec![("id", ids(ROWS))];
    all.extend(
        columns
            .iter()
            .map(|(name, array, _)| (*name, array.clone())),
    );
    let workspace = workspace(all);
    let scaffold = scaffolded(&workspace, &[]);
    let left_out: BTreeMap<&str, &str> = scaffold["left_out"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|left| {
            (
                left["column"].as_str().expect("a name"),
                left["reason"].as_str().expect("text"),
            )
        })
        .collect();
    for (name, _, expected) in &columns {
        let reason = left_out.get(name);
        match expected {
            None => assert!(reason.is_none(), "{name:?}: {reason:?}"),
            Some(word) => assert!(
                reason.is_some_and(|why| why.contains(word)),
                "{name:?}: {reason:?}"
            ),
        }
    }
    let expected = columns
        .iter()
        .filter(|(_, _, reason)| reason.is_none())
        .count();
    assert_eq!(scaffold["features"], expected);
    let toml = fs::read_to_string(workspace.path("models/records/model.toml")).expect("model.toml");
    let toml: toml::Table = toml::from_str(&toml).expect("TOML");
    let features = toml["feature"].as_array().expect("features");
    assert_eq!(features.len(), expected);
    follow(&workspace, &scaffold);
    assert_eq!(
        workspace.value("SELECT count(*) FROM predictions_latest"),
        ROWS.to_string()
    );
    // Zeros predict the same for each.
    let scores = "SELECT count(DISTINCT score) || ' ' || min(score) || ' ' || min(model_version) FROM predictions_latest";
    assert_eq!(workspace.value(scores), "1 0.5 0.0.0-untrained");
}

#[test]
fn numbers_and_categories_are_those_of_the_whole_file() {
    let workspace = Workspace::new();
    // Two files and several row groups: what is found is found in all of them.
    for (file, first) in [("in/a.parquet", 0), ("in/b.parquet", 1_000)] {
        let rows = || first..first + 1_000;
        let ids = StringArray::from_iter_values(rows().map(|row| format!("r{row}")));
        let xs = Float64Array::from_iter_values(rows().map(f64::from));
        let words = StringArray::from_iter_values(rows().map(|row| format!("w{:04}", row % 150)));
        let rows = batch(vec![
            ("id", Arc::new(ids)),
            ("x", Arc::new(xs)),
            ("word", Arc::new(words)),
        ]);
        write_parquet(&workspace.path(file), &rows, 300);
    }
    for from in ["in", "in/*.parquet"] {
        let name = if from == "in" { "whole" } else { "pattern" };
        let arguments = ["init", "--from", from, "--name", name, "--format", "json"];
        let scaffold = workspace.lamplighter(&arguments).expect(0).json();
        assert_eq!(scaffold["records"], 2_000);
        let toml = workspace.path(&format!("models/{name}/model.toml"));
        let toml = fs::read_to_string(toml).expect("model.toml");
        let toml: toml::Table = toml::from_str(&toml).expect("TOML");
        let x = &toml["feature"][0];
        assert_eq!(x["mean"].as_float(), Some(999.5));
        assert_eq!(x["std"].as_float(), Some(577.35));
        assert_eq!(x["min"].as_float(), Some(0.0));
        assert_eq!(x["max"].as_float(), Some(1_999.0));
        let categories = toml["feature"][1]["categories"]
            .as_array()
            .expect("categories");
        assert_eq!(categories.len(), 100);
        // The first fifty come fourteen times, the others thirteen times.
        assert_eq!(categories[49].as_str(), Some("w0049"));
        follow(&workspace, &scaffold);
    }
}

#[test]
fn a_thousand_columns_are_no_hindrance() {
    let names: Vec<String> = (0..1_000).map(|index| format!("column {index}")).collect();
    let words: Vec<String> = (0..ROWS).map(|row| format!("w{}", row % 20)).collect();
    let mut columns = vec![("id", ids(ROWS))];
    for (index, name) in names.iter().enumerate() {
        let column = match index % 2 {
            0 => numbers(every(|row| (row * index) as f64)),
            _ => texts(words.iter().map(String::as_str)),
        };
        columns.push((name.as_str(), column));
    }
    let workspace = workspace(columns);
    let scaffold = scaffolded(&workspace, &[]);
    assert_eq!(scaffold["features"], 1_000);
    follow(&workspace, &scaffold);
}

#[test]
fn a_single_record_is_enough() {
    let workspace = workspace(vec![
        ("id", ids(1)),
        ("x", numbers([7.0])),
        ("word", texts(["a"])),
    ]);
    let scaffold = scaffolded(&workspace, &[]);
    assert_eq!(scaffold["features"], 2);
    follow(&workspace, &scaffold);
}

#[test]
fn infinite_values_are_told_of_and_become_dead_letters() {
    let xs = numbers(every(
        |row| if row == 3 { f64::INFINITY } else { row as f64 },
    ));
    let workspace = workspace(vec![("id", ids(ROWS)), ("x", xs)]);
    init(&workspace, &[]).expect(0);
    let toml = fs::read_to_string(workspace.path("models/records/model.toml")).expect("model.toml");
    assert!(
        toml.contains("# 1 infinite values: such records become dead letters"),
        "{toml}"
    );
    let run = [
        "run",
        "jobs/records.toml",
        "--set",
        "errors.max_dead_letters=1",
    ];
    workspace.lamplighter(&run).expect(0);
    assert_eq!(workspace.value("SELECT record_id FROM dead_letters"), "r3");
}

#[test]
fn a_file_without_a_feature_is_data_that_does_not_do() {
    let workspace = workspace(vec![
        ("id", ids(ROWS)),
        ("day", Arc::new(Date32Array::from(vec![1; ROWS]))),
        ("nothing", Arc::new(NullArray::new(ROWS))),
    ]);
    init(&workspace, &[])
        .expect(65)
        .says(&["`day`: a date", "`nothing`: it holds no value"]);
    assert_eq!(super::listing(&workspace.path("")), ["records.parquet"]);
}
