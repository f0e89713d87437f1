//! The command line: clap types, nothing else.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "help texts: what stands in brackets is a section of the job file"
)]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXIT_CODES: &str = "\
Exit codes:
  0    completed and published (or was already), dead letters within the limit
  64   the command line is wrong
  65   the data breaks its contract, changed while running, or left too many dead letters
  66   no input, or less than [source] min_rows
  69   database unavailable
  70   an invariant of lamplighter is broken: please report it
  74   disk or other I/O
  75   interrupted, input not there yet, or locked by another process: start again
  77   permission denied
  78   job file, bundle, schema or fingerprint
  80   past [schedule] finish_by: a later start continues
  101, 134, 137   panic, abort, killed: the next start continues (130 and 143: interrupted twice)";

/// Nightly batch inference: every record scored once, or in the dead letters with a reason.
#[derive(Parser)]
#[command(name = "lamplighter", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub global: GlobalOptions,
}

/// Options of every command.
#[derive(Args, Clone)]
#[command(next_help_heading = "Options of every command")]
pub struct GlobalOptions {
    /// Database, such as sqlite://lamplighter.db or postgres://user@host/database; never with a
    /// password [default: DATABASE_URL, DATABASE_URL_FILE (a file that holds the URL), the job
    /// file's [sink] database, sqlite://lamplighter.db]
    #[arg(long, global = true, value_name = "URL")]
    pub database: Option<String>,
    /// Schema of a Postgres database that holds the tables [default: the job file's [sink] schema,
    /// lamplighter]
    #[arg(long, global = true, value_name = "NAME")]
    pub schema: Option<String>,
    /// Form of what is printed on standard output
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Form of logs and errors on standard error
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Log more (-v: debug, -vv: trace)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Form of standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Form of standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Score the records of a date
    #[command(after_help = "\
Unfinished runs of earlier dates are continued first, the newest [schedule] catch_up of them.
A date that is complete is left alone; a start after a kill goes on with the shards that are left.

Examples:
  lamplighter run jobs/flight-delay.toml
  lamplighter run jobs/flight-delay.toml --date -1d --env prod
  lamplighter run jobs/flight-delay.toml --limit 1000
  lamplighter run jobs/flight-delay.toml --set run.batch_size=256 --dry-run")]
    Run(RunOptions),
    /// Look at runs, prove them, give them up
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Show a run's report
    #[command(after_help = "\
Examples:
  lamplighter report
  lamplighter report flight-delay@2026-11-23#1 --format json")]
    Report(ReportOptions),
    /// Look at records that could not be scored
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Put records into the queue, look at it
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Create or bring up to date the database's tables, and say who may do what
    #[command(subcommand)]
    Db(DbCommand),
    /// Score the parts of shards that another process asks for
    #[command(hide = true)]
    IsolatedWorker(IsolatedWorkerOptions),
}

/// A job file, and what is laid over it.
#[derive(Args, Clone)]
pub struct JobOptions {
    /// Job file
    pub job: PathBuf,
    /// Overlay of the job file to apply, [env.ENV]
    #[arg(long, value_name = "ENV")]
    pub env: Option<String>,
    /// Overrides a key of the job file, such as run.batch_size=256; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

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
    #[command(after_help = "Example:\n  lamplighter runs cancel flight-delay@2026-11-23#1")]
    Cancel {
        /// job@date#generation
        run: String,
    },
}

/// Options of `report`.
#[derive(Args)]
pub struct ReportOptions {
    /// job@date#generation, or a job for its newest run [default: the newest run]
    pub run: Option<String>,
}

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
  lamplighter dead-letters retry jobs/flight-delay.toml --run flight-delay@2026-11-23#1 --code missing_value")]
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
  lamplighter queue push jobs/flight-delay-queue.toml flights.csv")]
    Push(PushOptions),
    /// Count what waits, what is being scored and what is done
    #[command(after_help = "Example:\n  lamplighter queue stats --job flight-delay")]
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

/// Subcommands of `db`.
#[derive(Subcommand)]
pub enum DbCommand {
    /// Create the tables, or bring them up to date (`run` does so by itself on SQLite)
    #[command(after_help = "\
On Postgres this takes a role that may create a schema, or one that owns it.

Examples:
  lamplighter db migrate --database sqlite://lamplighter.db
  lamplighter db migrate --database postgres://admin@db.example.com/scores --schema team_a")]
    Migrate,
    /// Tell which schema the database has
    #[command(after_help = "Example:\n  lamplighter db status")]
    Status,
    /// Print SQL that creates three roles and grants each the least that it needs
    #[command(after_help = "\
migrator owns the tables, runner runs jobs (creates nothing, deletes no prediction), reader reads
results. To be run by an administrator after `db migrate`, and again after each later one.

Example:
  lamplighter db roles --schema team_a | psql scores")]
    Roles,
}

/// Options of the process that scores single shards. It is started by other processes only.
#[derive(Args)]
pub struct IsolatedWorkerOptions {
    /// Which job.
    #[command(flatten)]
    pub job: JobOptions,
    /// Logical date
    #[arg(long)]
    pub date: String,
    /// The first so many records
    #[arg(long)]
    pub limit: Option<u64>,
    /// Rows to read at a time
    #[arg(long)]
    pub chunk_rows: usize,
    /// What input, bundle and settings must come to
    #[arg(long)]
    pub fingerprint: String,
}
