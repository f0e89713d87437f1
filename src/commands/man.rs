//! `lamplighter man`: the pages for `man`.

use std::fs;

use anyhow::Context;
use serde_json::json;

use super::Invocation;
use crate::cli::{ManOptions, pages};

/// Runs the command.
///
/// # Errors
/// The directory or standard output can not be written (74, 77).
pub fn run(options: &ManOptions, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    let pages = pages()?;
    let Some(directory) = &options.directory else {
        for page in pages.iter().take(1) {
            let text = String::from_utf8_lossy(&page.text);
            invocation.terminal.print(&text)?;
        }
        return Ok(0);
    };
    let context = || format!("cannot write pages into {}", directory.display());
    fs::create_dir_all(directory).with_context(context)?;
    let mut written = Vec::with_capacity(pages.len());
    for page in &pages {
        let path = directory.join(&page.file);
        fs::write(&path, &page.text).with_context(context)?;
        written.push(path.display().to_string());
    }
    let json = json!({ "pages": written });
    invocation
        .terminal
        .print_either(&json, || written.join("\n"))?;
    Ok(0)
}
