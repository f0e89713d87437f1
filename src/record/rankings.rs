//! Items in the order of their scores.

/// A list of scored items for each record, best first. Items are given by their places in the model's list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rankings {
    items: Vec<u32>,
    scores: Vec<f32>,
    /// Where each record's list ends.
    ends: Vec<usize>,
}

impl Rankings {
    /// Lists that were taken apart; `None` if the parts do not belong together.
    pub fn from_parts(items: Vec<u32>, scores: Vec<f32>, ends: Vec<usize>) -> Option<Self> {
        let is_whole = ends.last().copied().unwrap_or(0) == items.len();
        let fits = is_whole && ends.is_sorted() && items.len() == scores.len();
        fits.then_some(Self {
            items,
            scores,
            ends,
        })
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds a record's list.
    pub fn push(&mut self, ranked: impl Iterator<Item = (u32, f32)>) {
        for (item, score) in ranked {
            self.items.push(item);
            self.scores.push(score);
        }
        self.ends.push(self.items.len());
    }

    /// Items and scores of the record at `index`.
    pub fn list(&self, index: usize) -> (&[u32], &[f32]) {
        let begin = match index {
            0 => 0,
            index => self.ends[index - 1],
        };
        let range = begin..self.ends[index];
        (&self.items[range.clone()], &self.scores[range])
    }

    /// Takes the lists of further records.
    pub fn append(&mut self, other: Self) {
        let before = self.items.len();
        self.items.extend(other.items);
        self.scores.extend(other.scores);
        self.ends.extend(other.ends.iter().map(|end| before + end));
    }

    /// All items, all scores, and where each record's list ends.
    pub fn parts(&self) -> (&[u32], &[f32], &[usize]) {
        (&self.items, &self.scores, &self.ends)
    }
}

/// `[{"item":"…","score":…},…]`, each score in the shortest form that reads back as the same f32.
pub(super) fn json(names: &[String], (items, scores): (&[u32], &[f32])) -> String {
    let mut json = String::from("[");
    for (&item, score) in items.iter().zip(scores) {
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str("{\"item\":");
        json.push_str(&serde_json::Value::from(names[item as usize].as_str()).to_string());
        json.push_str(",\"score\":");
        // An f32 displays as the shortest decimal that reads back as the same bits.
        json.push_str(&score.to_string());
        json.push('}');
    }
    json.push(']');
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_appended_whole() {
        let mut all = Rankings::default();
        all.push([(3, 0.5), (1, -1.0)].into_iter());
        let mut more = Rankings::default();
        more.push([].into_iter());
        more.push([(7, f32::MIN_POSITIVE)].into_iter());
        all.append(more);
        assert_eq!(all.len(), 3);
        assert_eq!(all.list(0), (&[3, 1][..], &[0.5, -1.0][..]));
        assert_eq!(all.list(1), (&[][..], &[][..]));
        assert_eq!(all.list(2), (&[7][..], &[f32::MIN_POSITIVE][..]));
        let (items, scores, ends) = all.parts();
        let again = Rankings::from_parts(items.to_vec(), scores.to_vec(), ends.to_vec());
        assert_eq!(again, Some(all));
    }

    #[test]
    fn parts_that_do_not_belong_together_are_none() {
        for (items, scores, ends) in [
            (vec![1], vec![], vec![1]),
            (vec![1], vec![0.0], vec![]),
            (vec![1], vec![0.0], vec![2]),
            (vec![1, 2], vec![0.0, 0.0], vec![2, 1, 2]),
        ] {
            assert_eq!(Rankings::from_parts(items, scores, ends), None);
        }
    }

    #[test]
    fn items_stand_as_json_in_their_order() {
        let names = ["a\"b".to_owned(), "é".to_owned()];
        let text = json(&names, (&[1, 0], &[0.1, -0.0]));
        assert_eq!(
            text,
            r#"[{"item":"é","score":0.1},{"item":"a\"b","score":-0}]"#
        );
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed[1]["item"], "a\"b");
        assert_eq!(json(&names, (&[], &[])), "[]");
    }
}
