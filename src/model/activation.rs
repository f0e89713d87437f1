//! The functions between layers, as PyTorch defines them.
//!
//! candle's own `tanh` and `silu` go through the host's C library, whose last bit differs between
//! versions and processors, and its `relu` turns NaN into 0, which would publish a number that no
//! model gave. These do neither: a NaN stays one, and ends as a dead letter.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor, bail};
use serde::Deserialize;

/// The function between layers.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// max(0, x)
    Relu,
    /// x · Φ(x), exact (by erf)
    Gelu,
    /// tanh(x)
    Tanh,
    /// x · sigmoid(x)
    Silu,
}

impl Activation {
    /// Applies the function to each element.
    ///
    /// # Errors
    /// If the tensor is not of f32.
    pub fn forward(self, input: &Tensor) -> candle_core::Result<Tensor> {
        input.contiguous()?.apply_op1_no_bwd(&self)
    }
}

impl CustomOp1 for Activation {
    fn name(&self) -> &'static str {
        "activation"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets())
        else {
            bail!("an activation takes contiguous f32");
        };
        let values = &values[start..end];
        // The choice stands outside the loops, so that the simple ones vectorise.
        let results: Vec<f32> = match self {
            Activation::Relu => values.iter().map(|&x| relu(x)).collect(),
            Activation::Gelu => values.iter().map(|&x| gelu(x)).collect(),
            Activation::Tanh => values.iter().map(|&x| libm::tanhf(x)).collect(),
            Activation::Silu => values.iter().map(|&x| x / (1.0 + libm::expf(-x))).collect(),
        };
        Ok((CpuStorage::F32(results), layout.shape().clone()))
    }
}

fn relu(x: f32) -> f32 {
    if x <= 0.0 { 0.0 } else { x }
}

fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2))
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    const ALL: [Activation; 4] = [
        Activation::Relu,
        Activation::Gelu,
        Activation::Tanh,
        Activation::Silu,
    ];

    fn apply(activation: Activation, values: &[f32]) -> Vec<f32> {
        let input = Tensor::new(values, &Device::Cpu).unwrap();
        activation.forward(&input).unwrap().to_vec1().unwrap()
    }

    /// Values of torch.nn.functional at these points, PyTorch 2.
    #[test]
    fn they_are_pytorchs() {
        let expected = [
            [0.0, 0.0, 0.0, 1.5],
            [-0.045_500_264, -0.154_268_8, 0.0, 1.399_789_2],
            [-0.964_027_6, -0.462_117_17, 0.0, 0.905_148_27],
            [-0.238_405_84, -0.188_770_33, 0.0, 1.226_361_6],
        ];
        for (activation, expected) in ALL.into_iter().zip(expected) {
            for (found, expected) in apply(activation, &[-2.0, -0.5, 0.0, 1.5])
                .into_iter()
                .zip(expected)
            {
                assert!(
                    (found - expected).abs() < 1e-6,
                    "{activation:?}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn a_nan_stays_one() {
        for activation in ALL {
            assert!(apply(activation, &[f32::NAN])[0].is_nan(), "{activation:?}");
        }
    }
}
