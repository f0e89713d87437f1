mod properties;

use arrow::array::{
    Array, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Float64Type, TimeUnit};

use super::*;
use crate::error::{Class, classify, hint};

fn record(payload: &str) -> QueueRecord {
    QueueRecord {
        record_id: "r1".to_owned(),
        payload: Some(payload.to_owned()),
    }
}

fn projected(uses: &[(&str, Purpose)], columns: &[(&str, ColumnType)]) -> Projection {
    let uses = uses
        .iter()
        .map(|(name, purpose)| ColumnUse::new(*name, *purpose));
    let columns = columns
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), *kind));
    projection(uses.collect(), &columns.collect()).unwrap()
}

/// The chunk of one payload whose only column but the id is `x`.
fn chunk_of(purpose: Purpose, declared: Option<ColumnType>, payload: &str) -> Chunk {
    let columns: Vec<_> = declared
        .map(|declared| ("x", declared))
        .into_iter()
        .collect();
    let projection = projected(&[("id", Purpose::Identity), ("x", purpose)], &columns);
    chunk(&projection, 7, &[record(payload)]).unwrap()
}

fn reason(purpose: Purpose, declared: Option<ColumnType>, value: &str) -> String {
    let chunk = chunk_of(purpose, declared, &format!("{{\"x\": {value}}}"));
    let unreadable = chunk
        .unreadable
        .get(&0)
        .expect("a record that can not be read");
    assert_eq!(unreadable.code, "wrong_type", "{value}");
    assert_eq!(unreadable.field.as_deref(), Some("x"), "{value}");
    assert!(chunk.rows.column(1).is_null(0), "{value}");
    unreadable.message.clone()
}

fn column(purpose: Purpose, declared: Option<ColumnType>, value: &str) -> arrow::array::ArrayRef {
    let chunk = chunk_of(purpose, declared, &format!("{{\"x\": {value}}}"));
    assert!(
        chunk.unreadable.is_empty(),
        "{value}: {:?}",
        chunk.unreadable
    );
    chunk.rows.column(1).clone()
}

fn number(value: &str) -> f64 {
    column(Purpose::Numeric, None, value)
        .as_primitive::<Float64Type>()
        .value(0)
}

fn category(value: &str) -> String {
    column(Purpose::Categorical, None, value)
        .as_string::<i32>()
        .value(0)
        .to_owned()
}

#[test]
fn columns_are_of_the_types_that_are_declared() {
    let projection = projected(
        &[
            ("id", Purpose::Identity),
            ("n", Purpose::Numeric),
            ("c", Purpose::Categorical),
            ("i", Purpose::Expression),
            ("f", Purpose::Expression),
            ("t", Purpose::Expression),
            ("b", Purpose::Expression),
            ("d", Purpose::Expression),
            ("w", Purpose::Expression),
        ],
        &[
            ("i", ColumnType::Integer),
            ("f", ColumnType::Float),
            ("t", ColumnType::Text),
            ("b", ColumnType::Boolean),
            ("d", ColumnType::Date),
            ("w", ColumnType::Timestamp),
            ("unused", ColumnType::Text),
        ],
    );
    let types: Vec<DataType> = projection
        .schema()
        .fields()
        .iter()
        .map(|field| field.data_type().clone())
        .collect();
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, None);
    assert_eq!(
        types,
        [
            DataType::Utf8,
            DataType::Float64,
            DataType::Utf8,
            DataType::Int64,
            DataType::Float64,
            DataType::Utf8,
            DataType::Boolean,
            DataType::Date32,
            timestamp
        ]
    );
    let payload = r#"{"w": "2026-11-23T05:00:00Z", "d": "2026-11-23", "b": true, "t": "\u00e9",
        "f": 2, "i": -3, "c": "AA", "n": 0.5, "more": [{}]}"#;
    let chunk = chunk(&projection, 40, &[record(payload)]).unwrap();
    assert_eq!(chunk.first_ordinal, 40);
    assert!(chunk.unreadable.is_empty(), "{:?}", chunk.unreadable);
    let expected: [arrow::array::ArrayRef; 9] = [
        std::sync::Arc::new(StringArray::from(vec!["r1"])),
        std::sync::Arc::new(Float64Array::from(vec![0.5])),
        std::sync::Arc::new(StringArray::from(vec!["AA"])),
        std::sync::Arc::new(Int64Array::from(vec![-3])),
        std::sync::Arc::new(Float64Array::from(vec![2.0])),
        std::sync::Arc::new(StringArray::from(vec!["é"])),
        std::sync::Arc::new(BooleanArray::from(vec![true])),
        std::sync::Arc::new(Date32Array::from(vec![20_780])),
        std::sync::Arc::new(TimestampMicrosecondArray::from(vec![1_795_410_000_000_000])),
    ];
    assert_eq!(chunk.rows.columns(), expected);
}

#[test]
fn an_expression_reads_only_what_is_declared() {
    for (name, line) in [("stops", "stops = "), ("left at", "\"left at\" = ")] {
        let uses = vec![
            ColumnUse::new("id", Purpose::Identity),
            ColumnUse::new(name, Purpose::Expression),
        ];
        let error = projection(uses, &BTreeMap::new()).err().unwrap();
        assert_eq!(classify(&error), Class::Config);
        assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
        assert!(hint(&error).unwrap().contains(line), "{error:?}");
    }
}

#[test]
fn one_bad_record_costs_no_other() {
    let projection = projected(&[("id", Purpose::Identity), ("x", Purpose::Numeric)], &[]);
    let mut records = Vec::new();
    for (index, payload) in [
        Some("{\"x\": 1}"),
        None,
        Some("{\"x\": secret}"),
        Some("[1]"),
        Some("{}"),
        Some("{\"x\": \"secret\"}"),
        Some("{\"x\": null}"),
        Some("{\"x\": 2}"),
    ]
    .into_iter()
    .enumerate()
    {
        records.push(QueueRecord {
            record_id: format!("r{index}"),
            payload: payload.map(str::to_owned),
        });
    }
    let chunk = chunk(&projection, 0, &records).unwrap();
    let ids: Vec<_> = chunk
        .rows
        .column(0)
        .as_string::<i32>()
        .iter()
        .flatten()
        .collect();
    assert_eq!(ids, ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7"]);
    let values: Vec<_> = chunk
        .rows
        .column(1)
        .as_primitive::<Float64Type>()
        .iter()
        .collect();
    assert_eq!(
        values,
        [Some(1.0), None, None, None, None, None, None, Some(2.0)]
    );
    let unreadable: Vec<_> = chunk
        .unreadable
        .iter()
        .map(|(row, reason)| {
            (
                *row,
                reason.code,
                reason.field.as_deref(),
                reason.message.as_str(),
            )
        })
        .collect();
    assert_eq!(
        unreadable,
        [
            (
                1,
                "record_vanished",
                None,
                "the row is no longer in the queue"
            ),
            (
                2,
                "invalid_payload",
                None,
                "the payload is not JSON (line 1, column 7)"
            ),
            (
                3,
                "invalid_payload",
                None,
                "the payload is an array in place of an object"
            ),
            (
                4,
                "missing_column",
                Some("x"),
                "the payload has no such key"
            ),
            (5, "wrong_type", Some("x"), "expected a number, found text"),
        ]
    );
}

#[test]
fn numeric_features_take_numbers_and_booleans() {
    for (value, expected) in [
        ("7", 7.0),
        ("-0.0", -0.0),
        ("0.1", 0.1),
        ("1e2", 100.0),
        ("true", 1.0),
        ("false", 0.0),
        ("18446744073709551615", 18446744073709551615.0),
        ("123456789012345678901234567890", 1.2345678901234568e29),
        ("9007199254740993", 9007199254740992.0),
        ("1.7976931348623157e308", f64::MAX),
        ("5e-324", 5e-324),
        ("1e-400", 0.0),
    ] {
        assert_eq!(number(value).to_bits(), expected.to_bits(), "{value}");
    }
    for (value, found) in [
        ("\"7\"", "text"),
        ("[1]", "an array"),
        ("{\"a\": 1}", "an object"),
        ("1e400", "a number beyond what a double holds"),
        ("-1e400", "a number beyond what a double holds"),
    ] {
        assert_eq!(
            reason(Purpose::Numeric, None, value),
            format!("expected a number, found {found}")
        );
    }
}

#[test]
fn categorical_features_take_what_has_one_textual_form() {
    for (value, expected) in [
        ("\"AA\"", "AA"),
        ("\"\"", ""),
        ("\"a\\u00e9\\n\"", "aé\n"),
        ("7", "7"),
        ("-3", "-3"),
        ("-0", "0"),
        ("18446744073709551616", "18446744073709551616"),
        ("true", "true"),
        ("false", "false"),
    ] {
        assert_eq!(category(value), expected);
    }
    for (value, found) in [
        ("7.0", "a float"),
        ("7e0", "a float"),
        ("[]", "an array"),
        ("\"\\ud800\"", "text with half of a surrogate pair"),
    ] {
        assert_eq!(
            reason(Purpose::Categorical, None, value),
            format!("expected text, an integer or a boolean, found {found}")
        );
    }
}

#[test]
fn declared_types_take_nothing_else() {
    use ColumnType::{Boolean, Date, Float, Integer, Text, Timestamp};
    for (declared, value, expected) in [
        (Integer, "7.0", "expected an integer, found a float"),
        (
            Integer,
            "9223372036854775808",
            "expected an integer, found an integer beyond 64 bits",
        ),
        (Integer, "true", "expected an integer, found a boolean"),
        (Float, "true", "expected a number, found a boolean"),
        (Text, "7", "expected text, found an integer"),
        (Boolean, "1", "expected a boolean, found an integer"),
        (
            Date,
            "20261123",
            "expected a date such as \"2026-11-23\", found an integer",
        ),
    ] {
        assert_eq!(reason(Purpose::Expression, Some(declared), value), expected);
    }
    for text in [
        "2026-02-30",
        "2026-11-23T00:00:00Z",
        "2026-1-1",
        "20261123",
        "23.11.2026",
        "",
    ] {
        let message = reason(Purpose::Expression, Some(Date), &format!("\"{text}\""));
        assert!(message.ends_with("found other text"), "{text}: {message}");
    }
    for text in ["2026-11-23", "05:00:00", "2026-11-23T25:00:00Z", "now", ""] {
        let message = reason(Purpose::Expression, Some(Timestamp), &format!("\"{text}\""));
        assert!(message.ends_with("found other text"), "{text}: {message}");
    }
    let extremes = column(Purpose::Expression, Some(Integer), "-9223372036854775808");
    assert_eq!(
        extremes.as_ref(),
        &Int64Array::from(vec![i64::MIN]) as &dyn Array
    );
    for declared in [Integer, Float, Text, Boolean, Date, Timestamp] {
        assert!(column(Purpose::Expression, Some(declared), "null").is_null(0));
    }
}

#[test]
fn times_are_moments_of_utc() {
    for (text, microseconds) in [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00", 0),
        ("1970-01-01 00:00:01.5", 1_500_000),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01t00:00:00.000001z", 1),
        ("1969-12-31T23:59:59Z", -1_000_000),
        ("2026-11-23T05:00:00-05:00", 1_795_428_000_000_000),
    ] {
        let timestamp = Some(ColumnType::Timestamp);
        let array = column(Purpose::Expression, timestamp, &format!("\"{text}\""));
        let expected = TimestampMicrosecondArray::from(vec![microseconds]);
        assert_eq!(array.as_ref(), &expected as &dyn Array, "{text}");
    }
    for (text, days) in [
        ("1970-01-01", 0),
        ("1969-12-31", -1),
        ("0001-01-01", -719_162),
    ] {
        let array = column(
            Purpose::Expression,
            Some(ColumnType::Date),
            &format!("\"{text}\""),
        );
        assert_eq!(
            array.as_ref(),
            &Date32Array::from(vec![days]) as &dyn Array,
            "{text}"
        );
    }
}
