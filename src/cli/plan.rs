//! Options of `plan`.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "help texts: what stands in brackets is a section of the job file"
)]

use clap::Args;

use super::JobOptions;

/// Options of `plan`.
#[derive(Args)]
pub struct PlanOptions {
    /// Which job.
    #[command(flatten)]
    pub job: JobOptions,
    /// Logical date: 2026-11-23, or relative to now: 0d, -1d, -2w [default: [schedule] date]
    #[arg(long, value_name = "DATE", allow_hyphen_values = true)]
    pub date: Option<String>,
    /// What it would take to score a finished date again
    #[arg(long)]
    pub rescore: bool,
    /// Worker threads [default: [run] workers]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,
}
