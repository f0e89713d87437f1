//! How products are computed: on one thread, and by which instruction set.
//!
//! Parallelism is over shards. Were a matrix product to spread over threads as well, workers would
//! fight for cores; so candle's matrix products are confined to the thread that asks for them,
//! here and nowhere else.
//!
//! The instruction set is part of a run's identity: a fused multiply-add and a separate multiply
//! and add round differently. It is stored with the run, and a host that lacks it does not join.

use super::kernels::{InstructionSet, Kernels, Precision};
use crate::error::Failure;
use crate::job;

/// Confines matrix products to the calling thread. To be called once, before any product.
pub fn confine_products_to_their_thread() {
    gemm::set_threading_threshold(usize::MAX);
}

/// Name of the instruction set that candle's matrix products use on this host.
pub fn path() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return "avx512";
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return "avx2";
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        return "neon";
    }
    #[allow(
        unreachable_code,
        reason = "the only path on processors without the above"
    )]
    "portable"
}

/// Names the instruction set to compute with, instead of the best that there is.
const VARIABLE: &str = "LAMPLIGHTER_NUMERICS";

/// What this host computes encoders with.
///
/// # Errors
/// `LAMPLIGHTER_NUMERICS` names an instruction set that there is not, or that this processor lacks; or
/// it lacks what the precision needs (78).
pub fn kernels(precision: job::Precision) -> Result<Kernels, Failure> {
    let precision = match precision {
        job::Precision::F32 => Precision::F32,
        job::Precision::Bf16 => Precision::Bf16,
    };
    let forced = forced()?;
    let set = forced.unwrap_or_else(InstructionSet::best);
    if let Some(kernels) = Kernels::new(set, precision) {
        return Ok(kernels);
    }
    let set = set.as_str();
    Err(match (forced, precision) {
        (Some(_), Precision::F32) => {
            Failure::config(format!("{VARIABLE} is {set}, which this processor lacks"))
                .hint("leave it unset: the best instruction set that there is serves")
        }
        (_, Precision::F32) => Failure::internal(format!("no kernels for {set}")),
        (_, Precision::Bf16) => Failure::config(format!(
            "[model] precision = \"bf16\" needs a processor with AVX512-BF16, and {set} has none"
        ))
        .hint(format!(
            "precision = \"f32\" runs everywhere; {VARIABLE}=portable computes the same as bf16, slowly"
        )),
    })
}

fn forced() -> Result<Option<InstructionSet>, Failure> {
    let Some(written) = std::env::var_os(VARIABLE) else {
        return Ok(None);
    };
    let found = InstructionSet::ALL
        .into_iter()
        .find(|set| written == set.as_str());
    found.map(Some).ok_or_else(|| {
        let known = InstructionSet::ALL.map(InstructionSet::as_str).join(", ");
        Failure::config(format!("{VARIABLE} is {written:?}")).hint(format!("it may be {known}"))
    })
}
