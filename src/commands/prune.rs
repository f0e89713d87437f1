//! `lamplighter runs prune`: delete what has been kept for long enough.

use std::fmt::Write;

use serde::Serialize;

use super::{Invocation, load_job, target, with_ledger};
use crate::cli::PruneOptions;
use crate::error::{Class, classify};
use crate::job::Job;
use crate::ledger::{Access, Ledger, Prunable, PrunedKind, Run};
use crate::report::text::grouped;

/// What went, or would go.
#[derive(Serialize)]
struct Summary {
    job: String,
    dry_run: bool,
    pruned: Vec<Pruned>,
}

/// What went of one kind.
#[derive(Serialize)]
struct Pruned {
    kind: PrunedKind,
    /// Runs that lost something.
    runs: u64,
    /// Rows: of the queue, predictions and dead letters of whole runs, dead letters, profiles, reports.
    rows: u64,
    /// The first logical date of these runs.
    from: Option<String>,
    /// The last logical date of these runs.
    to: Option<String>,
}

impl Pruned {
    fn nothing(kind: PrunedKind) -> Self {
        Self {
            kind,
            runs: 0,
            rows: 0,
            from: None,
            to: None,
        }
    }

    fn add(&mut self, run: &Run, rows: u64) {
        let date = &run.logical_date;
        self.runs += 1;
        self.rows += rows;
        if self.from.as_ref().is_none_or(|from| date < from) {
            self.from = Some(date.clone());
        }
        if self.to.as_ref().is_none_or(|to| date > to) {
            self.to = Some(date.clone());
        }
    }
}

/// Runs the command.
///
/// # Errors
/// To stop is requested (75); what is to be pruned is not what was committed (70); the role may not
/// delete (77); the database's. What went by then stays gone, and is told.
pub fn run(options: &PruneOptions, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    let job = load_job(&options.job)?;
    let target = target(invocation, Some(&job))?;
    let mut summary = Summary {
        job: job.name.clone(),
        dry_run: options.dry_run,
        pruned: Vec::new(),
    };
    // To look first spares a mistyped name from creating a database.
    let prunable = with_ledger(&target, Access::Read, |ledger| {
        if options.dry_run {
            ledger.at_one_moment(|ledger| count(ledger, &job, &mut summary.pruned))?;
        }
        ledger.prunable(&job.name, &job.retention)
    })?;
    let outcome = match options.dry_run {
        true => Ok(()),
        false => with_ledger(&target, Access::Write, |ledger| {
            prune(ledger, &job, prunable, invocation, &mut summary.pruned)
        }),
    };
    summary
        .pruned
        .retain(|pruned| pruned.rows + pruned.runs > 0);
    // That there is nothing to prune would not be true beside a failure.
    if outcome.is_ok() || !summary.pruned.is_empty() {
        invocation
            .terminal
            .print_either(&summary, || describe(&summary))?;
    }
    outcome.map(|()| 0)
}

fn count(ledger: &mut Ledger, job: &Job, summary: &mut Vec<Pruned>) -> anyhow::Result<()> {
    let queue = ledger.prunable_in_queue(&job.name, job.retention.queue)?;
    summary.push(Pruned {
        kind: PrunedKind::Queue,
        runs: queue.runs,
        rows: queue.records,
        from: queue.first_date,
        to: queue.last_date,
    });
    let prunable = ledger.prunable(&job.name, &job.retention)?;
    for (kind, runs) in [
        (PrunedKind::Runs, prunable.runs),
        (PrunedKind::DeadLetters, prunable.dead_letters),
        (PrunedKind::Profiles, prunable.profiles),
        (PrunedKind::Reports, prunable.reports),
    ] {
        let mut pruned = Pruned::nothing(kind);
        for run in &runs {
            let rows = ledger.rows_of_run(run.run_id)?;
            pruned.add(
                run,
                match kind {
                    PrunedKind::Runs => rows.predictions + rows.dead_letters,
                    PrunedKind::DeadLetters => rows.dead_letters,
                    PrunedKind::Profiles => rows.profiles,
                    PrunedKind::Reports | PrunedKind::Queue => 1,
                },
            );
        }
        summary.push(pruned);
    }
    Ok(())
}

/// Prunes, kind by kind. A run whose rows are not the ones that were committed does not save the
/// others: its failure comes in the end.
fn prune(
    ledger: &mut Ledger,
    job: &Job,
    seen: Prunable,
    invocation: &Invocation<'_>,
    summary: &mut Vec<Pruned>,
) -> anyhow::Result<()> {
    let interrupt = invocation.interrupt;
    let proceed = &mut || Ok(interrupt.check()?);
    proceed()?;
    // Dead letters may be personal data.
    ledger.overwrite_deleted()?;
    let queue = ledger.prunable_in_queue(&job.name, job.retention.queue)?;
    let rows = match queue.records {
        0 => 0,
        _ => ledger.prune_queue(&job.name, job.retention.queue, proceed)?,
    };
    summary.push(Pruned {
        kind: PrunedKind::Queue,
        runs: queue.runs,
        rows,
        from: queue.first_date,
        to: queue.last_date,
    });
    // A run whose rows were in the queue may go now.
    let prunable = match rows {
        0 => seen,
        _ => ledger.prunable(&job.name, &job.retention)?,
    };
    let mut broken = None;
    for (kind, runs) in [
        (PrunedKind::Runs, prunable.runs),
        (PrunedKind::DeadLetters, prunable.dead_letters),
        (PrunedKind::Profiles, prunable.profiles),
        (PrunedKind::Reports, prunable.reports),
    ] {
        let index = summary.len();
        summary.push(Pruned::nothing(kind));
        for run in &runs {
            tracing::info!(run = %run.name(), what = kind.as_str(), "pruning");
            match prune_kind(ledger, kind, run, proceed) {
                Ok(Some(rows)) => summary[index].add(run, rows),
                Ok(None) => {
                    tracing::info!(run = %run.name(), "it stays: it is needed again by now");
                }
                Err(failure) if classify(&failure) == Class::Internal => {
                    // The last one is told at the end.
                    if let Some(earlier) = broken.replace(failure) {
                        invocation.terminal.error(&earlier);
                    }
                }
                Err(failure) => {
                    if let Some(earlier) = broken {
                        invocation.terminal.error(&earlier);
                    }
                    return Err(failure);
                }
            }
        }
    }
    broken.map_or(Ok(()), Err)
}

/// Prunes something of a run. Returns how many rows there were, or `None` if it stays.
fn prune_kind(
    ledger: &mut Ledger,
    kind: PrunedKind,
    run: &Run,
    proceed: &mut dyn FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Option<u64>> {
    Ok(match kind {
        PrunedKind::Runs => ledger
            .prune_run(run, proceed)?
            .map(|rows| rows.predictions + rows.dead_letters),
        PrunedKind::DeadLetters => ledger.prune_dead_letters(run, proceed)?,
        PrunedKind::Profiles => Some(ledger.prune_profiles(run, proceed)?),
        PrunedKind::Reports | PrunedKind::Queue => Some(ledger.prune_report(run, proceed)?),
    })
}

fn describe(summary: &Summary) -> String {
    let Summary {
        job,
        dry_run,
        pruned,
    } = summary;
    let mut text = match (dry_run, pruned.is_empty()) {
        (_, true) => format!("{job}: nothing is to be pruned\n"),
        (true, false) => format!("{job}  dry run, nothing is deleted\n"),
        (false, false) => format!("{job}  pruned\n"),
    };
    for pruned in pruned {
        let (kind, rows) = match pruned.kind {
            PrunedKind::Queue => ("queue", "rows"),
            PrunedKind::Runs => ("runs", "predictions and dead letters"),
            kind => (kind.as_str(), kind.as_str()),
        };
        let reach = match (&pruned.from, &pruned.to) {
            (Some(from), Some(to)) if from != to => format!(", from {from} to {to}"),
            (Some(date), _) => format!(", of {date}"),
            _ => String::new(),
        };
        let runs = match pruned.runs {
            1 => "1 run".to_owned(),
            runs => format!("{} runs", grouped(runs)),
        };
        // Writing to a String can not fail.
        let _ = writeln!(
            text,
            "    {kind:<14}{} {rows} of {runs}{reach}",
            grouped(pruned.rows)
        );
    }
    text
}
