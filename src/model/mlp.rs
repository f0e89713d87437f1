//! Architecture `mlp`: embeddings and one-hot columns, linear layers with one activation between.
//!
//! Tensors, in PyTorch's own layout: `layers.{i}.weight [out, in]`, `layers.{i}.bias [out]`,
//! `embeddings.{column}.weight [1 + categories, dim]`.

use candle_core::{Device, Tensor};
use candle_nn::{Embedding, Linear, Module};

use super::activation::Activation;
use super::weights::Weights;
use crate::features::spec::{Feature, FeatureKind};

/// Inner dimension up to which a matrix product adds up in one go on every host. Beyond it, the
/// product's blocks follow the host's cache sizes, and with them the rounding; so wider layers are
/// cut into slices of this width, added in order.
const MAX_INNER: usize = 512;

/// A multilayer perceptron over encoded features.
pub struct Mlp {
    pieces: Vec<Piece>,
    layers: Vec<SlicedLinear>,
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
        weights: &mut Weights,
    ) -> anyhow::Result<Self> {
        let pieces = load_pieces(features, weights)?;
        let mut inputs: usize = features.iter().map(Feature::width).sum();
        let mut layers = Vec::with_capacity(hidden.len() + 1);
        for (index, width) in hidden.iter().copied().chain([outputs]).enumerate() {
            let weight = weights.take(&format!("layers.{index}.weight"), &[width, inputs])?;
            let bias = weights.take(&format!("layers.{index}.bias"), &[width])?;
            layers.push(SlicedLinear::new(&weight, bias)?);
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
    /// A row's logits depend on the row and on the number of rows, not on the other rows or on
    /// its place among them.
    ///
    /// # Errors
    /// Only if the batch does not fit the network.
    pub fn forward(&self, dense: &Tensor, codes: &Tensor) -> candle_core::Result<Tensor> {
        let mut hidden = self.assemble(dense, codes)?;
        let last = self.layers.len() - 1;
        for (index, layer) in self.layers.iter().enumerate() {
            hidden = layer.forward(&hidden)?;
            if index < last {
                hidden = self.activation.forward(&hidden)?;
            }
        }
        Ok(hidden)
    }

    /// Numbers in all tensors.
    pub fn parameters(&self) -> u64 {
        let layers = self.layers.iter().flat_map(|layer| &layer.slices);
        let in_layers = layers.map(|slice| {
            let bias = slice.bias().map_or(0, Tensor::elem_count);
            slice.weight().elem_count() + bias
        });
        let in_tables = self.pieces.iter().map(|piece| match piece {
            Piece::Dense { .. } => 0,
            Piece::Embedded { table, .. } => table.embeddings().elem_count(),
        });
        in_layers.chain(in_tables).sum::<usize>() as u64
    }

    /// Numbers that a row takes on its way through: the input vector and what each layer makes of
    /// it, before and after the activation.
    pub fn activations(&self) -> u64 {
        let rest = self.layers.iter().map(|layer| {
            let outputs = layer
                .slices
                .first()
                .map_or(0, |slice| slice.weight().dims()[0]);
            layer.inputs + 2 * outputs
        });
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

/// A linear layer whose products never exceed [`MAX_INNER`].
struct SlicedLinear {
    slices: Vec<Linear>,
    inputs: usize,
}

impl SlicedLinear {
    fn new(weight: &Tensor, bias: Tensor) -> candle_core::Result<Self> {
        let inputs = weight.dim(1)?;
        let mut bias = Some(bias);
        let slices = (0..inputs)
            .step_by(MAX_INNER)
            .map(|start| {
                let width = MAX_INNER.min(inputs - start);
                let slice = weight.narrow(1, start, width)?.contiguous()?;
                Ok(Linear::new(slice, bias.take()))
            })
            .collect::<candle_core::Result<_>>()?;
        Ok(Self { slices, inputs })
    }

    fn forward(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        if let [only] = self.slices.as_slice() {
            return only.forward(input);
        }
        let mut sum: Option<Tensor> = None;
        for (index, slice) in self.slices.iter().enumerate() {
            let start = index * MAX_INNER;
            let width = MAX_INNER.min(self.inputs - start);
            let part = slice.forward(&input.narrow(1, start, width)?.contiguous()?)?;
            sum = Some(match sum {
                None => part,
                Some(sum) => (sum + part)?,
            });
        }
        sum.ok_or_else(|| candle_core::Error::Msg("a layer without inputs".to_owned()))
    }
}
