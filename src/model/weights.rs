//! Weights from safetensors, every tensor accounted for.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};

use crate::error::Failure;

/// A header beyond this is refused before it is parsed; a real one takes about 100 bytes a tensor.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// Tensors of a file, taken out one by one. What is left at the end is an error too.
pub struct Weights {
    file: String,
    tensors: BTreeMap<String, Tensor>,
}

impl Weights {
    /// Parses `bytes`, the content of `file` (a name for messages).
    ///
    /// # Errors
    /// If they are not safetensors (78).
    pub fn parse(bytes: &[u8], file: &str) -> anyhow::Result<Self> {
        let not_safetensors = |why: String| {
            Failure::config(format!("{file}: not a safetensors file: {why}")).hint(
                "export the state dict with safetensors.torch.save_file; pickled checkpoints (.pt, .bin) are refused because loading them runs code",
            )
        };
        let length = bytes
            .first_chunk::<8>()
            .map(|length| u64::from_le_bytes(*length))
            .ok_or_else(|| not_safetensors("it is shorter than its header".to_owned()))?;
        if length > MAX_HEADER_BYTES {
            return Err(not_safetensors(format!(
                "its header claims {length} bytes, the limit is {MAX_HEADER_BYTES}"
            ))
            .into());
        }
        let tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)
            .map_err(|error| not_safetensors(shortened(&error.to_string())))?;
        Ok(Self {
            file: file.to_owned(),
            tensors: tensors.into_iter().collect(),
        })
    }

    /// Takes the f32 tensor `name` of shape `shape`.
    ///
    /// # Errors
    /// If it is missing, or has another shape or type; the message gives expected and found (78).
    pub fn take(&mut self, name: &str, shape: &[usize]) -> anyhow::Result<Tensor> {
        let file = &self.file;
        let Some(tensor) = self.tensors.remove(name) else {
            let failure = Failure::config(format!(
                "{file}: tensor `{name}` of shape {shape:?} is missing"
            ));
            return Err(match self.tensors.is_empty() {
                true => failure,
                false => failure.hint(format!(
                    "the file still holds {}",
                    some(self.tensors.keys().map(|name| shortened(name)))
                )),
            }
            .into());
        };
        if tensor.dims() != shape {
            return Err(Failure::config(format!(
                "{file}: tensor `{name}` should have the shape {shape:?}, but has {:?}",
                tensor.dims()
            ))
            .hint("layouts are PyTorch's own: a linear layer's weight is [outputs, inputs]")
            .into());
        }
        if tensor.dtype() != DType::F32 {
            return Err(Failure::config(format!(
                "{file}: tensor `{name}` should be f32, but is {}",
                tensor.dtype().as_str()
            ))
            .hint("convert it before export, with `.float()`")
            .into());
        }
        Ok(tensor)
    }

    /// Takes the tensor `name` of shape `shape` and of any float type of at most 32 bits, as f32, which
    /// holds each of its numbers.
    ///
    /// # Errors
    /// As of [`take`](Self::take).
    pub fn take_float(&mut self, name: &str, shape: &[usize]) -> anyhow::Result<Tensor> {
        if let Some(tensor) = self.tensors.get_mut(name)
            && matches!(tensor.dtype(), DType::F16 | DType::BF16)
        {
            *tensor = tensor.to_dtype(DType::F32)?;
        }
        self.take(name, shape)
    }

    /// The shape of the tensor `name`, if it is there and not taken yet.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(Tensor::dims)
    }

    /// Drops the tensor `name`, which no prediction depends on, if it is there.
    pub fn ignore(&mut self, name: &str) {
        self.tensors.remove(name);
    }

    /// Ends the loading.
    ///
    /// # Errors
    /// If tensors are left over: the file is of another model than `model.toml` describes (78).
    pub fn finish(self) -> anyhow::Result<()> {
        if self.tensors.is_empty() {
            return Ok(());
        }
        let left = self
            .tensors
            .iter()
            .map(|(name, tensor)| format!("`{}` {:?}", shortened(name), tensor.dims()));
        Err(Failure::config(format!(
            "{}: tensors that model.toml does not account for: {}",
            self.file,
            some(left)
        ))
        .hint("they belong to a model of another shape, or to a head that model.toml does not name")
        .into())
    }
}

/// The first of many, and how many more there are: a message is read by people.
fn some(items: impl ExactSizeIterator<Item = String>) -> String {
    const SHOWN: usize = 12;
    let more = items.len().saturating_sub(SHOWN);
    let shown = items.take(SHOWN).collect::<Vec<_>>().join(", ");
    match more {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The beginning of a text from the file, as much as a message can take.
pub(super) fn shortened(text: &str) -> String {
    const SHOWN_CHARACTERS: usize = 200;
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
