//! Ends a run whose shards are all completed: counts, verdict, report, publication.

use std::thread;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::decay::decay;
use super::dispatcher::given_up;
use super::pipeline::Share;
use super::tolerance::{Tolerance, worst};
use super::{Prepared, Settings, monitoring as watch};
use crate::database::jittered;
use crate::error::{Class, Failure};
use crate::interrupt::Interrupt;
use crate::job::Cost;
use crate::ledger::{
    DeadLetterCount, Finish, Finishing, Ledger, Publication, Run, ShardRow, State, Totals,
};
use crate::monitor::{Drift, ShardStats};
use crate::record::{DUPLICATE_ID, run_hash};
use crate::report::{
    CostOfRun, Counts, Decay, Ending, ModelIdentity, OutputDistribution, RetryOf, RunReport,
    Timing, Verdict, resources,
};

/// What the finishing process knows of its own course.
pub struct Course {
    /// When it began.
    pub begun: Instant,
    /// The same, by the clock that counts.
    pub started_at: Timestamp,
    /// Time until the first claim.
    pub planning: Duration,
    /// What it did of the run.
    pub share: Share,
    /// How it works.
    pub settings: Settings,
    /// How many dead letters there may be.
    pub tolerance: Tolerance,
    /// What it retries, if it does.
    pub retry: Option<RetryOf>,
    /// What the machine costs, if it is known.
    pub cost: Option<Cost>,
}

/// How a start ended.
pub struct Outcome {
    /// The report.
    pub report: RunReport,
    /// Exit code of the process.
    pub exit_code: u8,
}

/// How often to look whether another process is done with finishing.
const PEER_INTERVAL: Duration = Duration::from_millis(200);

/// Ends a run whose shards are all completed. Of several processes one does it, and the others
/// return its outcome.
///
/// # Errors
/// The rows do not add up to what was planned (70); somebody gave the run up, or to
/// stop is requested while another process finishes it (75); the database's.
pub fn finalize(
    ledger: &mut Ledger,
    run: &Run,
    prepared: &Prepared,
    course: &Course,
    interrupt: &Interrupt,
) -> anyhow::Result<Outcome> {
    let mut conclude = |ledger: &mut Ledger| conclude(ledger, run, prepared, course);
    loop {
        match ledger.finish_run(run.run_id, &mut conclude)? {
            Finishing::Finished(outcome) => return Ok(outcome),
            Finishing::Ended => return outcome_of_another(ledger, run),
            Finishing::Busy => {
                interrupt.check()?;
                thread::sleep(jittered(PEER_INTERVAL));
            }
        }
    }
}

fn outcome_of_another(ledger: &mut Ledger, run: &Run) -> anyhow::Result<Outcome> {
    let stored = ledger.run(run.run_id)?;
    let is_completed = stored.is_some_and(|run| run.state == State::Completed);
    match ledger.report(run.run_id)? {
        Some(report) if is_completed => {
            let report: RunReport = serde_json::from_str(&report)?;
            Ok(Outcome {
                exit_code: report.outcome.exit_code,
                report,
            })
        }
        _ => Err(given_up(run)),
    }
}

/// Counts the rows, decides, and makes the report.
fn conclude(
    ledger: &mut Ledger,
    run: &Run,
    prepared: &Prepared,
    course: &Course,
) -> anyhow::Result<(Finish, Outcome)> {
    let (totals, unfinished_shards) = ledger.totals(run.run_id)?;
    if unfinished_shards > 0 {
        return Err(Failure::internal(format!(
            "{} has {unfinished_shards} shards that are not completed",
            run.name()
        ))
        .into());
    }
    conserve(run, totals)?;
    let dead_letters = ledger.dead_letter_counts(run.run_id)?;
    let ending = judge(ledger, run, course.tolerance, totals, &dead_letters)?;
    let shards = ledger.shards(run.run_id)?;
    let output_hash = run_hash(
        shards
            .iter()
            .filter_map(|shard| shard.output_hash.as_deref()),
    );
    let profile = watch::profile(ledger, run, prepared)?;
    let drift = profile
        .as_ref()
        .and_then(|profile| watch::drift(profile, prepared));
    let monitoring = watch::rows(profile.as_ref(), drift.as_ref())?;
    let decay = match &prepared.reference {
        Some(reference) => Some(decay(
            ledger,
            &run.job,
            &prepared.bundle,
            reference,
            &prepared.drift.retrain,
            drift.as_ref(),
        )?),
        None => None,
    };
    let report = report(
        ledger,
        run,
        prepared,
        course,
        Facts {
            totals,
            dead_letters,
            shards: shards.len() as u64,
            ending,
            drift,
            decay,
        },
    )?;
    let publication = match report.outcome.verdict {
        Verdict::Published => Publication::Published,
        Verdict::Withheld | Verdict::Trial | Verdict::Unfinished => Publication::Withheld,
    };
    let finish = Finish {
        parent: run.parent_run_id,
        publication,
        totals,
        output_hash,
        exit_code: report.outcome.exit_code,
        verdict: report.outcome.verdict.as_str(),
        duration_seconds: report.timing.duration_seconds,
        records_per_second: report.timing.records_per_second,
        peak_memory_bytes: report.resources.peak_memory_bytes,
        report: serde_json::to_string(&report)?,
        monitoring,
    };
    let outcome = Outcome {
        exit_code: report.outcome.exit_code,
        report,
    };
    Ok((finish, outcome))
}

/// The report of a run that this process leaves before its end, because of `reason`. It is told and
/// not stored: the run's report is made when the run is finished.
///
/// # Errors
/// The database's.
pub fn so_far(
    ledger: &mut Ledger,
    run: &Run,
    prepared: &Prepared,
    course: &Course,
    reason: &Failure,
) -> anyhow::Result<Outcome> {
    // From the shards' own counts: to count rows may take longer than there is time.
    let shards = ledger.shards(run.run_id)?;
    let sum = |count: fn(&ShardRow) -> Option<u64>| shards.iter().filter_map(count).sum();
    let dead_letters = ledger.dead_letter_counts(run.run_id)?;
    let duplicates = dead_letters
        .iter()
        .filter(|count| count.code == DUPLICATE_ID);
    let totals = Totals {
        predicted: sum(|shard| shard.predicted),
        dead_letters: sum(|shard| shard.dead_letters),
        duplicates: duplicates.map(|count| count.records).sum(),
        filtered: sum(|shard| shard.filtered),
        erased: sum(|shard| Some(shard.erased)),
    };
    let exit_code = reason.class().exit_code();
    let ending = Ending {
        verdict: Verdict::Unfinished,
        explanation: reason.to_string(),
        exit_code,
    };
    let report = report(
        ledger,
        run,
        prepared,
        course,
        Facts {
            totals,
            dead_letters,
            shards: shards.len() as u64,
            ending,
            drift: None,
            decay: None,
        },
    )?;
    Ok(Outcome { report, exit_code })
}

/// What a report says of a run's records.
struct Facts {
    totals: Totals,
    dead_letters: Vec<DeadLetterCount>,
    shards: u64,
    ending: Ending,
    drift: Option<Drift>,
    decay: Option<Decay>,
}

fn report(
    ledger: &mut Ledger,
    run: &Run,
    prepared: &Prepared,
    course: &Course,
    facts: Facts,
) -> anyhow::Result<RunReport> {
    let totals = facts.totals;
    let mut stats = ShardStats::default();
    ledger.for_each_shard_stats(run.run_id, |stored| {
        stats.merge(&serde_json::from_str(stored)?);
        Ok(())
    })?;
    stats.seconds.commit = course.share.committing.as_secs_f64();
    let attempts = ledger.attempts(run.run_id)?.len() as u64;
    let planned = run.planned as u64;
    Ok(RunReport {
        run: run.name().to_string(),
        run_id: run.run_id,
        job: run.job.clone(),
        logical_date: run.logical_date.clone(),
        generation: run.generation,
        trial: run.trial,
        reason: run.reason.clone(),
        retry: course.retry.clone(),
        model: ModelIdentity {
            name: run.model_name.clone(),
            version: run.model_version.clone(),
            digest: run.model_digest.clone(),
            precision: run.precision.clone(),
            numerics: run.numerics.clone(),
            batch_size: run.batch_size as u64,
        },
        input: prepared.input.report(&run.fingerprint),
        counts: Counts {
            planned,
            predicted: totals.predicted,
            dead_letters: totals.dead_letters,
            duplicates: totals.duplicates,
            filtered: totals.filtered,
            erased: totals.erased,
            unfinished: planned.saturating_sub(
                totals.predicted + totals.dead_letters + totals.filtered + totals.erased,
            ),
            shards: facts.shards,
        },
        dead_letters: facts.dead_letters,
        columns: stats.columns.clone(),
        outputs: OutputDistribution {
            labels: stats.labels.clone(),
            scores: stats.scores.summary(),
            values: stats.values.summary(),
        },
        timing: timing(course, &stats, attempts),
        resources: resources::measure(course.begun, course.settings.workers, ledger.file()),
        cost: course.cost.as_ref().map(|cost| CostOfRun {
            amount: cost.of(course.begun.elapsed().as_secs_f64()),
            currency: cost.currency.clone(),
        }),
        drift: facts.drift,
        decay: facts.decay,
        evaluation: Vec::new(),
        outcome: facts.ending,
        lamplighter: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

fn conserve(run: &Run, totals: Totals) -> anyhow::Result<()> {
    let accounted = totals.predicted + totals.dead_letters + totals.filtered + totals.erased;
    if accounted == run.planned as u64 {
        return Ok(());
    }
    Err(Failure::internal(format!(
        "{}: {} records were planned, but {} predictions + {} dead letters + {} filtered + {} erased = {accounted}",
        run.name(),
        run.planned,
        totals.predicted,
        totals.dead_letters,
        totals.filtered,
        totals.erased
    ))
    .hint("`lamplighter runs verify` says which shard is at fault; nothing was published")
    .into())
}

fn judge(
    ledger: &mut Ledger,
    run: &Run,
    tolerance: Tolerance,
    totals: Totals,
    dead_letters: &[DeadLetterCount],
) -> anyhow::Result<Ending> {
    let rejected = totals.dead_letters - totals.duplicates;
    let judgement = tolerance.judge(totals.predicted, rejected);
    let withheld = |class: Class, explanation: String| Ending {
        verdict: Verdict::Withheld,
        explanation,
        exit_code: class.exit_code(),
    };
    if !judgement.is_kept {
        let explanation = format!(
            "{} of {} records are dead letters, the limit is {}{}",
            judgement.dead_letters,
            judgement.records,
            tolerance.limit,
            worst(dead_letters)
        );
        return Ok(withheld(Class::Data, explanation));
    }
    if run.trial {
        return Ok(Ending {
            verdict: Verdict::Trial,
            explanation: "a trial is never published".to_owned(),
            exit_code: 0,
        });
    }
    if let Some(parent) = run.parent_run_id
        && let Some(other) = replaced_by(ledger, run, parent)?
    {
        let explanation = format!("consumers see {other} by now, of whose records these are not");
        return Ok(withheld(Class::Config, explanation));
    }
    Ok(Ending {
        verdict: Verdict::Published,
        explanation: "consumers see this run in predictions_by_date".to_owned(),
        exit_code: 0,
    })
}

/// Name of the run that consumers see instead of a retry's parent, if there is one.
pub(super) fn replaced_by(
    ledger: &mut Ledger,
    run: &Run,
    parent: i64,
) -> anyhow::Result<Option<String>> {
    let published = ledger.published_run(&run.job, &run.logical_date)?;
    match published.filter(|published| *published != parent) {
        None => Ok(None),
        Some(other) => {
            let other = ledger.run(other)?;
            Ok(other.map(|other| other.name().to_string()))
        }
    }
}

fn timing(course: &Course, stats: &ShardStats, attempts: u64) -> Timing {
    let duration = course.begun.elapsed();
    let passed = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    let finished_at = course
        .started_at
        .saturating_add(passed)
        .unwrap_or(Timestamp::MAX);
    let working = duration.saturating_sub(course.planning).as_secs_f64();
    Timing {
        started_at: course.started_at.to_string(),
        finished_at: finished_at.to_string(),
        duration_seconds: duration.as_secs_f64(),
        plan_seconds: course.planning.as_secs_f64(),
        records_per_second: if working > 0.0 {
            course.share.records as f64 / working
        } else {
            0.0
        },
        stage_seconds: stats.seconds,
        batch_milliseconds: stats
            .batch_seconds
            .summary()
            .map(|seconds| seconds.scaled(1e3)),
        attempts,
    }
}
