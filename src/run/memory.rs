//! How much a process takes in hand at a time: what keeps its memory within `[run] max_memory`.
//!
//! A process that vanished without a word may have been ended for want of memory, by the system or by
//! an allocation that failed. Nothing tells that from any other kill afterwards, so whoever comes next
//! reads half as many rows at a time, down to a floor, and below it uses half as many workers. Nothing
//! that a prediction depends on changes with it.

use bytesize::ByteSize;
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::{Prepared, Settings};
use crate::database::sqlite::CACHE_BYTES;
use crate::job::Job;
use crate::ledger::{Attempt, Ledger, Run};
use crate::report::resources::host_name;

/// Rows that a worker reads at a time, at most.
const CHUNK_ROWS: u64 = 8192;

/// And at least, however small `max_memory` is.
const SMALLEST_CHUNK_ROWS: u64 = 256;

/// What the program takes beside what it reads: its code, connections, decoders.
const PROGRAM_BYTES: u64 = 32 << 20;

/// Threads that commit to one database: more wait for each other.
const MOST_COMMITTERS: usize = 2;

/// So many threads; of 0 one per core that the process may use, by CPU affinity and the quota of control
/// groups.
pub fn worker_threads(wanted: usize) -> usize {
    match wanted {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        wanted => wanted,
    }
}

/// How planning reads: threads, and rows that each reads at a time.
#[derive(Clone, Copy, Debug)]
pub struct Readers {
    /// Threads.
    pub threads: usize,
    /// Rows.
    pub chunk_rows: usize,
}

/// As many threads as will score, and as many rows of the columns that ids and filter take, within
/// `max_memory` as [`settings`] are.
pub fn readers(job: &Job, prepared: &Prepared, workers: Option<usize>, is_shared: bool) -> Readers {
    let room = Room::of(job, prepared, prepared.shard_size, workers, is_shared);
    Readers {
        threads: room.workers,
        chunk_rows: room.chunk_rows(prepared.bytes_per_id_row()),
    }
}

/// What fits into memory.
struct Room {
    /// Bytes that `max_memory` leaves beside what is taken anyway and the weights.
    left: u64,
    wanted: usize,
    workers: usize,
    committers: usize,
    /// Finished shards that may wait.
    waiting: usize,
}

impl Room {
    /// With shards of at most so many records.
    fn of(
        job: &Job,
        prepared: &Prepared,
        records: u64,
        workers: Option<usize>,
        is_shared: bool,
    ) -> Self {
        let wanted = worker_threads(workers.unwrap_or(job.workers));
        let finished_shard = records * prepared.bytes_per_output();
        let taken = taken_anyway(is_shared) + weight_bytes(prepared);
        let left = job.max_memory_bytes.saturating_sub(taken);
        let shards = (left / 2 / finished_shard.max(1)) as usize;
        // One connection is for everything else.
        let committers = match is_shared {
            true => MOST_COMMITTERS.min(job.sink.connections - 1),
            false => 0,
        };
        // One shard in each worker's hands, some on their way into the database, one or more in wait.
        let committing = committers.max(1);
        let workers = wanted.min(shards.saturating_sub(committing + 1)).max(1);
        let waiting = shards
            .saturating_sub(workers + committing)
            .clamp(1, workers);
        Self {
            left,
            wanted,
            workers,
            committers,
            waiting,
        }
    }

    fn chunk_rows(&self, bytes_per_row: u64) -> usize {
        let rows = self.left / 4 / self.workers as u64 / bytes_per_row;
        rows.clamp(SMALLEST_CHUNK_ROWS, CHUNK_ROWS) as usize
    }
}

/// What a run takes whatever its settings are: the program, and the page cache of an SQLite file.
pub fn taken_anyway(is_shared: bool) -> u64 {
    let cache = if is_shared { 0 } else { CACHE_BYTES };
    PROGRAM_BYTES + cache
}

/// Bytes of the model's weights, which all workers share.
pub fn weight_bytes(prepared: &Prepared) -> u64 {
    prepared.bundle.network.parameters() * size_of::<f32>() as u64
}

/// Worker threads, chunk size and the room for finished shards, within what `max_memory` leaves: at most a
/// quarter of it for chunks and half of it for finished shards. The run has `records` records, and
/// `is_shared` says whether the ledger takes several writers.
pub fn settings(
    job: &Job,
    prepared: &Prepared,
    records: u64,
    workers: Option<usize>,
    is_shared: bool,
) -> Settings {
    let records = prepared.shard_size.min(records);
    let room = Room::of(job, prepared, records, workers, is_shared);
    if room.left == 0 {
        tracing::warn!(
            "[run] max_memory, {}, can not be kept: program, weights and the ledger's cache alone take {}",
            ByteSize(job.max_memory_bytes),
            ByteSize(taken_anyway(is_shared) + weight_bytes(prepared))
        );
    } else if room.workers < room.wanted {
        tracing::warn!(
            workers = room.workers,
            wanted = room.wanted,
            "[run] max_memory allows fewer workers; a smaller shard_size would allow more"
        );
    }
    Settings {
        workers: room.workers,
        committers: room.committers,
        room: room.waiting,
        chunk_rows: room.chunk_rows(prepared.bytes_per_row()),
        grace: job.grace,
        shard_timeout: job.shard_timeout,
    }
}

/// The same settings, smaller if the last process that worked on the run vanished.
///
/// # Errors
/// The database's.
pub fn after_a_vanished_attempt(
    ledger: &mut Ledger,
    run: &Run,
    settings: Settings,
) -> anyhow::Result<Settings> {
    let is_shared = ledger.is_shared();
    let attempts = ledger.attempts(run.run_id)?;
    let mut gone = attempts
        .iter()
        .rev()
        .filter(|attempt| !is_at_work(attempt, is_shared));
    let vanished = gone
        .next()
        .filter(|attempt| attempt.ended_at.is_none())
        .and_then(|attempt| attempt.chunk_rows);
    let Some(before) = vanished else {
        return Ok(settings);
    };
    let smaller = halved(settings, before);
    tracing::warn!(
        run = %run.name(),
        chunk_rows = smaller.chunk_rows,
        workers = smaller.workers,
        "the process before this one vanished, perhaps for want of memory: reading {} rows at a time, after {before}",
        smaller.chunk_rows
    );
    Ok(smaller)
}

/// After a process that read `before` rows at a time.
fn halved(settings: Settings, before: u64) -> Settings {
    let floor = SMALLEST_CHUNK_ROWS as usize;
    // One process may have other settings than the one before it.
    let before = usize::try_from(before)
        .unwrap_or(usize::MAX)
        .min(settings.chunk_rows);
    let workers = match before <= floor {
        true => settings.workers.div_ceil(2),
        false => settings.workers,
    };
    Settings {
        chunk_rows: (before / 2).max(floor),
        workers,
        room: settings.room.min(workers),
        ..settings
    }
}

/// Whether an attempt is under way. Its own host knows at once; of another one, its lease tells.
fn is_at_work(attempt: &Attempt, is_shared: bool) -> bool {
    let is_gone_here = || {
        let pid = i32::try_from(attempt.pid).map(Pid::from_raw);
        attempt.host == host_name() && pid.is_ok_and(|pid| kill(pid, None) == Err(Errno::ESRCH))
    };
    // Where there is one writer, it is here.
    is_shared && attempt.ended_at.is_none() && attempt.seems_alive && !is_gone_here()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn rows_are_halved_down_to_a_floor_and_then_workers() {
        let full = Settings {
            workers: 4,
            committers: 0,
            room: 4,
            chunk_rows: 8192,
            grace: Duration::ZERO,
            shard_timeout: Duration::MAX,
        };
        let sizes = |settings: Settings| (settings.chunk_rows, settings.workers);
        assert_eq!(sizes(halved(full, 8192)), (4096, 4));
        assert_eq!(sizes(halved(full, 300)), (256, 4));
        assert_eq!(sizes(halved(full, 256)), (256, 2));
        assert_eq!(sizes(halved(full, u64::MAX)), (4096, 4));
        let single = Settings { workers: 1, ..full };
        assert_eq!(sizes(halved(single, 256)), (256, 1));
    }
}
