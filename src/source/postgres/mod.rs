//! A Postgres table or query as a run's input.
//!
//! The ids of a run are fixed when it is planned, by one [scan](PostgresInput::scan) in one
//! snapshot: ordinals number the rows in the order in which it returned them. A [`LocatorWriter`]
//! keeps the ids of each shard, with the physical block of each row where there is one; a
//! [`PostgresReader`] finds the records again by them. What counts is what a record holds when its
//! shard is read; a record that is not there any more is [unreadable](super::Unreadable), and rows
//! that came later are not part of the run.
//!
//! All data comes by COPY in its binary format and is decoded straight into Arrow columns:
//! [`copy`] cuts the stream into rows, [`rows`] decodes them, [`matching`] and [`assemble`] bring
//! them into the order of the plan. Transactions are read-only and see one moment.

mod assemble;
mod catalog;
mod copy;
mod date;
mod input;
mod locator;
mod matching;
mod reader;
mod rows;
mod scan;
mod statements;
mod types;

pub use input::{PostgresInput, Relation};
pub use locator::{LocatorWriter, Locators, part as part_of_locator, without as locator_without};
pub use reader::PostgresReader;
pub use scan::{Expected, ScanVisitor};
