//! AVX2 with fused multiply-add: sixteen numbers are two vectors.

use std::arch::x86_64::{
    __m256, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _mm256_add_epi32, _mm256_add_ps,
    _mm256_andnot_ps, _mm256_castsi256_ps, _mm256_cvtps_epi32, _mm256_div_ps, _mm256_fmadd_ps,
    _mm256_loadu_ps, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_round_ps,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_slli_epi32, _mm256_storeu_ps, _mm256_sub_ps,
};

use super::linear::{Tile, tile_body};
use super::vector::{LANES, Operation, Vector};

/// Sixteen numbers in two registers.
#[derive(Clone, Copy)]
pub(super) struct Avx2(__m256, __m256);

/// Runs an operation.
///
/// # Safety
/// This processor has AVX2 and fused multiply-add.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run<O: Operation>(operation: O) -> O::Output {
    // SAFETY: the caller's.
    unsafe { operation.run::<Avx2>() }
}

/// Rows of a tile: with two registers each they take 12 of 16.
const ROWS: usize = 6;

const HALF: usize = LANES / 2;

// SAFETY of all methods: the caller's, that this processor has AVX2 and fused multiply-add, and that
// pointers may be read or written over sixteen numbers.
impl Vector for Avx2 {
    const TILE_ROWS: usize = ROWS;
    const TILE_VECTORS: usize = 1;

    #[inline(always)]
    unsafe fn splat(number: f32) -> Self {
        unsafe {
            let half = _mm256_set1_ps(number);
            Self(half, half)
        }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Self(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(HALF))) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe {
            _mm256_storeu_ps(to, self.0);
            _mm256_storeu_ps(to.add(HALF), self.1);
        }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe {
            Self(
                _mm256_add_ps(self.0, other.0),
                _mm256_add_ps(self.1, other.1),
            )
        }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe {
            Self(
                _mm256_sub_ps(self.0, other.0),
                _mm256_sub_ps(self.1, other.1),
            )
        }
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        unsafe {
            Self(
                _mm256_mul_ps(self.0, other.0),
                _mm256_mul_ps(self.1, other.1),
            )
        }
    }

    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        unsafe {
            Self(
                _mm256_div_ps(self.0, other.0),
                _mm256_div_ps(self.1, other.1),
            )
        }
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self {
        unsafe {
            Self(
                _mm256_fmadd_ps(self.0, factor.0, term.0),
                _mm256_fmadd_ps(self.1, factor.1, term.1),
            )
        }
    }

    #[inline(always)]
    unsafe fn larger_or(self, other: Self) -> Self {
        unsafe {
            Self(
                _mm256_max_ps(self.0, other.0),
                _mm256_max_ps(self.1, other.1),
            )
        }
    }

    #[inline(always)]
    unsafe fn smaller_or(self, other: Self) -> Self {
        unsafe {
            Self(
                _mm256_min_ps(self.0, other.0),
                _mm256_min_ps(self.1, other.1),
            )
        }
    }

    #[inline(always)]
    unsafe fn abs(self) -> Self {
        unsafe {
            let sign = _mm256_set1_ps(-0.0);
            Self(
                _mm256_andnot_ps(sign, self.0),
                _mm256_andnot_ps(sign, self.1),
            )
        }
    }

    #[inline(always)]
    unsafe fn round(self) -> Self {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        unsafe {
            Self(
                _mm256_round_ps::<NEAREST>(self.0),
                _mm256_round_ps::<NEAREST>(self.1),
            )
        }
    }

    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        unsafe {
            let bias = _mm256_set1_epi32(127);
            let power = |half| {
                let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(half), bias);
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
            };
            Self(power(self.0), power(self.1))
        }
    }

    #[inline(always)]
    unsafe fn tile(tile: Tile<f32>) {
        // SAFETY: the caller's.
        unsafe { TILES[tile.rows - 1](tile) }
    }

    unsafe fn tile_of_pairs(_: Tile<u32>) {
        // `Kernels::new` makes none of this instruction set and that precision.
        unreachable!("AVX2 has no dot product of bf16");
    }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn tile<const M: usize>(tile: Tile<f32>) {
    // SAFETY: the caller's.
    unsafe { tile_body::<Avx2, M, 1>(tile) }
}

const TILES: [unsafe fn(Tile<f32>); ROWS] = [
    tile::<1>, tile::<2>, tile::<3>, tile::<4>, tile::<5>, tile::<6>,
];
