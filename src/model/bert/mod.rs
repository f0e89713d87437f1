//! Architecture `bert`: transformer encoders over texts, as a Hugging Face directory holds them.
//!
//! A batch is packed: the tokens of its texts stand in one matrix `[tokens, width]`, and there is no
//! padding. On a CPU the layers are [kernels](crate::model::kernels) of our own, whose rows depend on
//! nothing but their own text, so that a text's numbers are the same whatever texts stand beside it. On
//! a device that they are not written for, they are candle's own operations.

mod by_candle;
mod checkpoint;
pub mod config;
pub mod import;
mod ops;
mod packed;

use std::ops::Range;

use candle_core::{Device, Tensor};
use serde::Deserialize;

use self::checkpoint::{Checkpoint, Classifier};
use self::config::{Config, Family};
use self::packed::Packed;
use super::kernels::{Activation, Kernels};
use super::ops::numbers;
use super::weights::Weights;
use crate::error::Failure;
use crate::features::Tokens;

/// What stands for a text once its tokens are encoded.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Its first token.
    Cls,
    /// The mean of its tokens.
    Mean,
}

/// What is made of the encoded tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// So many logits, by the checkpoint's own head, of the first token.
    Logits(usize),
    /// A vector.
    Embedding {
        /// Of what.
        pooling: Pooling,
        /// Whether it is brought to length one.
        normalize: bool,
    },
}

/// A transformer encoder and what follows it. Shared by all workers.
pub struct Bert {
    tables: Tables,
    layers: Layers,
    ending: Ending,
    first_position: u32,
    /// Tokens of padding have a position of their own in this family, and do not count.
    padding: Option<u32>,
    width: usize,
    intermediate: usize,
    parameters: u64,
}

/// The tables that tokens are looked up in.
struct Tables {
    /// `[vocabulary, width]`
    words: Tensor,
    /// `[positions, width]`
    positions: Tensor,
    /// `[types, width]`; zeros if the model has none.
    types: Tensor,
}

/// The layers, as the device computes them.
enum Layers {
    Packed(packed::Encoder),
    ByCandle(by_candle::Encoder),
}

impl Bert {
    /// Takes the tensors of a checkpoint; `kernels` are what the device computes with, if it is one
    /// that they are written for.
    ///
    /// # Errors
    /// A tensor is missing, or has the wrong shape or type (78).
    pub fn load(
        config: &Config,
        ending: Ending,
        kernels: Option<Kernels>,
        weights: &mut Weights,
    ) -> anyhow::Result<Self> {
        let mut checkpoint = Checkpoint::new(weights, config)?;
        let embeddings = checkpoint.embeddings()?;
        let layers = (0..config.layers)
            .map(|index| checkpoint.layer(index))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let head = match ending {
            Ending::Logits(logits) => Some(checkpoint.classifier(logits)?),
            Ending::Embedding { .. } => {
                checkpoint.ignore_pooler();
                None
            }
        };
        let types = match embeddings.types {
            Some(types) => types,
            None => Tensor::zeros((1, config.width), embeddings.words.dtype(), &Device::Cpu)?,
        };
        Ok(Self {
            parameters: parameters(config, head.as_ref()),
            layers: match kernels {
                Some(kernels) => Layers::Packed(packed::Encoder::new(
                    kernels,
                    &embeddings.norm,
                    layers,
                    head.as_ref(),
                    config,
                )?),
                None => Layers::ByCandle(by_candle::Encoder::new(
                    embeddings.norm,
                    layers,
                    head,
                    config,
                )),
            },
            tables: Tables {
                words: embeddings.words,
                positions: embeddings.positions,
                types,
            },
            ending,
            first_position: config.first_position() as u32,
            padding: (config.family == Family::Roberta).then_some(config.padding),
            width: config.width,
            intermediate: config.intermediate,
        })
    }

    /// What each of some neighbouring texts comes to, row-major: its logits, or its vector.
    ///
    /// # Errors
    /// A token or a type is beyond the model's tables.
    pub fn forward(&self, tokens: &Tokens, texts: Range<usize>) -> candle_core::Result<Vec<f32>> {
        let lengths: Vec<usize> = texts.clone().map(|text| tokens.length(text)).collect();
        let (ids, types) = tokens.texts(texts);
        let positions = self.positions(ids, &lengths);
        // A model with one type, or none, gives it to all.
        let single = vec![0; ids.len()];
        let types = match self.tables.types.dim(0)? {
            1 => &single,
            _ => types,
        };
        match &self.layers {
            Layers::Packed(encoder) => {
                let packed = Packed {
                    ids,
                    types,
                    positions: &positions,
                    lengths: &lengths,
                };
                numbers(&encoder.forward(&self.tables, &packed, self.ending)?)
            }
            Layers::ByCandle(encoder) => {
                let mut start = 0;
                let mut all = Vec::new();
                for length in lengths {
                    let text = start..start + length;
                    let text = (&ids[text.clone()], &types[text.clone()], &positions[text]);
                    let outputs = encoder.forward(&self.tables, text, self.ending)?;
                    all.extend(numbers(&outputs)?);
                    start += length;
                }
                Ok(all)
            }
        }
    }

    /// Numbers in all tensors.
    pub fn parameters(&self) -> u64 {
        self.parameters
    }

    /// Numbers that so many tokens take on their way through.
    pub fn activations(&self, tokens: usize) -> u64 {
        // Hidden, query, key, value, what is attended to, and the two halves of a layer.
        (tokens * (7 * self.width + self.intermediate)) as u64
    }

    /// Positions of the tokens, text by text.
    fn positions(&self, ids: &[u32], lengths: &[usize]) -> Vec<u32> {
        let mut positions = Vec::with_capacity(ids.len());
        for &length in lengths {
            let mut next = self.first_position;
            let start = positions.len();
            for &id in &ids[start..start + length] {
                if self.padding == Some(id) {
                    positions.push(id);
                } else {
                    positions.push(next);
                    next += 1;
                }
            }
        }
        positions
    }
}

/// The function between the two layers of a family's head.
fn between(family: Family) -> Activation {
    match family {
        Family::Bert | Family::Roberta => Activation::Tanh,
        Family::DistilBert => Activation::Relu,
    }
}

fn parameters(config: &Config, head: Option<&Classifier>) -> u64 {
    let (width, intermediate) = (config.width, config.intermediate);
    let tables = (config.vocabulary + config.positions + config.types + 2) * width;
    let attention = 4 * width * (width + 1);
    let feed_forward = width * intermediate + intermediate + intermediate * width + width;
    let layers = config.layers * (attention + feed_forward + 4 * width);
    let head = head.map_or(0, |head| {
        let linears = [&head.dense, &head.output].into_iter();
        let counts = linears.map(|linear| linear.weight.elem_count() + linear.bias.elem_count());
        counts.sum()
    });
    (tables + layers + head) as u64
}

/// Checks that a tokenizer and an encoder go together.
///
/// # Errors
/// There are more tokens than word embeddings, more types than theirs, or longer texts than positions
/// (78).
pub fn check_fit(
    config: &Config,
    (vocabulary, types): (usize, usize),
    max_length: usize,
) -> Result<(), Failure> {
    // Where there is one type at most, it is that of every token.
    if config.types > 1 && types > config.types {
        return Err(Failure::config(format!(
            "tokenizer.json has {types} types of tokens, but config.json a type_vocab_size of {}",
            config.types
        ))
        .hint("take both from the same checkpoint"));
    }
    if vocabulary > config.vocabulary {
        return Err(Failure::config(format!(
            "tokenizer.json has {vocabulary} tokens, but config.json a vocab_size of {}",
            config.vocabulary
        ))
        .hint("take both from the same checkpoint"));
    }
    if max_length > config.longest() {
        return Err(Failure::config(format!(
            "[text] max_length is {max_length}, but the model takes at most {} tokens",
            config.longest()
        )));
    }
    Ok(())
}
