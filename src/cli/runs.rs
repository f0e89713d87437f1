//! Subcommands of `runs`.

use clap::Subcommand;

/// Subcommands of `runs`.
#[derive(Subcommand)]
pub enum RunsCommand {
    /// List runs, the newest first
    #[command(after_help = "Example:\n  lamplighter runs list --job flight-delay")]
    List {
        /// Only of this job
        #[arg(long)]
        job: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: u32,
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
    /// Give an unfinished run up, so that no start continues it
    #[command(after_help = "Example:\n  lamplighter runs cancel flight-delay@2026-11-22#1")]
    Cancel {
        /// job@date#generation
        run: String,
    },
}
