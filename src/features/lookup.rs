//! From a column's values to the rows of a table of known values.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Int32Type};
use foldhash::fast::FixedState;

use crate::error::Failure;

/// Dictionaries of a column that are remembered for all workers: neighbours read the same row group.
const REMEMBERED: usize = 2;

/// Known values, and the code of each. The values are the bundle's: whoever writes records can add none,
/// so that a hash which is fast does.
pub(super) struct Lookup {
    codes: HashMap<Box<str>, u32, FixedState>,
    /// What was looked up last, whoever looked.
    recent: Mutex<VecDeque<Arc<Resolved>>>,
}

/// A dictionary, and the code of each of its values.
struct Resolved {
    values: StringArray,
    codes: Vec<Option<u32>>,
}

/// The dictionary of a worker's last chunk: chunks of one row group have it in common, and each of its
/// values is looked up once.
#[derive(Default)]
pub struct LastDictionary(Option<Arc<Resolved>>);

impl Lookup {
    /// A code for each value, counted from `first`.
    pub(super) fn new(values: &[String], first: u32) -> Self {
        let values = values.iter().map(|value| value.as_str().into());
        Self {
            codes: values.zip(first..).collect(),
            recent: Mutex::default(),
        }
    }

    /// The code of a value; `None` if it is not known.
    pub(super) fn code(&self, value: &str) -> Option<u32> {
        self.codes.get(value).copied()
    }

    /// The codes of a column of text, or of text in a dictionary; `None` for nulls and unknown values.
    ///
    /// # Errors
    /// If the column is of another type, which is a mistake of the caller.
    pub(super) fn codes(
        &self,
        column: &ArrayRef,
        last: &mut LastDictionary,
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
                let resolved = self.resolved(column.values().as_string(), last);
                let keys = column.keys().iter();
                Ok(keys
                    .map(|key| resolved.codes.get(key? as usize).copied().flatten())
                    .collect())
            }
            other => Err(Failure::internal(format!(
                "a column of categories is {other}, not {}",
                DataType::Utf8
            ))
            .into()),
        }
    }

    /// The dictionary with these values: the last one, one that another worker looked up, or a new one.
    fn resolved<'last>(
        &self,
        values: &StringArray,
        last: &'last mut LastDictionary,
    ) -> &'last Resolved {
        let known = last.0.take().filter(|known| known.is_at(values));
        let resolved = known.or_else(|| self.recent(values)).unwrap_or_else(|| {
            let codes = values.iter().map(|value| self.code(value?)).collect();
            let resolved = Arc::new(Resolved {
                values: values.clone(),
                codes,
            });
            let mut recent = self.lock();
            recent.truncate(REMEMBERED - 1);
            recent.push_front(resolved.clone());
            resolved
        });
        last.0.insert(resolved)
    }

    fn recent(&self, values: &StringArray) -> Option<Arc<Resolved>> {
        let recent = self.lock();
        let mut same = recent.iter().filter(|known| known.values == *values);
        same.next().cloned()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Resolved>>> {
        // A panic elsewhere leaves whole entries.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolved {
    /// Whether these are the very same values. They are kept, so that their memory is nobody else's.
    fn is_at(&self, values: &StringArray) -> bool {
        self.values.len() == values.len()
            && self.values.value_data().as_ptr() == values.value_data().as_ptr()
            && self.values.value_offsets().as_ptr() == values.value_offsets().as_ptr()
    }
}

#[cfg(test)]
mod tests {
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
        let (lookup, mut last) = (lookup(), LastDictionary::default());
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
        for column in [&coded, &coded, &plain] {
            assert_eq!(lookup.codes(column, &mut last).unwrap(), expected);
        }
        // Another worker's chunk, of another reader: the same dictionary at another place.
        let copied = StringArray::from_iter(values.iter());
        let elsewhere = dictionary(vec![Some(3), Some(0)], &Arc::new(copied));
        let mut last = LastDictionary::default();
        assert_eq!(
            lookup.codes(&elsewhere, &mut last).unwrap(),
            [Some(1), Some(3)]
        );
        assert_eq!(lookup.lock().len(), 1, "it was looked up again");
    }

    #[test]
    fn another_dictionary_is_not_taken_for_the_one_before() {
        let (lookup, mut last) = (lookup(), LastDictionary::default());
        // Each lies where the one before may have lain.
        for round in 0..100 {
            let value = ["a", "b", "c", "x"][round % 4];
            let values = Arc::new(StringArray::from(vec![value]));
            let column = dictionary(vec![Some(0)], &values);
            drop(values);
            let codes = lookup.codes(&column, &mut last).unwrap();
            assert_eq!(codes, [lookup.code(value)]);
        }
        // The same text, cut otherwise.
        let all = StringArray::from(vec!["a", "b", "c"]);
        for (from, code) in [(0, 1), (1, 2), (2, 3)] {
            let values = Arc::new(all.slice(from, 1));
            let column = dictionary(vec![Some(0)], &values);
            let codes = lookup.codes(&column, &mut last).unwrap();
            assert_eq!(codes, [Some(code)]);
        }
    }

    #[test]
    fn other_types_are_a_mistake() {
        let column: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        assert!(
            lookup()
                .codes(&column, &mut LastDictionary::default())
                .is_err()
        );
    }
}
