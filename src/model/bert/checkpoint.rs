//! Tensors of a checkpoint by the names that each family gives them.

use candle_core::Tensor;

use super::config::{Config, Family};
use crate::error::Failure;
use crate::model::weights::Weights;

/// Weight and bias of a linear layer: `[outputs, inputs]` and `[outputs]`.
pub(super) struct Linear {
    pub(super) weight: Tensor,
    pub(super) bias: Tensor,
}

/// Weight and bias of a LayerNorm, `[width]` each.
pub(super) struct Norm {
    pub(super) weight: Tensor,
    pub(super) bias: Tensor,
}

/// The tables that tokens are looked up in.
pub(super) struct Embeddings {
    /// `[vocabulary, width]`
    pub(super) words: Tensor,
    /// `[positions, width]`
    pub(super) positions: Tensor,
    /// `[types, width]`
    pub(super) types: Option<Tensor>,
    pub(super) norm: Norm,
}

/// One layer of the encoder.
pub(super) struct Layer {
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
    pub(super) attention_output: Linear,
    pub(super) attention_norm: Norm,
    pub(super) intermediate: Linear,
    pub(super) output: Linear,
    pub(super) output_norm: Norm,
}

/// What makes logits of a text's first token: a linear layer, a function, another linear layer.
pub(super) struct Classifier {
    /// The pooler of BERT, or the head's own first layer.
    pub(super) dense: Linear,
    /// `[labels, width]`
    pub(super) output: Linear,
}

/// The tensors of a checkpoint, whose encoder may stand behind a prefix.
pub(super) struct Checkpoint<'a> {
    weights: &'a mut Weights,
    config: &'a Config,
    prefix: &'static str,
}

/// What stands before the names of the encoder's tensors in a checkpoint with a head.
const PREFIXES: [&str; 4] = ["", "bert.", "roberta.", "distilbert."];

/// Tensors that are there for other programs: buffers, not parameters.
const BUFFERS: [&str; 2] = ["embeddings.position_ids", "embeddings.token_type_ids"];

impl<'a> Checkpoint<'a> {
    /// Finds where the encoder is.
    ///
    /// # Errors
    /// It is nowhere (78).
    pub(super) fn new(weights: &'a mut Weights, config: &'a Config) -> anyhow::Result<Self> {
        let words = "embeddings.word_embeddings.weight";
        let found = PREFIXES
            .into_iter()
            .find(|prefix| weights.shape(&format!("{prefix}{words}")).is_some());
        let Some(prefix) = found else {
            return Err(Failure::config(format!(
                "model.safetensors: tensor `{words}` is missing, with and without `bert.`, `roberta.` or `distilbert.` before it"
            ))
            .into());
        };
        for buffer in BUFFERS {
            weights.ignore(&format!("{prefix}{buffer}"));
        }
        Ok(Self {
            weights,
            config,
            prefix,
        })
    }

    pub(super) fn embeddings(&mut self) -> anyhow::Result<Embeddings> {
        let Config {
            width,
            vocabulary,
            positions,
            types,
            ..
        } = *self.config;
        let words = self.encoder("embeddings.word_embeddings.weight", &[vocabulary, width])?;
        let positions =
            self.encoder("embeddings.position_embeddings.weight", &[positions, width])?;
        let types = match types {
            0 => None,
            types => {
                Some(self.encoder("embeddings.token_type_embeddings.weight", &[types, width])?)
            }
        };
        Ok(Embeddings {
            words,
            positions,
            types,
            norm: self.norm("embeddings.LayerNorm")?,
        })
    }

    pub(super) fn layer(&mut self, index: usize) -> anyhow::Result<Layer> {
        let (width, intermediate) = (self.config.width, self.config.intermediate);
        let names = match self.config.family {
            Family::Bert | Family::Roberta => LayerNames {
                stem: "encoder.layer",
                query: "attention.self.query",
                key: "attention.self.key",
                value: "attention.self.value",
                attention_output: "attention.output.dense",
                attention_norm: "attention.output.LayerNorm",
                intermediate: "intermediate.dense",
                output: "output.dense",
                output_norm: "output.LayerNorm",
            },
            Family::DistilBert => LayerNames {
                stem: "transformer.layer",
                query: "attention.q_lin",
                key: "attention.k_lin",
                value: "attention.v_lin",
                attention_output: "attention.out_lin",
                attention_norm: "sa_layer_norm",
                intermediate: "ffn.lin1",
                output: "ffn.lin2",
                output_norm: "output_layer_norm",
            },
        };
        let named = |part: &str| format!("{}.{index}.{part}", names.stem);
        Ok(Layer {
            query: self.linear(&named(names.query), width, width)?,
            key: self.linear(&named(names.key), width, width)?,
            value: self.linear(&named(names.value), width, width)?,
            attention_output: self.linear(&named(names.attention_output), width, width)?,
            attention_norm: self.norm(&named(names.attention_norm))?,
            intermediate: self.linear(&named(names.intermediate), intermediate, width)?,
            output: self.linear(&named(names.output), width, intermediate)?,
            output_norm: self.norm(&named(names.output_norm))?,
        })
    }

    /// The head of a checkpoint for classification or regression, of `logits` outputs. Of a binary
    /// one there may be two outputs instead of one; then their difference is the one logit.
    ///
    /// # Errors
    /// Tensors are missing or of another shape (78).
    pub(super) fn classifier(&mut self, logits: usize) -> anyhow::Result<Classifier> {
        let width = self.config.width;
        let (dense, output) = match self.config.family {
            Family::Bert => (format!("{}pooler.dense", self.prefix), "classifier"),
            Family::Roberta => ("classifier.dense".to_owned(), "classifier.out_proj"),
            Family::DistilBert => ("pre_classifier".to_owned(), "classifier"),
        };
        let found = self.weights.shape(&format!("{output}.weight"));
        let is_difference = logits == 1 && found.is_some_and(|shape| shape.first() == Some(&2));
        let outputs = if is_difference { 2 } else { logits };
        let dense = self.plain_linear(&dense, width, width)?;
        let mut output = self.plain_linear(output, outputs, width)?;
        if is_difference {
            output = Linear {
                weight: (output.weight.narrow(0, 1, 1)? - output.weight.narrow(0, 0, 1)?)?,
                bias: (output.bias.narrow(0, 1, 1)? - output.bias.narrow(0, 0, 1)?)?,
            };
        }
        Ok(Classifier { dense, output })
    }

    /// Leaves the pooler alone, which embeddings of this kind do not go through.
    pub(super) fn ignore_pooler(&mut self) {
        for part in ["weight", "bias"] {
            self.weights
                .ignore(&format!("{}pooler.dense.{part}", self.prefix));
        }
    }

    fn encoder(&mut self, name: &str, shape: &[usize]) -> anyhow::Result<Tensor> {
        self.weights
            .take_float(&format!("{}{name}", self.prefix), shape)
    }

    fn linear(&mut self, name: &str, outputs: usize, inputs: usize) -> anyhow::Result<Linear> {
        self.plain_linear(&format!("{}{name}", self.prefix), outputs, inputs)
    }

    fn plain_linear(
        &mut self,
        name: &str,
        outputs: usize,
        inputs: usize,
    ) -> anyhow::Result<Linear> {
        Ok(Linear {
            weight: self
                .weights
                .take_float(&format!("{name}.weight"), &[outputs, inputs])?,
            bias: self
                .weights
                .take_float(&format!("{name}.bias"), &[outputs])?,
        })
    }

    /// Checkpoints that were converted from TensorFlow call weight and bias gamma and beta.
    fn norm(&mut self, name: &str) -> anyhow::Result<Norm> {
        let name = format!("{}{name}", self.prefix);
        let is_old = self.weights.shape(&format!("{name}.gamma")).is_some();
        let [weight, bias] = match is_old {
            true => ["gamma", "beta"],
            false => ["weight", "bias"],
        };
        let shape = [self.config.width];
        Ok(Norm {
            weight: self
                .weights
                .take_float(&format!("{name}.{weight}"), &shape)?,
            bias: self.weights.take_float(&format!("{name}.{bias}"), &shape)?,
        })
    }
}

struct LayerNames {
    stem: &'static str,
    query: &'static str,
    key: &'static str,
    value: &'static str,
    attention_output: &'static str,
    attention_norm: &'static str,
    intermediate: &'static str,
    output: &'static str,
    output_norm: &'static str,
}
