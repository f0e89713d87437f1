//! The job: what to score, with what, and how.
//!
//! A job file is read in two steps. `spec` is the file as written; [`Job`] is what it means:
//! complete, in range, consistent, and the only form that the rest of the program sees.
//!
//! Invariants: a job is never changed once it is loaded; loading reads the job file and nothing
//! else (whether the source and the bundle exist is for whoever opens them); each complaint names
//! the place of the value it is about, and never a value that may be a secret.

mod check;
mod document;
mod load;
mod logical_date;
mod places;
mod schedule;
mod spec;
mod values;
mod variables;

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use places::Places;
use spec::{JobSpec, SourceSection};

pub use load::LoadOptions;
pub use logical_date::LogicalDate;
pub use schedule::{Grain, Schedule};
pub use spec::{DuplicatePolicy, Precision};
pub use values::DeadLetterLimit;

use crate::error::Failure;

/// Longest name of a job, in bytes: what an identifier of Postgres may have.
const NAME_LENGTH: usize = 63;
const BATCH_SIZES: RangeInclusive<u64> = 1..=65_536;
const SHARD_SIZES: RangeInclusive<u64> = 1..=1_000_000;
const WORKERS: RangeInclusive<u64> = 0..=1_024;

/// A job, complete and checked.
#[derive(Clone)]
pub struct Job {
    /// Names it in the ledger, the views and the logs: `[a-z0-9][a-z0-9_-]{0,62}`.
    pub name: String,
    /// Which date a run is for.
    pub schedule: Schedule,
    /// Where the records come from.
    pub source: ParquetSource,
    /// What scores them.
    pub model: ModelReference,
    /// Records in one forward pass, 1 to 65,536.
    pub batch_size: usize,
    /// Records in one shard, 1 to 1,000,000.
    pub shard_size: u64,
    /// Worker threads, up to 1,024; 0 is one per core that the process may use.
    pub workers: usize,
    /// Memory that a run may use, in bytes; at least 1.
    pub max_memory_bytes: u64,
    /// Dead letters that a run may have and still be published.
    pub max_dead_letters: DeadLetterLimit,
    /// What happens when records share an id.
    pub duplicates: DuplicatePolicy,
    /// Database URL of the job, if it names one. May hold a password: never print it.
    pub database: Option<String>,
}

/// Records in Parquet files.
#[derive(Clone)]
pub struct ParquetSource {
    /// Path or glob, relative to the working directory; `{date}` is still in it, for
    /// [`LogicalDate::expand`].
    pub path: String,
    /// The column that names each record.
    pub id_column: String,
    /// SQL predicate; records for which it does not hold are filtered.
    pub filter: Option<String>,
    /// SQL expressions, each added as a column.
    pub transform: Option<String>,
    /// A file that must be there before the run is planned; `{date}` is still in it.
    pub wait_for: Option<String>,
    /// How long to wait for it; zero: not at all.
    pub wait: Duration,
    /// Fewer records than this are no input.
    pub min_rows: u64,
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
    /// Reads and checks the job file at `path`.
    ///
    /// Fails with Config (78) if there is none, or it does not make up a job; with Usage (64) if
    /// what is wrong came from the command line; with Permission (77) or Io (74) if it cannot be
    /// read.
    pub fn load(path: &Path, options: &LoadOptions<'_>) -> Result<Self, Failure> {
        let (spec, places) = load::load(path, options)?;
        resolve(spec, &places)
    }
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
    } = spec;

    if !is_name(&job.name) {
        let shown = places.shown("job", "name", &job.name);
        let problem = format!(
            "expected up to {NAME_LENGTH} of a-z, 0-9, `_` and `-`, the first a letter or digit; found {shown}"
        );
        return Err(places.failure("job", "name", problem));
    }

    let written = &schedule;
    let schedule = Schedule::new(
        &written.timezone,
        &written.date,
        written.grain,
        written.catch_up,
    )
    .map_err(|refused| {
        let text = if refused.key == "date" {
            &written.date
        } else {
            &written.timezone
        };
        let shown = places.shown("schedule", refused.key, text);
        let problem = format!("{}; found {shown}", refused.problem);
        places
            .failure("schedule", refused.key, problem)
            .hint(refused.hint)
    })?;

    let source = resolve_source(source, places)?;

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
    if let Some(database) = &sink.database {
        not_empty("sink", "database", database, places)?;
    }

    Ok(Job {
        name: job.name,
        schedule,
        source,
        model: ModelReference {
            bundle: model.bundle,
            digest: model.digest,
            threshold: model.threshold,
            precision: model.precision,
        },
        batch_size: in_range("batch_size", run.batch_size, BATCH_SIZES, places)? as usize,
        shard_size: in_range("shard_size", run.shard_size, SHARD_SIZES, places)?,
        workers: in_range("workers", run.workers, WORKERS, places)? as usize,
        max_memory_bytes: run.max_memory,
        max_dead_letters: errors.max_dead_letters,
        duplicates: errors.duplicates,
        database: sink.database,
    })
}

fn resolve_source(source: SourceSection, places: &Places) -> Result<ParquetSource, Failure> {
    let spec::SourceKind::Parquet = source.kind;
    not_empty("source", "path", &source.path, places)?;
    not_empty("source", "id_column", &source.id_column, places)?;
    let optional = [
        ("filter", &source.filter),
        ("transform", &source.transform),
        ("wait_for", &source.wait_for),
    ];
    for (key, text) in optional {
        if let Some(text) = text {
            not_empty("source", key, text, places)?;
        }
    }
    takes_date("path", &source.path, places)?;
    if let Some(wait_for) = &source.wait_for {
        takes_date("wait_for", wait_for, places)?;
    }
    Ok(ParquetSource {
        path: source.path,
        id_column: source.id_column,
        filter: source.filter,
        transform: source.transform,
        wait_for: source.wait_for,
        wait: source.wait,
        min_rows: source.min_rows,
    })
}

/// `[a-z0-9][a-z0-9_-]{0,62}`
fn is_name(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= NAME_LENGTH
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

/// Whether each date format of the template is one, found before a night depends on it.
fn takes_date(key: &str, template: &str, places: &Places) -> Result<(), Failure> {
    let any = LogicalDate::of_day(jiff::civil::date(2026, 1, 1));
    match any.expand(template) {
        Ok(_) => Ok(()),
        Err(_) if places.is_hidden("source", key) => {
            let shown = places.shown("source", key, template);
            Err(places.failure(
                "source",
                key,
                format!("a `{{date:…}}` is not a date format in {shown}"),
            ))
        }
        Err(failure) => Err(places.failure("source", key, failure)),
    }
}

fn in_range(
    key: &str,
    value: u64,
    range: RangeInclusive<u64>,
    places: &Places,
) -> Result<u64, Failure> {
    if range.contains(&value) {
        return Ok(value);
    }
    let (low, high) = range.into_inner();
    Err(places.failure(
        "run",
        key,
        format!("expected {low} to {high}, found {value}"),
    ))
}

#[cfg(test)]
mod tests;
