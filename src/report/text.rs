//! The report as text for a terminal, without colour: the whole of it ([`render_all`]), and what of it
//! anybody wants to know in the morning ([`render`]).

mod all;
pub(super) mod fit;
mod short;
#[cfg(test)]
mod tests;

use bytesize::ByteSize;

use super::RunReport;
pub(super) use crate::job::money;
use crate::monitor::stats::Summary;

/// Renders what a report comes to: whatever it holds, at most 25 lines of at most 100 columns.
pub fn render(report: &RunReport) -> String {
    short::render(report)
}

/// Renders all of a report. It is as long as the lists in it, and as wide as the names.
pub fn render_all(report: &RunReport) -> String {
    let mut text = String::new();
    // Writing to a String can not fail.
    let _ = all::write_report(&mut text, report);
    text
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

fn spread(summary: &Summary) -> String {
    format!(
        "mean {}, p05 {}, median {}, p95 {}, from {} to {}",
        decimals(summary.mean),
        decimals(summary.p05),
        decimals(summary.p50),
        decimals(summary.p95),
        decimals(summary.minimum),
        decimals(summary.maximum)
    )
}

/// Four decimals, or few digits of a number that is too large for them.
pub(super) fn decimals(number: f64) -> String {
    match number.abs() < 1e7 {
        true => format!("{number:.4}"),
        false => format!("{number:.4e}"),
    }
}

/// Where the input came from, and how much it was.
fn input(report: &RunReport) -> String {
    match report.input.files {
        0 if report.input.source != "parquet" => report.input.source.clone(),
        count => format!("{}, {}", files(count), ByteSize(report.input.bytes)),
    }
}

/// Workers, processors, and memory with its limit.
fn machine(report: &RunReport) -> String {
    let resources = &report.resources;
    let share = |share: f64| format!("{:.0} %", share * 100.0);
    let limit = match resources.memory_limit_bytes {
        Some(limit) if resources.peak_memory_bytes.is_some() => format!(" of {}", ByteSize(limit)),
        _ => String::new(),
    };
    format!(
        "{} workers, CPU {}, peak memory {}{limit}",
        resources.workers,
        resources.cpu_share.map_or("unknown".to_owned(), share),
        bytes(resources.peak_memory_bytes),
    )
}

fn bytes(bytes: Option<u64>) -> String {
    bytes.map_or("unknown".to_owned(), |bytes| ByteSize(bytes).to_string())
}

/// How much earlier or later than `finish_by` the run was finished.
fn punctuality(report: &RunReport) -> Option<String> {
    let minutes = report.timing.minutes_past_finish_by?;
    let by = report.timing.finish_by.as_deref().unwrap_or("finish_by");
    let when = if minutes > 0.0 { "after" } else { "before" };
    Some(format!("{:.0} min {when} {by}", minutes.abs()))
}
