//! Options of `report`.

use std::path::PathBuf;

use clap::Args;

/// Options of `report`.
#[derive(Args)]
pub struct ReportOptions {
    /// job@date#generation, or a job for its newest run [default: the newest run]
    pub run: Option<String>,
    /// Tell what changed from this run to the other
    #[arg(long, value_name = "RUN")]
    pub compare: Option<String>,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Text: all that the report holds, not 25 lines
    #[arg(long)]
    pub all: bool,
    /// HTML: name the records of which dead letters are shown; their ids may be personal data
    #[arg(long)]
    pub record_ids: bool,
}
