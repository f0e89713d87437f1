//! Scaled dot-product attention inside one text, all heads, in f32.
//!
//! Keys are transposed once a head; values are used where they lie. A block of queries is scored
//! against all keys, its softmax left undivided, and the sum divided out of the result, which is
//! shorter than the scores.

use super::buffer::Buffer;
use super::functions::exp;
use super::lanes::{LANES, Lanes};
use super::product::{Operands, tile};

/// Queries scored together: whole tiles of every instruction set, few enough to stay near.
const QUERIES: usize = 24;

/// Buffers of one worker.
pub struct Workspace<'a> {
    /// Keys of one head, transposed.
    pub keys: &'a mut Buffer,
    /// Scores of a block of queries.
    pub scores: &'a mut Buffer,
}

/// The attention of one text.
#[derive(Clone, Copy)]
pub struct Text {
    /// Tokens, at least 1.
    pub length: usize,
    /// Width of queries, of keys, of values and of the result.
    pub width: usize,
    /// Heads, a divisor of the width.
    pub heads: usize,
    /// `[length, 3 · width]`: a row is query, key, value.
    pub projected: *const f32,
    /// `[length, width]`
    pub context: *mut f32,
}

impl Text {
    /// Writes the context.
    ///
    /// # Safety
    /// The pointers lead to what their docs say, and 48 f32 more can be read after `projected`.
    #[inline(always)]
    pub unsafe fn attend<L: Lanes>(self, l: L, workspace: Workspace<'_>) {
        let size = self.width / self.heads;
        let columns = L::PANEL * LANES;
        let padded = self.length.next_multiple_of(columns);
        workspace.keys.grow(padded * size);
        workspace.scores.grow(QUERIES * padded);
        let keys = workspace.keys.as_mut_ptr().cast::<f32>();
        let scores = workspace.scores.as_mut_ptr().cast::<f32>();
        for head in 0..self.heads {
            // SAFETY: the buffers were grown to what these write.
            unsafe {
                self.transpose_keys(head, keys, columns, padded);
                for first in (0..self.length).step_by(QUERIES) {
                    let queries = QUERIES.min(self.length - first);
                    self.attend_block::<L>(l, head, first, queries, keys, scores, padded);
                }
            }
        }
    }

    /// Panels of keys; in each, the first element of every key, then the second. Padding is zeros.
    ///
    /// # Safety
    /// `padded` times the head's size can be written at `keys`.
    #[inline(always)]
    unsafe fn transpose_keys(self, head: usize, keys: *mut f32, columns: usize, padded: usize) {
        let size = self.width / self.heads;
        let stride = 3 * self.width;
        for first in (0..padded).step_by(columns) {
            // SAFETY: tokens stay below the length, elements below the head's size.
            unsafe {
                let panel = keys.add(first * size);
                for column in 0..columns {
                    let token = first + column;
                    if token < self.length {
                        let key = self
                            .projected
                            .add(token * stride + self.width + head * size);
                        for element in 0..size {
                            *panel.add(element * columns + column) = *key.add(element);
                        }
                    } else {
                        for element in 0..size {
                            *panel.add(element * columns + column) = 0.0;
                        }
                    }
                }
            }
        }
    }

    /// # Safety
    /// As for `attend`; `queries` rows of `padded` can be written at `scores`.
    #[expect(
        clippy::too_many_arguments,
        reason = "the places of one block, all of them"
    )]
    #[inline(always)]
    unsafe fn attend_block<L: Lanes>(
        self,
        l: L,
        head: usize,
        first: usize,
        queries: usize,
        keys: *const f32,
        scores: *mut f32,
        padded: usize,
    ) {
        let size = self.width / self.heads;
        let stride = 3 * self.width;
        let columns = L::PANEL * LANES;
        let mut inverses = [0.0; QUERIES];
        let mut hot = [0.0f32; 8 * 3 * LANES];
        // SAFETY: queries and keys are inside the text; columns beyond a head's size are read from
        // what lies behind it, which is room that `attend` was promised, and are not written on.
        unsafe {
            let query = self.projected.add(first * stride + head * size);
            for row in (0..queries).step_by(L::HEIGHT) {
                let height = L::HEIGHT.min(queries - row);
                for column in (0..padded).step_by(columns) {
                    let operands = Operands {
                        words: size,
                        a: query.add(row * stride).cast(),
                        a_stride: stride,
                        b: keys.add(column * size).cast(),
                        b_stride: columns,
                    };
                    let to = scores.add(row * padded + column);
                    let vectors = (self.length - column).div_ceil(LANES).min(L::PANEL);
                    tile::<L, false>(l, operands, height, vectors, to, padded);
                }
            }
            for (row, inverse) in inverses.iter_mut().enumerate().take(queries) {
                let scale = 1.0 / (size as f32).sqrt();
                *inverse = 1.0 / softmax(l, scores.add(row * padded), self.length, scale);
            }
            let value = self.projected.add(2 * self.width + head * size);
            for start in (0..size).step_by(columns) {
                let width = columns.min(size - start);
                for row in (0..queries).step_by(L::HEIGHT) {
                    let height = L::HEIGHT.min(queries - row);
                    let operands = Operands {
                        words: self.length,
                        a: scores.add(row * padded).cast(),
                        a_stride: padded,
                        b: value.add(start).cast(),
                        b_stride: stride,
                    };
                    let vectors = width.div_ceil(LANES);
                    tile::<L, false>(l, operands, height, vectors, hot.as_mut_ptr(), columns);
                    for inner in 0..height {
                        let inverse = l.splat(inverses[row + inner]);
                        let token = first + row + inner;
                        let to = self.context.add(token * self.width + head * size + start);
                        for part in (0..width).step_by(LANES) {
                            let sums = l.load(hot.as_ptr().add(inner * columns + part));
                            let count = LANES.min(width - part);
                            l.store_part(to.add(part), l.mul(sums, inverse), count);
                        }
                    }
                }
            }
        }
    }
}

/// exp(scale · (score - the greatest)) in place; gives their sum, which is 1 or more.
///
/// # Safety
/// `count`, rounded up to whole vectors, can be read and written at `scores`.
#[inline(always)]
unsafe fn softmax<L: Lanes>(l: L, scores: *mut f32, count: usize, scale: f32) -> f32 {
    let whole = count / LANES * LANES;
    // SAFETY: the caller's promise.
    unsafe {
        let mut greatest = l.splat(f32::NEG_INFINITY);
        for start in (0..whole).step_by(LANES) {
            greatest = l.max(greatest, l.load(scores.add(start)));
        }
        if whole < count {
            let last = l.load_part(scores.add(whole), count - whole, f32::NEG_INFINITY);
            greatest = l.max(greatest, last);
        }
        let greatest = l.splat(l.greatest(greatest));
        let scale = l.splat(scale);
        let mut sums = l.splat(0.0);
        for start in (0..whole).step_by(LANES) {
            let e = exp(l, l.mul(l.sub(l.load(scores.add(start)), greatest), scale));
            l.store(scores.add(start), e);
            sums = l.add(sums, e);
        }
        if whole < count {
            let last = l.load(scores.add(whole));
            let e = exp(l, l.mul(l.sub(last, greatest), scale));
            l.store(scores.add(whole), e);
            let counted = l.load_part(scores.add(whole), count - whole, 0.0);
            sums = l.add(sums, counted);
        }
        l.sum(sums)
    }
}
