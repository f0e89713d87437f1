//! Parquet files as a run's input.
//!
//! [`ParquetInput::open`] fixes the input: which files, in which order, of which size, with which
//! footer. Ordinals count the rows through all files in that order. [`manifest`] makes the list,
//! [`mod@projection`] decides which columns are read as which types, [`reader`] reads slices;
//! [`rows`] writes the rows of one file as JSON.
//!
//! Malformed files are data (exit 65), never a crash: arrow-rs treats panics on malformed input as
//! ordinary bugs, so every call into it that looks at untrusted bytes is guarded against unwinding.
//! It also makes room for whatever a header claims, which nothing can catch; so headers are looked at
//! first: `footer` and `pages` walk them with `thrift` along their `format`.

mod footer;
mod format;
pub mod manifest;
mod pages;
pub mod projection;
pub mod reader;
pub mod rows;
mod thrift;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::error::{Failure, panic_message};

pub use manifest::{InputFile, ParquetInput};
pub use projection::projection;
pub use reader::ChunkReader;

/// Runs `decode`, which looks at bytes of `file`, and turns its error or panic into a data
/// failure that names the file.
fn guarded<T>(
    file: &Path,
    what: &str,
    decode: impl FnOnce() -> Result<T, parquet::errors::ParquetError>,
) -> anyhow::Result<T> {
    let reason = match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => panic_message(panic.as_ref()),
    };
    Err(
        Failure::data(format!("{}: {what}: {reason}", file.display()))
            .hint("the file is damaged or was not written completely; write or copy it again")
            .into(),
    )
}
