//! The ledger: the tables that know what is done.
//!
//! A run is planned in one transaction, which fixes its shards. A shard is claimed, which raises
//! its epoch; and completed in one transaction that holds its predictions, its dead letters and its
//! completion, and that does nothing if the epoch is no longer the claim's. A run is finished in
//! one transaction that holds its counts, its report and its publication.
//!
//! [`Ledger`] is the face. SQL stands in `.sql` files beside the database that speaks it, values
//! are always bound, and no other module knows SQL.

mod rows;
mod sqlite;
pub mod verify;

pub use rows::{
    Attempt, Claim, DeadLetterCount, DeadLetterFilter, Finish, NewRun, Publication, Run, RunName,
    ShardCommit, ShardRow, ShardSlice, State, StoredDeadLetter, Totals,
};
pub use sqlite::{Access, Ledger, SchemaStatus};
