//! What a run would take: records, memory, time and money, before anything is written.

use std::sync::Arc;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::Prepared;
use super::identity::{Decision, decide};
use super::input::Input;
use super::memory::settings;
use super::rehearsal::{MOST_RECORDS, Measured, rehearse};
use super::start::Request;
use crate::job::{Job, LogicalDate};
use crate::ledger::{Run, Target};
use crate::report::{RunReport, resources};
use crate::source::parquet::column_bytes;

/// What a start would do, and what it would take.
#[derive(Debug, Serialize)]
pub struct Estimate {
    /// Name of the job.
    pub job: String,
    /// The date.
    pub logical_date: LogicalDate,
    /// What a start would do: `plan a new run`, `resume`, or `nothing, it is complete`.
    pub action: &'static str,
    /// The run that there is.
    pub run: Option<String>,
    /// Name and version of the model.
    pub model: String,
    /// Digest of its bundle.
    pub digest: String,
    /// Instruction set of the products.
    pub numerics: String,
    /// Where the records come from.
    pub source: String,
    /// Files of the input.
    pub files: u64,
    /// Their size.
    pub input_bytes: u64,
    /// Columns that are read.
    pub columns: Vec<String>,
    /// Bytes of these, as they are stored; `None` where nobody knows before.
    pub column_bytes: Option<u64>,
    /// Records; of a table as its statistics expect.
    pub records: u64,
    /// Whether that is but what statistics expect.
    pub records_are_expected: bool,
    /// Records of shards that are completed already.
    pub done: u64,
    /// Shards.
    pub shards: u64,
    /// Records of each.
    pub shard_size: u64,
    /// Worker threads.
    pub workers: u64,
    /// Rows that a worker reads at a time.
    pub chunk_rows: u64,
    /// Memory that the run would take at its peak: what the probe took, or, if that is more, what the search
    /// for duplicates would that goes before it.
    pub peak_memory_bytes: Option<u64>,
    /// Memory that it may take.
    pub max_memory_bytes: u64,
    /// Records that the probe scored.
    pub probe_records: u64,
    /// How long it took, in seconds.
    pub probe_seconds: f64,
    /// Wall-clock time that a run would take, in seconds.
    pub forecast_seconds: f64,
    /// Earlier runs of the same model and about as many records on this host, by which scoring is
    /// forecast; without any it is by the probe.
    pub earlier_runs: u64,
    /// Whether the probe is without the database's part, because this role may not create temporary
    /// tables.
    pub database_was_left_out: bool,
    /// The next start by the crontab; without one, now.
    pub starts_at: String,
    /// When it would be finished then.
    pub finishes_at: String,
    /// When it is to be finished.
    pub finish_by: Option<String>,
    /// Whether it would be in time.
    pub in_time: Option<bool>,
    /// What it would cost, in the currency of `[cost]`.
    pub cost: Option<f64>,
    /// That currency.
    pub currency: Option<String>,
    /// What it may cost at most.
    pub max_cost: Option<f64>,
    /// Hash of everything that predictions depend on.
    pub fingerprint: String,
}

/// What a start of `job` for `date` would take, at `now`.
///
/// # Errors
/// Those of opening and planning; to stop is requested (75).
pub fn estimate(
    job: &Job,
    date: LogicalDate,
    target: &Target,
    request: &Request,
    now: Timestamp,
) -> anyhow::Result<Estimate> {
    let begun = Instant::now();
    let prepared = Prepared::new(job, date, None, target, &request.interrupt)?;
    let opening = begun.elapsed().as_secs_f64();
    let (records, column_bytes) = size(job, &prepared)?;
    let settings = settings(job, &prepared, records, request.workers, target.is_shared());
    let rescore = request.rescore.is_some();
    let Known {
        decision,
        done,
        earlier,
    } = look(&prepared, target, rescore, records, settings.workers)?;
    // What is planned is fixed, whatever waits or is expected by now.
    let (records, records_are_expected) = match &decision {
        Decision::Resume(run) => (run.planned as u64, false),
        _ => (records, matches!(prepared.input, Input::Postgres(_))),
    };
    let (action, run) = match &decision {
        Decision::Done(run) => ("nothing, it is complete", Some(run)),
        Decision::Resume(run) => ("resume", Some(run)),
        Decision::Plan => ("plan a new run", None),
    };
    let opened = resources::peak_memory();
    let is_done = matches!(decision, Decision::Done(_));
    let measured = match is_done || records == 0 {
        true => Measured::default(),
        false => {
            let limit = Some(records.min(MOST_RECORDS));
            let trial = Prepared::new(job, date, limit, target, &request.interrupt)?;
            rehearse(job, &Arc::new(trial), target, settings, &request.interrupt)?
        }
    };
    let seconds = match is_done {
        true => 0.0,
        false => {
            let left = records.saturating_sub(done);
            let scoring = match earlier {
                Some(Earlier { seconds, .. }) => left as f64 * seconds,
                None => measured.scoring(records, left),
            };
            opening + measured.planning(records) + scoring
        }
    };
    let length = SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::MAX);
    // A night begins when the scheduler starts it, not when somebody asks.
    let starts_at = job.schedule.next_start(now).unwrap_or(now);
    let finishes_at = starts_at.checked_add(length).unwrap_or(Timestamp::MAX);
    let finish_by = job.schedule.deadline(starts_at);
    let input = prepared.input.report(&prepared.fingerprint);
    let searched = opened.map(|opened| opened + duplicates_memory(records));
    let peak = resources::peak_memory().max(searched);
    Ok(Estimate {
        job: job.name.clone(),
        logical_date: date,
        action,
        run: run.map(|run| run.name().to_string()),
        model: format!("{} {}", prepared.bundle.name, prepared.bundle.version),
        digest: prepared.bundle.digest.clone(),
        numerics: prepared.numerics().to_owned(),
        source: input.source,
        files: input.files,
        input_bytes: input.bytes,
        columns: prepared.columns_read(),
        column_bytes,
        records,
        records_are_expected,
        done,
        shards: records.div_ceil(prepared.shard_size),
        shard_size: prepared.shard_size,
        workers: settings.workers as u64,
        chunk_rows: settings.chunk_rows as u64,
        peak_memory_bytes: peak,
        max_memory_bytes: job.max_memory_bytes,
        probe_records: measured.records,
        probe_seconds: measured.seconds,
        forecast_seconds: seconds,
        earlier_runs: earlier.map_or(0, |earlier| earlier.runs),
        database_was_left_out: measured.database_was_left_out,
        starts_at: starts_at.to_string(),
        finishes_at: finishes_at.to_string(),
        finish_by: finish_by.map(|at| at.to_string()),
        in_time: finish_by.map(|at| finishes_at <= at),
        cost: job.cost.as_ref().map(|cost| cost.of(seconds)),
        currency: job.cost.as_ref().map(|cost| cost.currency.clone()),
        max_cost: job.cost.as_ref().and_then(|cost| cost.max_per_run),
        fingerprint: prepared.fingerprint,
    })
}

/// What the ledger knows.
struct Known {
    /// What a start would do.
    decision: Decision,
    /// Records that are done already.
    done: u64,
    /// How fast the job has been.
    earlier: Option<Earlier>,
}

/// Earlier runs that are like the one that is planned.
#[derive(Clone, Copy)]
struct Earlier {
    runs: u64,
    /// Time for a record, without planning: the median, in seconds.
    seconds: f64,
}

fn look(
    prepared: &Prepared,
    target: &Target,
    rescore: bool,
    records: u64,
    workers: usize,
) -> anyhow::Result<Known> {
    let known = target.look(|ledger| {
        let decision = decide(ledger, prepared, rescore)?;
        let done = match &decision {
            Decision::Resume(Run { run_id, .. }) => ledger.progress(*run_id)?.records,
            Decision::Done(_) | Decision::Plan => 0,
        };
        let reports = ledger.recent_reports(&prepared.job)?;
        Ok(Known {
            decision,
            done,
            earlier: earlier(&reports, prepared, records, workers),
        })
    })?;
    Ok(known.unwrap_or(Known {
        decision: Decision::Plan,
        done: 0,
        earlier: None,
    }))
}

/// How fast runs were that one process did as a whole, on this host, with this model, as many workers
/// and about as many records. Reports that another version wrote say nothing.
fn earlier(
    reports: &[String],
    prepared: &Prepared,
    records: u64,
    workers: usize,
) -> Option<Earlier> {
    let host = resources::host_name();
    let mut seconds: Vec<f64> = reports
        .iter()
        .filter_map(|report| serde_json::from_str::<RunReport>(report).ok())
        .filter(|report| {
            let (planned, ratio) = (report.counts.planned, 4);
            report.model.digest == prepared.bundle.digest
                && report.resources.host == host
                && report.resources.workers == workers as u64
                && report.timing.attempts == 1
                && (records / ratio..=records.saturating_mul(ratio)).contains(&planned)
        })
        .map(|report| {
            let timing = &report.timing;
            (timing.duration_seconds - timing.plan_seconds) / report.counts.planned as f64
        })
        .filter(|seconds| seconds.is_finite() && *seconds > 0.0)
        .collect();
    seconds.sort_by(f64::total_cmp);
    let median = seconds.get(seconds.len() / 2)?;
    Some(Earlier {
        runs: seconds.len() as u64,
        seconds: *median,
    })
}

/// Records, and bytes of the columns that are read.
fn size(job: &Job, prepared: &Prepared) -> anyhow::Result<(u64, Option<u64>)> {
    match &prepared.input {
        Input::Parquet(input) => {
            let bytes = column_bytes(input, prepared.projection());
            Ok((input.rows(), Some(bytes)))
        }
        Input::Postgres(input) => {
            let expected = input.expected(prepared.projection())?;
            Ok((expected.rows, Some(expected.bytes)))
        }
        Input::Queue(queue) => Ok((queue.waiting(&job.name)?, None)),
    }
}

/// What the search for duplicates takes if the ids do not ascend.
fn duplicates_memory(records: u64) -> u64 {
    records.min(super::duplicates::IN_MEMORY as u64) * super::duplicates::ENTRY_BYTES as u64
}
