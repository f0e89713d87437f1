//! Options of `backfill`.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "help texts: what stands in brackets is a section of the job file"
)]

use clap::{Args, ValueEnum};

use super::JobOptions;

/// Options of `backfill`.
#[derive(Args)]
pub struct BackfillOptions {
    /// Which job.
    #[command(flatten)]
    pub job: JobOptions,
    /// First logical date: 2026-10-01, or relative to now: -30d [default with --missing: the job's
    /// first date]
    #[arg(
        long,
        value_name = "DATE",
        allow_hyphen_values = true,
        required_unless_present = "missing"
    )]
    pub from: Option<String>,
    /// Last logical date, included [default with --missing: the last one that is due]
    #[arg(
        long,
        value_name = "DATE",
        allow_hyphen_values = true,
        required_unless_present = "missing"
    )]
    pub to: Option<String>,
    /// Only dates that the schedule asks for and consumers do not see, as `runs list --missing` lists
    /// them
    #[arg(long)]
    pub missing: bool,
    /// Which dates that have been scored are scored again
    #[arg(long, value_enum, default_value_t = Reprocess::None, requires_if("failed", "reason"), requires_if("all", "reason"))]
    pub reprocess: Reprocess,
    /// Why, for the record; a date is scored again once for each reason
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Dates to work on at a time; they share the workers (SQLite takes one)
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub max_active: u16,
    /// Worker threads of all dates together [default: [run] workers]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,
    /// List the dates and what would be done about each, write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Which dates that have been scored are scored again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Reprocess {
    /// None: what is published, withheld or failed is left alone.
    None,
    /// Those that failed or were withheld.
    Failed,
    /// All.
    All,
}
