//! Plots as SVG, drawn by plotters.
//!
//! Whatever a report holds must come out as a plot or as none: plotters panics on ranges that are empty or
//! not finite, so that all go through [`Scale`]. Colours are markers, which the page's style sheet turns
//! into those of the reader's scheme.

mod pairs;
mod scale;
#[cfg(test)]
mod tests;

pub(super) use pairs::{Pair, categories, histogram};

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde::Serialize;

use super::words::{MOST_OF_A_NAME, brief, fitted};
use crate::printable::one_line;
use scale::Scale;

const TEXT: RGBColor = RGBColor(0x5A, 0x61, 0x6B);
const GRID: RGBColor = RGBColor(0xD9, 0xDC, 0xE1);
const REFERENCE: RGBColor = RGBColor(0x9A, 0xA3, 0xAE);
const CURRENT: RGBColor = RGBColor(0x1F, 0x5F, 0xBF);
const FILL: RGBColor = RGBColor(0xD6, 0xE4, 0xF8);
const SECOND: RGBColor = RGBColor(0xB4, 0x54, 0x0A);
const FAINT: RGBColor = RGBColor(0x8F, 0xB3, 0xE3);

/// A drawing without its outermost element, which the template writes.
#[derive(Debug, Serialize)]
pub(super) struct Plot {
    /// In units of the drawing.
    pub width: u32,
    /// In units of the drawing.
    pub height: u32,
    /// What it shows, for whoever does not see it.
    pub label: String,
    /// SVG.
    pub body: String,
}

/// What a plot is drawn on.
type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A rectangle of a drawing.
#[derive(Clone, Copy)]
struct Frame {
    left: i32,
    top: i32,
    right: i32,
    bottom: i32,
}

/// Points of a line, and whether what is below it is filled.
pub(super) struct Line {
    /// Their places.
    pub points: Vec<(f64, f64)>,
    /// Which colour it has.
    pub ink: Ink,
}

/// Colours of lines.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// With what is below it filled.
    Filled,
    /// Without.
    Plain,
    /// Of another colour.
    Second,
}

/// Characters of a name below one end of a plot: there are two.
const MOST_OF_AN_END: usize = 24;

const WIDTH: u32 = 360;
const HEIGHT: u32 = 170;
const FRAME: Frame = Frame {
    left: 48,
    top: 10,
    right: 352,
    bottom: 146,
};

fn drawn(
    (width, height): (u32, u32),
    label: String,
    paint: impl FnOnce(&Canvas<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<Plot> {
    let mut svg = String::new();
    {
        let canvas = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        paint(&canvas)?;
        canvas.present()?;
    }
    let begin = svg.find('>').map_or(0, |end| end + 1);
    let end = svg.rfind("</svg>").unwrap_or(svg.len());
    let body = svg.get(begin..end).unwrap_or_default();
    // What the style sheet says of all elements need not be said of each. In texts all quotes are escaped,
    // so that none of them is touched.
    let body = body
        .replace(" opacity=\"1\"", "")
        .replace(" stroke=\"none\"", "")
        .replace(" font-family=\"sans-serif\"", "")
        .replace(" font-size=\"10\"", "");
    Ok(Plot {
        width,
        height,
        label,
        body,
    })
}

fn write(
    canvas: &Canvas<'_>,
    text: &str,
    at: (i32, i32),
    (horizontal, vertical): (HPos, VPos),
) -> anyhow::Result<()> {
    // Which plotters writes as 10.
    let style = ("sans-serif", 12.4)
        .into_font()
        .color(&TEXT)
        .pos(Pos::new(horizontal, vertical));
    let text = fitted(&one_line(text), MOST_OF_A_NAME);
    canvas.draw(&Text::new(text, at, style))?;
    Ok(())
}

fn segment(
    canvas: &Canvas<'_>,
    points: Vec<(i32, i32)>,
    style: impl Into<ShapeStyle>,
) -> anyhow::Result<()> {
    canvas.draw(&PathElement::new(points, style))?;
    Ok(())
}

fn bar(
    canvas: &Canvas<'_>,
    one: (i32, i32),
    other: (i32, i32),
    colour: &RGBColor,
) -> anyhow::Result<()> {
    canvas.draw(&Rectangle::new([one, other], colour.filled()))?;
    Ok(())
}

/// Lines of the grid with what they stand for, on the left.
fn grid(
    canvas: &Canvas<'_>,
    frame: Frame,
    scale: &Scale,
    unit: impl Fn(f64) -> String,
) -> anyhow::Result<()> {
    for tick in scale.ticks(4) {
        let y = scale.at(tick);
        segment(canvas, vec![(frame.left, y), (frame.right, y)], GRID)?;
        write(
            canvas,
            &unit(tick),
            (frame.left - 5, y),
            (HPos::Right, VPos::Center),
        )?;
    }
    Ok(())
}

/// Lines from zero over time, which is in `unit`; `up` says what a tick on the left stands for. `None` if there is no line of two points, or nothing that could be drawn.
pub(super) fn lines(
    label: String,
    lines: &[Line],
    up: impl Fn(f64) -> String,
    unit: &str,
) -> anyhow::Result<Option<Plot>> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let scales = (
        Scale::over(points().map(|point| point.0), true, FRAME.across()),
        Scale::over(points().map(|point| point.1), true, FRAME.up()),
    );
    let (Some(x), Some(y)) = scales else {
        return Ok(None);
    };
    if lines.iter().all(|line| line.points.len() < 2) {
        return Ok(None);
    }
    drawn((WIDTH, HEIGHT), label, |canvas| {
        grid(canvas, FRAME, &y, up)?;
        for tick in x.ticks(5) {
            let place = (x.at(tick), FRAME.bottom + 7);
            let text = format!("{} {unit}", brief(tick));
            // What stood in the middle below the right end would be cut off.
            let anchor = if place.0 > FRAME.right - 14 {
                HPos::Right
            } else {
                HPos::Center
            };
            write(canvas, &text, place, (anchor, VPos::Top))?;
        }
        for line in lines {
            draw_line(canvas, line, &x, &y)?;
        }
        Ok(())
    })
    .map(Some)
}

fn draw_line(canvas: &Canvas<'_>, line: &Line, x: &Scale, y: &Scale) -> anyhow::Result<()> {
    let places = line
        .points
        .iter()
        .filter(|point| point.0.is_finite() && point.1.is_finite())
        .map(|point| (x.at(point.0), y.at(point.1)));
    let places: Vec<(i32, i32)> = places.collect();
    let (Some(first), Some(last)) = (places.first(), places.last()) else {
        return Ok(());
    };
    if line.ink == Ink::Filled {
        let mut outline = places.clone();
        outline.extend([(last.0, FRAME.bottom), (first.0, FRAME.bottom)]);
        canvas.draw(&Polygon::new(outline, FILL.filled()))?;
    }
    let colour = match line.ink {
        Ink::Filled | Ink::Plain => CURRENT,
        Ink::Second => SECOND,
    };
    segment(canvas, places, colour.stroke_width(2))
}

/// A figure of each of several runs or dates, the oldest first; one that is not known is left out. `baseline`
/// is a line across. `None` if there is nothing that could be drawn.
pub(super) fn dates(
    label: String,
    values: &[(String, Option<f64>)],
    baseline: Option<f64>,
    up: impl Fn(f64) -> String,
) -> anyhow::Result<Option<Plot>> {
    let known = values
        .iter()
        .filter_map(|(_, value)| *value)
        .chain(baseline);
    let known = known.filter(|value| value.is_finite());
    let Some(y) = Scale::over(known, false, FRAME.up()) else {
        return Ok(None);
    };
    drawn((WIDTH, HEIGHT), label, |canvas| {
        grid(canvas, FRAME, &y, up)?;
        if let Some(baseline) = baseline.filter(|baseline| baseline.is_finite()) {
            let height = y.at(baseline);
            for left in (FRAME.left..FRAME.right).step_by(10) {
                let right = (left + 6).min(FRAME.right);
                segment(
                    canvas,
                    vec![(left, height), (right, height)],
                    SECOND.stroke_width(2),
                )?;
            }
        }
        let place = |index: usize| FRAME.slot(index, values.len()).1;
        let mut path = Vec::new();
        for (index, (_, value)) in values.iter().enumerate() {
            match value.filter(|value| value.is_finite()) {
                Some(value) => path.push((place(index), y.at(value))),
                // A gap, over which no line is to go.
                None => draw_dots(canvas, &std::mem::take(&mut path))?,
            }
        }
        draw_dots(canvas, &path)?;
        ends(canvas, values.iter().map(|(name, _)| name.as_str()))
    })
    .map(Some)
}

fn draw_dots(canvas: &Canvas<'_>, places: &[(i32, i32)]) -> anyhow::Result<()> {
    if places.len() > 1 {
        segment(canvas, places.to_vec(), CURRENT.stroke_width(2))?;
    }
    for place in places {
        canvas.draw(&Circle::new(*place, 3, CURRENT.filled()))?;
    }
    Ok(())
}

/// A bar for each of several runs or classes of size, of which the last may be told from the others. `None`
/// if there is nothing that could be drawn.
pub(super) fn bars(
    label: String,
    values: &[(String, f64)],
    last_is_other: bool,
    up: impl Fn(f64) -> String,
) -> anyhow::Result<Option<Plot>> {
    let Some(y) = Scale::over(values.iter().map(|value| value.1), true, FRAME.up()) else {
        return Ok(None);
    };
    drawn((WIDTH, HEIGHT), label, |canvas| {
        grid(canvas, FRAME, &y, up)?;
        for (index, (_, value)) in values.iter().enumerate() {
            if !value.is_finite() {
                continue;
            }
            let (left, _, right) = FRAME.slot(index, values.len());
            let colour = match last_is_other && index + 1 < values.len() {
                true => FAINT,
                false => CURRENT,
            };
            // What is more than nothing is to be seen.
            let height = match *value > 0.0 {
                true => y.at(*value).min(FRAME.bottom - 1),
                false => FRAME.bottom,
            };
            bar(canvas, (left, height), (right, FRAME.bottom), &colour)?;
        }
        ends(canvas, values.iter().map(|(name, _)| name.as_str()))
    })
    .map(Some)
}

/// Writes the first and the last of the names below.
fn ends<'a>(
    canvas: &Canvas<'_>,
    mut names: impl DoubleEndedIterator<Item = &'a str>,
) -> anyhow::Result<()> {
    let y = FRAME.bottom + 7;
    let (first, last) = (names.next(), names.next_back());
    if let Some(first) = first {
        let first = &fitted(first, MOST_OF_AN_END);
        write(canvas, first, (FRAME.left, y), (HPos::Left, VPos::Top))?;
    }
    if let Some(last) = last {
        let last = &fitted(last, MOST_OF_AN_END);
        write(canvas, last, (FRAME.right, y), (HPos::Right, VPos::Top))?;
    }
    Ok(())
}

impl Frame {
    /// From left to right.
    fn across(self) -> (i32, i32) {
        (self.left, self.right)
    }

    /// From bottom to top.
    fn up(self) -> (i32, i32) {
        (self.bottom, self.top)
    }

    /// Left end, middle and right end of one of so many places beside each other, with a gap between them.
    fn slot(self, index: usize, of: usize) -> (i32, i32, i32) {
        let width = f64::from(self.right - self.left) / of.max(1) as f64;
        let left = f64::from(self.left) + width * index as f64;
        // A single bar as wide as the plot would look like a background.
        let gap = (width * 0.12).max((width - 60.0) / 2.0);
        let (from, to) = ((left + gap) as i32, (left + width - gap) as i32);
        (from, (left + width / 2.0) as i32, to.max(from + 1))
    }
}
