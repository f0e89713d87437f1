//! A shard's predictions in the form and order in which their table takes them. Workers make it, so that
//! whoever commits has only to send it.

use crate::database::{ColumnType, EncodedRows, RowSink, Table, Value};
use crate::record::{Outputs, Predictions};

use super::Target;

pub(super) const PREDICTIONS: &str = "predictions";

type Columns = &'static [(&'static str, ColumnType)];

const RUN: (&str, ColumnType) = ("run_id", ColumnType::BigInt);
const RECORD: (&str, ColumnType) = ("record_id", ColumnType::Text);
const ORDINAL: (&str, ColumnType) = ("ordinal", ColumnType::BigInt);
const LABEL: (&str, ColumnType) = ("label", ColumnType::Text);
const SCORE: (&str, ColumnType) = ("score", ColumnType::Real);
const VALUE: (&str, ColumnType) = ("value", ColumnType::Double);
const OUTPUT: (&str, ColumnType) = ("output", ColumnType::Text);
const EMBEDDING: (&str, ColumnType) = ("embedding", ColumnType::Reals);

/// The columns that a task fills; the others are null.
fn columns(outputs: &Outputs) -> Columns {
    match outputs {
        Outputs::Binary { .. } => &[RUN, RECORD, ORDINAL, LABEL, SCORE],
        Outputs::Multiclass { .. } => &[RUN, RECORD, ORDINAL, LABEL, SCORE, OUTPUT],
        Outputs::Regression { .. } => &[RUN, RECORD, ORDINAL, VALUE],
        Outputs::Embedding { .. } => &[RUN, RECORD, ORDINAL, EMBEDDING],
        Outputs::Ranking { .. } => &[RUN, RECORD, ORDINAL, OUTPUT],
    }
}

impl Target {
    /// Encodes the predictions of a run's shard for this database.
    ///
    /// # Errors
    /// The database can not hold a value (65).
    pub fn encode(&self, run_id: i64, predictions: &Predictions) -> anyhow::Result<EncodedRows> {
        let columns = columns(predictions.outputs());
        let table = Table {
            name: PREDICTIONS,
            columns,
        };
        let order = by_id(predictions);
        let mut produce = |sink: &mut RowSink<'_>| {
            for &index in &order {
                let row = predictions.row(index);
                let (run, record) = (Value::from(run_id), row.record_id.as_ref().into());
                let ordinal = row.ordinal.into();
                let label = row.label.as_deref().into();
                let score = row.score.into();
                let output = row.output.as_deref().into();
                match predictions.outputs() {
                    Outputs::Binary { .. } => sink(&[run, record, ordinal, label, score])?,
                    Outputs::Multiclass { .. } => {
                        sink(&[run, record, ordinal, label, score, output])?;
                    }
                    Outputs::Regression { .. } => sink(&[run, record, ordinal, row.value.into()])?,
                    Outputs::Embedding { .. } => {
                        sink(&[run, record, ordinal, row.embedding.as_deref().into()])?;
                    }
                    Outputs::Ranking { .. } => sink(&[run, record, ordinal, output])?,
                }
            }
            Ok(())
        };
        let rows = EncodedRows::new(self.dialect(), &table, order.len(), &mut produce)?;
        Ok(rows)
    }
}

/// The table is a tree by id: in its order, rows go to neighbouring pages.
fn by_id(predictions: &Predictions) -> Vec<usize> {
    let mut order: Vec<usize> = (0..predictions.len()).collect();
    order.sort_unstable_by_key(|&index| predictions.record_id(index));
    order
}
