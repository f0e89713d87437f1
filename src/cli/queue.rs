//! Options of `queue`.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "help texts: what stands in brackets is a section of the job file"
)]

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::JobOptions;

/// Subcommands of `queue`.
#[derive(Subcommand)]
pub enum QueueCommand {
    /// Put the records of a file into a job's queue
    #[command(after_help = "\
FILE is Parquet (.parquet), CSV with a header (.csv) or JSON lines (.jsonl, .ndjson). The column
[source] id_column names each record; the others become its payload. A record that waits already
is replaced, or left alone with [source] on_conflict = \"ignore\".

Applications may as well insert rows themselves:
  INSERT INTO lamplighter.queue (job, record_id, payload)
  VALUES ('flight-delay', 'US1877', '{\"distance\": 529, \"carrier\": \"US\"}')
  ON CONFLICT (job, record_id) WHERE run_id IS NULL
  DO UPDATE SET payload = excluded.payload, enqueued_at = now();

Example:
  lamplighter queue push jobs/flight-delay-queue.toml fixtures/flights/flights-2013-10.parquet")]
    Push(PushOptions),
    /// Count what waits, what is being scored and what is done
    #[command(after_help = "Example:\n  lamplighter queue stats --job flight-delay-queue")]
    Stats {
        /// Only of this job
        #[arg(long)]
        job: Option<String>,
    },
}

/// Options of `queue push`.
#[derive(Args)]
pub struct PushOptions {
    /// Which job, with [source] kind = "queue".
    #[command(flatten)]
    pub job: JobOptions,
    /// File of records
    pub file: PathBuf,
    /// Records of higher priority come first in a run
    #[arg(
        long,
        default_value_t = 0,
        allow_hyphen_values = true,
        value_name = "N"
    )]
    pub priority: i64,
}
