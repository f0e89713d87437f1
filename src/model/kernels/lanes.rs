//! What an instruction set must be able to do: sixteen lanes of f32, whatever the registers' width.
//!
//! Every kernel is written once over [`Lanes`], so that the instruction sets differ in nothing but
//! speed: the same sixteen lanes, the same fused multiply-adds, the same order of sums.

/// Lanes of a vector.
pub const LANES: usize = 16;

/// The operations of one instruction set on vectors of sixteen f32.
///
/// A value of the implementing type is the proof that the processor has the instructions, and is
/// made only by [`Kernels`](super::Kernels) after it has looked. Every method is to be inlined into
/// a function that enables the instructions, else each becomes a call.
pub trait Lanes: Copy {
    /// Sixteen f32.
    type Vector: Copy;
    /// Rows that one tile of a product holds in registers, at most 8.
    const HEIGHT: usize;
    /// Vectors across one tile, and so across a panel of packed weights, at most 3.
    const PANEL: usize;

    /// All lanes are `value`.
    fn splat(self, value: f32) -> Self::Vector;
    /// # Safety
    /// Sixteen f32 can be read at `from`.
    unsafe fn load(self, from: *const f32) -> Self::Vector;
    /// # Safety
    /// Sixteen f32 can be written at `to`.
    unsafe fn store(self, to: *mut f32, value: Self::Vector);
    /// a + b
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a - b
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a · b
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a / b
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a · b + c, rounded once.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// a if it is greater than b, else b; so b if either is NaN.
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a if it is less than b, else b; so b if either is NaN.
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// To the nearest integer, ties to even.
    fn round(self, value: Self::Vector) -> Self::Vector;
    /// 2 to the power of integers from -126 to 127.
    fn power_of_two(self, exponent: Self::Vector) -> Self::Vector;
    /// |value|
    fn abs(self, value: Self::Vector) -> Self::Vector;
    /// The magnitude (not negative) with the sign of `sign`.
    fn with_sign(self, magnitude: Self::Vector, sign: Self::Vector) -> Self::Vector;
    /// The accumulators plus two products of bf16 each: of the pair `a` and of sixteen pairs at `b`.
    ///
    /// # Safety
    /// Sixteen u32 can be read at `b`, and the instruction set computes bf16.
    unsafe fn dot_bf16(self, sums: Self::Vector, a: u32, b: *const u32) -> Self::Vector;
    /// Rounds to bf16 (to nearest, ties to even; denormals to zero).
    ///
    /// # Safety
    /// Sixteen u16 can be written at `to`, and the instruction set computes bf16.
    unsafe fn store_bf16(self, to: *mut u16, value: Self::Vector);

    /// The lanes in order.
    #[inline(always)]
    fn to_array(self, value: Self::Vector) -> [f32; LANES] {
        let mut lanes = [0.0; LANES];
        // SAFETY: the array has sixteen elements.
        unsafe { self.store(lanes.as_mut_ptr(), value) };
        lanes
    }

    /// The first `count` (at most 16) f32 at `from`, then lanes of `rest`.
    ///
    /// # Safety
    /// `count` f32 can be read at `from`.
    #[inline(always)]
    unsafe fn load_part(self, from: *const f32, count: usize, rest: f32) -> Self::Vector {
        // SAFETY: full vectors are the caller's promise; parts go through an array of sixteen.
        unsafe {
            if count == LANES {
                return self.load(from);
            }
            let mut lanes = [rest; LANES];
            for (lane, value) in lanes.iter_mut().enumerate().take(count) {
                *value = *from.add(lane);
            }
            self.load(lanes.as_ptr())
        }
    }

    /// Writes the first `count` (at most 16) lanes.
    ///
    /// # Safety
    /// `count` f32 can be written at `to`.
    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, value: Self::Vector, count: usize) {
        // SAFETY: as for `load_part`.
        unsafe {
            if count == LANES {
                return self.store(to, value);
            }
            for (lane, value) in self.to_array(value).into_iter().enumerate().take(count) {
                *to.add(lane) = value;
            }
        }
    }

    /// The sum of the lanes, added up in halves.
    #[inline(always)]
    fn sum(self, value: Self::Vector) -> f32 {
        halve(self.to_array(value), |a, b| a + b)
    }

    /// The greatest lane.
    #[inline(always)]
    fn greatest(self, value: Self::Vector) -> f32 {
        halve(self.to_array(value), |a, b| if a > b { a } else { b })
    }
}

#[inline(always)]
fn halve(mut lanes: [f32; LANES], combine: impl Fn(f32, f32) -> f32) -> f32 {
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            lanes[lane] = combine(lanes[lane], lanes[lane + half]);
        }
    }
    lanes[0]
}
