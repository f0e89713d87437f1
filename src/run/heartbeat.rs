//! The heartbeat of a process that works on a run which others may work on too.
//!
//! A thread of its own prolongs the leases of the shards in hand, so that neither a long shard nor a
//! slow commit loses them. It borrows a connection for each beat and holds none between. When beats
//! fail for as long as a lease lasts, the leases may have lapsed: nothing more is to be claimed then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::ledger::{Access, Claim, Ledger, Participant, Target};

/// Beats in the time that a lease lasts.
const BEATS: u32 = 4;

/// Keeps leases alive until it is dropped.
pub struct Heartbeat {
    shared: Arc<Mutex<Shared>>,
    lease: Duration,
    /// Whether there are others who could take leases over.
    has_peers: bool,
    /// Dropping it ends the thread.
    _stop: Sender<()>,
}

struct Shared {
    /// Number and epoch of the shards in hand.
    held: BTreeMap<u32, i64>,
    last_beat: Instant,
}

impl Heartbeat {
    /// Begins to beat for the attempt of `who` at a run. Where there are no others there is nothing
    /// to keep alive.
    ///
    /// # Errors
    /// The system starts no thread.
    pub fn start(
        target: &Target,
        run_id: i64,
        attempt_id: i64,
        who: &Participant,
    ) -> anyhow::Result<Self> {
        let shared = Arc::new(Mutex::new(Shared {
            held: BTreeMap::new(),
            last_beat: Instant::now(),
        }));
        let (stop, stopped) = bounded(0);
        if target.is_shared() {
            let beating = Beating {
                target: target.clone(),
                run_id,
                attempt_id,
                who: who.clone(),
                shared: shared.clone(),
            };
            thread::Builder::new()
                .name("heartbeat".to_owned())
                .spawn(move || beating.until(&stopped))
                .context("cannot start the heartbeat")?;
        }
        Ok(Self {
            shared,
            lease: who.lease,
            has_peers: target.is_shared(),
            _stop: stop,
        })
    }

    /// Notes shards that are in hand from now on.
    pub fn hold(&self, claims: &[Claim]) {
        let claims = claims.iter();
        lock(&self.shared)
            .held
            .extend(claims.map(|claim| (claim.slice.shard_no, claim.epoch)));
    }

    /// Notes that a shard is in hand no more.
    pub fn let_go(&self, shard_no: u32) {
        lock(&self.shared).held.remove(&shard_no);
    }

    /// Whether leases are known to be alive.
    pub fn is_steady(&self) -> bool {
        let shared = lock(&self.shared);
        !self.has_peers || shared.held.is_empty() || shared.last_beat.elapsed() < self.lease
    }
}

struct Beating {
    target: Target,
    run_id: i64,
    attempt_id: i64,
    who: Participant,
    shared: Arc<Mutex<Shared>>,
}

impl Beating {
    fn until(&self, stopped: &Receiver<()>) {
        let mut ledger = None;
        while stopped.recv_timeout(self.who.lease / BEATS) == Err(RecvTimeoutError::Timeout) {
            let begun = Instant::now();
            match self.beat(&mut ledger) {
                Ok(()) => lock(&self.shared).last_beat = begun,
                Err(error) => tracing::warn!("cannot prolong this process's leases: {error:#}"),
            }
        }
    }

    fn beat(&self, ledger: &mut Option<Ledger>) -> anyhow::Result<()> {
        let held: Vec<(u32, i64)> = {
            let shared = lock(&self.shared);
            shared
                .held
                .iter()
                .map(|(shard, epoch)| (*shard, *epoch))
                .collect()
        };
        let ledger = match ledger {
            Some(ledger) => ledger,
            None => ledger.insert(self.target.open(Access::Look)?),
        };
        ledger.keep_claims(self.run_id, self.attempt_id, &self.who, &held)?;
        Ok(())
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    // What is inside is whole at any moment, also if a thread panicked while it held the lock.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
