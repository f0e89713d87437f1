//! Commits of shards: by the dispatcher itself, or, where the database takes several writers, by threads
//! beside it, so that one shard is sorted and sent while the server stores another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::pipeline::Scored;
use crate::error::{Failure, panic_message};
use crate::ledger::{Committed, Ledger, ShardCommit};
use crate::record::DUPLICATE_ID;

/// What became of a scored shard.
pub(super) struct Done {
    pub(super) shard_no: u32,
    pub(super) committed: Committed,
    /// Records of the shard.
    pub(super) records: u64,
    pub(super) predicted: u64,
    pub(super) dead_letters: u64,
    /// Dead letters that are no duplicates.
    pub(super) rejected: u64,
    /// Time that the commit took.
    pub(super) elapsed: Duration,
}

/// Where shards come from that are done with.
pub(super) enum Finished {
    /// Workers: they are still to be committed.
    Scored(Receiver<Scored>),
    /// Committers.
    Committed(Receiver<anyhow::Result<Done>>),
}

impl Finished {
    /// The next shard, committed, if there is one by then.
    pub(super) fn next(
        &self,
        ledger: &mut Ledger,
        run_id: i64,
        deadline: Instant,
    ) -> Result<anyhow::Result<Done>, RecvTimeoutError> {
        match self {
            Finished::Scored(results) => {
                let scored = results.recv_deadline(deadline)?;
                Ok(scored.and_then(|shard| commit(ledger, run_id, &shard)))
            }
            Finished::Committed(done) => done.recv_deadline(deadline),
        }
    }
}

/// A committer thread: commits what workers have scored until there is no more, or a commit fails.
pub(super) fn serve(
    mut ledger: Ledger,
    run_id: i64,
    results: &Receiver<Scored>,
    done: &Sender<anyhow::Result<Done>>,
) {
    for scored in results {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            scored.and_then(|shard| commit(&mut ledger, run_id, &shard))
        }))
        .unwrap_or_else(|panic| {
            let reason = panic_message(panic.as_ref());
            Err(Failure::internal(format!("a committer panicked: {reason}")).into())
        });
        let failed = outcome.is_err();
        if done.send(outcome).is_err() || failed {
            return;
        }
    }
}

fn commit(ledger: &mut Ledger, run_id: i64, shard: &ShardCommit) -> anyhow::Result<Done> {
    let begun = Instant::now();
    let committed = ledger.commit_shard(run_id, shard)?;
    let letters = shard.dead_letters.iter();
    let rejected = letters.filter(|letter| letter.code != DUPLICATE_ID).count() as u64;
    let predicted = shard.predictions.len();
    let dead_letters = shard.dead_letters.len() as u64;
    Ok(Done {
        shard_no: shard.shard_no,
        committed,
        records: predicted + dead_letters + shard.filtered,
        predicted,
        dead_letters,
        rejected,
        elapsed: begun.elapsed(),
    })
}
