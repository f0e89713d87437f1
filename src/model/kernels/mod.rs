//! The arithmetic of a packed transformer encoder on CPUs.
//!
//! Invariants:
//!
//! - Every number is computed in one order of operations, which depends on the model and on the text
//!   that the number belongs to: not on the texts beside it, on where it stands, or on how rows are
//!   blocked. A product adds its terms one by one, each by a fused multiply-add.
//! - All instruction sets do the same operations in the same order, sixteen numbers at a time: as one
//!   vector of AVX-512, as two of AVX2, or one after the other. So all of them give the same bits, and
//!   so does bf16, whose dot products the portable path imitates.
//! - Weights are packed once, for one instruction set and one precision, and shared by all workers.
//!
//! `unsafe` code of the whole program is here: intrinsics, and pointers into slices whose lengths the
//! safe functions around them have checked. [`Vector`](vector::Vector) is what an instruction set has to
//! give; the portable one is its plain twin, and tests hold the others to it bit by bit.

#![allow(
    unsafe_code,
    reason = "what processors are good at is reached through intrinsics; each block says why it is sound"
)]

mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod brain_float;
mod functions;
mod layer;
mod linear;
mod portable;
mod rows;
#[cfg(test)]
mod tests;
mod vector;

pub use functions::Activation;
pub use layer::{EncoderLayer, EncoderLayerWeights};
pub use linear::PackedLinear;
pub use rows::{LayerNorm, mean_pool, normalize_rows};

use vector::Operation;

/// An instruction set that the kernels are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// AVX-512.
    Avx512,
    /// AVX2 with fused multiply-add.
    Avx2,
    /// Whatever the compiler makes of plain code.
    Portable,
}

impl InstructionSet {
    /// All of them, the fastest first.
    pub const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Portable];

    /// The fastest that this processor has.
    pub fn best() -> Self {
        let supported = Self::ALL.into_iter().find(|set| set.is_supported());
        supported.unwrap_or(Self::Portable)
    }

    /// Whether this processor has it.
    pub fn is_supported(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx512 | Self::Avx2 => false,
            Self::Portable => true,
        }
    }

    /// Its name, as runs store it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }
}

/// What numbers products are made of. They are added up in f32 either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// Both factors rounded to bf16, the upper half of an f32.
    Bf16,
}

/// What computes: products of a precision, by an instruction set that this processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernels {
    set: InstructionSet,
    precision: Precision,
}

impl Kernels {
    /// `None` if this processor lacks what it takes: the instruction set, or of AVX-512 the dot
    /// products of bf16. There is no bf16 on AVX2.
    pub fn new(set: InstructionSet, precision: Precision) -> Option<Self> {
        let has_products = match (set, precision) {
            (_, Precision::F32) | (InstructionSet::Portable, Precision::Bf16) => true,
            #[cfg(target_arch = "x86_64")]
            (InstructionSet::Avx512, Precision::Bf16) => is_x86_feature_detected!("avx512bf16"),
            (_, Precision::Bf16) => false,
        };
        (set.is_supported() && has_products).then_some(Self { set, precision })
    }

    /// The instruction set.
    pub fn instruction_set(self) -> InstructionSet {
        self.set
    }

    /// The precision.
    pub fn precision(self) -> Precision {
        self.precision
    }

    /// Runs an operation with this instruction set.
    fn run<O: Operation>(self, operation: O) -> O::Output {
        match self.set {
            // SAFETY: `new` has found that this processor has the instruction set.
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => unsafe { avx512::run(operation) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => unsafe { avx2::run(operation) },
            // SAFETY: it takes nothing.
            _ => unsafe { operation.run::<portable::Portable>() },
        }
    }
}

/// Buffers that a worker reuses from batch to batch.
#[derive(Default)]
pub struct Scratch {
    queries: Vec<f32>,
    attended: Vec<f32>,
    projected: Vec<f32>,
    intermediate: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    scores: Vec<f32>,
    halves: Vec<u32>,
}

/// The first `length` numbers of a buffer, which grows if it has to.
fn room<T: Copy + Default>(buffer: &mut Vec<T>, length: usize) -> &mut [T] {
    if buffer.len() < length {
        buffer.resize(length, T::default());
    }
    &mut buffer[..length]
}
