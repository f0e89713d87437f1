//! Writes the `model.toml` of a Hugging Face directory.
//!
//! What the checkpoint says of itself is taken: classes, task, longest text, and how
//! sentence-transformers would pool. What it does not say, the caller may.

use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path};

use anyhow::Context;
use serde_json::Value;

use super::config::{Config, Problem};
use crate::error::Failure;
use crate::model::weights::Weights;

/// What a checkpoint does not say of itself.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// Name of the model.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Column of the texts.
    pub column: String,
    /// Column of each pair's second text.
    pub pair: Option<String>,
    /// Tokens of a text at most; without it what the checkpoint was made for.
    pub max_length: Option<usize>,
}

/// What the checkpoint predicts.
enum Target {
    Binary(Vec<String>),
    Multiclass(Vec<String>),
    Regression,
    Embedding {
        pooling: &'static str,
        normalize: bool,
    },
}

/// The text of `model.toml` for the checkpoint in `directory`.
///
/// # Errors
/// A file is missing or damaged, or the checkpoint is of a kind that is not supported (78).
pub fn describe(directory: &Path, wishes: &Wishes) -> anyhow::Result<String> {
    let config = Config::parse(&required(directory, "config.json")?)?;
    required(directory, "tokenizer.json")?;
    let weights = Weights::parse(
        &required(directory, "model.safetensors")?,
        &directory.join("model.safetensors").display().to_string(),
    )?;
    let target = target(directory, &config, &weights)?;
    let max_length = match wishes.max_length {
        Some(length) => length,
        None => made_for(directory)?.min(config.longest()),
    };
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let mut text = format!(
        "[model]\nname = {}\nversion = {}\narchitecture = \"bert\"\n",
        quoted(&wishes.name),
        quoted(&wishes.version)
    );
    let list = |classes: &[String]| {
        let classes: Vec<String> = classes.iter().map(|class| quoted(class)).collect();
        classes.join(", ")
    };
    // Writing to a String can not fail.
    let _ = match &target {
        Target::Binary(classes) => write!(
            text,
            "task = \"binary\"\nclasses = [{}]  # the second is the positive one\nthreshold = 0.5\n",
            list(classes)
        ),
        Target::Multiclass(classes) => {
            write!(
                text,
                "task = \"multiclass\"\nclasses = [{}]\n",
                list(classes)
            )
        }
        Target::Regression => writeln!(text, "task = \"regression\""),
        Target::Embedding { .. } => writeln!(text, "task = \"embedding\""),
    };
    let _ = write!(text, "\n[text]\ncolumn = {}\n", quoted(&wishes.column));
    if let Some(pair) = &wishes.pair {
        let _ = writeln!(text, "pair = {}", quoted(pair));
    }
    let _ = writeln!(text, "max_length = {max_length}\ntoo_long = \"truncate\"");
    if let Target::Embedding { pooling, normalize } = target {
        let _ = write!(text, "pooling = \"{pooling}\"\nnormalize = {normalize}\n");
    }
    Ok(text)
}

fn target(directory: &Path, config: &Config, weights: &Weights) -> anyhow::Result<Target> {
    let heads = ["classifier.weight", "classifier.out_proj.weight"];
    let outputs = heads.into_iter().find_map(|head| weights.shape(head));
    let Some(outputs) = outputs.and_then(|shape| shape.first().copied()) else {
        let (pooling, normalize) = pooling(directory)?;
        return Ok(Target::Embedding { pooling, normalize });
    };
    let architecture = config.architectures.first();
    if let Some(other) = architecture.filter(|name| !name.ends_with("ForSequenceClassification")) {
        return Err(Failure::config(format!(
            "config.json: the checkpoint is a {other}, which is not supported"
        ))
        .hint("heads of the kind ForSequenceClassification are, and encoders without a head")
        .into());
    }
    let classes = match config.labels.len() {
        0 => (0..outputs).map(|index| format!("LABEL_{index}")).collect(),
        _ => config.labels.clone(),
    };
    let is_regression = config.problem == Some(Problem::Regression);
    match outputs {
        1 => Ok(Target::Regression),
        _ if is_regression => Err(Failure::config(format!(
            "the checkpoint predicts {outputs} numbers at a time, which is not supported"
        ))
        .into()),
        _ if classes.len() != outputs => Err(Failure::config(format!(
            "config.json names {} classes, but the head has {outputs} outputs",
            classes.len()
        ))
        .into()),
        2 => Ok(Target::Binary(classes)),
        _ => Ok(Target::Multiclass(classes)),
    }
}

/// How sentence-transformers makes a vector of a text, by the files that it reads; the mean, brought
/// to length one, if there are none.
fn pooling(directory: &Path) -> anyhow::Result<(&'static str, bool)> {
    let Some(modules) = json(directory, "modules.json")? else {
        return Ok(("mean", true));
    };
    refuse_changed_texts(directory)?;
    let mut normalize = false;
    let mut pooling = None;
    for module in modules.as_array().into_iter().flatten() {
        let kind = module["type"].as_str().unwrap_or_default();
        match kind.rsplit('.').next().unwrap_or_default() {
            "Transformer" => {}
            "Normalize" => normalize = true,
            "Pooling" if pooling.is_none() => {
                pooling = Some(module["path"].as_str().unwrap_or("1_Pooling"));
            }
            other => {
                let problem = format!("modules.json: the module {other:?} is not supported");
                return Err(Failure::config(problem)
                    .hint("supported are Transformer, Pooling and Normalize, each once")
                    .into());
            }
        }
    }
    let Some(place) = pooling else {
        return Err(Failure::config("modules.json has no module Pooling").into());
    };
    let file = format!("{place}/config.json");
    let is_inside = Path::new(&file)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let Some(written) = is_inside
        .then(|| json(directory, &file))
        .transpose()?
        .flatten()
    else {
        return Err(Failure::config(format!(
            "modules.json names {file}, which is not in the directory"
        ))
        .into());
    };
    match mode_of(&written) {
        Some(mode) => Ok((mode, normalize)),
        None => Err(Failure::config(format!(
            "{file}: of the modes of pooling, either cls or mean is supported"
        ))
        .into()),
    }
}

/// The one mode of pooling that its configuration names: newer versions write a word, older ones switches.
fn mode_of(pooling: &Value) -> Option<&'static str> {
    if let Some(mode) = pooling.get("pooling_mode") {
        return match mode.as_str()? {
            "cls" => Some("cls"),
            "mean" => Some("mean"),
            _ => None,
        };
    }
    let switches = pooling.as_object()?.iter();
    let mut on = switches
        .filter(|(key, value)| key.starts_with("pooling_mode_") && **value == Value::Bool(true));
    let (mode, others) = (on.next()?, on.next());
    match (mode.0.as_str(), others) {
        ("pooling_mode_cls_token", None) => Some("cls"),
        ("pooling_mode_mean_tokens", None) => Some("mean"),
        _ => None,
    }
}

/// What sentence-transformers would do to each text before it is tokenised is for a job's `transform`.
fn refuse_changed_texts(directory: &Path) -> anyhow::Result<()> {
    const PROMPTS: &str = "config_sentence_transformers.json";
    const LOWER: &str = "sentence_bert_config.json";
    if let Some(config) = json(directory, PROMPTS)?
        && let Some(name) = config["default_prompt_name"].as_str()
        && config["prompts"][name].as_str() != Some("")
    {
        return Err(Failure::config(format!(
            "{PROMPTS}: each text gets the prompt {name:?}, which is not supported"
        ))
        .hint("put the prompt before the texts by [source] transform, and set default_prompt_name to null")
        .into());
    }
    let lowers = json(directory, LOWER)?.is_some_and(|config| config["do_lower_case"] == true);
    let lowered = json(directory, "tokenizer.json")?
        .is_some_and(|tokenizer| tokenizer["normalizer"]["lowercase"] == true);
    if lowers && !lowered {
        return Err(Failure::config(format!(
            "{LOWER}: do_lower_case is true, and the tokenizer does not do so"
        ))
        .hint("lower the texts by [source] transform, and set do_lower_case to false")
        .into());
    }
    Ok(())
}

/// The longest text that the checkpoint's other programs would take.
fn made_for(directory: &Path) -> anyhow::Result<usize> {
    const MOST: u64 = 512;
    let mut shortest = MOST;
    for (file, key) in [
        ("sentence_bert_config.json", "max_seq_length"),
        ("tokenizer_config.json", "model_max_length"),
    ] {
        let length = json(directory, file)?.and_then(|json| json[key].as_u64());
        // Where nobody thought of it, there stands a number with thirty digits.
        shortest = shortest.min(length.unwrap_or(MOST).max(1));
    }
    Ok(shortest as usize)
}

fn required(directory: &Path, name: &str) -> anyhow::Result<Vec<u8>> {
    let path = directory.join(name);
    fs::read(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::config(format!("{} has no {name}", directory.display()))
            .hint("a Hugging Face directory holds config.json, tokenizer.json and model.safetensors; `save_pretrained` writes them")
            .into(),
        _ => anyhow::Error::new(error).context(format!("cannot read {}", path.display())),
    })
}

fn json(directory: &Path, name: &str) -> anyhow::Result<Option<Value>> {
    let path = directory.join(name);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let parsed = serde_json::from_slice(&text);
    Ok(Some(parsed.map_err(|error| {
        Failure::config(format!("{}: {error}", path.display()))
    })?))
}
