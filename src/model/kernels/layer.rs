//! A layer of an encoder, whole.

use super::attention::{Buffers, attend};
use super::{Activation, Kernels, LayerNorm, PackedLinear, Precision, Scratch, room};

/// Weight `[outputs, inputs]`, row-major, and bias `[outputs]` of a linear layer.
pub type LinearWeights<'a> = (&'a [f32], &'a [f32]);

/// What a layer is made of: of BERT, which normalises what comes out of each half.
pub struct EncoderLayerWeights<'a> {
    /// `[width, width]`
    pub query: LinearWeights<'a>,
    /// `[width, width]`
    pub key: LinearWeights<'a>,
    /// `[width, width]`
    pub value: LinearWeights<'a>,
    /// `[width, width]`
    pub attention_output: LinearWeights<'a>,
    /// After attention.
    pub attention_norm: LayerNorm,
    /// `[intermediate, width]`
    pub intermediate: LinearWeights<'a>,
    /// `[width, intermediate]`
    pub output: LinearWeights<'a>,
    /// After the feed-forward half.
    pub output_norm: LayerNorm,
    /// Attention heads.
    pub heads: usize,
    /// Between the linear layers of the feed-forward half.
    pub activation: Activation,
}

/// A layer of an encoder, packed.
pub struct EncoderLayer {
    kernels: Kernels,
    width: usize,
    heads: usize,
    activation: Activation,
    projections: PackedLinear,
    attention_output: PackedLinear,
    attention_norm: LayerNorm,
    intermediate: PackedLinear,
    output: PackedLinear,
    output_norm: LayerNorm,
}

/// Tokens that go through attention together: whole texts, so many tokens or one more text.
const ATTENTION_TOKENS: usize = 168;

impl EncoderLayer {
    /// Packs a layer.
    ///
    /// # Panics
    /// If the weights do not go together.
    pub fn new(kernels: Kernels, weights: EncoderLayerWeights<'_>) -> Self {
        let width = weights.query.1.len();
        let parts = [weights.query, weights.key, weights.value];
        let weight: Vec<f32> = parts.iter().flat_map(|part| part.0).copied().collect();
        let bias: Vec<f32> = parts.iter().flat_map(|part| part.1).copied().collect();
        let linear = |(weight, bias): LinearWeights<'_>| {
            PackedLinear::new(kernels, weight, bias, weight.len() / bias.len())
        };
        let layer = Self {
            kernels,
            width,
            heads: weights.heads,
            activation: weights.activation,
            projections: PackedLinear::new(kernels, &weight, &bias, width),
            attention_output: linear(weights.attention_output),
            attention_norm: weights.attention_norm,
            intermediate: linear(weights.intermediate),
            output: linear(weights.output),
            output_norm: weights.output_norm,
        };
        let is_whole = layer.projections.outputs() == 3 * width
            && layer.attention_output.outputs() == width
            && layer.attention_output.inputs() == width
            && layer.intermediate.inputs() == width
            && layer.output.inputs() == layer.intermediate.outputs()
            && layer.output.outputs() == width
            && width.is_multiple_of(layer.heads);
        assert!(is_whole, "layers that do not go together");
        layer
    }

    /// `hidden [tokens, width]` after this layer, in place; `lengths` are those of the texts in it, in
    /// their order.
    ///
    /// # Panics
    /// If the lengths do not add up to the tokens, or one is 0.
    pub fn forward(&self, hidden: &mut [f32], lengths: &[usize], scratch: &mut Scratch) {
        let tokens: usize = lengths.iter().sum();
        assert!(
            hidden.len() == tokens * self.width,
            "tokens of another shape"
        );
        assert!(!lengths.contains(&0), "a text without tokens");
        let (mut hidden, mut lengths) = (hidden, lengths);
        while !lengths.is_empty() {
            let mut texts = 0;
            let mut tokens = 0;
            while texts < lengths.len() && (texts == 0 || tokens < ATTENTION_TOKENS) {
                tokens += lengths[texts];
                texts += 1;
            }
            let (block, rest) = hidden.split_at_mut(tokens * self.width);
            let (of_block, others) = lengths.split_at(texts);
            (hidden, lengths) = (rest, others);
            self.attend(block, of_block, scratch);
            for rows in block.chunks_mut(self.feed_forward_tokens() * self.width) {
                self.feed_forward(rows, scratch);
            }
        }
    }

    /// Tokens that go through the feed-forward half together: what stands between its layers stays in
    /// the second cache.
    fn feed_forward_tokens(&self) -> usize {
        match self.kernels.precision {
            Precision::F32 => 84,
            Precision::Bf16 => 112,
        }
    }

    fn attend(&self, block: &mut [f32], lengths: &[usize], scratch: &mut Scratch) {
        let Scratch {
            queries,
            attended,
            projected,
            keys,
            values,
            scores,
            halves,
            ..
        } = scratch;
        let queries = room(queries, 3 * block.len());
        self.projections.project(block, queries, None, halves);
        let attended = room(attended, block.len());
        let buffers = Buffers {
            keys,
            values,
            scores,
        };
        attend(
            self.kernels,
            queries,
            lengths,
            self.heads,
            attended,
            buffers,
        );
        let projected = room(projected, block.len());
        self.attention_output
            .project(attended, projected, None, halves);
        self.attention_norm
            .forward(self.kernels, block, Some(projected));
    }

    fn feed_forward(&self, rows: &mut [f32], scratch: &mut Scratch) {
        let Scratch {
            projected,
            intermediate,
            halves,
            ..
        } = scratch;
        let tokens = rows.len() / self.width;
        let intermediate = room(intermediate, tokens * self.intermediate.outputs());
        self.intermediate
            .project(rows, intermediate, Some(self.activation), halves);
        let projected = room(projected, rows.len());
        self.output.project(intermediate, projected, None, halves);
        self.output_norm
            .forward(self.kernels, rows, Some(projected));
    }
}
