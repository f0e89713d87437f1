//! Parquet files as a run's input.
//!
//! [`ParquetInput::open`] fixes the input: which files, in which order, of which size, with which
//! footer; `content` tells whether a file is still the same. Ordinals count the rows through all files in
//! that order. [`manifest`] makes the list
//! of what `listing` finds, [`mod@projection`] decides which columns are read as which
//! types, [`reader`] reads slices, [`picked`] single rows; [`rows`] writes the rows of one file as JSON.
//!
//! Malformed files are data (exit 65), never a crash: arrow-rs treats panics on malformed input as
//! ordinary bugs, so every call into it that looks at untrusted bytes is guarded against unwinding.
//! It also makes room for whatever a file claims, and a failed allocation can not be caught; so it is
//! given nothing that was not looked at: `footer` and `headers` walk the headers with `thrift` along
//! their `format`, `pages` looks into decompressed pages, and `batches` puts them together.

mod batches;
mod content;
mod deltas;
mod footer;
mod format;
mod groups;
mod headers;
mod listing;
pub mod manifest;
mod pages;
pub mod picked;
pub mod projection;
pub mod reader;
pub mod rows;
mod thrift;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::error::{Failure, panic_message};

pub use manifest::{InputFile, ParquetInput};
pub use picked::PickedReader;
pub use projection::{column_bytes, has_dictionary, projection};
pub use reader::ChunkReader;

/// The way out of damage.
const DAMAGED: &str = "the file is damaged or was not written completely; write or copy it again";

/// Runs `decode`, which looks at bytes of `file`, and turns its error or panic into a data
/// failure that names the file.
fn guarded<T>(
    file: &Path,
    what: &str,
    decode: impl FnOnce() -> Result<T, parquet::errors::ParquetError>,
) -> anyhow::Result<T> {
    let reason = match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => bare(&error.to_string()).to_owned(),
        Err(panic) => panic_message(panic.as_ref()),
    };
    Err(
        Failure::data(format!("{}: {what}: {reason}", file.display()))
            .hint(DAMAGED)
            .into(),
    )
}

/// What an error says without the names of the layers that it came through.
fn bare(mut reason: &str) -> &str {
    const LAYERS: [&str; 3] = ["External: ", "Parquet argument error: ", "Parquet error: "];
    while let Some(rest) = LAYERS.iter().find_map(|layer| reason.strip_prefix(layer)) {
        reason = rest;
    }
    reason
}
