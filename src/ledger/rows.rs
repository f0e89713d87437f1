//! What goes into the ledger and what comes out of it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::monitoring::Monitoring;
use super::outbox::Owing;
use crate::database::EncodedRows;
use crate::error::{Class, Failure};
use crate::record::DeadLetter;

/// How execution of a run went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its input is being fixed: a state that lasts where planning takes several transactions.
    Planning,
    /// Shards are, or wait to be, worked on.
    Running,
    /// Every shard is completed.
    Completed,
    /// Given up because it can not be completed.
    Failed,
    /// Given up, by a person or by a later generation.
    Cancelled,
}

/// Whether consumers see a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Publication {
    /// Not decided yet.
    Pending,
    /// The views show it.
    Published,
    /// Kept from the views.
    Withheld,
}

impl State {
    /// The word in the tables.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Planning => "planning",
            State::Running => "running",
            State::Completed => "completed",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
        }
    }

    /// Whether shards may still be worked on.
    pub fn is_unfinished(self) -> bool {
        matches!(self, State::Planning | State::Running)
    }
}

impl Publication {
    /// The word in the tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Publication::Pending => "pending",
            Publication::Published => "published",
            Publication::Withheld => "withheld",
        }
    }
}

impl FromStr for State {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> anyhow::Result<Self> {
        [
            State::Planning,
            State::Running,
            State::Completed,
            State::Failed,
            State::Cancelled,
        ]
        .into_iter()
        .find(|state| state.as_str() == word)
        .ok_or_else(|| Failure::internal(format!("`{word}` is no state of a run")).into())
    }
}

impl FromStr for Publication {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> anyhow::Result<Self> {
        [
            Publication::Pending,
            Publication::Published,
            Publication::Withheld,
        ]
        .into_iter()
        .find(|publication| publication.as_str() == word)
        .ok_or_else(|| Failure::internal(format!("`{word}` is no publication of a run")).into())
    }
}

/// What a run is called on the command line: `job@date#generation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunName {
    /// Name of the job.
    pub job: String,
    /// Logical date in canonical form.
    pub logical_date: String,
    /// Counted from 1.
    pub generation: i64,
}

impl fmt::Display for RunName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            job,
            logical_date,
            generation,
        } = self;
        write!(formatter, "{job}@{logical_date}#{generation}")
    }
}

impl FromStr for RunName {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let parts = text.split_once('@').and_then(|(job, rest)| {
            let (logical_date, generation) = rest.split_once('#')?;
            Some(Self {
                job: job.to_owned(),
                logical_date: logical_date.to_owned(),
                generation: generation.parse().ok()?,
            })
        });
        parts.ok_or_else(|| {
            Failure::new(Class::Usage, format!("`{text}` is not the name of a run"))
                .hint("runs are called job@date#generation, such as flight-delay@2026-11-23#1; `lamplighter runs list` shows them")
                .into()
        })
    }
}

/// A run about to be planned.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Name of the job.
    pub job: String,
    /// Logical date in canonical form.
    pub logical_date: String,
    /// The run whose dead letters it scores again, if it does.
    pub parent_run_id: Option<i64>,
    /// Whether `--limit` made it a trial, which is never published.
    pub trial: bool,
    /// Why it scores a date again, if it does.
    pub reason: Option<String>,
    /// Whether it is a backfill's, which no other start goes on with by itself.
    pub backfill: bool,
    /// Hash of everything that predictions depend on.
    pub fingerprint: String,
    /// What was hashed, as JSON.
    pub identity: String,
    /// Name of the model.
    pub model_name: String,
    /// Version of the model.
    pub model_version: String,
    /// Digest of the bundle.
    pub model_digest: String,
    /// `f32`.
    pub precision: String,
    /// Instruction set of the products.
    pub numerics: String,
    /// Rows of a forward pass.
    pub batch_size: u64,
    /// Records of a shard.
    pub shard_size: u64,
}

/// A contiguous slice of a run's ordinals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardSlice {
    /// Counted from 0.
    pub shard_no: u32,
    /// Ordinal of its first record.
    pub first_ordinal: u64,
    /// Number of records.
    pub records: u64,
    /// Offsets (from `first_ordinal`, ascending) of records whose id an earlier record has.
    pub duplicates: Vec<u32>,
    /// Which records these are, in the source's own format; empty if the ordinals say it.
    pub input: Vec<u8>,
}

/// A process that works on runs.
#[derive(Clone, Debug)]
pub struct Participant {
    /// Host name.
    pub host: String,
    /// Process id.
    pub pid: u32,
    /// Unique to the process, wherever it runs.
    pub owner: String,
    /// How long it may be silent before its shards go to others.
    pub lease: Duration,
    /// Rows that it reads at a time.
    pub chunk_rows: u64,
}

/// A run as stored.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// Key in all tables.
    pub run_id: i64,
    /// Name of the job.
    pub job: String,
    /// Logical date in canonical form.
    pub logical_date: String,
    /// Counted from 1.
    pub generation: i64,
    /// The run whose dead letters it scores again, if it does.
    pub parent_run_id: Option<i64>,
    /// Whether it is a trial.
    pub trial: bool,
    /// Why it scored a date again, if it did.
    pub reason: Option<String>,
    /// Whether a backfill planned it.
    pub backfill: bool,
    /// Hash of everything that predictions depend on.
    pub fingerprint: String,
    /// What was hashed, as JSON.
    #[serde(skip)]
    pub identity: String,
    /// How execution went.
    pub state: State,
    /// Whether consumers see it.
    pub publication: Publication,
    /// Name of the model.
    pub model_name: String,
    /// Version of the model.
    pub model_version: String,
    /// Digest of the bundle.
    pub model_digest: String,
    /// `f32`.
    pub precision: String,
    /// Instruction set of the products.
    pub numerics: String,
    /// Rows of a forward pass.
    pub batch_size: i64,
    /// Records of a shard.
    pub shard_size: i64,
    /// Records of the run.
    pub planned: i64,
    /// Records predicted; `None` until it is finished, as for the counts below.
    pub predicted: Option<i64>,
    /// Dead letters, duplicates among them.
    pub dead_letters: Option<i64>,
    /// Dead letters that are duplicates.
    pub duplicates: Option<i64>,
    /// Records that the filter dropped.
    pub filtered: Option<i64>,
    /// Records that were erased since.
    pub erased: i64,
    /// Hash over the shards' output hashes.
    pub output_hash: Option<String>,
    /// Exit code of the process that finished it.
    pub exit_code: Option<i64>,
    /// When it was planned.
    pub created_at: String,
    /// When it was finished or cancelled.
    pub completed_at: Option<String>,
    /// When it began to be pruned as a whole.
    pub pruned_at: Option<String>,
    /// When its dead letters were pruned.
    pub dead_letters_pruned_at: Option<String>,
    /// When its profiles were pruned.
    pub profiles_pruned_at: Option<String>,
    /// When its report was pruned.
    pub report_pruned_at: Option<String>,
}

impl Run {
    /// `job@date#generation`.
    pub fn name(&self) -> RunName {
        RunName {
            job: self.job.clone(),
            logical_date: self.logical_date.clone(),
            generation: self.generation,
        }
    }
}

/// A shard that this process may work on.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The work.
    pub slice: ShardSlice,
    /// The claim's number: completion is refused under any other.
    pub epoch: i64,
    /// Claims of the shard whose process neither completed nor released it: it died, or was silent
    /// for too long.
    pub lost_claims: u64,
}

/// Lost claims from which on a shard is suspected of killing whoever works on it.
const SUSPICIOUS: u64 = 2;

impl Claim {
    /// Whether the shard is suspected of killing whoever works on it.
    pub fn is_suspect(&self) -> bool {
        self.lost_claims >= SUSPICIOUS
    }
}

/// Everything that a shard commits.
pub struct ShardCommit {
    /// Which shard.
    pub shard_no: u32,
    /// The claim's epoch.
    pub epoch: i64,
    /// Its predictions, as [`Target::encode`](super::Target::encode) makes them.
    pub predictions: EncodedRows,
    /// Its dead letters, ordinals ascending.
    pub dead_letters: Vec<DeadLetter>,
    /// Records that the filter dropped.
    pub filtered: u64,
    /// Hash of predictions and dead letters, by [`crate::record::OutputHasher`].
    pub output_hash: String,
    /// [`crate::monitor::ShardStats`] as JSON.
    pub stats: String,
    /// [`crate::monitor::profile::ShardProfile`] as it is stored, if there is one.
    pub profile: Option<Vec<u8>>,
}

/// A run's counts, from its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Rows of `predictions`.
    pub predicted: u64,
    /// Rows of `dead_letters`, and those that were pruned.
    pub dead_letters: u64,
    /// Of these, duplicates.
    pub duplicates: u64,
    /// Records that the filter dropped.
    pub filtered: u64,
    /// Records that were erased.
    pub erased: u64,
}

/// Dead letters of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct DeadLetterCount {
    /// `read`, `validate` or `infer`.
    pub stage: String,
    /// Why, for machines.
    pub code: String,
    /// The column at fault, if it was one.
    pub field: Option<String>,
    /// How many.
    pub records: u64,
}

/// How a run ends.
pub struct Finish {
    /// The run whose dead letters it scored again, if it did: it is published over that one.
    pub parent: Option<i64>,
    /// What consumers see from now on.
    pub publication: Publication,
    /// Counts, from the rows.
    pub totals: Totals,
    /// Hash over the shards' output hashes, by [`crate::record::run_hash`].
    pub output_hash: String,
    /// Exit code of the process.
    pub exit_code: u8,
    /// One word: `published`, `withheld`, `trial`.
    pub verdict: &'static str,
    /// Wall-clock time of this process, in seconds.
    pub duration_seconds: f64,
    /// Records over that time.
    pub records_per_second: f64,
    /// Greatest resident set of this process.
    pub peak_memory_bytes: Option<u64>,
    /// The report as JSON.
    pub report: String,
    /// What it cost, and in which currency, if that is known.
    pub cost: Option<(f64, String)>,
    /// What it leaves for whoever watches data and model; `None` if no shard left a profile.
    pub monitoring: Option<Monitoring>,
    /// What people are to be told because of it.
    pub owing: Vec<Owing>,
}

/// A process that worked on a run.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    /// Host name.
    pub host: String,
    /// Process id.
    pub pid: i64,
    /// Version of Lamplighter.
    pub version: String,
    /// When it began.
    pub started_at: String,
    /// When it ended; `None` if it is under way or was killed.
    pub ended_at: Option<String>,
    /// Its exit code.
    pub exit_code: Option<i64>,
    /// The process, unique wherever it runs.
    #[serde(skip)]
    pub owner: String,
    /// Rows that it reads at a time; `None` if an older version began it.
    pub chunk_rows: Option<u64>,
    /// Whether it has not ended, and gave a sign of life within its lease. On SQLite, where there is
    /// one writer, it gives none.
    pub seems_alive: bool,
}

/// A shard as stored.
#[derive(Clone, Debug, Serialize)]
pub struct ShardRow {
    /// Counted from 0.
    pub shard_no: i64,
    /// Ordinal of its first record.
    pub first_ordinal: u64,
    /// Number of records.
    pub records: u64,
    /// `available`, `leased` or `completed`.
    pub state: String,
    /// Predictions, once completed, as for what follows.
    pub predicted: Option<u64>,
    /// Dead letters, those that were pruned among them.
    pub dead_letters: Option<u64>,
    /// Records that the filter dropped.
    pub filtered: Option<u64>,
    /// Hash of predictions and dead letters.
    pub output_hash: Option<String>,
    /// Dead letters that were pruned.
    pub pruned_dead_letters: u64,
    /// Of these, duplicates.
    pub pruned_duplicates: u64,
    /// Records that were erased.
    pub erased: u64,
}

/// A dead letter as stored.
#[derive(Clone, Debug, Serialize)]
pub struct StoredDeadLetter {
    /// Place in the run's input.
    pub ordinal: i64,
    /// Identity, if it has one.
    pub record_id: Option<String>,
    /// `read`, `validate` or `infer`.
    pub stage: String,
    /// Why, for machines.
    pub code: String,
    /// The column at fault, if it was one.
    pub field: Option<String>,
    /// Why, for people.
    pub message: String,
}

/// Which dead letters to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeadLetterFilter<'a> {
    /// From this ordinal on.
    pub from_ordinal: i64,
    /// Only of this code.
    pub code: Option<&'a str>,
    /// Only of this record.
    pub record_id: Option<&'a str>,
}
