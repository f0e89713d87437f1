//! The encoder in kernels of our own, over all tokens of a batch at a time.

use candle_core::Tensor;

use super::checkpoint::{self, Classifier};
use super::config::Config;
use super::{Ending, Pooling, Tables, between, ops};
use crate::model::kernels::{
    Activation, EncoderLayer, EncoderLayerWeights, Kernels, LayerNorm, PackedLinear,
};
use crate::model::ops::{Project, numbers};

/// An encoder's layers, and its head if it has one, packed.
pub(super) struct Encoder {
    kernels: Kernels,
    norm: LayerNorm,
    layers: Vec<EncoderLayer>,
    head: Option<Head>,
}

struct Head {
    dense: PackedLinear,
    between: Activation,
    output: PackedLinear,
}

/// The tokens of a batch, text by text.
pub(super) struct Packed<'a> {
    pub(super) ids: &'a [u32],
    pub(super) types: &'a [u8],
    pub(super) positions: &'a [u32],
    pub(super) lengths: &'a [usize],
}

impl Encoder {
    pub(super) fn new(
        kernels: Kernels,
        norm: &checkpoint::Norm,
        layers: Vec<checkpoint::Layer>,
        head: Option<&Classifier>,
        config: &Config,
    ) -> anyhow::Result<Self> {
        let head = head.map(|head| {
            anyhow::Ok(Head {
                dense: packed(kernels, &head.dense)?,
                between: between(config.family),
                output: packed(kernels, &head.output)?,
            })
        });
        // One layer at a time: what is packed is not kept a second time.
        let layers = layers.into_iter();
        let layers = layers.map(|layer| encoder_layer(kernels, &layer, config));
        Ok(Self {
            kernels,
            norm: norm_of(norm, config)?,
            layers: layers.collect::<anyhow::Result<_>>()?,
            head: head.transpose()?,
        })
    }

    /// What the texts come to, `[texts, outputs]`.
    pub(super) fn forward(
        &self,
        tables: &Tables,
        packed: &Packed<'_>,
        ending: Ending,
    ) -> candle_core::Result<Tensor> {
        let (kernels, lengths) = (self.kernels, packed.lengths);
        let embed = ops::Embed {
            kernels,
            ids: packed.ids,
            positions: packed.positions,
            types: packed.types,
            norm: &self.norm,
        };
        let hidden = tables
            .words
            .apply_op3_no_bwd(&tables.positions, &tables.types, &embed)?;
        for layer in &self.layers {
            hidden.inplace_op1(&ops::Encode { layer, lengths })?;
        }
        match (ending, &self.head) {
            (Ending::Logits(_), Some(head)) => {
                let dense = Project {
                    linear: &head.dense,
                    activation: Some(head.between),
                };
                let output = Project {
                    linear: &head.output,
                    activation: None,
                };
                first_tokens(&hidden, lengths)?
                    .apply_op1_no_bwd(&dense)?
                    .apply_op1_no_bwd(&output)
            }
            (Ending::Logits(_), None) => candle_core::bail!("logits of a model without a head"),
            (Ending::Embedding { pooling, normalize }, _) => {
                let pooled = match pooling {
                    Pooling::Cls => first_tokens(&hidden, lengths)?,
                    Pooling::Mean => hidden.apply_op1_no_bwd(&ops::Mean { kernels, lengths })?,
                };
                if normalize {
                    pooled.inplace_op1(&ops::Normalize { kernels })?;
                }
                Ok(pooled)
            }
        }
    }
}

fn first_tokens(hidden: &Tensor, lengths: &[usize]) -> candle_core::Result<Tensor> {
    let mut start = 0;
    let starts = lengths.iter().map(|&length| {
        start += length as u32;
        start - length as u32
    });
    let starts: Vec<u32> = starts.collect();
    hidden.index_select(&Tensor::new(starts, hidden.device())?, 0)
}

fn encoder_layer(
    kernels: Kernels,
    layer: &checkpoint::Layer,
    config: &Config,
) -> anyhow::Result<EncoderLayer> {
    let both = |linear: &checkpoint::Linear| {
        anyhow::Ok((numbers(&linear.weight)?, numbers(&linear.bias)?))
    };
    let (query, key) = (both(&layer.query)?, both(&layer.key)?);
    let (value, attention_output) = (both(&layer.value)?, both(&layer.attention_output)?);
    let (intermediate, output) = (both(&layer.intermediate)?, both(&layer.output)?);
    let weights = EncoderLayerWeights {
        query: of(&query),
        key: of(&key),
        value: of(&value),
        attention_output: of(&attention_output),
        attention_norm: norm_of(&layer.attention_norm, config)?,
        intermediate: of(&intermediate),
        output: of(&output),
        output_norm: norm_of(&layer.output_norm, config)?,
        heads: config.heads,
        activation: config.activation,
    };
    Ok(EncoderLayer::new(kernels, weights))
}

fn packed(kernels: Kernels, linear: &checkpoint::Linear) -> anyhow::Result<PackedLinear> {
    let (weight, bias) = (numbers(&linear.weight)?, numbers(&linear.bias)?);
    let inputs = linear.weight.dim(1)?;
    Ok(PackedLinear::new(kernels, &weight, &bias, inputs))
}

fn norm_of(norm: &checkpoint::Norm, config: &Config) -> anyhow::Result<LayerNorm> {
    Ok(LayerNorm {
        weight: numbers(&norm.weight)?,
        bias: numbers(&norm.bias)?,
        epsilon: config.epsilon as f32,
    })
}

fn of((weight, bias): &(Vec<f32>, Vec<f32>)) -> (&[f32], &[f32]) {
    (weight, bias)
}
