//! All of a report.

use std::fmt::{self, Write};

use bytesize::ByteSize;

use super::fit::wrap;
use super::{bytes, grouped, input, machine, money, punctuality, spread};
use crate::printable::one_line;
use crate::report::assessment::Assessment;
use crate::report::{CostOfRun, RuleState, RunReport, drift, evaluation};

/// Columns of a value that is broken into lines.
const VALUE: usize = 82;

pub(super) fn write_report(out: &mut String, report: &RunReport) -> fmt::Result {
    let ending = &report.outcome;
    writeln!(
        out,
        "{}  {}",
        one_line(&report.run),
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
            one_line(&retry.run),
            grouped(retry.not_found)
        )?;
    }
    write_assessment(out, report)?;
    write_identity(out, report)?;
    write_records(out, report)?;
    write_outputs(out, report)?;
    if let Some(drift) = &report.drift {
        section(out, "drift")?;
        drift::write_summary(out, drift, usize::MAX)?;
    }
    if let Some(decay) = &report.decay {
        section(out, "age of the model")?;
        evaluation::write_decay(out, decay)?;
    }
    if !report.evaluation.is_empty() {
        section(out, "ground truth")?;
        evaluation::write_metrics(out, &report.evaluation)?;
    }
    write_timing(out, report)?;
    if let Some(cost) = &report.cost {
        write_cost(out, cost)?;
    }
    write_alerts(out, report)
}

fn write_assessment(out: &mut String, report: &RunReport) -> fmt::Result {
    let assessment = Assessment::of(report);
    writeln!(out, "  {}", one_line(&assessment.headline))?;
    if assessment.findings.is_empty() {
        return Ok(());
    }
    section(out, "findings")?;
    for finding in &assessment.findings {
        let lines = wrap(&finding.what, VALUE, usize::MAX);
        for (index, text) in lines.iter().enumerate() {
            let grade = finding.grade.word();
            line(out, if index == 0 { grade } else { "" }, text)?;
        }
        if let Some(action) = &finding.action {
            line(out, "", format_args!("→ {}", one_line(action)))?;
        }
    }
    Ok(())
}

fn write_identity(out: &mut String, report: &RunReport) -> fmt::Result {
    let model = &report.model;
    section(out, "model")?;
    line(
        out,
        "model",
        format_args!("{} {}", one_line(&model.name), one_line(&model.version)),
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
    line(out, "input", one_line(&input(report)))
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
    for kind in report.dead_letters.iter() {
        let field = kind
            .field
            .as_deref()
            .map_or_else(String::new, |field| format!(" {}", one_line(field)));
        writeln!(
            out,
            "      {:>12}  {}/{}{field}",
            grouped(kind.records),
            one_line(&kind.stage),
            one_line(&kind.code)
        )?;
    }
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
        for (column, notes) in columns() {
            writeln!(
                out,
                "    {:<22}{:>12}{:>12}{:>12}",
                one_line(column),
                grouped(notes.imputed),
                grouped(notes.clamped),
                grouped(notes.unknown)
            )?;
        }
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
    line(out, "machine", machine(report))?;
    let resources = &report.resources;
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
    let (received, sent) = (
        resources.network_received_bytes,
        resources.network_sent_bytes,
    );
    if received.is_some() || sent.is_some() {
        let (received, sent) = (bytes(received), bytes(sent));
        line(
            out,
            "network",
            format_args!("{received} received, {sent} sent"),
        )?;
    }
    if let Some(punctuality) = punctuality(report) {
        line(out, "finished", one_line(&punctuality))?;
    }
    if timing.attempts > 1 {
        line(out, "attempts", timing.attempts)?;
    }
    Ok(())
}

fn write_cost(out: &mut String, cost: &CostOfRun) -> fmt::Result {
    let currency = one_line(&cost.currency);
    section(out, "cost")?;
    line(
        out,
        "cost",
        format_args!(
            "{} {currency} for {:.2} s of machines",
            money(cost.amount),
            cost.machine_seconds
        ),
    )?;
    if let Some(million) = cost.per_million_records {
        let million = money(million);
        line(
            out,
            "records",
            format_args!("{million} {currency} a million"),
        )?;
    }
    if let Some(month) = &cost.month {
        line(
            out,
            "month",
            format_args!(
                "{}: {} {currency} so far, {} {currency} forecast, {} starts to come",
                one_line(&month.month),
                money(month.spent),
                money(month.forecast),
                grouped(month.starts_left)
            ),
        )?;
    }
    Ok(())
}

fn write_alerts(out: &mut String, report: &RunReport) -> fmt::Result {
    if !report.alerts.is_empty() {
        section(out, "alerts")?;
    }
    for rule in &report.alerts {
        let state = match rule.state {
            RuleState::Quiet => "quiet",
            RuleState::Firing => "firing",
            RuleState::Unknown => "not judged",
        };
        writeln!(
            out,
            "    {state:<13} {:<10} {}: {}",
            rule.severity.as_str(),
            one_line(&rule.rule),
            one_line(&rule.summary)
        )?;
    }
    if !report.deliveries.is_empty() {
        section(out, "deliveries")?;
    }
    for delivery in &report.deliveries {
        write!(
            out,
            "    {:<13} {:<10} {}",
            one_line(&delivery.state),
            one_line(&delivery.action),
            one_line(&delivery.rule)
        )?;
        if let Some(at) = &delivery.delivered_at {
            write!(out, ", at {}", one_line(at))?;
        }
        if delivery.attempts > 1 {
            write!(out, ", tried {} times", grouped(delivery.attempts))?;
        }
        if let Some(error) = &delivery.last_error {
            write!(out, ", failed with: {}", one_line(error))?;
        }
        writeln!(out)?;
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
