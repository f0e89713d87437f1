//! What a chunk of records looks like to those who work on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::columns::{ColumnUse, Purpose};
use crate::error::Failure;

/// The columns of every chunk: one for each [`ColumnUse`], in their order, in canonical types.
pub struct Projection {
    uses: Vec<ColumnUse>,
    schema: SchemaRef,
}

/// Text in a dictionary.
pub(super) fn dictionary_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

impl Projection {
    /// A column for each use, of the type that `settle` finds for it.
    ///
    /// # Errors
    /// Those of `settle`.
    pub fn new(
        uses: Vec<ColumnUse>,
        mut settle: impl FnMut(&ColumnUse) -> anyhow::Result<DataType>,
    ) -> anyhow::Result<Self> {
        let fields = uses
            .iter()
            .map(|column| {
                let data_type = match settle(column)? {
                    // A column without a single value can pass for any type.
                    DataType::Null => DataType::Utf8,
                    data_type => data_type,
                };
                Ok(Field::new(&column.name, data_type, true))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self {
            uses,
            schema: Arc::new(Schema::new(fields)),
        })
    }

    /// The same, with those columns of categories as dictionaries that `has_dictionary`.
    #[must_use]
    pub fn with_dictionaries(mut self, has_dictionary: impl Fn(&ColumnUse) -> bool) -> Self {
        let fields = self.uses.iter().zip(self.schema.fields());
        let fields: Vec<Field> = fields
            .map(|(column, field)| match column.purpose {
                Purpose::Categorical if has_dictionary(column) => {
                    Field::new(field.name(), dictionary_type(), true)
                }
                _ => field.as_ref().clone(),
            })
            .collect();
        self.schema = Arc::new(Schema::new(fields));
        self
    }

    /// The columns, in order.
    pub fn uses(&self) -> &[ColumnUse] {
        &self.uses
    }

    /// Names and canonical types of the columns, in order.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.uses.len()
    }

    /// Index of the column that serves `purpose` under `name`.
    pub fn index_of(&self, name: &str, purpose: Purpose) -> Option<usize> {
        self.uses
            .iter()
            .position(|column| column.name == name && column.purpose == purpose)
    }

    /// The columns read for `purpose`, as a schema.
    pub fn schema_of(&self, purpose: Purpose) -> Schema {
        let fields: Vec<_> = self
            .indices_of(purpose)
            .map(|index| self.schema.field(index).clone())
            .collect();
        Schema::new(fields)
    }

    /// The columns of `batch` (a chunk of this projection) that are read for `purpose`.
    ///
    /// # Errors
    /// If `batch` is not of this projection.
    pub fn select(&self, batch: &RecordBatch, purpose: Purpose) -> anyhow::Result<RecordBatch> {
        let indices: Vec<_> = self.indices_of(purpose).collect();
        Ok(batch.project(&indices)?)
    }

    fn indices_of(&self, purpose: Purpose) -> impl Iterator<Item = usize> {
        self.uses
            .iter()
            .enumerate()
            .filter(move |(_, column)| column.purpose == purpose)
            .map(|(index, _)| index)
    }

    /// Brings a decoded batch (with the source's own types and order) into this projection's form.
    ///
    /// # Errors
    /// A value does not fit (65).
    pub fn canonical(&self, decoded: &RecordBatch) -> anyhow::Result<RecordBatch> {
        let mut done: BTreeMap<(&str, &DataType), ArrayRef> = BTreeMap::new();
        let mut columns = Vec::with_capacity(self.uses.len());
        for (column, field) in self.uses.iter().zip(self.schema.fields()) {
            let key = (column.name.as_str(), field.data_type());
            let array = match done.get(&key) {
                Some(array) => array.clone(),
                None => {
                    let stored = decoded.column_by_name(&column.name).ok_or_else(|| {
                        Failure::internal(format!("column `{}` was not decoded", column.name))
                    })?;
                    let options = CastOptions {
                        safe: false,
                        ..CastOptions::default()
                    };
                    let array = cast_with_options(stored, field.data_type(), &options).map_err(
                        |error| Failure::data(format!("column `{}`: {error}", column.name)),
                    )?;
                    done.insert(key, array.clone());
                    array
                }
            };
            columns.push(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(decoded.num_rows()));
        Ok(RecordBatch::try_new_with_options(
            self.schema.clone(),
            columns,
            &options,
        )?)
    }
}
