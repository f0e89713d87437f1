//! From the parts of a bundle to encoder, network and head: one function for each architecture.

use super::files::Files;
use super::{Architecture, BundleSpec, Task, TextSection};
use crate::error::Failure;
use crate::features::spec::FeatureSpec;
use crate::features::{
    Encoder, QueryColumns, QueryEncoder, TableEncoder, TextColumns, TextEncoder,
};
use crate::job::{ModelReference, Precision};
use crate::model::bert::config::Config;
use crate::model::bert::{Bert, Ending, Pooling, check_fit};
use crate::model::mlp::Mlp;
use crate::model::network::Network;
use crate::model::numerics;
use crate::model::outputs::Head;
use crate::model::two_tower::TwoTower;
use crate::model::weights::Weights;

/// What an architecture makes of a bundle's files.
pub(super) struct Parts {
    pub(super) encoder: Encoder,
    pub(super) network: Network,
    pub(super) head: Head,
    pub(super) numerics: &'static str,
}

const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";

impl Parts {
    /// Takes what the bundle's architecture needs; nothing may be left over.
    ///
    /// # Errors
    /// Whatever is missing, left over, of the wrong shape or type, or contradictory (78).
    pub(super) fn build(
        spec: &BundleSpec,
        files: &Files,
        weights: Weights,
        reference: &ModelReference,
    ) -> anyhow::Result<Self> {
        match spec.model.architecture {
            Architecture::Mlp => build_mlp(spec, weights, reference),
            Architecture::Bert => build_bert(spec, files, weights, reference),
            Architecture::TwoTower => build_two_tower(spec, files, weights, reference),
        }
    }
}

/// The head of a model whose network gives vectors of this `width`, if it gives such.
fn head(
    spec: &BundleSpec,
    reference: &ModelReference,
    width: Option<usize>,
) -> anyhow::Result<Head> {
    refuse_threshold(spec, reference)?;
    Head::new(
        spec.model.task,
        spec.model.classes.clone(),
        reference.threshold.or(spec.model.threshold),
        spec.output.as_ref().and_then(|output| output.transform),
        width,
    )
}

fn refuse_threshold(spec: &BundleSpec, reference: &ModelReference) -> Result<(), Failure> {
    match (reference.threshold, spec.model.task) {
        (None, _) | (Some(_), Task::Binary) => Ok(()),
        (Some(_), _) => Err(Failure::config(
            "the job sets [model] threshold, but the model is not of task \"binary\"",
        )),
    }
}

fn refuse_bf16(architecture: &str, reference: &ModelReference) -> Result<(), Failure> {
    if reference.precision == Precision::F32 {
        return Ok(());
    }
    Err(Failure::config(format!(
        "the job sets [model] precision, but architecture \"{architecture}\" computes in f32 alone"
    )))
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
    if spec.text.is_some() || spec.ranking.is_some() {
        return Err(Failure::config(
            "architecture \"mlp\" has no section [text], and no [ranking]",
        )
        .into());
    }
    refuse_bf16("mlp", reference)?;
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
    files: &Files,
    mut weights: Weights,
    reference: &ModelReference,
) -> anyhow::Result<Parts> {
    let text = spec
        .text
        .as_ref()
        .ok_or_else(|| Failure::config("architecture \"bert\" needs a section [text]"))?;
    if spec.mlp.is_some() || spec.ranking.is_some() || !spec.features.is_empty() {
        return Err(Failure::config(
            "architecture \"bert\" has no section [mlp] or [ranking], and no [[feature]] but its [text]",
        )
        .into());
    }
    let kernels = numerics::kernels(reference.precision)?;
    let config = Config::parse(files.get(CONFIG)?)?;
    let head = head(spec, reference, Some(config.width))?;
    let ending = ending(spec.model.task, text, &head)?;
    let encoder = TextEncoder::new(
        files.get(TOKENIZER)?,
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

fn build_two_tower(
    spec: &BundleSpec,
    files: &Files,
    mut weights: Weights,
    reference: &ModelReference,
) -> anyhow::Result<Parts> {
    let config = |why: String| anyhow::Error::from(Failure::config(why));
    let ranking = spec
        .ranking
        .as_ref()
        .ok_or_else(|| config("architecture \"two_tower\" needs a section [ranking]".to_owned()))?;
    let others = spec.mlp.is_some() || spec.text.is_some() || spec.output.is_some();
    if others || !spec.features.is_empty() {
        return Err(config(
            "architecture \"two_tower\" has no section but [model] and [ranking]".to_owned(),
        ));
    }
    let model = &spec.model;
    if model.task != Task::Ranking || model.classes.is_some() || model.threshold.is_some() {
        return Err(config(
            "architecture \"two_tower\" is for task \"ranking\", which has no `classes` and no `threshold`"
                .to_owned(),
        ));
    }
    refuse_threshold(spec, reference)?;
    refuse_bf16("two_tower", reference)?;
    if ranking.exclude.as_ref() == Some(&ranking.query_column) {
        return Err(config(format!(
            "[ranking] `exclude` and `query_column` are both `{}`",
            ranking.query_column
        )));
    }
    let queries = files.ids(&ranking.queries)?;
    let items = files.ids(&ranking.items)?;
    if !(1..=items.len()).contains(&ranking.top_k) {
        return Err(config(format!(
            "[ranking] `top_k` is {}, but there are {} items",
            ranking.top_k,
            items.len()
        )));
    }
    let kernels = numerics::kernels(reference.precision)?;
    let network = TwoTower::load(
        queries.len(),
        items.len(),
        ranking.top_k,
        kernels,
        &mut weights,
    )?;
    weights.finish()?;
    let columns = QueryColumns {
        query: ranking.query_column.clone(),
        exclude: ranking.exclude.clone(),
    };
    Ok(Parts {
        encoder: Encoder::Query(QueryEncoder::new(columns, &queries, &items)),
        network: Network::TwoTower(network),
        head: Head::Ranking {
            items: items.into(),
            top_k: ranking.top_k,
        },
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
