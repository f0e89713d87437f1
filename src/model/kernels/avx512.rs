//! AVX-512: sixteen lanes are one register.

use std::arch::x86_64::*;

use super::lanes::Lanes;

/// Proof of AVX-512 F, BW, DQ and VL; `dot_bf16` and `store_bf16` need AVX512-BF16 besides.
#[derive(Clone, Copy)]
pub struct Avx512(());

impl Avx512 {
    /// # Safety
    /// The processor has AVX-512 F, BW, DQ and VL.
    #[inline(always)]
    pub unsafe fn assume() -> Self {
        Self(())
    }
}

impl Lanes for Avx512 {
    type Vector = __m512;
    const HEIGHT: usize = 8;
    const PANEL: usize = 3;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Vector {
        // SAFETY: a value of this type exists only on processors that have the instructions.
        unsafe { _mm512_set1_ps(value) }
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::Vector {
        // SAFETY: as above, and the memory is the caller's promise.
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, value: Self::Vector) {
        // SAFETY: as above, and the memory is the caller's promise.
        unsafe { _mm512_storeu_ps(to, value) }
    }
    #[inline(always)]
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type exists only on processors that have the instructions.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type exists only on processors that have the instructions.
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type exists only on processors that have the instructions.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type exists only on processors that have the instructions.
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type exists only on processors that have the instructions.
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type exists only on processors that have the instructions.
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type exists only on processors that have the instructions.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn round(self, value: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type exists only on processors that have the instructions.
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(value) }
    }
    #[inline(always)]
    fn power_of_two(self, exponent: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type exists only on processors that have the instructions.
        unsafe {
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_add_epi32(
                _mm512_cvtps_epi32(exponent),
                _mm512_set1_epi32(127),
            )))
        }
    }
    #[inline(always)]
    fn abs(self, value: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type exists only on processors that have the instructions.
        unsafe { _mm512_abs_ps(value) }
    }
    #[inline(always)]
    fn with_sign(self, magnitude: Self::Vector, sign: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type exists only on processors that have the instructions.
        unsafe { _mm512_or_ps(magnitude, _mm512_and_ps(sign, _mm512_set1_ps(-0.0))) }
    }
    #[inline(always)]
    unsafe fn dot_bf16(self, sums: Self::Vector, a: u32, b: *const u32) -> Self::Vector {
        // SAFETY: the caller's promise; any bits are a valid vector of bf16.
        unsafe {
            let a: __m512bh = std::mem::transmute(_mm512_set1_epi32(a as i32));
            let b: __m512bh = std::mem::transmute(_mm512_loadu_si512(b.cast()));
            _mm512_dpbf16_ps(sums, a, b)
        }
    }
    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u16, value: Self::Vector) {
        // SAFETY: as above.
        unsafe {
            let rounded: __m256i = std::mem::transmute(_mm512_cvtneps_pbh(value));
            _mm256_storeu_si256(to.cast(), rounded);
        }
    }
}
