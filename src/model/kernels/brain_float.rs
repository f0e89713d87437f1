//! bf16: the upper half of an f32.

/// Rounds to the nearest bf16, of two the even one. What is no number stays none.
#[inline(always)]
pub(super) fn rounded(number: f32) -> u16 {
    let bits = number.to_bits();
    if number.is_nan() {
        return ((bits >> 16) as u16) | 0x40;
    }
    let to_even = (bits >> 16) & 1;
    ((bits + 0x7FFF + to_even) >> 16) as u16
}

/// Two numbers as a pair, the first in the lower half.
#[inline(always)]
pub(super) fn pair(first: f32, second: f32) -> u32 {
    u32::from(rounded(first)) | (u32::from(rounded(second)) << 16)
}

/// `sum` and the dot product of two pairs, as VDPBF16PS has it: the second numbers' product is added
/// first, then the first numbers', each sum rounded to the nearest; numbers too small for a normal f32
/// count as zeros of their sign, before and after (Intel's Software Developer's Manual, volume 2).
pub(super) fn dot(sum: f32, left: u32, right: u32) -> f32 {
    let second = |pair: u32| flushed(f32::from_bits(pair & 0xFFFF_0000));
    let first = |pair: u32| flushed(f32::from_bits(pair << 16));
    let sum = flushed(second(left).mul_add(second(right), flushed(sum)));
    flushed(first(left).mul_add(first(right), sum))
}

fn flushed(number: f32) -> f32 {
    match number.is_subnormal() {
        true => 0.0_f32.copysign(number),
        false => number,
    }
}
