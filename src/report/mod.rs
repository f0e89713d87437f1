//! The run report: what happened, for people and programs.
//!
//! A [`RunReport`] is made once, when a run is finished, from the ledger's rows and the shards'
//! statistics, and stored in the ledger as JSON. [`text`] is its face at a terminal.

pub mod assessment;
pub mod compare;
pub mod drift;
pub mod evaluation;
pub mod html;
pub mod prometheus;
pub mod resources;
#[cfg(test)]
pub(crate) mod sample;
pub mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ledger::{DeadLetterCount, EvaluationRow};
use crate::monitor::Drift;
use crate::monitor::stats::{ColumnNotes, StageSeconds, Summary};

pub use crate::job::Severity;
pub use crate::ledger::Delivery;
pub use resources::Resources;

/// Everything that a run has to say for itself. Times are UTC, durations in seconds unless the
/// name has another unit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunReport {
    /// `job@date#generation`.
    pub run: String,
    /// Key in all tables.
    pub run_id: i64,
    /// Name of the job.
    pub job: String,
    /// The job file that the finishing process was started with.
    #[serde(default)]
    pub job_file: Option<String>,
    /// Logical date.
    pub logical_date: String,
    /// Counted from 1.
    pub generation: i64,
    /// Whether it was a trial, which is never published.
    pub trial: bool,
    /// Why it scored the date again, if it did.
    pub reason: Option<String>,
    /// Whose dead letters it scored again, if it did.
    #[serde(default)]
    pub retry: Option<RetryOf>,
    /// How it ended.
    pub outcome: Ending,
    /// What scored.
    pub model: ModelIdentity,
    /// What was read.
    pub input: InputIdentity,
    /// What became of the records.
    pub counts: Counts,
    /// Records of the newest earlier date that consumers see, if there is one.
    #[serde(default)]
    pub previously_planned: Option<u64>,
    /// Dead letters by stage, code and field, the most frequent first.
    pub dead_letters: Vec<DeadLetterCount>,
    /// Values imputed, clamped or unknown, by column, of records that were scored.
    pub columns: BTreeMap<String, ColumnNotes>,
    /// What the model said.
    pub outputs: OutputDistribution,
    /// How far data and predictions are from those that the model was trained on, if the bundle says what
    /// these looked like.
    #[serde(default)]
    pub drift: Option<Drift>,
    /// How the model has aged, if the bundle says when it was trained.
    #[serde(default)]
    pub decay: Option<Decay>,
    /// What the predictions of the date were worth, by the ground truth that is there by now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evaluation: Vec<EvaluationRow>,
    /// How long it took.
    pub timing: Timing,
    /// What the finishing process used.
    pub resources: Resources,
    /// What it cost, if the job says what the machine costs.
    #[serde(default)]
    pub cost: Option<CostOfRun>,
    /// What became of the job's alert rules, in the order of the job file.
    #[serde(default)]
    pub alerts: Vec<JudgedRule>,
    /// What is owed to the outside because of them, and what was delivered: as of when the report is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<Delivery>,
    /// Version of Lamplighter.
    pub lamplighter: String,
}

/// What a run cost: the wall-clock time of all processes that worked on it at the job's `[cost] per_hour`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CostOfRun {
    /// How much.
    pub amount: f64,
    /// In which currency.
    pub currency: String,
    /// Time of the machines, in seconds.
    #[serde(default)]
    pub machine_seconds: f64,
    /// What a million records cost; `None` if there were none.
    #[serde(default)]
    pub per_million_records: Option<f64>,
    /// What the job will have cost by the end of the month.
    #[serde(default)]
    pub month: Option<MonthlyCost>,
}

/// What a job costs in a calendar month of its time zone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MonthlyCost {
    /// Such as `2026-11`.
    pub month: String,
    /// What its runs have cost so far, this one included.
    pub spent: f64,
    /// Starts that are still to come.
    pub starts_left: u64,
    /// What was spent, and for each start that is still to come the median of the last runs' costs.
    pub forecast: f64,
}

/// What became of an alert rule when the run was judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JudgedRule {
    /// Name of the rule.
    pub rule: String,
    /// How grave it is.
    pub severity: Severity,
    /// What it looks at, such as `psi of temperature`.
    pub subject: String,
    /// The metric.
    pub metric: String,
    /// The column or output that it is of, if the rule or the worst value names one.
    pub column: Option<String>,
    /// The class that it is of, if the rule names one.
    pub class: Option<String>,
    /// `<`, `<=`, `>`, `>=`, `==` or `!=`.
    pub op: String,
    /// What the metric is compared with.
    pub threshold: f64,
    /// What it was; `None` if it is not known of this run.
    pub value: Option<f64>,
    /// What became of the rule.
    pub state: RuleState,
    /// The whole of it in a sentence.
    pub summary: String,
    /// What the job file wants to be done: `webhook`, `exec`, `withhold`.
    pub actions: Vec<String>,
}

/// What became of an alert rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleState {
    /// It does not hold.
    Quiet,
    /// It holds.
    Firing,
    /// Its metric is not known of this run.
    Unknown,
}

/// How a run ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ending {
    /// Whether consumers see it.
    pub verdict: Verdict,
    /// The verdict in a sentence.
    pub explanation: String,
    /// Exit code of the process.
    pub exit_code: u8,
}

/// Whether consumers see a finished run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// They do.
    Published,
    /// They do not, because of what the run found.
    Withheld,
    /// They do not, because it was a trial.
    Trial,
    /// They do not yet: the run is not finished.
    Unfinished,
}

/// Whose dead letters a run scored again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RetryOf {
    /// `job@date#generation` of that run.
    pub run: String,
    /// Its dead letters that were to be scored again.
    pub wanted: u64,
    /// Of these, those that the input does not hold any more.
    pub not_found: u64,
}

impl Verdict {
    /// The word in tables and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Published => "published",
            Verdict::Withheld => "withheld",
            Verdict::Trial => "trial",
            Verdict::Unfinished => "unfinished",
        }
    }
}

/// Which model scored, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// Name of the model.
    pub name: String,
    /// Version of the model.
    pub version: String,
    /// Digest of the bundle.
    pub digest: String,
    /// `f32`.
    pub precision: String,
    /// Instruction set of the products.
    pub numerics: String,
    /// Rows of a forward pass.
    pub batch_size: u64,
}

/// What was read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InputIdentity {
    /// `parquet`, `queue`, or which table or query.
    #[serde(default = "parquet")]
    pub source: String,
    /// Number of files.
    pub files: u64,
    /// Their size, compressed.
    pub bytes: u64,
    /// Hash of the list of files, or of the table or query as it is asked for; empty for a queue.
    pub manifest: String,
    /// Hash of everything that predictions depend on.
    pub fingerprint: String,
}

/// What reports of old had no need to say.
fn parquet() -> String {
    "parquet".to_owned()
}

/// What became of the records. `planned = predicted + dead_letters + filtered + erased`, and as long
/// as the run is not finished `+ unfinished`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Counts {
    /// Records of the run.
    pub planned: u64,
    /// Records scored.
    pub predicted: u64,
    /// Records that could not be scored, duplicates among them.
    pub dead_letters: u64,
    /// Dead letters that are duplicates.
    pub duplicates: u64,
    /// Records that the filter dropped.
    pub filtered: u64,
    /// Records deleted on demand.
    pub erased: u64,
    /// Records of shards that are not completed: none once the run is finished.
    #[serde(default)]
    pub unfinished: u64,
    /// Shards of the run.
    pub shards: u64,
}

/// What the model said.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct OutputDistribution {
    /// Predictions by class, for classification.
    pub labels: BTreeMap<String, u64>,
    /// Scores, for classification.
    pub scores: Option<Summary>,
    /// Values, for regression.
    pub values: Option<Summary>,
}

/// How a model has aged.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Decay {
    /// The day on which it was trained.
    pub trained_at: String,
    /// Days since.
    pub model_age_days: Option<i64>,
    /// Records whose ground truth came since.
    pub ground_truth_since_training: u64,
    /// The metric that is watched.
    pub metric: Option<String>,
    /// Its value on the data that the model was trained on.
    pub baseline: Option<f64>,
    /// Its values by date, the newest last.
    pub history: Vec<DatedMetric>,
    /// Why the model is to be trained anew; empty if it is not.
    pub retrain: Vec<String>,
}

/// A metric for one date.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DatedMetric {
    /// The date.
    pub logical_date: String,
    /// The value; `None` if it is not defined.
    pub value: Option<f64>,
    /// Records that it is of.
    pub records: u64,
}

/// How long a run took.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Timing {
    /// When the finishing process began.
    pub started_at: String,
    /// When the run was finished.
    pub finished_at: String,
    /// Wall-clock time of the finishing process.
    pub duration_seconds: f64,
    /// Of this, opening and planning.
    pub plan_seconds: f64,
    /// Records that the finishing process worked on, over its time without opening and planning.
    pub records_per_second: f64,
    /// Time by stage, added over all workers and attempts; commits: of the finishing process.
    pub stage_seconds: StageSeconds,
    /// Time of a forward pass, in milliseconds.
    pub batch_milliseconds: Option<Summary>,
    /// Processes that worked on the run.
    pub attempts: u64,
    /// When the run was to be finished, if the job says so.
    #[serde(default)]
    pub finish_by: Option<String>,
    /// By how many minutes it was finished later than that; less than nothing if it was finished before.
    #[serde(default)]
    pub minutes_past_finish_by: Option<f64>,
    /// Forward passes by their time.
    #[serde(default)]
    pub batch_histogram: Vec<Bucket>,
    /// How the run went on, in at most [`MOST_MOMENTS`] steps.
    #[serde(default)]
    pub course: Vec<Moment>,
}

/// Forward passes that took no longer than some time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// That time, in seconds.
    pub seconds: f64,
    /// How many they were, those of shorter times among them; within 1 % of the time.
    pub batches: u64,
}

/// Steps of a run's course at most.
pub const MOST_MOMENTS: usize = 60;

/// A step of a run: shards that were completed one after another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// When the last of them was completed, in seconds from when the run was planned.
    pub seconds: f64,
    /// Records of the run that were done by then.
    pub records: u64,
    /// Median time of a forward pass, in milliseconds.
    pub batch_p50_milliseconds: Option<f64>,
    /// 99th percentile of the same.
    pub batch_p99_milliseconds: Option<f64>,
}
