//! One process's work on a run, from the note that it begins to the note how it ended.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use super::Prepared;
use super::finalize::{self, Outcome, finalize};
use super::heartbeat::Heartbeat;
use super::input::Input;
use super::isolate::Launcher;
use super::memory::{after_a_vanished_attempt, settings};
use super::pipeline::{self, Crew, End, Progress, Share};
use super::start::Request;
use super::summary::Course;
use super::tolerance::Tolerance;
use crate::error::{self, Class, Failure};
use crate::interrupt::Interrupt;
use crate::job::Job;
use crate::ledger::{Beginning, Ledger, Participant, Run};
use crate::report::resources::{self, host_name, unique_process};
use crate::report::{RetryOf, RunReport};

/// When a start began, by this process's patience and by the clock that counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    pub(super) at: Instant,
    pub(super) time: Timestamp,
    pub(super) before: resources::Before,
}

impl Begun {
    /// Now.
    ///
    /// # Errors
    /// The database's.
    pub(super) fn now(ledger: &mut Ledger) -> anyhow::Result<Self> {
        Ok(Self {
            at: Instant::now(),
            time: ledger.now()?,
            before: resources::Before::now(),
        })
    }
}

/// What came of the work.
pub enum Attempted {
    /// The run was worked on to its end.
    Finished(Box<Outcome>),
    /// This process left before that, for this reason; the report of what there is, if it could be
    /// made.
    Stopped(Failure, Option<Box<Outcome>>),
}

impl Attempted {
    /// The report, if there is one.
    pub fn report(&self) -> Option<&RunReport> {
        match self {
            Attempted::Finished(outcome) => Some(&outcome.report),
            Attempted::Stopped(_, outcome) => Some(&outcome.as_deref()?.report),
        }
    }
}

/// What a run is worked on with.
pub(super) struct Assignment<'a> {
    pub(super) job: &'a Job,
    pub(super) prepared: &'a Arc<Prepared>,
    pub(super) request: &'a Request,
    pub(super) begun: Begun,
    pub(super) tolerance: Tolerance,
    pub(super) retry: Option<RetryOf>,
}

/// Works on a run to its end, or until it is to stop.
///
/// # Errors
/// Of every class. What was committed stays, and the next start goes on from there.
pub(super) fn carry_out(
    ledger: &mut Ledger,
    run_id: i64,
    assignment: Assignment<'_>,
    progress: &mut dyn FnMut(Progress),
) -> anyhow::Result<Attempted> {
    let Assignment {
        job,
        prepared,
        request,
        begun,
        tolerance,
        retry,
    } = assignment;
    let run = ledger
        .run(run_id)?
        .ok_or_else(|| Failure::internal(format!("run {run_id} is gone")))?;
    tracing::info!(run = %run.name(), records = run.planned, model = %format_args!("{} {}", run.model_name, run.model_version), "scoring");
    let planned = run.planned as u64;
    let is_shared = ledger.is_shared();
    let settings = settings(job, prepared, planned, request.workers, is_shared);
    let settings = after_a_vanished_attempt(ledger, &run, settings)?;
    let who = participant(job, settings.chunk_rows);
    let attempt = match ledger.begin_attempt(run_id, &who, request.exclusive)? {
        Beginning::Begun(attempt) => attempt,
        Beginning::Occupied(other) => return Err(occupied(&run, &other, request.exclusive)),
    };
    let heartbeat = Heartbeat::start(ledger.target(), run_id, attempt, &who)?;
    let launcher = Launcher {
        arguments: isolated_arguments(request, prepared, settings.chunk_rows),
        shard_timeout: settings.shard_timeout,
    };
    let crew = Crew {
        who: &who,
        attempt,
        heartbeat: &heartbeat,
        interrupt: &request.interrupt,
        launcher: &launcher,
        tolerance: (!run.trial).then_some(tolerance),
    };
    let mut course = Course {
        job,
        owner: who.owner.clone(),
        begun: begun.at,
        started_at: begun.time,
        planning: begun.at.elapsed(),
        share: Share::default(),
        settings,
        tolerance,
        retry,
        before: begun.before,
    };
    let outcome = work(ledger, &run, job, prepared, &crew, &mut course, progress);
    let exit_code = match &outcome {
        Ok(Attempted::Finished(outcome)) => outcome.exit_code,
        Ok(Attempted::Stopped(failure, _)) => failure.class().exit_code(),
        Err(error) => error::classify(error).exit_code(),
    };
    if !matches!(outcome, Ok(Attempted::Finished(_))) {
        leave(ledger, &run, &who);
    }
    // The outcome is decided; failing to note it must not change it.
    if let Err(error) = ledger.end_attempt(attempt, exit_code) {
        tracing::warn!("{error:#}");
    }
    outcome
}

fn work(
    ledger: &mut Ledger,
    run: &Run,
    job: &Job,
    prepared: &Arc<Prepared>,
    crew: &Crew<'_>,
    course: &mut Course<'_>,
    progress: &mut dyn FnMut(Progress),
) -> anyhow::Result<Attempted> {
    let mut share = Share::default();
    let end = pipeline::execute(
        ledger,
        run,
        prepared,
        course.settings,
        crew,
        &mut share,
        progress,
    )?;
    course.share = share;
    if let End::Stopped(failure) = end {
        let so_far = finalize::so_far(ledger, run, prepared, course, &failure);
        // To stop is what was asked for; the report of it is a courtesy.
        let so_far = so_far
            .map_err(|error| tracing::warn!("no report of what there is, and no alert: {error:#}"));
        return Ok(Attempted::Stopped(failure, so_far.ok().map(Box::new)));
    }
    let outcome = finalize(ledger, run, prepared, course, crew.interrupt)?;
    // What is withheld is to be scored again, from the same rows, perhaps after a trial.
    let is_published = outcome.exit_code == 0 && !run.trial;
    if is_published && matches!(prepared.input, Input::Queue(_)) {
        prune(ledger, job, crew.interrupt);
    }
    Ok(Attempted::Finished(Box::new(outcome)))
}

/// Deletes what has been in the queue for long enough. The run is finished all the same.
fn prune(ledger: &mut Ledger, job: &Job, interrupt: &Interrupt) {
    let proceed = &mut || Ok(interrupt.check()?);
    match ledger.prune_queue(&job.name, job.retention.queue, proceed) {
        Ok(0) => {}
        Ok(rows) => tracing::info!(rows, "pruned the queue ([retention] queue)"),
        Err(error) if interrupt.is_requested() => tracing::debug!("{error:#}"),
        Err(error) => tracing::warn!("{error:#}; the next run tries again"),
    }
}

/// Leaves a run that failed in a state that the next start can go on with. Nobody goes on with a
/// trial.
fn leave(ledger: &mut Ledger, run: &Run, who: &Participant) {
    let left = match run.trial {
        true => ledger.cancel_run(run.run_id).map(drop),
        false => ledger
            .release_claims(run.run_id, Some(&who.owner))
            .map(drop),
    };
    if let Err(error) = left {
        // Claims lapse, or the next start releases them.
        tracing::debug!("{error:#}");
    }
}

fn occupied(run: &Run, other: &str, exclusive: bool) -> anyhow::Error {
    let why = match exclusive {
        true => "and --exclusive was asked for",
        false => "which wants to be alone (--exclusive)",
    };
    Failure::new(
        Class::Temporary,
        format!("{} is being worked on by {other}, {why}", run.name()),
    )
    .hint("start again when it is done; a process that was killed is forgotten after [run] lease")
    .into()
}

fn participant(job: &Job, chunk_rows: usize) -> Participant {
    Participant {
        owner: unique_process(),
        host: host_name(),
        pid: std::process::id(),
        lease: job.lease,
        chunk_rows: chunk_rows as u64,
    }
}

/// What a process for a single shard is given beside what this one was given.
fn isolated_arguments(
    request: &Request,
    prepared: &Prepared,
    chunk_rows: usize,
) -> Arc<[OsString]> {
    let mut more = vec![
        "--date".to_owned(),
        prepared.date.to_string(),
        "--chunk-rows".to_owned(),
        chunk_rows.to_string(),
        "--fingerprint".to_owned(),
        prepared.input_fingerprint.clone(),
    ];
    if let Some(limit) = prepared.limit {
        more.extend(["--limit".to_owned(), limit.to_string()]);
    }
    let given = request.isolated_arguments.iter().cloned();
    given.chain(more.into_iter().map(OsString::from)).collect()
}
