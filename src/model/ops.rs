//! Our kernels as operations of candle's, over candle's tensors: what more than one architecture takes.

use std::cell::RefCell;

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor, bail};

use super::kernels::{Activation, PackedLinear, Scratch};

thread_local! {
    /// Buffers of this worker: operations have none of their own, since all workers share them.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Lends this thread's buffers.
pub(super) fn with_scratch<T>(act: impl FnOnce(&mut Scratch) -> T) -> T {
    SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut scratch) => act(&mut scratch),
        // An operation within an operation, which there is none of.
        Err(_) => act(&mut Scratch::default()),
    })
}

/// Contiguous f32 numbers of a tensor.
pub(super) fn floats<'a>(
    storage: &'a CpuStorage,
    layout: &Layout,
) -> candle_core::Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(numbers), Some((start, end))) => Ok(&numbers[start..end]),
        _ => bail!("the operation takes contiguous f32"),
    }
}

/// Numbers of a tensor of f32, row-major.
pub(super) fn numbers(tensor: &Tensor) -> candle_core::Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
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
        if layout.dims().last() != Some(&self.linear.inputs()) {
            bail!(
                "a layer of {} inputs was given {:?}",
                self.linear.inputs(),
                layout.dims()
            );
        }
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
