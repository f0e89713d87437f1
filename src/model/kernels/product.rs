//! One tile of a matrix product: some rows times some vectors of columns, held in registers.
//!
//! Words are 32 bits: an f32, or two neighbouring bf16 of a row.

use super::lanes::{LANES, Lanes};

/// A tile's operands.
#[derive(Clone, Copy)]
pub struct Operands {
    /// Words of each row, accumulated in their order.
    pub words: usize,
    /// The first row's first word.
    pub a: *const u32,
    /// Words from a row to the next.
    pub a_stride: usize,
    /// The columns' first words, side by side.
    pub b: *const u32,
    /// Words from the columns' first words to their second.
    pub b_stride: usize,
}

/// Writes the sums of `rows` (1 to 8) by `vectors` (1 to 3) vectors to `out`, whose rows lie
/// `out_stride` f32 apart.
///
/// # Safety
/// `rows` times `words` can be read at a, `words` times `vectors` vectors at b; `rows` times
/// `vectors` vectors can be written at `out`, and nothing else is there.
#[inline(always)]
pub unsafe fn tile<L: Lanes, const BF16: bool>(
    l: L,
    operands: Operands,
    rows: usize,
    vectors: usize,
    out: *mut f32,
    out_stride: usize,
) {
    macro_rules! of_height {
        ($vectors:literal, $($height:literal)*) => {
            match rows {
                // SAFETY: the caller's promise.
                $($height if $height <= L::HEIGHT => unsafe {
                    sized::<L, BF16, $height, $vectors>(l, operands, out, out_stride)
                },)*
                _ => unreachable!("a tile's rows"),
            }
        };
    }
    match vectors {
        1 => of_height!(1, 1 2 3 4 5 6 7 8),
        2 if L::PANEL >= 2 => of_height!(2, 1 2 3 4 5 6 7 8),
        3 if L::PANEL >= 3 => of_height!(3, 1 2 3 4 5 6 7 8),
        _ => unreachable!("a tile's vectors"),
    }
}

/// # Safety
/// As for `tile`.
#[inline(always)]
unsafe fn sized<L: Lanes, const BF16: bool, const ROWS: usize, const VECTORS: usize>(
    l: L,
    operands: Operands,
    out: *mut f32,
    out_stride: usize,
) {
    let Operands {
        words,
        a,
        a_stride,
        b,
        b_stride,
    } = operands;
    let mut sums = [[l.splat(0.0); VECTORS]; ROWS];
    // SAFETY: the indices stay below `words`, ROWS and VECTORS, which the caller promised.
    unsafe {
        for word in 0..words {
            let b = b.add(word * b_stride);
            if BF16 {
                for (row, sums) in sums.iter_mut().enumerate() {
                    let a = *a.add(row * a_stride + word);
                    for (vector, sum) in sums.iter_mut().enumerate() {
                        *sum = l.dot_bf16(*sum, a, b.add(vector * LANES));
                    }
                }
            } else {
                let mut columns = [l.splat(0.0); VECTORS];
                for (vector, column) in columns.iter_mut().enumerate() {
                    *column = l.load(b.add(vector * LANES).cast());
                }
                for (row, sums) in sums.iter_mut().enumerate() {
                    let a = l.splat(f32::from_bits(*a.add(row * a_stride + word)));
                    for (sum, column) in sums.iter_mut().zip(columns) {
                        *sum = l.mul_add(a, column, *sum);
                    }
                }
            }
        }
        for (row, sums) in sums.into_iter().enumerate() {
            for (vector, sum) in sums.into_iter().enumerate() {
                l.store(out.add(row * out_stride + vector * LANES), sum);
            }
        }
    }
}
