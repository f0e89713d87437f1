//! Options of `run`.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "help texts: what stands in brackets is a section of the job file"
)]

use clap::Args;

use super::JobOptions;

/// Options of `run`.
#[derive(Args, Clone)]
pub struct RunOptions {
    /// Which job.
    #[command(flatten)]
    pub job: JobOptions,
    /// Logical date: 2026-11-23, or relative to now: 0d, -1d, -2w [default: [schedule] date]
    #[arg(long, value_name = "DATE", allow_hyphen_values = true)]
    pub date: Option<String>,
    /// Worker threads [default: [run] workers]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,
    /// A trial of the first N records: scored, never published, in nobody's way
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Score a finished date again, as a new generation that replaces the published one
    #[arg(long, requires = "reason")]
    pub rescore: bool,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", requires = "rescore")]
    pub reason: Option<String>,
    /// Work on the run alone: exit 75 if another process is at it, and keep others out
    #[arg(long)]
    pub exclusive: bool,
    /// Open and check everything, say what a run would do, write nothing
    #[arg(long)]
    pub dry_run: bool,
}
