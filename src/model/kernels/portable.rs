//! The twin in plain Rust that every instruction set is held against. It is slow.

use super::lanes::{LANES, Lanes};

/// Plain Rust.
#[derive(Clone, Copy)]
pub struct Portable;

#[inline(always)]
fn each(f: impl Fn(usize) -> f32) -> [f32; LANES] {
    std::array::from_fn(f)
}

impl Lanes for Portable {
    type Vector = [f32; LANES];
    const HEIGHT: usize = 4;
    const PANEL: usize = 1;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Vector {
        [value; LANES]
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::Vector {
        // SAFETY: the caller's promise; arrays of f32 need no more alignment than f32.
        unsafe { *from.cast() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, value: Self::Vector) {
        // SAFETY: as for `load`.
        unsafe { *to.cast() = value }
    }
    #[inline(always)]
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(|i| a[i] - b[i])
    }
    #[inline(always)]
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(|i| a[i] * b[i])
    }
    #[inline(always)]
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(|i| a[i] / b[i])
    }
    #[inline(always)]
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        each(|i| a[i].mul_add(b[i], c[i]))
    }
    #[inline(always)]
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn round(self, value: Self::Vector) -> Self::Vector {
        each(|i| value[i].round_ties_even())
    }
    #[inline(always)]
    fn power_of_two(self, exponent: Self::Vector) -> Self::Vector {
        each(|i| f32::from_bits(((exponent[i] as i32).wrapping_add(127) as u32) << 23))
    }
    #[inline(always)]
    fn abs(self, value: Self::Vector) -> Self::Vector {
        each(|i| value[i].abs())
    }
    #[inline(always)]
    fn with_sign(self, magnitude: Self::Vector, sign: Self::Vector) -> Self::Vector {
        each(|i| f32::from_bits(magnitude[i].to_bits() | (sign[i].to_bits() & 0x8000_0000)))
    }
    #[inline(always)]
    unsafe fn dot_bf16(self, sums: Self::Vector, a: u32, b: *const u32) -> Self::Vector {
        // SAFETY: the caller's promise.
        each(|i| pair_products(sums[i], a, unsafe { *b.add(i) }))
    }
    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u16, value: Self::Vector) {
        for (lane, value) in value.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { *to.add(lane) = to_bf16(value) };
        }
    }
}

/// What VDPBF16PS does in one lane: first the odd elements' product is added, then the even ones',
/// each fused, denormals taken and given as zero.
pub fn pair_products(sum: f32, a: u32, b: u32) -> f32 {
    let odd = |word: u32| flush(f32::from_bits(word & 0xffff_0000));
    let even = |word: u32| flush(f32::from_bits(word << 16));
    let sum = flush(odd(a).mul_add(odd(b), flush(sum)));
    flush(even(a).mul_add(even(b), sum))
}

/// Rounds to bf16 as VCVTNEPS2BF16 does: to nearest, ties to even, denormals to zero.
pub fn to_bf16(value: f32) -> u16 {
    let bits = flush(value).to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

fn flush(value: f32) -> f32 {
    if value.is_subnormal() {
        f32::from_bits(value.to_bits() & 0x8000_0000)
    } else {
        value
    }
}
