//! What is measured while scoring.

pub mod stats;

pub use stats::{Distribution, ShardStats};
