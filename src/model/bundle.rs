//! Bundles: a directory with `model.toml`, `model.safetensors` and what else the model needs.
//!
#![doc = include_str!("bundle.md")]

mod build;
mod files;

use anyhow::Context;
use serde::Deserialize;

use self::build::Parts;
use self::files::Files;
pub use self::files::REFERENCE;
use super::bert::Pooling;
use super::kernels::Activation;
use super::network::{Capacity, Network};
use super::outputs::Head;
use super::weights::Weights;
use crate::error::Failure;
use crate::features::spec::FeatureSpec;
use crate::features::{Encoder, TooLong};
use crate::job::{ModelReference, Precision};

/// `model.toml` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BundleSpec {
    model: ModelSection,
    mlp: Option<MlpSection>,
    text: Option<TextSection>,
    ranking: Option<RankingSection>,
    output: Option<OutputSection>,
    #[serde(default, rename = "feature")]
    features: Vec<FeatureSpec>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelSection {
    name: String,
    version: String,
    architecture: Architecture,
    task: Task,
    classes: Option<Vec<String>>,
    threshold: Option<f32>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Architecture {
    Mlp,
    Bert,
    TwoTower,
}

/// What the model predicts.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// One of two classes.
    Binary,
    /// One of several classes.
    Multiclass,
    /// A number.
    Regression,
    /// A vector.
    Embedding,
    /// Items, best first.
    Ranking,
}

impl Task {
    /// The task as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Task::Binary => "binary",
            Task::Multiclass => "multiclass",
            Task::Regression => "regression",
            Task::Embedding => "embedding",
            Task::Ranking => "ranking",
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MlpSection {
    hidden: Vec<usize>,
    activation: Activation,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TextSection {
    column: String,
    pair: Option<String>,
    max_length: usize,
    #[serde(default = "default_max_bytes")]
    max_bytes: usize,
    #[serde(default)]
    too_long: TooLong,
    pooling: Option<Pooling>,
    normalize: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RankingSection {
    query_column: String,
    queries: String,
    items: String,
    top_k: usize,
    exclude: Option<String>,
}

/// Room for 512 tokens of a language whose words are long.
fn default_max_bytes() -> usize {
    65_536
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputSection {
    transform: Option<TargetTransform>,
}

/// What the network's output is of the target.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum TargetTransform {
    /// The network predicts `log1p(y)`.
    Log1p,
}

/// A loaded bundle: everything that scoring needs.
pub struct Bundle {
    /// Name of the model.
    pub name: String,
    /// Version of the model.
    pub version: String,
    /// `sha256:` and the hexadecimal digest over names and contents of all files but the reference.
    pub digest: String,
    /// What the training data looked like: the content of `reference.json`, if there is one.
    pub reference: Option<Vec<u8>>,
    /// What the model predicts.
    pub task: Task,
    /// Validation and encoding.
    pub encoder: Encoder,
    /// The network.
    pub network: Network,
    /// What computes: the instruction set, as a run stores it.
    pub numerics: &'static str,
    /// What numbers it computes in.
    pub precision: Precision,
    /// From the network's output to predictions.
    pub head: Head,
}

const MODEL_TOML: &str = "model.toml";
const WEIGHTS: &str = "model.safetensors";

/// The longest description that is parsed, in bytes; parsed it takes some twenty times as much. It has
/// room for about three million categories.
const LONGEST_DESCRIPTION: usize = 32 << 20;

impl Bundle {
    /// Loads the bundle that a job names; the job's threshold overrides the bundle's own.
    ///
    /// # Errors
    /// Whatever is missing, left over, of the wrong shape or type, or contradictory (78). A bundle with
    /// another digest than the job pins is refused before it is parsed. This processor lacks what the
    /// precision needs (78).
    pub fn load(reference: &ModelReference) -> anyhow::Result<Self> {
        let directory = &reference.bundle;
        let files = Files::read(directory)?;
        let digest = files.digest();
        if let Some(pinned) = &reference.digest
            && *pinned != digest
        {
            return Err(Failure::config(format!(
                "bundle {} has the digest {digest}, but the job pins {pinned}",
                directory.display()
            ))
            .hint("if the change is intended, put the new digest into [model] digest")
            .into());
        }
        let shown = directory.join(MODEL_TOML).display().to_string();
        let text = files.get(MODEL_TOML)?;
        if text.len() > LONGEST_DESCRIPTION {
            return Err(Failure::config(format!(
                "{shown} has {} bytes, the limit is {LONGEST_DESCRIPTION}",
                text.len()
            ))
            .hint("leave out categories that are rare: they are \"other\"")
            .into());
        }
        let text = std::str::from_utf8(text)
            .map_err(|error| Failure::config(format!("{shown}: {error}")))?;
        let spec: BundleSpec = toml::from_str(text)
            .map_err(|error| Failure::config(format!("{shown}: {}", explain(&error, text))))?;
        let weights = Weights::parse(
            files.get(WEIGHTS)?,
            &directory.join(WEIGHTS).display().to_string(),
        )?;
        let parts = Parts::build(&spec, &files, weights, reference);
        let parts = parts.with_context(|| shown.clone())?;
        let profile = files.reference();
        Self::of(spec, digest, profile, parts, reference).with_context(|| shown)
    }

    fn of(
        spec: BundleSpec,
        digest: String,
        profile: Option<Vec<u8>>,
        parts: Parts,
        reference: &ModelReference,
    ) -> anyhow::Result<Self> {
        for (key, text) in [("name", &spec.model.name), ("version", &spec.model.version)] {
            // They stand in logs and reports, line by line.
            if text.chars().any(char::is_control) {
                return Err(Failure::config(format!(
                    "[model] {key}: {text:?} holds a control character"
                ))
                .into());
            }
        }
        Ok(Self {
            name: spec.model.name,
            version: spec.model.version,
            digest,
            reference: profile,
            task: spec.model.task,
            encoder: parts.encoder,
            network: parts.network,
            head: parts.head,
            numerics: parts.numerics,
            precision: reference.precision,
        })
    }

    /// What one forward pass takes, of what the job says.
    pub fn capacity(&self, batch_size: usize, batch_tokens: usize) -> Capacity {
        match self.network {
            Network::Mlp(_) | Network::TwoTower(_) => Capacity::Rows(batch_size),
            Network::Bert(_) => Capacity::Tokens(batch_tokens),
        }
    }
}

/// What is wrong with model.toml, with the lines at fault unless they would bury it.
fn explain(error: &toml::de::Error, text: &str) -> String {
    const LONGEST: usize = 2_000;
    let whole = error.to_string();
    if whole.len() <= LONGEST {
        return whole.trim_end().to_owned();
    }
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = 1 + before.unwrap_or_default().matches('\n').count();
    let message: String = error.message().chars().take(LONGEST).collect();
    format!("line {line}: {message}")
}
