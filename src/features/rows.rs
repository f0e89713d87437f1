//! Rows as a network takes them.

use std::ops::Range;

/// Encoded rows, of whichever kind the network takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Rows {
    /// Numbers and codes.
    Table(Table),
    /// Texts.
    Tokens(Tokens),
    /// Queries.
    Queries(Queries),
}

/// Rows of a matrix of numbers, and of one of codes.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Columns of `dense`.
    pub dense_width: usize,
    /// Columns of `codes`.
    pub code_width: usize,
    /// Row-major `[rows, dense width]`: numbers and one-hot columns, in the order of the features.
    pub dense: Vec<f32>,
    /// Row-major `[rows, code width]`: rows of embedding tables.
    pub codes: Vec<u32>,
}

/// Texts as a tokenizer gives them, one after the other, without padding.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tokens {
    ids: Vec<u32>,
    type_ids: Vec<u8>,
    /// Where each text ends in `ids`.
    ends: Vec<usize>,
}

/// Rows of a table of queries, and for each of them the items that it is not to be given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Queries {
    rows: Vec<u32>,
    excluded: Vec<u32>,
    /// Where those of each query end in `excluded`.
    ends: Vec<usize>,
}

impl Rows {
    /// Removes all rows, and keeps the room that they took.
    pub fn clear(&mut self) {
        match self {
            Self::Table(table) => {
                table.dense.clear();
                table.codes.clear();
            }
            Self::Tokens(tokens) => {
                tokens.ids.clear();
                tokens.type_ids.clear();
                tokens.ends.clear();
            }
            Self::Queries(queries) => {
                queries.rows.clear();
                queries.excluded.clear();
                queries.ends.clear();
            }
        }
    }

    /// Appends the row at `row` of others of the same kind. Returns false if they are of another.
    pub fn push(&mut self, others: &Self, row: usize) -> bool {
        match (self, others) {
            (Self::Table(table), Self::Table(others)) => {
                let (dense, codes) = (others.dense_width, others.code_width);
                table
                    .dense
                    .extend_from_slice(&others.dense[row * dense..(row + 1) * dense]);
                table
                    .codes
                    .extend_from_slice(&others.codes[row * codes..(row + 1) * codes]);
                true
            }
            (Self::Tokens(tokens), Self::Tokens(others)) => {
                let (ids, type_ids) = others.text(row);
                tokens.push(ids.iter().copied(), type_ids.iter().copied());
                true
            }
            (Self::Queries(queries), Self::Queries(others)) => {
                let (query, excluded) = others.query(row);
                queries.push(query, excluded.iter().copied());
                true
            }
            _ => false,
        }
    }
}

impl Queries {
    /// Appends a query and the items that it is not to be given, ascending.
    pub fn push(&mut self, query: u32, excluded: impl IntoIterator<Item = u32>) {
        self.rows.push(query);
        self.excluded.extend(excluded);
        self.ends.push(self.excluded.len());
    }

    /// The query at `index`, and the items that it is not to be given, ascending.
    pub fn query(&self, index: usize) -> (u32, &[u32]) {
        (
            self.rows[index],
            &self.excluded[span(&self.ends, index..index + 1)],
        )
    }

    /// Rows of the table of queries, for some neighbouring ones.
    pub fn rows(&self, queries: Range<usize>) -> &[u32] {
        &self.rows[queries]
    }
}

impl Tokens {
    /// Number of texts.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Appends a text: its tokens, and for each of them to which text of a pair it belongs.
    pub fn push(&mut self, ids: impl Iterator<Item = u32>, type_ids: impl Iterator<Item = u8>) {
        self.ids.extend(ids);
        self.type_ids.extend(type_ids);
        // Whatever an iterator may have missed.
        self.type_ids.resize(self.ids.len(), 0);
        self.ends.push(self.ids.len());
    }

    /// Tokens and their types of the text at `index`.
    pub fn text(&self, index: usize) -> (&[u32], &[u8]) {
        let range = self.range(index..index + 1);
        (&self.ids[range.clone()], &self.type_ids[range])
    }

    /// Number of tokens of the text at `index`.
    pub fn length(&self, index: usize) -> usize {
        self.range(index..index + 1).len()
    }

    /// Number of tokens of all texts.
    pub fn total(&self) -> usize {
        self.ids.len()
    }

    /// Tokens and their types of some neighbouring texts.
    pub fn texts(&self, texts: Range<usize>) -> (&[u32], &[u8]) {
        let range = self.range(texts);
        (&self.ids[range.clone()], &self.type_ids[range])
    }

    fn range(&self, texts: Range<usize>) -> Range<usize> {
        span(&self.ends, texts)
    }
}

/// Where neighbouring ones of `rows` lie, whose `ends` these are.
fn span(ends: &[usize], rows: Range<usize>) -> Range<usize> {
    let end_of = |row: usize| match row {
        0 => 0,
        row => ends[row - 1],
    };
    end_of(rows.start)..end_of(rows.end)
}
