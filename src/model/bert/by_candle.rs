//! The encoder in candle's own operations, for devices that our kernels are not written for.
//!
//! Text by text: how candle's products round depends on the number of rows, and a text's numbers must
//! not depend on the texts beside it. What the kernels compute is held against this.

use candle_core::{D, Module, Tensor};
use candle_nn::ops::softmax_last_dim;
use candle_nn::{LayerNorm, Linear};

use super::checkpoint::{self, Classifier};
use super::config::Config;
use super::{Ending, Pooling, Tables, between};
use crate::model::kernels::Activation;

/// An encoder's layers, and its head if it has one.
pub(super) struct Encoder {
    norm: LayerNorm,
    layers: Vec<Layer>,
    head: Option<Head>,
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
    heads: usize,
    activation: Activation,
}

struct Head {
    dense: Linear,
    between: Activation,
    output: Linear,
}

impl Encoder {
    pub(super) fn new(
        norm: checkpoint::Norm,
        layers: Vec<checkpoint::Layer>,
        head: Option<Classifier>,
        config: &Config,
    ) -> Self {
        let layers = layers.into_iter();
        Self {
            norm: norm_of(norm, config),
            layers: layers.map(|layer| Layer::new(layer, config)).collect(),
            head: head.map(|head| Head {
                dense: linear(head.dense),
                between: between(config.family),
                output: linear(head.output),
            }),
        }
    }

    /// What a text of these tokens, types and positions comes to, `[1, outputs]`.
    pub(super) fn forward(
        &self,
        tables: &Tables,
        (ids, types, positions): (&[u32], &[u8], &[u32]),
        ending: Ending,
    ) -> candle_core::Result<Tensor> {
        let types: Vec<u32> = types.iter().map(|&kind| u32::from(kind)).collect();
        let rows = |table: &Tensor, indices: &[u32]| {
            table.index_select(&Tensor::new(indices, table.device())?, 0)
        };
        let words = rows(&tables.words, ids)?;
        let sum = (words + rows(&tables.types, &types)?)?;
        let sum = (sum + rows(&tables.positions, positions)?)?;
        let mut hidden = self.norm.forward(&sum)?;
        for layer in &self.layers {
            hidden = layer.forward(&hidden)?;
        }
        match (ending, &self.head) {
            (Ending::Logits(_), Some(head)) => {
                let dense = head.dense.forward(&hidden.narrow(0, 0, 1)?)?;
                head.output.forward(&apply(head.between, &dense)?)
            }
            (Ending::Logits(_), None) => candle_core::bail!("logits of a model without a head"),
            (Ending::Embedding { pooling, normalize }, _) => {
                let pooled = match pooling {
                    Pooling::Cls => hidden.narrow(0, 0, 1)?,
                    Pooling::Mean => hidden.mean_keepdim(0)?,
                };
                match normalize {
                    false => Ok(pooled),
                    true => pooled.broadcast_div(&pooled.sqr()?.sum_keepdim(1)?.sqrt()?),
                }
            }
        }
    }
}

impl Layer {
    fn new(layer: checkpoint::Layer, config: &Config) -> Self {
        Self {
            query: linear(layer.query),
            key: linear(layer.key),
            value: linear(layer.value),
            attention_output: linear(layer.attention_output),
            attention_norm: norm_of(layer.attention_norm, config),
            intermediate: linear(layer.intermediate),
            output: linear(layer.output),
            output_norm: norm_of(layer.output_norm, config),
            heads: config.heads,
            activation: config.activation,
        }
    }

    /// A text's `[length, width]` after this layer.
    fn forward(&self, hidden: &Tensor) -> candle_core::Result<Tensor> {
        let attended = self.attention_output.forward(&self.attend(hidden)?)?;
        let hidden = self.attention_norm.forward(&(attended + hidden)?)?;
        let intermediate = apply(self.activation, &self.intermediate.forward(&hidden)?)?;
        let output = self.output.forward(&intermediate)?;
        self.output_norm.forward(&(output + hidden)?)
    }

    /// What each token of a text `[length, width]` takes from the others.
    fn attend(&self, text: &Tensor) -> candle_core::Result<Tensor> {
        let (length, width) = text.dims2()?;
        let of_heads = |linear: &Linear| {
            linear
                .forward(text)?
                .reshape((length, self.heads, width / self.heads))?
                .transpose(0, 1)?
                .contiguous()
        };
        let (query, key) = (of_heads(&self.query)?, of_heads(&self.key)?);
        let scale = ((width / self.heads) as f64).sqrt().recip();
        let keys = key.transpose(D::Minus1, D::Minus2)?.contiguous()?;
        let scores = (query.matmul(&keys)? * scale)?;
        let attended = softmax_last_dim(&scores)?.matmul(&of_heads(&self.value)?)?;
        attended.transpose(0, 1)?.reshape((length, width))
    }
}

fn apply(activation: Activation, numbers: &Tensor) -> candle_core::Result<Tensor> {
    match activation {
        Activation::Gelu => numbers.gelu_erf(),
        Activation::GeluTanh => numbers.gelu(),
        Activation::Relu => numbers.relu(),
        Activation::Silu => numbers.silu(),
        Activation::Tanh => numbers.tanh(),
    }
}

fn linear(linear: checkpoint::Linear) -> Linear {
    Linear::new(linear.weight, Some(linear.bias))
}

fn norm_of(norm: checkpoint::Norm, config: &Config) -> LayerNorm {
    LayerNorm::new(norm.weight, norm.bias, config.epsilon)
}
