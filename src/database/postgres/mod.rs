//! Postgres: where it is, sessions with it, and the pool that hands them out.
//!
//! An [`Address`] says where the server is and how to prove who asks; no rendering of it holds a
//! secret. A [`Session`] is one connection and blocks. A [`Pool`] hands sessions out, replaces lost
//! ones, and waits for a server that is not there. A [`PostgresConnection`] puts them behind the
//! face that both databases share.
//!
//! Two invariants let a pooler such as pgbouncer stand in between, in transaction mode: nothing
//! is set for longer than a transaction, and no prepared statement has a name.

mod address;
mod cells;
mod connection;
mod copy;
mod errors;
mod password;
mod pool;
mod session;
mod transaction;
mod url;
mod wire;

pub use address::{Address, has_password_in_url};
pub use connection::PostgresConnection;
pub use copy::Encoder as CopyEncoder;
pub use pool::{Checkout, Limits, Pool};
pub use session::Session;
pub use transaction::TransactionOptions;
pub use wire::Producer;
