//! A comparison as text for a terminal.

use std::fmt::{self, Write};

use bytesize::ByteSize;

use super::{Change, Comparison, Figure, Unit};
use crate::report::assessment::percent;
use crate::report::text::fit::{cut, listed, width, wrap};
use crate::report::text::{decimals, grouped, money};

/// Columns of a line at most.
const MOST_COLUMNS: usize = 100;

/// Notable changes of a section that are told; the JSON has all.
const MOST_OF_A_SECTION: usize = 8;

/// Other changes that are told.
const MOST_OTHERS: usize = 12;

/// Columns that have drifted from the other run that are told.
const MOST_SERIES: usize = 8;

/// Columns of a name, and of each figure.
const NAME: usize = 38;
const FIGURE: usize = 20;

/// Renders a comparison: what is notable first, what is the same in a line. Whatever is compared, it is at
/// most 100 columns wide, and lists are cut.
pub fn render(comparison: &Comparison) -> String {
    let mut text = String::new();
    // Writing to a String can not fail.
    let _ = write_comparison(&mut text, comparison);
    text
}

fn write_comparison(out: &mut String, comparison: &Comparison) -> fmt::Result {
    let names = format!("{} → {}", comparison.before, comparison.after);
    for line in wrap(&names, MOST_COLUMNS, 2) {
        writeln!(out, "{line}")?;
    }
    let notable: Vec<&Change> = comparison.notable().collect();
    writeln!(
        out,
        "  {}",
        match notable.len() {
            0 => "nothing beyond what two good nights differ by".to_owned(),
            1 => "1 change beyond what two good nights differ by".to_owned(),
            many => format!("{many} changes beyond what two good nights differ by"),
        }
    )?;
    // Changes of a section stand together.
    for section in notable.chunk_by(|one, other| one.section == other.section) {
        writeln!(out, "\n  {}", section[0].section)?;
        write_changes(out, section, MOST_OF_A_SECTION)?;
    }
    write_drift(out, comparison)?;
    let others: Vec<&Change> = comparison
        .changes
        .iter()
        .filter(|change| !change.is_notable && !change.is_same())
        .collect();
    if !others.is_empty() {
        writeln!(out, "\n  as from night to night")?;
        write_changes(out, &others, MOST_OTHERS)?;
    }
    let same = same(comparison);
    if !same.is_empty() {
        writeln!(out, "\n  same: {}", listed(&same, 0, MOST_COLUMNS - 8))?;
    }
    Ok(())
}

/// What is the same: sections as a whole, and figures of those that are not.
fn same(comparison: &Comparison) -> Vec<String> {
    let sections = comparison
        .changes
        .chunk_by(|one, other| one.section == other.section);
    let mut same = Vec::new();
    for section in sections {
        if section.iter().all(Change::is_same) {
            same.push(section[0].section.clone());
            continue;
        }
        let figures = section.iter().filter(|change| change.is_same());
        same.extend(figures.map(|change| cut(&change.name, NAME)));
    }
    same
}

fn write_changes(out: &mut String, changes: &[&Change], most: usize) -> fmt::Result {
    for change in changes.iter().take(most) {
        // Beside shares it could be taken for their difference.
        let relative = change.change.filter(|_| change.unit != Unit::Share);
        let relative = relative.map_or_else(String::new, signed_percent);
        let line = format!(
            "    {} {} → {} {relative:>9}",
            padded(&cut(&change.name, NAME), NAME, false),
            padded(&shown(change.before.as_ref(), change.unit), FIGURE, true),
            padded(&shown(change.after.as_ref(), change.unit), FIGURE, false),
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    more(out, changes.len().saturating_sub(most), "--format json")
}

fn write_drift(out: &mut String, comparison: &Comparison) -> fmt::Result {
    let Some(drift) = &comparison.drift else {
        return Ok(());
    };
    writeln!(out, "\n  drift from the one to the other")?;
    writeln!(
        out,
        "    {} of {} inputs, {} of {} outputs",
        drift.drifted_inputs,
        drift.inputs,
        drift.drifted_outputs,
        (drift.series.len() as u64).saturating_sub(drift.inputs)
    )?;
    for series in drift.drifted().take(MOST_SERIES) {
        let name = padded(&cut(&series.name, NAME), NAME, false);
        let line = format!("    {name} {:<12} ", series.level.as_str());
        let reasons = cut(&series.reasons.join("; "), MOST_COLUMNS - width(&line));
        writeln!(out, "{}", format!("{line}{reasons}").trim_end())?;
    }
    let hidden = drift.drifted().count().saturating_sub(MOST_SERIES);
    more(out, hidden, "`lamplighter drift JOB --against`")
}

fn more(out: &mut String, hidden: usize, command: &str) -> fmt::Result {
    match hidden {
        0 => Ok(()),
        hidden => writeln!(out, "    and {hidden} more, see {command}"),
    }
}

/// The text with spaces around it, as wide as it is shown and not as it is counted.
fn padded(text: &str, columns: usize, is_right: bool) -> String {
    let spaces = " ".repeat(columns.saturating_sub(width(text)));
    match is_right {
        true => format!("{spaces}{text}"),
        false => format!("{text}{spaces}"),
    }
}

fn shown(figure: Option<&Figure>, unit: Unit) -> String {
    let text = match figure {
        None => "-".to_owned(),
        Some(Figure::Text(text)) if text.is_empty() => "-".to_owned(),
        Some(Figure::Text(text)) => text.clone(),
        Some(Figure::Number(number)) => match unit {
            Unit::Count if number.abs() < 1e18 => grouped(number.round().max(0.0) as u64),
            Unit::Share => percent(*number),
            Unit::Seconds => format!("{number:.2} s"),
            Unit::Milliseconds => format!("{number:.2} ms"),
            Unit::Bytes => ByteSize(*number as u64).to_string(),
            Unit::Money => money(*number),
            Unit::Text | Unit::Number | Unit::Count => decimals(*number),
        },
    };
    cut(&text, FIGURE)
}

/// `+12.3 %`, in nine columns at most.
fn signed_percent(change: f64) -> String {
    let percent = 100.0 * change;
    match percent.abs() {
        small if small < 1_000.0 => format!("{percent:+.1} %"),
        large if large < 100_000.0 => format!("{percent:+.0} %"),
        _ if percent > 0.0 => "> 999 x".to_owned(),
        _ => "< -999 x".to_owned(),
    }
}
