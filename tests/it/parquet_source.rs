//! Parquet as teams write it: every record once, with the value that it must get, or a refusal
//! that names the file.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use arrow::array::*;
use arrow::compute::cast;
use arrow::datatypes::DataType;

use crate::harness::{Ended, Workspace, batch, linear_bundle, simple_job, write_parquet};

const BIAS: f32 = 0.25;

/// A workspace whose bundle predicts `0.25 + 2a + b/2`, and a job on `path`.
pub fn workspace(path: &str) -> Workspace {
    let workspace = Workspace::new();
    linear_bundle(
        &workspace.path("bundle"),
        &[("a", 2.0), ("b", 0.5)],
        BIAS,
        "missing = \"reject\"",
    );
    let job = simple_job("[run]\nshard_size = 7\nbatch_size = 3\n");
    workspace.write("job.toml", job.replace("input/*.parquet", path));
    workspace
}

pub fn expected(a: f64, b: f64) -> f64 {
    f64::from(BIAS) + 2.0 * a + b / 2.0
}

pub fn a_of(index: i64) -> f64 {
    index as f64
}

pub fn b_of(index: i64) -> f64 {
    (index % 5) as f64 * 0.5
}

/// Records `first..first + count`: id `r{index}`.
pub fn records(first: i64, count: i64) -> RecordBatch {
    let indices = || first..first + count;
    batch(vec![
        ("id", texts(indices().map(|index| format!("r{index}")))),
        (
            "a",
            Arc::new(Float64Array::from_iter_values(indices().map(a_of))),
        ),
        (
            "b",
            Arc::new(Float64Array::from_iter_values(indices().map(b_of))),
        ),
    ])
}

pub fn texts(values: impl IntoIterator<Item = impl AsRef<str>>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

pub fn floats(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

/// Everything that consumers see: `(id, ordinal, value)` by ordinal.
pub fn published(workspace: &Workspace) -> Vec<(String, i64, f64)> {
    let rows = workspace.query(
        "SELECT view.record_id, prediction.ordinal, printf('%!.17g', view.value)
         FROM predictions_latest AS view JOIN predictions AS prediction
           ON prediction.run_id = view.run_id AND prediction.record_id = view.record_id
         ORDER BY prediction.ordinal",
    );
    rows.into_iter()
        .map(|row| {
            let number = row[2].parse().expect("a value");
            (row[0].clone(), row[1].parse().expect("an ordinal"), number)
        })
        .collect()
}

/// Checks that exactly the records `indices` of [`records`] are published, in this order, each
/// with its value.
#[track_caller]
pub fn assert_published(workspace: &Workspace, indices: impl IntoIterator<Item = i64>) {
    let expected: Vec<_> = (0..)
        .zip(indices)
        .map(|(ordinal, index)| {
            let value = expected(a_of(index), b_of(index));
            (format!("r{index}"), ordinal, value)
        })
        .collect();
    assert_eq!(published(workspace), expected);
}

pub fn run(workspace: &Workspace) -> Ended {
    workspace.lamplighter(&["run", "job.toml", "--date", "2026-11-23"])
}

#[test]
fn every_record_is_scored_once_however_row_groups_shards_and_batches_lie() {
    for row_group_rows in [1, 5, 7, 20, 1000] {
        let workspace = workspace("input/*.parquet");
        write_parquet(
            &workspace.path("input/1.parquet"),
            &records(0, 23),
            row_group_rows,
        );
        write_parquet(
            &workspace.path("input/2.parquet"),
            &records(23, 1),
            row_group_rows,
        );
        write_parquet(
            &workspace.path("input/3.parquet"),
            &records(24, 40),
            row_group_rows,
        );
        run(&workspace).expect(0);
        assert_published(&workspace, 0..64);
        workspace.lamplighter(&["runs", "verify"]).expect(0);
    }
}

#[test]
fn a_file_a_directory_and_a_glob_are_read() {
    for (path, indices) in [
        ("input/b.parquet", vec![10, 11]),
        ("input", vec![0, 1, 10, 11, 20, 21]),
        ("input/", vec![0, 1, 10, 11, 20, 21]),
        ("input/*.parquet", vec![0, 1, 10, 11]),
        ("input/**/*.parquet", vec![0, 1, 10, 11, 20, 21]),
        ("input/[ac].parquet", vec![0, 1]),
        ("./input/?.parquet", vec![0, 1, 10, 11]),
    ] {
        let workspace = workspace(path);
        // Written in an order that is not the order of their names.
        for (name, first) in [("sub/c", 20), ("b", 10), ("a", 0)] {
            let file = workspace.path(&format!("input/{name}.parquet"));
            write_parquet(&file, &records(first, 2), 5);
        }
        run(&workspace).expect(0);
        assert_published(&workspace, indices);
    }
}

#[test]
fn a_file_whose_name_looks_like_a_pattern_is_read_as_it_is() {
    let workspace = workspace("input/day[1] *.parquet");
    let file = workspace.path("input/day[1] *.parquet");
    write_parquet(&file, &records(0, 3), 5);
    write_parquet(&workspace.path("input/day1 x.parquet"), &records(10, 3), 5);
    run(&workspace).expect(0);
    assert_published(&workspace, 0..3);
}

#[test]
fn the_date_stands_in_the_path() {
    for (path, file) in [
        ("input/{date}.parquet", "input/2026-11-23.parquet"),
        ("input/{date}/*.parquet", "input/2026-11-23/x.parquet"),
        ("in/{date:%Y%m%d}/*.parquet", "in/20261123/x.parquet"),
        ("in/{date:%Y/%m}/{date:%d}", "in/2026/11/23/x.parquet"),
    ] {
        let workspace = workspace(path);
        write_parquet(&workspace.path(file), &records(0, 3), 5);
        run(&workspace).expect(0);
        assert_published(&workspace, 0..3);
        let other = ["run", "job.toml", "--date", "2026-11-24"];
        workspace.lamplighter(&other).expect(66);
    }
}

#[test]
fn ordinals_run_through_the_files_in_the_order_of_their_names() {
    let workspace = workspace("input/**/*.parquet");
    // As text "10" comes before "9".
    for (name, first) in [("9", 30), ("10", 0), ("9/x", 20), ("10/x", 10)] {
        let file = workspace.path(&format!("input/{name}.parquet"));
        write_parquet(&file, &records(first, 2), 5);
    }
    run(&workspace).expect(0);
    assert_published(&workspace, [0, 1, 10, 11, 30, 31, 20, 21]);
}

#[test]
fn files_without_rows_stand_among_others() {
    let workspace = workspace("input/*.parquet");
    for (name, first, count) in [
        ("1", 0, 0),
        ("2", 0, 9),
        ("3", 0, 0),
        ("4", 0, 0),
        ("5", 9, 2),
        ("6", 0, 0),
    ] {
        let file = workspace.path(&format!("input/{name}.parquet"));
        write_parquet(&file, &records(first, count), 5);
    }
    run(&workspace).expect(0);
    assert_published(&workspace, 0..11);
}

#[test]
fn no_file_or_no_row_is_no_input() {
    let workspace = workspace("input/*.parquet");
    run(&workspace).expect(66).says(&["input/*.parquet"]);
    write_parquet(&workspace.path("input/1.parquet"), &records(0, 0), 5);
    run(&workspace).expect(66).says(&["min_rows"]);
    assert_eq!(workspace.value("SELECT count(*) FROM runs"), "0");
}

#[test]
fn other_files_of_a_directory_are_left_alone() {
    let workspace = workspace("input");
    write_parquet(&workspace.path("input/1.parquet"), &records(0, 3), 5);
    workspace.write("input/_SUCCESS", "");
    workspace.write("input/notes.txt", "not Parquet");
    workspace.write("input/1.parquet.crc", "not Parquet");
    workspace.write("input/2.parquet.tmp", "not Parquet");
    run(&workspace).expect(0);
    assert_published(&workspace, 0..3);
}

/// What is being written, or copied by rsync or a Mac, has a name that begins with a dot; Spark
/// writes below `_temporary`.
#[test]
fn unfinished_and_hidden_files_of_a_directory_are_no_input() {
    let workspace = workspace("input");
    write_parquet(&workspace.path("input/1.parquet"), &records(0, 3), 5);
    for name in [
        ".2.parquet",
        "._1.parquet",
        "_temporary/0/part.parquet",
        ".x/3.parquet",
    ] {
        workspace.write(&format!("input/{name}"), "half a file");
    }
    run(&workspace).expect(0);
    assert_published(&workspace, 0..3);
}

#[test]
fn a_glob_does_not_mean_hidden_files_as_in_a_shell() {
    let workspace = workspace("input/*.parquet");
    write_parquet(&workspace.path("input/1.parquet"), &records(0, 3), 5);
    workspace.write("input/.2.parquet", "half a file");
    run(&workspace).expect(0);
    assert_published(&workspace, 0..3);
}

#[test]
fn what_is_no_parquet_is_refused_by_name() {
    for content in [
        &b""[..],
        b"PAR1",
        b"id,a,b\nr1,1,2\n",
        b"PAR1 and then no footer PAR1",
    ] {
        let workspace = workspace("input/*.parquet");
        write_parquet(&workspace.path("input/1.parquet"), &records(0, 3), 5);
        workspace.write("input/2.parquet", content);
        run(&workspace).expect(65).says(&["input/2.parquet"]);
        assert_eq!(workspace.value("SELECT count(*) FROM runs"), "0");
    }
}

#[test]
fn columns_are_matched_by_name() {
    let workspace = workspace("input/*.parquet");
    let rows = records(0, 9);
    let [id, a, b] = ["id", "a", "b"].map(|name| rows.column_by_name(name).expect("it").clone());
    let part = |from| [&id, &a, &b].map(|column| column.slice(from, 3));
    let more: ArrayRef = Arc::new(BooleanArray::from(vec![true; 3]));
    let [id1, a1, b1] = part(0);
    let [id2, a2, b2] = part(3);
    let [id3, a3, b3] = part(6);
    let files = [
        batch(vec![("id", id1), ("a", a1), ("b", b1)]),
        batch(vec![("b", b2), ("id", id2), ("a", a2)]),
        batch(vec![
            ("more", more.clone()),
            ("a", a3),
            ("A", more),
            ("id", id3),
            ("b", b3),
        ]),
    ];
    for (index, file) in files.iter().enumerate() {
        write_parquet(&workspace.path(&format!("input/{index}.parquet")), file, 2);
    }
    run(&workspace).expect(0);
    assert_published(&workspace, 0..9);
}

#[test]
fn types_that_differ_harmlessly_are_widened() {
    let types = [
        DataType::Float64,
        DataType::Float32,
        DataType::Float16,
        DataType::Int64,
        DataType::Int32,
        DataType::Int16,
        DataType::Int8,
        DataType::UInt64,
        DataType::UInt32,
        DataType::UInt16,
        DataType::UInt8,
        DataType::Decimal128(12, 3),
        DataType::Decimal256(40, 1),
        DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Float32)),
    ];
    let workspace = workspace("input/*.parquet");
    let count = types.len() as i64;
    for (index, data_type) in (0..).zip(&types) {
        let ids = texts([format!("r{index}")]);
        let a = cast(&floats(&[a_of(index)]), data_type).expect("a type that holds small numbers");
        let file = workspace.path(&format!("input/{index:02}.parquet"));
        let b = floats(&[b_of(index)]);
        write_parquet(&file, &batch(vec![("id", ids), ("a", a), ("b", b)]), 5);
    }
    let truths: ArrayRef = Arc::new(BooleanArray::from(vec![true, false]));
    let rows = batch(vec![
        ("id", texts(["yes", "no"])),
        ("a", truths),
        ("b", floats(&[0.0, 0.0])),
    ]);
    write_parquet(&workspace.path("input/99.parquet"), &rows, 5);
    run(&workspace).expect(0);
    let mut found = published(&workspace);
    let (_, _, no) = found.pop().expect("a record");
    let (_, _, yes) = found.pop().expect("a record");
    assert_eq!((yes, no), (expected(1.0, 0.0), expected(0.0, 0.0)));
    assert_eq!(found.len(), types.len());
    for ((_, _, value), index) in found.iter().zip(0..count) {
        assert_eq!(
            *value,
            expected(a_of(index), b_of(index)),
            "{:?}",
            types[index as usize]
        );
    }
}

#[test]
fn text_is_text_however_it_is_stored() {
    let plain = ["é1", "", "日本", "🦀", " x "];
    let types = [
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Utf8View,
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        DataType::Dictionary(Box::new(DataType::UInt8), Box::new(DataType::LargeUtf8)),
    ];
    let workspace = workspace("input/*.parquet");
    for (index, data_type) in types.iter().enumerate() {
        let ids = texts(plain.map(|text| format!("{text}{index}")));
        let ids = cast(&ids, data_type).expect("text");
        let numbers = floats(&[1.0; 5]);
        let rows = batch(vec![("id", ids), ("a", numbers.clone()), ("b", numbers)]);
        write_parquet(&workspace.path(&format!("input/{index}.parquet")), &rows, 2);
    }
    run(&workspace).expect(0);
    let found: Vec<String> = published(&workspace).into_iter().map(|row| row.0).collect();
    let wanted: Vec<String> = (0..types.len())
        .flat_map(|index| plain.map(|text| format!("{text}{index}")))
        .collect();
    assert_eq!(found, wanted);
}

#[test]
fn integer_ids_are_canonical_text_and_meet_text_as_duplicates() {
    let workspace = workspace("input/*.parquet");
    let files: [ArrayRef; 4] = [
        Arc::new(Int64Array::from(vec![i64::MIN, -1, 0, 7])),
        Arc::new(UInt64Array::from(vec![u64::MAX, 7, 8, 9])),
        texts(["8", "007", "1e3", "-1"]),
        Arc::new(Int8Array::from(vec![10, 11, 12, 0])),
    ];
    for (index, ids) in files.into_iter().enumerate() {
        let numbers = floats(&[1.0; 4]);
        let rows = batch(vec![("id", ids), ("a", numbers.clone()), ("b", numbers)]);
        write_parquet(&workspace.path(&format!("input/{index}.parquet")), &rows, 3);
    }
    run(&workspace).expect(0);
    let found: Vec<(String, i64)> = published(&workspace)
        .into_iter()
        .map(|(id, ordinal, _)| (id, ordinal))
        .collect();
    let wanted = [
        ("-9223372036854775808", 0),
        ("-1", 1),
        ("0", 2),
        ("7", 3),
        ("18446744073709551615", 4),
        ("8", 6),
        ("9", 7),
        ("007", 9),
        ("1e3", 10),
        ("10", 12),
        ("11", 13),
        ("12", 14),
    ];
    assert_eq!(found, wanted.map(|(id, ordinal)| (id.to_owned(), ordinal)));
    let letters =
        workspace.query("SELECT ordinal, record_id, code FROM dead_letters ORDER BY ordinal");
    let duplicates = [("5", "7"), ("8", "8"), ("11", "-1"), ("15", "0")];
    assert_eq!(
        letters,
        duplicates.map(|(ordinal, id)| vec![ordinal, id, "duplicate_id"])
    );
}

#[test]
fn names_of_columns_may_be_any_text() {
    let workspace = Workspace::new();
    let columns = ["größe", "цена (₽)", "a.b", "with space"];
    let weights: Vec<(&str, f32)> = columns.into_iter().zip([1.0, 2.0, 4.0, 8.0]).collect();
    linear_bundle(&workspace.path("bundle"), &weights, 0.0, "");
    workspace.write("job.toml", simple_job("").replace("\"id\"", "\"identité\""));
    let rows = batch(vec![
        ("identité", texts(["ø", "ß"])),
        ("größe", floats(&[1.0, 0.0])),
        ("цена (₽)", floats(&[1.0, 0.0])),
        ("a.b", floats(&[0.0, 1.0])),
        ("with space", floats(&[0.0, 1.0])),
    ]);
    write_parquet(&workspace.path("input/1.parquet"), &rows, 5);
    run(&workspace).expect(0);
    let wanted = [("ø".to_owned(), 0, 3.0), ("ß".to_owned(), 1, 12.0)];
    assert_eq!(published(&workspace), wanted);
}

/// A link that leads nowhere, where a directory of the input may have been.
#[test]
fn a_part_of_the_input_that_can_not_be_looked_at_is_told() {
    for (path, link) in [
        ("input", "input/b"),
        ("input", "input/a/deep"),
        ("input/**/*.parquet", "input/b"),
        ("input/*/*.parquet", "input/b"),
        ("input/*/part.parquet", "input/b"),
        ("input/*/x/../*.parquet", "input/b/x"),
        ("input/[b-z]/x/*.parquet", "input/b/x"),
    ] {
        let workspace = workspace(path);
        write_parquet(&workspace.path("input/a/part.parquet"), &records(0, 3), 5);
        write_parquet(&workspace.path("input/c/x/part.parquet"), &records(0, 3), 5);
        fs::create_dir_all(workspace.path(link).parent().expect("a parent")).expect("a directory");
        symlink("nowhere", workspace.path(link)).expect("a link");
        let ended = run(&workspace);
        assert!(matches!(ended.code, Some(66 | 74)), "{path}: {ended}");
        ended.says(&[&format!("cannot look at {link}: ")]);
        assert!(
            !workspace.path("lamplighter.db").exists()
                || workspace.value("SELECT count(*) FROM runs") == "0"
        );
        fs::remove_file(workspace.path(link)).expect("a link");
    }
}

#[test]
fn wildcards_of_directories_are_matched_name_by_name() {
    for (path, found) in [
        ("input/*/part.parquet", 0..2),
        ("input/[a]*/*.parquet", 0..2),
        ("./input/a*/p?rt.parquet", 0..2),
        ("*/a*/part.parquet", 0..2),
        ("input/*/part*", 0..2),
        ("input/.*/part.parquet", 2..3),
    ] {
        let workspace = workspace(path);
        write_parquet(&workspace.path("input/a1/part.parquet"), &records(0, 1), 5);
        write_parquet(&workspace.path("input/a2/part.parquet"), &records(1, 1), 5);
        write_parquet(&workspace.path("input/.h/part.parquet"), &records(2, 1), 5);
        workspace.write("input/file", "no directory");
        run(&workspace).expect(0);
        assert_published(&workspace, found);
    }
}

/// What is unfinished is not entered, whatever it leads to.
#[test]
fn links_of_what_is_unfinished_are_no_input() {
    let workspace = workspace("input");
    write_parquet(&workspace.path("input/a/1.parquet"), &records(0, 3), 5);
    symlink("nowhere", workspace.path("input/_x")).expect("a link");
    symlink("nowhere", workspace.path("input/.y")).expect("a link");
    symlink("a", workspace.path("input/_a")).expect("a link");
    run(&workspace).expect(0);
    assert_published(&workspace, 0..3);
}
