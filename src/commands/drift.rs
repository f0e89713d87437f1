//! `lamplighter drift`: how far a run's data and predictions are from others.

use super::{Invocation, load_job, target, with_ledger};
use crate::cli::DriftOptions;
use crate::error::{Class, Failure};
use crate::job::Job;
use crate::ledger::{Access, Ledger, Run};
use crate::monitor::reference::{Reference, ReferenceModel};
use crate::monitor::{Drift, Profile};
use crate::report::drift::render;
use crate::run::monitoring::REFERENCE;

/// Runs the command.
///
/// # Errors
/// There is no such run, it is another job's, or not finished (64); the reference is missing or of another
/// model version (78); the database's.
pub fn run(options: &DriftOptions, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    let job = load_job(&options.job)?;
    let target = target(invocation, Some(&job))?;
    let (run, current, other) = with_ledger(&target, Access::Read, |ledger| {
        ledger.at_one_moment(|ledger| {
            let run = find(ledger, &job, options.run.as_deref())?;
            let current = profile(ledger, &run)?;
            let other = options.against.as_deref().map(|name| {
                let other = find(ledger, &job, Some(name))?;
                Ok::<_, anyhow::Error>((other.name().to_string(), profile(ledger, &other)?))
            });
            Ok((run, current, other.transpose()?))
        })
    })?;
    let (against, reference) = match other {
        Some(other) => other,
        None => (REFERENCE.to_owned(), reference_of(&job, &run)?.profile),
    };
    let drift = Drift::between(&reference, &current, &against, &job.drift.thresholds);
    let name = run.name().to_string();
    invocation
        .terminal
        .print_either(&drift, || render(&name, &drift))?;
    Ok(0)
}

fn find(ledger: &mut Ledger, job: &Job, name: Option<&str>) -> anyhow::Result<Run> {
    let Some(name) = name else {
        return ledger.latest_completed(&job.name)?.ok_or_else(|| {
            Failure::new(
                Class::Usage,
                format!("there is no finished run of {}", job.name),
            )
            .into()
        });
    };
    let run = super::find_run(ledger, Some(name))?;
    if run.job != job.name {
        let problem = format!("{} is no run of {}", run.name(), job.name);
        return Err(Failure::new(Class::Usage, problem).into());
    }
    Ok(run)
}

fn profile(ledger: &mut Ledger, run: &Run) -> anyhow::Result<Profile> {
    if let Some(stored) = ledger.profile(run.run_id)? {
        return Ok(serde_json::from_str(&stored)?);
    }
    let problem = match (&run.profiles_pruned_at, run.state.is_unfinished()) {
        (Some(at), _) => format!("the profile of {} was pruned at {at}", run.name()),
        (None, true) => format!("{} is not finished and has no profile yet", run.name()),
        (None, false) => format!("{} has no profile", run.name()),
    };
    Err(Failure::new(Class::Usage, problem)
        .hint("a run has a profile once it is finished, unless an older lamplighter scored it; [retention] profiles says how long it is kept")
        .into())
}

/// The reference of the model that scored the run.
fn reference_of(job: &Job, run: &Run) -> anyhow::Result<Reference> {
    let model = ReferenceModel {
        name: run.model_name.clone(),
        version: run.model_version.clone(),
        digest: run.model_digest.clone(),
    };
    Ok(Reference::read(&job.model.bundle, &model)?)
}
