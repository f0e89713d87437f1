//! Ends a run whose shards are all completed: counts, verdict, alerts, report, publication.

use std::thread;
use std::time::Duration;

use super::decay::decay;
use super::dispatcher::given_up;
use super::summary::{Course, Facts, summary};
use super::tolerance::{Tolerance, worst};
use super::{Prepared, monitoring as watch};
use crate::alert::{self, Message, judge_unfinished};
use crate::database::jittered;
use crate::error::{Class, Failure};
use crate::interrupt::Interrupt;
use crate::job::AlertRule;
use crate::ledger::{
    DeadLetterCount, Finish, Finishing, Ledger, Owing, Publication, Run, ShardRow, State, Totals,
};
use crate::record::{DUPLICATE_ID, RunHasher};
use crate::report::{Ending, JudgedRule, RuleState, RunReport, Verdict};

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
    course: &Course<'_>,
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
    course: &Course<'_>,
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
    let (mut shards, mut hasher) = (0, RunHasher::default());
    ledger.for_each_shard(run.run_id, |shard| {
        shards += 1;
        if let Some(output_hash) = &shard.output_hash {
            hasher.add(output_hash);
        }
        Ok(())
    })?;
    let output_hash = hasher.finish();
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
    let facts = Facts {
        totals,
        dead_letters,
        shards,
        ending,
        drift,
        decay,
    };
    let mut report = summary(ledger, run, prepared, course, facts)?;
    let owing = watched(run, course, &mut report)?;
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
        cost: report
            .cost
            .as_ref()
            .map(|cost| (cost.amount, cost.currency.clone())),
        monitoring,
        owing,
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
    course: &Course<'_>,
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
    let facts = Facts {
        totals,
        dead_letters,
        shards: shards.len() as u64,
        ending,
        drift: None,
        decay: None,
    };
    let mut report = summary(ledger, run, prepared, course, facts)?;
    if is_watched(run) {
        report.alerts = judge_unfinished(&course.job.alerts, &report, reason.class());
        let owing = owing(&course.job.alerts, run, &report)?;
        ledger.owe(run.run_id, &owing)?;
    }
    Ok(Outcome { report, exit_code })
}

/// Whether the job's rules are held against a run: a retry is of a few records of a run that was judged.
fn is_watched(run: &Run) -> bool {
    run.parent_run_id.is_none()
}

/// Judges the job's rules. Those that hold may keep the run from being published, and are told to people
/// unless these look on anyway, as they do at a trial and a backfill.
fn watched(run: &Run, course: &Course<'_>, report: &mut RunReport) -> anyhow::Result<Vec<Owing>> {
    let rules = &course.job.alerts;
    if rules.is_empty() || !is_watched(run) {
        return Ok(Vec::new());
    }
    report.alerts = alert::judge(rules, report, &course.job.drift.thresholds.ignore);
    let withholding = |judged: &&JudgedRule| {
        judged.state == RuleState::Firing
            && judged.actions.iter().any(|action| action == "withhold")
    };
    let reasons: Vec<String> = report
        .alerts
        .iter()
        .filter(withholding)
        .map(|judged| format!("{} ({})", judged.rule, judged.summary))
        .collect();
    if report.outcome.verdict == Verdict::Published && !reasons.is_empty() {
        report.outcome = Ending {
            verdict: Verdict::Withheld,
            explanation: format!("withheld by {}", reasons.join(", ")),
            exit_code: Class::Withheld.exit_code(),
        };
    }
    owing(rules, run, report)
}

/// What people are to be told of the rules that hold.
fn owing(rules: &[AlertRule], run: &Run, report: &RunReport) -> anyhow::Result<Vec<Owing>> {
    if run.trial || run.backfill {
        return Ok(Vec::new());
    }
    alert::owing(rules, &report.alerts, &run.created_at, |judged| {
        Message::of(judged, report)
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
