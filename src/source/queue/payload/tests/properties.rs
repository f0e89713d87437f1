//! What holds for all payloads, and columns with more than one use.

use proptest::prelude::*;

use super::*;

#[test]
fn the_last_of_a_repeated_key_counts_and_the_first_column_at_fault_is_blamed() {
    let repeated = chunk_of(Purpose::Numeric, None, "{\"x\": \"a\", \"x\": 2}");
    assert!(repeated.unreadable.is_empty());
    let projection = projected(
        &[
            ("a", Purpose::Numeric),
            ("b", Purpose::Numeric),
            ("id", Purpose::Identity),
        ],
        &[],
    );
    for payload in ["{\"b\": []}", "{\"b\": [], \"a\": \"\"}", "{\"a\": {}}"] {
        let chunk = chunk(&projection, 0, &[record(payload)]).unwrap();
        assert_eq!(
            chunk.unreadable[&0].field.as_deref(),
            Some("a"),
            "{payload}"
        );
    }
}

#[test]
fn one_column_may_serve_many_uses() {
    let projection = projected(
        &[
            ("id", Purpose::Identity),
            ("x", Purpose::Numeric),
            ("x", Purpose::Categorical),
            ("x", Purpose::Expression),
        ],
        &[("x", ColumnType::Integer)],
    );
    let chunk = chunk(&projection, 0, &[record("{\"x\": 12}")]).unwrap();
    let expected: [&dyn Array; 3] = [
        &Float64Array::from(vec![12.0]),
        &StringArray::from(vec!["12"]),
        &Int64Array::from(vec![12]),
    ];
    for (index, expected) in expected.into_iter().enumerate() {
        assert_eq!(chunk.rows.column(index + 1).as_ref(), expected);
    }
}

#[test]
fn the_id_may_be_read_like_any_column() {
    let projection = projected(
        &[
            ("id", Purpose::Identity),
            ("id", Purpose::Expression),
            ("id", Purpose::Numeric),
        ],
        &[],
    );
    let with_id = |record_id: &str, payload: &str| QueueRecord {
        record_id: record_id.to_owned(),
        payload: Some(payload.to_owned()),
    };
    let records = [
        with_id("12", "{}"),
        with_id("a", "{}"),
        with_id("a", "{\"id\": \"b\"}"),
    ];
    let chunk = chunk(&projection, 0, &records).unwrap();
    assert_eq!(chunk.rows.column(1).as_string::<i32>().value(0), "12");
    assert_eq!(
        chunk.rows.column(2).as_primitive::<Float64Type>().value(0),
        12.0
    );
    assert_eq!(
        chunk.unreadable[&1].message,
        "expected a number, found text"
    );
    assert_eq!(chunk.rows.column(0).as_string::<i32>().value(2), "a");
}

proptest! {
    #[test]
    fn every_double_arrives_as_it_was_written(bits in any::<u64>()) {
        let written = f64::from_bits(bits);
        prop_assume!(written.is_finite());
        for text in [format!("{written:?}"), format!("{written:e}")] {
            prop_assert_eq!(number(&text).to_bits(), bits);
        }
    }

    #[test]
    fn every_integer_arrives_as_it_was_written(integer in any::<i64>()) {
        let array = column(Purpose::Expression, Some(ColumnType::Integer), &integer.to_string());
        prop_assert_eq!(array.as_ref(), &Int64Array::from(vec![integer]) as &dyn Array);
        prop_assert_eq!(category(&integer.to_string()), integer.to_string());
    }

    #[test]
    fn no_payload_is_a_crash(payload in "\\PC*|[\\[\\]{}\":,0-9a-ex\\\\. -]*") {
        let chunk = chunk_of(Purpose::Numeric, None, &payload);
        prop_assert_eq!(chunk.rows.num_rows(), 1);
    }
}
