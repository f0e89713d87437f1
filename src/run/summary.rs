//! What a run's report says, from the ledger's rows and from the process that makes it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::bill::{Own, bill};
use super::pipeline::Share;
use super::tolerance::Tolerance;
use super::{Prepared, Settings};
use crate::job::Job;
use crate::ledger::{CompletedShard, DeadLetterCount, Ledger, Run, Totals};
use crate::monitor::{Distribution, Drift, ShardStats};
use crate::report::{
    Bucket, Counts, Decay, Ending, MOST_MOMENTS, ModelIdentity, Moment, OutputDistribution,
    RetryOf, RunReport, Timing, resources,
};

/// What the finishing process knows of its own course.
pub struct Course<'a> {
    /// The job.
    pub job: &'a Job,
    /// As which it works on the run.
    pub owner: String,
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
    /// What the machine had done before.
    pub before: resources::Before,
}

/// What a report says of a run's records.
pub(super) struct Facts {
    pub(super) totals: Totals,
    pub(super) dead_letters: Vec<DeadLetterCount>,
    pub(super) shards: u64,
    pub(super) ending: Ending,
    pub(super) drift: Option<Drift>,
    pub(super) decay: Option<Decay>,
}

/// The report of a run, in which no rule is judged yet.
///
/// # Errors
/// The database's.
pub(super) fn summary(
    ledger: &mut Ledger,
    run: &Run,
    prepared: &Prepared,
    course: &Course<'_>,
    facts: Facts,
) -> anyhow::Result<RunReport> {
    let totals = facts.totals;
    let mut steps = Steps::of(facts.shards);
    ledger.for_each_completed_shard(run.run_id, |shard| {
        steps.completed(&shard);
        Ok(())
    })?;
    let mut stats = ShardStats::default();
    // By shard number, so that sums do not depend on who was done first.
    ledger.for_each_shard_stats(run.run_id, |shard_no, stored| {
        let of_shard: ShardStats = serde_json::from_str(stored)?;
        stats.merge(&of_shard);
        steps.measured(shard_no, &of_shard);
        Ok(())
    })?;
    stats.seconds.commit = course.share.committing.as_secs_f64();
    let attempts = ledger.attempts(run.run_id)?.len() as u64;
    let timing = Timing {
        attempts,
        course: steps.end(),
        ..timing(course, run, &stats)
    };
    let planned = run.planned as u64;
    let finished_at = timing.finished_at.parse().unwrap_or(course.started_at);
    Ok(RunReport {
        run: run.name().to_string(),
        run_id: run.run_id,
        job: run.job.clone(),
        job_file: course.job.file.clone(),
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
        previously_planned: ledger.previously_planned(&run.job, &run.logical_date)?,
        dead_letters: facts.dead_letters,
        columns: stats.columns.clone(),
        outputs: OutputDistribution {
            labels: stats.labels.clone(),
            scores: stats.scores.summary(),
            values: stats.values.summary(),
        },
        timing,
        resources: resources::measure(
            &course.before,
            course.settings.workers,
            course.job.max_memory_bytes,
            ledger.file(),
        ),
        cost: match &course.job.cost {
            Some(cost) => {
                let own = Own {
                    owner: &course.owner,
                    seconds: course.begun.elapsed().as_secs_f64(),
                };
                let schedule = &course.job.schedule;
                Some(bill(ledger, run, cost, schedule, own, finished_at)?)
            }
            None => None,
        },
        alerts: Vec::new(),
        deliveries: Vec::new(),
        drift: facts.drift,
        decay: facts.decay,
        evaluation: Vec::new(),
        outcome: facts.ending,
        lamplighter: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// Times within which forward passes are counted, in seconds: from a tenth of a millisecond to a minute.
const BATCH_SECONDS: [f64; 18] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 25.0, 60.0,
];

fn timing(course: &Course<'_>, run: &Run, stats: &ShardStats) -> Timing {
    let duration = course.begun.elapsed();
    let passed = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    let finished_at = course
        .started_at
        .saturating_add(passed)
        .unwrap_or(Timestamp::MAX);
    let working = duration.saturating_sub(course.planning).as_secs_f64();
    let finish_by = finish_by(course.job, run);
    let batches = &stats.batch_seconds;
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
        batch_milliseconds: batches.summary().map(|seconds| seconds.scaled(1e3)),
        attempts: 0,
        minutes_past_finish_by: finish_by
            .map(|deadline| finished_at.duration_since(deadline).as_secs_f64() / 60.0),
        finish_by: finish_by.map(|deadline| deadline.to_string()),
        batch_histogram: match batches.count() {
            0 => Vec::new(),
            _ => BATCH_SECONDS
                .into_iter()
                .map(|seconds| Bucket {
                    seconds,
                    batches: batches.count_up_to(seconds),
                })
                .collect(),
        },
        course: Vec::new(),
    }
}

/// When a run was to be finished, by when it was planned: whoever goes on with it the next day is late. A
/// backfill is no night's affair.
fn finish_by(job: &Job, run: &Run) -> Option<Timestamp> {
    if run.backfill || run.parent_run_id.is_some() {
        return None;
    }
    let planned_at = run.created_at.parse().ok()?;
    // Whoever waited for its input past `finish_by` is late all the same. To score a date again is no night.
    let due = job.schedule.last_due(planned_at);
    let due = due.filter(|due| run.reason.is_none() && due.date.to_string() == run.logical_date);
    match due {
        Some(due) => due.finish_by,
        None => job.schedule.deadline(planned_at),
    }
}

/// A run's course: as many shards a step as make it a readable number of steps.
struct Steps {
    shards_of_step: u64,
    steps: Vec<(Moment, Distribution)>,
    /// In which step each shard was completed.
    step_of_shard: HashMap<u32, u16>,
}

impl Steps {
    fn of(shards: u64) -> Self {
        Self {
            shards_of_step: shards.div_ceil(MOST_MOMENTS as u64).max(1),
            steps: Vec::new(),
            step_of_shard: HashMap::new(),
        }
    }

    /// Takes the shard that was completed next.
    fn completed(&mut self, shard: &CompletedShard) {
        let before = self.steps.last().map_or(0, |(moment, _)| moment.records);
        if (self.step_of_shard.len() as u64).is_multiple_of(self.shards_of_step) {
            let moment = Moment {
                seconds: shard.seconds,
                records: before,
                batch_p50_milliseconds: None,
                batch_p99_milliseconds: None,
            };
            self.steps.push((moment, Distribution::default()));
        }
        let step = self.steps.len() as u16 - 1;
        self.step_of_shard.insert(shard.shard_no, step);
        if let Some((moment, _)) = self.steps.last_mut() {
            moment.seconds = shard.seconds;
            moment.records += shard.records;
        }
    }

    /// Takes what was measured of a shard.
    fn measured(&mut self, shard_no: u32, stats: &ShardStats) {
        let step = self.step_of_shard.get(&shard_no);
        if let Some((_, batches)) = step.and_then(|step| self.steps.get_mut(usize::from(*step))) {
            batches.merge(&stats.batch_seconds);
        }
    }

    fn end(self) -> Vec<Moment> {
        let milliseconds = |seconds: f64| seconds * 1e3;
        self.steps
            .into_iter()
            .map(|(moment, batches)| {
                let batches = batches.summary();
                Moment {
                    batch_p50_milliseconds: batches
                        .as_ref()
                        .map(|batches| milliseconds(batches.p50)),
                    batch_p99_milliseconds: batches
                        .as_ref()
                        .map(|batches| milliseconds(batches.p99)),
                    ..moment
                }
            })
            .collect()
    }
}
