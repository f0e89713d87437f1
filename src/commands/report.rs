//! `lamplighter report`: show a run's report.

use super::{Invocation, current, find_run, look};
use crate::cli::ReportOptions;
use crate::error::{Class, Failure};
use crate::report::text;

/// Runs the command.
///
/// # Errors
/// There is no such run, or it is not finished (64); the database's.
pub fn run(options: &ReportOptions, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    let (run, stored) = look(invocation, |ledger| {
        let run = find_run(ledger, options.run.as_deref())?;
        let stored = ledger.report(run.run_id)?;
        Ok((run, stored))
    })?;
    let stored = stored.ok_or_else(|| {
        Failure::new(
            Class::Usage,
            format!("{} is {} and has no report", run.name(), run.state.as_str()),
        )
        .hint("a run has a report once it is finished; `lamplighter runs show` tells how far it is")
    })?;
    let report = current(serde_json::from_str(&stored)?, &run);
    invocation
        .terminal
        .print_either(&report, || text::render(&report))?;
    Ok(0)
}
