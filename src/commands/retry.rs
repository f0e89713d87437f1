//! `lamplighter dead-letters retry`: score a run's dead letters again.

use super::run::conclude;
use super::{Invocation, find_run, isolated_arguments, keep_time, load_job, target, with_ledger};
use crate::cli::RetryOptions;
use crate::error::{Class, Failure};
use crate::fault;
use crate::job::Job;
use crate::ledger::{Access, Ledger, Run};
use crate::run::retry::{Retried, retry};
use crate::run::start::Request;

/// Runs the command.
///
/// # Errors
/// There is no such run, or it can not be retried (64 or 78); those of a run.
pub fn run(options: &RetryOptions, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    let (terminal, interrupt) = (invocation.terminal, invocation.interrupt);
    let job = load_job(&options.job)?;
    fault::prepare()?;
    let target = target(invocation, Some(&job))?;
    keep_time(&job, &target, interrupt)?;
    let request = Request {
        workers: options.workers.map(usize::from),
        interrupt: interrupt.clone(),
        isolated_arguments: isolated_arguments(&options.job, invocation.global),
        ..Request::default()
    };
    // To look first spares a mistyped name from creating a database.
    with_ledger(&target, Access::Read, |ledger| {
        find_parent(ledger, &job, options)
    })?;
    with_ledger(&target, Access::Write, |ledger| {
        let parent = find_parent(ledger, &job, options)?;
        let name = parent.name();
        let code = options.code.as_deref();
        let mut view = terminal.progress(&format!("retry of {name}"));
        let retried = retry(ledger, &job, parent, code, &request, |progress| {
            view.show(progress);
        })?;
        drop(view);
        match retried {
            Retried::Attempted(attempted) => conclude(attempted, terminal),
            Retried::Nothing => {
                terminal.print(&format!(
                    "{name} has no dead letters that can be scored again"
                ))?;
                Ok(0)
            }
            Retried::NotFound(wanted) => Err(Failure::new(
                Class::NoInput,
                format!("the input holds none of the {wanted} records any more"),
            )
            .hint("records are found by their ids; correct them where they came from")
            .into()),
        }
    })
}

/// The run that is meant: the named one, or the job's newest whose dead letters are known.
fn find_parent(ledger: &mut Ledger, job: &Job, options: &RetryOptions) -> anyhow::Result<Run> {
    let run = match &options.run {
        Some(name) => find_run(ledger, Some(name))?,
        None => ledger.latest_completed(&job.name)?.ok_or_else(|| {
            Failure::new(
                Class::Usage,
                format!("the job {} has no completed run", job.name),
            )
            .hint("`lamplighter runs list` shows the runs of the database; --database names another one")
        })?,
    };
    if run.job == job.name {
        return Ok(run);
    }
    Err(Failure::new(
        Class::Usage,
        format!("{} is no run of the job {}", run.name(), job.name),
    )
    .hint("give the job file whose run it is")
    .into())
}
