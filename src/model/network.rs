//! A network of whichever architecture, as workers use it.

use std::ops::Range;

use super::bert::Bert;
use super::mlp::Mlp;
use super::ops::numbers;
use super::two_tower::TwoTower;
use crate::error::Failure;
use crate::features::{Rows, Table};
use crate::record::Rankings;

/// What one forward pass takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capacity {
    /// So many rows at most.
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
    /// Over queries.
    TwoTower(TwoTower),
}

/// What a network makes of some rows.
pub enum NetworkOutput {
    /// As many numbers a row as the model's head takes, row-major.
    Numbers(Vec<f32>),
    /// Items, best first.
    Rankings(Rankings),
}

impl Network {
    /// Numbers in all tensors.
    pub fn parameters(&self) -> u64 {
        match self {
            Self::Mlp(mlp) => mlp.parameters(),
            Self::Bert(bert) => bert.parameters(),
            Self::TwoTower(towers) => towers.parameters(),
        }
    }

    /// Numbers that a batch takes on its way through.
    pub fn activations(&self, capacity: Capacity) -> u64 {
        match self {
            Self::Mlp(mlp) => capacity.size() as u64 * mlp.activations(),
            Self::Bert(bert) => bert.activations(capacity.size()),
            Self::TwoTower(towers) => towers.activations(capacity.size()),
        }
    }

    /// What the network makes of some neighbouring rows. What a row comes to depends on the row alone.
    ///
    /// # Errors
    /// The rows are of another kind than the network takes, or do not fit it.
    pub fn forward(&self, rows: &Rows, range: Range<usize>) -> anyhow::Result<NetworkOutput> {
        match (self, rows) {
            (Self::Mlp(mlp), Rows::Table(table)) => {
                Ok(NetworkOutput::Numbers(forward_table(mlp, table, range)?))
            }
            (Self::Bert(bert), Rows::Tokens(tokens)) => {
                Ok(NetworkOutput::Numbers(bert.forward(tokens, range)?))
            }
            (Self::TwoTower(towers), Rows::Queries(queries)) => {
                Ok(NetworkOutput::Rankings(towers.rank(queries, range)?))
            }
            _ => Err(Failure::internal("rows are of another kind than the network takes").into()),
        }
    }
}

fn forward_table(mlp: &Mlp, table: &Table, range: Range<usize>) -> candle_core::Result<Vec<f32>> {
    let of = |width: usize| range.start * width..range.end * width;
    let dense = &table.dense[of(table.dense_width)];
    let codes = &table.codes[of(table.code_width)];
    numbers(&mlp.forward(range.len(), dense, codes)?)
}
