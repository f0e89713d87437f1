//! A run: one execution of a job for one logical date.
//!
//! [`start`] is the whole of it. [`prepare`] opens and checks everything a run needs, before the ledger is touched. [`identity`]
//! decides whether that is a run which is done, one to go on with, or a new one. [`plan`] fixes a new
//! run's shards. [`attempt`] is one process's work on a run: [`memory`] says how much it takes in hand,
//! [`pipeline`] works on the shards, which `dispatcher` hands out and `committer` commits, [`worker`] is what one thread does to one of them, [`isolate`] does it
//! in a process of its own if the shard kills, and [`finalize`] counts, reports and publishes.
//!
//! [`estimate`] says before what a run would take, by a [`rehearsal`]; [`probe`] looks at the first records;
//! [`backfill`] is many dates, and `spending` keeps to what a run may cost.
//!
//! [`input`] is what is read, [`heartbeat`] keeps this process's claims alive where others may take them
//! over, `watch` finds workers that hang, `forecast` looks ahead to `finish_by`, [`tolerance`] is the limit
//! of dead letters. [`retry`] scores dead letters again. [`wait`] is for input that comes late.

pub mod attempt;
pub mod backfill;
mod batch;
mod bill;
mod committer;
pub mod decay;
mod dispatcher;
pub mod duplicates;
pub mod estimate;
pub mod finalize;
mod forecast;
pub mod heartbeat;
pub mod identity;
mod ids;
pub mod input;
pub mod isolate;
pub mod memory;
pub mod monitoring;
pub mod pipeline;
pub mod plan;
pub mod prepare;
pub mod probe;
pub mod reference;
pub mod rehearsal;
mod results;
pub mod retry;
mod spending;
pub mod start;
mod summary;
pub mod tolerance;
pub mod wait;
mod watch;
pub mod worker;

pub use finalize::Outcome;
pub use identity::Decision;
pub use pipeline::{Progress, Settings};
pub use prepare::Prepared;
