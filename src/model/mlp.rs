//! Architecture `mlp`: embeddings and one-hot columns, linear layers with one activation between.
//!
//! Tensors, in PyTorch's own layout: `layers.{i}.weight [out, in]`, `layers.{i}.bias [out]`,
//! `embeddings.{column}.weight [1 + categories, dim]`.

use candle_core::{Device, Tensor};
use candle_nn::{Embedding, Module};

use super::kernels::{Activation, Kernels, PackedLinear};
use super::ops::{Project, numbers};
use super::weights::Weights;
use crate::features::spec::{Feature, FeatureKind};

/// A multilayer perceptron over encoded features.
pub struct Mlp {
    pieces: Vec<Piece>,
    layers: Vec<PackedLinear>,
    activation: Activation,
}

/// A run of neighbouring columns of the input vector.
enum Piece {
    /// Columns `start..start + width` of the dense matrix.
    Dense { start: usize, width: usize },
    /// The embeddings of column `column` of the codes.
    Embedded { column: usize, table: Embedding },
}

impl Mlp {
    /// Takes the tensors of a network over `features` with `hidden` layers and `outputs` logits.
    ///
    /// # Errors
    /// A tensor is missing or has the wrong shape or type (78).
    pub fn load(
        features: &[Feature],
        hidden: &[usize],
        activation: Activation,
        outputs: usize,
        kernels: Kernels,
        weights: &mut Weights,
    ) -> anyhow::Result<Self> {
        let pieces = load_pieces(features, weights)?;
        let mut inputs: usize = features.iter().map(Feature::width).sum();
        let mut layers = Vec::with_capacity(hidden.len() + 1);
        for (index, width) in hidden.iter().copied().chain([outputs]).enumerate() {
            let weight = weights.take(&format!("layers.{index}.weight"), &[width, inputs])?;
            let bias = weights.take(&format!("layers.{index}.bias"), &[width])?;
            let (weight, bias) = (numbers(&weight)?, numbers(&bias)?);
            layers.push(PackedLinear::new(kernels, &weight, &bias, inputs));
            inputs = width;
        }
        Ok(Self {
            pieces,
            layers,
            activation,
        })
    }

    /// Logits `[rows, outputs]` of a batch: `dense [rows, dense width]` and
    /// `codes [rows, embedded features]`, as [`crate::features::Encoder`] lays them out.
    ///
    /// A row's logits depend on the row alone.
    ///
    /// # Errors
    /// Only if the batch does not fit the network.
    pub fn forward(&self, dense: &Tensor, codes: &Tensor) -> candle_core::Result<Tensor> {
        let mut hidden = self.assemble(dense, codes)?;
        let last = self.layers.len() - 1;
        for (index, layer) in self.layers.iter().enumerate() {
            hidden = hidden.apply_op1_no_bwd(&Project {
                linear: layer,
                activation: (index < last).then_some(self.activation),
            })?;
        }
        Ok(hidden)
    }

    /// Numbers in all tensors.
    pub fn parameters(&self) -> u64 {
        let in_layers = self
            .layers
            .iter()
            .map(|layer| (layer.inputs() + 1) * layer.outputs());
        let in_tables = self.pieces.iter().map(|piece| match piece {
            Piece::Dense { .. } => 0,
            Piece::Embedded { table, .. } => table.embeddings().elem_count(),
        });
        in_layers.chain(in_tables).sum::<usize>() as u64
    }

    /// Numbers that a row takes on its way through: the input vector and what each layer makes of it.
    pub fn activations(&self) -> u64 {
        let rest = self
            .layers
            .iter()
            .map(|layer| layer.inputs() + layer.outputs());
        rest.sum::<usize>() as u64
    }

    fn assemble(&self, dense: &Tensor, codes: &Tensor) -> candle_core::Result<Tensor> {
        if let [Piece::Dense { .. }] = self.pieces.as_slice() {
            return Ok(dense.clone());
        }
        let pieces = self
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Dense { start, width } => dense.narrow(1, *start, *width),
                Piece::Embedded { column, table } => {
                    table.forward(&codes.narrow(1, *column, 1)?.squeeze(1)?.contiguous()?)
                }
            })
            .collect::<candle_core::Result<Vec<_>>>()?;
        Tensor::cat(&pieces, 1)
    }

    /// A batch of `rows` rows from row-major buffers of exactly that many rows.
    ///
    /// # Errors
    /// If a buffer does not have `rows` rows.
    pub fn batch(
        rows: usize,
        dense: Vec<f32>,
        codes: Vec<u32>,
    ) -> candle_core::Result<(Tensor, Tensor)> {
        let (dense_width, code_width) = (dense.len() / rows, codes.len() / rows);
        Ok((
            Tensor::from_vec(dense, (rows, dense_width), &Device::Cpu)?,
            Tensor::from_vec(codes, (rows, code_width), &Device::Cpu)?,
        ))
    }
}

fn load_pieces(features: &[Feature], weights: &mut Weights) -> anyhow::Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let (mut dense_column, mut code_column) = (0, 0);
    for feature in features {
        match &feature.kind {
            FeatureKind::Categorical {
                categories, dim, ..
            } if *dim > 0 => {
                let table = weights.take(
                    &format!("embeddings.{}.weight", feature.column),
                    &[categories.len() + 1, *dim],
                )?;
                pieces.push(Piece::Embedded {
                    column: code_column,
                    table: Embedding::new(table, *dim),
                });
                code_column += 1;
            }
            _ => {
                match pieces.last_mut() {
                    Some(Piece::Dense { width, .. }) => *width += feature.width(),
                    _ => pieces.push(Piece::Dense {
                        start: dense_column,
                        width: feature.width(),
                    }),
                }
                dense_column += feature.width();
            }
        }
    }
    Ok(pieces)
}
