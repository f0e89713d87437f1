use std::fs;
use std::sync::Arc;

use arrow::array::{BooleanArray, Float64Array, StringArray};

use super::{check, records, records_of, workspace};
use crate::harness::{batch, write_parquet};

#[test]
fn a_column_that_is_missing_is_named_and_the_rest_is_looked_at() {
    let workspace = workspace("");
    let ids = StringArray::from_iter_values((0..3).map(|row| format!("r{row}")));
    let numbers = Float64Array::from(vec![1.0; 3]);
    let rows = batch(vec![("id", Arc::new(ids)), ("y", Arc::new(numbers))]);
    write_parquet(&workspace.path("input/1.parquet"), &rows, 5);
    check(&workspace, &[])
        .only(65, &["columns"])
        .failed(
            "input",
            "columns",
            65,
            &["input/1.parquet", "no column `x`"],
        )
        .passed("input", "source", &["1 file", "3 records"])
        .passed("input", "min_rows", &["3 records, at least 1"])
        .is("input", "ids", "not_looked_at", &["`columns`"])
        .is("input", "records", "not_looked_at", &[])
        .is("host", "memory", "not_looked_at", &[])
        .passed("model", "bundle", &["linear 1, 2 parameters, 1 feature"])
        .passed("host", "clock", &[]);
}

#[test]
fn a_column_of_the_wrong_type_is_named() {
    let workspace = workspace("");
    let texts = StringArray::from(vec!["1.5"; 12]);
    let ids = (0..12).map(|row| Some(format!("r{row}"))).collect();
    records_of(&workspace, ids, Arc::new(texts));
    let words = ["column `x` is of type Utf8", "must hold integers"];
    check(&workspace, &[])
        .only(65, &["columns"])
        .failed("input", "columns", 65, &words);
    // A boolean is a number.
    let flags = BooleanArray::from(vec![true; 12]);
    let ids = (0..12).map(|row| Some(format!("r{row}"))).collect();
    records_of(&workspace, ids, Arc::new(flags));
    check(&workspace, &[]).only(0, &[]);
}

#[test]
fn ids_that_repeat_or_are_not_there_are_counted() {
    let workspace = workspace("");
    let id = |id: &str| Some(id.to_owned());
    let ids = vec![id("a"), id("b"), None, id("a"), None, id("a")];
    let numbers = Float64Array::from(vec![1.0; 6]);
    records_of(&workspace, ids, Arc::new(numbers.clone()));
    let more = ["--set", "errors.max_dead_letters=2"];
    let found = check(&workspace, &more);
    let counted = "of all 6 records, 2 without an id and 2 with a repeated one";
    found
        .only(0, &[])
        .passed("input", "ids", &[counted, ": 4 dead letters"]);
    // Those without an id are judged as a run judges them.
    for limit in ["1", "49%"] {
        let limit = format!("errors.max_dead_letters={limit}");
        let found = check(&workspace, &["--set", &limit]);
        assert_eq!(found.ended.code, Some(65));
        found.failed("input", "ids", 65, &[counted, "max_dead_letters"]);
        assert!(found.mend("input", "ids").contains("id_column = "));
    }
    check(&workspace, &["--set", "errors.max_dead_letters=50%"]).passed("input", "ids", &[]);
    let fail = ["--set", "errors.duplicates=fail"];
    check(&workspace, &[&more[..], &fail].concat())
        .only(65, &["ids"])
        .failed("input", "ids", 65, &[counted, "duplicates = \"fail\""]);
    for (ids, code_of_fail) in [
        (vec![id("a"), id("b"), id("a")], 65),
        (vec![id("a"), id("b"), None], 0),
    ] {
        records_of(&workspace, ids, Arc::new(Float64Array::from(vec![1.0; 3])));
        for (arguments, code) in [
            (more.to_vec(), 0),
            ([&more[..], &fail].concat(), code_of_fail),
        ] {
            let found = check(&workspace, &arguments);
            assert_eq!(found.ended.code, Some(code), "{}", found.ended);
            // What it says is what a run does.
            let run = ["run", "job.toml", "--date", "2026-11-20"];
            let database = format!("sqlite://{}.db", arguments.len());
            let database = ["--database", &database, "--rescore", "--reason", "a test"];
            workspace
                .lamplighter(&[&run[..], &arguments, &database].concat())
                .expect(code);
        }
    }
    let ids = vec![id("a"), id("b"), None, id("a"), None, id("a")];
    records_of(&workspace, ids, Arc::new(numbers));
    // What the filter drops has no need of an id of its own.
    let filter = ["--set", "source.filter=id = 'b'"];
    check(&workspace, &filter).only(0, &[]).passed(
        "input",
        "records",
        &["of the first 6, 1 scored, 5 filtered"],
    );
}

#[test]
fn a_hundred_thousand_ids_are_looked_at_and_not_more() {
    let workspace = workspace("");
    let ids = (0..100_010).map(|row| Some(format!("r{}", row % 100_000)));
    let numbers = Float64Array::from(vec![1.0; 100_010]);
    records_of(&workspace, ids.collect(), Arc::new(numbers));
    check(&workspace, &[])
        .only(0, &[])
        .passed("input", "source", &["100,010 records"])
        .passed(
            "input",
            "ids",
            &["of the first 100,000 records, 0 without an id"],
        )
        .passed("input", "records", &["of the first 1,000, 1,000 scored"]);
}

#[test]
fn records_that_would_be_dead_letters_are_told_by_code_and_column() {
    let workspace = workspace("");
    let numbers = [Some(1.0), None, Some(f64::INFINITY), None, Some(2.0)];
    records(&workspace, numbers.to_vec());
    let found = check(&workspace, &[]);
    found.only(65, &["records"]).failed(
        "input",
        "records",
        65,
        &[
            "2 scored",
            "3 dead letters",
            "missing_value x 2, not_finite x 1",
            "max_dead_letters",
        ],
    );
    let mend = found.mend("input", "records");
    assert!(
        mend.starts_with("lamplighter run job.toml --limit 1000"),
        "{mend}"
    );
    check(&workspace, &["--set", "errors.max_dead_letters=60%"])
        .only(0, &[])
        .passed("input", "records", &["3 dead letters"]);
    check(&workspace, &["--set", "errors.max_dead_letters=2"]).only(65, &["records"]);
}

#[test]
fn no_input_is_66_and_so_is_too_little() {
    let workspace = workspace("");
    let more = [
        "--set",
        "source.path=input/{date}/*.parquet",
        "--date",
        "2026-01-01",
    ];
    let found = check(&workspace, &more);
    assert_eq!(
        found.mend("input", "source"),
        "ls -l input/2026-01-01/*.parquet"
    );
    found
        .only(66, &["source"])
        .failed("input", "source", 66, &["input/2026-01-01/*.parquet"])
        .is("input", "min_rows", "not_looked_at", &["`source`"])
        .passed("job", "date in source", &["input/{date}/*.parquet"])
        .passed("database", "writer", &[]);
    let found = check(&workspace, &["--set", "source.min_rows=13"]);
    found
        .only(66, &["min_rows"])
        .failed("input", "min_rows", 66, &["12 records", "13"])
        .passed("input", "records", &["12 scored"]);
    assert!(found.mend("input", "min_rows").starts_with("min_rows = 12"));
}

#[test]
fn an_announcement_that_is_not_there_yet_is_75() {
    let workspace = workspace("");
    let more = [
        "--date",
        "2026-01-01",
        "--set",
        "source.wait_for=input/{date}/_SUCCESS",
    ];
    let found = check(&workspace, &more);
    found.only(75, &["wait_for"]).failed(
        "input",
        "wait_for",
        75,
        &["input/2026-01-01/_SUCCESS", "not there"],
    );
    assert_eq!(
        found.mend("input", "wait_for"),
        "touch input/2026-01-01/_SUCCESS"
    );
    workspace.write("input/2026-01-01/_SUCCESS", "");
    check(&workspace, &more)
        .only(0, &[])
        .passed("input", "wait_for", &["_SUCCESS is there"]);
}

#[test]
fn a_damaged_file_and_sql_that_is_none_are_told() {
    let workspace = workspace("");
    check(&workspace, &["--set", "source.filter=x >"])
        .only(78, &["columns"])
        .failed("input", "columns", 78, &["filter"]);
    let mut bytes = fs::read(workspace.path("input/1.parquet")).expect("records");
    let middle = 8;
    bytes[middle..middle + 40].fill(0xff);
    workspace.write("input/1.parquet", bytes);
    let found = check(&workspace, &[]);
    found.passed("input", "source", &[]);
    found.failed("input", "ids", 65, &["input/1.parquet"]);
    assert_eq!(found.ended.code, Some(65));
}

#[test]
fn all_bytes_are_hashed_by_runs_alone() {
    let workspace = workspace("");
    check(&workspace, &["--set", "source.strict_input=true"]).only(0, &[]);
}
