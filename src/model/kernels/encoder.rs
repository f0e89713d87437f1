//! One layer of a BERT encoder, whole.
//!
//! Texts are taken in groups of about as many tokens as a block of rows, and each group goes from
//! projection to context while it is near; then blocks of rows go through the feed-forward part, so
//! that the widened rows stay in the core's own cache.

use super::attention::{Text, Workspace};
use super::lanes::Lanes;
use super::linear::{Out, PackedLinear, ROWS_OF_A_BLOCK, apply, as_words};
use super::rows::LayerNorm;
use super::{Activation, Kernels, Operation, Precision, Scratch};

/// Weights of a layer as a checkpoint holds them: weight `[outputs, inputs]` and bias `[outputs]`.
pub struct EncoderLayerWeights<'a> {
    /// `[width, width]`
    pub query: (&'a [f32], &'a [f32]),
    /// `[width, width]`
    pub key: (&'a [f32], &'a [f32]),
    /// `[width, width]`
    pub value: (&'a [f32], &'a [f32]),
    /// `[width, width]`, after attention
    pub attention_output: (&'a [f32], &'a [f32]),
    /// After attention and its residual.
    pub attention_norm: LayerNorm,
    /// `[intermediate, width]`
    pub intermediate: (&'a [f32], &'a [f32]),
    /// `[width, intermediate]`
    pub output: (&'a [f32], &'a [f32]),
    /// After the feed-forward part and its residual.
    pub output_norm: LayerNorm,
    /// A divisor of the width.
    pub heads: usize,
    /// Between the two layers of the feed-forward part.
    pub activation: Activation,
}

/// One layer of a BERT encoder (LayerNorm after each residual).
pub struct EncoderLayer {
    kernels: Kernels,
    width: usize,
    heads: usize,
    projection: PackedLinear,
    attention_output: PackedLinear,
    attention_norm: LayerNorm,
    intermediate: PackedLinear,
    output: PackedLinear,
    output_norm: LayerNorm,
    activation: Activation,
}

impl EncoderLayer {
    /// Packs the weights.
    ///
    /// # Panics
    /// If their shapes do not fit together, or the heads do not divide the width.
    pub fn new(kernels: Kernels, weights: EncoderLayerWeights<'_>) -> Self {
        let width = weights.query.1.len();
        let heads = weights.heads;
        assert!(
            heads > 0 && width.is_multiple_of(heads),
            "heads of equal size"
        );
        for bias in [weights.key.1, weights.value.1, weights.output.1] {
            assert_eq!(bias.len(), width, "width of a projection");
        }
        for norm in [&weights.attention_norm, &weights.output_norm] {
            assert_eq!((norm.weight.len(), norm.bias.len()), (width, width));
        }
        let three = [weights.query, weights.key, weights.value];
        let projected = three.map(|(weight, _)| weight).concat();
        let bias = three.map(|(_, bias)| bias).concat();
        let (output, intermediate) = (weights.attention_output, weights.intermediate);
        Self {
            kernels,
            width,
            heads,
            projection: PackedLinear::new(kernels, &projected, &bias, width),
            attention_output: PackedLinear::new(kernels, output.0, output.1, width),
            attention_norm: weights.attention_norm,
            intermediate: PackedLinear::new(kernels, intermediate.0, intermediate.1, width),
            output: PackedLinear::new(
                kernels,
                weights.output.0,
                weights.output.1,
                intermediate.1.len(),
            ),
            output_norm: weights.output_norm,
            activation: weights.activation,
        }
    }

    /// Takes the hidden state `[tokens, width]` through the layer, in place. `lengths` are the
    /// texts' tokens, in order; none is 0, and their sum is `tokens`.
    ///
    /// # Panics
    /// If the lengths do not fit.
    pub fn forward(&self, hidden: &mut [f32], lengths: &[usize], scratch: &mut Scratch) {
        let tokens: usize = lengths.iter().sum();
        assert_eq!(
            hidden.len(),
            tokens * self.width,
            "shape of the hidden state"
        );
        assert!(
            lengths.iter().all(|&length| length > 0),
            "a text of no tokens"
        );
        self.kernels.run(Forward {
            layer: self,
            hidden,
            lengths,
            scratch,
        });
    }
}

struct Forward<'a> {
    layer: &'a EncoderLayer,
    hidden: &'a mut [f32],
    lengths: &'a [usize],
    scratch: &'a mut Scratch,
}

impl Operation for Forward<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let Self {
            layer,
            mut hidden,
            mut lengths,
            scratch,
        } = self;
        while !lengths.is_empty() {
            let (texts, tokens) = group(lengths);
            let (these, others) = lengths.split_at(texts);
            let (rows, rest) = hidden.split_at_mut(tokens * layer.width);
            (lengths, hidden) = (others, rest);
            // SAFETY: `EncoderLayer::forward` compared the lengths with the hidden state, and the
            // lanes are those of the layer's kernels, with which its weights were packed.
            unsafe {
                layer.attend(l, rows, these, scratch);
                for block in rows.chunks_mut(ROWS_OF_A_BLOCK * layer.width) {
                    layer.finish_block(l, block, scratch);
                }
            }
        }
    }
}

/// How many texts, at least one, make about a block of rows; and their tokens.
fn group(lengths: &[usize]) -> (usize, usize) {
    let (mut texts, mut tokens) = (1, lengths[0]);
    while let Some(next) = lengths.get(texts)
        && tokens + next <= ROWS_OF_A_BLOCK
    {
        texts += 1;
        tokens += next;
    }
    (texts, tokens)
}

impl EncoderLayer {
    /// Attention, its output layer, residual and LayerNorm, of some whole texts.
    ///
    /// # Safety
    /// The rows are those of the texts; the lanes are those of the kernels.
    #[inline(always)]
    unsafe fn attend<L: Lanes>(
        &self,
        l: L,
        rows: &mut [f32],
        lengths: &[usize],
        scratch: &mut Scratch,
    ) {
        let width = self.width;
        let tokens = rows.len() / width;
        // The values of the last head are read in whole vectors, beyond their end.
        scratch.projected.grow(tokens * 3 * width + 48);
        let projected = scratch.projected.as_mut_ptr().cast::<f32>();
        let context = scratch.context.floats(rows.len());
        // SAFETY: the buffers were grown to what these write; blocks lie one after the other.
        unsafe {
            for (index, block) in rows.chunks(ROWS_OF_A_BLOCK * width).enumerate() {
                let words = as_words(l, self.kernels, block, width, &mut scratch.inputs);
                let out = projected.add(index * ROWS_OF_A_BLOCK * 3 * width);
                let count = block.len() / width;
                apply(l, &self.projection, words, count, Out::Floats(out), None);
            }
            let mut first = 0;
            for &length in lengths {
                let text = Text {
                    length,
                    width,
                    heads: self.heads,
                    projected: projected.add(first * 3 * width),
                    context: context.as_mut_ptr().add(first * width),
                };
                text.attend(
                    l,
                    Workspace {
                        keys: &mut scratch.keys,
                        scores: &mut scratch.scores,
                    },
                );
                first += length;
            }
            for (block, context) in rows
                .chunks_mut(ROWS_OF_A_BLOCK * width)
                .zip(context.chunks(ROWS_OF_A_BLOCK * width))
            {
                let words = as_words(l, self.kernels, context, width, &mut scratch.inputs);
                let narrowed = scratch.narrowed.floats(block.len());
                let (count, out) = (block.len() / width, Out::Floats(narrowed.as_mut_ptr()));
                apply(l, &self.attention_output, words, count, out, None);
                self.attention_norm.apply(l, block, Some(narrowed));
            }
        }
    }

    /// The feed-forward part of one block of rows.
    ///
    /// # Safety
    /// The lanes are those of the kernels.
    #[inline(always)]
    unsafe fn finish_block<L: Lanes>(&self, l: L, block: &mut [f32], scratch: &mut Scratch) {
        let count = block.len() / self.width;
        let wide = super::linear::words(self.kernels, self.intermediate.outputs());
        scratch.intermediate.grow(count * wide);
        let words = scratch.intermediate.as_mut_ptr();
        let out = match self.kernels.precision {
            Precision::F32 => Out::Floats(words.cast()),
            Precision::Bf16 => Out::Pairs(words),
        };
        // SAFETY: the buffers were grown to what these write.
        unsafe {
            let rows = as_words(l, self.kernels, block, self.width, &mut scratch.inputs);
            apply(
                l,
                &self.intermediate,
                rows,
                count,
                out,
                Some(self.activation),
            );
            let narrowed = scratch.narrowed.floats(block.len());
            let out = Out::Floats(narrowed.as_mut_ptr());
            apply(l, &self.output, words, count, out, None);
            self.output_norm.apply(l, block, Some(narrowed));
        }
    }
}
