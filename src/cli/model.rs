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
