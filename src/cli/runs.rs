//! Subcommands of `runs`.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "help texts: what stands in brackets is a section of the job file"
)]

use clap::{Args, Subcommand};

use super::JobOptions;

/// Subcommands of `runs`.
#[derive(Subcommand)]
pub enum RunsCommand {
    /// List runs, the newest first
    #[command(after_help = "\
Examples:
  lamplighter runs list --job flight-delay
  lamplighter runs list --missing")]
    List {
        /// Only of this job
        #[arg(long)]
        job: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: u32,
        /// Instead, dates that the schedule asks for and consumers do not see, the oldest first
        #[arg(long, conflicts_with = "limit")]
        missing: bool,
    },
    /// Show a run, its shards and the processes that worked on it
    #[command(after_help = "Example:\n  lamplighter runs show flight-delay@2026-11-23#1")]
    Show {
        /// job@date#generation, or a job for its newest run [default: the newest run]
        run: Option<String>,
    },
    /// Prove from the rows that every record of a run is accounted for (70 if not)
    #[command(after_help = "Example:\n  lamplighter runs verify flight-delay@2026-11-23#1")]
    Verify {
        /// job@date#generation, or a job for its newest run [default: the newest run]
        run: Option<String>,
    },
    /// Publish a run that was withheld: consumers see it from then on
    #[command(after_help = "\
For a run that a rule of [[alert]] or [errors] max_dead_letters withheld and that somebody has looked at. It
takes the place of what consumers see of its date. Trials and retries can not be published.

Example:
  lamplighter runs publish flight-delay@2026-11-23#2")]
    Publish {
        /// job@date#generation
        run: String,
    },
    /// Give an unfinished run up, so that no start continues it
    #[command(after_help = "Example:\n  lamplighter runs cancel flight-delay@2026-11-22#1")]
    Cancel {
        /// job@date#generation
        run: String,
    },
    /// Delete what has been kept for long enough, as the job's [retention] says
    #[command(after_help = "\
Never deleted: what consumers see, the runs that it belongs to, and runs under way. Nothing goes but
what a key of [retention] names: runs (as a whole), dead_letters, profiles, reports, queue.

Rows go in small transactions. After SIGTERM or a kill the same command goes on. On Postgres it takes
the role lamplighter_custodian.

Examples:
  lamplighter runs prune jobs/flight-delay.toml --dry-run
  lamplighter runs prune jobs/flight-delay.toml --set retention.runs=90d")]
    Prune(PruneOptions),
    /// Expect nothing of a job from now on: `status` leaves it out until it is run again
    #[command(after_help = "Example:\n  lamplighter runs retire flight-delay")]
    Retire {
        /// Name of the job
        job: String,
    },
}

/// Options of `runs prune`.
#[derive(Args)]
pub struct PruneOptions {
    /// Which job.
    #[command(flatten)]
    pub job: JobOptions,
    /// Say what would go, delete nothing
    #[arg(long)]
    pub dry_run: bool,
}
