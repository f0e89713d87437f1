//! Options of `check`.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "help texts: what stands in brackets is a section of the job file"
)]

use clap::Args;

use super::JobOptions;

/// Options of `check`.
#[derive(Args)]
pub struct CheckOptions {
    /// Which job.
    #[command(flatten)]
    pub job: JobOptions,
    /// Logical date whose input is looked at: 2026-11-23, or relative to now: 0d, -1d, -2w
    /// [default: [schedule] date]
    #[arg(long, value_name = "DATE", allow_hyphen_values = true)]
    pub date: Option<String>,
}
