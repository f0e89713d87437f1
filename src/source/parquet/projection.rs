//! Which columns of the files are read, and as what types.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;

use super::manifest::{InputFile, ParquetInput};
use crate::error::Failure;
use crate::source::columns::{ColumnUse, Purpose, common_type};

/// The columns of every chunk: one for each [`ColumnUse`], in their order, in canonical types.
pub struct Projection {
    uses: Vec<ColumnUse>,
    schema: SchemaRef,
}

impl Projection {
    /// Finds each use's column in each file by name and settles its type.
    ///
    /// # Errors
    /// A file lacks a column, or holds it in a type that cannot serve or that does not go together
    /// with another file's (65); the message names the file, and the columns there are.
    pub fn new(input: &ParquetInput, uses: Vec<ColumnUse>) -> anyhow::Result<Self> {
        let mut fields = Vec::with_capacity(uses.len());
        for column in &uses {
            let mut settled: Option<(DataType, &InputFile)> = None;
            for file in input.files() {
                let stored = stored_type(file, &column.name)?;
                let read_as = column.purpose.read_as(stored).ok_or_else(|| {
                    Failure::data(format!(
                        "{}: column `{}` is of type {stored}, but it must hold {}",
                        file.path.display(),
                        column.name,
                        column.purpose.accepted(),
                    ))
                    .hint(hint(column, stored))
                })?;
                settled = Some(match settled {
                    None => (read_as, file),
                    Some((earlier, first)) => match common_type(&earlier, &read_as) {
                        Some(common) => (common, first),
                        None => {
                            return Err(Failure::data(format!(
                                "column `{}` does not go together: {earlier} in {}, {read_as} in {}",
                                column.name,
                                first.path.display(),
                                file.path.display(),
                            ))
                            .hint("write all files with one schema")
                            .into());
                        }
                    },
                });
            }
            let data_type = match settled {
                // A column without a single value can pass for any type.
                None | Some((DataType::Null, _)) => DataType::Utf8,
                Some((data_type, _)) => data_type,
            };
            fields.push(Field::new(&column.name, data_type, true));
        }
        Ok(Self {
            uses,
            schema: Arc::new(Schema::new(fields)),
        })
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

    /// The leaves of `file` to decode.
    pub(super) fn mask(&self, file: &InputFile) -> ProjectionMask {
        let roots = file
            .metadata
            .schema()
            .fields()
            .iter()
            .enumerate()
            .filter(|(_, field)| self.uses.iter().any(|column| column.name == *field.name()))
            .map(|(index, _)| index);
        ProjectionMask::roots(file.metadata.parquet_schema(), roots)
    }

    /// Brings a decoded batch (a file's own types and order) into this projection's form.
    pub(super) fn canonical(&self, decoded: &RecordBatch) -> anyhow::Result<RecordBatch> {
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

fn stored_type<'file>(file: &'file InputFile, name: &str) -> anyhow::Result<&'file DataType> {
    let fields = file.metadata.schema().fields();
    let mut named = fields.iter().filter(|field| field.name() == name);
    let field = named.next().ok_or_else(|| {
        let there: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
        let failure = Failure::data(format!(
            "{} has no column `{name}`; its columns are {}",
            file.path.display(),
            there.join(", ")
        ));
        match crate::suggest::nearest(name, there.iter().copied()) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure,
        }
    })?;
    if named.next().is_some() {
        return Err(Failure::data(format!(
            "{} has more than one column `{name}`",
            file.path.display()
        ))
        .into());
    }
    Ok(field.data_type())
}

fn hint(column: &ColumnUse, stored: &DataType) -> String {
    match column.purpose {
        Purpose::Identity if stored.is_floating() => {
            "a float is no safe identity (1e15 and 1000000000000000 would differ); store the id as an integer or text".to_owned()
        }
        Purpose::Identity => "store the id as an integer or text".to_owned(),
        _ => format!(
            "convert it where the file is written, or with `transform`, for example \"CAST({} AS …) AS …\"",
            column.name
        ),
    }
}
