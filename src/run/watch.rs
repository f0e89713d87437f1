//! Since when each worker has been at its shard: how one that hangs is found.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What each worker is at, by its index.
pub(super) struct Watch(Mutex<Vec<Option<(u32, Instant)>>>);

impl Watch {
    /// Of so many workers, none of which is at anything.
    pub(super) fn new(workers: usize) -> Self {
        Self(Mutex::new(vec![None; workers]))
    }

    /// A worker begins a shard.
    pub(super) fn begun(&self, worker: usize, shard_no: u32) {
        self.lock()[worker] = Some((shard_no, Instant::now()));
    }

    /// A worker is done with its shard.
    pub(super) fn ended(&self, worker: usize) {
        self.lock()[worker] = None;
    }

    /// A shard that somebody has been at for longer than this.
    pub(super) fn hangs(&self, timeout: Duration) -> Option<u32> {
        let workers = self.lock();
        let mut shards = workers.iter().flatten();
        shards
            .find(|(_, since)| since.elapsed() > timeout)
            .map(|(shard_no, _)| *shard_no)
    }

    /// Whether any worker is at a shard.
    pub(super) fn is_anybody_at_work(&self) -> bool {
        self.lock().iter().any(Option::is_some)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<(u32, Instant)>>> {
        // What is inside is whole at any moment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
