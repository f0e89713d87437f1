//! The kernels of encoders as operations of candle's, over candle's tensors.

use candle_core::{CpuStorage, CustomOp1, CustomOp3, InplaceOp1, Layout, Shape, bail};

use crate::model::kernels::{EncoderLayer, Kernels, LayerNorm, mean_pool, normalize_rows};
use crate::model::ops::{floats, with_scratch};

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
