//! Options of `dead-letters`.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "help texts: what stands in brackets is a section of the job file"
)]

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::JobOptions;

/// Subcommands of `dead-letters`.
#[derive(Subcommand)]
pub enum DeadLettersCommand {
    /// List a run's dead letters
    #[command(after_help = "\
Example:
  lamplighter dead-letters list flight-delay@2026-11-23#1 --code out_of_range")]
    List(DeadLettersOptions),
    /// Show the dead letters of one record
    #[command(after_help = "\
Example:
  lamplighter dead-letters show 2013-10-01-US1877-EWR-0500")]
    Show {
        /// The record's id
        record_id: String,
        /// job@date#generation, or a job for its newest run [default: the newest run]
        #[arg(long)]
        run: Option<String>,
    },
    /// Score a run's dead letters again, from the corrected source
    #[command(after_help = "\
Correct the records where they come from: in the files, in the table, or by pushing them to the queue
again. They are found by their ids, and scored by a run of their own. Its predictions are seen
together with those of the run whose dead letters they were. If that one was withheld for its dead
letters, and is within the limit now, it is published with them.

An interrupted retry is gone on with by the same command.

Examples:
  lamplighter dead-letters retry jobs/flight-delay.toml
  lamplighter dead-letters retry jobs/flight-delay.toml --run flight-delay@2026-11-23#1")]
    Retry(RetryOptions),
    /// Write a run's dead letters as JSON lines
    #[command(after_help = "\
Example:
  lamplighter dead-letters export flight-delay@2026-11-23#1 -o dead-letters.jsonl")]
    Export {
        /// Which.
        #[command(flatten)]
        options: ExportOptions,
    },
}

/// Options of `dead-letters retry`.
#[derive(Args)]
pub struct RetryOptions {
    /// Which job.
    #[command(flatten)]
    pub job: JobOptions,
    /// job@date#generation [default: the job's newest run that is completed]
    #[arg(long)]
    pub run: Option<String>,
    /// Only of this code, such as missing_value
    #[arg(long)]
    pub code: Option<String>,
    /// Worker threads [default: [run] workers]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,
}

/// Which dead letters to list.
#[derive(Args)]
pub struct DeadLettersOptions {
    /// job@date#generation, or a job for its newest run [default: the newest run]
    pub run: Option<String>,
    /// Only of this code, such as missing_value
    #[arg(long)]
    pub code: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub limit: u32,
}

/// Which dead letters to export, and where to.
#[derive(Args)]
pub struct ExportOptions {
    /// job@date#generation, or a job for its newest run [default: the newest run]
    pub run: Option<String>,
    /// Only of this code, such as missing_value
    #[arg(long)]
    pub code: Option<String>,
    /// File to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}
