//! One start of a job for one date, from the open ledger to the outcome.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use super::finalize::{Course, Outcome, finalize};
use super::heartbeat::Heartbeat;
use super::identity::{Decision, decide};
use super::input::Input;
use super::pipeline::{self, Crew, Progress, Settings, Share};
use super::{Prepared, plan};
use crate::error::{self, Class, Failure};
use crate::interrupt::Interrupt;
use crate::job::{Job, LogicalDate};
use crate::ledger::{Beginning, Ledger, Participant, Planning, Run};
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
    /// Work on the run alone, or not at all.
    pub exclusive: bool,
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
    let run = ledger
        .run(run_id)?
        .ok_or_else(|| Failure::internal(format!("run {run_id} is gone")))?;
    tracing::info!(run = %run.name(), records = run.planned, model = %format_args!("{} {}", run.model_name, run.model_version), "scoring");
    let who = participant(job);
    let attempt = match ledger.begin_attempt(run_id, &who, request.exclusive)? {
        Beginning::Begun(attempt) => attempt,
        Beginning::Occupied(other) => return Err(occupied(&run, &other, request.exclusive)),
    };
    let settings = settings(job, &prepared, run.planned as u64, request.workers);
    let heartbeat = Heartbeat::start(ledger.target(), run_id, attempt, &who)?;
    let crew = Crew {
        who: &who,
        heartbeat: &heartbeat,
        interrupt: &request.interrupt,
    };
    let mut course = Course {
        begun,
        started_at,
        planning: begun.elapsed(),
        share: Share::default(),
        settings,
    };
    let outcome = work(
        ledger,
        &run,
        job,
        &prepared,
        &crew,
        &mut course,
        &mut progress,
    );
    let exit_code = match &outcome {
        Ok(outcome) => outcome.exit_code,
        Err(error) => error::classify(error).exit_code(),
    };
    if outcome.is_err() {
        leave(ledger, &run, &who);
    }
    // The outcome is decided; failing to note it must not change it.
    if let Err(error) = ledger.end_attempt(attempt, exit_code) {
        tracing::warn!("{error:#}");
    }
    outcome.map(|outcome| Started::Finished(Box::new(outcome)))
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
        match decide(ledger, prepared, rescore.is_some())? {
            Decision::Done(run) => return Ok(Found::Done(Box::new(run))),
            Decision::Resume(run) => {
                resume(ledger, &run, request)?;
                return Ok(Found::Unfinished(run.run_id));
            }
            Decision::Plan if request.resume_only => return Err(not_resumable(job, &date)),
            Decision::Plan => {
                let plan = plan::plan(job, prepared, rescore, &request.interrupt)?;
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

fn tell_given_up(ledger: &mut Ledger, given_up: &[i64]) -> anyhow::Result<()> {
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

fn resume(ledger: &mut Ledger, run: &Run, request: &Request) -> anyhow::Result<()> {
    if request.rescore.is_some() {
        tracing::info!("this generation is already under way; its own reason stands");
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

fn participant(job: &Job) -> Participant {
    let (host, pid) = (host_name(), std::process::id());
    // Containers may share host name and process id.
    let random = RandomState::new().hash_one(Timestamp::now());
    Participant {
        owner: format!("{host}:{pid}:{random:016x}"),
        host,
        pid,
        lease: job.lease,
    }
}

fn work(
    ledger: &mut Ledger,
    run: &Run,
    job: &Job,
    prepared: &Arc<Prepared>,
    crew: &Crew<'_>,
    course: &mut Course,
    progress: &mut dyn FnMut(Progress),
) -> anyhow::Result<Outcome> {
    course.share = pipeline::execute(ledger, run, prepared, course.settings, crew, progress)?;
    let outcome = finalize(ledger, run, job, prepared, course, crew.interrupt)?;
    // What is withheld is to be scored again, from the same rows, perhaps after a trial.
    let is_published = outcome.exit_code == 0 && !run.trial;
    if is_published && matches!(prepared.input, Input::Queue(_)) {
        prune(ledger, job);
    }
    Ok(outcome)
}

/// Deletes what has been in the queue for long enough. The run is finished all the same.
fn prune(ledger: &mut Ledger, job: &Job) {
    match ledger.prune_queue(&job.name, job.queue_retention) {
        Ok(0) => {}
        Ok(rows) => tracing::info!(rows, "pruned the queue ([retention] queue)"),
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

/// Worker threads, chunk size and the room for finished shards, within `max_memory`: at most a
/// quarter of it for chunks and half of it for finished shards. The run has `records` records.
pub fn settings(job: &Job, prepared: &Prepared, records: u64, workers: Option<usize>) -> Settings {
    let wanted = match workers.unwrap_or(job.workers) {
        // Respects CPU affinity and the quota of control groups.
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    let finished_shard = job.shard_size.min(records) * prepared.bytes_per_output();
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
