//! What predictions were worth, and how the model has aged, as text for a terminal.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::Decay;
use super::text::grouped;
use crate::ledger::{EvaluationRow, Origin};
use crate::printable::one_line;

/// A table row's key: date, model, version, origin, segment.
type Group<'a> = (&'a str, &'a str, &'a str, Origin, &'a str);

/// Writes metrics, a block for each group of predictions that were judged together.
pub fn write_metrics(out: &mut String, rows: &[EvaluationRow]) -> fmt::Result {
    let mut groups: BTreeMap<Group<'_>, Vec<&EvaluationRow>> = BTreeMap::new();
    for row in rows {
        let key = (
            row.logical_date.as_str(),
            row.model_name.as_str(),
            row.model_version.as_str(),
            row.origin,
            row.segment.as_str(),
        );
        groups.entry(key).or_default().push(row);
    }
    for ((date, name, version, origin, segment), rows) in groups {
        let date = if date.is_empty() { "all dates" } else { date };
        write!(
            out,
            "    {}, {} {}",
            one_line(date),
            one_line(name),
            one_line(version)
        )?;
        if origin == Origin::Correction {
            write!(out, ", corrections")?;
        }
        if !segment.is_empty() {
            write!(out, ", {}", one_line(segment))?;
        }
        let Some(first) = rows.first() else { continue };
        write!(out, ": {} records", grouped(first.records))?;
        match first.missing {
            0 => writeln!(out)?,
            missing => writeln!(out, ", {} lack their ground truth", grouped(missing))?,
        }
        for row in rows {
            write_metric(out, row)?;
        }
    }
    Ok(())
}

/// Four decimals, or few digits of a number that is too large for them.
fn number(number: f64) -> String {
    match number.abs() < 1e7 {
        true => format!("{number:.4}"),
        false => format!("{number:.4e}"),
    }
}

/// Writes one metric by date, a line each.
pub fn write_dates(out: &mut String, rows: &[EvaluationRow], metric: &str) -> fmt::Result {
    for row in rows.iter().filter(|row| {
        row.metric == metric
            && row.class.is_empty()
            && row.segment.is_empty()
            && !row.logical_date.is_empty()
    }) {
        writeln!(
            out,
            "    {:<14} {:<12} {:<11} {:>10} records {:>10} lack it {:>12}",
            one_line(&row.logical_date),
            one_line(&row.model_version),
            row.origin.as_str(),
            grouped(row.records),
            grouped(row.missing),
            row.value.map_or("not defined".to_owned(), number)
        )?;
    }
    Ok(())
}

fn write_metric(out: &mut String, row: &EvaluationRow) -> fmt::Result {
    let value = match (row.metric.as_str(), row.value) {
        ("confusion", Some(count)) => grouped(count as u64),
        (_, Some(value)) => number(value),
        (_, None) => "not defined".to_owned(),
    };
    let name = match row.class.as_str() {
        "" => one_line(&row.metric),
        class => format!("{} {}", one_line(&row.metric), one_line(class)),
    };
    write!(out, "      {name:<40} {value:>12}")?;
    match row.baseline {
        Some(baseline) => writeln!(out, "   baseline {}", number(baseline)),
        None => writeln!(out),
    }
}

/// Writes how the model has aged, and whether it is to be trained anew.
pub fn write_decay(out: &mut String, decay: &Decay) -> fmt::Result {
    let age = decay
        .model_age_days
        .map_or_else(String::new, |days| format!(", {days} days ago"));
    writeln!(
        out,
        "    trained on {}{age}; {} records have got their ground truth since",
        decay.trained_at,
        grouped(decay.ground_truth_since_training)
    )?;
    if let (Some(metric), Some(newest)) = (&decay.metric, decay.history.last()) {
        let value = newest
            .value
            .map_or("not defined".to_owned(), |value| format!("{value:.4}"));
        write!(
            out,
            "    {} {value} for {}",
            one_line(metric),
            newest.logical_date
        )?;
        match decay.baseline {
            Some(baseline) => writeln!(out, ", baseline {baseline:.4}")?,
            None => writeln!(out)?,
        }
    }
    for reason in &decay.retrain {
        writeln!(out, "    train it anew: {}", one_line(reason))?;
    }
    Ok(())
}
