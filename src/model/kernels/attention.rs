//! Attention of a text's tokens to each other.

use super::functions::exp;
use super::linear::{LARGEST_TILE, Sums, Tile};
use super::rows::vectors;
use super::vector::{LANES, Operation, Vector, lanes_of, load_some, store_some, sum_of};
use super::{Kernels, room};

/// Buffers of [`attend`].
pub(super) struct Buffers<'a> {
    pub(super) keys: &'a mut Vec<f32>,
    pub(super) values: &'a mut Vec<f32>,
    pub(super) scores: &'a mut Vec<f32>,
}

/// Of the queries, keys and values `[tokens, 3 · width]` of some texts, what each token takes from the
/// tokens of its text: `out [tokens, width]`.
///
/// # Panics
/// If the shapes do not go together.
pub(super) fn attend(
    kernels: Kernels,
    projected: &[f32],
    lengths: &[usize],
    heads: usize,
    out: &mut [f32],
    buffers: Buffers<'_>,
) {
    let tokens: usize = lengths.iter().sum();
    assert!(tokens > 0 && heads > 0, "no tokens, or no heads");
    let width = out.len() / tokens;
    assert!(
        out.len() == tokens * width
            && projected.len() == 3 * out.len()
            && width.is_multiple_of(heads),
        "tokens of another shape"
    );
    let longest = lengths.iter().copied().max().unwrap_or(0);
    // Rounded up to whole tiles of every instruction set.
    let wide = |numbers: usize| numbers.div_ceil(2 * LANES) * 2 * LANES;
    let size = width / heads;
    let keys = room(buffers.keys, wide(longest) * size);
    let values = room(buffers.values, longest * wide(size));
    // Twice: as tiles give them, and row by row.
    let scores = room(buffers.scores, 2 * MOST_ROWS * wide(longest));
    kernels.run(Attend {
        projected,
        lengths,
        heads,
        out,
        width,
        keys,
        values,
        scores,
    });
}

/// Rows of a tile, on every instruction set.
const MOST_ROWS: usize = 14;

struct Attend<'a> {
    projected: &'a [f32],
    lengths: &'a [usize],
    heads: usize,
    out: &'a mut [f32],
    width: usize,
    keys: &'a mut [f32],
    values: &'a mut [f32],
    scores: &'a mut [f32],
}

impl Operation for Attend<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self {
            projected,
            lengths,
            heads,
            out,
            width,
            keys,
            values,
            scores,
        } = self;
        let (mut projected, mut out) = (projected, out);
        for &length in lengths {
            let (text, others) = projected.split_at(length * 3 * width);
            let (attended, rest) = out.split_at_mut(length * width);
            (projected, out) = (others, rest);
            for head in 0..heads {
                let head = Head {
                    text,
                    length,
                    width,
                    size: width / heads,
                    first: head * (width / heads),
                };
                head.pack_keys::<V>(keys);
                head.pack_values::<V>(values);
                // SAFETY: the caller's; keys and values are packed for this head, and the buffers are
                // as large as `attend` has made them.
                unsafe { head.attend::<V>(keys, values, scores, attended) };
            }
        }
    }
}

/// A head of a text.
struct Head<'a> {
    /// Queries, keys and values, `[length, 3 · width]`.
    text: &'a [f32],
    length: usize,
    width: usize,
    /// Numbers of the head.
    size: usize,
    /// Where they begin.
    first: usize,
}

impl Head<'_> {
    /// A panel of some tokens' keys after the other, number by number.
    #[inline(always)]
    fn pack_keys<V: Vector>(&self, keys: &mut [f32]) {
        let wide = V::TILE_VECTORS * LANES;
        let stride = 3 * self.width;
        for (panel, keys) in keys
            .chunks_exact_mut(wide * self.size)
            .take(self.length.div_ceil(wide))
            .enumerate()
        {
            let tokens = wide.min(self.length - panel * wide);
            if tokens < wide {
                keys.fill(0.0);
            }
            for token in 0..tokens {
                let start = (panel * wide + token) * stride + self.width + self.first;
                let key = &self.text[start..start + self.size];
                for (number, slot) in key.iter().zip(keys[token..].iter_mut().step_by(wide)) {
                    *slot = *number;
                }
            }
        }
    }

    /// A panel of some numbers of the values after the other, token by token.
    #[inline(always)]
    fn pack_values<V: Vector>(&self, values: &mut [f32]) {
        let wide = V::TILE_VECTORS * LANES;
        let stride = 3 * self.width;
        for panel in 0..self.size.div_ceil(wide) {
            let numbers = wide.min(self.size - panel * wide);
            let panel_of = &mut values[panel * self.length * wide..][..self.length * wide];
            for (token, row) in panel_of.chunks_exact_mut(wide).enumerate() {
                let start = token * stride + 2 * self.width + self.first + panel * wide;
                row[..numbers].copy_from_slice(&self.text[start..start + numbers]);
                row[numbers..].fill(0.0);
            }
        }
    }

    /// # Safety
    /// Keys and values are packed for this head; `scores` has room for two tiles of rows over the whole
    /// text; `attended [length, width]`; this processor has the instruction set.
    #[inline(always)]
    unsafe fn attend<V: Vector>(
        &self,
        keys: &[f32],
        values: &[f32],
        scores: &mut [f32],
        attended: &mut [f32],
    ) {
        let wide = V::TILE_VECTORS * LANES;
        let panels = self.length.div_ceil(wide);
        let padded = panels * wide;
        let (tiles, shares) = scores.split_at_mut(V::TILE_ROWS * padded);
        let scale = 1.0 / (self.size as f32).sqrt();
        let mut sums = Sums([0.0; LARGEST_TILE]);
        for first in (0..self.length).step_by(V::TILE_ROWS) {
            let rows = V::TILE_ROWS.min(self.length - first);
            // SAFETY: the caller's; all pointers are to the first of what a tile reads or writes.
            unsafe {
                for panel in 0..panels {
                    V::tile(Tile {
                        rows,
                        inputs: self.size,
                        left: self.text.as_ptr().add(first * 3 * self.width + self.first),
                        stride: 3 * self.width,
                        panel: keys.as_ptr().add(panel * self.size * wide),
                        out: tiles.as_mut_ptr().add(panel * rows * wide),
                    });
                }
                let mut weights = [0.0; MOST_ROWS];
                for (row, weight) in weights.iter_mut().enumerate().take(rows) {
                    let scores = tiles.as_ptr().add(row * wide);
                    let shares = shares.as_mut_ptr().add(row * padded);
                    *weight = self.share::<V>(scores, rows * wide, shares, scale);
                }
                for panel in 0..self.size.div_ceil(wide) {
                    V::tile(Tile {
                        rows,
                        inputs: self.length,
                        left: shares.as_ptr(),
                        stride: padded,
                        panel: values.as_ptr().add(panel * self.length * wide),
                        out: sums.0.as_mut_ptr(),
                    });
                    let numbers = wide.min(self.size - panel * wide);
                    for (row, weight) in weights.iter().enumerate().take(rows) {
                        let to = (first + row) * self.width + self.first + panel * wide;
                        for (start, count) in vectors(numbers) {
                            let sum = V::load(sums.0.as_ptr().add(row * wide + start));
                            let share = sum.mul(V::splat(*weight));
                            store_some(share, attended.as_mut_ptr().add(to + start), count);
                        }
                    }
                }
            }
        }
    }

    /// A row of scores, panel by panel `apart`, to what each token's share is before they are made to
    /// add up to one. Returns by what they do: one over their sum.
    ///
    /// # Safety
    /// The scores of a whole row of panels may be read, and as many shares written; this processor has
    /// the instruction set.
    #[inline(always)]
    unsafe fn share<V: Vector>(
        &self,
        scores: *const f32,
        apart: usize,
        shares: *mut f32,
        scale: f32,
    ) -> f32 {
        let wide = V::TILE_VECTORS * LANES;
        let at = |start: usize| start / wide * apart + start % wide;
        // SAFETY: the caller's: every start lies within the row.
        unsafe {
            let mut largest = [f32::NEG_INFINITY; LANES];
            let mut largest_of_lanes = V::load(largest.as_ptr());
            for (start, count) in vectors(self.length) {
                let lanes = V::load(scores.add(at(start)));
                // In this order, what is no number stays so.
                largest_of_lanes = match count {
                    LANES => largest_of_lanes.larger_or(lanes),
                    _ => {
                        // Tokens beyond the text have the score 0.
                        let mut known = [f32::NEG_INFINITY; LANES];
                        known[..count].copy_from_slice(&lanes_of(lanes)[..count]);
                        largest_of_lanes.larger_or(V::load(known.as_ptr()))
                    }
                };
            }
            largest_of_lanes.store(largest.as_mut_ptr());
            let mut most = f32::NEG_INFINITY;
            for lane in largest {
                most = if most > lane { most } else { lane };
            }
            let most = V::splat(-(most * scale));
            let scale = V::splat(scale);
            let mut sum = V::splat(0.0);
            for (start, count) in vectors(self.length) {
                let lanes = V::load(scores.add(at(start)));
                let share = exp(lanes.mul_add(scale, most));
                share.store(shares.add(start));
                sum = sum.add(load_some(shares.add(start), count));
            }
            1.0 / sum_of(sum)
        }
    }
}
