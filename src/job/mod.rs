//! The job: what to score, with what, and how.
//!
//! A job file is read in two steps. `spec` is the file as written; [`Job`] is what it means:
//! complete, in range, consistent, and the only form that the rest of the program sees.
//!
//! Invariants: a job is never changed once it is loaded; loading reads the job file and nothing
//! else (whether the source and the bundle exist is for whoever opens them); each complaint names
//! the place of the value it is about, and never a value that may be a secret.

mod alert;
mod check;
mod cost;
mod crontab;
mod document;
mod drift;
mod ground_truth;
mod load;
mod logical_date;
mod metric;
mod metrics;
mod places;
mod retention;
mod schedule;
mod sink;
mod source;
mod spec;
pub mod url;
mod values;
mod variables;

use std::fmt::{self, Debug};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use places::Places;
use spec::JobSpec;

pub use alert::{AlertRule, Exec, Operator, Severity, Webhook, WebhookBody, WebhookUrl};
pub use cost::{Cost, money};
pub use drift::{DriftRules, RetrainRules, Thresholds};
pub use ground_truth::GroundTruth;
pub use load::LoadOptions;
pub use logical_date::LogicalDate;
pub use metric::Metric;
pub use metrics::Metrics;
pub use retention::Retention;
pub use schedule::{Due, Grain, Schedule};
pub use sink::Sink;
pub use source::{PostgresRelation, PostgresSource, QueueSource, Source, SourceKind};
pub use spec::{ColumnType, DuplicatePolicy, OnConflict, Precision};
pub use values::{DeadLetterLimit, parse_duration as duration};

use crate::error::Failure;

/// Longest name of a job and of a schema, in bytes: what an identifier of Postgres may have.
const IDENTIFIER_LENGTH: usize = 63;
const BATCH_SIZES: RangeInclusive<u64> = 1..=65_536;
const BATCH_TOKENS: RangeInclusive<u64> = 1..=1_048_576;
const SHARD_SIZES: RangeInclusive<u64> = 1..=1_000_000;
const WORKERS: RangeInclusive<u64> = 0..=1_024;
/// Shorter leases would be lost to a slow disk; longer ones keep a dead process's shards too long.
const LEASES: RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_secs(3_600);
const SHARD_TIMEOUTS: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_hours(7 * 24);

/// A job, complete and checked.
#[derive(Clone)]
pub struct Job {
    /// Names it in the ledger, the views and the logs: `[a-z0-9][a-z0-9_-]{0,62}`.
    pub name: String,
    /// Its job file, as it was named; `None` if there is none.
    pub file: Option<String>,
    /// Which date a run is for.
    pub schedule: Schedule,
    /// Where the records come from.
    pub source: Source,
    /// What scores them.
    pub model: ModelReference,
    /// Records in one forward pass of a model of tables, 1 to 65,536.
    pub batch_size: usize,
    /// Tokens in one forward pass of a model of texts, 1 to 1,048,576.
    pub batch_tokens: usize,
    /// Records in one shard, 1 to 1,000,000.
    pub shard_size: Option<u64>,
    /// Worker threads, up to 1,024; 0 is one per core that the process may use.
    pub workers: usize,
    /// Memory that a run may use, in bytes; at least 1.
    pub max_memory_bytes: u64,
    /// A process that is silent for so long loses its shards to others; 2 s to 1 h.
    pub lease: Duration,
    /// How long the shards in hand may take when the run is to stop.
    pub grace: Duration,
    /// How long a shard may take at all; at least 1 s.
    pub shard_timeout: Duration,
    /// Dead letters that a run may have and still be published.
    pub max_dead_letters: DeadLetterLimit,
    /// What happens when records share an id.
    pub duplicates: DuplicatePolicy,
    /// Where the results go.
    pub sink: Sink,
    /// How long things are kept.
    pub retention: Retention,
    /// What the machine costs, if it is known.
    pub cost: Option<Cost>,
    /// From which difference on data has drifted, and when the model is to be trained anew.
    pub drift: DriftRules,
    /// Where it is told what was true.
    pub ground_truth: GroundTruth,
    /// Of which figures somebody is to be told, and how.
    pub alerts: Vec<AlertRule>,
    /// Where Prometheus finds the figures of runs.
    pub metrics: Metrics,
}

/// The model as the job names it.
#[derive(Clone)]
pub struct ModelReference {
    /// The bundle's directory, relative to the working directory.
    pub bundle: PathBuf,
    /// What the bundle's digest must be: `sha256:` and 64 lower-case hexadecimal digits.
    pub digest: Option<String>,
    /// Overrides the bundle's threshold; between 0 and 1.
    pub threshold: Option<f32>,
    /// What numbers the model computes in.
    pub precision: Precision,
}

impl ModelReference {
    /// The bundle in this directory, as it is.
    pub fn of(bundle: &Path) -> Self {
        Self {
            bundle: bundle.to_path_buf(),
            digest: None,
            threshold: None,
            precision: Precision::F32,
        }
    }
}

impl fmt::Debug for Job {
    /// The name only: paths, SQL and URLs may hold secrets that came through `${VAR}`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Job")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Job {
    /// Whether a job may be called so.
    pub fn is_name(text: &str) -> bool {
        is_name(text)
    }

    /// Reads and checks the job file at `path`.
    ///
    /// Fails with Config (78) if there is none, or it does not make up a job; with Usage (64) if
    /// what is wrong came from the command line; with Permission (77) or Io (74) if it cannot be
    /// read.
    pub fn load(path: &Path, options: &LoadOptions<'_>) -> Result<Self, Failure> {
        let (spec, places) = load::load(path, options)?;
        let mut job = resolve(spec, &places)?;
        job.file = Some(path.display().to_string());
        Ok(job)
    }

    /// A job that scores the Parquet files at `data` with a bundle, all else being as if it were not said.
    ///
    /// Fails with Config (78) if a value can not be one of a job.
    pub fn of_data(bundle: &Path, data: &str, id_column: &str) -> Result<Self, Failure> {
        let document = toml::Table::from_iter([
            section("job", [("name", "data")]),
            section(
                "source",
                [
                    ("kind", "parquet"),
                    ("path", data),
                    ("id_column", id_column),
                ],
            ),
            section("model", [("bundle", &bundle.to_string_lossy())]),
        ]);
        let spec = JobSpec::deserialize(document)
            .map_err(|error| Failure::internal(format!("a job of data: {error}")))?;
        resolve(spec, &Places::new("the command line"))
    }
}

fn section<const KEYS: usize>(name: &str, entries: [(&str, &str); KEYS]) -> (String, toml::Value) {
    let entries = entries.map(|(key, value)| (key.to_owned(), value.into()));
    (name.to_owned(), toml::Table::from_iter(entries).into())
}

fn resolve(spec: JobSpec, places: &Places) -> Result<Job, Failure> {
    let JobSpec {
        job,
        schedule,
        source,
        model,
        run,
        errors,
        sink,
        retention,
        cost,
        drift,
        ground_truth,
        notify,
        alert,
        metrics,
    } = spec;

    if !is_name(&job.name) {
        let shown = places.shown("job", "name", &job.name);
        let problem = format!(
            "expected up to {IDENTIFIER_LENGTH} of a-z, 0-9, `_` and `-`, the first a letter or digit; found {shown}"
        );
        return Err(places.failure("job", "name", problem));
    }

    let written = &schedule;
    let schedule = Schedule::new(written).map_err(|refused| {
        let text = match refused.key {
            "date" => &written.date,
            "finish_by" => written.finish_by.as_deref().unwrap_or_default(),
            "cron" => written.cron.as_deref().unwrap_or_default(),
            _ => &written.timezone,
        };
        let shown = places.shown("schedule", refused.key, text);
        let problem = format!("{}; found {shown}", refused.problem);
        places
            .failure("schedule", refused.key, problem)
            .hint(refused.hint)
    })?;

    let source = source::resolve(source, places)?;

    if model.bundle.as_os_str().is_empty() {
        return Err(places.failure("model", "bundle", "must not be empty"));
    }
    if let Some(digest) = model.digest.as_deref().filter(|digest| !is_digest(digest)) {
        let shown = places.shown("model", "digest", digest);
        let problem =
            format!("expected `sha256:` and 64 lower-case hexadecimal digits, found {shown}");
        return Err(places.failure("model", "digest", problem));
    }
    let is_probability = |value: &f32| *value > 0.0 && *value < 1.0;
    if let Some(threshold) = model.threshold.filter(|value| !is_probability(value)) {
        let problem = format!("expected a number between 0 and 1, found {threshold}");
        return Err(places.failure("model", "threshold", problem));
    }

    if run.max_memory == 0 {
        return Err(places.failure("run", "max_memory", "must be more than nothing"));
    }
    let sink = sink::resolve(sink, places)?;

    let alerts = {
        let known = alert::Known {
            has_cost: cost.is_some(),
            has_finish_by: written.finish_by.is_some(),
            has_segments: ground_truth
                .as_ref()
                .is_some_and(|truth| truth.by.is_some()),
        };
        alert::resolve(notify, alert, &known, places)?
    };

    Ok(Job {
        name: job.name,
        file: None,
        schedule,
        source,
        model: ModelReference {
            bundle: model.bundle,
            digest: model.digest,
            threshold: model.threshold,
            precision: model.precision,
        },
        batch_tokens: in_range(
            "run",
            "batch_tokens",
            run.batch_tokens,
            BATCH_TOKENS,
            places,
        )? as usize,
        batch_size: in_range("run", "batch_size", run.batch_size, BATCH_SIZES, places)? as usize,
        shard_size: run
            .shard_size
            .map(|size| in_range("run", "shard_size", size, SHARD_SIZES, places))
            .transpose()?,
        workers: in_range("run", "workers", run.workers, WORKERS, places)? as usize,
        max_memory_bytes: run.max_memory,
        lease: in_range("run", "lease", run.lease, LEASES, places)?,
        grace: run.grace,
        shard_timeout: in_range(
            "run",
            "shard_timeout",
            run.shard_timeout,
            SHARD_TIMEOUTS,
            places,
        )?,
        max_dead_letters: errors.max_dead_letters,
        duplicates: errors.duplicates,
        sink,
        retention: retention::resolve(&retention, places)?,
        cost: cost::resolve(cost, places)?,
        drift: drift::resolve(drift, places)?,
        ground_truth: ground_truth::resolve(ground_truth, places)?,
        alerts,
        metrics: metrics::resolve(metrics, places)?,
    })
}

/// `[a-z0-9][a-z0-9_-]{0,62}`
fn is_name(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= IDENTIFIER_LENGTH
        && text.bytes().next().is_some_and(word)
        && text
            .bytes()
            .all(|byte| word(byte) || matches!(byte, b'_' | b'-'))
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|digits| {
        digits.len() == 64
            && digits
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn not_empty(section: &str, key: &str, text: &str, places: &Places) -> Result<(), Failure> {
    if text.trim().is_empty() {
        return Err(places.failure(section, key, "must not be empty"));
    }
    Ok(())
}

/// The program and arguments of a key `password_command`.
fn command(
    section: &str,
    command: Option<Vec<String>>,
    places: &Places,
) -> Result<Option<Vec<String>>, Failure> {
    match &command {
        Some(words)
            if words
                .first()
                .is_none_or(|program| program.trim().is_empty()) =>
        {
            let problem = "must name a program, such as [\"cat\", \"/run/secrets/password\"]";
            Err(places.failure(section, "password_command", problem))
        }
        _ => Ok(command),
    }
}

fn in_range<T: PartialOrd + Debug>(
    section: &str,
    key: &str,
    value: T,
    range: RangeInclusive<T>,
    places: &Places,
) -> Result<T, Failure> {
    if range.contains(&value) {
        return Ok(value);
    }
    let (low, high) = range.into_inner();
    Err(places.failure(
        section,
        key,
        format!("expected {low:?} to {high:?}, found {value:?}"),
    ))
}

#[cfg(test)]
mod tests;
