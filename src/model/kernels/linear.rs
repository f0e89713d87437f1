//! Linear layers whose weights are packed once.

use super::buffer::Buffer;
use super::functions::{Activation, activate};
use super::lanes::{LANES, Lanes};
use super::portable::to_bf16;
use super::product::{Operands, tile};
use super::{Kernels, Operation, Precision, Scratch};

/// Rows that are taken past all weights together: few enough to stay in a core's own cache.
pub const ROWS_OF_A_BLOCK: usize = 96;

/// y = activation(x · weightᵀ + bias), its weights packed in panels that are read from end to end.
pub struct PackedLinear {
    kernels: Kernels,
    inputs: usize,
    outputs: usize,
    /// Panels of columns; in each, one word of every column, then the next word of every column.
    weights: Buffer,
    /// One f32 an output, padded with zeros to whole panels.
    bias: Buffer,
}

impl PackedLinear {
    /// Packs weights `[outputs, inputs]`, row-major, and a bias `[outputs]`.
    ///
    /// # Panics
    /// If the weights have another shape, or there are none.
    pub fn new(kernels: Kernels, weight: &[f32], bias: &[f32], inputs: usize) -> Self {
        let outputs = bias.len();
        assert!(inputs > 0 && outputs > 0, "a linear layer without weights");
        assert_eq!(weight.len(), outputs * inputs, "shape of the weights");
        let columns = kernels.panel() * LANES;
        let words = words(kernels, inputs);
        let panels = outputs.div_ceil(columns);
        let mut weights = Buffer::zeros(panels * words * columns);
        let packed = weights.floats(panels * words * columns);
        for (output, row) in weight.chunks_exact(inputs).enumerate() {
            let start = output / columns * words * columns + output % columns;
            for word in 0..words {
                packed[start + word * columns] = match kernels.precision {
                    Precision::F32 => row[word],
                    Precision::Bf16 => {
                        let odd = row.get(2 * word + 1).copied().unwrap_or(0.0);
                        let (even, odd) = (to_bf16(row[2 * word]), to_bf16(odd));
                        f32::from_bits(u32::from(even) | u32::from(odd) << 16)
                    }
                };
            }
        }
        let mut padded = Buffer::zeros(panels * columns);
        padded.floats(outputs).copy_from_slice(bias);
        Self {
            kernels,
            inputs,
            outputs,
            weights,
            bias: padded,
        }
    }

    /// Width of the rows that it takes.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Width of the rows that it gives.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// From rows `[n, inputs]` to `[n, outputs]`.
    ///
    /// # Panics
    /// If the slices have other shapes.
    pub fn forward(
        &self,
        rows: &[f32],
        out: &mut [f32],
        activation: Option<Activation>,
        scratch: &mut Scratch,
    ) {
        let count = rows.len() / self.inputs;
        assert_eq!(rows.len(), count * self.inputs, "shape of the rows");
        assert_eq!(out.len(), count * self.outputs, "shape of the output");
        self.kernels.run(Forward {
            linear: self,
            rows,
            out,
            activation,
            inputs: &mut scratch.inputs,
        });
    }

    /// Words of a row of inputs.
    fn words(&self) -> usize {
        words(self.kernels, self.inputs)
    }
}

/// Words that a row takes.
pub fn words(kernels: Kernels, width: usize) -> usize {
    match kernels.precision {
        Precision::F32 => width,
        Precision::Bf16 => width.div_ceil(2),
    }
}

struct Forward<'a> {
    linear: &'a PackedLinear,
    rows: &'a [f32],
    out: &'a mut [f32],
    activation: Option<Activation>,
    inputs: &'a mut Buffer,
}

impl Operation for Forward<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let linear = self.linear;
        for (rows, out) in self
            .rows
            .chunks(ROWS_OF_A_BLOCK * linear.inputs)
            .zip(self.out.chunks_mut(ROWS_OF_A_BLOCK * linear.outputs))
        {
            // SAFETY: `forward` compared the shapes, and chunks are whole rows.
            unsafe {
                let count = rows.len() / linear.inputs;
                let rows = as_words(l, linear.kernels, rows, linear.inputs, self.inputs);
                let out = Out::Floats(out.as_mut_ptr());
                apply(l, linear, rows, count, out, self.activation);
            }
        }
    }
}

/// Rows as the products take them: as they are, or rounded to bf16 into the buffer.
///
/// # Safety
/// If the precision is bf16, the lanes compute it.
#[inline(always)]
pub unsafe fn as_words<L: Lanes>(
    l: L,
    kernels: Kernels,
    rows: &[f32],
    width: usize,
    buffer: &mut Buffer,
) -> *const u32 {
    if kernels.precision == Precision::F32 {
        return rows.as_ptr().cast();
    }
    let stride = width.div_ceil(2);
    buffer.grow(rows.len() / width * stride);
    let words = buffer.as_mut_ptr();
    for (index, row) in rows.chunks_exact(width).enumerate() {
        // SAFETY: the buffer was grown to `stride` words a row.
        unsafe { round_row(l, row, words.add(index * stride).cast()) };
    }
    words
}

/// Rounds a row to bf16; an odd one is followed by a zero.
///
/// # Safety
/// The row's length, rounded up to even, of u16 can be written at `to`; the lanes compute bf16.
#[inline(always)]
unsafe fn round_row<L: Lanes>(l: L, row: &[f32], to: *mut u16) {
    let whole = row.len() / LANES * LANES;
    // SAFETY: the caller's promise; the last part goes through an array of sixteen.
    unsafe {
        for start in (0..whole).step_by(LANES) {
            l.store_bf16(to.add(start), l.load(row.as_ptr().add(start)));
        }
        if whole < row.len() {
            let count = row.len() - whole;
            let mut rounded = [0; LANES];
            let values = l.load_part(row.as_ptr().add(whole), count, 0.0);
            l.store_bf16(rounded.as_mut_ptr(), values);
            for (lane, value) in rounded.iter().enumerate().take(count.next_multiple_of(2)) {
                *to.add(whole + lane) = *value;
            }
        }
    }
}

/// Where a linear layer writes: f32, or the words of the next layer's inputs.
#[derive(Clone, Copy)]
pub enum Out {
    /// `[n, outputs]`
    Floats(*mut f32),
    /// `[n, outputs / 2 rounded up]` pairs of bf16
    Pairs(*mut u32),
}

/// Rows of words past all panels, in tiles; bias, activation and rounding while a tile is hot.
///
/// # Safety
/// `count` rows can be read at `rows` and written at `out`; the lanes are those of the layer's
/// kernels.
#[inline(always)]
pub unsafe fn apply<L: Lanes>(
    l: L,
    linear: &PackedLinear,
    rows: *const u32,
    count: usize,
    out: Out,
    activation: Option<Activation>,
) {
    let words = linear.words();
    let columns = L::PANEL * LANES;
    let mut hot = [0.0f32; 8 * 3 * LANES];
    for first_column in (0..linear.outputs).step_by(columns) {
        let width = columns.min(linear.outputs - first_column);
        for first in (0..count).step_by(L::HEIGHT) {
            let height = L::HEIGHT.min(count - first);
            // SAFETY: rows, panel and `hot` hold what the tile takes; columns beyond the outputs
            // are the panel's padding, and are not written on.
            unsafe {
                let operands = Operands {
                    words,
                    a: rows.add(first * words),
                    a_stride: words,
                    b: linear.weights.as_ptr().add(first_column * words),
                    b_stride: columns,
                };
                match linear.kernels.precision {
                    Precision::F32 => {
                        tile::<L, false>(l, operands, height, L::PANEL, hot.as_mut_ptr(), columns);
                    }
                    Precision::Bf16 => {
                        tile::<L, true>(l, operands, height, L::PANEL, hot.as_mut_ptr(), columns);
                    }
                }
                let bias = linear.bias.as_ptr().cast::<f32>().add(first_column);
                finish(l, &mut hot, height, columns, bias, activation);
                for row in 0..height {
                    let hot = &hot[row * columns..][..width];
                    match out {
                        Out::Floats(out) => {
                            let to = out.add((first + row) * linear.outputs + first_column);
                            for start in (0..width).step_by(LANES) {
                                let part = LANES.min(width - start);
                                let values = l.load(hot.as_ptr().add(start));
                                l.store_part(to.add(start), values, part);
                            }
                        }
                        Out::Pairs(out) => {
                            let stride = linear.outputs.div_ceil(2);
                            let to = out.add((first + row) * stride).cast::<u16>();
                            round_row(l, hot, to.add(first_column));
                        }
                    }
                }
            }
        }
    }
}

/// Adds the bias and applies the activation.
///
/// # Safety
/// `columns`, whole vectors, can be read at `bias`, and `hot` has `height` rows of them.
#[inline(always)]
unsafe fn finish<L: Lanes>(
    l: L,
    hot: &mut [f32],
    height: usize,
    columns: usize,
    bias: *const f32,
    activation: Option<Activation>,
) {
    // A macro and not a function of closures: a closure that is not inlined lacks the instruction set.
    macro_rules! each {
        ($value:ident => $after:expr) => {
            for row in hot.chunks_exact_mut(columns).take(height) {
                for start in (0..columns).step_by(LANES) {
                    // SAFETY: `start` stays below `columns`, whole vectors.
                    unsafe {
                        let at = row.as_mut_ptr().add(start);
                        let $value = l.add(l.load(at), l.load(bias.add(start)));
                        l.store(at, $after);
                    }
                }
            }
        };
    }
    match activation {
        None => each!(value => value),
        Some(Activation::Gelu) => each!(value => activate(l, Activation::Gelu, value)),
        Some(Activation::GeluTanh) => each!(value => activate(l, Activation::GeluTanh, value)),
        Some(Activation::Relu) => each!(value => activate(l, Activation::Relu, value)),
        Some(Activation::Tanh) => each!(value => activate(l, Activation::Tanh, value)),
        Some(Activation::Silu) => each!(value => activate(l, Activation::Silu, value)),
    }
}
