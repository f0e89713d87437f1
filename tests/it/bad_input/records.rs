//! Records at fault. One bad record costs nobody else anything, and is told apart by stage, code,
//! column and class of value, never by the value.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray, UInt64Array};
use candle_core::{Device, Tensor};

use super::{
    dead_letters, nothing_is_visible, nothing_was_planned, numbers, published, put, report, run,
    text, verifies, workspace,
};
use crate::harness::results::Results;
use crate::harness::{Workspace, batch, linear_bundle, simple_job, write_parquet};

const ALL_MAY_FAIL: &str = "[errors]\nmax_dead_letters = \"100%\"\n";

fn optional(values: &[Option<f64>]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

/// Scores, under the policies of `feature` and a range of ±10, one record of every class of value.
fn scored_with(feature: &str) -> Workspace {
    let workspace = workspace(&format!("min = -10.0\nmax = 10.0\n{feature}"), ALL_MAY_FAIL);
    let ids = ["good", "null", "nan", "inf", "-inf", "above", "below"];
    let xs = [
        Some(3.0),
        None,
        Some(f64::NAN),
        Some(f64::INFINITY),
        Some(f64::NEG_INFINITY),
        Some(20.5),
        Some(-20.5),
    ];
    put(
        &workspace,
        "a.parquet",
        vec![("id", text(&ids)), ("x", optional(&xs))],
    );
    run(&workspace).expect(0);
    verifies(&workspace);
    workspace
}

const GOOD: [&str; 2] = ["good", "7"];
const INFINITIES: [[&str; 6]; 2] = [
    [
        "3",
        "inf",
        "validate",
        "not_finite",
        "x",
        "the value is infinite",
    ],
    [
        "4",
        "-inf",
        "validate",
        "not_finite",
        "x",
        "the value is infinite",
    ],
];

/// How often the report says a column's values were imputed, clamped or unknown.
#[track_caller]
fn counted(workspace: &Workspace, column: &str, imputed: u64, clamped: u64, unknown: u64) {
    let notes = &report(workspace)["columns"][column];
    let found = ["imputed", "clamped", "unknown"].map(|note| notes[note].as_u64().unwrap_or(0));
    assert_eq!(found, [imputed, clamped, unknown], "{notes}");
}

#[test]
fn by_default_the_missing_gets_the_mean_the_far_is_clamped_and_infinity_is_rejected() {
    let workspace = scored_with("");
    let expected = [
        ["above", "21"],
        ["below", "-19"],
        GOOD,
        ["nan", "1"],
        ["null", "1"],
    ];
    assert_eq!(published(&workspace), expected);
    assert_eq!(dead_letters(&workspace), INFINITIES);
    counted(&workspace, "x", 2, 2, 0);
}

#[test]
fn a_missing_value_is_imputed_by_fill() {
    let workspace = scored_with("missing = \"impute\"\nfill = 4.0\nout_of_range = \"clamp\"");
    let expected = [
        ["above", "21"],
        ["below", "-19"],
        GOOD,
        ["nan", "9"],
        ["null", "9"],
    ];
    assert_eq!(published(&workspace), expected);
    assert_eq!(dead_letters(&workspace), INFINITIES);
    counted(&workspace, "x", 2, 2, 0);
}

#[test]
fn what_is_out_of_range_may_be_kept_as_it_is() {
    let workspace = scored_with("out_of_range = \"keep\"");
    let expected = [
        ["above", "42"],
        ["below", "-40"],
        GOOD,
        ["nan", "1"],
        ["null", "1"],
    ];
    assert_eq!(published(&workspace), expected);
    assert_eq!(dead_letters(&workspace), INFINITIES);
    counted(&workspace, "x", 2, 0, 0);
}

#[test]
fn what_is_rejected_becomes_a_dead_letter_with_column_and_class_of_value() {
    let workspace = scored_with("missing = \"reject\"\nout_of_range = \"reject\"");
    assert_eq!(published(&workspace), [GOOD]);
    let expected = [
        [
            "1",
            "null",
            "validate",
            "missing_value",
            "x",
            "the value is null",
        ],
        [
            "2",
            "nan",
            "validate",
            "missing_value",
            "x",
            "the value is NaN",
        ],
        INFINITIES[0],
        INFINITIES[1],
        [
            "5",
            "above",
            "validate",
            "out_of_range",
            "x",
            "the value is above 10",
        ],
        [
            "6",
            "below",
            "validate",
            "out_of_range",
            "x",
            "the value is below -10",
        ],
    ];
    assert_eq!(dead_letters(&workspace), expected);
    counted(&workspace, "x", 0, 0, 0);
    let kinds = report(&workspace)["dead_letters"].clone();
    for (code, records) in [("missing_value", 2), ("not_finite", 2), ("out_of_range", 2)] {
        let kind = serde_json::json!(
            {"stage": "validate", "code": code, "field": "x", "records": records}
        );
        assert!(kinds.as_array().expect("kinds").contains(&kind), "{kinds}");
    }
}

/// A workspace whose bundle gives red 20, green 30, and what it does not know 10.
fn colours(unknown: &str) -> Workspace {
    let workspace = Workspace::new();
    workspace.write("job.toml", simple_job(ALL_MAY_FAIL));
    workspace.write(
        "bundle/model.toml",
        format!(
            "[model]\nname = \"colours\"\nversion = \"1\"\narchitecture = \"mlp\"\ntask = \"regression\"\n\
             [mlp]\nhidden = []\nactivation = \"relu\"\n\
             [[feature]]\ncolumn = \"colour\"\nkind = \"categorical\"\ncategories = [\"red\", \"green\"]\ndim = 0\n{unknown}\n"
        ),
    );
    let weight = Tensor::new(&[[10f32, 20.0, 30.0]], &Device::Cpu).expect("a tensor");
    let bias = Tensor::new(&[0f32], &Device::Cpu).expect("a tensor");
    let tensors = [("layers.0.weight", weight), ("layers.0.bias", bias)];
    let tensors = std::collections::HashMap::from(tensors);
    let weights = workspace.path("bundle/model.safetensors");
    candle_core::safetensors::save(&tensors, weights).expect("weights");
    let values = [
        Some("red"),
        Some("green"),
        Some("octarine"),
        None,
        Some("Red"),
    ];
    put(
        &workspace,
        "a.parquet",
        vec![
            ("id", text(&["a", "b", "c", "d", "e"])),
            ("colour", Arc::new(StringArray::from(values.to_vec()))),
        ],
    );
    run(&workspace).expect(0);
    verifies(&workspace);
    workspace
}

#[test]
fn an_unknown_category_is_other_by_default_and_counted() {
    let workspace = colours("");
    let expected = [
        ["a", "20"],
        ["b", "30"],
        ["c", "10"],
        ["d", "10"],
        ["e", "10"],
    ];
    assert_eq!(published(&workspace), expected);
    counted(&workspace, "colour", 0, 0, 3);
}

#[test]
fn an_unknown_category_may_be_rejected() {
    let workspace = colours("unknown = \"reject\"");
    assert_eq!(published(&workspace), [["a", "20"], ["b", "30"]]);
    let unknown = "the value is none of the known categories";
    let expected = [
        ["2", "c", "validate", "unknown_category", "colour", unknown],
        [
            "3",
            "d",
            "validate",
            "missing_value",
            "colour",
            "the value is null",
        ],
        ["4", "e", "validate", "unknown_category", "colour", unknown],
    ];
    assert_eq!(dead_letters(&workspace), expected);
    counted(&workspace, "colour", 0, 0, 0);
}

#[test]
fn no_value_of_a_rejected_record_is_repeated_anywhere() {
    let workspace = workspace("max = 1.0\nout_of_range = \"reject\"", ALL_MAY_FAIL);
    let columns = vec![
        ("id", text(&["a"])),
        ("x", numbers(&[98765.25])),
        ("name", text(&["Ada Lovelace"])),
    ];
    put(&workspace, "a.parquet", columns);
    let mut said = run(&workspace).expect(0);
    for arguments in [
        ["dead-letters", "list"],
        ["dead-letters", "export"],
        ["runs", "show"],
    ] {
        let more = workspace.lamplighter(&arguments).expect(0);
        said.stdout.push_str(&more.stdout);
        said.stderr.push_str(&more.stderr);
    }
    said.stdout.push_str(&report(&workspace).to_string());
    assert!(said.stdout.contains("out_of_range"), "{}", said.stdout);
    for value in ["98765", "98_765", "9.87", "Ada", "Lovelace"] {
        assert!(!said.stdout.contains(value), "{}", said.stdout);
        assert!(!said.stderr.contains(value), "{}", said.stderr);
    }
    assert_eq!(dead_letters(&workspace)[0][5], "the value is above 1");
}

#[test]
fn a_record_without_an_id_is_a_dead_letter() {
    let workspace = workspace("", ALL_MAY_FAIL);
    let ids = StringArray::from(vec![Some("a"), None, Some(""), None]);
    let columns = vec![
        ("id", Arc::new(ids) as ArrayRef),
        ("x", numbers(&[1.0, 2.0, 3.0, 4.0])),
    ];
    put(&workspace, "a.parquet", columns);
    run(&workspace).expect(0);
    assert_eq!(published(&workspace), [["", "7"], ["a", "3"]]);
    let message = "the record has no id";
    let expected = ["1", "3"].map(|at| [at, "NULL", "read", "null_id", "NULL", message]);
    assert_eq!(dead_letters(&workspace), expected);
    verifies(&workspace);
}

#[test]
fn a_float_id_column_is_refused_before_anything_is_claimed() {
    let workspace = workspace("", "");
    let columns = vec![("id", numbers(&[1.0])), ("x", numbers(&[1.0]))];
    put(&workspace, "a.parquet", columns);
    run(&workspace).expect(65).says(&[
        "input/a.parquet",
        "column `id`",
        "Float64",
        "it must hold text or integers",
        "hint:",
        "store the id as an integer or text",
    ]);
    nothing_was_planned(&workspace);
}

#[test]
fn integer_ids_are_canonical_and_equal_their_text() {
    let workspace = workspace("", ALL_MAY_FAIL);
    let signed = Int64Array::from(vec![-5, 0, 7, i64::MIN]);
    let columns = vec![
        ("id", Arc::new(signed) as ArrayRef),
        ("x", numbers(&[1.0, 2.0, 3.0, 4.0])),
    ];
    put(&workspace, "a.parquet", columns);
    let unsigned = UInt64Array::from(vec![7, u64::MAX]);
    let columns = vec![
        ("id", Arc::new(unsigned) as ArrayRef),
        ("x", numbers(&[5.0, 6.0])),
    ];
    put(&workspace, "b.parquet", columns);
    put(
        &workspace,
        "c.parquet",
        vec![("id", text(&["0", "007"])), ("x", numbers(&[7.0, 8.0]))],
    );
    run(&workspace).expect(0);
    let expected = [
        ["-5", "3"],
        ["-9223372036854775808", "9"],
        ["0", "5"],
        ["007", "17"],
        ["18446744073709551615", "13"],
        ["7", "7"],
    ];
    assert_eq!(published(&workspace), expected);
    let message = "an earlier record of the input has the same id";
    let expected = [
        ["4", "7", "read", "duplicate_id", "NULL", message],
        ["6", "0", "read", "duplicate_id", "NULL", message],
    ];
    assert_eq!(dead_letters(&workspace), expected);
}

/// Two files in shards of two; `a` repeats within a shard, `b` across shards, `c` across files.
fn put_duplicates(workspace: &Workspace) {
    let columns = vec![
        ("id", text(&["a", "a", "b", "c", "b"])),
        ("x", numbers(&[0.0, 1.0, 2.0, 3.0, 4.0])),
    ];
    put(workspace, "a.parquet", columns);
    let columns = vec![
        ("id", text(&["c", "d", "a"])),
        ("x", numbers(&[5.0, 6.0, 7.0])),
    ];
    put(workspace, "b.parquet", columns);
}

#[test]
fn of_records_with_one_id_the_first_is_scored_and_the_others_are_outside_the_limit() {
    let workspace = workspace(
        "",
        "[errors]\nmax_dead_letters = 0\n[run]\nshard_size = 2\n",
    );
    put_duplicates(&workspace);
    run(&workspace).expect(0);
    let expected = [["a", "1"], ["b", "5"], ["c", "7"], ["d", "13"]];
    assert_eq!(published(&workspace), expected);
    let message = "an earlier record of the input has the same id";
    let expected = [("1", "a"), ("4", "b"), ("5", "c"), ("7", "a")]
        .map(|(at, id)| [at, id, "read", "duplicate_id", "NULL", message]);
    assert_eq!(dead_letters(&workspace), expected);
    assert_eq!(report(&workspace)["counts"]["duplicates"], 4);
    verifies(&workspace);
}

#[test]
fn a_duplicate_does_not_take_the_place_of_a_rejected_first_record() {
    let workspace = workspace("missing = \"reject\"", ALL_MAY_FAIL);
    let columns = vec![
        ("id", text(&["a", "a"])),
        ("x", optional(&[None, Some(1.0)])),
    ];
    put(&workspace, "a.parquet", columns);
    run(&workspace).expect(0);
    assert!(published(&workspace).is_empty());
    let codes: Vec<String> = dead_letters(&workspace)
        .into_iter()
        .map(|letter| letter[3].clone())
        .collect();
    assert_eq!(codes, ["missing_value", "duplicate_id"]);
}

#[test]
fn duplicates_may_be_refused_with_the_place_of_the_first() {
    let workspace = workspace("", "[errors]\nduplicates = \"fail\"\n");
    put_duplicates(&workspace);
    run(&workspace).expect(65).says(&[
        "4 records repeat the id of an earlier one",
        "a.parquet row 1",
        "hint: [errors] duplicates = \"first\"",
    ]);
    nothing_was_planned(&workspace);
}

/// Ten records of distinct ids, the last `bad` of them missing, and two duplicates.
fn put_missing(workspace: &Workspace, bad: usize) {
    let ids: Vec<String> = (0..10).map(|index| format!("r{index}")).collect();
    let mut ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    ids.extend(["r0", "r1"]);
    let mut xs = vec![Some(1.0); 10 - bad];
    xs.resize(10, None);
    xs.extend([Some(1.0); 2]);
    put(
        workspace,
        "a.parquet",
        vec![("id", text(&ids)), ("x", optional(&xs))],
    );
}

#[track_caller]
fn limit_holds(limit: &str, within: usize) {
    let job = format!("[errors]\nmax_dead_letters = {limit}\n");
    let good = workspace("missing = \"reject\"", &job);
    put_missing(&good, within);
    run(&good).expect(0);
    assert_eq!(published(&good).len(), 10 - within);

    let withheld = workspace("missing = \"reject\"", &job);
    put_missing(&withheld, within + 1);
    for _start in 0..2 {
        let ended = run(&withheld).expect(65);
        assert!(ended.stdout.contains("withheld") || ended.stdout.contains("WITHHELD"));
        nothing_is_visible(&withheld);
        assert_eq!(withheld.value("SELECT count(*) FROM runs"), "1");
        assert_eq!(withheld.value("SELECT publication FROM runs"), "withheld");
    }
    let explanation = report(&withheld)["outcome"]["explanation"].to_string();
    for word in [
        &format!("{} of 10 records", within + 1),
        limit.trim_matches('"'),
        "missing_value",
        "column `x`",
    ] {
        assert!(explanation.contains(word), "{word}: {explanation}");
    }
    verifies(&withheld);
}

#[test]
fn past_a_count_of_dead_letters_the_run_is_withheld_and_a_restart_says_the_same() {
    limit_holds("2", 2);
}

#[test]
fn past_a_share_of_dead_letters_the_run_is_withheld_and_a_restart_says_the_same() {
    limit_holds("\"30%\"", 3);
}

#[test]
fn a_withheld_run_says_why_where_errors_are_looked_for() {
    let workspace = workspace("missing = \"reject\"", "");
    put_missing(&workspace, 1);
    for _start in 0..2 {
        let words = ["dead letters", "the limit is 1%", "missing_value"];
        run(&workspace).expect(65).says(&words);
    }
}

/// Postgres holds no U+0000: such an id costs its record, on either database.
#[test]
fn an_id_with_the_character_zero_is_a_dead_letter_in_both_databases() {
    for results in Results::in_each() {
        let bundle = results.workspace.path("bundle");
        linear_bundle(&bundle, &[("x", 2.0)], 1.0, "");
        results
            .workspace
            .write("job.toml", simple_job(ALL_MAY_FAIL));
        let rows = batch(vec![
            ("id", text(&["a", "b\0c", "d"])),
            ("x", optional(&[Some(1.0), Some(2.0), Some(3.0)])),
        ]);
        write_parquet(&results.workspace.path("input/a.parquet"), &rows, 10);
        results
            .lamplighter(&["run", "job.toml", "--date", "2026-11-23"])
            .expect(0);
        assert_eq!(
            results.query("SELECT ordinal, record_id, stage, code FROM dead_letters"),
            [["1", "b\u{FFFD}c", "read", "invalid_id"]]
        );
        assert_eq!(
            results.query("SELECT record_id FROM predictions ORDER BY record_id"),
            [["a"], ["d"]]
        );
        results.verify();
    }
}
