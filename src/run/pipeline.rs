//! The run's order of events: claim, score, commit.
//!
//! A rayon pool of explicit size scores; the calling thread alone talks to the database. It hands
//! out blocks of neighbouring shards, so that a worker's reader can go on where it stands, and
//! commits what comes back. What is handed out and what waits to be committed is bounded, and with
//! it memory, whatever the input's size.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use super::Prepared;
use super::worker::Worker;
use crate::error::{Failure, panic_message};
use crate::interrupt::Interrupt;
use crate::ledger::{Claim, Ledger, ShardCommit};

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

/// Shards that a worker gets at once, at most.
const LARGEST_BLOCK: usize = 8;

/// Longest time between two reports of progress.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);

type Scored = anyhow::Result<ShardCommit>;

/// Works on a run until no shard is left. Returns the time spent on commits.
///
/// # Errors
/// The first error of a worker or of the database; to stop is requested (75), in which case workers
/// finish the shards that they have begun. What was committed stays.
pub fn execute(
    ledger: &mut Ledger,
    run_id: i64,
    prepared: &Arc<Prepared>,
    settings: Settings,
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(Progress),
) -> anyhow::Result<Duration> {
    let done = ledger.progress(run_id)?;
    let mut dispatcher = Dispatcher {
        run_id,
        owner: format!("pid {}", std::process::id()),
        unclaimed: done.shards - done.completed_shards,
        in_hand: 0,
        workers: settings.workers,
        progress: Progress {
            planned: prepared.input.rows(),
            records: done.records,
            dead_letters: done.dead_letters,
        },
        committing: Duration::ZERO,
    };
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
        let outcome = dispatcher.run(ledger, work, &results, &stop, interrupt, progress);
        stop.store(true, Ordering::Relaxed);
        // Workers that wait for room must find that nobody will make any.
        drop(results);
        outcome
    })?;
    Ok(dispatcher.committing)
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

/// The side that talks to the database.
struct Dispatcher {
    run_id: i64,
    owner: String,
    /// Shards not yet handed out.
    unclaimed: u64,
    /// Shards handed out and not yet committed.
    in_hand: usize,
    workers: usize,
    progress: Progress,
    committing: Duration,
}

impl Dispatcher {
    fn run(
        &mut self,
        ledger: &mut Ledger,
        work: Sender<Vec<Claim>>,
        results: &Receiver<Scored>,
        stop: &AtomicBool,
        interrupt: &Interrupt,
        progress: &mut dyn FnMut(Progress),
    ) -> anyhow::Result<()> {
        self.hand_out(ledger, &work)?;
        while self.in_hand > 0 {
            if interrupt.is_requested() {
                break;
            }
            match results.recv_timeout(REPORT_INTERVAL) {
                Ok(scored) => {
                    self.commit(ledger, &scored?)?;
                    self.hand_out(ledger, &work)?;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::internal("all workers are gone").into());
                }
            }
            progress(self.progress);
        }
        if self.in_hand == 0 {
            return Ok(());
        }
        self.finish_what_is_begun(ledger, work, results, stop)?;
        let Progress {
            planned, records, ..
        } = self.progress;
        tracing::warn!("interrupted with {records} of {planned} records committed");
        Ok(interrupt.check()?)
    }

    /// Commits the shards that workers are at, and no others.
    fn finish_what_is_begun(
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
        Ok(())
    }

    /// Claims blocks until there is one in wait for every worker.
    fn hand_out(&mut self, ledger: &mut Ledger, work: &Sender<Vec<Claim>>) -> anyhow::Result<()> {
        let block = self.block();
        while self.unclaimed > 0 && work.len() < self.workers {
            let claims = ledger.claim_shards(self.run_id, &self.owner, block)?;
            if claims.is_empty() {
                self.unclaimed = 0;
                break;
            }
            self.unclaimed = self.unclaimed.saturating_sub(claims.len() as u64);
            self.in_hand += claims.len();
            work.send(claims)
                .map_err(|_| Failure::internal("all workers are gone"))?;
        }
        Ok(())
    }

    /// Blocks grow smaller towards the end, so that workers finish together.
    fn block(&self) -> usize {
        let share = self.unclaimed as usize / (self.workers * 4);
        share.clamp(1, LARGEST_BLOCK)
    }

    fn commit(&mut self, ledger: &mut Ledger, shard: &ShardCommit) -> anyhow::Result<()> {
        let begun = Instant::now();
        if !ledger.commit_shard(self.run_id, shard)? {
            return Err(Failure::internal(format!(
                "shard {} was claimed by another process, which can not be with an exclusive ledger",
                shard.shard_no
            ))
            .into());
        }
        self.committing += begun.elapsed();
        self.in_hand -= 1;
        let dead_letters = shard.dead_letters.len() as u64;
        self.progress.dead_letters += dead_letters;
        self.progress.records += shard.predictions.len() as u64 + dead_letters + shard.filtered;
        Ok(())
    }
}
