//! Architecture `two_tower`: a vector for each query, one for each item, and the items ranked by the
//! products of both.
//!
//! Tensors, in PyTorch's own layout: `query.embedding.weight [queries, width]`,
//! `item.embedding.weight [items, width]`.
//!
//! Products are taken block by block, so that what is ranked lies in a core's own cache, and no matrix of
//! all queries by all items is ever made. Of a block, [`Best`] looks only at what can still be among the
//! best. Invariant: a query's ranking depends on the query alone, for each product is summed up in the
//! order of its inputs, and of equal scores the item that comes first in the list stands first.

mod best;

use std::ops::Range;

use candle_core::{Device, Tensor};
use candle_nn::{Embedding, Module};

use self::best::Best;
use super::kernels::{Kernels, PackedLinear};
use super::ops::{floats, numbers, with_scratch};
use super::weights::Weights;
use crate::error::Failure;
use crate::features::Queries;
use crate::record::Rankings;

/// Queries whose products with a block of items are taken together, and items of such a block: their
/// scores take 192 kB, which most processors' second cache has.
const QUERIES_OF_A_BLOCK: usize = 96;
const ITEMS_OF_A_BLOCK: usize = 512;

/// Embedding tables of queries and items.
pub struct TwoTower {
    queries: Embedding,
    /// The table of items, packed in blocks.
    items: Vec<PackedLinear>,
    item_count: usize,
    width: usize,
    top_k: usize,
}

impl TwoTower {
    /// Takes both tables, of so many queries and items: as many as their files hold ids.
    ///
    /// # Errors
    /// A tensor is missing, has the wrong shape or type, or holds numbers that are not finite (78).
    pub fn load(
        queries: usize,
        items: usize,
        top_k: usize,
        kernels: Kernels,
        weights: &mut Weights,
    ) -> anyhow::Result<Self> {
        const QUERIES: &str = "query.embedding.weight";
        const ITEMS: &str = "item.embedding.weight";
        let mut width = 1;
        for (name, ids) in [(QUERIES, queries), (ITEMS, items)] {
            let problem = match weights.shape(name) {
                Some([rows, _]) if *rows != ids => {
                    format!("tensor `{name}` has {rows} rows, but there are {ids} ids for them")
                }
                Some([_, 0]) => format!("tensor `{name}` has vectors of no numbers"),
                Some([_, found]) => {
                    // The other table is held to it below.
                    width = if name == QUERIES { *found } else { width };
                    continue;
                }
                Some(shape) => {
                    format!("tensor `{name}` has the shape {shape:?}: a row for each id is wanted")
                }
                // Refused below.
                None => continue,
            };
            return Err(Failure::config(problem)
                .hint("line i of the file of ids belongs to row i of the tensor")
                .into());
        }
        let query_table = weights.take(QUERIES, &[queries, width])?;
        let item_table = numbers(&weights.take(ITEMS, &[items, width])?)?;
        for (name, table) in [(QUERIES, &numbers(&query_table)?), (ITEMS, &item_table)] {
            if let Some(place) = table.iter().position(|number| !number.is_finite()) {
                return Err(Failure::config(format!(
                    "tensor `{name}`, row {}: a number is not finite",
                    place / width
                ))
                .into());
            }
        }
        let blocks = item_table.chunks(ITEMS_OF_A_BLOCK * width);
        let pack = |block: &[f32]| {
            let bias = vec![0.0; block.len() / width];
            PackedLinear::new(kernels, block, &bias, width)
        };
        Ok(Self {
            queries: Embedding::new(query_table, width),
            items: blocks.map(pack).collect(),
            item_count: items,
            width,
            top_k,
        })
    }

    /// Numbers in both tables.
    pub fn parameters(&self) -> u64 {
        let queries = self.queries.embeddings().elem_count() as u64;
        queries + (self.item_count * self.width) as u64
    }

    /// Numbers that a batch of so many queries takes on its way through.
    pub fn activations(&self, queries: usize) -> u64 {
        // Each candidate has a score and an item, and there are twice as many as are kept.
        let block = QUERIES_OF_A_BLOCK * (ITEMS_OF_A_BLOCK + 4 * self.top_k);
        (block + queries * (self.width + 2 * self.top_k)) as u64
    }

    /// The best items for some neighbouring queries, without those that a query is not to be given. A
    /// list is shorter where no more items are left. Where a product is not finite, the list is a NaN alone.
    ///
    /// # Errors
    /// A query is beyond the table.
    pub fn rank(&self, queries: &Queries, range: Range<usize>) -> candle_core::Result<Rankings> {
        let rows = Tensor::new(queries.rows(range.clone()), &Device::Cpu)?;
        let vectors = self.queries.forward(&rows)?.contiguous()?;
        let (storage, layout) = vectors.storage_and_layout();
        let vectors = match &*storage {
            candle_core::Storage::Cpu(storage) => floats(storage, layout)?,
            _ => candle_core::bail!("vectors are not in memory"),
        };
        let mut rankings = Rankings::default();
        let mut scores = vec![0.0; QUERIES_OF_A_BLOCK * ITEMS_OF_A_BLOCK];
        let mut best: Vec<Best> = Vec::new();
        best.resize_with(range.len().min(QUERIES_OF_A_BLOCK), || {
            Best::new(self.top_k)
        });
        let blocks = vectors.chunks(QUERIES_OF_A_BLOCK * self.width);
        for (vectors, first) in blocks.zip(range.step_by(QUERIES_OF_A_BLOCK)) {
            let count = vectors.len() / self.width;
            for (block, items) in self.items.iter().enumerate() {
                let scores = &mut scores[..count * items.outputs()];
                with_scratch(|scratch| items.forward(vectors, scores, None, scratch));
                for (index, scores) in scores.chunks_exact(items.outputs()).enumerate() {
                    let (_, excluded) = queries.query(first + index);
                    best[index].see(scores, block * ITEMS_OF_A_BLOCK, excluded);
                }
            }
            for best in &mut best[..count] {
                rankings.push(best.take());
            }
        }
        Ok(rankings)
    }
}

#[cfg(test)]
mod tests;
