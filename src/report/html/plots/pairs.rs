//! Two distributions over the same bins: the reference's behind, the run's in front.

use plotters::style::text_anchor::{HPos, VPos};

use super::super::words::{fitted, percentage};
use super::{
    CURRENT, Canvas, Frame, GRID, Plot, REFERENCE, Scale, bar, drawn, grid, segment, write,
};
use crate::monitor::drift::{Distributions, MOST_SHOWN};

/// Categories that are shown each by itself.
const MOST_ROWS: usize = 7;

const WIDTH: u32 = 260;
const HEIGHT: u32 = 136;
const FRAME: Frame = Frame {
    left: 36,
    top: 8,
    right: 256,
    bottom: 114,
};

/// Characters of a bin's name below one end of a plot: there are two.
const MOST_OF_AN_END: usize = 18;

/// Height of a category's row.
const ROW: i32 = 16;

/// Where the bars of categories begin.
const NAMES: i32 = 110;

/// Characters of a category's name beside its bars.
const MOST_OF_A_CATEGORY: usize = 14;

/// A bin, with its share of both sides' values.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Pair {
    /// What it holds.
    pub name: String,
    /// Of the reference, from 0 to 1.
    pub reference: f64,
    /// Of the run, from 0 to 1.
    pub current: f64,
}

impl Pair {
    /// The bins of a distribution; a share that is not known is none.
    pub(in super::super) fn of(distribution: &Distributions) -> Vec<Self> {
        let share = |shares: &[f64], index: usize| {
            let share = shares.get(index).copied().unwrap_or(0.0);
            if share.is_finite() {
                share.clamp(0.0, 1.0)
            } else {
                0.0
            }
        };
        let bins = distribution.bins.iter().take(MOST_SHOWN).enumerate();
        bins.map(|(index, name)| Self {
            name: name.clone(),
            reference: share(&distribution.reference, index),
            current: share(&distribution.current, index),
        })
        .collect()
    }

    /// By how much the shares differ.
    pub(in super::super) fn change(&self) -> f64 {
        (self.current - self.reference).abs()
    }
}

/// Numbers, in bins from the smallest to the largest. `None` without bins.
pub(in super::super) fn histogram(label: String, pairs: &[Pair]) -> anyhow::Result<Option<Plot>> {
    let shares = pairs.iter().flat_map(|pair| [pair.reference, pair.current]);
    let (Some(y), Some(first), Some(last)) = (
        Scale::over(shares, true, FRAME.up()),
        pairs.first(),
        pairs.last(),
    ) else {
        return Ok(None);
    };
    drawn((WIDTH, HEIGHT), label, |canvas| {
        grid(canvas, FRAME, &y, |share| {
            format!("{} %", percentage(share))
        })?;
        for (index, pair) in pairs.iter().enumerate() {
            let (left, middle, right) = FRAME.slot(index, pairs.len());
            let top = y.at(pair.reference);
            if top < FRAME.bottom {
                bar(canvas, (left, top), (right, FRAME.bottom), &REFERENCE)?;
            }
            let half = ((right - left) / 4).max(1);
            let top = y.at(pair.current);
            if top < FRAME.bottom {
                let ends = ((middle - half, top), (middle + half, FRAME.bottom));
                bar(canvas, ends.0, ends.1, &CURRENT)?;
            }
        }
        let below = FRAME.bottom + 6;
        write(
            canvas,
            &fitted(&first.name, MOST_OF_AN_END),
            (FRAME.left, below),
            (HPos::Left, VPos::Top),
        )?;
        if pairs.len() > 1 {
            write(
                canvas,
                &fitted(&last.name, MOST_OF_AN_END),
                (FRAME.right, below),
                (HPos::Right, VPos::Top),
            )?;
        }
        Ok(())
    })
    .map(Some)
}

/// Categories, a row each; the last ones are put together where there are many. `None` without bins.
pub(in super::super) fn categories(label: String, pairs: &[Pair]) -> anyhow::Result<Option<Plot>> {
    let rows = rows(pairs);
    let shares = rows.iter().flat_map(|pair| [pair.reference, pair.current]);
    let Some(x) = Scale::over(shares, true, (NAMES, FRAME.right)) else {
        return Ok(None);
    };
    let bottom = 4 + ROW * rows.len() as i32;
    let height = (bottom + 22).max(HEIGHT as i32) as u32;
    drawn((WIDTH, height), label, |canvas| {
        draw_ticks(canvas, &x, bottom)?;
        for (index, pair) in rows.iter().enumerate() {
            let top = 4 + ROW * index as i32;
            let middle = top + ROW / 2;
            let name = fitted(&pair.name, MOST_OF_A_CATEGORY);
            write(
                canvas,
                &name,
                (NAMES - 6, middle),
                (HPos::Right, VPos::Center),
            )?;
            for (share, half, colour) in
                [(pair.reference, 5, REFERENCE), (pair.current, 2, CURRENT)]
            {
                let right = x.at(share);
                if right > NAMES {
                    bar(
                        canvas,
                        (NAMES, middle - half),
                        (right, middle + half),
                        &colour,
                    )?;
                }
            }
        }
        Ok(())
    })
    .map(Some)
}

fn draw_ticks(canvas: &Canvas<'_>, x: &Scale, bottom: i32) -> anyhow::Result<()> {
    for tick in x.ticks(3) {
        let place = x.at(tick);
        segment(canvas, vec![(place, 4), (place, bottom)], GRID)?;
        let text = format!("{} %", percentage(tick));
        // One that stood in the middle below the right end would be cut off.
        let anchor = if place > FRAME.right - 14 {
            HPos::Right
        } else {
            HPos::Center
        };
        write(canvas, &text, (place, bottom + 5), (anchor, VPos::Top))?;
    }
    Ok(())
}

fn rows(pairs: &[Pair]) -> Vec<Pair> {
    if pairs.len() <= MOST_ROWS + 1 {
        return pairs.to_vec();
    }
    let (shown, others) = pairs.split_at(MOST_ROWS);
    let sum = |share: fn(&Pair) -> f64| others.iter().map(share).sum::<f64>().min(1.0);
    let mut rows = shown.to_vec();
    rows.push(Pair {
        name: format!("{} others", others.len()),
        reference: sum(|pair| pair.reference),
        current: sum(|pair| pair.current),
    });
    rows
}
