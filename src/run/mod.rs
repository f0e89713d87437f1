//! A run: one execution of a job for one logical date.
//!
//! [`start`] is the whole of it. [`prepare`] opens and checks everything a run needs, before the ledger is touched. [`identity`]
//! decides whether that is a run which is done, one to go on with, or a new one. [`plan`] fixes a new
//! run's shards, [`pipeline`] works on them, [`worker`] is what one thread does to one shard, and
//! [`finalize`] counts, reports and publishes. [`input`] is what is read, [`heartbeat`] keeps this process's
//! claims alive where others may take them over. [`wait`] is for input that comes late.

pub mod duplicates;
pub mod finalize;
pub mod heartbeat;
pub mod identity;
pub mod input;
pub mod pipeline;
pub mod plan;
pub mod prepare;
pub mod start;
pub mod wait;
pub mod worker;

pub use finalize::Outcome;
pub use identity::Decision;
pub use pipeline::{Progress, Settings};
pub use prepare::Prepared;
