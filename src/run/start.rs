//! One start of a job for one date, from the open ledger to the outcome.

use std::ffi::OsString;
use std::sync::Arc;

use super::attempt::{Assignment, Attempted, Begun, carry_out};
use super::identity::{Decision, decide};
use super::memory::readers;
use super::pipeline::Progress;
use super::plan::Occasion;
use super::spending::refuse_if_too_dear;
use super::tolerance::Tolerance;
use super::{Prepared, plan};
use crate::error::Failure;
use crate::interrupt::Interrupt;
use crate::job::{Job, LogicalDate};
use crate::ledger::{Ledger, Planning, Run, State};

/// What a start is asked for, beside job and date.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Worker threads; overrides the job's.
    pub workers: Option<usize>,
    /// The first so many records only, as a trial.
    pub limit: Option<u64>,
    /// Score a finished date again, for this reason.
    pub rescore: Option<String>,
    /// A backfill asks. Then a date that was scored again for the same reason is done.
    pub backfill: bool,
    /// Go on with an unfinished run, but begin no new one.
    pub resume_only: bool,
    /// Work on the run alone, or not at all.
    pub exclusive: bool,
    /// Asked between shards.
    pub interrupt: Interrupt,
    /// Command line of a process that scores single shards of this job.
    pub isolated_arguments: Vec<OsString>,
}

/// What came of a start.
pub enum Started {
    /// The date was done already; nothing was written.
    AlreadyDone(Box<Run>),
    /// The run was worked on.
    Attempted(Attempted),
}

/// Scores `job` for `date`.
///
/// # Errors
/// Of every class. What was committed stays, and the next start goes on from there.
pub fn start(
    ledger: &mut Ledger,
    job: &Job,
    date: LogicalDate,
    request: &Request,
    mut progress: impl FnMut(Progress),
) -> anyhow::Result<Started> {
    let begun = Begun::now(ledger)?;
    if request.limit.is_none() {
        refuse_if_too_dear(job, date, request)?;
    }
    let prepared = Arc::new(Prepared::new(
        job,
        date,
        request.limit,
        ledger.target(),
        &request.interrupt,
    )?);
    let run_id = match find_or_plan(ledger, job, &prepared, request)? {
        Found::Done(run) => return Ok(Started::AlreadyDone(run)),
        Found::Unfinished(run_id) => run_id,
    };
    let assignment = Assignment {
        job,
        prepared: &prepared,
        request,
        begun,
        tolerance: Tolerance::of_date(job.max_dead_letters),
        retry: None,
    };
    carry_out(ledger, run_id, assignment, &mut progress).map(Started::Attempted)
}

/// Where to go on.
enum Found {
    /// Nowhere: it is done.
    Done(Box<Run>),
    /// With this run, which may have been planned a moment ago.
    Unfinished(i64),
}

/// The run that this start means; plans one if there is none.
fn find_or_plan(
    ledger: &mut Ledger,
    job: &Job,
    prepared: &Prepared,
    request: &Request,
) -> anyhow::Result<Found> {
    let date = prepared.date.to_string();
    let mut rescore = request.rescore.as_deref();
    loop {
        let known = ledger.state_of_date(&job.name, &date)?;
        if let (true, Some(reason), Some(newest)) = (request.backfill, rescore, known.newest)
            && let Some(run) = ledger.run(newest)?
            && is_done_for(&run, reason, prepared)
        {
            return Ok(Found::Done(Box::new(run)));
        }
        match decide(ledger, prepared, rescore.is_some())? {
            Decision::Done(run) => return Ok(Found::Done(Box::new(run))),
            Decision::Resume(run) => {
                resume(ledger, &run, request)?;
                return Ok(Found::Unfinished(run.run_id));
            }
            Decision::Plan if request.resume_only => return Err(not_resumable(job, &date)),
            Decision::Plan => {
                let occasion = Occasion {
                    reason: rescore,
                    backfill: request.backfill,
                };
                let readers = readers(job, prepared, request.workers, ledger.is_shared());
                let plan = plan::plan(job, prepared, occasion, readers, &request.interrupt)?;
                let planning = plan.with_input(|input| ledger.plan_run(&plan.run, input, known))?;
                match planning {
                    Planning::Planned { run_id, given_up } => {
                        tell_given_up(ledger, &given_up)?;
                        return Ok(Found::Unfinished(run_id));
                    }
                    // Another start had the same wish, and fulfils it.
                    Planning::Overtaken if is_newest_alike(ledger, prepared, &date)? => {
                        rescore = None;
                    }
                    Planning::Overtaken => {}
                }
            }
        }
    }
}

/// Whether a date has been scored again for this reason already, with what there is now.
fn is_done_for(run: &Run, reason: &str, prepared: &Prepared) -> bool {
    run.reason.as_deref() == Some(reason)
        && run.fingerprint == prepared.fingerprint
        && !run.state.is_unfinished()
        && run.state != State::Cancelled
}

/// Says which unfinished runs a new one has replaced.
pub(super) fn tell_given_up(ledger: &mut Ledger, given_up: &[i64]) -> anyhow::Result<()> {
    for &run_id in given_up {
        if let Some(run) = ledger.run(run_id)? {
            tracing::warn!(run = %run.name(), "gave up an unfinished run: input, bundle or settings have changed since");
        }
    }
    Ok(())
}

fn is_newest_alike(ledger: &mut Ledger, prepared: &Prepared, date: &str) -> anyhow::Result<bool> {
    let run = match ledger.state_of_date(&prepared.job, date)?.newest {
        Some(newest) => ledger.run(newest)?,
        None => None,
    };
    Ok(run.is_some_and(|run| run.fingerprint == prepared.fingerprint))
}

/// Readies an unfinished run to be gone on with.
pub(super) fn resume(ledger: &mut Ledger, run: &Run, request: &Request) -> anyhow::Result<()> {
    if request.rescore.is_some() {
        tracing::info!("this generation is already under way; its own reason stands");
    }
    if run.state == State::Failed {
        tracing::info!(run = %run.name(), "taking up a run that had too many dead letters");
        ledger.reopen_run(run.run_id)?;
    }
    if ledger.is_shared() {
        // Claims of processes that are gone lapse by themselves.
        tracing::info!(run = %run.name(), "going on with an unfinished run");
    } else {
        // There is one writer, so whoever made these claims is gone.
        let released = ledger.release_claims(run.run_id, None)?;
        tracing::info!(run = %run.name(), abandoned_shards = released, "resuming");
    }
    Ok(())
}

fn not_resumable(job: &Job, date: &str) -> anyhow::Error {
    Failure::config(format!(
        "the unfinished run of {}@{date} can not be continued: its input, bundle or settings have changed since",
        job.name
    ))
    .hint(format!(
        "`lamplighter run … --date {date}` scores that date with what there is now; `lamplighter runs cancel` gives it up"
    ))
    .into()
}
