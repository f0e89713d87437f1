//! Architecture `mlp`: embeddings and one-hot columns, linear layers with one activation between.
//!
//! Tensors, in PyTorch's own layout: `layers.{i}.weight [out, in]`, `layers.{i}.bias [out]`,
//! `embeddings.{column}.weight [1 + categories, dim]`.

use candle_core::{Device, Tensor, bail};

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
    Embedded { column: usize, table: Table },
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

    /// Logits `[rows, outputs]` of a batch of `rows` rows, at least one: `dense [rows, dense width]` and
    /// `codes [rows, embedded features]`, row-major, as [`crate::features::Encoder`] lays them out.
    ///
    /// A row's logits depend on the row alone.
    ///
    /// # Errors
    /// Only if the batch does not fit the network.
    pub fn forward(
        &self,
        rows: usize,
        dense: &[f32],
        codes: &[u32],
    ) -> candle_core::Result<Tensor> {
        let mut hidden = self.assemble(rows, dense, codes)?;
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
            Piece::Embedded { table, .. } => table.numbers.len(),
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

    /// The input vectors of `rows` rows, all features side by side.
    fn assemble(&self, rows: usize, dense: &[f32], codes: &[u32]) -> candle_core::Result<Tensor> {
        let width = self.layers.first().map_or(0, PackedLinear::inputs);
        let (dense_width, code_width) = (dense.len() / rows, codes.len() / rows);
        if let [Piece::Dense { .. }] = self.pieces.as_slice() {
            return Tensor::from_slice(dense, (rows, dense_width), &Device::Cpu);
        }
        let mut input = Vec::with_capacity(rows * width);
        for row in 0..rows {
            let dense = &dense[row * dense_width..(row + 1) * dense_width];
            let codes = &codes[row * code_width..(row + 1) * code_width];
            for piece in &self.pieces {
                let part = match piece {
                    Piece::Dense { start, width } => dense.get(*start..start + width),
                    Piece::Embedded { column, table } => {
                        codes.get(*column).and_then(|code| table.row(*code))
                    }
                };
                match part {
                    Some(part) => input.extend_from_slice(part),
                    None => bail!("a row has other columns, or a code that its table has not"),
                }
            }
        }
        Tensor::from_vec(input, (rows, width), &Device::Cpu)
    }
}

/// Vectors of the values of a feature.
struct Table {
    width: usize,
    /// Row-major `[1 + categories, width]`.
    numbers: Vec<f32>,
}

impl Table {
    fn row(&self, code: u32) -> Option<&[f32]> {
        let begin = code as usize * self.width;
        self.numbers.get(begin..begin + self.width)
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
                    table: Table {
                        width: *dim,
                        numbers: numbers(&table)?,
                    },
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
