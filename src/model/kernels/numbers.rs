//! What many numbers come to: how many are not below each edge, their sums and extremes.
//!
//! Plain loops, which the compiler makes vectors of for each instruction set. Sums are kept in eight lanes
//! and added up in one order, so that all sets give the same bits.

use super::lanes::Lanes;
use super::{Kernels, Operation};

/// Numbers of a block that stays in the nearest cache.
const BLOCK: usize = 1024;

/// Edges that a number is held against at a time.
const EDGES: usize = 4;

/// Sums that are kept apart.
const LANES: usize = 8;

/// Takes a number into a lane. Comparisons, because `min` and `max` also look for NaN, which is not there.
macro_rules! take {
    ($lane:expr, $value:expr, $origin:expr, $largest:expr, $sums:ident, $squares:ident, $minima:ident, $maxima:ident) => {{
        let value: f64 = $value;
        let difference = value - $origin;
        let difference = if difference > $largest {
            $largest
        } else {
            difference
        };
        let difference = if difference < -$largest {
            -$largest
        } else {
            difference
        };
        $sums[$lane] += difference;
        $squares[$lane] += difference * difference;
        $minima[$lane] = if value < $minima[$lane] {
            value
        } else {
            $minima[$lane]
        };
        $maxima[$lane] = if value > $maxima[$lane] {
            value
        } else {
            $maxima[$lane]
        };
    }};
}

/// Sums and extremes of numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// The smallest; infinity if there is none.
    pub minimum: f64,
    /// The largest; negative infinity if there is none.
    pub maximum: f64,
    /// Sum of the differences from an origin.
    pub sum: f64,
    /// Sum of the squares of these.
    pub squares: f64,
}

impl Moments {
    /// Those of no numbers.
    pub const NONE: Self = Self {
        minimum: f64::INFINITY,
        maximum: f64::NEG_INFINITY,
        sum: 0.0,
        squares: 0.0,
    };

    /// Takes those of further numbers, with differences from the same origin.
    pub fn merge(&mut self, other: &Self) {
        self.minimum = self.minimum.min(other.minimum);
        self.maximum = self.maximum.max(other.maximum);
        self.sum += other.sum;
        self.squares += other.squares;
    }
}

/// Adds to each of `counts` how many of `values` (finite ones) are not below the edge at its place, and takes
/// them into `moments`, where differences from `origin` count as `largest` at most.
///
/// # Panics
/// If there are not as many counts as edges.
pub fn count_numbers(
    kernels: Kernels,
    values: &[f64],
    edges: &[f64],
    counts: &mut [u64],
    (origin, largest): (f64, f64),
    moments: &mut Moments,
) {
    assert_eq!(edges.len(), counts.len(), "a count for each edge");
    kernels.run(CountNumbers {
        values,
        edges,
        counts,
        origin,
        largest,
        moments,
    });
}

struct CountNumbers<'a> {
    values: &'a [f64],
    edges: &'a [f64],
    counts: &'a mut [u64],
    origin: f64,
    largest: f64,
    moments: &'a mut Moments,
}

impl Operation for CountNumbers<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        for block in self.values.chunks(BLOCK) {
            let edges = self.edges.chunks(EDGES);
            for (edges, counts) in edges.zip(self.counts.chunks_mut(EDGES)) {
                if let (&[a, b, c, d], [into_a, into_b, into_c, into_d]) = (edges, &mut *counts) {
                    let mut found = [0_u64; EDGES];
                    for &value in block {
                        found[0] += u64::from(value >= a);
                        found[1] += u64::from(value >= b);
                        found[2] += u64::from(value >= c);
                        found[3] += u64::from(value >= d);
                    }
                    *into_a += found[0];
                    *into_b += found[1];
                    *into_c += found[2];
                    *into_d += found[3];
                    continue;
                }
                for (&edge, count) in edges.iter().zip(counts) {
                    let mut found = 0_u64;
                    for &value in block {
                        found += u64::from(value >= edge);
                    }
                    *count += found;
                }
            }
            add_moments(block, self.origin, self.largest, self.moments);
        }
    }
}

#[inline(always)]
fn add_moments(block: &[f64], origin: f64, largest: f64, moments: &mut Moments) {
    let mut sums = [0.0; LANES];
    let mut squares = [0.0; LANES];
    let mut minima = [moments.minimum; LANES];
    let mut maxima = [moments.maximum; LANES];
    let (whole, rest) = block.as_chunks::<LANES>();
    for values in whole {
        for lane in 0..LANES {
            take!(
                lane,
                values[lane],
                origin,
                largest,
                sums,
                squares,
                minima,
                maxima
            );
        }
    }
    for (lane, &value) in rest.iter().enumerate() {
        take!(lane, value, origin, largest, sums, squares, minima, maxima);
    }
    for lane in 0..LANES {
        moments.merge(&Moments {
            minimum: minima[lane],
            maximum: maxima[lane],
            sum: sums[lane],
            squares: squares[lane],
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::kernels::{InstructionSet, Precision};

    proptest! {
        #[test]
        fn all_instruction_sets_count_alike_and_right(
            values in prop::collection::vec(-1e3..1e3f64, 0..2500),
            mut edges in prop::collection::vec(-1e3..1e3f64, 0..23),
        ) {
            edges.sort_by(f64::total_cmp);
            let count = |set| {
                let kernels = Kernels::new(set, Precision::F32)?;
                let mut counts = vec![1; edges.len()];
                let mut moments = Moments::NONE;
                count_numbers(kernels, &values, &edges, &mut counts, (3.0, 500.0), &mut moments);
                Some((counts, moments))
            };
            let (counts, moments) = count(InstructionSet::Portable).expect("on every processor");
            for set in InstructionSet::ALL {
                if let Some(found) = count(set) {
                    prop_assert_eq!(&found.0, &counts);
                    prop_assert_eq!(found.1, moments);
                }
            }
            for (edge, count) in edges.iter().zip(&counts) {
                let exact = values.iter().filter(|value| *value >= edge).count() as u64;
                prop_assert_eq!(*count, exact + 1);
            }
            let differences = || values.iter().map(|value| (value - 3.0).clamp(-500.0, 500.0));
            prop_assert!((moments.sum - differences().sum::<f64>()).abs() < 1e-6);
            let squares: f64 = differences().map(|difference| difference * difference).sum();
            prop_assert!((moments.squares - squares).abs() <= 1e-9 * squares);
            let minimum = values.iter().copied().fold(f64::INFINITY, f64::min);
            let maximum = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert_eq!((moments.minimum, moments.maximum), (minimum, maximum));
        }
    }
}
