//! Which run a start means: one that is done, one to go on with, or a new one.

use serde_json::Value;

use super::Prepared;
use crate::error::Failure;
use crate::ledger::{Ledger, Run, State};

/// What a start has to do.
#[derive(Debug)]
pub enum Decision {
    /// Nothing: this run already did it.
    Done(Run),
    /// Go on with this run.
    Resume(Run),
    /// Plan a new run.
    Plan,
}

/// Decides for the date of `prepared`; `rescore` asks for a new generation of a finished date.
///
/// Same fingerprint: go on, or nothing to do if complete. Another fingerprint: a new generation if
/// nothing of the date is published yet.
///
/// # Errors
/// The date is published under another fingerprint, or this host computes differently from the one
/// that began the run (78).
pub fn decide(ledger: &mut Ledger, prepared: &Prepared, rescore: bool) -> anyhow::Result<Decision> {
    if prepared.limit.is_some() {
        // A trial always runs, and stands in nobody's way.
        return Ok(Decision::Plan);
    }
    let date = prepared.date.to_string();
    let mut runs = ledger.runs_of_date(&prepared.job, &date)?;
    runs.retain(|run| !run.trial && run.pruned_at.is_none());
    let newest = runs.last().map(|run| run.run_id);
    runs.retain(|run| run.fingerprint == prepared.fingerprint);
    // The newest first: of a date's generations with this fingerprint, that is the one meant.
    runs.reverse();
    // One that had too many dead letters goes on if the limit is a higher one by now.
    let may_go_on = |run: &&Run| {
        let is_newest = Some(run.run_id) == newest;
        run.state.is_unfinished() || (run.state == State::Failed && is_newest && !rescore)
    };
    if let Some(run) = runs.iter().find(may_go_on) {
        return resumable(run.clone(), prepared).map(Decision::Resume);
    }
    if rescore {
        return Ok(Decision::Plan);
    }
    let published = match ledger.published_run(&prepared.job, &date)? {
        Some(run_id) => ledger.run(run_id)?,
        None => None,
    };
    match published {
        Some(run) if run.fingerprint == prepared.fingerprint => Ok(Decision::Done(run)),
        Some(run) => Err(Failure::config(format!(
            "{} is published, but input, bundle or settings have changed since: {}",
            run.name(),
            difference(&run, prepared)
        ))
        .hint("to score the date again and replace what is published, add --rescore --reason \"…\"")
        .into()),
        None => Ok(
            match runs.into_iter().find(|run| run.state == State::Completed) {
                Some(withheld) => Decision::Done(withheld),
                None => Decision::Plan,
            },
        ),
    }
}

fn resumable(run: Run, prepared: &Prepared) -> anyhow::Result<Run> {
    refuse_other_arithmetic(&run, prepared)?;
    Ok(run)
}

/// A run's records are scored by one instruction set, those that are retried included.
///
/// # Errors
/// This host has another one than the run (78).
pub(super) fn refuse_other_arithmetic(run: &Run, prepared: &Prepared) -> anyhow::Result<()> {
    if run.numerics == prepared.numerics() {
        return Ok(());
    }
    Err(Failure::config(format!(
        "{} was begun with {} arithmetic, this host has {}: its predictions would differ in their last bits",
        run.name(),
        run.numerics,
        prepared.numerics()
    ))
    .hint("finish it on a host like the one that began it, or give it up with `lamplighter runs cancel` and start again")
    .into())
}

/// What has changed since the run was planned, in the job file's own words.
fn difference(run: &Run, prepared: &Prepared) -> String {
    let before: Value = serde_json::from_str(&run.identity).unwrap_or_default();
    let mut changes = Vec::new();
    for (section, keys) in prepared.identity.as_object().into_iter().flatten() {
        for (key, now) in keys.as_object().into_iter().flatten() {
            let before = &before[section][key];
            if before != now {
                changes.push(change(run, prepared, section, key, before, now));
            }
        }
    }
    match changes.is_empty() {
        true => "this version of lamplighter computes differently".to_owned(),
        false => changes.join("; "),
    }
}

fn change(
    run: &Run,
    prepared: &Prepared,
    section: &str,
    key: &str,
    before: &Value,
    now: &Value,
) -> String {
    let records = prepared.input.rows().unwrap_or_default();
    match (section, key) {
        ("source", "manifest") if run.planned as u64 == records => {
            "the input's files have other names or contents".to_owned()
        }
        ("source", "manifest") => {
            format!(
                "the input had {} records, now it has {records}",
                run.planned
            )
        }
        ("model", "digest") => format!(
            "the bundle was {} {} ({}), now it is {} {} ({})",
            run.model_name,
            run.model_version,
            run.model_digest,
            prepared.bundle.name,
            prepared.bundle.version,
            prepared.bundle.digest
        ),
        ("source", "kind") => format!("[source] kind was {before}, now it is {now}"),
        ("source", "relation") => {
            "[source] asks for another table or query, or its columns have changed".to_owned()
        }
        // A text may hold what came through ${VAR}.
        ("source", _) => format!("[source] {key} is another"),
        _ => format!("[{section}] {key} was {before}, now it is {now}"),
    }
}
