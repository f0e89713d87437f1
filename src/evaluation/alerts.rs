//! Rules about what predictions were worth.

use crate::alert::{Message, judge_evaluation, owing};
use crate::job::Job;
use crate::ledger::{EvaluationRow, Ledger, Origin};
use crate::report::JudgedRule;

/// Judges the job's rules by the newest date whose truth is known, and owes what people are to be told: once
/// for each run and rule, however often it is evaluated.
///
/// # Errors
/// The database's.
pub fn alert(
    ledger: &mut Ledger,
    job: &Job,
    metrics: &[EvaluationRow],
) -> anyhow::Result<Vec<JudgedRule>> {
    let is_of_evaluation = job.alerts.iter().any(|rule| rule.metric.is_of_evaluation());
    let observed = metrics.iter().filter(|row| row.origin == Origin::Observed);
    let dates = observed.clone().map(|row| row.logical_date.as_str());
    let Some(newest) = dates
        .max()
        .filter(|date| !date.is_empty() && is_of_evaluation)
    else {
        return Ok(Vec::new());
    };
    let published = ledger.published_run(&job.name, newest)?;
    let Some(run) = published.map(|run| ledger.run(run)).transpose()?.flatten() else {
        return Ok(Vec::new());
    };
    let rows: Vec<&EvaluationRow> = observed
        .filter(|row| {
            row.logical_date == newest
                && row.model_name == run.model_name
                && row.model_version == run.model_version
        })
        .collect();
    let judged = judge_evaluation(&job.alerts, &rows);
    let now = ledger.now()?.to_string();
    let owing = owing(&job.alerts, &judged, &run.created_at, |judged| {
        Message::of_evaluation(judged, &run, &now)
    })?;
    ledger.owe(run.run_id, &owing)?;
    Ok(judged)
}
