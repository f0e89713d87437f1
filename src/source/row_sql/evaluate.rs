//! One expression: from its text to polars' plan, and from a chunk to a column.
//!
//! polars plans an expression once per set of input types; a chunk then costs little more than
//! the arithmetic. The planned expression is called directly and not through a `LazyFrame`: that
//! would plan anew for each chunk, and hand parts of the work to polars' own threads while a
//! worker waits, who may meanwhile start on another shard. Here, a chunk is evaluated on the
//! thread that brings it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch,
    RecordBatchOptions, StringArray, TimestampMicrosecondArray, UInt64Array, new_empty_array,
    new_null_array,
};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Schema, TimeUnit};
use polars::prelude::{Column, DataFrame, Expr};
use polars_expr::prelude::{ExecutionState, PhysicalExpr};

use super::{Clause, check, convert, plan};
use crate::error::{self, Failure};

/// The plans of an expression, by the types of the columns that it reads.
type Plans = Vec<(Vec<DataType>, Arc<dyn PhysicalExpr>)>;

/// Makes a sample of a column of some type.
type Sample = fn(&DataType) -> ArrayRef;

/// A checked expression that polars can evaluate.
#[derive(Clone)]
pub(super) struct Expression {
    clause: Clause,
    text: String,
    columns: BTreeSet<String>,
    expression: Expr,
    plans: Arc<Mutex<Plans>>,
}

impl fmt::Debug for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.describe())
    }
}

impl Expression {
    /// Makes an expression of a text that [`check`] let through; `columns` are those it reads.
    pub(super) fn new(
        clause: Clause,
        text: String,
        columns: BTreeSet<String>,
    ) -> anyhow::Result<Self> {
        let expression = polars::sql::sql_expr(&text)
            .map_err(|error| check::refuse(clause, &text, format!("cannot be read: {error}")))?
            .map_expr(plan::lenient);
        Ok(Self {
            clause,
            text,
            columns,
            expression,
            plans: Arc::default(),
        })
    }

    /// The text, as it stands in the job file.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// A refusal of this expression.
    pub(super) fn refuse(&self, why: impl fmt::Display) -> Failure {
        check::refuse(self.clause, &self.text, why)
    }

    /// The clause and the text, for messages.
    pub(super) fn describe(&self) -> String {
        format!("`{}` in `{}`", self.text, self.clause)
    }

    /// The column of results for a batch, as long as the batch.
    pub(super) fn evaluate(&self, batch: &RecordBatch) -> anyhow::Result<Column> {
        let columns = self
            .columns
            .iter()
            .map(|name| {
                let array = batch.column_by_name(name).ok_or_else(|| {
                    Failure::internal(format!("{} misses its column `{name}`", self.describe()))
                })?;
                Ok((name.as_str(), array.as_ref()))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        // polars computes with other instructions where it takes a single row for a constant, and
        // the last bit may differ. So a record that comes alone is computed in two copies.
        let doubled;
        let (rows, columns) = if batch.num_rows() == 1 {
            doubled = columns
                .iter()
                .map(|(name, array)| Ok((*name, concat(&[*array, *array])?)))
                .collect::<anyhow::Result<Vec<_>>>()?;
            let columns = doubled
                .iter()
                .map(|(name, array)| (*name, array.as_ref()))
                .collect();
            (2, columns)
        } else {
            (batch.num_rows(), columns)
        };
        let frame = frame(rows, &columns)?;
        let types = columns
            .iter()
            .map(|(_, array)| array.data_type().clone())
            .collect();
        let plan = self.plan(types, &frame)?;
        let result = plan
            .evaluate(&frame, &ExecutionState::new())
            .map_err(|error| Failure::data(format!("{} fails: {error}", self.describe())))?;
        if result.len() == rows && !self.columns.is_empty() {
            Ok(result.slice(0, batch.num_rows()))
        } else if result.len() == 1 && self.columns.is_empty() {
            // An expression of literals alone has one value, which holds for all records.
            Ok(result.new_from_index(0, batch.num_rows()))
        } else {
            Err(Failure::internal(format!(
                "{} gives {} results for {} records",
                self.describe(),
                result.len(),
                batch.num_rows()
            ))
            .into())
        }
    }

    /// The type of the results for inputs of this schema, found by evaluating samples: a plain
    /// record, one that is null throughout, and no record at all.
    pub(super) fn check_type(&self, schema: &Schema) -> anyhow::Result<polars::prelude::DataType> {
        let fields = self
            .columns
            .iter()
            .filter_map(|name| schema.column_with_name(name))
            .map(|(_, field)| field.clone().with_nullable(true))
            .collect::<Vec<_>>();
        let sample_schema = Arc::new(Schema::new(fields));
        let null_value = |data_type: &DataType| new_null_array(data_type, 1);
        let samples: [(usize, Sample); 3] =
            [(1, plain_value), (1, null_value), (0, new_empty_array)];
        let mut found = polars::prelude::DataType::Null;
        for (rows, sample) in samples {
            let arrays = sample_schema
                .fields()
                .iter()
                .map(|field| sample(field.data_type()))
                .collect();
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            let batch =
                RecordBatch::try_new_with_options(Arc::clone(&sample_schema), arrays, &options)
                    .context("sample for an expression")?;
            let result = self.evaluate(&batch).map_err(|error| {
                let hint = error::hint(&error).map_or_else(|| type_hint(schema), str::to_owned);
                Failure::config(format!("{error:#}")).hint(hint)
            })?;
            found = result.dtype().clone();
        }
        Ok(found)
    }

    fn plan(
        &self,
        types: Vec<DataType>,
        frame: &DataFrame,
    ) -> Result<Arc<dyn PhysicalExpr>, Failure> {
        // A panic while the lock was held leaves nothing half done: plans are only added.
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, plan)) = plans.iter().find(|(known, _)| *known == types) {
            return Ok(Arc::clone(plan));
        }
        let plan = plan::make(self, &self.expression, frame)?;
        plans.push((types, Arc::clone(&plan)));
        Ok(plan)
    }
}

fn frame(rows: usize, columns: &[(&str, &dyn Array)]) -> anyhow::Result<DataFrame> {
    let columns = columns
        .iter()
        .map(|(name, array)| Ok(convert::to_polars(name, *array)?.into()))
        .collect::<anyhow::Result<Vec<Column>>>()?;
    Ok(DataFrame::new(rows, columns)?)
}

fn plain_value(data_type: &DataType) -> ArrayRef {
    match data_type {
        DataType::Int64 => Arc::new(Int64Array::from(vec![1])),
        DataType::UInt64 => Arc::new(UInt64Array::from(vec![1])),
        DataType::Float64 => Arc::new(Float64Array::from(vec![1.0])),
        DataType::Boolean => Arc::new(BooleanArray::from(vec![true])),
        DataType::Utf8 => Arc::new(StringArray::from(vec!["a"])),
        DataType::Date32 => Arc::new(Date32Array::from(vec![1])),
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            Arc::new(TimestampMicrosecondArray::from(vec![1]))
        }
        other => new_null_array(other, 1),
    }
}

fn type_hint(schema: &Schema) -> String {
    let columns: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| format!("{} {}", field.name(), field.data_type()))
        .collect();
    format!(
        "columns: {}; dates are written DATE '2013-10-01'",
        columns.join(", ")
    )
}
