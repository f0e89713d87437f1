//! Where numbers are in a drawing.

use std::ops::Range;

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::Ranged;

/// Greatest magnitude that is drawn. Beyond it plotters would compute with infinities.
const LARGEST: f64 = 1e15;

/// Smallest difference between the ends of a scale.
const SMALLEST: f64 = 1e-9;

/// A linear scale.
pub(super) struct Scale {
    coordinate: RangedCoordf64,
    range: Range<f64>,
    pixels: (i32, i32),
}

impl Scale {
    /// One that has room for all finite values, from `pixels.0` to `pixels.1`. `None` if there are none, or if
    /// they are too large to be drawn.
    pub(super) fn over(
        values: impl Iterator<Item = f64>,
        from_zero: bool,
        pixels: (i32, i32),
    ) -> Option<Self> {
        let finite = values.filter(|value| value.is_finite());
        let (least, most) = finite.fold(
            (f64::INFINITY, f64::NEG_INFINITY),
            |(least, most), value| (least.min(value), most.max(value)),
        );
        if !(least <= most && least >= -LARGEST && most <= LARGEST) {
            return None;
        }
        let (mut least, mut most) = match from_zero {
            true => (least.min(0.0), most.max(0.0)),
            false => {
                let room = 0.08 * (most - least);
                (least - room, most + room)
            }
        };
        let magnitude = least.abs().max(most.abs());
        if most - least <= SMALLEST + 1e-6 * magnitude {
            let room = match magnitude > SMALLEST {
                true => 0.1 * magnitude,
                false => 1.0,
            };
            most += room;
            if !from_zero {
                least -= room;
            }
        }
        let range = least..most;
        Some(Self {
            coordinate: range.clone().into(),
            range,
            pixels,
        })
    }

    /// Where a number is; the nearest end, if it is beyond the scale.
    pub(super) fn at(&self, value: f64) -> i32 {
        let value = value.clamp(self.range.start, self.range.end);
        self.coordinate.map(&value, self.pixels)
    }

    /// Round numbers, at most so many.
    pub(super) fn ticks(&self, most: usize) -> Vec<f64> {
        let points = Ranged::key_points(&self.coordinate, most);
        let inside = points
            .into_iter()
            .filter(|tick| self.range.contains(tick) || *tick == self.range.end);
        inside
            .map(|tick| if tick.abs() < SMALLEST { 0.0 } else { tick })
            .collect()
    }
}
