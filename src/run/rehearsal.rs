//! How fast a job goes on this machine: its own records, bundle and settings, for two seconds, with
//! nothing left behind.
//!
//! Workers score as they do in a run. What they come to is committed to a scratch file of SQLite's, on
//! the disk of the real one, or to temporary tables of the Postgres that it would go to. These are
//! not in the server's write-ahead log, which [`WITHOUT_LOG`] makes up for.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{RecvTimeoutError, bounded};
use tempfile::TempDir;

use super::Prepared;
use super::input::Input;
use super::memory::readers;
use super::pipeline::Settings;
use super::plan::{self, Occasion, Plan};
use super::worker::{Orders, Worker};
use crate::database::sqlite::has_writer;
use crate::error::{self, Class, Failure};
use crate::interrupt::Interrupt;
use crate::job::Job;
use crate::ledger::{
    Access, Claim, DateState, Ledger, PlannedInput, Planning, ShardCommit, ShardSlice, Target,
    TargetOptions,
};
use crate::monitor::profile::Collector;

/// How long a probe scores.
const BUDGET: Duration = Duration::from_secs(2);

/// How often to look at the clock, and whether to stop.
const INTERVAL: Duration = Duration::from_millis(50);

/// A run into Postgres takes so many times as long as its rehearsal, which writes no log and waits for
/// no disk: 1.4 to 1.6 on one million flights, two cores for workers and server together.
const WITHOUT_LOG: f64 = 1.5;

/// Records that a probe looks at, at most.
pub const MOST_RECORDS: u64 = 1_000_000;

/// What a probe found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measured {
    /// Records that were planned.
    pub planned: u64,
    /// How long planning them took, in seconds.
    pub plan_seconds: f64,
    /// Records that were scored and committed.
    pub records: u64,
    /// How long that took, in seconds.
    pub seconds: f64,
    /// A run takes so many times as long.
    pub slower_in_earnest: f64,
    /// Nothing was committed.
    pub database_was_left_out: bool,
    /// How long it took to count what was committed, in seconds.
    pub count_seconds: f64,
}

impl Measured {
    /// How long planning so many records takes, in seconds.
    pub fn planning(&self, records: u64) -> f64 {
        share(records, self.plan_seconds, self.planned)
    }

    /// How long it takes to score so many records, which are left, and to count all, in seconds.
    pub fn scoring(&self, records: u64, left: u64) -> f64 {
        share(left, self.seconds * self.slower_in_earnest, self.records)
            + share(records, self.count_seconds, self.records)
    }
}

fn share(of: u64, seconds: f64, done: u64) -> f64 {
    match done {
        0 => 0.0,
        done => of as f64 * seconds / done as f64,
    }
}

/// Scores the first records of `prepared`, a trial of at most [`MOST_RECORDS`], for two seconds.
///
/// # Errors
/// Those of planning, reading and scoring; the database's; to stop is requested (75).
pub fn rehearse(
    job: &Job,
    prepared: &Arc<Prepared>,
    target: &Target,
    settings: Settings,
    interrupt: &Interrupt,
) -> anyhow::Result<Measured> {
    let begun = Instant::now();
    let plan = plan::plan(
        job,
        prepared,
        Occasion::default(),
        readers(job, prepared, Some(settings.workers), target.is_shared()),
        interrupt,
    )?;
    let shards = shards(job, prepared, &plan, target)?;
    let mut measured = Measured {
        planned: shards.iter().map(|shard| shard.records).sum(),
        plan_seconds: begun.elapsed().as_secs_f64(),
        ..Measured::default()
    };
    if shards.is_empty() {
        return Ok(measured);
    }
    let scratch = Scratch::new(target, prepared, &plan, interrupt)?;
    let scored = score(prepared, &shards, &scratch, settings, interrupt)?;
    measured.records = scored.records;
    measured.seconds = scored.seconds;
    measured.slower_in_earnest = match scratch {
        Scratch::File { .. } | Scratch::Nowhere(_) => 1.0,
        Scratch::Tables { .. } => WITHOUT_LOG,
    };
    measured.database_was_left_out = matches!(scratch, Scratch::Nowhere(_));
    if let Some((mut ledger, run_id)) = scratch.file_ledger()? {
        let begun = Instant::now();
        ledger.totals(run_id)?;
        measured.count_seconds = begun.elapsed().as_secs_f64();
        ledger.close()?;
    }
    Ok(measured)
}

/// The shards with what names their records.
fn shards(
    job: &Job,
    prepared: &Prepared,
    plan: &Plan,
    target: &Target,
) -> anyhow::Result<Vec<ShardSlice>> {
    if let Input::Queue(_) = prepared.input {
        let mut ledger = target.open(Access::Read)?;
        let limit = prepared.limit.unwrap_or(MOST_RECORDS);
        let shards = ledger.look_at_queue(&job.name, limit, prepared.shard_size)?;
        ledger.close()?;
        return Ok(shards);
    }
    plan.with_input(|input| match input {
        PlannedInput::Slices { shards, input } => shards
            .iter()
            .map(|shard| {
                Ok(ShardSlice {
                    input: input(shard.shard_no)?,
                    ..shard.clone()
                })
            })
            .collect(),
        PlannedInput::Queue { .. } | PlannedInput::Requeued { .. } => Ok(Vec::new()),
    })
}

/// Where a probe commits to.
enum Scratch {
    /// A file that goes with it.
    File {
        target: Target,
        run_id: i64,
        _directory: TempDir,
    },
    /// Temporary tables.
    Tables {
        target: Target,
        /// In one transaction, as long as no reader needs the same connections.
        is_one_transaction: bool,
    },
    /// Nowhere: this role may not create temporary tables.
    Nowhere(Target),
}

impl Scratch {
    fn new(
        target: &Target,
        prepared: &Prepared,
        plan: &Plan,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Self> {
        let Some(file) = target.file() else {
            let mut ledger = target.open(Access::Look)?;
            let tried = ledger.rehearse(|_| Ok(()));
            ledger.close()?;
            return match tried {
                Err(error) if error::classify(&error) == Class::Permission => {
                    Ok(Self::Nowhere(target.clone()))
                }
                tried => tried.map(|()| Self::Tables {
                    target: target.clone(),
                    is_one_transaction: matches!(prepared.input, Input::Parquet(_)),
                }),
            };
        };
        let directory = directory(file)?;
        let url = format!("sqlite://{}", directory.path().join("probe.db").display());
        let target = Target::new(&url, &TargetOptions::default(), interrupt)?;
        let mut ledger = target.open(Access::Write)?;
        let nothing = PlannedInput::Slices {
            shards: &[],
            input: &|_| Ok(Vec::new()),
        };
        let known = DateState {
            newest: None,
            published: None,
        };
        let planned = ledger.plan_run(&plan.run, &nothing, known)?;
        ledger.close()?;
        let run_id = match planned {
            Planning::Planned { run_id, .. } => run_id,
            Planning::Overtaken => 0,
        };
        Ok(Self::File {
            target,
            run_id,
            _directory: directory,
        })
    }

    fn target(&self) -> &Target {
        match self {
            Self::File { target, .. } | Self::Tables { target, .. } | Self::Nowhere(target) => {
                target
            }
        }
    }

    fn run_id(&self) -> i64 {
        match self {
            Self::File { run_id, .. } => *run_id,
            Self::Tables { .. } | Self::Nowhere(_) => 0,
        }
    }

    fn file_ledger(&self) -> anyhow::Result<Option<(Ledger, i64)>> {
        match self {
            Self::File { target, run_id, .. } => Ok(Some((target.open(Access::Read)?, *run_id))),
            Self::Tables { .. } | Self::Nowhere(_) => Ok(None),
        }
    }
}

/// How the names of scratch directories begin.
const PREFIX: &str = ".lamplighter-probe-";

/// How old the scratch directory of a process that was killed is, at least.
const ABANDONED: Duration = Duration::from_mins(10);

/// Deletes what processes that were killed have left. What can not be deleted stays for the next.
fn sweep(beside: &Path) {
    let entries = beside.read_dir().into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        let age = entry.metadata().and_then(|metadata| metadata.modified());
        let is_old = age.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > ABANDONED));
        if is_old && !has_writer(&entry.path().join("probe.db")).unwrap_or(true) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// A directory of its own, on the database's disk if this user may write there.
fn directory(database: &Path) -> anyhow::Result<TempDir> {
    let beside = match database.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    sweep(beside);
    sweep(&std::env::temp_dir());
    let mut builder = tempfile::Builder::new();
    // It holds ids and predictions.
    builder
        .prefix(PREFIX)
        .permissions(Permissions::from_mode(0o700));
    builder
        .tempdir_in(beside)
        .or_else(|_| builder.tempdir())
        .context("cannot create a directory for a probe")
}

struct Scored {
    records: u64,
    seconds: f64,
}

fn score(
    prepared: &Arc<Prepared>,
    shards: &[ShardSlice],
    scratch: &Scratch,
    settings: Settings,
    interrupt: &Interrupt,
) -> anyhow::Result<Scored> {
    let access = match scratch {
        Scratch::File { .. } => Access::Write,
        Scratch::Tables { .. } | Scratch::Nowhere(_) => Access::Look,
    };
    let committers = settings.committers.max(1);
    let mut ledgers = (0..committers)
        .map(|_| scratch.target().open(access))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let orders = Arc::new(Orders::default());
    let (send, receive) = bounded(settings.room);
    let (records, last_nanoseconds) = (AtomicU64::new(0), AtomicU64::new(0));
    let begun = Instant::now();
    let commit_one = |ledger: &mut Ledger, scored: anyhow::Result<ShardCommit>| {
        let commit = scored?;
        match scratch {
            Scratch::Nowhere(_) => {}
            Scratch::Tables {
                is_one_transaction: false,
                ..
            } => ledger.rehearse(|ledger| ledger.rehearse_commit(&commit))?,
            Scratch::File { .. } | Scratch::Tables { .. } => {
                ledger.rehearse_commit(&commit)?;
            }
        }
        let rows = commit.predictions.len() + commit.dead_letters.len() as u64;
        records.fetch_add(rows + commit.filtered, Ordering::Relaxed);
        last_nanoseconds.fetch_max(begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
        anyhow::Ok(())
    };
    let commit_all = |ledger: &mut Ledger| {
        let work = |ledger: &mut Ledger| {
            let mut scored = receive.iter();
            scored.try_for_each(|scored| commit_one(ledger, scored))
        };
        let outcome = match scratch {
            Scratch::Tables {
                is_one_transaction: true,
                ..
            } => ledger.rehearse(work),
            _ => work(ledger),
        };
        // Whoever waits for room is let go.
        orders.drop_all();
        receive.iter().for_each(drop);
        outcome
    };
    let outcome = thread::scope(|scope| {
        // Neighbouring shards go to one worker, so that its reader can go on where it stands.
        let block = shards.len().div_ceil(settings.workers);
        for shards in shards.chunks(block) {
            let (send, orders) = (send.clone(), orders.clone());
            let (target, run_id) = (scratch.target(), scratch.run_id());
            scope.spawn(move || {
                let mut worker = Worker::new(prepared.clone(), settings.chunk_rows, orders.clone());
                for slice in shards {
                    if !orders.may_begin() {
                        return;
                    }
                    // A shard may take longer than the whole rehearsal should: what is done of it counts.
                    let scored =
                        worker.score_until(slice, Collector::one_in(slice.records), || {
                            !orders.may_begin()
                        });
                    let scored = scored.and_then(|results| {
                        let claim = Claim {
                            slice: slice.clone(),
                            epoch: 1,
                            lost_claims: 0,
                        };
                        results
                            .map(|results| results.into_commit(target, run_id, &claim))
                            .transpose()
                    });
                    let Some(scored) = scored.transpose() else {
                        return;
                    };
                    if send.send(scored).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        let (at_work, ended) = bounded::<()>(0);
        let threads: Vec<_> = ledgers
            .iter_mut()
            .map(|ledger| {
                let (at_work, commit_all) = (at_work.clone(), &commit_all);
                scope.spawn(move || {
                    let _at_work = at_work;
                    commit_all(ledger)
                })
            })
            .collect();
        drop(at_work);
        while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
            if interrupt.is_requested() {
                orders.drop_all();
            } else if begun.elapsed() >= BUDGET {
                orders.finish();
            }
        }
        let mut outcome = Ok(());
        for thread in threads {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => outcome = Err(error),
                Err(panic) => {
                    let reason = error::panic_message(panic.as_ref());
                    outcome =
                        Err(Failure::internal(format!("a rehearsal panicked: {reason}")).into());
                }
            }
        }
        orders.drop_all();
        receive.iter().for_each(drop);
        outcome
    });
    for ledger in ledgers {
        ledger.close()?;
    }
    outcome?;
    interrupt.check()?;
    Ok(Scored {
        records: records.into_inner(),
        seconds: last_nanoseconds.into_inner() as f64 / 1e9,
    })
}
