//! From a column's values to the rows of a table of known values.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Int32Type};
use foldhash::fast::FixedState;

use crate::error::Failure;

/// Known values, and the code of each. The values are the bundle's: whoever writes records can add none,
/// so that a hash which is fast does.
pub(super) struct Lookup(HashMap<Box<str>, u32, FixedState>);

/// What a dictionary's values are known to be, from one chunk to the next: chunks of one row group have
/// their dictionary in common, and each of its values is looked up once.
#[derive(Default)]
pub struct DictionaryCodes {
    /// Kept, so that its memory is not another dictionary's meanwhile.
    values: Option<StringArray>,
    codes: Vec<Seen>,
}

/// What is known of one value of a dictionary.
#[derive(Clone, Copy)]
enum Seen {
    NotYet,
    Unknown,
    Code(u32),
}

impl Lookup {
    /// A code for each value, counted from `first`.
    pub(super) fn new(values: &[String], first: u32) -> Self {
        let values = values.iter().map(|value| value.as_str().into());
        Self(values.zip(first..).collect())
    }

    /// The code of a value; `None` if it is not known.
    pub(super) fn code(&self, value: &str) -> Option<u32> {
        self.0.get(value).copied()
    }

    /// The codes of a column of text, or of text in a dictionary; `None` for nulls and unknown values.
    ///
    /// # Errors
    /// If the column is of another type, which is a mistake of the caller.
    pub(super) fn codes(
        &self,
        column: &ArrayRef,
        known: &mut DictionaryCodes,
    ) -> anyhow::Result<Vec<Option<u32>>> {
        match column.data_type() {
            DataType::Utf8 => {
                let values = column.as_string::<i32>().iter();
                Ok(values.map(|value| self.code(value?)).collect())
            }
            DataType::Dictionary(keys, values)
                if **keys == DataType::Int32 && **values == DataType::Utf8 =>
            {
                let column = column.as_dictionary::<Int32Type>();
                let values = column.values().as_string::<i32>();
                known.turn_to(values);
                let keys = column.keys().iter();
                Ok(keys
                    .map(|key| self.code_of_key(key? as usize, values, known))
                    .collect())
            }
            other => Err(Failure::internal(format!(
                "a column of categories is {other}, not {}",
                DataType::Utf8
            ))
            .into()),
        }
    }

    fn code_of_key(
        &self,
        key: usize,
        values: &StringArray,
        known: &mut DictionaryCodes,
    ) -> Option<u32> {
        match known.codes[key] {
            Seen::Code(code) => Some(code),
            Seen::Unknown => None,
            Seen::NotYet => {
                // A dictionary may hold a null, too, though none of Parquet does.
                let code = values
                    .is_valid(key)
                    .then(|| self.code(values.value(key)))
                    .flatten();
                known.codes[key] = code.map_or(Seen::Unknown, Seen::Code);
                code
            }
        }
    }
}

impl DictionaryCodes {
    /// Forgets what is known, unless it is of these very values.
    fn turn_to(&mut self, values: &StringArray) {
        let is_same = |known: &StringArray| {
            known.len() == values.len()
                && known.value_data().as_ptr() == values.value_data().as_ptr()
                && known.value_offsets().as_ptr() == values.value_offsets().as_ptr()
        };
        if !self.values.as_ref().is_some_and(is_same) {
            self.values = Some(values.clone());
            self.codes.clear();
            self.codes.resize(values.len(), Seen::NotYet);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{DictionaryArray, Int32Array};

    use super::*;

    fn lookup() -> Lookup {
        Lookup::new(&["a".to_owned(), "b".to_owned(), "c".to_owned()], 1)
    }

    fn dictionary(keys: Vec<Option<i32>>, values: &Arc<StringArray>) -> ArrayRef {
        Arc::new(DictionaryArray::new(
            Int32Array::from(keys),
            values.clone() as ArrayRef,
        ))
    }

    #[test]
    fn a_dictionary_gives_what_its_values_give() {
        let mut known = DictionaryCodes::default();
        let values = Arc::new(StringArray::from(vec![
            Some("c"),
            Some("x"),
            None,
            Some("a"),
        ]));
        let keys = vec![Some(0), Some(1), Some(2), None, Some(3), Some(0)];
        let expected = [Some(3), None, None, None, Some(1), Some(3)];
        let coded = dictionary(keys, &values);
        let plain = arrow::compute::cast(&coded, &DataType::Utf8).unwrap();
        // Twice: the second time all of them are known.
        for column in [&coded, &coded, &plain] {
            assert_eq!(lookup().codes(column, &mut known).unwrap(), expected);
        }
    }

    #[test]
    fn another_dictionary_is_not_taken_for_the_one_before() {
        let mut known = DictionaryCodes::default();
        // Each lies where the one before may have lain.
        for round in 0..100 {
            let value = ["a", "b", "c", "x"][round % 4];
            let values = Arc::new(StringArray::from(vec![value]));
            let column = dictionary(vec![Some(0)], &values);
            drop(values);
            let codes = lookup().codes(&column, &mut known).unwrap();
            assert_eq!(codes, [lookup().code(value)]);
        }
        // The same text, cut otherwise.
        let all = StringArray::from(vec!["a", "b", "c"]);
        for (from, code) in [(0, 1), (1, 2), (2, 3)] {
            let values = Arc::new(all.slice(from, 1));
            let column = dictionary(vec![Some(0)], &values);
            let codes = lookup().codes(&column, &mut known).unwrap();
            assert_eq!(codes, [Some(code)]);
        }
    }

    #[test]
    fn other_types_are_a_mistake() {
        let column: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        assert!(
            lookup()
                .codes(&column, &mut DictionaryCodes::default())
                .is_err()
        );
    }
}
