//! Which of the rows that arrive is which of the records that are expected.
//!
//! Ids are compared in the bytes in which they arrive. Nearly always rows come in the order in
//! which they were planned; then each is compared with the next record only. At the first that is
//! not, the ids go into a table.

use std::collections::HashMap;

use arrow::array::{Array, StringArray};

use super::types::Stored;
use crate::error::Failure;

/// The records of a slice, in order, and which rows are theirs.
pub(super) struct Matcher {
    /// Ids as they arrive, one after the other.
    bytes: Vec<u8>,
    /// Where each begins and ends; `None` for a record without an id, which nothing matches.
    ranges: Vec<Option<(usize, usize)>>,
    /// The row of each record.
    rows: Vec<Option<u32>>,
    /// The record that is expected next.
    next: usize,
    /// Offsets of the records of each id, the last first. Built when it is needed.
    table: Option<HashMap<Vec<u8>, Vec<usize>>>,
    has_equal_ids: bool,
}

impl Matcher {
    /// For records of these ids, which are stored as `stored`.
    pub(super) fn new(ids: &StringArray, stored: Stored) -> Result<Self, Failure> {
        let mut bytes = Vec::with_capacity(ids.value_data().len());
        let mut ranges = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(id) = id else {
                ranges.push(None);
                continue;
            };
            let begin = bytes.len();
            match stored {
                Stored::Text => bytes.extend(id.as_bytes()),
                Stored::SmallInteger => bytes.extend(number::<i16>(id)?.to_be_bytes()),
                Stored::Integer => bytes.extend(number::<i32>(id)?.to_be_bytes()),
                Stored::BigInteger => bytes.extend(number::<i64>(id)?.to_be_bytes()),
                _ => return Err(not_an_id(id)),
            }
            ranges.push(Some((begin, bytes.len())));
        }
        Ok(Self {
            bytes,
            rows: vec![None; ranges.len()],
            ranges,
            next: 0,
            table: None,
            has_equal_ids: false,
        })
    }

    /// Tries to give the row with this id a place: `row` is its number among those that have one.
    /// Of several records with this id, the first without a row takes it.
    pub(super) fn place(&mut self, id: Option<&[u8]>, row: u32) -> bool {
        let Some(id) = id else {
            return false;
        };
        while let Some(None) = self.ranges.get(self.next) {
            self.next += 1;
        }
        let in_order = self.next < self.rows.len()
            && self.rows[self.next].is_none()
            && !self.has_equal_ids
            && self.id(self.next) == Some(id);
        let offset = if in_order {
            self.next
        } else {
            match self.look_up(id) {
                Some(offset) => offset,
                None => return false,
            }
        };
        self.rows[offset] = Some(row);
        self.next = offset + 1;
        true
    }

    /// Offsets of the records that have an id and no row.
    pub(super) fn missing(&self) -> impl Iterator<Item = usize> {
        let without_row = |(offset, (range, row)): (usize, (&Option<_>, &Option<u32>))| {
            (range.is_some() && row.is_none()).then_some(offset)
        };
        self.ranges
            .iter()
            .zip(&self.rows)
            .enumerate()
            .filter_map(without_row)
    }

    /// The row of each record.
    pub(super) fn rows(&self) -> &[Option<u32>] {
        &self.rows
    }

    fn id(&self, offset: usize) -> Option<&[u8]> {
        let (begin, end) = self.ranges[offset]?;
        self.bytes.get(begin..end)
    }

    fn look_up(&mut self, id: &[u8]) -> Option<usize> {
        let mut table = match self.table.take() {
            Some(table) => table,
            None => self.build_table(),
        };
        let mut found = None;
        if let Some(offsets) = table.get_mut(id) {
            while let Some(offset) = offsets.pop() {
                // It may have been taken in order before or after the table was built.
                if self.rows[offset].is_none() {
                    found = Some(offset);
                    break;
                }
            }
        }
        self.table = Some(table);
        found
    }

    fn build_table(&mut self) -> HashMap<Vec<u8>, Vec<usize>> {
        let mut table: HashMap<Vec<u8>, Vec<usize>> = HashMap::with_capacity(self.rows.len());
        for offset in (0..self.rows.len()).rev() {
            if let (Some(id), None) = (self.id(offset), self.rows[offset]) {
                let offsets = table.entry(id.to_vec()).or_default();
                self.has_equal_ids |= !offsets.is_empty();
                offsets.push(offset);
            }
        }
        table
    }
}

fn number<T: std::str::FromStr>(id: &str) -> Result<T, Failure> {
    id.parse().map_err(|_| not_an_id(id))
}

fn not_an_id(id: &str) -> Failure {
    Failure::internal(format!(
        "`{}` can not be an id in this input",
        id.escape_default()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matcher(ids: &[Option<&str>]) -> Matcher {
        Matcher::new(&ids.iter().collect(), Stored::Text).unwrap()
    }

    /// Places rows of these ids, numbered as they find a place, and says which record has which.
    fn place(ids: &[Option<&str>], rows: &[Option<&str>]) -> (Vec<Option<u32>>, Vec<usize>) {
        let mut matcher = matcher(ids);
        let mut placed = 0;
        for row in rows {
            placed += u32::from(matcher.place(row.map(str::as_bytes), placed));
        }
        (matcher.rows().to_vec(), matcher.missing().collect())
    }

    #[test]
    fn rows_in_order_need_no_table() {
        let mut matcher = matcher(&[Some("a"), None, Some(""), Some("b")]);
        for (row, id) in ["a", "", "b"].into_iter().enumerate() {
            assert!(matcher.place(Some(id.as_bytes()), row as u32));
        }
        assert!(matcher.table.is_none());
        assert_eq!(matcher.rows(), [Some(0), None, Some(1), Some(2)]);
        assert_eq!(matcher.missing().count(), 0);
    }

    #[test]
    fn moved_vanished_and_later_rows_are_told_apart() {
        let ids = [Some("a"), Some("b"), Some("c"), Some("d")];
        let (rows, missing) = place(&ids, &[Some("c"), Some("x"), None, Some("d"), Some("a")]);
        assert_eq!(rows, [Some(2), None, Some(0), Some(1)]);
        assert_eq!(missing, [1]);
    }

    #[test]
    fn of_equal_ids_the_first_record_takes_the_first_row() {
        let ids = [Some("a"), Some("b"), Some("a"), Some("b"), Some("a")];
        let (rows, missing) = place(&ids, &[Some("b"), Some("a"), Some("a"), Some("b")]);
        assert_eq!(rows, [Some(1), Some(0), Some(2), Some(3), None]);
        assert_eq!(missing, [4]);
        let (rows, _) = place(&[Some("a")], &[Some("a"), Some("a")]);
        assert_eq!(rows, [Some(0)]);
    }

    #[test]
    fn integers_are_compared_as_they_arrive() {
        let ids = StringArray::from(vec!["-7", "300"]);
        let mut matcher = Matcher::new(&ids, Stored::Integer).unwrap();
        assert!(matcher.place(Some(&300_i32.to_be_bytes()), 0));
        assert!(matcher.place(Some(&(-7_i32).to_be_bytes()), 1));
        assert_eq!(matcher.rows(), [Some(1), Some(0)]);
        assert!(Matcher::new(&StringArray::from(vec!["x"]), Stored::Integer).is_err());
        assert!(Matcher::new(&StringArray::from(vec!["1"]), Stored::Double).is_err());
    }

    proptest! {
        /// The rule, without any of the short cuts.
        #[test]
        fn short_cuts_change_nothing(
            ids in prop::collection::vec(prop::option::weighted(0.9, 0_u8..12), 0..20),
            rows in prop::collection::vec(prop::option::weighted(0.9, 0_u8..14), 0..30),
        ) {
            let text = |ids: &[Option<u8>]| -> Vec<Option<String>> {
                ids.iter().map(|id| id.map(|id| id.to_string())).collect()
            };
            let (ids, rows) = (text(&ids), text(&rows));
            let mut expected = vec![None; ids.len()];
            let mut placed = 0;
            for row in rows.iter().flatten() {
                let free = (0..ids.len())
                    .find(|&at| ids[at].as_ref() == Some(row) && expected[at].is_none());
                if let Some(free) = free {
                    expected[free] = Some(placed);
                    placed += 1;
                }
            }
            let ids: Vec<_> = ids.iter().map(Option::as_deref).collect();
            let rows: Vec<_> = rows.iter().map(Option::as_deref).collect();
            prop_assert_eq!(place(&ids, &rows).0, expected);
        }
    }
}
