//! Subcommands of `records`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Subcommands of `records`.
#[derive(Subcommand)]
pub enum RecordsCommand {
    /// Delete records by their ids, wherever the database holds them
    #[command(after_help = "\
From predictions and dead letters of all runs, trials and retries among them, from the queue, and
from what runs remember of their input. In the place of each stays a tombstone: the id under a secret
key (HMAC-SHA256), so that whoever has the key can prove that it was erased, and nobody else can tell
which it was. `runs verify` holds as before.

Delete the records where they come from first: the next run would read them again. Of a run that is
not finished, what is committed is erased; the exit code is then 75, and the same command is due again
when the run is done. To erase again changes nothing.

FILE holds one id a line; if it ends in .parquet, .csv, .jsonl or .ndjson, a column of ids. The key is
a file of 32 bytes or more that nobody else can read:
  (umask 077; head -c 32 /dev/urandom > erasure.key)

On SQLite the file is written anew, which takes as much free space as it has. On Postgres it takes the
role lamplighter_custodian.

Examples:
  lamplighter records erase --ids ids.txt --dry-run
  lamplighter records erase --ids ids.txt --key-file erasure.key
  lamplighter records erase --ids people.csv --id-column flight_id --key-file erasure.key")]
    Erase(EraseOptions),
    /// Prove with the key which of these ids were erased, and when
    #[command(after_help = "\
Example:
  lamplighter records erased --ids ids.txt --key-file erasure.key")]
    Erased {
        /// Whose.
        #[command(flatten)]
        ids: IdsOptions,
        /// The key [default: LAMPLIGHTER_ERASURE_KEY_FILE]
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
    },
}

/// Which records.
#[derive(Args)]
pub struct IdsOptions {
    /// File of ids; - for standard input, one id a line
    #[arg(long, value_name = "FILE")]
    pub ids: PathBuf,
    /// Column of the ids, if the file is Parquet, CSV or JSON lines
    #[arg(long, value_name = "NAME", default_value = "record_id")]
    pub id_column: String,
}

/// Options of `records erase`.
#[derive(Args)]
pub struct EraseOptions {
    /// Whose.
    #[command(flatten)]
    pub ids: IdsOptions,
    /// Only of this job [default: all jobs]
    #[arg(long)]
    pub job: Option<String>,
    /// The key [default: LAMPLIGHTER_ERASURE_KEY_FILE]
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Count what would be erased, erase nothing; needs no key
    #[arg(long)]
    pub dry_run: bool,
}
