//! What the author of a job file notices: what is refused and how, and what results are.

mod row_wise;

use super::*;
use crate::error::{self, Class};
use arrow::array::{Array, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{Field, TimeUnit};
use row_wise::{nasty, transform};
use std::sync::Arc;

/// Message and hint of what `parse` or `check_types` refuses.
fn refusal(filter: Option<&str>, transform: Option<&str>) -> String {
    let error = RowSql::parse(filter, transform)
        .and_then(|sql| sql.check_types(&nasty().schema()))
        .expect_err(&format!("{filter:?} {transform:?}"));
    assert_eq!(error::classify(&error), Class::Config, "{error:#}");
    format!("{error:#}; hint: {}", error::hint(&error).unwrap_or("none"))
}

#[test]
fn whatever_looks_beyond_its_record_is_refused_by_name() {
    for (text, said) in [
        (
            "sum(number) > 1",
            "`sum(number)` in `filter` is an aggregate",
        ),
        ("max(number) > 1", "CASE WHEN a > b"),
        ("count(*) > 1", "`count(*)` in `filter` is an aggregate"),
        ("\"SUM\"(number) > 1", "is an aggregate"),
        (
            "sum(number) OVER (ORDER BY day) > 1",
            "is a window function",
        ),
        ("row_number() > 1", "is a window function"),
        ("row_number() OVER () > 1", "is a window function"),
        (
            "lag(number) OVER (ORDER BY day) > 1",
            "is a window function",
        ),
        ("abs(number) OVER () > 1", "is a window function"),
        ("number > (SELECT 1)", "is a subquery"),
        ("number IN (SELECT 1)", "is a subquery"),
        ("EXISTS (SELECT 1)", "is a subquery"),
        ("number > ALL(number)", "compares with many rows"),
        ("number = ANY(number)", "compares with many rows"),
        ("DISTINCT number", "`filter`"),
        ("abs(DISTINCT number) > 1", "has DISTINCT"),
        ("abs(number ORDER BY number) > 1", "has DISTINCT, ORDER BY"),
        ("abs(number) FILTER (WHERE flag) > 1", "has a clause"),
        ("random() < 0.5", "another result each time"),
        ("now() > moment", "another result each time"),
        ("CURRENT_DATE > day", "another result each time"),
        ("unnest(text) = 'a'", "several results"),
        ("columns('t') = 'a'", "several results"),
        (
            "number > 1 ORDER BY number",
            "`ORDER` in `filter` starts a clause",
        ),
        ("number > 1 LIMIT 5", "`LIMIT` in `filter` starts a clause"),
        ("WHERE number > 1", "`WHERE` in `filter` starts a clause"),
        ("*", "is not one single predicate"),
        ("\"^n.*$\" > 1", "cannot be read as one column"),
        ("greatest(amount, number) > 1", "depend on other records"),
        ("t.number > 1", "has a dot"),
    ] {
        let refusal = refusal(Some(text), None);
        assert!(refusal.contains(said), "{text}: {refusal}");
    }
}

#[test]
fn whatever_one_record_could_spoil_for_the_others_is_refused() {
    for (text, said) in [
        ("date(text) > DATE '2013-10-01'", "date(text, '%Y-%m-%d')"),
        ("regexp_like(text, other)", "must be a literal"),
        ("text RLIKE other", "must be a literal"),
        ("text LIKE other", "must be a literal"),
        ("replace(text, other, 'b') = 'a'", "must be a literal"),
        ("left(text, number) = 'a'", "must be a literal"),
        ("SUBSTR(text, 1, number) = 'a'", "must be a literal"),
        (
            "CAST(text AS DATE) > DATE '2013-10-01'",
            "date(text, '%Y-%m-%d')",
        ),
        ("CAST(text AS TIMESTAMP) > moment", "date(text, '%Y-%m-%d')"),
        (
            "CAST(text AS BOOLEAN)",
            "`CAST(text AS BOOLEAN)` in `filter`",
        ),
        ("pow(number, -1) > 1", "`pow(number, -1) > 1` in `filter`"),
        (
            "day > DATE '2013-19-39'",
            "`day > DATE '2013-19-39'` in `filter`",
        ),
        ("lpad(text, number) = 'a'", "must be a literal"),
        ("text ~ '('", "`text ~ '('` in `filter`"),
    ] {
        let refusal = refusal(Some(text), None);
        assert!(refusal.contains(said), "{text}: {refusal}");
    }
}

#[test]
fn mistakes_are_named_with_a_way_out() {
    for (filter, transform, said) in [
        (Some("number >"), None, "syntax of `filter`"),
        (Some("number > 1\n AND )"), None, "Line: 2"),
        (Some("number > 1 flag"), None, "is not one single predicate"),
        (
            Some("number > 1; number > 2"),
            None,
            "`;` is not expected at Line: 1, Column: 11",
        ),
        (Some("'open"), None, "Unterminated string literal"),
        (Some(" "), None, "`filter` is empty"),
        (
            Some("number > 1, flag"),
            None,
            "is not one single predicate",
        ),
        (Some("number"), None, "not true or false"),
        (Some("Number > 1"), None, "did you mean `number`?"),
        (Some("text = \"JFK\""), None, "text goes in single quotes"),
        (Some("number = 'JFK'"), None, "`number = 'JFK'` in `filter`"),
        (Some("day > '2013-10-01'"), None, "DATE '2013-10-01'"),
        (Some("hypot(number, 1) > 1"), None, "functions: abs, acos"),
        (Some("round(amount, 1, 2) > 1"), None, "round(amount, 1)"),
        (Some("CEIL(amount, 2) > 1"), None, "takes one argument"),
        (Some("amount > 1e5"), None, "1.0e5"),
        (None, Some("number + 1"), "write `number + 1 AS name`"),
        (None, Some("number AS a, flag AS a"), "taken already"),
        (None, Some("*"), "is a wildcard"),
        (
            None,
            Some("number AS a, a + 1 AS b"),
            "repeat the expression",
        ),
        (
            None,
            Some("sum(number) AS s"),
            "`sum(number)` in `transform` is an aggregate",
        ),
        (
            None,
            Some("moment - moment AS d"),
            "which no feature can read",
        ),
        (None, Some("NULL AS n"), "which no feature can read"),
        (
            None,
            Some("number AS a FROM records"),
            "`FROM` in `transform` starts a clause",
        ),
    ] {
        let refusal = refusal(filter, transform);
        assert!(
            refusal.contains(said),
            "{filter:?} {transform:?}: {refusal}"
        );
    }
}

#[test]
fn the_columns_read_and_added_are_known_before_any_data_is() {
    let sql = RowSql::parse(
        Some("origin = 'JFK' AND \"dep delay\" > 5"),
        Some("dep_time // 100 AS dep_hour, -- the hour\n a + b AS \"Total\","),
    )
    .unwrap();
    assert!(!sql.is_empty());
    assert!(sql.filter_columns().iter().eq(["dep delay", "origin"]));
    assert!(sql.transform_columns().iter().eq(["a", "b", "dep_time"]));
    assert!(sql.added_columns().eq(["dep_hour", "Total"]));
    assert!(RowSql::parse(None, None).unwrap().is_empty());
}

#[test]
fn a_filter_drops_records_whose_predicate_is_null() {
    let batch = nasty();
    let sql = RowSql::parse(Some("number > 0"), None).unwrap();
    sql.check_types(&batch.schema()).unwrap();
    let keep = sql.keep(&batch).unwrap().unwrap();
    assert_eq!(keep.null_count(), 0);
    let kept: Vec<bool> = keep.values().iter().collect();
    assert_eq!(
        kept,
        [
            true, false, false, false, false, true, true, false, true, true
        ]
    );
    let none = RowSql::parse(None, Some("1 AS one")).unwrap();
    assert!(none.keep(&batch).unwrap().is_none());
    let all = RowSql::parse(Some("1 > 0"), None).unwrap();
    assert_eq!(
        all.keep(&batch).unwrap().unwrap().true_count(),
        batch.num_rows()
    );
    assert_eq!(all.keep(&batch.slice(0, 0)).unwrap().unwrap().len(), 0);
}

#[test]
fn results_are_what_the_documentation_says() {
    let number = |value: i64| -> RecordBatch {
        RecordBatch::try_from_iter([
            ("n", Arc::new(Int64Array::from(vec![value])) as ArrayRef),
            ("t", Arc::new(StringArray::from(vec!["x1"])) as ArrayRef),
            (
                "x",
                Arc::new(Float64Array::from(vec![f64::NAN])) as ArrayRef,
            ),
        ])
        .unwrap()
    };
    for (value, expression, expected) in [
        (517, "n / 100", "5.17"),
        (70, "n / 100", "0.7"),
        (7, "(n / 10.0) // 0.1", "6"),
        (517, "n // 100", "5"),
        (-517, "n // 100", "-6"),
        (-517, "n % 100", "83"),
        (5, "n / 0", "inf"),
        (5, "n // 0", "null"),
        (i64::MAX, "n + 1", "-9223372036854775808"),
        (5, "round(n / 2, 0)", "2.0"),
        (5, "CAST(t AS BIGINT)", "null"),
        (5, "CAST(2.7 AS BIGINT)", "2"),
        (5, "x > 1000", "true"),
        (5, "concat(t, NULL, n)", "x15"),
        (5, "t || n", "x15"),
        (5, "log(n + 3, 2)", "3.0"),
        (5, "left(t, 1)", "x"),
        (5, "EXTRACT(DOW FROM DATE '2013-10-06')", "0"),
    ] {
        let array = transform(expression, &number(value)).unwrap();
        let shown = match array.is_null(0) {
            true => "null".to_owned(),
            false => {
                let debug = format!("{array:?}");
                debug
                    .lines()
                    .nth(2)
                    .unwrap()
                    .trim()
                    .trim_matches([',', '"'])
                    .to_owned()
            }
        };
        assert_eq!(shown, expected, "{value}: {expression}");
    }
}

#[test]
fn added_columns_have_plain_types() {
    let sql = RowSql::parse(
        None,
        Some(
            "number + 1 AS a, count AS b, amount AS c, text AS d, flag AS e, day AS f, \
             moment AS g, length(text) AS h, EXTRACT(MONTH FROM day) AS i, \
             CAST(amount AS REAL) AS j, 1 AS k",
        ),
    )
    .unwrap();
    let types = sql.check_types(&nasty().schema()).unwrap();
    let microseconds = DataType::Timestamp(TimeUnit::Microsecond, None);
    assert_eq!(
        types,
        [
            DataType::Int64,
            DataType::UInt64,
            DataType::Float64,
            DataType::Utf8,
            DataType::Boolean,
            DataType::Date32,
            microseconds,
            DataType::Int64,
            DataType::Int64,
            DataType::Float64,
            DataType::Int64,
        ]
    );
    let arrays = sql.transform(&nasty()).unwrap();
    let unchanged = [
        ("count", 1),
        ("text", 3),
        ("flag", 4),
        ("day", 5),
        ("moment", 6),
    ];
    for (name, position) in unchanged {
        assert_eq!(&arrays[position], nasty().column_by_name(name).unwrap());
    }
}

#[test]
fn the_same_job_reads_chunks_of_different_types() {
    let sql = RowSql::parse(None, Some("n * 2 AS doubled")).unwrap();
    for (array, doubled) in [
        (
            Arc::new(Int64Array::from(vec![4])) as ArrayRef,
            DataType::Int64,
        ),
        (
            Arc::new(Float64Array::from(vec![4.0])) as ArrayRef,
            DataType::Float64,
        ),
    ] {
        let schema = Schema::new(vec![Field::new("n", array.data_type().clone(), true)]);
        assert_eq!(
            sql.check_types(&schema).unwrap(),
            std::slice::from_ref(&doubled)
        );
        let batch = RecordBatch::try_from_iter([("n", array)]).unwrap();
        assert_eq!(sql.transform(&batch).unwrap()[0].data_type(), &doubled);
    }
}
