//! Linear layers over packed weights.
//!
//! Weights stand in panels: of a few neighbouring outputs, all inputs, one after the other. A tile is
//! some rows by one panel, and stays in registers while it is added up.

use super::brain_float::pair;
use super::functions::{Activation, Function, Gelu, GeluTanh, Identity, Relu, Silu, Tanh};
use super::vector::{LANES, Operation, Vector, store_some};
use super::{InstructionSet, Kernels, Precision, Scratch, room};

/// A tile of a product: `rows` rows of `inputs` left factors each, which begin `stride` apart, by a
/// panel, whose rows of right factors are as wide as [`Vector::TILE_VECTORS`] says.
///
/// # Safety
/// Of whoever computes it: there are 1 to [`Vector::TILE_ROWS`] rows, all factors may be read, and the
/// sums, row after row as wide as the panel, may be written to `out`.
#[derive(Clone, Copy)]
pub(super) struct Tile<L> {
    pub(super) rows: usize,
    pub(super) inputs: usize,
    pub(super) left: *const L,
    pub(super) stride: usize,
    pub(super) panel: *const L,
    pub(super) out: *mut f32,
}

/// Numbers of the largest tile of all instruction sets.
pub(super) const LARGEST_TILE: usize = 14 * 2 * LANES;

/// Computes a tile of `M` rows by `N` vectors.
///
/// # Safety
/// As [`Tile`] says; this processor has the instruction set.
#[inline(always)]
pub(super) unsafe fn tile_body<V: Vector, const M: usize, const N: usize>(tile: Tile<f32>) {
    // SAFETY: the caller's: indices stay below the tile's rows, inputs and width.
    unsafe {
        let mut sums = [[V::splat(0.0); N]; M];
        for input in 0..tile.inputs {
            let mut panel = [V::splat(0.0); N];
            for (vector, right) in panel.iter_mut().enumerate() {
                *right = V::load(tile.panel.add((input * N + vector) * LANES));
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                let left = V::splat(*tile.left.add(row * tile.stride + input));
                for (sum, right) in sums.iter_mut().zip(panel) {
                    *sum = left.mul_add(right, *sum);
                }
            }
        }
        for (row, sums) in sums.into_iter().enumerate() {
            for (vector, sum) in sums.into_iter().enumerate() {
                sum.store(tile.out.add((row * N + vector) * LANES));
            }
        }
    }
}

/// A cache line, so that panels begin with one.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line<T>([T; LANES]);

impl<T: Copy + Default> Default for Line<T> {
    fn default() -> Self {
        Self([T::default(); LANES])
    }
}

/// Numbers of a tile, aligned.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Sums(pub(super) [f32; LARGEST_TILE]);

enum Panels {
    /// By panel and input.
    F32(Vec<Line<f32>>),
    /// By panel and pair of inputs; of an odd number of inputs the last pair has a zero.
    Bf16(Vec<Line<u32>>),
}

/// `activation(x · weightᵀ + bias)`, packed for one instruction set and precision.
pub struct PackedLinear {
    kernels: Kernels,
    inputs: usize,
    outputs: usize,
    panels: Panels,
    /// As long as the panels are wide.
    bias: Vec<f32>,
}

/// Bytes of left factors that are multiplied by all panels before the next ones are: they stay in the
/// second cache meanwhile.
const BLOCK_BYTES: usize = 256 << 10;

impl PackedLinear {
    /// Packs `weight [outputs, inputs]`, row-major, and `bias [outputs]`.
    ///
    /// # Panics
    /// If the weight is not of that shape.
    pub fn new(kernels: Kernels, weight: &[f32], bias: &[f32], inputs: usize) -> Self {
        let outputs = bias.len();
        assert!(
            inputs > 0 && weight.len() == inputs * outputs,
            "a weight of another shape"
        );
        let width = tile_vectors(kernels.set) * LANES;
        let panels = outputs.div_ceil(width);
        let number = |output: usize, input: usize| match output < outputs && input < inputs {
            true => weight[output * inputs + input],
            false => 0.0,
        };
        let vectors = width / LANES;
        let steps = match kernels.precision {
            Precision::F32 => inputs,
            Precision::Bf16 => inputs.div_ceil(2),
        };
        let places = (0..panels * steps * vectors).map(|line| {
            let (panel, rest) = (line / (steps * vectors), line % (steps * vectors));
            (panel * width + rest % vectors * LANES, rest / vectors)
        });
        let panels = match kernels.precision {
            Precision::F32 => Panels::F32(
                places
                    .map(|(output, input)| {
                        Line(std::array::from_fn(|lane| number(output + lane, input)))
                    })
                    .collect(),
            ),
            Precision::Bf16 => Panels::Bf16(
                places
                    .map(|(output, step)| {
                        Line(std::array::from_fn(|lane| {
                            let output = output + lane;
                            pair(number(output, 2 * step), number(output, 2 * step + 1))
                        }))
                    })
                    .collect(),
            ),
        };
        let mut padded = bias.to_vec();
        padded.resize(outputs.div_ceil(width) * width, 0.0);
        Self {
            kernels,
            inputs,
            outputs,
            panels,
            bias: padded,
        }
    }

    /// Numbers of a row that goes in.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Numbers of a row that comes out.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Computes `out [rows, outputs]` of `rows [rows, inputs]`.
    ///
    /// # Panics
    /// If the two have not the same number of whole rows.
    pub fn forward(
        &self,
        rows: &[f32],
        out: &mut [f32],
        activation: Option<Activation>,
        scratch: &mut Scratch,
    ) {
        self.project(rows, out, activation, &mut scratch.halves);
    }

    pub(super) fn project(
        &self,
        rows: &[f32],
        out: &mut [f32],
        activation: Option<Activation>,
        halves: &mut Vec<u32>,
    ) {
        let count = rows.len() / self.inputs;
        assert!(
            rows.len() == count * self.inputs && out.len() == count * self.outputs,
            "rows of another shape"
        );
        self.kernels.run(Project {
            linear: self,
            rows,
            out,
            activation,
            halves,
        });
    }
}

/// Vectors of a panel's row.
fn tile_vectors(set: InstructionSet) -> usize {
    match set {
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => super::avx512::Avx512::TILE_VECTORS,
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => super::avx2::Avx2::TILE_VECTORS,
        _ => super::portable::Portable::TILE_VECTORS,
    }
}

struct Project<'a> {
    linear: &'a PackedLinear,
    rows: &'a [f32],
    out: &'a mut [f32],
    activation: Option<Activation>,
    halves: &'a mut Vec<u32>,
}

impl Operation for Project<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self {
            linear,
            rows,
            out,
            activation,
            halves,
        } = self;
        let (inputs, outputs) = (linear.inputs, linear.outputs);
        let fit = BLOCK_BYTES / (inputs * size_of::<f32>()) / V::TILE_ROWS;
        let block = fit.max(1) * V::TILE_ROWS;
        let blocks = rows
            .chunks(block * inputs)
            .zip(out.chunks_mut(block * outputs));
        for (rows, out) in blocks {
            // SAFETY: the caller's; `project` has checked that rows and output belong together, and
            // `new` has made the panels of this shape.
            unsafe {
                match &linear.panels {
                    Panels::F32(panels) => {
                        let left = rows.as_ptr();
                        let panels = panels.as_ptr().cast();
                        let tiles = Tiles::<f32> {
                            left,
                            panels,
                            steps: inputs,
                        };
                        tiles.multiply::<V>(linear, out, activation, V::tile);
                    }
                    Panels::Bf16(panels) => {
                        let steps = inputs.div_ceil(2);
                        let left = pairs(rows, inputs, halves).as_ptr();
                        let panels = panels.as_ptr().cast();
                        let tiles = Tiles::<u32> {
                            left,
                            panels,
                            steps,
                        };
                        tiles.multiply::<V>(linear, out, activation, V::tile_of_pairs);
                    }
                }
            }
        }
    }
}

/// Rows as pairs of bf16.
#[inline(always)]
fn pairs<'a>(rows: &[f32], inputs: usize, halves: &'a mut Vec<u32>) -> &'a [u32] {
    let steps = inputs.div_ceil(2);
    let pairs = room(halves, rows.len() / inputs * steps);
    for (row, pairs) in rows.chunks_exact(inputs).zip(pairs.chunks_exact_mut(steps)) {
        let (whole, rest) = row.as_chunks::<2>();
        for (&[first, second], half) in whole.iter().zip(pairs.iter_mut()) {
            *half = pair(first, second);
        }
        if let (Some(&last), Some(half)) = (rest.first(), pairs.last_mut()) {
            *half = pair(last, 0.0);
        }
    }
    pairs
}

/// The factors of a block of rows.
struct Tiles<L> {
    left: *const L,
    panels: *const L,
    /// Steps of a sum: inputs, or pairs of them.
    steps: usize,
}

impl<L> Tiles<L> {
    /// Every tile of the block, panel by panel.
    ///
    /// # Safety
    /// There are as many rows to the left as `out` has, and panels for all of the layer's outputs; this
    /// processor has what `tile` takes.
    #[inline(always)]
    unsafe fn multiply<V: Vector>(
        &self,
        linear: &PackedLinear,
        out: &mut [f32],
        activation: Option<Activation>,
        tile: unsafe fn(Tile<L>),
    ) {
        let (outputs, width) = (linear.outputs, V::TILE_VECTORS * LANES);
        let mut sums = Sums([0.0; LARGEST_TILE]);
        for (panel, bias) in linear.bias.chunks_exact(width).enumerate() {
            let rows_of_tile = V::TILE_ROWS * outputs;
            for (index, out) in out.chunks_mut(rows_of_tile).enumerate() {
                let rows = out.len() / outputs;
                // SAFETY: the caller's: rows and panels are there; the sums have room for the largest
                // tile.
                unsafe {
                    tile(Tile {
                        rows,
                        inputs: self.steps,
                        left: self.left.add(index * V::TILE_ROWS * self.steps),
                        stride: self.steps,
                        panel: self.panels.add(panel * self.steps * width),
                        out: sums.0.as_mut_ptr(),
                    });
                    let finish = Finish {
                        sums: &sums,
                        bias,
                        out: out.as_mut_ptr(),
                        first: panel * width,
                        outputs,
                        rows,
                    };
                    match activation {
                        None => finish.with::<V, Identity>(),
                        Some(Activation::Gelu) => finish.with::<V, Gelu>(),
                        Some(Activation::GeluTanh) => finish.with::<V, GeluTanh>(),
                        Some(Activation::Relu) => finish.with::<V, Relu>(),
                        Some(Activation::Tanh) => finish.with::<V, Tanh>(),
                        Some(Activation::Silu) => finish.with::<V, Silu>(),
                    }
                }
            }
        }
    }
}

/// What is done with a tile's sums: the bias is added, the function applied.
struct Finish<'a> {
    sums: &'a Sums,
    bias: &'a [f32],
    /// The first row of the tile in the output.
    out: *mut f32,
    /// The panel's first output.
    first: usize,
    outputs: usize,
    rows: usize,
}

impl Finish<'_> {
    /// # Safety
    /// `out` has `rows` rows of `outputs` numbers, and the bias is as wide as the panel; this processor
    /// has the instruction set.
    #[inline(always)]
    unsafe fn with<V: Vector, F: Function>(self) {
        let width = V::TILE_VECTORS * LANES;
        for vector in 0..V::TILE_VECTORS {
            let first = self.first + vector * LANES;
            if first >= self.outputs {
                return;
            }
            let count = LANES.min(self.outputs - first);
            // SAFETY: the caller's; what is written ends with the row.
            unsafe {
                let bias = V::load(self.bias.as_ptr().add(vector * LANES));
                for row in 0..self.rows {
                    let sum = V::load(self.sums.0.as_ptr().add(row * width + vector * LANES));
                    let number = F::apply(sum.add(bias));
                    store_some(number, self.out.add(row * self.outputs + first), count);
                }
            }
        }
    }
}
