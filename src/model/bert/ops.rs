//! Our kernels as operations of candle's, over candle's tensors.

use std::cell::RefCell;

use candle_core::{CpuStorage, CustomOp1, CustomOp3, InplaceOp1, Layout, Shape, Tensor, bail};

use crate::model::kernels::{
    Activation, EncoderLayer, Kernels, LayerNorm, PackedLinear, Scratch, mean_pool, normalize_rows,
};

thread_local! {
    /// Buffers of this worker: operations have none of their own, since all workers share them.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

fn with_scratch<T>(act: impl FnOnce(&mut Scratch) -> T) -> T {
    SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut scratch) => act(&mut scratch),
        // An operation within an operation, which there is none of.
        Err(_) => act(&mut Scratch::default()),
    })
}

/// Contiguous f32 numbers of a tensor.
fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(numbers), Some((start, end))) => Ok(&numbers[start..end]),
        _ => bail!("the operation takes contiguous f32"),
    }
}

/// Words, positions and types of tokens, added up and normalised: of the three tables
/// `[tokens, width]`.
pub(super) struct Embed<'a> {
    pub(super) kernels: Kernels,
    pub(super) ids: &'a [u32],
    pub(super) positions: &'a [u32],
    pub(super) types: &'a [u8],
    pub(super) norm: &'a LayerNorm,
}

impl CustomOp3 for Embed<'_> {
    fn name(&self) -> &'static str {
        "embed"
    }

    fn cpu_fwd(
        &self,
        words: &CpuStorage,
        words_layout: &Layout,
        positions: &CpuStorage,
        positions_layout: &Layout,
        types: &CpuStorage,
        types_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let width = words_layout.dims()[1];
        let words = floats(words, words_layout)?;
        let positions = floats(positions, positions_layout)?;
        let types = floats(types, types_layout)?;
        let row =
            |table: &'_ [f32], index: usize| match table.get(index * width..(index + 1) * width) {
                Some(_) => Ok(index * width),
                None => bail!("token, position or type {index} is beyond the model's tables"),
            };
        let mut hidden = Vec::with_capacity(self.ids.len() * width);
        for ((&id, &position), &kind) in self.ids.iter().zip(self.positions).zip(self.types) {
            let word = row(words, id as usize)?;
            let position = row(positions, position as usize)?;
            let kind = row(types, usize::from(kind))?;
            let parts = words[word..word + width]
                .iter()
                .zip(&positions[position..position + width])
                .zip(&types[kind..kind + width]);
            hidden.extend(parts.map(|((word, position), kind)| word + kind + position));
        }
        self.norm.forward(self.kernels, &mut hidden, None);
        Ok((
            CpuStorage::F32(hidden),
            Shape::from((self.ids.len(), width)),
        ))
    }
}

/// A layer of the encoder, in place over `[tokens, width]`.
pub(super) struct Encode<'a> {
    pub(super) layer: &'a EncoderLayer,
    pub(super) lengths: &'a [usize],
}

impl InplaceOp1 for Encode<'_> {
    fn name(&self) -> &'static str {
        "encoder-layer"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (CpuStorage::F32(hidden), Some((start, end))) = (storage, layout.contiguous_offsets())
        else {
            bail!("an encoder layer takes contiguous f32");
        };
        let hidden = &mut hidden[start..end];
        with_scratch(|scratch| self.layer.forward(hidden, self.lengths, scratch));
        Ok(())
    }
}

/// A linear layer and a function: `[rows, inputs]` to `[rows, outputs]`.
pub(super) struct Project<'a> {
    pub(super) linear: &'a PackedLinear,
    pub(super) activation: Option<Activation>,
}

impl CustomOp1 for Project<'_> {
    fn name(&self) -> &'static str {
        "packed-linear"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let rows = floats(storage, layout)?;
        let count = rows.len() / self.linear.inputs();
        let mut out = vec![0.0; count * self.linear.outputs()];
        with_scratch(|scratch| {
            self.linear
                .forward(rows, &mut out, self.activation, scratch);
        });
        let shape = Shape::from((count, self.linear.outputs()));
        Ok((CpuStorage::F32(out), shape))
    }
}

/// The mean of each text's tokens: `[tokens, width]` to `[texts, width]`.
pub(super) struct Mean<'a> {
    pub(super) kernels: Kernels,
    pub(super) lengths: &'a [usize],
}

impl CustomOp1 for Mean<'_> {
    fn name(&self) -> &'static str {
        "mean-of-texts"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let hidden = floats(storage, layout)?;
        let width = layout.dims()[1];
        let mut means = vec![0.0; self.lengths.len() * width];
        mean_pool(self.kernels, hidden, width, self.lengths, &mut means);
        let shape = Shape::from((self.lengths.len(), width));
        Ok((CpuStorage::F32(means), shape))
    }
}

/// Rows of length one, in place.
pub(super) struct Normalize {
    pub(super) kernels: Kernels,
}

impl InplaceOp1 for Normalize {
    fn name(&self) -> &'static str {
        "normalize-rows"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (CpuStorage::F32(rows), Some((start, end))) = (storage, layout.contiguous_offsets())
        else {
            bail!("rows to normalize are contiguous f32");
        };
        normalize_rows(self.kernels, &mut rows[start..end], layout.dims()[1]);
        Ok(())
    }
}

/// Contiguous numbers of a tensor of f32, for whoever packs them.
pub(super) fn numbers(tensor: &Tensor) -> candle_core::Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}
