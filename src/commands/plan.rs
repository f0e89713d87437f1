//! `lamplighter plan`: what a run would take. Writes nothing.

use std::fmt::Write;

use bytesize::ByteSize;

use super::{Invocation, load_job, target};
use crate::cli::PlanOptions;
use crate::fault;
use crate::job::Job;
use crate::report::text::{self, grouped};
use crate::run::estimate::{Estimate, estimate};
use crate::run::start::Request;

/// Runs the command.
///
/// # Errors
/// Whatever would keep a run from being planned.
pub fn run(options: &PlanOptions, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    let job = load_job(&options.job)?;
    fault::prepare()?;
    let target = target(invocation, Some(&job))?;
    let now = target.now()?;
    let date = job.schedule.resolve(options.date.as_deref(), now)?;
    let request = Request {
        workers: options.workers.map(usize::from),
        rescore: options.rescore.then(String::new),
        interrupt: invocation.interrupt.clone(),
        ..Request::default()
    };
    let estimate = estimate(&job, date, &target, &request, now)?;
    let terminal = invocation.terminal;
    terminal.print_either(&estimate, || describe(&job, &estimate))?;
    Ok(0)
}

fn describe(job: &Job, estimate: &Estimate) -> String {
    let mut lines = Vec::new();
    let run = estimate.run.as_deref();
    let run = run.map_or_else(String::new, |run| format!(" ({run})"));
    lines.push(("would", format!("{}{run}", estimate.action)));
    lines.push((
        "model",
        format!("{} ({})", estimate.model, estimate.numerics),
    ));
    lines.push((
        "input",
        match estimate.files {
            0 => estimate.source.clone(),
            files => format!("{}, {}", text::files(files), ByteSize(estimate.input_bytes)),
        },
    ));
    let bytes = estimate
        .column_bytes
        .map_or_else(String::new, |bytes| format!(", {}", ByteSize(bytes)));
    let count = estimate.columns.len();
    lines.push((
        "reads",
        format!("{count} columns{bytes}: {}", estimate.columns.join(", ")),
    ));
    let expected = match estimate.records_are_expected {
        true => " (as the table's statistics expect)",
        false => "",
    };
    lines.push((
        "records",
        format!("{}{expected}", grouped(estimate.records)),
    ));
    if estimate.done > 0 {
        lines.push(("done already", grouped(estimate.done)));
    }
    lines.push((
        "shards",
        format!(
            "{} of {} records",
            grouped(estimate.shards),
            grouped(estimate.shard_size)
        ),
    ));
    lines.push((
        "workers",
        format!(
            "{}, each reads {} rows at a time",
            estimate.workers,
            grouped(estimate.chunk_rows)
        ),
    ));
    if let Some(peak) = estimate.peak_memory_bytes {
        let most = ByteSize(estimate.max_memory_bytes);
        lines.push((
            "memory",
            match peak > estimate.max_memory_bytes {
                false => format!("{} at its peak ([run] max_memory {most})", ByteSize(peak)),
                true => format!(
                    "{} at its peak, MORE than [run] max_memory {most}",
                    ByteSize(peak)
                ),
            },
        ));
    }
    if estimate.probe_seconds > 0.0 {
        let rate = estimate.probe_records as f64 / estimate.probe_seconds;
        lines.push((
            "probe",
            format!(
                "{} records in {:.2} s, {} records/s",
                grouped(estimate.probe_records),
                estimate.probe_seconds,
                grouped(rate.round() as u64)
            ),
        ));
    }
    let basis = match (estimate.earlier_runs, estimate.probe_seconds > 0.0) {
        (0, true) if estimate.database_was_left_out => {
            " (by the probe, without the database: this role may not create temporary tables)"
                .to_owned()
        }
        (0, true) => " (by the probe)".to_owned(),
        (0, false) => String::new(),
        (1, _) => " (by the last run)".to_owned(),
        (runs, _) => format!(" (by the last {runs} runs)"),
    };
    lines.push((
        "time",
        format!("{}{basis}", duration(estimate.forecast_seconds)),
    ));
    if let (Some(finish_by), Some(in_time)) = (&estimate.finish_by, estimate.in_time) {
        let start = match job.schedule.cron() {
            Some(_) => format!("started at {}", estimate.starts_at),
            None => "begun now".to_owned(),
        };
        let verdict = match in_time {
            true => format!("{start}, it will hold"),
            false => format!(
                "{start}, it will NOT hold: the run ends with exit code 80 and a later start continues"
            ),
        };
        lines.push(("finish_by", format!("{finish_by}, {verdict}")));
    }
    if let (Some(cost), Some(amount)) = (&job.cost, estimate.cost) {
        let verdict = match cost.max_per_run {
            None => String::new(),
            Some(most) if amount <= most => format!(" (max_per_run {})", cost.shown(most)),
            Some(most) => format!(" (REFUSED: max_per_run is {})", cost.shown(most)),
        };
        lines.push(("cost", format!("{}{verdict}", cost.shown(amount))));
    }
    let mut text = format!(
        "{}@{}  a plan, nothing is written\n",
        estimate.job, estimate.logical_date
    );
    for (name, value) in lines {
        // Writing to a String can not fail.
        let _ = writeln!(text, "    {name:<14}{value}");
    }
    text
}

fn duration(seconds: f64) -> String {
    if seconds < 120.0 {
        return format!("{seconds:.2} s");
    }
    let minutes = (seconds / 60.0).round() as u64;
    match minutes {
        0..120 => format!("{minutes} min"),
        _ => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}
