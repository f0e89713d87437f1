//! The report as text for a terminal: no colour, nothing wider than 100 columns unless a name is.

use std::fmt::{self, Write};

use bytesize::ByteSize;

use super::{RunReport, drift, evaluation};
use crate::monitor::stats::Summary;
use crate::printable::one_line;

/// At most so many kinds of dead letters, and columns with notes, are shown; the JSON has all.
const LONGEST_LIST: usize = 12;

/// Renders a report.
pub fn render(report: &RunReport) -> String {
    let mut text = String::new();
    // Writing to a String can not fail.
    let _ = write_report(&mut text, report);
    text
}

fn write_report(out: &mut String, report: &RunReport) -> fmt::Result {
    let ending = &report.outcome;
    writeln!(
        out,
        "{}  {}",
        report.run,
        ending.verdict.as_str().to_uppercase()
    )?;
    writeln!(
        out,
        "  {} (exit code {})",
        one_line(&ending.explanation),
        ending.exit_code
    )?;
    if let Some(reason) = &report.reason {
        writeln!(out, "  scored again: {}", one_line(reason))?;
    }
    if let Some(retry) = &report.retry {
        writeln!(
            out,
            "  {} dead letters of {} scored again, {} not found",
            grouped(retry.wanted),
            retry.run,
            grouped(retry.not_found)
        )?;
    }
    write_identity(out, report)?;
    write_records(out, report)?;
    write_outputs(out, report)?;
    if let Some(drift) = &report.drift {
        section(out, "drift")?;
        drift::write_summary(out, drift, LONGEST_LIST)?;
    }
    if let Some(decay) = &report.decay {
        section(out, "age of the model")?;
        evaluation::write_decay(out, decay)?;
    }
    if !report.evaluation.is_empty() {
        section(out, "ground truth")?;
        evaluation::write_metrics(out, &report.evaluation)?;
    }
    write_timing(out, report)
}

fn write_identity(out: &mut String, report: &RunReport) -> fmt::Result {
    let model = &report.model;
    section(out, "model")?;
    line(
        out,
        "model",
        format_args!("{} {}", model.name, model.version),
    )?;
    line(out, "digest", &model.digest)?;
    line(
        out,
        "arithmetic",
        format_args!(
            "{} {}, batches of {}",
            model.precision, model.numerics, model.batch_size
        ),
    )?;
    line(
        out,
        "input",
        match report.input.files {
            0 if report.input.source != "parquet" => report.input.source.clone(),
            count => format!("{}, {}", files(count), ByteSize(report.input.bytes)),
        },
    )
}

fn write_records(out: &mut String, report: &RunReport) -> fmt::Result {
    let counts = &report.counts;
    section(out, "records")?;
    line(out, "planned", grouped(counts.planned))?;
    line(out, "predicted", share(counts.predicted, counts.planned))?;
    line(
        out,
        "dead letters",
        share(counts.dead_letters, counts.planned),
    )?;
    for kind in report.dead_letters.iter().take(LONGEST_LIST) {
        let field = kind
            .field
            .as_deref()
            .map_or_else(String::new, |field| format!(" {}", one_line(field)));
        writeln!(
            out,
            "      {:>12}  {}/{}{field}",
            grouped(kind.records),
            kind.stage,
            kind.code
        )?;
    }
    more(out, report.dead_letters.len())?;
    line(out, "filtered", share(counts.filtered, counts.planned))?;
    if counts.erased > 0 {
        line(out, "erased", share(counts.erased, counts.planned))?;
    }
    if counts.unfinished > 0 {
        line(out, "unfinished", share(counts.unfinished, counts.planned))?;
    }
    let truncated = report.columns.values().map(|notes| notes.truncated).sum();
    if truncated > 0 {
        line(out, "cut texts", share(truncated, counts.planned))?;
    }
    let columns = || {
        let columns = report.columns.iter();
        columns.filter(|(_, notes)| notes.imputed + notes.clamped + notes.unknown > 0)
    };
    if columns().next().is_some() {
        writeln!(
            out,
            "\n  {:<24}{:>12}{:>12}{:>12}",
            "values of column", "imputed", "clamped", "unknown"
        )?;
        for (column, notes) in columns().take(LONGEST_LIST) {
            writeln!(
                out,
                "    {:<22}{:>12}{:>12}{:>12}",
                one_line(column),
                grouped(notes.imputed),
                grouped(notes.clamped),
                grouped(notes.unknown)
            )?;
        }
        more(out, columns().count())?;
    }
    Ok(())
}

fn write_outputs(out: &mut String, report: &RunReport) -> fmt::Result {
    let outputs = &report.outputs;
    section(out, "predictions")?;
    // Of vectors and rankings there is no one number that a distribution could be of.
    let has_no_numbers =
        outputs.labels.is_empty() && outputs.scores.is_none() && outputs.values.is_none();
    if has_no_numbers && report.counts.predicted > 0 {
        line(out, "records", grouped(report.counts.predicted))?;
    }
    for (label, count) in &outputs.labels {
        line(
            out,
            &one_line(label),
            share(*count, report.counts.predicted),
        )?;
    }
    for (what, summary) in [("score", &outputs.scores), ("value", &outputs.values)] {
        if let Some(summary) = summary {
            line(out, what, spread(summary))?;
        }
    }
    Ok(())
}

fn write_timing(out: &mut String, report: &RunReport) -> fmt::Result {
    let timing = &report.timing;
    section(out, "time")?;
    line(
        out,
        "duration",
        format_args!(
            "{:.2} s ({:.2} s of it planning), {} records/s",
            timing.duration_seconds,
            timing.plan_seconds,
            grouped(timing.records_per_second.round() as u64)
        ),
    )?;
    let stages = &timing.stage_seconds;
    line(
        out,
        "by stage",
        format_args!(
            "read {:.2} s, encode {:.2} s, infer {:.2} s, commit {:.2} s",
            stages.read, stages.encode, stages.infer, stages.commit
        ),
    )?;
    if let Some(batch) = &timing.batch_milliseconds {
        line(
            out,
            "batch",
            format_args!(
                "p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms, {} batches",
                batch.p50,
                batch.p95,
                batch.p99,
                grouped(batch.count)
            ),
        )?;
    }
    let resources = &report.resources;
    let bytes =
        |bytes: Option<u64>| bytes.map_or("unknown".to_owned(), |b| ByteSize(b).to_string());
    line(
        out,
        "machine",
        format_args!(
            "{} workers, CPU {}, peak memory {}",
            resources.workers,
            resources
                .cpu_share
                .map_or("unknown".to_owned(), |share| format!(
                    "{:.0} %",
                    share * 100.0
                )),
            bytes(resources.peak_memory_bytes),
        ),
    )?;
    if let Some(cost) = &report.cost {
        let digits = if cost.amount < 1.0 { 4 } else { 2 };
        line(
            out,
            "cost",
            format_args!("{:.digits$} {}", cost.amount, cost.currency),
        )?;
    }
    line(
        out,
        "disk",
        format_args!(
            "{} read, {} written{}",
            bytes(resources.bytes_read),
            bytes(resources.bytes_written),
            resources
                .free_disk_bytes
                .map_or_else(String::new, |free| format!(", {} free", ByteSize(free)))
        ),
    )?;
    if timing.attempts > 1 {
        line(out, "attempts", timing.attempts)?;
    }
    Ok(())
}

fn section(out: &mut String, title: &str) -> fmt::Result {
    writeln!(out, "\n  {title}")
}

fn line(out: &mut String, name: &str, value: impl fmt::Display) -> fmt::Result {
    // A long name, of a class, keeps its distance.
    writeln!(out, "    {name:<13} {value}")
}

fn more(out: &mut String, length: usize) -> fmt::Result {
    match length.checked_sub(LONGEST_LIST) {
        None | Some(0) => Ok(()),
        Some(more) => writeln!(out, "      and {more} more, see --format json"),
    }
}

fn spread(summary: &Summary) -> String {
    format!(
        "mean {:.4}, p05 {:.4}, median {:.4}, p95 {:.4}, from {:.4} to {:.4}",
        summary.mean, summary.p05, summary.p50, summary.p95, summary.minimum, summary.maximum
    )
}

fn share(count: u64, of: u64) -> String {
    if of == 0 {
        return grouped(count);
    }
    format!(
        "{:<10} {:>6.2} %",
        grouped(count),
        100.0 * count as f64 / of as f64
    )
}

/// A number of files, in words.
pub fn files(count: u64) -> String {
    match count {
        1 => "1 file".to_owned(),
        count => format!("{} files", grouped(count)),
    }
}

/// 1234567 as 1,234,567.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
