//! `lamplighter backfill`: score many dates, each by a run of its own.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use super::{Invocation, isolated_arguments, load_job, target, with_ledger};
use crate::cli::{self, BackfillOptions};
use crate::error::{Class, Failure};
use crate::fault;
use crate::interrupt::Interrupt;
use crate::job::{Job, LogicalDate, SourceKind};
use crate::ledger::{Access, Ledger, Target};
use crate::report::text::grouped;
use crate::run::backfill::{
    Backfill, DateOutcome, Event, Reprocess, Standing, backfill, exit_code, standing,
};
use crate::run::start::Request;
use crate::status::missing::{Range, missing_dates};
use crate::terminal::Terminal;

/// Runs the command.
///
/// # Errors
/// The dates make no range, or too long a one (64), the job has no dates (78), the database can not be opened. What
/// becomes of the single dates is in the exit code.
pub fn run(options: &BackfillOptions, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    let terminal = invocation.terminal;
    let job = load_job(&options.job)?;
    fault::prepare()?;
    refuse_queue(&job)?;
    let target = target(invocation, Some(&job))?;
    let now = target.now()?;
    let dates = dates(options, &job, &target, now)?;
    warn_of_one_input_for_all(&job, dates.len());
    let reprocess = match options.reprocess {
        cli::Reprocess::None => Reprocess::None,
        cli::Reprocess::Failed => Reprocess::Failed,
        cli::Reprocess::All => Reprocess::All,
    };
    if options.dry_run {
        let reason = options.reason.as_deref();
        let planned = look(
            &target,
            &job,
            &dates,
            (reprocess, reason),
            invocation.interrupt,
        )?;
        terminal.print_either(&planned, || planned_table(&job, &planned))?;
        return Ok(0);
    }
    let max_active = max_active(options, &target, dates.len());
    let plan = Backfill {
        job: share_of(&job, max_active),
        dates,
        reprocess,
        reason: options.reason.clone(),
        max_active,
        request: Request {
            workers: Some((workers_of(options, &job) / max_active).max(1)),
            interrupt: invocation.interrupt.clone(),
            isolated_arguments: isolated_arguments(&options.job, invocation.global),
            ..Request::default()
        },
    };
    with_ledger(&target, Access::WriteInTurn, |ledger| {
        ledger.note_job(&plan.job.name, &plan.job.schedule.to_json())
    })?;
    let outcomes = watch(terminal, &target, &plan);
    terminal.print_either(&outcomes, || table(&job, &outcomes))?;
    invocation.interrupt.check()?;
    Ok(exit_code(&outcomes))
}

/// Scores the dates while the terminal shows it.
fn watch(terminal: &Terminal, target: &Target, plan: &Backfill) -> Vec<DateOutcome> {
    let all = terminal.dates(&plan.job.name, plan.dates.len());
    let views = Mutex::new(HashMap::new());
    backfill(target, plan, &|event| {
        let mut views = views.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Begun(date) => {
                let what = format!("{}@{date}", plan.job.name);
                views.insert(date, terminal.progress(&what));
            }
            Event::Progress(date, progress) => {
                if let Some(view) = views.get_mut(&date) {
                    view.show(progress);
                }
            }
            Event::Done(outcome) => {
                views.remove(&outcome.date);
                all.advance();
                tell(&plan.job, outcome);
            }
        }
    })
}

fn tell(job: &Job, outcome: &DateOutcome) {
    let date = outcome.date;
    match (outcome.exit_code, &outcome.problem) {
        (Some(0), _) | (_, None) => {
            tracing::info!(job = job.name, %date, records = outcome.records, "{}", outcome.outcome);
        }
        (exit_code, Some(problem)) => {
            tracing::error!(job = job.name, %date, exit_code, "{}: {problem}", outcome.outcome);
        }
    }
}

/// Dates of one backfill: more than ten years of hours.
const MOST_DATES: usize = 100_000;

/// The dates that are meant, the oldest first.
fn dates(
    options: &BackfillOptions,
    job: &Job,
    target: &Target,
    now: Timestamp,
) -> anyhow::Result<Vec<LogicalDate>> {
    let resolve = |text: &Option<String>| {
        let date = text
            .as_deref()
            .map(|text| job.schedule.resolve(Some(text), now));
        date.transpose()
    };
    let range = Range {
        first: resolve(&options.from)?,
        last: resolve(&options.to)?,
    };
    let dates: Vec<LogicalDate> = match (range.first, range.last) {
        (Some(first), Some(last)) if first > last => {
            let problem = format!("--from {first} lies after --to {last}");
            return Err(Failure::new(Class::Usage, problem).into());
        }
        (Some(first), Some(last)) if !options.missing => {
            let dates = job.schedule.dates(first, last);
            dates.take(MOST_DATES + 1).collect()
        }
        _ => missing(job, target, range, now)?,
    };
    if dates.len() > MOST_DATES {
        let most = grouped(MOST_DATES as u64);
        let problem = format!("the range has more than {most} dates");
        return Err(Failure::new(Class::Usage, problem)
            .hint("a range with fewer: --from and --to")
            .into());
    }
    Ok(dates)
}

/// Dates of the range that are due and that consumers do not see.
fn missing(
    job: &Job,
    target: &Target,
    range: Range,
    now: Timestamp,
) -> anyhow::Result<Vec<LogicalDate>> {
    let missing =
        target.look(|ledger| missing_dates(ledger, &job.name, &job.schedule, range, now))?;
    let Some(missing) = missing else {
        // No database yet: all of it is missing.
        let Some(first) = range.first else {
            return Err(Failure::new(
                Class::NoInput,
                "without --from, missing dates are counted from the job's first, and there is no database yet",
            )
            .hint("give --from")
            .into());
        };
        return Ok(range.expected(&job.schedule, first, now));
    };
    Ok(missing.into_iter().map(|missing| missing.date).collect())
}

fn refuse_queue(job: &Job) -> Result<(), Failure> {
    if !matches!(job.source.kind, SourceKind::Queue(_)) {
        return Ok(());
    }
    Err(Failure::config(format!(
        "{} reads the queue, which has no dates: whatever waits is scored by the next run",
        job.name
    ))
    .hint("`lamplighter queue push` the records and `lamplighter run` the job"))
}

/// A source that does not know the date gives each date the same records.
fn warn_of_one_input_for_all(job: &Job, dates: usize) {
    if dates > 1 && !job.source.kind.names_the_date() {
        tracing::warn!(
            job = job.name,
            "[source] does not name the date ({{date}} in a path, :date in SQL): every date scores the same input"
        );
    }
}

/// Dates at a time. A file has one writer.
fn max_active(options: &BackfillOptions, target: &Target, dates: usize) -> usize {
    let wanted = usize::from(options.max_active).min(dates.max(1));
    if wanted > 1 && !target.is_shared() {
        tracing::warn!("an SQLite database takes one writer: one date at a time");
        return 1;
    }
    wanted
}

fn workers_of(options: &BackfillOptions, job: &Job) -> usize {
    match options.workers.map_or(job.workers, usize::from) {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    }
}

/// The job as each of so many dates at a time has it.
fn share_of(job: &Job, max_active: usize) -> Job {
    Job {
        max_memory_bytes: (job.max_memory_bytes / max_active as u64).max(1),
        ..job.clone()
    }
}

/// A date of a dry run.
#[derive(Serialize)]
struct PlannedDate {
    date: LogicalDate,
    standing: Standing,
    run: Option<String>,
}

fn look(
    target: &Target,
    job: &Job,
    dates: &[LogicalDate],
    (reprocess, reason): (Reprocess, Option<&str>),
    interrupt: &Interrupt,
) -> anyhow::Result<Vec<PlannedDate>> {
    let known = |ledger: &mut Ledger| {
        let mut planned = Vec::new();
        for &date in dates {
            interrupt.check()?;
            let runs = ledger.newest_and_published(&job.name, &date.to_string())?;
            let standing = standing(&runs, reprocess, reason);
            planned.push(PlannedDate {
                date,
                standing,
                run: standing.run_of(&runs).map(|run| run.name().to_string()),
            });
        }
        Ok(planned)
    };
    let planned = target.look(|ledger| ledger.at_one_moment(known))?;
    // No database yet: all of it is new.
    Ok(planned.unwrap_or_else(|| {
        let new = |&date| PlannedDate {
            date,
            standing: Standing::New,
            run: None,
        };
        dates.iter().map(new).collect()
    }))
}

fn planned_table(job: &Job, planned: &[PlannedDate]) -> String {
    let to_score = planned
        .iter()
        .filter(|date| date.standing.is_to_be_scored());
    let mut text = format!(
        "{}  dry run, nothing is written: {} of {} dates would be scored\n",
        job.name,
        to_score.count(),
        planned.len()
    );
    for PlannedDate {
        date,
        standing,
        run,
    } in planned
    {
        let what = match standing {
            Standing::New => "score",
            Standing::Unfinished => "go on",
            Standing::Again => "score again",
            Standing::Published => "leave alone, it is published",
            Standing::Ended => "leave alone, it ended without being published",
        };
        let run = run
            .as_deref()
            .map_or_else(String::new, |run| format!(" ({run})"));
        // Writing to a String can not fail.
        let _ = writeln!(text, "    {date}  {what}{run}");
    }
    text
}

fn table(job: &Job, outcomes: &[DateOutcome]) -> String {
    let well = outcomes.iter().filter(|date| date.exit_code == Some(0));
    let mut text = format!(
        "{}  {} of {} dates are published\n{:<14}{:<19}{:>12}{:>10}{:>9}{:>6}  {}\n",
        job.name,
        well.count(),
        outcomes.len(),
        "DATE",
        "OUTCOME",
        "RECORDS",
        "DEAD",
        "SECONDS",
        "EXIT",
        "RUN"
    );
    let count = |count: Option<u64>| count.map_or("-".to_owned(), grouped);
    for outcome in outcomes {
        let code = outcome
            .exit_code
            .map_or("-".to_owned(), |code| code.to_string());
        let _ = writeln!(
            text,
            "{:<14}{:<19}{:>12}{:>10}{:>9.2}{code:>6}  {}",
            outcome.date.to_string(),
            outcome.outcome,
            count(outcome.records),
            count(outcome.dead_letters),
            outcome.seconds,
            outcome.run.as_deref().unwrap_or("-"),
        );
        if let Some(problem) = &outcome.problem {
            let _ = writeln!(text, "              {problem}");
        }
    }
    text
}
