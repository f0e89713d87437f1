//! `lamplighter check`: the deployment checklist.

use std::time::Duration;

use super::{Invocation, load_job, target};
use crate::check::{self, Request, text};
use crate::cli::CheckOptions;
use crate::error::{Class, classify};

/// Runs the command. Returns 0, or the exit code of the first item that failed.
///
/// # Errors
/// The command line is wrong (64), or to stop is requested (75).
pub fn run(options: &CheckOptions, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    let list = match load_job(&options.job) {
        Ok(mut job) => {
            // Somebody looks on: what is not there now is told now.
            job.sink.retry_for = Duration::ZERO;
            let target = target(invocation, Some(&job));
            if let Err(failure) = &target
                && classify(failure) == Class::Usage
            {
                return target.map(|_| 0);
            }
            check::check(Request {
                file: &options.job.job,
                job,
                env: options.job.env.as_deref(),
                overrides: options.job.set.len(),
                date: options.date.as_deref(),
                target,
                interrupt: invocation.interrupt,
            })?
        }
        Err(failure) if classify(&failure) == Class::Usage => return Err(failure),
        Err(failure) => check::without_job(&failure),
    };
    let terminal = invocation.terminal;
    terminal.print_either(&list, || text::render(&list))?;
    Ok(list.overall.exit_code)
}
