//! The queue as a run's input: records that others pushed, each a JSON object.
//!
//! [`payload`] makes chunks of queued records; [`files`] reads the files whose records are pushed.
//! Nothing here knows the database: what is queued, and which rows a run has, is the ledger's.
//!
//! Invariants: JSON says little of types, so every value is held to the type that its column is
//! read as, and what does not fit costs its own record only; numbers arrive as they were written,
//! never through a shorter form.

pub mod files;
mod json;
pub mod payload;
mod value;

pub use files::{PushedRecord, for_each_record};
pub use payload::{QueueRecord, chunk, projection};
