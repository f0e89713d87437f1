//! Values on their way into a statement, and rows on their way out, from Postgres' binary format.

use std::sync::Arc;

use jiff::Timestamp;
use sqlx::postgres::{PgArguments, PgRow, PgValueRef};
use sqlx::query::Query;
use sqlx::{Column, Postgres, Row as _, TypeInfo, ValueRef};

use crate::database::{Cell, QueryError, Row, Value};
use crate::error::Failure;

/// Microseconds from 1970-01-01 to 2000-01-01, where Postgres' time begins.
const EPOCH: i64 = 946_684_800_000_000;

/// A statement with its values bound.
pub(super) fn bind<'q>(
    mut query: Query<'q, Postgres, PgArguments>,
    values: &[Value<'q>],
) -> Query<'q, Postgres, PgArguments> {
    for value in values {
        query = match *value {
            Value::Integer(value) => query.bind(value),
            Value::Real(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Bytes(value) => query.bind(value),
            Value::Floats(value) => query.bind(value),
        };
    }
    query
}

/// Names of a row's columns.
pub(super) fn names(row: &PgRow) -> Arc<[String]> {
    let columns = row.columns().iter();
    columns.map(|column| column.name().to_owned()).collect()
}

/// A row in plain types.
pub(super) fn row(row: &PgRow, columns: &Arc<[String]>) -> Result<Row, QueryError> {
    let cells = columns.iter().enumerate().map(|(index, column)| {
        let raw = row.try_get_raw(index);
        raw.map_err(|error| error.to_string())
            .and_then(|raw| cell(&raw))
            .map_err(|problem| {
                QueryError::from(Failure::internal(format!("column `{column}`: {problem}")))
            })
    });
    Ok(Row::new(columns.clone(), cells.collect::<Result<_, _>>()?))
}

fn cell(raw: &PgValueRef<'_>) -> Result<Cell, String> {
    if raw.is_null() {
        return Ok(Cell::Null);
    }
    let bytes = raw.as_bytes().map_err(|error| error.to_string())?;
    let info = raw.type_info();
    decode(info.name(), bytes)
}

/// Formats: the `…send` functions of each type in Postgres' `src/backend/utils/adt`.
fn decode(kind: &str, bytes: &[u8]) -> Result<Cell, String> {
    match kind {
        "BOOL" => array(kind, bytes).map(|[byte]| Cell::Integer(i64::from(byte != 0))),
        "INT2" => array(kind, bytes).map(|bytes| Cell::Integer(i16::from_be_bytes(bytes).into())),
        "INT4" => array(kind, bytes).map(|bytes| Cell::Integer(i32::from_be_bytes(bytes).into())),
        "INT8" => array(kind, bytes).map(|bytes| Cell::Integer(i64::from_be_bytes(bytes))),
        "FLOAT4" => array(kind, bytes).map(|bytes| Cell::Real(f32::from_be_bytes(bytes).into())),
        "FLOAT8" => array(kind, bytes).map(|bytes| Cell::Real(f64::from_be_bytes(bytes))),
        "TEXT" | "VARCHAR" | "NAME" | "CHAR" | "\"CHAR\"" | "JSON" | "UNKNOWN" => text(bytes),
        // The version of the format comes first.
        "JSONB" => text(
            bytes
                .strip_prefix(&[1])
                .ok_or("an unknown version of jsonb")?,
        ),
        "VOID" => Ok(Cell::Text(String::new())),
        "UUID" => array(kind, bytes).map(|bytes| Cell::Text(uuid(bytes))),
        "BYTEA" => Ok(Cell::Bytes(bytes.to_vec())),
        "FLOAT4[]" => floats(bytes).map(Cell::Floats),
        "TIMESTAMPTZ" | "TIMESTAMP" => {
            let microseconds = i64::from_be_bytes(array(kind, bytes)?);
            time(microseconds).map(Cell::Text)
        }
        other => Err(format!(
            "type {other} is not supported; cast it to text in the query"
        )),
    }
}

fn array<const N: usize>(kind: &str, bytes: &[u8]) -> Result<[u8; N], String> {
    let wrong = |_| format!("{} bytes can not be of type {kind}", bytes.len());
    bytes.try_into().map_err(wrong)
}

/// An array of one dimension and without nulls, as `array_send` writes it: the number of dimensions,
/// whether there are nulls, the elements' type, the length, the first index, and each element after
/// its own length.
fn floats(bytes: &[u8]) -> Result<Vec<f32>, String> {
    const HEADER: usize = 20;
    const ELEMENT: usize = 8;
    let wrong = || "an array of another kind than real[] of one dimension".to_owned();
    if bytes.get(..4) == Some(&[0; 4]) {
        return Ok(Vec::new());
    }
    let (header, elements) = bytes.split_at_checked(HEADER).ok_or_else(wrong)?;
    let length = u32::from_be_bytes([header[12], header[13], header[14], header[15]]) as usize;
    if header[..8] != [0, 0, 0, 1, 0, 0, 0, 0] || elements.len() != length * ELEMENT {
        return Err(wrong());
    }
    let (elements, _) = elements.as_chunks::<ELEMENT>();
    let floats = elements.iter().map(|element| match element {
        [0, 0, 0, 4, float @ ..] => Ok(f32::from_be_bytes(*float)),
        _ => Err(wrong()),
    });
    floats.collect()
}

fn text(bytes: &[u8]) -> Result<Cell, String> {
    let text = str::from_utf8(bytes).map_err(|_| "text is not UTF-8".to_owned())?;
    Ok(Cell::Text(text.to_owned()))
}

fn uuid(bytes: [u8; 16]) -> String {
    let digits = hex::encode(bytes);
    let parts = [
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    ];
    parts.join("-")
}

fn time(microseconds: i64) -> Result<String, String> {
    let since_1970 = microseconds.checked_add(EPOCH);
    let time = since_1970.and_then(|time| Timestamp::from_microsecond(time).ok());
    let time = time.ok_or("a time is infinite or beyond the year 9999")?;
    Ok(format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_its_cell() {
        for (kind, bytes, expected) in [
            ("BOOL", &[1][..], Cell::Integer(1)),
            ("INT2", &[0xff, 0xfe], Cell::Integer(-2)),
            ("INT4", &[0, 0, 1, 0], Cell::Integer(256)),
            ("INT8", &[0, 0, 0, 0, 0, 0, 0, 7], Cell::Integer(7)),
            ("FLOAT4", &[0x3f, 0, 0, 0], Cell::Real(0.5)),
            ("FLOAT8", &[0x3f, 0xe0, 0, 0, 0, 0, 0, 0], Cell::Real(0.5)),
            ("JSONB", b"\x01{}", Cell::Text("{}".to_owned())),
            ("VOID", b"", Cell::Text(String::new())),
            ("BYTEA", b"\0\xff", Cell::Bytes(vec![0, 255])),
        ] {
            assert_eq!(decode(kind, bytes).unwrap(), expected, "{kind}");
        }
        let uuid = decode("UUID", &[0xab; 16]).unwrap();
        assert_eq!(
            uuid,
            Cell::Text("abababab-abab-abab-abab-abababababab".to_owned())
        );
        assert!(decode("NUMERIC", b"").unwrap_err().contains("NUMERIC"));
        assert!(decode("INT8", b"abc").is_err() && decode("TEXT", b"\xff").is_err());
    }

    #[test]
    fn times_are_rfc_3339_in_milliseconds() {
        assert_eq!(time(0).unwrap(), "2000-01-01T00:00:00.000Z");
        assert_eq!(
            time(848_714_400_123_999).unwrap(),
            "2026-11-23T02:00:00.123Z"
        );
        assert_eq!(time(-1).unwrap(), "1999-12-31T23:59:59.999Z");
        assert!(time(i64::MAX).is_err() && time(i64::MIN).is_err());
    }
}
