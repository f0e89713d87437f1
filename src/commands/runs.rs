//! `lamplighter runs`: look at runs, prove them, give them up, prune them.

use std::fmt::Write;

use serde::Serialize;

use super::{Invocation, find_run, look, prune, target, with_ledger};
use crate::cli::RunsCommand;
use crate::error::{Class, Failure};
use crate::job::Schedule;
use crate::ledger::verify::{Verification, verify};
use crate::ledger::{Access, Attempt, KnownJob, Ledger, Publication, Run, ShardRow, State};
use crate::printable::one_line;
use crate::report::text::grouped;
use crate::status::missing::{MissingDate, Range, missing_dates};

/// Runs the command.
///
/// # Errors
/// There is no such run (64); the database's. `verify` returns 70 if a run does not hold.
pub fn run(command: &RunsCommand, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    match command {
        RunsCommand::List {
            job, missing: true, ..
        } => {
            let missing = look(invocation, |ledger| missing(ledger, job.as_deref()))?;
            let terminal = invocation.terminal;
            terminal.print_either(&missing, || missing_table(&missing))?;
        }
        RunsCommand::List { job, limit, .. } => {
            let runs = look(invocation, |ledger| {
                ledger.list_runs(job.as_deref(), *limit)
            })?;
            invocation.terminal.print_either(&runs, || table(&runs))?;
        }
        RunsCommand::Show { run } => {
            let details = look(invocation, |ledger| {
                let run = find_run(ledger, run.as_deref())?;
                Ok(Details {
                    shards: ledger.shards(run.run_id)?,
                    attempts: ledger.attempts(run.run_id)?,
                    run,
                })
            })?;
            invocation
                .terminal
                .print_either(&details, || describe(&details))?;
        }
        RunsCommand::Verify { run } => {
            let verification = look(invocation, |ledger| {
                let run = find_run(ledger, run.as_deref())?;
                verify(ledger, &run)
            })?;
            invocation
                .terminal
                .print_either(&verification, || verdict(&verification))?;
            if !verification.ok {
                return Ok(Class::Internal.exit_code());
            }
        }
        RunsCommand::Publish { run } => publish(run, invocation)?,
        RunsCommand::Cancel { run } => {
            let target = target(invocation, None)?;
            // To look first spares a mistyped name from creating a database.
            let run = look(invocation, |ledger| find_run(ledger, Some(run)))?;
            let (cancelled, run) = with_ledger(&target, Access::Write, |ledger| {
                let cancelled = ledger.cancel_run(run.run_id)?;
                // It may have ended since it was looked at.
                Ok((cancelled, ledger.run(run.run_id)?.unwrap_or(run)))
            })?;
            if !cancelled {
                return Err(Failure::new(
                    Class::Usage,
                    format!(
                        "{} is {} and can not be cancelled",
                        run.name(),
                        run.state.as_str()
                    ),
                )
                .into());
            }
            invocation
                .terminal
                .print(&format!("{} is cancelled", run.name()))?;
        }
        RunsCommand::Prune(options) => return prune::run(options, invocation),
        RunsCommand::Retire { job } => {
            look(invocation, |ledger| known_job(ledger, job))?;
            let target = target(invocation, None)?;
            with_ledger(&target, Access::Write, |ledger| ledger.retire_job(job))?;
            invocation.terminal.print(&format!(
                "nothing is expected of {job} until it is run again"
            ))?;
        }
    }
    Ok(0)
}

fn publish(name: &str, invocation: &Invocation<'_>) -> anyhow::Result<()> {
    let target = target(invocation, None)?;
    let run = look(invocation, |ledger| find_run(ledger, Some(name)))?;
    let refuse = |why: String| Failure::new(Class::Usage, format!("{} {why}", run.name()));
    if run.trial || run.parent_run_id.is_some() {
        let what = if run.trial { "a trial" } else { "a retry" };
        return Err(refuse(format!("is {what} and can not be published"))
            .hint("run the date, or publish the run that the retry belongs to")
            .into());
    }
    let is_published = with_ledger(&target, Access::Write, |ledger| {
        ledger.publish_withheld(&run)
    })?;
    if !is_published {
        let standing = match (run.state, run.publication) {
            (State::Completed, Publication::Withheld) => "is being pruned",
            (State::Completed, publication) => publication.as_str(),
            (state, _) => state.as_str(),
        };
        return Err(refuse(format!("is {standing} and can not be published"))
            .hint(
                "only a run that is completed and withheld can: `lamplighter runs list` shows them",
            )
            .into());
    }
    tracing::info!(run = %run.name(), "published by hand");
    invocation.terminal.print(&format!(
        "{} is published: consumers see it from now on",
        run.name()
    ))?;
    Ok(())
}

fn known_job(ledger: &mut Ledger, job: &str) -> anyhow::Result<KnownJob> {
    ledger.jobs(Some(job))?.pop().ok_or_else(|| {
        Failure::new(Class::Usage, format!("the database knows no job {job}"))
            .hint("`lamplighter status` lists those there are; --database names another database")
            .into()
    })
}

/// Dates of one job, or of all that are not retired, that consumers should see and do not.
fn missing(ledger: &mut Ledger, job: Option<&str>) -> anyhow::Result<Vec<MissingDate>> {
    let jobs = match job {
        Some(job) => vec![known_job(ledger, job)?],
        None => ledger.jobs(None)?,
    };
    let now = ledger.now()?;
    let mut all = Vec::new();
    for known in jobs.iter().filter(|known| !known.is_retired) {
        let schedule = known.schedule.as_deref().and_then(Schedule::from_json);
        let Some(schedule) = schedule else {
            tracing::warn!(
                job = known.name,
                "no start has told when this job is to run: `lamplighter run` or `backfill` does"
            );
            continue;
        };
        all.extend(missing_dates(
            ledger,
            &known.name,
            &schedule,
            Range::default(),
            now,
        )?);
    }
    Ok(all)
}

fn missing_table(missing: &[MissingDate]) -> String {
    if missing.is_empty() {
        return "no date is missing".to_owned();
    }
    let mut text = format!(
        "{:<24} {:<14} {:<12} {}\n",
        "JOB", "DATE", "STANDING", "RUN"
    );
    for date in missing {
        // Writing to a String can not fail.
        let _ = writeln!(
            text,
            "{:<24} {:<14} {:<12} {}",
            date.job,
            date.date.to_string(),
            date.standing,
            date.run.as_deref().unwrap_or("-")
        );
    }
    text.push_str(
        "`lamplighter backfill JOB --missing` scores those of a job; what failed or was withheld only with\n\
         --reprocess failed --reason \"…\"\n",
    );
    text
}

#[derive(Serialize)]
struct Details {
    #[serde(flatten)]
    run: Run,
    attempts: Vec<Attempt>,
    shards: Vec<ShardRow>,
}

fn table(runs: &[Run]) -> String {
    let mut text = format!(
        "{:<40} {:<10} {:<10} {:>12} {:>12} {:>12}  {}\n",
        "RUN", "STATE", "PUBLISHED", "PLANNED", "PREDICTED", "DEAD", "CREATED"
    );
    let count = |count: Option<i64>| count.map_or("-".to_owned(), |count| grouped(count as u64));
    for run in runs {
        let publication = match run.trial {
            true => "trial",
            false => run.publication.as_str(),
        };
        // Writing to a String can not fail.
        let _ = writeln!(
            text,
            "{:<40} {:<10} {:<10} {:>12} {:>12} {:>12}  {}",
            run.name().to_string(),
            run.state.as_str(),
            publication,
            grouped(run.planned as u64),
            count(run.predicted),
            count(run.dead_letters),
            run.created_at
        );
    }
    text
}

fn describe(details: &Details) -> String {
    let run = &details.run;
    let done = details
        .shards
        .iter()
        .filter(|shard| shard.state == "completed");
    let lines = [
        ("state", run.state.as_str().to_owned()),
        ("publication", run.publication.as_str().to_owned()),
        ("trial", if run.trial { "yes" } else { "no" }.to_owned()),
        (
            "reason",
            match (&run.reason, run.backfill) {
                (Some(reason), true) => format!("{reason} (a backfill)"),
                (Some(reason), false) => reason.clone(),
                (None, true) => "a backfill".to_owned(),
                (None, false) => "-".to_owned(),
            },
        ),
        ("model", format!("{} {}", run.model_name, run.model_version)),
        ("digest", run.model_digest.clone()),
        (
            "arithmetic",
            format!(
                "{} {}, batches of {}",
                run.precision, run.numerics, run.batch_size
            ),
        ),
        ("fingerprint", run.fingerprint.clone()),
        ("planned", grouped(run.planned as u64)),
        (
            "shards",
            format!("{} of {} completed", done.count(), details.shards.len()),
        ),
        ("created", run.created_at.clone()),
        (
            "completed",
            run.completed_at.clone().unwrap_or_else(|| "-".to_owned()),
        ),
    ];
    let pruned = [
        ("run", &run.pruned_at),
        ("dead letters", &run.dead_letters_pruned_at),
        ("profiles", &run.profiles_pruned_at),
        ("report", &run.report_pruned_at),
    ];
    let pruned = pruned
        .into_iter()
        .filter_map(|(what, at)| Some(("pruned", format!("{what}, {}", at.as_deref()?))));
    let erased = (run.erased > 0).then(|| ("erased", grouped(run.erased as u64)));
    let mut text = format!("{}\n", run.name());
    for (name, value) in lines.into_iter().chain(erased).chain(pruned) {
        let _ = writeln!(text, "    {name:<14}{value}");
    }
    for attempt in &details.attempts {
        let ended = match (&attempt.ended_at, attempt.exit_code) {
            (Some(at), Some(exit_code)) => format!("ended {at} with exit code {exit_code}"),
            _ => "under way, or killed".to_owned(),
        };
        let _ = writeln!(
            text,
            "    {:<14}{} pid {} on {} (lamplighter {}), {ended}",
            "attempt", attempt.started_at, attempt.pid, attempt.host, attempt.version
        );
    }
    text
}

fn verdict(verification: &Verification) -> String {
    if let Some(at) = &verification.pruned_at {
        let mut text = format!(
            "{}  {}\n    it began to be pruned at {at}, so that there is nothing to prove; `lamplighter runs prune` goes on with it\n",
            verification.run,
            if verification.ok { "PRUNED" } else { "NOT OK" }
        );
        tell_findings(verification, &mut text);
        return text;
    }
    let sometimes = |count: u64, what: &str| match count {
        0 => String::new(),
        count => format!(" + {} {what}", grouped(count)),
    };
    let mut text = format!(
        "{}  {}\n    {} planned = {} predictions + {} dead letters{} + {} filtered{} + {} in unfinished shards\n",
        verification.run,
        if verification.ok { "OK" } else { "NOT OK" },
        grouped(verification.planned),
        grouped(verification.predicted),
        grouped(verification.dead_letters),
        sometimes(verification.pruned_dead_letters, "pruned dead letters"),
        grouped(verification.filtered),
        sometimes(verification.erased, "erased"),
        grouped(verification.unfinished),
    );
    if let Some(at) = &verification.dead_letters_pruned_at {
        let _ = writeln!(
            text,
            "    dead letters were pruned at {at}: that they were is proven, what they were is not"
        );
    }
    tell_findings(verification, &mut text);
    text
}

fn tell_findings(verification: &Verification, text: &mut String) {
    for finding in &verification.findings {
        // Writing to a String can not fail.
        let _ = writeln!(text, "    {}", one_line(finding));
    }
}
