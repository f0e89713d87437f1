//! The run report: what happened, for people and programs.
//!
//! A [`RunReport`] is made once, when a run is finished, from the ledger's rows and the shards'
//! statistics, and stored in the ledger as JSON. [`text`] is its face at a terminal.

pub mod drift;
pub mod evaluation;
pub mod resources;
pub mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ledger::{DeadLetterCount, EvaluationRow};
use crate::monitor::Drift;
use crate::monitor::stats::{ColumnNotes, StageSeconds, Summary};

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
    /// Version of Lamplighter.
    pub lamplighter: String,
}

/// What the finishing process cost: its wall-clock time at the job's `[cost] per_hour`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CostOfRun {
    /// How much.
    pub amount: f64,
    /// In which currency.
    pub currency: String,
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
}
