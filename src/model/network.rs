//! A network of whichever architecture, as workers use it.

use std::ops::Range;

use super::bert::Bert;
use super::mlp::Mlp;
use crate::error::Failure;
use crate::features::{Rows, Table};

/// What one forward pass takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capacity {
    /// So many rows, the last ones zeros if there are fewer.
    Rows(usize),
    /// So many tokens at most, but at least one text.
    Tokens(usize),
}

impl Capacity {
    /// The number of rows or of tokens.
    pub fn size(self) -> usize {
        match self {
            Self::Rows(size) | Self::Tokens(size) => size,
        }
    }
}

/// A network. Shared by all workers.
pub enum Network {
    /// Over tables.
    Mlp(Mlp),
    /// Over texts.
    Bert(Box<Bert>),
}

impl Network {
    /// Numbers in all tensors.
    pub fn parameters(&self) -> u64 {
        match self {
            Self::Mlp(mlp) => mlp.parameters(),
            Self::Bert(bert) => bert.parameters(),
        }
    }

    /// Numbers that a batch takes on its way through.
    pub fn activations(&self, capacity: Capacity) -> u64 {
        match self {
            Self::Mlp(mlp) => capacity.size() as u64 * mlp.activations(),
            Self::Bert(bert) => bert.activations(capacity.size()),
        }
    }

    /// What the network makes of some neighbouring rows, row-major. What a row comes to depends on
    /// the row and the capacity, not on the rows beside it.
    ///
    /// # Errors
    /// The rows are of another kind than the network takes, or do not fit it.
    pub fn forward(
        &self,
        rows: &Rows,
        range: Range<usize>,
        capacity: Capacity,
    ) -> anyhow::Result<Vec<f32>> {
        match (self, rows) {
            (Self::Mlp(mlp), Rows::Table(table)) => {
                Ok(forward_padded(mlp, table, range, capacity.size())?)
            }
            (Self::Bert(bert), Rows::Tokens(tokens)) => Ok(bert.forward(tokens, range)?),
            _ => Err(Failure::internal("rows are of another kind than the network takes").into()),
        }
    }
}

/// The products' shapes, and with them their bits, never vary.
fn forward_padded(
    mlp: &Mlp,
    table: &Table,
    range: Range<usize>,
    capacity: usize,
) -> candle_core::Result<Vec<f32>> {
    let mut dense = vec![0.0; capacity * table.dense_width];
    let mut codes = vec![0; capacity * table.code_width];
    let given = &table.dense[range.start * table.dense_width..range.end * table.dense_width];
    dense[..given.len()].copy_from_slice(given);
    let given = &table.codes[range.start * table.code_width..range.end * table.code_width];
    codes[..given.len()].copy_from_slice(given);
    let (dense, codes) = Mlp::batch(capacity, dense, codes)?;
    mlp.forward(&dense, &codes)?
        .narrow(0, 0, range.len())?
        .flatten_all()?
        .to_vec1()
}
