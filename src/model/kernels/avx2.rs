//! AVX2 with FMA: sixteen lanes are two registers of eight.

use std::arch::x86_64::*;

use super::lanes::Lanes;

/// Proof of AVX2 and FMA.
#[derive(Clone, Copy)]
pub struct Avx2(());

impl Avx2 {
    /// # Safety
    /// The processor has AVX2 and FMA.
    #[inline(always)]
    pub unsafe fn assume() -> Self {
        Self(())
    }
}

impl Lanes for Avx2 {
    type Vector = [__m256; 2];
    const HEIGHT: usize = 6;
    const PANEL: usize = 1;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Vector {
        // SAFETY: a value of this type exists only on processors that have the instructions.
        unsafe { [_mm256_set1_ps(value); 2] }
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::Vector {
        // SAFETY: as above, and the memory is the caller's promise.
        unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, value: Self::Vector) {
        // SAFETY: as above, and the memory is the caller's promise.
        unsafe {
            _mm256_storeu_ps(to, value[0]);
            _mm256_storeu_ps(to.add(8), value[1]);
        }
    }
    #[inline(always)]
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type exists only on processors that have the instructions.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type exists only on processors that have the instructions.
        unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type exists only on processors that have the instructions.
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type exists only on processors that have the instructions.
        unsafe { [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type exists only on processors that have the instructions.
        unsafe { [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type exists only on processors that have the instructions.
        unsafe { [_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type exists only on processors that have the instructions.
        unsafe {
            [
                _mm256_fmadd_ps(a[0], b[0], c[0]),
                _mm256_fmadd_ps(a[1], b[1], c[1]),
            ]
        }
    }
    #[inline(always)]
    fn round(self, value: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type exists only on processors that have the instructions.
        unsafe {
            [
                _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(value[0]),
                _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(value[1]),
            ]
        }
    }
    #[inline(always)]
    fn power_of_two(self, exponent: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type exists only on processors that have the instructions.
        unsafe {
            [
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(
                    _mm256_cvtps_epi32(exponent[0]),
                    _mm256_set1_epi32(127),
                ))),
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(
                    _mm256_cvtps_epi32(exponent[1]),
                    _mm256_set1_epi32(127),
                ))),
            ]
        }
    }
    #[inline(always)]
    fn abs(self, value: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type exists only on processors that have the instructions.
        unsafe {
            [
                _mm256_andnot_ps(_mm256_set1_ps(-0.0), value[0]),
                _mm256_andnot_ps(_mm256_set1_ps(-0.0), value[1]),
            ]
        }
    }
    #[inline(always)]
    fn with_sign(self, magnitude: Self::Vector, sign: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type exists only on processors that have the instructions.
        unsafe {
            [
                _mm256_or_ps(magnitude[0], _mm256_and_ps(sign[0], _mm256_set1_ps(-0.0))),
                _mm256_or_ps(magnitude[1], _mm256_and_ps(sign[1], _mm256_set1_ps(-0.0))),
            ]
        }
    }
    #[inline(always)]
    unsafe fn dot_bf16(self, _: Self::Vector, _: u32, _: *const u32) -> Self::Vector {
        unreachable!("Kernels::new refuses bf16 by AVX2")
    }
    #[inline(always)]
    unsafe fn store_bf16(self, _: *mut u16, _: Self::Vector) {
        unreachable!("Kernels::new refuses bf16 by AVX2")
    }
}
