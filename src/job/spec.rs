//! The job file exactly as it is written: one struct a section, one field a key.
//!
//! Invariants: an unknown key is refused; every optional key has its default here and nowhere
//! else; fields hold what one value alone can say. What a value means together with others, and
//! which range it must lie in, is decided when the spec becomes a [`super::Job`].
//!
//! Relative paths are relative to the working directory of the process.

mod alerts;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::schedule::Grain;
use super::values::{self, DeadLetterLimit};

pub use alerts::{AlertSection, Channels, MetricsSection, NotifySection};

/// A whole job file, overlays already applied.
#[derive(PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// What the job is called.
    pub job: JobSection,
    /// Which date a run is for.
    #[serde(default)]
    pub schedule: ScheduleSection,
    /// Where the records come from.
    pub source: SourceSection,
    /// What scores them.
    pub model: ModelSection,
    /// How the work is cut and how much of the machine it may use.
    #[serde(default)]
    pub run: RunSection,
    /// What happens to records that cannot be scored.
    #[serde(default)]
    pub errors: ErrorsSection,
    /// Where the results go.
    #[serde(default)]
    pub sink: SinkSection,
    /// How long things are kept.
    #[serde(default)]
    pub retention: RetentionSection,
    /// What the machine costs.
    pub cost: Option<CostSection>,
    /// From which difference on data has drifted, and when the model is to be trained anew.
    #[serde(default)]
    pub drift: DriftSection,
    /// Where it is told what was true.
    pub ground_truth: Option<GroundTruthSection>,
    /// How people are told of alerts.
    #[serde(default)]
    pub notify: NotifySection,
    /// What people are told of, one rule after the other.
    #[serde(default)]
    pub alert: Vec<AlertSection>,
    /// Where Prometheus finds the figures of runs.
    #[serde(default)]
    pub metrics: MetricsSection,
}

/// `[job]`
#[derive(PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSection {
    /// Names the job in the ledger, the views and the logs: a lower-case letter or digit, then up
    /// to 62 lower-case letters, digits, `_` or `-`. Required.
    pub name: String,
}

/// `[schedule]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleSection {
    /// IANA time zone of the logical date. Default `"UTC"`.
    pub timezone: String,
    /// Logical date of a run that is not told one: `"0d"` is today, `"-1d"` yesterday; also hours
    /// (`h`), weeks (`w`), months (`m`), or a fixed date. Default `"0d"`.
    pub date: String,
    /// What one logical date stands for. Default `"day"`.
    pub grain: Grain,
    /// How many unfinished earlier dates a start resumes first. Default 3.
    // Nothing that others than the night itself need to know.
    #[serde(skip_serializing)]
    pub catch_up: u32,
    /// Time of day, in that time zone, from which on nothing more is begun. Default: none.
    pub finish_by: Option<String>,
    /// When the scheduler starts the job, in the five fields of a crontab, by the clocks of that time
    /// zone. Starts nothing: it tells `status` and `runs list --missing` which dates there should be.
    /// Default: none.
    pub cron: Option<String>,
}

impl Default for ScheduleSection {
    fn default() -> Self {
        Self {
            timezone: "UTC".to_owned(),
            date: "0d".to_owned(),
            grain: Grain::Day,
            catch_up: 3,
            finish_by: None,
            cron: None,
        }
    }
}

/// `[source]`
#[derive(PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSection {
    /// What the records are read from. Required.
    pub kind: Kind,
    /// `parquet`: files to read, a path or a glob; `{date}` and `{date:FORMAT}` are replaced.
    /// Required.
    pub path: Option<String>,
    /// `postgres`: the table or view to read, with or without its schema. Either this or `query`
    /// is required.
    pub table: Option<String>,
    /// `postgres`: which rows of `table`, as a condition in the database's SQL. Default: all.
    #[serde(rename = "where")]
    pub condition: Option<String>,
    /// `postgres`: the query whose rows are read.
    pub query: Option<String>,
    /// `postgres`: URL of the database to read from. May hold a password, so it is never printed.
    /// Default: the database of the results.
    pub url: Option<String>,
    /// `postgres`: a file that holds the URL, in place of `url`. Default: none.
    pub url_file: Option<PathBuf>,
    /// `postgres`: a program and its arguments, which prints the password. Default: none.
    pub password_command: Option<Vec<String>>,
    /// `queue`: what becomes of a pushed record if one of its id waits already. Default
    /// `"replace"`.
    #[serde(default)]
    pub on_conflict: OnConflict,
    /// `queue`: the types of the columns that `filter` and `transform` read. Default: none.
    #[serde(default)]
    pub columns: BTreeMap<String, ColumnType>,
    /// `parquet`: whether all bytes of the files are fixed when the run is planned, not only their
    /// sizes and footers. Default false.
    #[serde(default)]
    pub strict_input: bool,
    /// The column that names each record. Required, but for `queue`: there it is the column of
    /// pushed files that holds the id, by default `"record_id"`.
    pub id_column: Option<String>,
    /// SQL predicate; records for which it does not hold are counted as filtered. Default: none.
    pub filter: Option<String>,
    /// SQL expressions, each added as a column to every record. Default: none.
    pub transform: Option<String>,
    /// A file that must be there before the run is planned; `{date}` is replaced. Default: none.
    pub wait_for: Option<String>,
    /// How long to wait for it: weeks, days, hours, minutes, seconds. Default `"0s"`.
    #[serde(default, deserialize_with = "values::duration")]
    pub wait: Duration,
    /// Fewer records than this are no input. Default 1.
    #[serde(default = "one")]
    pub min_rows: u64,
}

fn one() -> u64 {
    1
}

/// `[source] kind`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Parquet files.
    Parquet,
    /// A table or query of a Postgres database.
    Postgres,
    /// The queue of Lamplighter's own database.
    Queue,
}

impl Kind {
    /// The kind as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Parquet => "parquet",
            Kind::Postgres => "postgres",
            Kind::Queue => "queue",
        }
    }
}

/// `[source] on_conflict`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnConflict {
    /// The pushed record takes the place of the one that waits.
    #[default]
    Replace,
    /// The one that waits stays; the pushed record is dropped.
    Ignore,
}

/// `[source] columns`: what a column of queued records holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// Integers of 64 bits.
    Integer,
    /// Any numbers, as 64-bit floats.
    Float,
    /// Text.
    Text,
    /// True and false.
    Boolean,
    /// Dates, written `2026-11-23`.
    Date,
    /// Times, written as in RFC 3339, with or without an offset.
    Timestamp,
}

/// `[model]`
#[derive(PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSection {
    /// The bundle's directory. Required.
    pub bundle: PathBuf,
    /// Pins the bundle's content: `"sha256:"` and 64 lower-case hexadecimal digits. Default: none.
    pub digest: Option<String>,
    /// What numbers the model computes in. Default `"f32"`.
    #[serde(default)]
    pub precision: Precision,
    /// Probability from which a binary prediction is positive, between 0 and 1. Default: the bundle's.
    pub threshold: Option<f32>,
}

/// `[model] precision`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// Products of 16-bit brain floats, added up in 32 bits.
    Bf16,
}

impl Precision {
    /// The word in the job file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

/// `[run]`
#[derive(PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunSection {
    /// Records in one forward pass, 1 to 65,536. Default 512. Of a model of texts, `batch_tokens` counts.
    pub batch_size: u64,
    /// Tokens in one forward pass of a model of texts, 1 to 1,048,576. Default 4,096.
    pub batch_tokens: u64,
    /// Records in one shard, the unit of commit and of retry, 1 to 1,000,000. Default 16,384, and 128 of a
    /// model of texts.
    pub shard_size: Option<u64>,
    /// Worker threads, up to 1,024; 0 is one per core that the process may use. Default 0.
    pub workers: u64,
    /// Memory the run may use, as text with a unit or as bytes. Default `"4GiB"`.
    #[serde(deserialize_with = "values::bytes")]
    pub max_memory: u64,
    /// A process that is silent for so long loses its shards to others, 2 s to 1 h. Default
    /// `"60s"`.
    #[serde(deserialize_with = "values::duration")]
    pub lease: Duration,
    /// When the run is to stop, the shards in hand have so long to be finished; then they are
    /// dropped, for the next start to score anew. Default `"20s"`.
    #[serde(deserialize_with = "values::duration")]
    pub grace: Duration,
    /// A shard that takes longer hangs, and the process ends so that another can take it over;
    /// at least 1 s. Default `"1h"`.
    #[serde(deserialize_with = "values::duration")]
    pub shard_timeout: Duration,
}

impl Default for RunSection {
    fn default() -> Self {
        Self {
            batch_size: 512,
            batch_tokens: 4096,
            shard_size: None,
            workers: 0,
            max_memory: 4 << 30,
            lease: Duration::from_secs(60),
            grace: Duration::from_secs(20),
            shard_timeout: Duration::from_hours(1),
        }
    }
}

/// `[errors]`
#[derive(PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ErrorsSection {
    /// Dead letters a run may have and still be published: a count, or a share of its records such
    /// as `"1%"`. Default `"1%"`.
    pub max_dead_letters: DeadLetterLimit,
    /// What happens when records share an id. Default `"first"`.
    pub duplicates: DuplicatePolicy,
}

impl Default for ErrorsSection {
    fn default() -> Self {
        Self {
            max_dead_letters: DeadLetterLimit::Share { millionths: 10_000 },
            duplicates: DuplicatePolicy::First,
        }
    }
}

/// `[errors] duplicates`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DuplicatePolicy {
    /// The first record of an id is scored; the others are dead letters, outside the limit.
    First,
    /// The run is refused.
    Fail,
}

/// `[sink]`
#[derive(PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SinkSection {
    /// Database URL, such as `"sqlite://lamplighter.db"`; the command line and `DATABASE_URL` come
    /// first. May hold a password, so it is never printed. Default: none.
    pub database: Option<String>,
    /// The schema of Postgres that holds the tables. Default `"lamplighter"`.
    pub schema: String,
    /// Connections that one process may hold at a time, 1 to 64. Default 4.
    pub connections: u64,
    /// How long to go on when the database does not answer. Default `"60s"`.
    #[serde(deserialize_with = "values::duration")]
    pub retry_for: Duration,
    /// A program and its arguments, which prints the database's password. Default: none.
    pub password_command: Option<Vec<String>>,
}

impl Default for SinkSection {
    fn default() -> Self {
        Self {
            database: None,
            schema: "lamplighter".to_owned(),
            connections: 4,
            retry_for: Duration::from_secs(60),
            password_command: None,
        }
    }
}

/// `[retention]`
#[derive(PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionSection {
    /// Rows of completed runs stay in the queue so long; `"0s"` deletes them at once. Default
    /// `"30d"`.
    #[serde(deserialize_with = "values::duration")]
    pub queue: Duration,
    /// Runs that ended longer ago, and that consumers do not see, are pruned as a whole. Default:
    /// none.
    #[serde(deserialize_with = "values::optional_duration")]
    pub runs: Option<Duration>,
    /// However old, so many of the job's newest runs stay. Default 0.
    pub keep_runs: u64,
    /// Dead letters of runs that ended longer ago are pruned, those of published runs too. Default:
    /// none.
    #[serde(deserialize_with = "values::optional_duration")]
    pub dead_letters: Option<Duration>,
    /// The same for their profiles. Default: none.
    #[serde(deserialize_with = "values::optional_duration")]
    pub profiles: Option<Duration>,
    /// The same for their reports. Default: none.
    #[serde(deserialize_with = "values::optional_duration")]
    pub reports: Option<Duration>,
}

impl Default for RetentionSection {
    fn default() -> Self {
        Self {
            queue: Duration::from_hours(30 * 24),
            runs: None,
            keep_runs: 0,
            dead_letters: None,
            profiles: None,
            reports: None,
        }
    }
}

/// `[cost]`
#[derive(PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostSection {
    /// What an hour of the machine costs. Required.
    pub per_hour: f64,
    /// In which currency, as it is to be shown. Default `"USD"`.
    #[serde(default = "dollars")]
    pub currency: String,
    /// A run whose forecast costs more is refused before anything is claimed. Default: none.
    pub max_per_run: Option<f64>,
}

fn dollars() -> String {
    "USD".to_owned()
}

/// `[drift]`
#[derive(PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DriftSection {
    /// Whether runs count what their records and predictions look like. Default true.
    pub profile: bool,
    /// Population stability index from which on a column or output has drifted moderately. Default 0.1.
    pub psi_moderate: f64,
    /// From which on it has drifted significantly. Default 0.25.
    pub psi_significant: f64,
    /// Change of the share of missing values, from 0 to 1, that is told. Default 0.05.
    pub missing: f64,
    /// Share from which on a category is told that the reference does not have. Default 0.01.
    pub new_category: f64,
    /// Share in the reference from which on a category is told that has vanished. Default 0.005.
    pub vanished_category: f64,
    /// Jensen–Shannon distance that is told. Default: none.
    pub jensen_shannon: Option<f64>,
    /// Wasserstein distance, by the reference's standard deviation, that is told. Default: none.
    pub wasserstein: Option<f64>,
    /// Kolmogorov–Smirnov statistic that is told. Default: none.
    pub kolmogorov_smirnov: Option<f64>,
    /// Cramér's V that is told. Default: none.
    pub cramers_v: Option<f64>,
    /// Greatest change of a category's share that is told. Default: none.
    pub l_infinity: Option<f64>,
    /// Columns and outputs that may drift untold. Default: none.
    pub ignore: Vec<String>,
    /// Recommend to train anew when the model is older. Default: none.
    pub max_model_age_days: Option<u64>,
    /// The same when a greater share of the input columns, from 0 to 1, has drifted. Default: none.
    pub max_drifted_share: Option<f64>,
    /// The metric for `max_metric_loss`. Default: that of the task.
    pub metric: Option<String>,
    /// The same when the metric is worse than the bundle's baseline by more. Default: none.
    pub max_metric_loss: Option<f64>,
    /// The same when so many records have got their ground truth since the training. Default: none.
    pub new_ground_truth: Option<u64>,
}

impl Default for DriftSection {
    fn default() -> Self {
        Self {
            profile: true,
            psi_moderate: 0.1,
            psi_significant: 0.25,
            missing: 0.05,
            new_category: 0.01,
            vanished_category: 0.005,
            jensen_shannon: None,
            wasserstein: None,
            kolmogorov_smirnov: None,
            cramers_v: None,
            l_infinity: None,
            ignore: Vec::new(),
            max_model_age_days: None,
            max_drifted_share: None,
            metric: None,
            max_metric_loss: None,
            new_ground_truth: None,
        }
    }
}

/// `[ground_truth]`
#[derive(Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroundTruthSection {
    /// Parquet files: a path or a pattern. Default: those of `--ground-truth`.
    pub path: Option<String>,
    /// A table or view of Postgres instead, in the database of the results. Default: none.
    pub table: Option<String>,
    /// Column of the record's id. Default: `[source] id_column`.
    pub id_column: Option<String>,
    /// Column of what was true: the class, the number, or the list of relevant items. Required.
    pub column: Option<String>,
    /// Column of the logical date whose prediction it is about; without one it is about those of all dates.
    /// Default: none.
    pub date_column: Option<String>,
    /// Column whose values predictions are also judged by separately. Default: none.
    pub by: Option<String>,
}
