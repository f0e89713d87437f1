//! The run's order of events: claim, score, commit.
//!
//! A rayon pool of explicit size scores; the calling thread alone writes to the ledger. It hands
//! out blocks of neighbouring shards, so that a worker's reader can go on where it stands, and
//! commits what comes back. What is handed out and what waits to be committed is bounded, and with
//! it memory, whatever the input's size.
//!
//! Other processes may work on the same run. Then a shard may turn out to be another's by the time
//! it is to be committed, and is dropped; and a process that finds nothing left to claim waits until
//! its peers are done, and takes over what they leave. It never returns before the run's last shard
//! is completed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use super::Prepared;
use super::heartbeat::Heartbeat;
use super::worker::Worker;
use crate::error::{Class, Failure, panic_message};
use crate::interrupt::Interrupt;
use crate::ledger::{Claim, Committed, Ledger, Participant, Run, ShardCommit, State};

/// How a run works; nothing that a prediction depends on.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Worker threads.
    pub workers: usize,
    /// Finished shards that may wait for the database.
    pub room: usize,
    /// Rows that a worker reads at a time.
    pub chunk_rows: usize,
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

/// Shards that a worker gets at once, at most.
const LARGEST_BLOCK: usize = 8;

/// Longest time between two reports of progress.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);

/// How often to look whether peers have left something. The database has no event that reaches
/// through a connection pooler.
const PEER_INTERVAL: Duration = Duration::from_millis(250);

type Scored = anyhow::Result<ShardCommit>;

/// Works on a run until no shard of it is left.
///
/// # Errors
/// The first error of a worker or of the database; to stop is requested, or somebody gave the run up
/// (75). On a stop workers finish the shards that they have begun. What was committed stays.
pub fn execute(
    ledger: &mut Ledger,
    run: &Run,
    prepared: &Arc<Prepared>,
    settings: Settings,
    crew: &Crew<'_>,
    progress: &mut dyn FnMut(Progress),
) -> anyhow::Result<Share> {
    let mut dispatcher = Dispatcher {
        run,
        crew,
        claimable: 0,
        next_look: Instant::now(),
        in_hand: 0,
        workers: settings.workers,
        progress: Progress {
            planned: run.planned as u64,
            ..Progress::default()
        },
        share: Share::default(),
        is_waiting: false,
    };
    if dispatcher.look(ledger)? {
        progress(dispatcher.progress);
        return Ok(dispatcher.share);
    }
    progress(dispatcher.progress);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(settings.workers)
        .thread_name(|index| format!("worker-{index}"))
        .build()
        .context("cannot start the workers")?;
    let (work, blocks) = unbounded();
    // A worker that is further ahead waits.
    let (scored, results) = bounded(settings.room);
    let stop = AtomicBool::new(false);
    pool.in_place_scope(|scope| {
        for _ in 0..settings.workers {
            let (blocks, scored, stop) = (blocks.clone(), scored.clone(), &stop);
            let worker = Worker::new(prepared.clone(), settings.chunk_rows);
            scope.spawn(move |_| serve(worker, &blocks, &scored, stop));
        }
        drop(scored);
        let outcome = dispatcher.run(ledger, work, &results, &stop, progress);
        stop.store(true, Ordering::Relaxed);
        // Workers that wait for room must find that nobody will make any.
        drop(results);
        outcome
    })?;
    Ok(dispatcher.share)
}

/// Who works, and what keeps them at it.
pub struct Crew<'a> {
    /// This process.
    pub who: &'a Participant,
    /// What keeps its claims alive.
    pub heartbeat: &'a Heartbeat,
    /// Asked between shards.
    pub interrupt: &'a Interrupt,
}

/// A worker thread: scores blocks until there are no more.
fn serve(
    mut worker: Worker,
    blocks: &Receiver<Vec<Claim>>,
    scored: &Sender<Scored>,
    stop: &AtomicBool,
) {
    for claim in blocks.iter().flatten() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| worker.score(&claim)))
            .unwrap_or_else(|panic| {
                let reason = panic_message(panic.as_ref());
                Err(Failure::internal(format!("a worker panicked: {reason}")).into())
            })
            .with_context(|| format!("shard {}", claim.slice.shard_no));
        let failed = outcome.is_err();
        if scored.send(outcome).is_err() || failed {
            return;
        }
    }
}

/// The side that writes to the ledger.
struct Dispatcher<'a> {
    run: &'a Run,
    crew: &'a Crew<'a>,
    /// Shards that were not completed when last looked, less those claimed since.
    claimable: u64,
    /// When to ask again for shards that peers may have left.
    next_look: Instant,
    /// Shards handed out and not yet committed.
    in_hand: usize,
    workers: usize,
    progress: Progress,
    share: Share,
    is_waiting: bool,
}

impl Dispatcher<'_> {
    fn run(
        &mut self,
        ledger: &mut Ledger,
        work: Sender<Vec<Claim>>,
        results: &Receiver<Scored>,
        stop: &AtomicBool,
        progress: &mut dyn FnMut(Progress),
    ) -> anyhow::Result<()> {
        loop {
            self.hand_out(ledger, &work)?;
            if self.crew.interrupt.is_requested() {
                return self.stop(ledger, work, results, stop);
            }
            let patience = match self.in_hand {
                0 => PEER_INTERVAL,
                _ => REPORT_INTERVAL,
            };
            match results.recv_timeout(crate::database::jittered(patience)) {
                Ok(scored) => self.commit(ledger, &scored?)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::internal("all workers are gone").into());
                }
            }
            if self.in_hand == 0 && self.claimable == 0 && self.look(ledger)? {
                progress(self.progress);
                return Ok(());
            }
            progress(self.progress);
        }
    }

    /// Looks at the run's shards. Returns whether all of them are completed.
    fn look(&mut self, ledger: &mut Ledger) -> anyhow::Result<bool> {
        let now = ledger.progress(self.run.run_id)?;
        self.progress.records = now.records;
        self.progress.dead_letters = now.dead_letters;
        self.claimable = now.shards - now.completed_shards;
        if self.claimable == 0 {
            return Ok(true);
        }
        match self.state(ledger)? {
            // A peer completed the last shard, and then the run, since the look above.
            Some(State::Completed) => {
                self.claimable = 0;
                Ok(true)
            }
            Some(State::Planning | State::Running) => Ok(false),
            Some(State::Failed | State::Cancelled) | None => Err(given_up(self.run)),
        }
    }

    fn state(&self, ledger: &mut Ledger) -> anyhow::Result<Option<State>> {
        Ok(ledger.run(self.run.run_id)?.map(|run| run.state))
    }

    /// Commits the shards that workers are at, and no others.
    fn stop(
        &mut self,
        ledger: &mut Ledger,
        work: Sender<Vec<Claim>>,
        results: &Receiver<Scored>,
        stop: &AtomicBool,
    ) -> anyhow::Result<()> {
        stop.store(true, Ordering::Relaxed);
        drop(work);
        for scored in results {
            self.commit(ledger, &scored?)?;
        }
        if self.look(ledger)? {
            return Ok(());
        }
        let Progress {
            planned, records, ..
        } = self.progress;
        tracing::warn!("interrupted with {records} of {planned} records committed");
        Ok(self.crew.interrupt.check()?)
    }

    /// Claims blocks until there is one in wait for every worker.
    fn hand_out(&mut self, ledger: &mut Ledger, work: &Sender<Vec<Claim>>) -> anyhow::Result<()> {
        while self.claimable > 0 && work.len() < self.workers {
            if Instant::now() < self.next_look || !self.crew.heartbeat.is_steady() {
                return Ok(());
            }
            let claims = ledger.claim_shards(self.run.run_id, self.crew.who, self.block())?;
            if claims.is_empty() {
                return self.nothing_to_claim(ledger);
            }
            self.is_waiting = false;
            self.crew.heartbeat.hold(&claims);
            self.claimable = self.claimable.saturating_sub(claims.len() as u64);
            self.in_hand += claims.len();
            work.send(claims)
                .map_err(|_| Failure::internal("all workers are gone"))?;
        }
        Ok(())
    }

    /// Whatever is left is in this process's hands or in its peers'.
    fn nothing_to_claim(&mut self, ledger: &Ledger) -> anyhow::Result<()> {
        if !ledger.is_shared() {
            self.claimable = 0;
            return Ok(());
        }
        self.next_look = Instant::now() + crate::database::jittered(PEER_INTERVAL);
        if self.in_hand == 0 {
            // Looked at afresh before it is asked for again.
            self.claimable = 0;
            if !self.is_waiting {
                tracing::info!(run = %self.run.name(), "other processes hold the shards that are left; waiting for them");
                self.is_waiting = true;
            }
        }
        Ok(())
    }

    /// Blocks grow smaller towards the end, so that workers finish together.
    fn block(&self) -> usize {
        let share = self.claimable as usize / (self.workers * 4);
        share.clamp(1, LARGEST_BLOCK)
    }

    fn commit(&mut self, ledger: &mut Ledger, shard: &ShardCommit) -> anyhow::Result<()> {
        let begun = Instant::now();
        let committed = ledger.commit_shard(self.run.run_id, shard)?;
        self.share.committing += begun.elapsed();
        self.in_hand -= 1;
        self.crew.heartbeat.let_go(shard.shard_no);
        match committed {
            Committed::Yes => {
                let dead_letters = shard.dead_letters.len() as u64;
                let records = shard.predictions.len() as u64 + dead_letters + shard.filtered;
                self.share.records += records;
                self.progress.dead_letters += dead_letters;
                self.progress.records += records;
                Ok(())
            }
            Committed::Fenced if ledger.is_shared() => {
                if let Some(State::Failed | State::Cancelled) = self.state(ledger)? {
                    return Err(given_up(self.run));
                }
                tracing::warn!(
                    run = %self.run.name(),
                    shard = shard.shard_no,
                    "this process was silent for longer than [run] lease, and its claim lapsed: the shard is another's now, and nothing of it was written here"
                );
                Ok(())
            }
            Committed::Fenced => Err(Failure::internal(format!(
                "shard {} was claimed by another process, which can not be with an exclusive ledger",
                shard.shard_no
            ))
            .into()),
        }
    }
}

/// The failure of a process whose run was taken from it.
pub(super) fn given_up(run: &Run) -> anyhow::Error {
    Failure::new(
        Class::Temporary,
        format!(
            "{} was given up while this process worked on it",
            run.name()
        ),
    )
    .hint("`lamplighter runs list` shows what came after it; start again to go on with that")
    .into()
}
