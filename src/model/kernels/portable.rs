//! Plain code: what the vectors of other instruction sets are held to.

use super::brain_float::dot;
use super::linear::{Tile, tile_body};
use super::vector::{LANES, Vector};

/// Sixteen numbers in an array.
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; LANES]);

impl Portable {
    #[inline(always)]
    fn each(self, act: impl Fn(f32) -> f32) -> Self {
        Self(self.0.map(act))
    }

    #[inline(always)]
    fn both(mut self, other: Self, act: impl Fn(f32, f32) -> f32) -> Self {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = act(*mine, theirs);
        }
        self
    }
}

impl Vector for Portable {
    const TILE_ROWS: usize = 4;
    const TILE_VECTORS: usize = 1;

    #[inline(always)]
    unsafe fn splat(number: f32) -> Self {
        Self([number; LANES])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's: so many numbers may be read.
        Self(unsafe { from.cast::<[f32; LANES]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's: so many numbers may be written.
        unsafe { to.cast::<[f32; LANES]>().write_unaligned(self.0) };
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.both(other, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.both(other, |a, b| a - b)
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.both(other, |a, b| a * b)
    }

    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        self.both(other, |a, b| a / b)
    }

    #[inline(always)]
    unsafe fn mul_add(mut self, factor: Self, term: Self) -> Self {
        for ((number, factor), term) in self.0.iter_mut().zip(factor.0).zip(term.0) {
            *number = number.mul_add(factor, term);
        }
        self
    }

    #[inline(always)]
    unsafe fn larger_or(self, other: Self) -> Self {
        self.both(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    unsafe fn smaller_or(self, other: Self) -> Self {
        self.both(other, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    unsafe fn abs(self) -> Self {
        self.each(f32::abs)
    }

    #[inline(always)]
    unsafe fn round(self) -> Self {
        self.each(f32::round_ties_even)
    }

    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        self.each(|number| f32::from_bits(((number as i32).wrapping_add(127) as u32) << 23))
    }

    unsafe fn tile(tile: Tile<f32>) {
        // SAFETY: the caller's; the tile has no more rows than `TILE_ROWS`.
        unsafe {
            match tile.rows {
                1 => tile_body::<Self, 1, 1>(tile),
                2 => tile_body::<Self, 2, 1>(tile),
                3 => tile_body::<Self, 3, 1>(tile),
                _ => tile_body::<Self, 4, 1>(tile),
            }
        }
    }

    unsafe fn tile_of_pairs(tile: Tile<u32>) {
        for row in 0..tile.rows {
            let mut sums = [0.0_f32; LANES];
            for input in 0..tile.inputs {
                // SAFETY: the caller's: within the rows and the panel of the tile.
                let (left, right) = unsafe {
                    (
                        *tile.left.add(row * tile.stride + input),
                        tile.panel.add(input * LANES),
                    )
                };
                for (lane, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: a row of the panel has `LANES` pairs.
                    *sum = dot(*sum, left, unsafe { *right.add(lane) });
                }
            }
            // SAFETY: the output has room for `LANES` numbers of each row.
            unsafe { Self(sums).store(tile.out.add(row * LANES)) };
        }
    }
}
