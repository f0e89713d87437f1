//! Weights that are zeros, for a bundle whose model is not trained yet.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::Context;
use candle_core::{DType, Device, Tensor};

use crate::features::spec::{Feature, FeatureKind};

/// Writes every tensor that an `mlp` over `features` needs, with `hidden` layers and `outputs` logits.
///
/// # Errors
/// The file can not be written (74, 77).
pub fn write_untrained(
    features: &[Feature],
    hidden: &[usize],
    outputs: usize,
    path: &Path,
) -> anyhow::Result<()> {
    let mut tensors = HashMap::new();
    let mut add = |name: String, shape: &[usize]| -> anyhow::Result<()> {
        tensors.insert(name, Tensor::zeros(shape, DType::F32, &Device::Cpu)?);
        Ok(())
    };
    for feature in features {
        if let FeatureKind::Categorical {
            categories,
            dim: dim @ 1..,
            ..
        } = &feature.kind
        {
            let name = format!("embeddings.{}.weight", feature.column);
            add(name, &[1 + categories.len(), *dim])?;
        }
    }
    let mut inputs: usize = features.iter().map(Feature::width).sum();
    for (index, width) in hidden.iter().copied().chain([outputs]).enumerate() {
        add(format!("layers.{index}.weight"), &[width, inputs])?;
        add(format!("layers.{index}.bias"), &[width])?;
        inputs = width;
    }
    let context = || format!("cannot write {}", path.display());
    candle_core::safetensors::save(&tensors, path).with_context(context)?;
    // It is written for its owner alone; a bundle is for whoever runs the job, as the umask says.
    let bytes = fs::read(path).with_context(context)?;
    fs::remove_file(path)
        .and_then(|()| fs::write(path, bytes))
        .with_context(context)
}
