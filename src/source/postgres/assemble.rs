//! Rows that were found, put in the order of their records.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, UInt32Array, new_null_array};
use arrow::compute::take_record_batch;

use super::rows::Rows;
use crate::source::columns::Purpose;
use crate::source::{Chunk, Projection, Unreadable};

/// A record that the plan saw and that is there no longer.
fn vanished() -> Unreadable {
    Unreadable {
        code: "record_vanished",
        field: None,
        message: "the record was in the input when the run was planned and is not there any more"
            .to_owned(),
    }
}

/// A record without an id, by which it could be found again. Said here, because its other columns
/// are not known, and a filter would drop it.
fn nameless() -> Unreadable {
    Unreadable {
        code: "null_id",
        field: None,
        message: "the record has no id".to_owned(),
    }
}

/// The chunk of the records with these ids. `placed` says which of `rows` is whose; a record
/// without a row vanished, or has no id that it could have been found by.
pub(super) fn assemble(
    projection: &Projection,
    first_ordinal: u64,
    ids: &StringArray,
    placed: &[Option<u32>],
    mut rows: Rows,
) -> anyhow::Result<Chunk> {
    let mut unreadable = BTreeMap::new();
    for (offset, row) in placed.iter().enumerate() {
        let problem = match row {
            Some(row) => rows.unreadable.remove(&(*row as usize)),
            None if ids.is_valid(offset) => Some(vanished()),
            None => Some(nameless()),
        };
        if let Some(problem) = problem {
            unreadable.insert(offset, problem);
        }
    }
    let canonical = projection.canonical(&in_order(&rows.batch, placed)?)?;
    let mut columns = canonical.columns().to_vec();
    for (column, values) in projection.uses().iter().zip(&mut columns) {
        if column.purpose == Purpose::Identity {
            // Those of vanished records are known only here.
            *values = Arc::new(ids.clone());
        }
    }
    Ok(Chunk {
        first_ordinal,
        rows: RecordBatch::try_new(canonical.schema(), columns)?,
        unreadable,
    })
}

fn in_order(batch: &RecordBatch, placed: &[Option<u32>]) -> anyhow::Result<RecordBatch> {
    let in_order = placed
        .iter()
        .enumerate()
        .all(|(offset, row)| *row == Some(offset as u32));
    if in_order && batch.num_rows() == placed.len() {
        return Ok(batch.clone());
    }
    if batch.num_rows() == 0 {
        let nulls = |column: &ArrayRef| new_null_array(column.data_type(), placed.len());
        let columns = batch.columns().iter().map(nulls).collect();
        return Ok(RecordBatch::try_new(batch.schema(), columns)?);
    }
    let indices: UInt32Array = placed.iter().copied().collect();
    Ok(take_record_batch(batch, &indices)?)
}

/// Cuts a chunk into ones of at most `rows` rows.
pub(super) fn cut(chunk: Chunk, rows: usize) -> impl Iterator<Item = Chunk> {
    let count = chunk.rows.num_rows();
    (0..count).step_by(rows).map(move |begin| {
        let end = count.min(begin + rows);
        let unreadable = chunk.unreadable.range(begin..end);
        Chunk {
            first_ordinal: chunk.first_ordinal + begin as u64,
            rows: chunk.rows.slice(begin, end - begin),
            unreadable: unreadable
                .map(|(index, problem)| (index - begin, problem.clone()))
                .collect(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::columns::ColumnUse;
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::{DataType, Float64Type};

    fn projection() -> Projection {
        let uses = vec![
            ColumnUse::new("value", Purpose::Numeric),
            ColumnUse::new("id", Purpose::Identity),
        ];
        Projection::new(uses, |column| {
            Ok(match column.purpose {
                Purpose::Identity => DataType::Utf8,
                _ => DataType::Float64,
            })
        })
        .unwrap()
    }

    fn rows(ids: &[i64], unreadable: &[usize]) -> Rows {
        let column = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as ArrayRef;
        let values = ids.iter().map(|id| id * 10).collect();
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("id", column(ids.to_vec()), true),
            ("value", column(values), true),
        ]);
        let problem = Unreadable {
            code: "out_of_range",
            field: None,
            message: String::new(),
        };
        Rows {
            batch: batch.unwrap(),
            unreadable: unreadable
                .iter()
                .map(|&row| (row, problem.clone()))
                .collect(),
        }
    }

    type Seen = (Vec<Option<f64>>, Vec<(usize, &'static str)>);

    fn seen(chunk: &Chunk) -> Seen {
        let values = chunk
            .rows
            .column(0)
            .as_primitive::<Float64Type>()
            .iter()
            .collect();
        let unreadable = chunk
            .unreadable
            .iter()
            .map(|(&index, problem)| (index, problem.code));
        (values, unreadable.collect())
    }

    #[test]
    fn rows_stand_in_the_order_of_their_records() {
        let ids: StringArray = [Some("1"), None, Some("2"), Some("3"), Some("4")]
            .iter()
            .collect();
        let placed = [Some(2), None, None, Some(0), Some(1)];
        let chunk = assemble(&projection(), 70, &ids, &placed, rows(&[3, 4, 1], &[1])).unwrap();
        assert_eq!(chunk.rows.column(1).as_string::<i32>(), &ids);
        let (values, unreadable) = seen(&chunk);
        assert_eq!(values, [Some(10.), None, None, Some(30.), Some(40.)]);
        assert_eq!(
            unreadable,
            [(1, "null_id"), (2, "record_vanished"), (4, "out_of_range")]
        );

        let pieces: Vec<Chunk> = cut(chunk, 2).collect();
        let ordinals: Vec<u64> = pieces.iter().map(|piece| piece.first_ordinal).collect();
        assert_eq!(ordinals, [70, 72, 74]);
        let seen: Vec<Seen> = pieces.iter().map(seen).collect();
        assert_eq!(
            seen[1],
            (vec![None, Some(30.)], vec![(0, "record_vanished")])
        );
        assert_eq!(seen[2], (vec![Some(40.)], vec![(0, "out_of_range")]));
    }

    #[test]
    fn nothing_found_and_everything_in_order_are_chunks_too() {
        let ids: StringArray = [Some("1"), Some("2")].iter().collect();
        let none = assemble(&projection(), 0, &ids, &[None, None], rows(&[], &[])).unwrap();
        assert_eq!(seen(&none).0, [None, None]);
        assert_eq!(none.unreadable.len(), 2);
        let all = assemble(
            &projection(),
            0,
            &ids,
            &[Some(0), Some(1)],
            rows(&[1, 2], &[]),
        )
        .unwrap();
        assert_eq!(seen(&all), (vec![Some(10.), Some(20.)], vec![]));
    }
}
