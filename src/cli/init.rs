//! Options of `init`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Options of `init`.
#[derive(Args)]
#[command(after_help = "\
The file is read once, for means, ranges and categories. What is written runs at once, but with
weights that are zeros; the export script trains the model, or takes a state dict.
Nothing that exists is ever overwritten.

Examples:
  lamplighter init --from fixtures/flights/flights-2013-10.parquet
  lamplighter init late-payers --from fixtures/credit/credit.parquet --target ever_late")]
pub struct InitOptions {
    /// Directory to write into, made if it is not there [default: the working directory]
    #[arg(value_name = "DIR", default_value = ".", hide_default_value = true)]
    pub directory: PathBuf,
    /// Parquet file with records such as those to score; a directory or a glob of such files too
    #[arg(long, value_name = "FILE")]
    pub from: String,
    /// Column that names each record [default: the one called id or …_id that no two records share]
    #[arg(long, value_name = "COLUMN")]
    pub id_column: Option<String>,
    /// What job and model are called [default: the file's name, as far as a job may have it]
    #[arg(long)]
    pub name: Option<String>,
    /// What the model predicts [default: told from the target's values, else binary]
    #[arg(long, value_enum)]
    pub task: Option<Task>,
    /// Column that the model is to predict: it is no feature, and gives the classes
    #[arg(long, value_name = "COLUMN")]
    pub target: Option<String>,
}

/// What a model predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Task {
    /// One of two classes
    Binary,
    /// One of several classes
    Multiclass,
    /// A number
    Regression,
}
