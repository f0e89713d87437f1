//! `lamplighter completions`: what teaches a shell the command line.

use super::Invocation;
use crate::cli::{CompletionsOptions, completions};

/// Runs the command.
///
/// # Errors
/// Standard output can not be written.
pub fn run(options: &CompletionsOptions, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    invocation.terminal.print(&completions(options.shell))?;
    Ok(0)
}
