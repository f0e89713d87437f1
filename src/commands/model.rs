//! `lamplighter model`: bundles.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::Context;
use serde_json::json;

use super::{Invocation, profile};
use crate::cli::{HuggingFaceOptions, ImportCommand, ModelCommand};
use crate::error::{Class, Failure};
use crate::job::ModelReference;
use crate::model::Bundle;
use crate::model::bert::import::{Wishes, describe};

const MODEL_TOML: &str = "model.toml";

/// Runs the command.
///
/// # Errors
/// What is there is no checkpoint that can be scored with (78); there is a `model.toml` already (64).
pub fn run(command: &ModelCommand, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    match command {
        ModelCommand::Import(ImportCommand::Hf(options)) => import(options, invocation),
        ModelCommand::Profile(options) => profile::run(options, invocation),
    }
}

fn import(options: &HuggingFaceOptions, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    let directory = &options.directory;
    let name = match &options.name {
        Some(name) => name.clone(),
        None => name_of(directory)?,
    };
    let wishes = Wishes {
        name,
        version: options.model_version.clone(),
        column: options.column.clone(),
        pair: options.pair.clone(),
        max_length: options.max_length,
    };
    let path = directory.join(MODEL_TOML);
    if path.try_exists().unwrap_or(false) {
        return Err(exists(&path).into());
    }
    let text = describe(directory, &wishes)?;
    write_new(&path, &text)?;
    // As a run loads it; what can not be loaded is not left behind.
    let bundle = match Bundle::load(&ModelReference::of(directory)) {
        Ok(bundle) => bundle,
        Err(failure) => {
            let _ = fs::remove_file(&path);
            return Err(failure);
        }
    };
    let json = json!({
        "bundle": directory,
        "name": bundle.name,
        "task": bundle.task.as_str(),
        "digest": bundle.digest,
        "parameters": bundle.network.parameters(),
    });
    invocation.terminal.print_either(&json, || {
        format!("{text}\nwrote {}, {}", path.display(), bundle.digest)
    })?;
    Ok(0)
}

/// The name of the directory, wherever it is looked at from.
fn name_of(directory: &Path) -> anyhow::Result<String> {
    let whole = directory
        .canonicalize()
        .with_context(|| format!("cannot find {}", directory.display()))?;
    let name = whole.file_name().map(|name| name.to_string_lossy());
    Ok(name.unwrap_or_else(|| "model".into()).into_owned())
}

fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let opened = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = match opened {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(exists(path).into()),
        opened => opened.with_context(|| format!("cannot write {}", path.display()))?,
    };
    let written = file.write_all(text.as_bytes());
    written.with_context(|| format!("cannot write {}", path.display()))
}

fn exists(path: &Path) -> Failure {
    Failure::new(Class::Usage, format!("{} is there already", path.display()))
        .hint("move it away, or edit it")
}
