//! `lamplighter report`: show a run's report.

use super::{Invocation, current, find_run, look, tell_pruned};
use crate::cli::ReportOptions;
use crate::error::{Class, Failure};
use crate::ledger::{EvaluationRow, Publication};
use crate::report::text;

/// Runs the command.
///
/// # Errors
/// There is no such run, or it is not finished (64); the database's.
pub fn run(options: &ReportOptions, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    let (run, stored, evaluations) = look(invocation, |ledger| {
        let run = find_run(ledger, options.run.as_deref())?;
        let stored = ledger.report(run.run_id)?;
        let evaluations = ledger.evaluations_of_date(&run.job, &run.logical_date)?;
        Ok((run, stored, evaluations))
    })?;
    let stored = stored.ok_or_else(|| {
        if let Some(at) = &run.report_pruned_at {
            return Failure::new(
                Class::Usage,
                format!("the report of {} was pruned at {at}", run.name()),
            )
            .hint("[retention] reports says how long reports are kept; `lamplighter runs show` tells what is left of the run");
        }
        let standing = match run.state.is_unfinished() {
            true => "not finished",
            false => run.state.as_str(),
        };
        Failure::new(
            Class::Usage,
            format!("{} is {standing} and has no report", run.name()),
        )
        .hint("a run has a report once it is finished; `lamplighter runs show` tells how far it is")
    })?;
    tell_pruned(&run);
    let mut report = current(serde_json::from_str(&stored)?, &run);
    if run.publication == Publication::Published {
        let is_of_run = |row: &EvaluationRow| row.model_version == run.model_version;
        report.evaluation = evaluations.into_iter().filter(is_of_run).collect();
    }
    invocation
        .terminal
        .print_either(&report, || text::render(&report))?;
    Ok(0)
}
