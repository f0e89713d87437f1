//! The command line: clap types, nothing else.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "help texts: what stands in brackets is a section of the job file"
)]

mod alerts;
mod backfill;
mod check;
mod completions;
mod db;
mod dead_letters;
mod init;
mod man;
mod model;
mod plan;
mod queue;
mod records;
mod report;
mod run;
mod runs;
mod status;

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

pub use alerts::AlertsCommand;
pub use backfill::{BackfillOptions, Reprocess};
pub use check::CheckOptions;
pub use completions::{CompletionsOptions, completions};
pub use db::DbCommand;
pub use dead_letters::{DeadLettersCommand, DeadLettersOptions, ExportOptions, RetryOptions};
pub use init::{InitOptions, Task};
pub use man::{ManOptions, pages};
pub use model::{HuggingFaceOptions, ImportCommand, ModelCommand, ProfileOptions};
pub use plan::PlanOptions;
pub use queue::{PushOptions, QueueCommand};
pub use records::{EraseOptions, IdsOptions, RecordsCommand};
pub use report::ReportOptions;
pub use run::RunOptions;
pub use runs::{PruneOptions, RunsCommand};
pub use status::StatusOptions;

/// What the binary is called.
const NAME: &str = "lamplighter";

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
  79   scored, but a rule of [[alert]] withheld it; status: not all that should be published is
  80   past [schedule] finish_by: a later start continues
  101, 134, 137   panic, abort, killed: the next start continues (130 and 143: interrupted twice)";

/// Nightly batch inference: every record scored once, or in the dead letters with a reason.
#[derive(Parser)]
#[command(name = NAME, version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub global: GlobalOptions,
}

impl Cli {
    /// The command line as a tree, without what is hidden: for whoever describes it.
    pub fn tree() -> clap::Command {
        let whole = Self::command();
        let visible = whole
            .get_subcommands()
            .filter(|command| !command.is_hide_set());
        clap::Command::new(NAME)
            .version(env!("CARGO_PKG_VERSION"))
            .about(whole.get_about().cloned().unwrap_or_default())
            .after_help(whole.get_after_help().cloned().unwrap_or_default())
            .max_term_width(100)
            .subcommand_required(true)
            .subcommand_value_name("COMMAND")
            .args(whole.get_arguments())
            .subcommands(visible)
    }
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
    /// For browsers: one page that needs nothing else (report alone).
    Html,
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
  lamplighter run jobs/flight-delay.toml --date -1d --workers 4
  lamplighter run jobs/flight-delay.toml --limit 1000
  lamplighter run jobs/flight-delay.toml --set run.batch_size=256 --dry-run")]
    Run(RunOptions),
    /// Score many dates, each by a run of its own
    #[command(after_help = "\
Dates that are published are left alone, interrupted ones are gone on with: to start a backfill again
is to continue it. A date that fails keeps none of the others from being scored. On Postgres several
processes given the same range share its dates. finish_by, catch_up and wait are a night's affair.

The exit code is 0 if all dates are published; else 75, 69 or 74 if another start may mend it, else
that of the date that failed most gravely.

Examples:
  lamplighter backfill jobs/flight-delay-monthly.toml --from 2013-10-01 --to 2013-12-01
  lamplighter backfill jobs/flight-delay.toml --from -2d --to -1d --reprocess all --reason 1.1
  lamplighter backfill jobs/flight-delay-monthly.toml --missing --dry-run")]
    Backfill(BackfillOptions),
    /// Tell what a run would take: records, memory, time and cost
    #[command(after_help = "\
Opens everything, and scores the job's own records for two seconds with its own bundle. Nothing is
written: what is scored goes to a scratch file beside the database, or to temporary tables.

Examples:
  lamplighter plan jobs/flight-delay.toml
  lamplighter plan jobs/flight-delay.toml --workers 1 --set cost.per_hour=0.34 --format json")]
    Plan(PlanOptions),
    /// Tell how all jobs of the database are (79 if one is not well)
    #[command(after_help = "\
A job whose job file has [schedule] cron is judged by the dates that were due: each must be published,
or under way in time. Of other jobs the newest run is judged.

Examples:
  lamplighter status
  lamplighter status --since 7d --format json")]
    Status(StatusOptions),
    /// Look whether everything is there that a run needs
    #[command(after_help = "\
Each item is passed, failed, or not set up, which is no failure. An item that failed keeps no other
from being looked at. Nothing is run, and nothing is written; but SQLite itself moves what a killed
process left in DATABASE-wal into the database, as soon as anybody has looked at it. The exit code is 0
if no item failed, else that of the first that did.

Examples:
  lamplighter check jobs/flight-delay.toml
  lamplighter check jobs/flight-delay.toml --date -1d --format json")]
    Check(CheckOptions),
    /// Look at runs, prove them, give them up, prune them
    #[command(subcommand, after_help = "Example:\n  lamplighter runs show")]
    Runs(RunsCommand),
    /// Show a run's report
    #[command(after_help = "\
Examples:
  lamplighter report
  lamplighter report flight-delay --all
  lamplighter report flight-delay@2026-11-23#1 --format json
  lamplighter report flight-delay --format html --output report.html
  lamplighter report --compare flight-delay@2026-11-22#1 flight-delay@2026-11-23#1")]
    Report(ReportOptions),
    /// Tell how far a run's data and predictions are from the training data, or from another run
    #[command(after_help = "\
Measures: population stability index (PSI), as it is and without what chance makes of few records;
Jensen-Shannon distance; of numbers the Kolmogorov-Smirnov statistic and the Wasserstein distance by
the standard deviation; of categories Cramer's V and the greatest change of a share. [drift] of the
job file says from which difference on a column has drifted.

Examples:
  lamplighter drift jobs/flight-delay.toml
  lamplighter drift jobs/flight-delay.toml flight-delay@2026-11-23#1 --format json
  lamplighter drift jobs/flight-delay.toml --against flight-delay@2026-11-16#1")]
    Drift(DriftOptions),
    /// Hold the predictions that consumers see against what was true
    #[command(after_help = "\
Ground truth is kept: a later delivery adds to it, and replaces what it says of the same records. Each
prediction counts for the version that made it. [ground_truth] of the job file names the columns.

Examples:
  lamplighter evaluate jobs/flight-delay.toml --ground-truth fixtures/ground-truth/flights.parquet
  lamplighter evaluate jobs/flight-delay.toml --ground-truth checked.parquet --corrections
  lamplighter evaluate jobs/flight-delay.toml --format json")]
    Evaluate(EvaluateOptions),
    /// See whether alerts arrive
    #[command(
        subcommand,
        after_help = "Example:\n  lamplighter alerts test jobs/flight-delay.toml"
    )]
    Alerts(AlertsCommand),
    /// Look at records that could not be scored
    #[command(subcommand, after_help = "Example:\n  lamplighter dead-letters list")]
    DeadLetters(DeadLettersCommand),
    /// Put records into the queue, look at it
    #[command(subcommand, after_help = "Example:\n  lamplighter queue stats")]
    Queue(QueueCommand),
    /// Make bundles of models
    #[command(
        subcommand,
        after_help = "Example:\n  lamplighter model import hf distilbert --column review"
    )]
    Model(ModelCommand),
    /// Erase records by their ids, prove that they were
    #[command(
        subcommand,
        after_help = "Example:\n  lamplighter records erase --ids ids.txt --dry-run"
    )]
    Records(RecordsCommand),
    /// Create or bring up to date the database's tables, and say who may do what
    #[command(subcommand, after_help = "Example:\n  lamplighter db status")]
    Db(DbCommand),
    /// Scaffold a job, a bundle and its export script from a Parquet file
    Init(InitOptions),
    /// Write the script that makes a shell complete the command line
    #[command(after_help = "\
Examples:
  lamplighter completions bash > lamplighter.bash
  lamplighter completions zsh > _lamplighter")]
    Completions(CompletionsOptions),
    /// Write the pages for `man`
    #[command(after_help = "\
Examples:
  lamplighter man > lamplighter.1
  lamplighter man man/man1")]
    Man(ManOptions),
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

/// Options of `drift`.
#[derive(Args)]
pub struct DriftOptions {
    /// Which job.
    #[command(flatten)]
    pub job: JobOptions,
    /// job@date#generation [default: the job's newest finished run]
    pub run: Option<String>,
    /// Another run to hold it against [default: the bundle's reference.json]
    #[arg(long, value_name = "RUN")]
    pub against: Option<String>,
}

/// Options of `evaluate`.
#[derive(Args)]
pub struct EvaluateOptions {
    /// Which job.
    #[command(flatten)]
    pub job: JobOptions,
    /// Parquet files to take ground truth from [default: [ground_truth] path or table, if there is one]
    #[arg(long, value_name = "FILE")]
    pub ground_truth: Option<String>,
    /// It is what people have corrected by hand, and kept apart from what happened
    #[arg(long)]
    pub corrections: bool,
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
