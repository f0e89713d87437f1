//! One start of a job for one date, from the open ledger to the outcome.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use super::finalize::{Course, Outcome, finalize};
use super::identity::{Decision, decide};
use super::pipeline::{self, Progress, Settings};
use super::{Prepared, plan};
use crate::error::{self, Failure};
use crate::interrupt::Interrupt;
use crate::job::{Job, LogicalDate};
use crate::ledger::{Ledger, Run};
use crate::report::resources::host_name;

/// What a start is asked for, beside job and date.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Worker threads; overrides the job's.
    pub workers: Option<usize>,
    /// The first so many records only, as a trial.
    pub limit: Option<u64>,
    /// Score a finished date again, for this reason.
    pub rescore: Option<String>,
    /// Go on with an unfinished run, but begin no new one.
    pub resume_only: bool,
    /// Asked between shards.
    pub interrupt: Interrupt,
}

/// What came of a start.
pub enum Started {
    /// The date was done already; nothing was written.
    AlreadyDone(Box<Run>),
    /// The run was worked on to its end.
    Finished(Box<Outcome>),
}

/// Rows that a worker reads at a time, at most.
const CHUNK_ROWS: usize = 8192;

/// And at least, however small `max_memory` is.
const SMALLEST_CHUNK_ROWS: usize = 256;

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
    let (begun, started_at) = (Instant::now(), Timestamp::now());
    let prepared = Arc::new(Prepared::new(job, date, request.limit)?);
    let run_id = match decide(ledger, &prepared, request.rescore.is_some())? {
        Decision::Done(run) => return Ok(Started::AlreadyDone(Box::new(run))),
        Decision::Resume(run) => {
            let released = ledger.release_abandoned_claims(run.run_id)?;
            if request.rescore.is_some() {
                tracing::info!("this generation is already under way; its own reason stands");
            }
            tracing::info!(run = %run.name(), abandoned_shards = released, "resuming");
            run.run_id
        }
        Decision::Plan if request.resume_only => {
            return Err(Failure::config(format!(
                "the unfinished run of {}@{date} can not be continued: its input, bundle or settings have changed since",
                job.name
            ))
            .hint(format!(
                "`lamplighter run … --date {date}` scores that date with what there is now; `lamplighter runs cancel` gives it up"
            ))
            .into());
        }
        Decision::Plan => {
            let (run, shards) = plan::plan(
                job,
                &prepared,
                request.rescore.as_deref(),
                &request.interrupt,
            )?;
            for replaced in ledger.unfinished_runs(&run.job, &run.logical_date, run.trial)? {
                tracing::warn!(run = %replaced.name(), "giving up an unfinished run: input, bundle or settings have changed since");
            }
            ledger.plan_run(&run, &shards)?
        }
    };
    let run = ledger
        .run(run_id)?
        .ok_or_else(|| Failure::internal(format!("run {run_id} is gone")))?;
    tracing::info!(run = %run.name(), records = run.planned, model = %format_args!("{} {}", run.model_name, run.model_version), "scoring");
    let attempt = ledger.begin_attempt(run_id, &host_name(), std::process::id())?;
    let settings = settings(job, &prepared, request.workers);
    let mut course = Course {
        begun,
        started_at,
        planning: begun.elapsed(),
        committing: std::time::Duration::ZERO,
        found: Progress::default(),
        settings,
    };
    let outcome = work(
        ledger,
        &run,
        job,
        &prepared,
        &request.interrupt,
        &mut course,
        &mut progress,
    );
    let exit_code = match &outcome {
        Ok(outcome) => outcome.exit_code,
        Err(error) => error::classify(error).exit_code(),
    };
    if outcome.is_err() {
        leave(ledger, &run);
    }
    // The outcome is decided; failing to note it must not change it.
    if let Err(error) = ledger.end_attempt(attempt, exit_code) {
        tracing::warn!("{error:#}");
    }
    outcome.map(|outcome| Started::Finished(Box::new(outcome)))
}

fn work(
    ledger: &mut Ledger,
    run: &Run,
    job: &Job,
    prepared: &Arc<Prepared>,
    interrupt: &Interrupt,
    course: &mut Course,
    progress: &mut dyn FnMut(Progress),
) -> anyhow::Result<Outcome> {
    let mut first = None;
    let mut show = |now| {
        first.get_or_insert(now);
        progress(now);
    };
    course.committing = pipeline::execute(
        ledger,
        run.run_id,
        prepared,
        course.settings,
        interrupt,
        &mut show,
    )?;
    course.found = first.unwrap_or_default();
    finalize(ledger, run, job, prepared, course)
}

/// Leaves a run that failed in a state that the next start can go on with. Nobody goes on with a
/// trial.
fn leave(ledger: &mut Ledger, run: &Run) {
    let left = match run.trial {
        true => ledger.cancel_run(run.run_id).map(drop),
        false => ledger.release_abandoned_claims(run.run_id).map(drop),
    };
    if let Err(error) = left {
        // The next start releases claims as well.
        tracing::debug!("{error:#}");
    }
}

/// Worker threads, chunk size and the room for finished shards, within `max_memory`: at most a
/// quarter of it for chunks and half of it for finished shards.
pub fn settings(job: &Job, prepared: &Prepared, workers: Option<usize>) -> Settings {
    let wanted = match workers.unwrap_or(job.workers) {
        // Respects CPU affinity and the quota of control groups.
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    let finished_shard = job.shard_size.min(prepared.input.rows()) * prepared.bytes_per_output();
    let shards = (job.max_memory_bytes / 2 / finished_shard.max(1)) as usize;
    // One shard in each worker's hands, one on its way into the database, one or more in wait.
    let workers = wanted.min(shards.saturating_sub(2)).max(1);
    let room = shards.saturating_sub(workers + 1).clamp(1, workers);
    let chunk = job.max_memory_bytes / 4 / workers as u64 / prepared.bytes_per_row();
    if workers < wanted {
        tracing::warn!(
            workers,
            wanted,
            "[run] max_memory allows fewer workers; a smaller shard_size would allow more"
        );
    }
    Settings {
        workers,
        room,
        chunk_rows: (chunk as usize).clamp(SMALLEST_CHUNK_ROWS, CHUNK_ROWS),
    }
}
