use std::fs::File;
use std::sync::Arc;

use arrow::array::{
    BinaryArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Int32Array,
    LargeStringArray, ListBuilder, NullArray, StringBuilder, TimestampMillisecondArray,
    TimestampNanosecondArray, UInt32Array, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{Field, Int32Type};
use parquet::arrow::ArrowWriter;

use super::*;
use crate::error::{Class, classify, hint};

fn written(columns: Vec<(&str, ArrayRef)>) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    let file = File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    (folder, path)
}

fn rows(columns: Vec<(&str, ArrayRef)>) -> anyhow::Result<Vec<(String, String)>> {
    let (_folder, path) = written(columns);
    let mut rows = Vec::new();
    for_each_row(&path, "id", &mut |row| {
        assert_eq!(row.number, rows.len() as u64 + 1);
        rows.push((row.record_id, row.object));
        Ok(())
    })?;
    Ok(rows)
}

/// What becomes of the values of one column.
fn cells(array: ArrayRef) -> Vec<String> {
    let ids: Int32Array = (0..array.len() as i32).collect();
    let rows = rows(vec![("x", array), ("id", Arc::new(ids))]).unwrap();
    let objects = rows.into_iter().map(|(_, object)| object);
    objects
        .map(|object| {
            let cell = object.strip_prefix("{\"x\":").unwrap();
            cell.strip_suffix('}').unwrap().to_owned()
        })
        .collect()
}

#[test]
fn every_type_has_its_form() {
    let decimals = Decimal128Array::from(vec![Some(1230), Some(-5), Some(0), None])
        .with_precision_and_scale(10, 2)
        .unwrap();
    let dictionary: DictionaryArray<Int32Type> = vec![Some("a\"b"), None].into_iter().collect();
    let in_utc = TimestampMillisecondArray::from(vec![1_795_410_000_500]).with_timezone("UTC");
    let expected: Vec<(ArrayRef, &[&str])> = vec![
        (
            Arc::new(Int32Array::from(vec![Some(-7), None])),
            &["-7", "null"],
        ),
        (
            Arc::new(UInt64Array::from(vec![u64::MAX])),
            &["18446744073709551615"],
        ),
        (Arc::new(UInt32Array::from(vec![u32::MAX])), &["4294967295"]),
        (
            Arc::new(Float64Array::from(vec![0.1, 7.0, -0.0, 1e300, f64::NAN])),
            &["0.1", "7.0", "-0.0", "1e300", "null"],
        ),
        (
            Arc::new(Float64Array::from(vec![f64::INFINITY, f64::NEG_INFINITY])),
            &["1e999", "-1e999"],
        ),
        (
            Arc::new(Float32Array::from(vec![0.5, 0.1])),
            &["0.5", "0.10000000149011612"],
        ),
        (Arc::new(decimals), &["12.30", "-0.05", "0.00", "null"]),
        (
            Arc::new(BooleanArray::from(vec![true, false])),
            &["true", "false"],
        ),
        (Arc::new(LargeStringArray::from(vec!["é\n"])), &["\"é\\n\""]),
        (Arc::new(dictionary), &["\"a\\\"b\"", "null"]),
        (Arc::new(NullArray::new(1)), &["null"]),
        (
            Arc::new(Date32Array::from(vec![20_780, -1])),
            &["\"2026-11-23\"", "\"1969-12-31\""],
        ),
        (Arc::new(in_utc), &["\"2026-11-23T05:00:00.5Z\""]),
        (
            Arc::new(TimestampNanosecondArray::from(vec![1, -1_000_000_000])),
            &[
                "\"1970-01-01T00:00:00.000000001\"",
                "\"1969-12-31T23:59:59\"",
            ],
        ),
    ];
    for (array, expected) in expected {
        assert_eq!(cells(array), expected);
    }
}

#[test]
fn lists_become_arrays() {
    let stock = || {
        let lists = vec![
            Some(vec![Some(10), None]),
            Some(vec![]),
            None,
            Some(vec![Some(-7)]),
        ];
        ListArray::from_iter_primitive::<Int64Type, _, _>(lists)
    };
    let expected = ["[10,null]", "[]", "null", "[-7]"];
    assert_eq!(cells(Arc::new(stock())), expected);
    // As some writers have them.
    let large = DataType::LargeList(Arc::new(Field::new_list_field(DataType::Int64, true)));
    assert_eq!(cells(cast(&stock(), &large).unwrap()), expected);
    let pairs = DataType::FixedSizeList(Arc::new(Field::new_list_field(DataType::Int64, true)), 2);
    let pair = cast(&stock().slice(0, 1), &pairs).unwrap();
    assert_eq!(cells(pair), expected[..1]);
    let mut texts = ListBuilder::new(StringBuilder::new());
    texts.append_value([Some("a\"b"), Some("")]);
    assert_eq!(cells(Arc::new(texts.finish())), ["[\"a\\\"b\",\"\"]"]);
    let nested = DataType::List(Arc::new(Field::new_list_field(
        stock().data_type().clone(),
        true,
    )));
    let error = rows(vec![
        ("id", Arc::new(Int32Array::from(vec![1]))),
        ("x", new_null_array(&nested, 1)),
    ])
    .unwrap_err();
    assert!(
        error.to_string().contains("which can not be queued"),
        "{error:#}"
    );
}

#[test]
fn ids_are_text_or_integers() {
    let id: ArrayRef = Arc::new(StringArray::from(vec!["007", "b"]));
    let x: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    let pair = |id: &str, object: &str| (id.to_owned(), object.to_owned());
    assert_eq!(
        rows(vec![("id", id), ("x", x)]).unwrap(),
        [pair("007", "{\"x\":1}"), pair("b", "{\"x\":2}")]
    );
    let alone: ArrayRef = Arc::new(Int64Array::from(vec![-3]));
    assert_eq!(rows(vec![("id", alone)]).unwrap(), [pair("-3", "{}")]);
}

#[test]
fn rows_are_numbered_through_all_batches() {
    let ids: Int64Array = (0..3_000).collect();
    let rows = rows(vec![("id", Arc::new(ids))]).unwrap();
    assert_eq!(rows.len(), 3_000);
    assert_eq!(rows[2_999].0, "2999");
}

#[test]
fn what_can_not_be_pushed_is_refused_by_name() {
    let id = || -> ArrayRef { Arc::new(Int32Array::from(vec![Some(1), None])) };
    let blobs: ArrayRef = Arc::new(BinaryArray::from(vec![b"a".as_ref(), b"b"]));
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0]));
    let beyond: ArrayRef = Arc::new(Date32Array::from(vec![i32::MAX, 0]));
    for (columns, part) in [
        (
            vec![("id", id()), ("photo", blobs)],
            "a.parquet: column `photo` is of type Binary, which can not be queued",
        ),
        (
            vec![("id", floats)],
            "a.parquet: column `id` is of type Float64, but it must hold text or integers",
        ),
        (
            vec![("ident", id())],
            "a.parquet has no column `id` for the ids; its columns are ident",
        ),
        (
            vec![("id", id())],
            "a.parquet, row 2, column `id`: the record has no id",
        ),
        (
            vec![("id", id()), ("day", beyond)],
            "a.parquet, row 1, column `day`: the date is beyond the year 9999",
        ),
    ] {
        let error = rows(columns).unwrap_err();
        assert_eq!(classify(&error), Class::Data);
        assert!(format!("{error:#}").contains(part), "{error:#}");
    }
}

#[test]
fn a_damaged_file_is_data() {
    let (_folder, path) = written(vec![("id", Arc::new(Int64Array::from(vec![1])))]);
    let whole = std::fs::read(&path).unwrap();
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = for_each_row(&path, "id", &mut |_| Ok(())).unwrap_err();
        assert_eq!(classify(&error), Class::Data, "{error:#}");
        assert!(hint(&error).is_some());
    }
}
