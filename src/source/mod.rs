//! Where records come from.
//!
//! A source fixes a run's input when the run is planned (every record gets its *ordinal*, its
//! place in the input) and later reads any slice of ordinals as Arrow record batches.

pub mod columns;
pub mod parquet;
pub mod postgres;
mod projection;
pub mod queue;
pub mod row_sql;

use std::collections::BTreeMap;

use arrow::array::RecordBatch;

pub use projection::Projection;

/// Consecutive records of the input, in the projection's form.
pub struct Chunk {
    /// Ordinal of the first record.
    pub first_ordinal: u64,
    /// One row for each record; never empty.
    pub rows: RecordBatch,
    /// Rows whose record can not be read, by index; what stands in their other columns has no
    /// meaning, but an id that is known stands in the id column.
    pub unreadable: BTreeMap<usize, Unreadable>,
}

/// Why a record can not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// For machines.
    pub code: &'static str,
    /// The column at fault, if it is one.
    pub field: Option<String>,
    /// For people.
    pub message: String,
}
