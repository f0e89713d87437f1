//! Where records come from.
//!
//! A source fixes a run's input when the run is planned (every record gets its *ordinal*, its
//! place in the input) and later reads any slice of ordinals as Arrow record batches.

pub mod columns;
pub mod parquet;
pub mod row_sql;
