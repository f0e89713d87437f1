//! Options of `model`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Subcommands of `model`.
#[derive(Subcommand)]
pub enum ModelCommand {
    /// Make a bundle of a model that another program has saved
    #[command(
        subcommand,
        after_help = "Example:\n  lamplighter model import hf distilbert --column review"
    )]
    Import(ImportCommand),
    /// Write a bundle's reference.json: what the data looks like that it was trained on
    #[command(after_help = "\
Runs are held against it: `report` and `drift` tell which columns and predictions have drifted. With
the ground truth of the data it also holds the model's metrics, which `evaluate` compares with.

DATA is one or more Parquet files with the columns that the model takes; quote a pattern. What a job
filters or computes is filtered and computed here as well if --job names it.

Examples:
  lamplighter model profile bundle --data train.parquet --id-column flight_id
  lamplighter model profile bundle --data 'train*.parquet' --job jobs/flight-delay.toml")]
    Profile(ProfileOptions),
}

/// Options of `model profile`.
#[derive(Args)]
pub struct ProfileOptions {
    /// The bundle
    pub bundle: PathBuf,
    /// The data that the model was trained on: Parquet files
    #[arg(long)]
    pub data: String,
    /// The job whose id column, filter and transform are used
    #[arg(long, value_name = "JOB")]
    pub job: Option<PathBuf>,
    /// Column that names the records [default: the job's, or id]
    #[arg(long, value_name = "COLUMN")]
    pub id_column: Option<String>,
    /// Parquet files with what was true of these records: makes the model's metrics part of the reference
    #[arg(long, value_name = "FILE")]
    pub ground_truth: Option<String>,
    /// Column of what was true [default: the job's [ground_truth] column]
    #[arg(long, value_name = "COLUMN")]
    pub truth_column: Option<String>,
    /// The day on which the model was trained [default: today]
    #[arg(long, value_name = "DATE")]
    pub trained_at: Option<String>,
}

/// Subcommands of `model import`.
#[derive(Subcommand)]
pub enum ImportCommand {
    /// Write the model.toml of a Hugging Face directory
    #[command(after_help = "\
DIR holds config.json, tokenizer.json and model.safetensors of a BERT, DistilBERT, RoBERTa or
XLM-R: a classifier, a regression, or a model of sentence-transformers. Classes, task and the
longest text are taken from it; look model.toml over, and edit it as you like.

Example:
  lamplighter model import hf distilbert --column review")]
    Hf(HuggingFaceOptions),
}

/// Options of `model import hf`.
#[derive(Args)]
pub struct HuggingFaceOptions {
    /// Directory of the checkpoint; model.toml is written into it
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Name of the model [default: the directory's]
    #[arg(long)]
    pub name: Option<String>,
    /// Version of the model
    #[arg(long, default_value = "1.0.0", value_name = "VERSION")]
    pub model_version: String,
    /// Column of the texts
    #[arg(long, default_value = "text")]
    pub column: String,
    /// Column of each pair's second text
    #[arg(long)]
    pub pair: Option<String>,
    /// Tokens of a text at most [default: what the checkpoint was made for, at most 512]
    #[arg(long, value_name = "N")]
    pub max_length: Option<usize>,
}
