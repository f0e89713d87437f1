//! What is done to rows: LayerNorm, means over texts, division by the length.

use super::lanes::{LANES, Lanes};
use super::{Kernels, Operation};

// Macros and not functions of closures: a closure that is not inlined lacks the instruction set.

/// Runs code for the start, the length (at most sixteen) and the address of each part of a row.
macro_rules! each {
    ($row:expr, |$start:pat_param, $count:ident, $at:ident| $body:expr) => {{
        let row: &mut [f32] = $row;
        let width = row.len();
        let first = row.as_mut_ptr();
        for start in (0..width).step_by(LANES) {
            let ($start, $count) = (start, LANES.min(width - start));
            let $at = first.wrapping_add(start);
            $body;
        }
    }};
}

/// The sum over a row of what an expression, which takes `rest` to 0, makes of it.
macro_rules! sum {
    ($l:ident, $row:expr, $rest:expr, |$value:ident| $term:expr) => {{
        let row: &[f32] = $row;
        let mut total = $l.splat(0.0);
        for start in (0..row.len()).step_by(LANES) {
            let count = LANES.min(row.len() - start);
            // SAFETY: the part is read as far as it goes.
            let $value = unsafe { $l.load_part(row.as_ptr().add(start), count, $rest) };
            total = $l.add(total, $term);
        }
        $l.sum(total)
    }};
}

/// LayerNorm over rows, as `torch.nn.LayerNorm` defines it.
pub struct LayerNorm {
    /// `[width]`
    pub weight: Vec<f32>,
    /// `[width]`
    pub bias: Vec<f32>,
    /// Added to the variance.
    pub epsilon: f32,
}

impl LayerNorm {
    /// rows = LayerNorm(rows + residual), both `[n, width]`.
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn forward(&self, kernels: Kernels, rows: &mut [f32], residual: Option<&[f32]>) {
        let width = self.weight.len();
        assert_eq!(self.bias.len(), width, "shape of the bias");
        assert_eq!(rows.len() % width, 0, "shape of the rows");
        if let Some(residual) = residual {
            assert_eq!(rows.len(), residual.len(), "shape of the residual");
        }
        kernels.run(Normalize {
            norm: self,
            rows,
            residual,
        });
    }

    /// The same, inside another operation.
    #[inline(always)]
    pub fn apply<L: Lanes>(&self, l: L, rows: &mut [f32], residual: Option<&[f32]>) {
        let width = self.weight.len();
        for (index, row) in rows.chunks_exact_mut(width).enumerate() {
            if let Some(residual) = residual {
                let residual = &residual[index * width..][..width];
                each!(row, |start, count, at| {
                    // SAFETY: `each` stays inside the row, and the residual is as long.
                    unsafe {
                        let other = l.load_part(residual.as_ptr().add(start), count, 0.0);
                        l.store_part(at, l.add(l.load_part(at, count, 0.0), other), count);
                    }
                });
            }
            let mean = sum!(l, row, 0.0, |value| value) / width as f32;
            let squares = sum!(l, row, mean, |value| {
                let difference = l.sub(value, l.splat(mean));
                l.mul(difference, difference)
            });
            let scale = l.splat(1.0 / (squares / width as f32 + self.epsilon).sqrt());
            each!(row, |start, count, at| {
                // SAFETY: `each` stays inside the row, and weight and bias are as long.
                unsafe {
                    let weight = l.load_part(self.weight.as_ptr().add(start), count, 0.0);
                    let bias = l.load_part(self.bias.as_ptr().add(start), count, 0.0);
                    let value = l.sub(l.load_part(at, count, 0.0), l.splat(mean));
                    let value = l.mul_add(l.mul(value, scale), weight, bias);
                    l.store_part(at, value, count);
                }
            });
        }
    }
}

struct Normalize<'a> {
    norm: &'a LayerNorm,
    rows: &'a mut [f32],
    residual: Option<&'a [f32]>,
}

impl Operation for Normalize<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        self.norm.apply(l, self.rows, self.residual);
    }
}

/// The mean over each text's rows: from `[tokens, width]` to `[texts, width]`.
///
/// # Panics
/// If the shapes do not fit the lengths.
pub fn mean_pool(
    kernels: Kernels,
    hidden: &[f32],
    width: usize,
    lengths: &[usize],
    out: &mut [f32],
) {
    assert_eq!(
        hidden.len(),
        lengths.iter().sum::<usize>() * width,
        "shape of the rows"
    );
    assert_eq!(out.len(), lengths.len() * width, "shape of the output");
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
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let mut hidden = self.hidden;
        for (&length, out) in self
            .lengths
            .iter()
            .zip(self.out.chunks_exact_mut(self.width))
        {
            let (text, others) = hidden.split_at(length * self.width);
            hidden = others;
            each!(out, |start, count, at| {
                let mut total = l.splat(0.0);
                for row in text.chunks_exact(self.width) {
                    // SAFETY: `each` stays inside the width of a row.
                    total = l.add(total, unsafe {
                        l.load_part(row.as_ptr().add(start), count, 0.0)
                    });
                }
                // SAFETY: `each` stays inside `out`.
                unsafe { l.store_part(at, l.div(total, l.splat(length as f32)), count) };
            });
        }
    }
}

/// Divides rows `[n, width]` by their L2 norms, or by 1e-12 if that is greater, as
/// `torch.nn.functional.normalize` does.
///
/// # Panics
/// If the slice is not whole rows.
pub fn normalize_rows(kernels: Kernels, rows: &mut [f32], width: usize) {
    assert_eq!(rows.len() % width, 0, "shape of the rows");
    kernels.run(Lengths { rows, width });
}

struct Lengths<'a> {
    rows: &'a mut [f32],
    width: usize,
}

impl Operation for Lengths<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        for row in self.rows.chunks_exact_mut(self.width) {
            let length = sum!(l, row, 0.0, |value| l.mul(value, value)).sqrt();
            // Not f32::max, which would hide a NaN.
            let length = l.splat(if length < 1e-12 { 1e-12 } else { length });
            each!(row, |_, count, at| {
                // SAFETY: `each` stays inside the row.
                unsafe { l.store_part(at, l.div(l.load_part(at, count, 0.0), length), count) };
            });
        }
    }
}
