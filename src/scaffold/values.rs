//! The most frequent values of a column of text, in bounded memory.

use std::collections::HashMap;

use arrow::array::StringArray;

/// Longer texts are no categories.
const LONGEST: usize = 100;

/// What a column of text holds. With few different values the counts are exact. With many, values are
/// forgotten when there is no room, the rare ones first: whatever makes up more of the records than one
/// in [`room`](Self::new) is there in the end.
#[derive(Clone, Debug)]
pub struct Values {
    room: usize,
    counts: HashMap<String, u64>,
    /// Values that are not null.
    pub count: u64,
    /// Values that are too long to be a category.
    pub long: u64,
    /// Whether values were forgotten.
    pub is_partial: bool,
}

impl Values {
    /// No values yet, and room for so many.
    pub fn new(room: usize) -> Self {
        Self {
            room,
            counts: HashMap::new(),
            count: 0,
            long: 0,
            is_partial: false,
        }
    }

    /// Takes the values of a chunk in.
    pub fn add(&mut self, values: &StringArray) {
        for value in values.iter().flatten() {
            self.count += 1;
            if value.len() > LONGEST {
                self.long += 1;
            } else if let Some(count) = self.counts.get_mut(value) {
                *count += 1;
            } else {
                if self.counts.len() == self.room {
                    self.forget();
                }
                if self.counts.len() < self.room {
                    self.counts.insert(value.to_owned(), 1);
                }
            }
        }
    }

    /// Counts every value down by one, and makes room of those that this leaves nothing of.
    fn forget(&mut self) {
        self.is_partial = true;
        self.counts.retain(|_, count| {
            *count -= 1;
            *count > 0
        });
    }

    /// The values, the most frequent first; of equal ones the one that sorts first.
    pub fn most_frequent(&self) -> Vec<(&str, u64)> {
        let mut all: Vec<(&str, u64)> = self
            .counts
            .iter()
            .map(|(value, count)| (value.as_str(), *count))
            .collect();
        all.sort_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(right.0)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_are_counted_exactly() {
        let mut values = Values::new(4);
        let long = "x".repeat(LONGEST + 1);
        values.add(&StringArray::from(vec![
            Some("b"),
            None,
            Some("a"),
            Some("b"),
            Some(&long),
        ]));
        assert_eq!(values.most_frequent(), [("b", 2), ("a", 1)]);
        assert_eq!(
            (values.count, values.long, values.is_partial),
            (4, 1, false)
        );
    }

    #[test]
    fn among_many_values_the_frequent_ones_are_kept() {
        let mut values = Values::new(10);
        let stream = (0..10_000).map(|n| match n % 4 {
            0 => "often".to_owned(),
            1 if n % 8 == 1 => "sometimes".to_owned(),
            _ => format!("once {n}"),
        });
        values.add(&StringArray::from_iter_values(stream));
        let found = values.most_frequent();
        assert_eq!(found[0].0, "often");
        assert_eq!(found[1].0, "sometimes");
        assert!(values.is_partial && found.len() <= 10);
    }
}
