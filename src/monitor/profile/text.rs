//! Columns of text as they are read for categories: plain, or in dictionaries; and how long texts are.

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, StringArray};
use arrow::datatypes::Int32Type;

use crate::error::Failure;
use crate::features::Texts;

/// Text, or text in a dictionary.
pub(super) enum Text<'a> {
    Plain(&'a StringArray),
    Dictionary(&'a Int32Array, &'a StringArray),
}

impl<'a> Text<'a> {
    pub(super) fn of(column: &'a ArrayRef) -> anyhow::Result<Self> {
        if let Some(texts) = column.as_string_opt::<i32>() {
            return Ok(Self::Plain(texts));
        }
        let dictionary = column.as_dictionary_opt::<Int32Type>();
        let parts =
            dictionary.and_then(|column| Some((column.keys(), column.values().as_string_opt()?)));
        let (keys, values) = parts.ok_or_else(|| mistaken(column))?;
        Ok(Self::Dictionary(keys, values))
    }

    pub(super) fn at(&self, row: usize) -> Option<&'a str> {
        match self {
            Self::Plain(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Self::Dictionary(keys, values) => {
                let key = keys.is_valid(row).then(|| keys.value(row) as usize)?;
                (key < values.len() && values.is_valid(key)).then(|| values.value(key))
            }
        }
    }
}

/// How many characters each text has; `None` where there is none.
pub(super) fn characters(column: &ArrayRef) -> anyhow::Result<Vec<Option<f64>>> {
    let texts = Texts::of(column)?;
    let count = |row| texts.at(row).ok().map(|text| text.chars().count() as f64);
    Ok((0..column.len()).map(count).collect())
}

pub(super) fn mistaken(column: &ArrayRef) -> anyhow::Error {
    Failure::internal(format!("a feature column is {}", column.data_type())).into()
}
