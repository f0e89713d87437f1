//! `lamplighter run`: score the records of a date.

use std::fmt::Write;

use bytesize::ByteSize;
use jiff::Timestamp;
use serde::Serialize;

use super::database_url;
use crate::cli::{GlobalOptions, RunOptions};
use crate::error;
use crate::job::{Job, LoadOptions, LogicalDate};
use crate::ledger::{Access, Ledger};
use crate::report::text::{self, grouped};
use crate::run::identity::decide;
use crate::run::start::{Request, Started, settings, start};
use crate::run::{Decision, Prepared, plan};
use crate::terminal::Terminal;

/// Runs the command.
///
/// # Errors
/// Whatever keeps tonight's date from being finished. An earlier date that fails is logged; its
/// exit code is the process's only if tonight's is 0.
pub fn run(
    options: &RunOptions,
    global: &GlobalOptions,
    terminal: &Terminal,
) -> anyhow::Result<u8> {
    let job = Job::load(
        &options.job,
        &LoadOptions {
            env: options.env.clone(),
            set: options.set.clone(),
            variables: &|name| std::env::var(name).ok(),
        },
    )?;
    let date = job
        .schedule
        .resolve(options.date.as_deref(), Timestamp::now())?;
    let url = database_url(global, job.database.as_deref())?;
    let request = Request {
        workers: options.workers.map(usize::from),
        limit: options.limit,
        rescore: options
            .rescore
            .then(|| options.reason.clone().unwrap_or_default()),
    };
    if options.dry_run {
        return dry_run(&job, date, &url, &request, terminal);
    }
    let mut ledger = Ledger::open(&url, Access::Write)?;
    let mut exit_code_of_earlier = 0;
    if request.limit.is_none() {
        for earlier in unfinished_dates(&mut ledger, &job, date)? {
            tracing::info!(job = job.name, date = %earlier, "continuing an unfinished date");
            let request = Request {
                rescore: None,
                ..request.clone()
            };
            match score(&mut ledger, &job, earlier, &request, terminal) {
                Ok(0) => {}
                Ok(exit_code) => exit_code_of_earlier = exit_code,
                Err(failure) => {
                    let failure = failure.context(format!("unfinished date {earlier}"));
                    terminal.error(&failure);
                    tracing::warn!(
                        "{}@{earlier} stays unfinished and is tried again by the next start; `lamplighter runs cancel` gives it up",
                        job.name
                    );
                    exit_code_of_earlier = error::classify(&failure).exit_code();
                }
            }
        }
    }
    let exit_code = score(&mut ledger, &job, date, &request, terminal)?;
    ledger.close()?;
    Ok(match exit_code {
        0 => exit_code_of_earlier,
        exit_code => exit_code,
    })
}

/// Other dates with unfinished runs, the newest `catch_up` of them, the oldest first.
fn unfinished_dates(
    ledger: &mut Ledger,
    job: &Job,
    date: LogicalDate,
) -> anyhow::Result<Vec<LogicalDate>> {
    let tonight = date.to_string();
    // One more, because tonight's own date may be among them.
    let limit = job.schedule.catch_up.saturating_add(1);
    let mut dates = ledger.unfinished_dates(&job.name, limit)?;
    dates.retain(|date| *date != tonight);
    dates.truncate(job.schedule.catch_up as usize);
    dates.iter().rev().map(|date| Ok(date.parse()?)).collect()
}

fn score(
    ledger: &mut Ledger,
    job: &Job,
    date: LogicalDate,
    request: &Request,
    terminal: &Terminal,
) -> anyhow::Result<u8> {
    let mut view = terminal.progress(&format!("{}@{date}", job.name));
    let started = start(ledger, job, date, request, |progress| view.show(progress))?;
    drop(view);
    match started {
        Started::Finished(outcome) => {
            terminal.print_either(&outcome.report, || text::render(&outcome.report))?;
            Ok(outcome.exit_code)
        }
        Started::AlreadyDone(run) => {
            let exit_code = run.exit_code.unwrap_or(0);
            tracing::info!(
                run = %run.name(),
                completed_at = run.completed_at,
                exit_code,
                "already complete, nothing to do"
            );
            let report = ledger.report(run.run_id)?.unwrap_or_default();
            let report: serde_json::Value = serde_json::from_str(&report)?;
            terminal.print_either(&report, || {
                format!(
                    "{} is already complete and {}; `lamplighter report {}` shows its report",
                    run.name(),
                    run.publication.as_str(),
                    run.name()
                )
            })?;
            Ok(u8::try_from(exit_code).unwrap_or(0))
        }
    }
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
    files: usize,
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
    url: &str,
    request: &Request,
    terminal: &Terminal,
) -> anyhow::Result<u8> {
    let prepared = Prepared::new(job, date, request.limit)?;
    let decision = match Ledger::open(url, Access::Read) {
        Ok(mut ledger) => decide(&mut ledger, &prepared, request.rescore.is_some())?,
        // No database yet is the one thing that a first run may lack.
        Err(failure) if error::classify(&failure) == error::Class::NoInput => Decision::Plan,
        Err(failure) => return Err(failure),
    };
    let (_, shards) = plan::plan(job, &prepared, None)?;
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
        files: prepared.input.files().len(),
        input_bytes: prepared
            .input
            .files()
            .iter()
            .map(|file| file.size_bytes)
            .sum(),
        records: prepared.input.rows(),
        duplicates: shards
            .iter()
            .map(|shard| shard.duplicates.len() as u64)
            .sum(),
        shards: shards.len() as u64,
        workers: settings(job, &prepared, request.workers).workers,
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
            format!("{} files, {}", dry_run.files, ByteSize(dry_run.input_bytes)),
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
