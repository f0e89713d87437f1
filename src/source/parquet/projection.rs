//! Which columns of the files are read, and as what types.

use arrow::datatypes::{DataType, Field, Fields};
use parquet::arrow::ProjectionMask;

use super::groups::ColumnChunk;
use super::manifest::{InputFile, ParquetInput};
use crate::error::Failure;
use crate::source::columns::{ColumnUse, common_type, conversion_hint, is_text};
use crate::source::projection::{Projection, dictionary_type};

/// Finds each use's column in each file by name and settles its type.
///
/// # Errors
/// A file lacks a column, or holds it in a type that cannot serve or that does not go together
/// with another file's (65); the message names the file, and the columns there are.
pub fn projection(input: &ParquetInput, uses: Vec<ColumnUse>) -> anyhow::Result<Projection> {
    Projection::new(uses, |column| {
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
                .hint(conversion_hint(column, stored))
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
        Ok(settled.map_or(DataType::Null, |(data_type, _)| data_type))
    })
}

/// What is decoded of a file.
#[derive(Clone)]
pub struct Columns {
    /// Which leaves.
    pub mask: ProjectionMask,
    /// As what types, of all columns.
    pub fields: Fields,
}

impl Columns {
    /// All columns, as they are stored.
    pub fn all(file: &InputFile) -> Self {
        Self {
            mask: ProjectionMask::all(),
            fields: file.columns().clone(),
        }
    }

    /// Those of `projection`. Where it takes a column as a dictionary, that of the file is kept.
    pub fn of(projection: &Projection, file: &InputFile) -> Self {
        let is_kept = |name: &str| {
            let mut uses = projection.uses().iter().zip(projection.schema().fields());
            uses.any(|(column, field)| {
                column.name == name && *field.data_type() == dictionary_type()
            })
        };
        let fields = file.columns().iter();
        let fields = fields.map(|field| match is_kept(field.name()) {
            true => Field::new(field.name(), dictionary_type(), field.is_nullable()).into(),
            false => field.clone(),
        });
        Self {
            mask: mask(projection, file),
            fields: fields.collect(),
        }
    }
}

/// Whether the values of the column `name` stand in dictionaries, in every file and row group, so that
/// whoever needs to look at each of them looks at fewer.
pub fn has_dictionary(input: &ParquetInput, name: &str) -> bool {
    input.files().iter().all(|file| {
        let is_text = match stored_type(file, name) {
            Ok(DataType::Dictionary(_, values)) => is_text(values),
            Ok(stored) => is_text(stored),
            Err(_) => false,
        };
        let leaves = file.header.parquet_schema().columns().iter();
        let mut named = leaves
            .enumerate()
            .filter(|(_, leaf)| leaf.path().parts() == [name]);
        is_text
            && named.all(|(leaf, _)| file.groups.chunks_of(leaf).all(ColumnChunk::has_dictionary))
    })
}

/// The leaves of `file` to decode.
fn mask(projection: &Projection, file: &InputFile) -> ProjectionMask {
    let roots = file
        .columns()
        .iter()
        .enumerate()
        .filter(|(_, field)| {
            projection
                .uses()
                .iter()
                .any(|column| column.name == *field.name())
        })
        .map(|(index, _)| index);
    ProjectionMask::roots(file.header.parquet_schema(), roots)
}

/// Bytes of the columns that `projection` reads, compressed as they are stored.
pub fn column_bytes(input: &ParquetInput, projection: &Projection) -> u64 {
    let of_file = |file: &InputFile| -> u64 {
        let mask = mask(projection, file);
        let leaves = 0..file.header.parquet_schema().num_columns();
        leaves
            .filter(|leaf| mask.leaf_included(*leaf))
            .flat_map(|leaf| file.groups.chunks_of(leaf))
            .map(ColumnChunk::compressed_bytes)
            .sum()
    };
    input.files().iter().map(of_file).sum()
}

fn stored_type<'file>(file: &'file InputFile, name: &str) -> anyhow::Result<&'file DataType> {
    let fields = file.columns();
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
