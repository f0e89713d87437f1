//! What is done with whole rows: LayerNorm, means, lengths.

use super::Kernels;
use super::vector::{LANES, Operation, Vector, load_some, store_some, sum_of};

/// `(x − mean) / √(variance + epsilon) · weight + bias` over each row.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    /// `[width]`
    pub weight: Vec<f32>,
    /// `[width]`
    pub bias: Vec<f32>,
    /// What keeps it from dividing by zero.
    pub epsilon: f32,
}

impl LayerNorm {
    /// `rows [rows, width]`, to which a residual of the same shape may be added first, in place.
    ///
    /// # Panics
    /// If rows, residual, weight and bias do not go together.
    pub fn forward(&self, kernels: Kernels, rows: &mut [f32], residual: Option<&[f32]>) {
        let width = self.weight.len();
        assert!(
            self.bias.len() == width && rows.len().is_multiple_of(width),
            "rows of another width"
        );
        assert!(
            residual.is_none_or(|residual| residual.len() == rows.len()),
            "a residual of another shape"
        );
        kernels.run(Normalize {
            norm: self,
            rows,
            residual,
        });
    }
}

struct Normalize<'a> {
    norm: &'a LayerNorm,
    rows: &'a mut [f32],
    residual: Option<&'a [f32]>,
}

impl Operation for Normalize<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let LayerNorm {
            weight,
            bias,
            epsilon,
        } = self.norm;
        let width = weight.len();
        for (index, row) in self.rows.chunks_exact_mut(width).enumerate() {
            let row = row.as_mut_ptr();
            // SAFETY: the caller's; `forward` has checked the shapes, and every access is to the first
            // `width` numbers of a row, of the weight or of the bias.
            unsafe {
                let mut sum = V::splat(0.0);
                for (start, count) in vectors(width) {
                    let mut numbers: V = load_some(row.add(start), count);
                    if let Some(residual) = self.residual {
                        let residual = residual.as_ptr().add(index * width + start);
                        numbers = numbers.add(load_some(residual, count));
                        store_some(numbers, row.add(start), count);
                    }
                    sum = sum.add(numbers);
                }
                let mean = sum_of(sum) / width as f32;
                let mut squares = V::splat(0.0);
                for (start, count) in vectors(width) {
                    let numbers: V = load_some(row.add(start), count);
                    // Beyond the row there are no deviations.
                    let means = [mean; LANES];
                    let deviations = numbers.sub(load_some(means.as_ptr(), count));
                    squares = deviations.mul_add(deviations, squares);
                }
                let variance = sum_of(squares) / width as f32;
                let scale = V::splat(1.0 / (variance + epsilon).sqrt());
                let mean = V::splat(mean);
                for (start, count) in vectors(width) {
                    let numbers: V = load_some(row.add(start), count);
                    let weight: V = load_some(weight.as_ptr().add(start), count);
                    let bias: V = load_some(bias.as_ptr().add(start), count);
                    let normal = numbers.sub(mean).mul(scale);
                    store_some(normal.mul_add(weight, bias), row.add(start), count);
                }
            }
        }
    }
}

/// Where vectors begin that cover so many numbers, and how many numbers each has.
#[inline(always)]
pub(super) fn vectors(width: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..width)
        .step_by(LANES)
        .map(move |start| (start, LANES.min(width - start)))
}

/// The mean of each text's tokens: of `hidden [tokens, width]` into `out [texts, width]`.
///
/// # Panics
/// If a text has no tokens, or the shapes do not go together.
pub fn mean_pool(
    kernels: Kernels,
    hidden: &[f32],
    width: usize,
    lengths: &[usize],
    out: &mut [f32],
) {
    let tokens: usize = lengths.iter().sum();
    assert!(
        hidden.len() == tokens * width && out.len() == lengths.len() * width,
        "tokens of another shape"
    );
    assert!(!lengths.contains(&0), "a text without tokens");
    kernels.run(MeanPool {
        hidden,
        width,
        lengths,
        out,
    });
}

struct MeanPool<'a> {
    hidden: &'a [f32],
    width: usize,
    lengths: &'a [usize],
    out: &'a mut [f32],
}

impl Operation for MeanPool<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let width = self.width;
        let mut text = self.hidden.as_ptr();
        for (&length, out) in self.lengths.iter().zip(self.out.chunks_exact_mut(width)) {
            // SAFETY: the caller's; `mean_pool` has checked that the lengths add up to the tokens.
            unsafe {
                let count_of_tokens = V::splat(length as f32);
                for (start, count) in vectors(width) {
                    let mut sum = V::splat(0.0);
                    for token in 0..length {
                        sum = sum.add(load_some(text.add(token * width + start), count));
                    }
                    let mean = sum.div(count_of_tokens);
                    store_some(mean, out.as_mut_ptr().add(start), count);
                }
                text = text.add(length * width);
            }
        }
    }
}

/// Brings each row of `rows [rows, width]` to length one, in place; zeros stay zeros.
///
/// # Panics
/// If there are no whole rows.
pub fn normalize_rows(kernels: Kernels, rows: &mut [f32], width: usize) {
    assert!(rows.len().is_multiple_of(width), "rows of another width");
    kernels.run(Scale { rows, width });
}

struct Scale<'a> {
    rows: &'a mut [f32],
    width: usize,
}

impl Operation for Scale<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        /// As torch.nn.functional.normalize has it.
        const EPSILON: f32 = 1e-12;
        for row in self.rows.chunks_exact_mut(self.width) {
            let numbers = row.as_mut_ptr();
            // SAFETY: the caller's; every access is within the row.
            unsafe {
                let mut squares = V::splat(0.0);
                for (start, count) in vectors(self.width) {
                    let part: V = load_some(numbers.add(start), count);
                    squares = part.mul_add(part, squares);
                }
                let length = sum_of(squares).sqrt();
                let length = V::splat(if length < EPSILON { EPSILON } else { length });
                for (start, count) in vectors(self.width) {
                    let part: V = load_some(numbers.add(start), count);
                    store_some(part.div(length), numbers.add(start), count);
                }
            }
        }
    }
}
