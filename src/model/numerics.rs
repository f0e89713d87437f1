//! Which instruction set this host computes with.
//!
//! It is part of a run's identity: it is stored with the run, and a host that computes by another does
//! not join.

use super::kernels::{InstructionSet, Kernels, Precision};
use crate::error::Failure;
use crate::job;

/// Names the instruction set to compute with, instead of the best that there is.
const VARIABLE: &str = "LAMPLIGHTER_NUMERICS";

/// The instruction set that this host computes with: the best that it has, or the one that is forced.
///
/// # Errors
/// `LAMPLIGHTER_NUMERICS` names an instruction set that there is not (78).
pub fn instruction_set() -> Result<InstructionSet, Failure> {
    Ok(forced()?.unwrap_or_else(InstructionSet::best))
}

/// What this host computes with.
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
