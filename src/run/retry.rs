//! Scoring a run's dead letters again, once what was wrong with them is corrected.
//!
//! A retry is a run of its own, a child of the run whose dead letters it scores: it has its own
//! shards, rows, counts and report. What the parent wrote stays as it is, so that the counts of both
//! can be proven; consumers see the child's predictions over the parent's. A parent that was withheld
//! for its dead letters is published with the child, if both together keep the limit.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use super::attempt::{Assignment, Attempted, Begun, carry_out};
use super::finalize::replaced_by;
use super::identity::refuse_other_arithmetic;
use super::memory::readers;
use super::pipeline::Progress;
use super::start::{Request, resume, tell_given_up};
use super::tolerance::Tolerance;
use super::{Prepared, plan};
use crate::error::{Class, Failure};
use crate::job::Job;
use crate::ledger::{Ledger, Planning, Publication, RetriedRun, Run, State};
use crate::report::RetryOf;

/// The dead letters that a run scores again.
pub struct Retry {
    /// The run whose they are.
    pub parent: Run,
    /// Ids of their records.
    pub wanted: Vec<String>,
    /// The same, to look one up.
    pub set: HashSet<String>,
}

impl Retry {
    /// These records of `parent`.
    pub fn new(parent: Run, wanted: Vec<String>) -> Self {
        Self {
            set: wanted.iter().cloned().collect(),
            parent,
            wanted,
        }
    }
}

/// What came of a retry.
pub enum Retried {
    /// There is nothing to retry.
    Nothing,
    /// Nothing of it is in the input any more: so many dead letters.
    NotFound(u64),
    /// It was worked on.
    Attempted(Attempted),
}

/// Scores the dead letters of `parent` again; with `code`, only those of this code.
///
/// # Errors
/// The run can not be retried (64), or not with this bundle, or is no longer the one that consumers see
/// (78); those of a start.
pub fn retry(
    ledger: &mut Ledger,
    job: &Job,
    mut parent: Run,
    code: Option<&str>,
    request: &Request,
    mut progress: impl FnMut(Progress),
) -> anyhow::Result<Retried> {
    let begun = Begun::now(ledger)?;
    let (prepared, run) = loop {
        // It may have been pruned or replaced since it was looked at.
        parent = ledger.run(parent.run_id)?.ok_or_else(|| pruned(&parent))?;
        check_parent(ledger, &parent)?;
        let newest_child = ledger.newest_child(parent.run_id)?;
        let wanted = ledger.retryable(parent.run_id, code)?;
        if wanted.is_empty() {
            return Ok(Retried::Nothing);
        }
        let date = parent.logical_date.parse()?;
        let prepared = Prepared::new(job, date, None, ledger.target(), &request.interrupt)?
            .for_retry(Retry::new(parent.clone(), wanted));
        check_model(&parent, &prepared)?;
        // Overtaken by another retry or by a pruning, what is wanted is found anew.
        if let Some(run) = find_or_plan(ledger, job, &prepared, newest_child, request)? {
            break (prepared, run);
        }
    };
    let wanted = prepared
        .retry
        .as_ref()
        .map_or(0, |retry| retry.wanted.len()) as u64;
    let planned = run.planned as u64;
    if planned == 0 {
        ledger.cancel_run(run.run_id)?;
        return Ok(Retried::NotFound(wanted));
    }
    let counts = [parent.predicted, parent.dead_letters, parent.duplicates];
    let [predicted, dead_letters, duplicates] = counts.map(|count| {
        count
            .and_then(|count| u64::try_from(count).ok())
            .unwrap_or(0)
    });
    let rejected = dead_letters.saturating_sub(duplicates);
    let recovered = ledger.recovered(parent.run_id)?;
    let assignment = Assignment {
        job,
        prepared: &Arc::new(prepared),
        request,
        begun,
        tolerance: Tolerance {
            limit: job.max_dead_letters,
            other_dead_letters: rejected.saturating_sub(recovered + planned),
            other_records: (predicted + rejected).saturating_sub(planned),
        },
        retry: Some(RetryOf {
            run: parent.name().to_string(),
            wanted,
            not_found: wanted.saturating_sub(planned),
        }),
    };
    carry_out(ledger, run.run_id, assignment, &mut progress).map(Retried::Attempted)
}

fn check_parent(ledger: &mut Ledger, parent: &Run) -> anyhow::Result<()> {
    let refuse = |class, why: String, hint: &str| {
        let failure = Failure::new(class, format!("{} {why}", parent.name()));
        Err(failure.hint(hint).into())
    };
    if parent.trial {
        let hint = "a trial is never published; run the date";
        return refuse(Class::Usage, "is a trial".to_owned(), hint);
    }
    if parent.parent_run_id.is_some() {
        let hint = "name the run that it belongs to: what is still dead there is scored again";
        return refuse(Class::Usage, "is itself a retry".to_owned(), hint);
    }
    if parent.state != State::Completed {
        let hint = "a run's dead letters are known once it is completed: `lamplighter run` goes on with it";
        return refuse(Class::Usage, format!("is {}", parent.state.as_str()), hint);
    }
    if parent.pruned_at.is_some() {
        let hint = "`lamplighter runs prune` goes on with it; run the date again";
        return refuse(Class::Usage, "is being pruned".to_owned(), hint);
    }
    if let Some(at) = &parent.dead_letters_pruned_at {
        let hint =
            "`lamplighter run … --rescore --reason \"…\"` scores all records of the date again";
        return refuse(
            Class::Usage,
            format!("has no dead letters any more: they were pruned at {at}"),
            hint,
        );
    }
    // To publish it, as a retry would, is for whoever has looked at what the rule found.
    if parent.publication == Publication::Withheld
        && parent.exit_code == Some(Class::Withheld.exit_code().into())
    {
        let hint = "`lamplighter runs publish` publishes it after a look; or score the date again: `lamplighter run … --rescore --reason \"…\"`";
        return refuse(
            Class::Config,
            "was withheld by a rule of [[alert]]".to_owned(),
            hint,
        );
    }
    match replaced_by(ledger, parent, parent.run_id)? {
        Some(other) => {
            let hint = "retry the dead letters of that run, or score the date again: `lamplighter run … --rescore --reason \"…\"`";
            let problem = format!("is not what consumers see of the date: that is {other}");
            refuse(Class::Config, problem, hint)
        }
        None => Ok(()),
    }
}

fn pruned(parent: &Run) -> Failure {
    Failure::new(Class::Usage, format!("{} was pruned", parent.name()))
        .hint("`lamplighter runs list` shows the runs that there are")
}

/// The records of a date are scored by one model in one way; what may be corrected is the source.
fn check_model(parent: &Run, prepared: &Prepared) -> anyhow::Result<()> {
    let before: Value = serde_json::from_str(&parent.identity).unwrap_or_default();
    let is_alike = |section: &str| before[section] == prepared.identity[section];
    if is_alike("model") && is_alike("run") {
        return refuse_other_arithmetic(parent, prepared);
    }
    Err(Failure::config(format!(
        "{} was scored by {} {} in batches of {}; bundle, threshold, precision or batch size are others now",
        parent.name(),
        parent.model_name,
        parent.model_version,
        parent.batch_size
    ))
    .hint(
        "`lamplighter run … --rescore --reason \"…\"` scores the whole date with what there is now",
    )
    .into())
}

/// The retry to go on with, or a new one; `None` if another one came between.
fn find_or_plan(
    ledger: &mut Ledger,
    job: &Job,
    prepared: &Prepared,
    newest_child: Option<i64>,
    request: &Request,
) -> anyhow::Result<Option<Run>> {
    let Some(Retry { parent, .. }) = &prepared.retry else {
        return Err(Failure::internal("nothing is to be retried").into());
    };
    let unfinished = ledger.unfinished_children(parent.run_id)?;
    let alike = |child: &&Run| {
        child.fingerprint == prepared.fingerprint && child.numerics == prepared.numerics()
    };
    if let Some(child) = unfinished.iter().rev().find(alike) {
        resume(ledger, child, request)?;
        return Ok(Some(child.clone()));
    }
    let readers = readers(job, prepared, request.workers, ledger.is_shared());
    let plan = plan::plan(
        job,
        prepared,
        plan::Occasion::default(),
        readers,
        &request.interrupt,
    )?;
    let known = RetriedRun {
        run_id: parent.run_id,
        newest_child,
    };
    match plan.with_input(|input| ledger.plan_retry(&plan.run, input, known))? {
        Planning::Planned { run_id, given_up } => {
            tell_given_up(ledger, &given_up)?;
            let gone = || Failure::internal(format!("run {run_id} is gone"));
            Ok(Some(ledger.run(run_id)?.ok_or_else(gone)?))
        }
        Planning::Overtaken => Ok(None),
    }
}
