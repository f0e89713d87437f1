//! Chunks of queued records.
//!
//! Invariants: a record that can not be read costs no other record; which column is blamed depends
//! on the projection and not on the order of keys; of a key that stands twice, the last
//! counts.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{RecordBatch, RecordBatchOptions};

use super::json::{NotAnObject, Token, for_each_entry};
use super::value::{Column, Reading, Value};
use crate::error::Failure;
use crate::job::ColumnType;
use crate::source::columns::{ColumnUse, Purpose};
use crate::source::{Chunk, Projection, Unreadable};

/// A record as it was queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRecord {
    /// Its id.
    pub record_id: String,
    /// A JSON object with a key for each column; `None` if the row is no longer in the queue.
    pub payload: Option<String>,
}

/// Settles what `uses` are read as. What a feature reads follows from the feature; what an
/// expression reads is declared in `columns`, but for the id, which is text.
///
/// # Errors
/// An expression reads a column that is not declared (78).
pub fn projection(
    uses: Vec<ColumnUse>,
    columns: &BTreeMap<String, ColumnType>,
) -> anyhow::Result<Projection> {
    let id_column = id_column(&uses).map(str::to_owned);
    Projection::new(uses, |column| {
        let reading = match column.purpose {
            Purpose::Identity => Reading::Identity,
            Purpose::Numeric => Reading::Numeric,
            Purpose::Categorical => Reading::Categorical,
            Purpose::Text => Reading::Declared(ColumnType::Text),
            Purpose::Items => Reading::Items,
            Purpose::Expression => match columns.get(&column.name) {
                Some(declared) => Reading::Declared(*declared),
                None if id_column.as_ref() == Some(&column.name) => {
                    Reading::Declared(ColumnType::Text)
                }
                None => return Err(undeclared(&column.name).into()),
            },
        };
        Ok(reading.data_type())
    })
}

fn id_column(uses: &[ColumnUse]) -> Option<&str> {
    let mut uses = uses.iter();
    let identity = uses.find(|column| column.purpose == Purpose::Identity)?;
    Some(&identity.name)
}

fn undeclared(name: &str) -> Failure {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let key = if !name.is_empty() && name.bytes().all(is_bare) {
        name.to_owned()
    } else {
        toml::Value::from(name).to_string()
    };
    Failure::config(format!(
        "[source] columns: `filter` or `transform` reads `{name}`, but its type is not declared"
    ))
    .hint(format!(
        "add the line {key} = \"text\" to [source.columns], with its type: integer, float, text, boolean, date or timestamp"
    ))
}

/// The chunk of `records`, at least one, in their order; the first has ordinal `first_ordinal`.
///
/// # Errors
/// `projection` is not one that [`projection`] made (70).
pub fn chunk(
    projection: &Projection,
    first_ordinal: u64,
    records: &[QueueRecord],
) -> anyhow::Result<Chunk> {
    let reader = Reader::new(projection)?;
    let mut columns: Vec<Column> = reader
        .readings
        .iter()
        .map(|reading| Column::new(*reading, records.len()))
        .collect();
    let mut unreadable = BTreeMap::new();
    for (row, record) in records.iter().enumerate() {
        match reader.values(record) {
            Ok(values) => {
                for (column, value) in columns.iter_mut().zip(&values) {
                    column.push(value);
                }
            }
            Err(reason) => {
                for (column, reading) in columns.iter_mut().zip(&reader.readings) {
                    column.push(&match reading {
                        Reading::Identity => Value::Text((&record.record_id).into()),
                        _ => Value::Null,
                    });
                }
                unreadable.insert(row, reason);
            }
        }
    }
    let arrays = columns.into_iter().map(Column::finish).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(records.len()));
    Ok(Chunk {
        first_ordinal,
        rows: RecordBatch::try_new_with_options(projection.schema().clone(), arrays, &options)?,
        unreadable,
    })
}

/// What a chunk's records have in common.
struct Reader<'projection> {
    uses: &'projection [ColumnUse],
    readings: Vec<Reading>,
    /// The key of each use, as an index of what is picked from a payload.
    picks: Vec<usize>,
    keys: HashMap<&'projection str, usize>,
    /// The pick that is the id column, if anything but the identity reads it.
    id_pick: Option<usize>,
}

impl<'projection> Reader<'projection> {
    fn new(projection: &'projection Projection) -> anyhow::Result<Self> {
        let uses = projection.uses();
        let mut keys = HashMap::new();
        let mut readings = Vec::with_capacity(uses.len());
        let mut picks = Vec::with_capacity(uses.len());
        for (column, field) in uses.iter().zip(projection.schema().fields()) {
            let reading = Reading::new(column.purpose, field.data_type()).ok_or_else(|| {
                Failure::internal(format!("column `{}` has no type of a queue", column.name))
            })?;
            readings.push(reading);
            let next = keys.len();
            picks.push(*keys.entry(column.name.as_str()).or_insert(next));
        }
        let id_pick = id_column(uses).and_then(|name| keys.get(name).copied());
        Ok(Self {
            uses,
            readings,
            picks,
            keys,
            id_pick,
        })
    }

    /// One value for each use, or why the record can not be read.
    fn values<'record>(
        &self,
        record: &'record QueueRecord,
    ) -> Result<Vec<Value<'record>>, Unreadable> {
        let payload = record.payload.as_deref().ok_or_else(|| Unreadable {
            code: "record_vanished",
            field: None,
            message: "the row is no longer in the queue".to_owned(),
        })?;
        let mut picked: Vec<Option<Token<'record>>> = vec![None; self.keys.len()];
        for_each_entry(payload, |key, value| {
            if let Some(pick) = self.keys.get(key.as_ref()) {
                picked[*pick] = Some(Token::of(value));
            }
        })
        .map_err(|NotAnObject(reason)| Unreadable {
            code: "invalid_payload",
            field: None,
            message: format!("the payload is {reason}"),
        })?;
        self.uses
            .iter()
            .zip(&self.readings)
            .zip(&self.picks)
            .map(|((column, reading), pick)| {
                let value = match picked[*pick] {
                    _ if *reading == Reading::Identity => {
                        Ok(Value::Text((&record.record_id).into()))
                    }
                    Some(token) => reading.value(token),
                    // Who pushes a file pushes the id once, beside the payload.
                    None if Some(*pick) == self.id_pick => id(&record.record_id, *reading),
                    None => return Err(missing(&column.name)),
                };
                value.map_err(|message| Unreadable {
                    code: "wrong_type",
                    field: Some(column.name.clone()),
                    message,
                })
            })
            .collect()
    }
}

/// The id, read as something else: text, or a number if it is written as one.
fn id(record_id: &str, reading: Reading) -> Result<Value<'_>, String> {
    let is_integer = !record_id.is_empty()
        && record_id
            .strip_prefix('-')
            .unwrap_or(record_id)
            .bytes()
            .all(|byte| byte.is_ascii_digit());
    let as_text = reading.text(record_id.into());
    if as_text.is_err() && is_integer {
        return reading.value(Token::Integer(record_id));
    }
    as_text
}

fn missing(name: &str) -> Unreadable {
    Unreadable {
        code: "missing_column",
        field: Some(name.to_owned()),
        message: "the payload has no such key".to_owned(),
    }
}

#[cfg(test)]
mod tests;
