//! AVX-512: sixteen numbers are one vector.

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_abs_ps, _mm512_add_epi32, _mm512_add_ps, _mm512_castsi512_ps,
    _mm512_cvtps_epi32, _mm512_div_ps, _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_loadu_epi32,
    _mm512_loadu_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_roundscale_ps,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_slli_epi32, _mm512_storeu_ps,
    _mm512_sub_ps,
};
use std::mem::transmute;

use super::linear::{Tile, tile_body};
use super::vector::{LANES, Operation, Vector};

/// Sixteen numbers in a register.
#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512);

/// Runs an operation.
///
/// # Safety
/// This processor has AVX-512.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn run<O: Operation>(operation: O) -> O::Output {
    // SAFETY: the caller's.
    unsafe { operation.run::<Avx512>() }
}

/// Rows of a tile: with two vectors each they take 28 of 32 registers, two more hold the panel's row,
/// one the broadcast number.
const ROWS: usize = 14;
const VECTORS: usize = 2;

// SAFETY of all methods: the caller's, that this processor has AVX-512, and that pointers may be read
// or written over sixteen numbers.
impl Vector for Avx512 {
    const TILE_ROWS: usize = ROWS;
    const TILE_VECTORS: usize = VECTORS;

    #[inline(always)]
    unsafe fn splat(number: f32) -> Self {
        unsafe { Self(_mm512_set1_ps(number)) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Self(_mm512_loadu_ps(from)) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Self(_mm512_add_ps(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe { Self(_mm512_sub_ps(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        unsafe { Self(_mm512_mul_ps(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        unsafe { Self(_mm512_div_ps(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self {
        unsafe { Self(_mm512_fmadd_ps(self.0, factor.0, term.0)) }
    }

    #[inline(always)]
    unsafe fn larger_or(self, other: Self) -> Self {
        unsafe { Self(_mm512_max_ps(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn smaller_or(self, other: Self) -> Self {
        unsafe { Self(_mm512_min_ps(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn abs(self) -> Self {
        unsafe { Self(_mm512_abs_ps(self.0)) }
    }

    #[inline(always)]
    unsafe fn round(self) -> Self {
        // No fraction bits are kept, to the nearest even.
        unsafe { Self(_mm512_roundscale_ps::<0>(self.0)) }
    }

    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        unsafe {
            let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(127));
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent)))
        }
    }

    #[inline(always)]
    unsafe fn tile(tile: Tile<f32>) {
        // SAFETY: the caller's.
        unsafe { TILES[tile.rows - 1](tile) }
    }

    #[inline(always)]
    unsafe fn tile_of_pairs(tile: Tile<u32>) {
        // SAFETY: the caller's.
        unsafe { TILES_OF_PAIRS[tile.rows - 1](tile) }
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn tile<const M: usize>(tile: Tile<f32>) {
    // SAFETY: the caller's.
    unsafe { tile_body::<Avx512, M, VECTORS>(tile) }
}

#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn tile_of_pairs<const M: usize>(tile: Tile<u32>) {
    let mut sums = [[_mm512_setzero_ps(); VECTORS]; M];
    for input in 0..tile.inputs {
        // SAFETY: the caller's: within the panel, whose rows are two vectors of pairs.
        let panel: [__m512bh; VECTORS] = unsafe {
            let row = tile.panel.add(input * VECTORS * LANES).cast::<i32>();
            [
                transmute::<__m512i, __m512bh>(_mm512_loadu_epi32(row)),
                transmute::<__m512i, __m512bh>(_mm512_loadu_epi32(row.add(LANES))),
            ]
        };
        for (row, sums) in sums.iter_mut().enumerate() {
            // SAFETY: the caller's: within the row of the left factor.
            let pair = unsafe { *tile.left.add(row * tile.stride + input) };
            // SAFETY: the same 512 bits, seen as pairs.
            let pair: __m512bh =
                unsafe { transmute::<__m512i, __m512bh>(_mm512_set1_epi32(pair as i32)) };
            for (sum, panel) in sums.iter_mut().zip(panel) {
                *sum = _mm512_dpbf16_ps(*sum, pair, panel);
            }
        }
    }
    for (row, sums) in sums.into_iter().enumerate() {
        for (vector, sum) in sums.into_iter().enumerate() {
            // SAFETY: the caller's: the output has room for two vectors of each row.
            unsafe { _mm512_storeu_ps(tile.out.add((row * VECTORS + vector) * LANES), sum) };
        }
    }
}

const TILES: [unsafe fn(Tile<f32>); ROWS] = [
    tile::<1>, tile::<2>, tile::<3>, tile::<4>, tile::<5>, tile::<6>, tile::<7>, tile::<8>,
    tile::<9>, tile::<10>, tile::<11>, tile::<12>, tile::<13>, tile::<14>,
];

const TILES_OF_PAIRS: [unsafe fn(Tile<u32>); ROWS] = [
    tile_of_pairs::<1>,
    tile_of_pairs::<2>,
    tile_of_pairs::<3>,
    tile_of_pairs::<4>,
    tile_of_pairs::<5>,
    tile_of_pairs::<6>,
    tile_of_pairs::<7>,
    tile_of_pairs::<8>,
    tile_of_pairs::<9>,
    tile_of_pairs::<10>,
    tile_of_pairs::<11>,
    tile_of_pairs::<12>,
    tile_of_pairs::<13>,
    tile_of_pairs::<14>,
];
