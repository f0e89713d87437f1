//! What an instruction set has to give.

use super::linear::Tile;

/// Numbers of a vector, on every instruction set.
pub(super) const LANES: usize = 16;

/// Sixteen numbers. Every method is the operation of IEEE 754 on each of them, rounded to the nearest,
/// so that all implementations give the same bits.
///
/// # Safety
/// Every method: this processor has the instruction set. Pointers may be read or written over
/// [`LANES`] numbers, aligned to one.
pub(super) trait Vector: Copy {
    /// Rows of a tile of a product, at most.
    const TILE_ROWS: usize;
    /// Vectors of a tile's row.
    const TILE_VECTORS: usize;

    unsafe fn splat(number: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn div(self, other: Self) -> Self;
    /// `self · factor + term`, rounded once.
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self;
    /// `self > other ? self : other`: the other one if either is no number.
    unsafe fn larger_or(self, other: Self) -> Self;
    /// `self < other ? self : other`: the other one if either is no number.
    unsafe fn smaller_or(self, other: Self) -> Self;
    unsafe fn abs(self) -> Self;
    /// To the nearest whole number, of two the even one.
    unsafe fn round(self) -> Self;
    /// 2 to the power of whole numbers from -126 to 127; anything of what is no number.
    unsafe fn power_of_two(self) -> Self;

    /// A tile of a product of f32, which adds up in the order of the inputs.
    ///
    /// # Safety
    /// As [`Tile`] says, of numbers.
    unsafe fn tile(tile: Tile<f32>);

    /// A tile of a product of pairs of bf16.
    ///
    /// # Safety
    /// As [`Tile`] says, of pairs; this processor has the dot product of bf16.
    unsafe fn tile_of_pairs(tile: Tile<u32>);
}

/// Something to do with whichever instruction set there is.
pub(super) trait Operation {
    type Output;

    /// Does it. To be inlined into a function that enables the instruction set.
    ///
    /// # Safety
    /// This processor has the instruction set of `V`.
    unsafe fn run<V: Vector>(self) -> Self::Output;
}

/// The first `count` numbers from `from`, and zeros.
///
/// # Safety
/// So many numbers, at most [`LANES`], may be read.
#[inline(always)]
pub(super) unsafe fn load_some<V: Vector>(from: *const f32, count: usize) -> V {
    // SAFETY: within what may be read, or within `lanes`.
    unsafe {
        if count == LANES {
            return V::load(from);
        }
        let mut lanes = [0.0_f32; LANES];
        std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count);
        V::load(lanes.as_ptr())
    }
}

/// Writes the first `count` numbers.
///
/// # Safety
/// So many numbers, at most [`LANES`], may be written.
#[inline(always)]
pub(super) unsafe fn store_some<V: Vector>(vector: V, to: *mut f32, count: usize) {
    // SAFETY: within what may be written, or within `lanes`.
    unsafe {
        if count == LANES {
            return vector.store(to);
        }
        let lanes = lanes_of(vector);
        std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, count);
    }
}

/// The single numbers.
///
/// # Safety
/// As of every method of [`Vector`].
#[inline(always)]
pub(super) unsafe fn lanes_of<V: Vector>(vector: V) -> [f32; LANES] {
    let mut lanes = [0.0; LANES];
    // SAFETY: there is room for all lanes.
    unsafe { vector.store(lanes.as_mut_ptr()) };
    lanes
}

/// The sum of the numbers, by halves.
///
/// # Safety
/// As of every method of [`Vector`].
#[inline(always)]
pub(super) unsafe fn sum_of<V: Vector>(vector: V) -> f32 {
    // SAFETY: the caller's.
    let mut lanes = unsafe { lanes_of(vector) };
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}
