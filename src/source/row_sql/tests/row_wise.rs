//! Every allowed function and form of syntax gives a record the same result in any chunk.

use super::super::*;
use arrow::array::{
    Array, Date32Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
    UInt64Array,
};
use arrow::compute::concat_batches;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows that try to break an expression: nulls, extremes, NaN, texts that are no dates, texts
/// that are dates in two formats, letters of several bytes.
pub(super) fn nasty() -> RecordBatch {
    let numbers = [
        Some(1),
        None,
        Some(0),
        Some(-1),
        Some(i64::MIN),
        Some(i64::MAX),
        Some(517),
        Some(-250),
        Some(70),
        Some(3),
    ];
    let counts = [
        Some(1),
        Some(0),
        None,
        Some(u64::MAX),
        Some(7),
        Some(1 << 60),
        Some(64),
        Some(3),
        Some(2),
        Some(1),
    ];
    let amounts = [
        Some(0.5),
        Some(-0.5),
        Some(f64::NAN),
        None,
        Some(f64::INFINITY),
        Some(f64::NEG_INFINITY),
        Some(0.0),
        Some(-0.0),
        Some(1e300),
        Some(2.5),
    ];
    let texts = [
        Some("2013-10-01"),
        Some("10/02/2013"),
        Some("2013-10-01 05:17"),
        None,
        Some(""),
        Some("Zürich-🛫-b"),
        Some(" aaa "),
        Some("(["),
        Some("12.5"),
        Some("true"),
    ];
    let others = [
        Some("2013"),
        None,
        Some("7"),
        Some("x"),
        Some(""),
        Some("b"),
        Some("a"),
        Some("("),
        Some("."),
        Some("e"),
    ];
    let flags = [
        Some(true),
        Some(false),
        None,
        Some(true),
        None,
        Some(false),
        Some(true),
        Some(true),
        Some(false),
        None,
    ];
    let days = [
        Some(15979),
        None,
        Some(0),
        Some(-719_162),
        Some(2_932_896),
        Some(1),
        Some(-1),
        Some(15980),
        Some(11016),
        Some(59),
    ];
    let moments = days.map(|day| day.map(|day| i64::from(day) * 86_400_000_000 + 18_999_123_456));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("number", Arc::new(Int64Array::from(numbers.to_vec()))),
        ("count", Arc::new(UInt64Array::from(counts.to_vec()))),
        ("amount", Arc::new(Float64Array::from(amounts.to_vec()))),
        ("text", Arc::new(StringArray::from(texts.to_vec()))),
        ("other", Arc::new(StringArray::from(others.to_vec()))),
        ("flag", Arc::new(BooleanArray::from(flags.to_vec()))),
        ("day", Arc::new(Date32Array::from(days.to_vec()))),
        (
            "moment",
            Arc::new(TimestampMicrosecondArray::from(moments.to_vec())),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap()
}

/// Syntax besides function calls that must be row-wise as well.
const FORMS: &[&str] = &[
    "number + count - 1 * 2",
    "number / 100",
    "number / 0",
    "number // 100",
    "number // 0",
    "amount // 0.3",
    "number % 60",
    "-number",
    "-amount",
    "+amount",
    "amount / number",
    "number & 6",
    "number | 6",
    "flag XOR (number > 0)",
    "NOT flag",
    "flag AND NOT number > 0 OR amount < 1",
    "number = count",
    "number <> 1",
    "number <=> 1",
    "amount >= 0.5",
    "text < other",
    "text || '-' || number",
    "text LIKE '%a%'",
    "text NOT LIKE '2013-__-__'",
    "text ILIKE 'Z%'",
    "text RLIKE '^[0-9]+'",
    "text ~ '^a'",
    "text !~* 'B$'",
    "number IN (1, 517, -250)",
    "number NOT IN (1, NULL)",
    "text IN ('', 'true')",
    "day IN (DATE '2013-10-01')",
    "count IN (7, 64)",
    "number BETWEEN 0 AND 100",
    "amount NOT BETWEEN 0 AND 1",
    "text IS NULL",
    "amount IS NOT NULL",
    "number IS DISTINCT FROM 1",
    "text IS NOT DISTINCT FROM other",
    "CASE WHEN number > 100 THEN 'late' WHEN number > 0 THEN 'near' ELSE text END",
    "CASE text WHEN 'true' THEN 1 WHEN '' THEN 0 END",
    "CASE WHEN flag THEN 1 ELSE 0.5 END",
    "CAST(text AS DOUBLE)",
    "CAST(text AS BIGINT)",
    "text::INT",
    "CAST('2013-10-01' AS DATE)",
    "CAST(number AS DATE)",
    "CAST(amount AS BIGINT)",
    "CAST(number AS TINYINT)",
    "CAST(count AS BIGINT)",
    "CAST(number AS VARCHAR)",
    "CAST(day AS TIMESTAMP)",
    "CAST(moment AS DATE)",
    "CAST(day AS VARCHAR)",
    "CEIL(amount)",
    "FLOOR(amount)",
    "EXTRACT(YEAR FROM day)",
    "EXTRACT(DOW FROM moment)",
    "EXTRACT(HOUR FROM moment)",
    "EXTRACT(EPOCH FROM moment)",
    "EXTRACT(DOY FROM day)",
    "SUBSTR(text, 3)",
    "SUBSTRING(text FROM 2 FOR 3)",
    "SUBSTR(text, -1, 4)",
    "SUBSTR(text, number)",
    "SUBSTR(text, number, 3)",
    "left(text, -1)",
    "right(text, -1)",
    "TRIM(text)",
    "TRIM(LEADING ' ' FROM text)",
    "TRIM(BOTH 'a' FROM text)",
    "ltrim(text, other)",
    "day >= DATE '2013-10-01'",
    "moment < TIMESTAMP '2013-10-01 12:00:00'",
    "moment < DATE '2013-10-01'",
    "moment + INTERVAL '1 hour'",
    "day - INTERVAL '2 days'",
    "day + INTERVAL '1 month'",
    "moment - TIMESTAMP '2013-10-01 12:00:00' > INTERVAL '1 hour'",
    "concat_ws(',', number, amount, flag)",
    "log(amount, number)",
    "mod(amount, 0.3)",
    "div(number, 0)",
    "coalesce(text, other, 'none')",
    "CASE WHEN amount > number THEN amount ELSE number END",
    "nullif(amount, 0.5)",
    "pow(number, 2)",
    "pow(amount, -1)",
    "power(number, 0.5)",
    "abs(number)",
    "sqrt(number)",
    "round(number, 0)",
    "date_part('week', day)",
];

/// Literals alone: one value for all records.
const CONSTANTS: &[&str] = &[
    "1",
    "'x'",
    "2.5",
    "TRUE",
    "1 + 1",
    "pi()",
    "concat('a', 'b')",
    "DATE '2013-10-01'",
    "CAST(NULL AS DOUBLE)",
    "TIMESTAMP '2013-10-01 12:00:00'",
    "1 > 2",
    "upper('a')",
    "CASE WHEN 1 > 0 THEN 5 END",
    "1 IN (1, 2)",
    "DATE '2013-10-01' + INTERVAL '1 day'",
];

/// Evaluates one expression that has passed the check.
pub(super) fn transform(expression: &str, batch: &RecordBatch) -> anyhow::Result<ArrayRef> {
    let sql = RowSql::parse(None, Some(&format!("{expression} AS result")))?;
    let types = sql.check_types(&batch.schema())?;
    let array = sql.transform(batch)?.remove(0);
    assert_eq!(array.data_type(), &types[0], "{expression}: promised type");
    Ok(array)
}

/// Why an expression is not row-wise, if it is not; `evaluate` gives its results for a batch.
fn row_wise_fault(
    batch: &RecordBatch,
    evaluate: impl Fn(&RecordBatch) -> anyhow::Result<ArrayRef>,
) -> Option<String> {
    let attempt = |batch: &RecordBatch| evaluate(batch).map_err(|error| format!("{error:#}"));
    let compare = || -> Result<(), String> {
        let whole = attempt(batch)?;
        if whole.len() != batch.num_rows() {
            return Err(format!(
                "{} results for {} rows",
                whole.len(),
                batch.num_rows()
            ));
        }
        let single = (0..batch.num_rows())
            .map(|row| attempt(&batch.slice(row, 1)))
            .collect::<Result<Vec<_>, _>>()?;
        let backwards: Vec<usize> = (0..batch.num_rows()).rev().collect();
        for &row in &backwards {
            let alone = show(&single[row], 0);
            if single[row].len() != 1 || alone != show(&whole, row) {
                return Err(format!(
                    "row {row}: {} in the chunk, {alone} alone",
                    show(&whole, row)
                ));
            }
        }
        let half = batch.num_rows() / 2;
        let tail = attempt(&batch.slice(half, batch.num_rows() - half))?;
        for row in 0..tail.len() {
            if show(&tail, row) != show(&whole, half + row) {
                return Err(format!("row {} differs in a smaller chunk", half + row));
            }
        }
        match attempt(&batch.slice(0, 0))?.len() {
            0 => Ok(()),
            length => Err(format!("{length} results for an empty chunk")),
        }
    };
    compare().err()
}

/// A value exactly, floats by their bits.
fn show(array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return "null".into();
    }
    let debug = format!("{:?}", array.slice(row, 1));
    match array.as_any().downcast_ref::<Float64Array>() {
        Some(floats) if !floats.value(row).is_nan() => format!("{:x}", floats.value(row).to_bits()),
        _ => debug,
    }
}

#[test]
fn every_allowed_function_and_form_is_row_wise() {
    // Long enough that loops over whole words and vectors run, with a remainder.
    let batch = concat_batches(&nasty().schema(), &vec![nasty(); 7]).unwrap();
    let mut faults = BTreeMap::new();
    for text in functions::FUNCTIONS
        .iter()
        .map(|function| function.example)
        .chain(FORMS.iter().copied())
        .chain(CONSTANTS.iter().copied())
    {
        transform(text, &batch).unwrap();
        let sql = RowSql::parse(None, Some(&format!("{text} AS result"))).unwrap();
        if let Some(fault) = row_wise_fault(&batch, |batch| Ok(sql.transform(batch)?.remove(0))) {
            faults.insert(text, fault);
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_allowed_function_is_called_by_its_example() {
    for function in functions::FUNCTIONS {
        assert!(
            function.example.contains(&format!("{}(", function.name)),
            "{}",
            function.name
        );
        let sql = RowSql::parse(Some(function.example), None).unwrap();
        assert!(
            !sql.filter_columns().is_empty(),
            "{}: reads no column",
            function.name
        );
    }
}

#[test]
fn a_function_that_is_not_row_wise_would_be_noticed_if_it_were_allowed() {
    let batch = nasty();
    for (text, said) in [
        ("sum(number)", "looks beyond its record"),
        ("count(*)", "looks beyond its record"),
        ("first(text)", "looks beyond its record"),
        (
            "max(number) OVER (ORDER BY number)",
            "looks beyond its record",
        ),
        (
            "CASE WHEN flag THEN avg(number) END",
            "looks beyond its record",
        ),
        ("date(text)", "looks beyond its record"),
        ("greatest(amount, number)", "alone"),
        ("left(text, number)", "failed"),
    ] {
        let columns = names(&batch);
        let expression = Expression::new(Clause::Transform, text.into(), columns).unwrap();
        let fault = row_wise_fault(&batch, |batch| {
            convert::to_arrow(&expression.evaluate(batch)?)
        });
        assert!(
            fault.as_ref().is_some_and(|fault| fault.contains(said)),
            "{text}: {fault:?}"
        );
    }
}

fn names(batch: &RecordBatch) -> BTreeSet<String> {
    batch
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect()
}
