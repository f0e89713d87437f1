//! The run's order of events: claim, score, commit.
//!
//! A rayon pool of explicit size scores. The calling thread hands out blocks of neighbouring shards, so
//! that a worker's reader can go on where it stands, and has what comes back committed: by itself, or by
//! a few threads if the database takes several writers. What is handed out and what waits to be
//! committed is bounded, and with it memory, whatever the input's size.
//!
//! Other processes may work on the same run. Then a shard may turn out to be another's by the time
//! it is to be committed, and is dropped; and a process that finds nothing left to claim waits until
//! its peers are done, and takes over what they leave. It never returns before the run's last shard
//! is completed, unless it is to stop: because somebody says so, because it is late, or because too
//! many dead letters make the rest of the work worthless. Then what is in hand is committed, or, if
//! that takes too long, dropped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::Prepared;
use super::committer::{self, Finished};
use super::dispatcher::Dispatcher;
use super::heartbeat::Heartbeat;
use super::isolate::{Isolation, Launcher};
use super::tolerance::Tolerance;
use super::watch::Watch;
use super::worker::{Orders, Worker};
use crate::error::{Failure, panic_message};
use crate::interrupt::Interrupt;
use crate::ledger::{Access, Claim, Ledger, Participant, Run, ShardCommit, Target};
use crate::monitor::profile::Collector;

/// How a run works; nothing that a prediction depends on.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Worker threads.
    pub workers: usize,
    /// Threads that commit; 0 if the dispatcher does so itself.
    pub committers: usize,
    /// Finished shards that may wait for the database.
    pub room: usize,
    /// Rows that a worker reads at a time.
    pub chunk_rows: usize,
    /// How long the shards in hand may take when the run is to stop.
    pub grace: Duration,
    /// How long a shard may take at all.
    pub shard_timeout: Duration,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Records of the run.
    pub planned: u64,
    /// Records of completed shards.
    pub records: u64,
    /// Dead letters of completed shards.
    pub dead_letters: u64,
}

/// What this process did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Share {
    /// Time spent on commits.
    pub committing: Duration,
    /// Records of the shards that it committed.
    pub records: u64,
}

/// How work on a run came to an end.
pub enum End {
    /// Every shard is completed.
    Completed,
    /// This process stops, for this reason. The run is as before, or failed.
    Stopped(Failure),
}

/// What a worker says of a shard.
pub(super) type Scored = anyhow::Result<ShardCommit>;

/// Works on a run until no shard of it is left, or until it is to stop. On a stop workers finish the
/// shards that they have begun, within the grace. What was committed stays.
///
/// # Errors
/// The first error of a worker or of the database; somebody gave the run up (75).
pub fn execute(
    ledger: &mut Ledger,
    run: &Run,
    prepared: &Arc<Prepared>,
    settings: Settings,
    crew: &Crew<'_>,
    share: &mut Share,
    progress: &mut dyn FnMut(Progress),
) -> anyhow::Result<End> {
    let now = ledger.progress(run.run_id)?;
    let mut dispatcher = Dispatcher::new(run, crew, settings, now, share);
    if dispatcher.look(ledger)? {
        progress(dispatcher.progress());
        return Ok(End::Completed);
    }
    progress(dispatcher.progress());
    if let Some(failure) = dispatcher.reason_to_stop(ledger)? {
        dispatcher.fail_if_worthless(ledger, &failure)?;
        return Ok(End::Stopped(failure));
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(settings.workers)
        .thread_name(|index| format!("worker-{index}"))
        .build()
        .context("cannot start the workers")?;
    let (work, blocks) = unbounded();
    // A worker that is further ahead waits.
    let (scored, results) = bounded(settings.room);
    let (orders, watch) = (dispatcher.orders.clone(), dispatcher.watch.clone());
    // Opened before the first claim: what can not be committed need not be scored.
    let ledgers = (0..settings.committers)
        .map(|_| ledger.target().open(Access::Look))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let target = ledger.target().clone();
    let work_on = |scope: &rayon::Scope<'_>, finished: Finished| {
        for index in 0..settings.workers {
            let (blocks, scored) = (blocks.clone(), scored.clone());
            let (orders, launcher) = (orders.clone(), crew.launcher.clone());
            let desk = Desk {
                index,
                worker: Worker::new(prepared.clone(), settings.chunk_rows, orders.clone()),
                isolation: Isolation::new(launcher, prepared.clone(), orders.clone()),
                orders,
                watch: watch.clone(),
                target: target.clone(),
                run_id: run.run_id,
            };
            scope.spawn(move |_| desk.serve(&blocks, &scored));
        }
        drop(scored);
        let outcome = dispatcher.run(ledger, work, &finished, progress);
        orders.drop_all();
        // Whoever waits for room must find that nobody will make any.
        drop(finished);
        if let Err(error) = &outcome {
            dispatcher.end_if_a_worker_stays(ledger, error);
        }
        outcome
    };
    if ledgers.is_empty() {
        return pool.in_place_scope(|scope| work_on(scope, Finished::Scored(results)));
    }
    thread::scope(|threads| {
        let (done, finished) = unbounded();
        for ledger in ledgers {
            let (results, done) = (results.clone(), done.clone());
            threads.spawn(move || committer::serve(ledger, run.run_id, &results, &done));
        }
        drop((results, done));
        pool.in_place_scope(|scope| work_on(scope, Finished::Committed(finished)))
    })
}

/// Who works, what keeps them at it, and what they must keep to.
pub struct Crew<'a> {
    /// This process.
    pub who: &'a Participant,
    /// Its attempt at the run.
    pub attempt: i64,
    /// What keeps its claims alive.
    pub heartbeat: &'a Heartbeat,
    /// Asked between shards.
    pub interrupt: &'a Interrupt,
    /// Starts processes for shards that kill.
    pub launcher: &'a Launcher,
    /// How many dead letters there may be; `None` to find all of them, as a trial does.
    pub tolerance: Option<Tolerance>,
}

/// A worker thread, and what it has.
struct Desk {
    index: usize,
    worker: Worker,
    isolation: Isolation,
    orders: Arc<Orders>,
    watch: Arc<Watch>,
    /// Where results go.
    target: Target,
    run_id: i64,
}

impl Desk {
    /// Scores blocks until there are no more.
    fn serve(mut self, blocks: &Receiver<Vec<Claim>>, scored: &Sender<Scored>) {
        for claim in blocks.iter().flatten() {
            if !self.orders.may_begin() {
                return;
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| self.score(&claim)))
                .unwrap_or_else(|panic| {
                    let reason = panic_message(panic.as_ref());
                    Err(Failure::internal(format!("a worker panicked: {reason}")).into())
                })
                .with_context(|| format!("shard {}", claim.slice.shard_no));
            self.watch.ended(self.index);
            // One that was dropped stays claimed until this process gives its claims back.
            let Some(outcome) = outcome.transpose() else {
                return;
            };
            let failed = outcome.is_err();
            if scored.send(outcome).is_err() || failed {
                return;
            }
        }
    }

    fn score(&mut self, claim: &Claim) -> anyhow::Result<Option<ShardCommit>> {
        let one_in = Collector::one_in(claim.slice.records);
        let results = match claim.is_suspect() {
            // A child that hangs is ended in time.
            true => self.isolation.score(&claim.slice, one_in)?,
            false => {
                self.watch.begun(self.index, claim.slice.shard_no);
                self.worker.score(&claim.slice, one_in)?
            }
        };
        results
            .map(|results| results.into_commit(&self.target, self.run_id, claim))
            .transpose()
    }
}
