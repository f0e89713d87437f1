//! Bundles: a directory with `model.toml`, `model.safetensors` and what else the model needs.
//!
#![doc = include_str!("bundle.md")]

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use anyhow::Context;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::bert::config::Config;
use super::bert::{Bert, Ending, Pooling, check_fit};
use super::kernels::Activation;
use super::mlp::Mlp;
use super::network::{Capacity, Network};
use super::numerics;
use super::outputs::Head;
use super::weights::Weights;
use crate::error::{Class, Failure};
use crate::features::spec::FeatureSpec;
use crate::features::{Encoder, TableEncoder, TextColumns, TextEncoder, TooLong};
use crate::job::{ModelReference, Precision};

/// `model.toml` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BundleSpec {
    model: ModelSection,
    mlp: Option<MlpSection>,
    text: Option<TextSection>,
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
}

impl Task {
    /// The task as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Task::Binary => "binary",
            Task::Multiclass => "multiclass",
            Task::Regression => "regression",
            Task::Embedding => "embedding",
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
    /// `sha256:` and the hexadecimal digest over names and contents of all files.
    pub digest: String,
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
const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";

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
        let files = read_files(directory)?;
        let digest = digest(&files);
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
        let text = file(&files, directory, MODEL_TOML)?;
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
            file(&files, directory, WEIGHTS)?,
            &directory.join(WEIGHTS).display().to_string(),
        )?;
        let parts = match spec.model.architecture {
            Architecture::Mlp => build_mlp(&spec, weights, reference),
            Architecture::Bert => {
                let config = file(&files, directory, CONFIG)?;
                let tokenizer = file(&files, directory, TOKENIZER)?;
                build_bert(&spec, config, tokenizer, weights, reference)
            }
        };
        let parts = parts.with_context(|| shown.clone())?;
        Self::build(spec, digest, parts, reference).with_context(|| shown)
    }

    fn build(
        spec: BundleSpec,
        digest: String,
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
            Network::Mlp(_) => Capacity::Rows(batch_size),
            Network::Bert(_) => Capacity::Tokens(batch_tokens),
        }
    }
}

/// What an architecture makes of a bundle's files.
struct Parts {
    encoder: Encoder,
    network: Network,
    head: Head,
    numerics: &'static str,
}

/// The head of a model whose network gives vectors of this `width`, if it gives such.
fn head(
    spec: &BundleSpec,
    reference: &ModelReference,
    width: Option<usize>,
) -> anyhow::Result<Head> {
    if let (Some(_), false) = (reference.threshold, spec.model.task == Task::Binary) {
        return Err(Failure::config(
            "the job sets [model] threshold, but the model is not of task \"binary\"",
        )
        .into());
    }
    Head::new(
        spec.model.task,
        spec.model.classes.clone(),
        reference.threshold.or(spec.model.threshold),
        spec.output.as_ref().and_then(|output| output.transform),
        width,
    )
}

fn build_mlp(
    spec: &BundleSpec,
    mut weights: Weights,
    reference: &ModelReference,
) -> anyhow::Result<Parts> {
    let mlp = spec
        .mlp
        .as_ref()
        .ok_or_else(|| Failure::config("architecture \"mlp\" needs a section [mlp]"))?;
    if spec.text.is_some() {
        return Err(Failure::config("architecture \"mlp\" has no section [text]").into());
    }
    if reference.precision != Precision::F32 {
        return Err(Failure::config(
            "the job sets [model] precision, but architecture \"mlp\" computes in f32 alone",
        )
        .into());
    }
    if spec.features.is_empty() {
        return Err(Failure::config("architecture \"mlp\" needs at least one [[feature]]").into());
    }
    let features = spec
        .features
        .iter()
        .cloned()
        .map(FeatureSpec::resolve)
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut columns: Vec<&str> = features
        .iter()
        .map(|feature| feature.column.as_str())
        .collect();
    columns.sort_unstable();
    if let Some(twice) = columns.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Failure::config(format!("feature `{}` is listed twice", twice[0])).into());
    }
    let kernels = numerics::kernels(reference.precision)?;
    let head = head(spec, reference, None)?;
    let network = Mlp::load(
        &features,
        &mlp.hidden,
        mlp.activation,
        head.width(),
        kernels,
        &mut weights,
    )?;
    weights.finish()?;
    Ok(Parts {
        encoder: Encoder::Table(TableEncoder::new(features)),
        network: Network::Mlp(network),
        head,
        numerics: kernels.instruction_set().as_str(),
    })
}

fn build_bert(
    spec: &BundleSpec,
    config: &[u8],
    tokenizer: &[u8],
    mut weights: Weights,
    reference: &ModelReference,
) -> anyhow::Result<Parts> {
    let text = spec
        .text
        .as_ref()
        .ok_or_else(|| Failure::config("architecture \"bert\" needs a section [text]"))?;
    if spec.mlp.is_some() || !spec.features.is_empty() {
        return Err(Failure::config(
            "architecture \"bert\" has no section [mlp], and no [[feature]] but its [text]",
        )
        .into());
    }
    let kernels = numerics::kernels(reference.precision)?;
    let config = Config::parse(config)?;
    let head = head(spec, reference, Some(config.width))?;
    let ending = ending(spec.model.task, text, &head)?;
    let encoder = TextEncoder::new(
        tokenizer,
        TextColumns {
            column: text.column.clone(),
            pair: text.pair.clone(),
            max_length: text.max_length,
            max_bytes: text.max_bytes,
            too_long: text.too_long,
        },
    )?;
    check_fit(&config, encoder.sizes()?, text.max_length)?;
    let network = Bert::load(&config, ending, Some(kernels), &mut weights)?;
    weights.finish()?;
    Ok(Parts {
        encoder: Encoder::Text(Box::new(encoder)),
        network: Network::Bert(Box::new(network)),
        head,
        numerics: kernels.instruction_set().as_str(),
    })
}

/// What is made of the encoded tokens, by the task and the `[text]` section.
fn ending(task: Task, text: &TextSection, head: &Head) -> Result<Ending, Failure> {
    if task == Task::Embedding {
        return Ok(Ending::Embedding {
            pooling: text.pooling.unwrap_or(Pooling::Mean),
            normalize: text.normalize.unwrap_or(true),
        });
    }
    if text.normalize.is_some() {
        return Err(Failure::config(
            "[text] `normalize` is for task \"embedding\" only",
        ));
    }
    match text.pooling {
        None | Some(Pooling::Cls) => Ok(Ending::Logits(head.width())),
        Some(Pooling::Mean) => Err(Failure::config(
            "[text] pooling = \"mean\" is for task \"embedding\" only: heads take the first token",
        )),
    }
}

/// Name and content of every file of the bundle, hidden ones aside. Everything is read once, so
/// that what is hashed is what is loaded.
fn read_files(directory: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let entries = fs::read_dir(directory).map_err(|error| {
        let class = match error.kind() {
            io::ErrorKind::PermissionDenied => Class::Permission,
            _ => Class::Config,
        };
        Failure::new(class, format!("bundle {}: {error}", directory.display()))
        .hint("[model] bundle is a directory with model.toml and model.safetensors; relative paths start at the working directory")
    })?;
    let mut files = BTreeMap::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot list {}", directory.display()))?
            .path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with('.') || !path.is_file() {
            continue;
        }
        refuse_pickle(&path)?;
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        files.insert(name, bytes);
    }
    Ok(files)
}

/// Names under which pickles are shipped. None is read here, and none is passed on with a bundle to
/// somebody who would load it.
const PICKLES: [&str; 8] = [
    "pt", "pth", "ckpt", "bin", "pkl", "pickle", "joblib", "dill",
];

fn refuse_pickle(path: &Path) -> Result<(), Failure> {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    if !PICKLES.contains(&extension.to_ascii_lowercase().as_str()) {
        return Ok(());
    }
    Err(Failure::config(format!(
        "{}: a bundle holds no pickles: to load one is to run the code in it",
        path.display()
    ))
    .hint("take the file out of the bundle; weights are in model.safetensors"))
}

fn file<'files>(
    files: &'files BTreeMap<String, Vec<u8>>,
    directory: &Path,
    name: &str,
) -> anyhow::Result<&'files [u8]> {
    files.get(name).map(Vec::as_slice).ok_or_else(|| {
        let path = directory.join(name);
        match fs::symlink_metadata(&path) {
            Ok(_) => Failure::config(format!(
                "{} is not a file, or a link that leads to none",
                path.display()
            )),
            Err(_) => Failure::config(format!("bundle {} has no {name}", directory.display())),
        }
        .into()
    })
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

fn digest(files: &BTreeMap<String, Vec<u8>>) -> String {
    let mut hasher = Sha256::new();
    for (name, bytes) in files {
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update(Sha256::digest(bytes));
    }
    format!("sha256:{}", hex::encode(hasher.finalize()))
}
