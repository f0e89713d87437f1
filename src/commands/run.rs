//! `lamplighter run`: score the records of a date.

use std::fmt::Write;

use bytesize::ByteSize;
use serde::Serialize;

use super::{
    Invocation, current, deliver, isolated_arguments, keep_time, load_job, target, with_ledger,
};
use crate::alert::Effort;
use crate::cli::RunOptions;
use crate::error::{self, Class};
use crate::exposition::expose;
use crate::fault;
use crate::job::{Job, LogicalDate};
use crate::ledger::{Access, Ledger, Target};
use crate::report::text::{self, grouped};
use crate::report::{RunReport, Verdict};
use crate::run::attempt::Attempted;
use crate::run::identity::decide;
use crate::run::input::Input;
use crate::run::memory::{readers, settings};
use crate::run::start::{Request, Started, start};
use crate::run::{Decision, Prepared, plan, wait};
use crate::terminal::Terminal;

/// Runs the command.
///
/// # Errors
/// Whatever keeps tonight's date from being finished. An earlier date that fails is logged; its
/// exit code is the process's only if tonight's is 0.
pub fn run(options: &RunOptions, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    let (terminal, interrupt) = (invocation.terminal, invocation.interrupt);
    let job = load_job(&options.job)?;
    fault::prepare()?;
    let target = target(invocation, Some(&job))?;
    let now = keep_time(&job, &target, interrupt)?;
    let date = job.schedule.resolve(options.date.as_deref(), now)?;
    let request = Request {
        workers: options.workers.map(usize::from),
        limit: options.limit,
        rescore: options
            .rescore
            .then(|| options.reason.clone().unwrap_or_default()),
        backfill: false,
        resume_only: false,
        exclusive: options.exclusive,
        interrupt: interrupt.clone(),
        isolated_arguments: isolated_arguments(&options.job, invocation.global),
    };
    if options.dry_run {
        return dry_run(&job, date, &target, &request, terminal);
    }
    let exit_code_of_earlier = match request.limit {
        None => with_ledger(&target, Access::Write, |ledger| {
            ledger.keep_job(&job.name, &job.schedule.to_json())?;
            // What an earlier start could not deliver, or was killed before.
            deliver(ledger, &job, Effort::Once, invocation);
            let mut report = None;
            let caught_up = catch_up(ledger, &job, date, &request, terminal, &mut report);
            if report.is_some() {
                // There is still a night to be scored.
                tell_outside(ledger, &job, Effort::Once, report.as_ref(), invocation);
            }
            caught_up
        })?,
        Some(_) => 0,
    };
    if exit_code_of_earlier != 0 && interrupt.is_requested() {
        return Ok(exit_code_of_earlier);
    }
    // Other jobs may use the database while this one waits.
    wait::wait(&job, date, interrupt)?;
    let exit_code = with_ledger(&target, Access::Write, |ledger| {
        let mut report = None;
        let scored = score(ledger, &job, date, &request, terminal, &mut report);
        if request.limit.is_none() {
            tell_outside(
                ledger,
                &job,
                Effort::Persistent,
                report.as_ref(),
                invocation,
            );
        }
        scored
    })?;
    Ok(match exit_code {
        0 => exit_code_of_earlier,
        exit_code => exit_code,
    })
}

/// Tells receivers of alerts what is owed to them, and Prometheus what came of a start, if it came to a report.
fn tell_outside(
    ledger: &mut Ledger,
    job: &Job,
    effort: Effort,
    report: Option<&RunReport>,
    invocation: &Invocation<'_>,
) {
    deliver(ledger, job, effort, invocation);
    // After that, so that what was delivered does not count as owed.
    if let Some(report) = report {
        expose(ledger, job, report, invocation.interrupt);
    }
}

/// Continues unfinished dates. Returns the exit code of the last one that failed, else 0.
fn catch_up(
    ledger: &mut Ledger,
    job: &Job,
    tonight: LogicalDate,
    request: &Request,
    terminal: &Terminal,
    report: &mut Option<RunReport>,
) -> anyhow::Result<u8> {
    let mut worst = 0;
    for date in unfinished_dates(ledger, job, tonight)? {
        tracing::info!(job = job.name, %date, "continuing an unfinished date");
        let request = Request {
            workers: request.workers,
            resume_only: true,
            exclusive: request.exclusive,
            interrupt: request.interrupt.clone(),
            isolated_arguments: request.isolated_arguments.clone(),
            ..Request::default()
        };
        match score(ledger, job, date, &request, terminal, report) {
            Ok(0) => {}
            Ok(exit_code) if request.interrupt.is_requested() => return Ok(exit_code),
            Ok(exit_code) => worst = exit_code,
            // To stop means to stop, not to go on with the next date.
            Err(failure) if request.interrupt.is_requested() => return Err(failure),
            Err(failure) => {
                let failure = failure.context(format!("unfinished date {date}"));
                terminal.error(&failure);
                worst = error::classify(&failure).exit_code();
            }
        }
    }
    Ok(worst)
}

/// Earlier dates with unfinished runs, the newest `catch_up` of them, the oldest first.
fn unfinished_dates(
    ledger: &mut Ledger,
    job: &Job,
    date: LogicalDate,
) -> anyhow::Result<Vec<LogicalDate>> {
    let mut dates = ledger
        .unfinished_dates(&job.name)?
        .iter()
        .map(|date| Ok(date.parse::<LogicalDate>()?))
        .collect::<anyhow::Result<Vec<_>>>()?;
    dates.retain(|unfinished| *unfinished < date);
    let skipped = dates.len().saturating_sub(job.schedule.catch_up as usize);
    Ok(dates.split_off(skipped))
}

/// Scores a date. The report that it comes to, if it comes to one, is left in `told`.
fn score(
    ledger: &mut Ledger,
    job: &Job,
    date: LogicalDate,
    request: &Request,
    terminal: &Terminal,
    told: &mut Option<RunReport>,
) -> anyhow::Result<u8> {
    let mut view = terminal.progress(&format!("{}@{date}", job.name));
    let started = start(ledger, job, date, request, |progress| view.show(progress))?;
    drop(view);
    match started {
        Started::Attempted(attempted) => {
            *told = attempted.report().cloned();
            conclude(attempted, terminal)
        }
        Started::AlreadyDone(run) => {
            let exit_code = run
                .exit_code
                .and_then(|exit_code| u8::try_from(exit_code).ok())
                .unwrap_or(Class::Internal.exit_code());
            tracing::info!(
                run = %run.name(),
                completed_at = run.completed_at,
                exit_code,
                "already complete, nothing to do"
            );
            if let Some(report) = ledger.report(run.run_id)? {
                let report = current(serde_json::from_str(&report)?, &run);
                terminal.print_either(&report, || already_done(&report))?;
                tell_oddities(&report);
                *told = Some(report);
            } else if let Some(at) = &run.report_pruned_at {
                terminal.print(&format!(
                    "{} is already complete and {}; its report was pruned at {at}",
                    run.name(),
                    run.publication.as_str()
                ))?;
            }
            Ok(exit_code)
        }
    }
}

/// Prints the report of a run that was worked on. Returns the exit code.
pub(super) fn conclude(attempted: Attempted, terminal: &Terminal) -> anyhow::Result<u8> {
    match attempted {
        Attempted::Finished(outcome) => {
            terminal.print_either(&outcome.report, || text::render(&outcome.report))?;
            tell_oddities(&outcome.report);
            Ok(outcome.exit_code)
        }
        Attempted::Stopped(failure, so_far) => {
            if let Some(outcome) = so_far {
                terminal.print_either(&outcome.report, || text::render(&outcome.report))?;
            }
            let exit_code = failure.class().exit_code();
            terminal.error(&failure.into());
            Ok(exit_code)
        }
    }
}

/// One duplicate in so many records is worth a warning.
const SUSPICIOUS_SHARE: u64 = 10;

/// Standard error is where schedulers look for the reason of an exit code, and people for what is
/// odd about a night that ended well.
fn tell_oddities(report: &RunReport) {
    let (ending, counts) = (&report.outcome, &report.counts);
    if counts.predicted == 0 && counts.planned > 0 {
        tracing::warn!(
            run = report.run,
            planned = counts.planned,
            "no record was predicted"
        );
    }
    if counts.duplicates > counts.planned / SUSPICIOUS_SHARE {
        tracing::warn!(
            run = report.run,
            duplicates = counts.duplicates,
            planned = counts.planned,
            "many records repeat an id: is [source] id_column the one that tells records apart?"
        );
    }
    if ending.exit_code != 0 {
        tracing::error!(
            run = report.run,
            exit_code = ending.exit_code,
            "not published: {}",
            ending.explanation
        );
    }
}

fn already_done(report: &RunReport) -> String {
    let (run, ending) = (&report.run, &report.outcome);
    let way_out = match ending.verdict {
        Verdict::Published => format!("`lamplighter report {run}` shows its report"),
        Verdict::Withheld if ending.exit_code == Class::Withheld.exit_code() => format!(
            "`lamplighter runs publish {run}` publishes it after a look; --rescore --reason \"…\" scores the date again"
        ),
        Verdict::Withheld | Verdict::Trial | Verdict::Unfinished => {
            "--rescore --reason \"…\" scores the date again".to_owned()
        }
    };
    format!(
        "{run} is already complete and {}: {}\n{way_out}",
        ending.verdict.as_str(),
        ending.explanation
    )
}

/// What a run would do.
#[derive(Serialize)]
struct DryRun {
    job: String,
    logical_date: String,
    action: &'static str,
    run: Option<String>,
    model: String,
    digest: String,
    numerics: &'static str,
    source: String,
    files: u64,
    input_bytes: u64,
    records: u64,
    duplicates: u64,
    shards: u64,
    workers: usize,
    fingerprint: String,
}

fn dry_run(
    job: &Job,
    date: LogicalDate,
    target: &Target,
    request: &Request,
    terminal: &Terminal,
) -> anyhow::Result<u8> {
    let prepared = Prepared::new(job, date, request.limit, target, &request.interrupt)?;
    let decision = target
        .look(|ledger| decide(ledger, &prepared, request.rescore.is_some()))?
        .unwrap_or(Decision::Plan);
    let plan = plan::plan(
        job,
        &prepared,
        plan::Occasion::default(),
        readers(job, &prepared, request.workers, target.is_shared()),
        &request.interrupt,
    )?;
    let records = match &prepared.input {
        Input::Queue(queue) => {
            let waiting = queue.waiting(&job.name)?;
            request.limit.map_or(waiting, |limit| limit.min(waiting))
        }
        Input::Parquet(_) | Input::Postgres(_) => {
            plan.shards().iter().map(|shard| shard.records).sum()
        }
    };
    let input = prepared.input.report(&prepared.fingerprint);
    let (action, run) = match decision {
        Decision::Done(run) => ("nothing, it is complete", Some(run.name().to_string())),
        Decision::Resume(run) => ("resume", Some(run.name().to_string())),
        Decision::Plan => ("plan a new run", None),
    };
    let summary = DryRun {
        job: job.name.clone(),
        logical_date: date.to_string(),
        action,
        run,
        model: format!("{} {}", prepared.bundle.name, prepared.bundle.version),
        digest: prepared.bundle.digest.clone(),
        numerics: prepared.numerics(),
        source: input.source,
        files: input.files,
        input_bytes: input.bytes,
        records,
        duplicates: plan
            .shards()
            .iter()
            .map(|shard| shard.duplicates.len() as u64)
            .sum(),
        shards: records.div_ceil(prepared.shard_size),
        workers: settings(job, &prepared, records, request.workers, target.is_shared()).workers,
        fingerprint: prepared.fingerprint.clone(),
    };
    terminal.print_either(&summary, || describe(&summary))?;
    Ok(0)
}

fn describe(dry_run: &DryRun) -> String {
    let mut text = format!(
        "{}@{}  dry run, nothing is written\n",
        dry_run.job, dry_run.logical_date
    );
    let run = dry_run
        .run
        .as_deref()
        .map_or_else(String::new, |run| format!(" ({run})"));
    let lines = [
        ("would", format!("{}{run}", dry_run.action)),
        ("model", format!("{} ({})", dry_run.model, dry_run.numerics)),
        ("digest", dry_run.digest.clone()),
        (
            "input",
            match dry_run.files {
                0 => dry_run.source.clone(),
                files => format!("{}, {}", text::files(files), ByteSize(dry_run.input_bytes)),
            },
        ),
        ("records", grouped(dry_run.records)),
        ("duplicates", grouped(dry_run.duplicates)),
        ("shards", grouped(dry_run.shards)),
        ("workers", dry_run.workers.to_string()),
    ];
    for (name, value) in lines {
        // Writing to a String can not fail.
        let _ = writeln!(text, "    {name:<14}{value}");
    }
    text
}
