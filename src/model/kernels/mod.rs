//! The arithmetic of a transformer encoder on CPUs, over tokens that stand packed: the rows of all
//! texts of a batch in one matrix, without padding.
//!
//! Three things hold, and the tests of this folder hold them:
//!
//! - A text's result has the same bits whatever stands beside it. Each element of a product is
//!   accumulated over the inputs in their order, however many rows there are and wherever they lie.
//! - All instruction sets give the same bits in f32. They share one source over [`lanes::Lanes`]:
//!   sixteen lanes, fused multiply-adds, sums of lanes added up in the same halves. In bf16 the
//!   portable twin imitates the processor's instructions.
//! - Input that is not finite gives output that is not finite, of its own text only.
//!
//! In bf16, linear layers round their inputs and weights to bf16 and sum in f32; attention, softmax,
//! LayerNorm and activations are f32 throughout.
//!
//! [`Kernels`] is what a caller chooses; it looks at the processor once. Each operation is
//! dispatched once, to a function that enables the instruction set and into which all the rest is
//! inlined.

#![allow(
    unsafe_code,
    reason = "what processors are good at is reached through intrinsics; each block says why it is sound"
)]

mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod buffer;
mod encoder;
mod functions;
mod lanes;
mod linear;
mod numbers;
mod peak;
mod portable;
mod product;
mod rows;
#[cfg(test)]
mod tests;

pub use encoder::{EncoderLayer, EncoderLayerWeights};
pub use functions::Activation;
pub use linear::PackedLinear;
pub use numbers::{Moments, count_numbers};
pub use peak::multiply_in_registers;
pub use rows::{LayerNorm, mean_pool, normalize_rows};

use buffer::Buffer;
use lanes::Lanes;

/// An instruction set that the kernels are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
    /// AVX2 with FMA.
    Avx2,
    /// Plain Rust, on every processor. Slow.
    Portable,
}

impl InstructionSet {
    /// From the fastest to the slowest.
    pub const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Portable];

    /// The fastest that this processor has.
    pub fn best() -> Self {
        Self::ALL
            .into_iter()
            .find(|set| set.is_supported())
            .unwrap_or(Self::Portable)
    }

    /// Whether this processor has it.
    pub fn is_supported(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Self::Portable => true,
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// Its name in ledgers and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }
}

/// What the products of linear layers are computed in. Sums are f32 in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Inputs and weights are f32.
    F32,
    /// Inputs and weights are rounded to bf16.
    Bf16,
}

/// What computes: products of one precision by one instruction set of this processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernels {
    set: InstructionSet,
    precision: Precision,
}

impl Kernels {
    /// None if this processor lacks it, or if it does not exist: bf16 by AVX2.
    pub fn new(set: InstructionSet, precision: Precision) -> Option<Self> {
        let computes = match (set, precision) {
            (_, Precision::F32) | (InstructionSet::Portable, _) => true,
            #[cfg(target_arch = "x86_64")]
            (InstructionSet::Avx512, Precision::Bf16) => is_x86_feature_detected!("avx512bf16"),
            _ => false,
        };
        (set.is_supported() && computes).then_some(Self { set, precision })
    }

    /// In f32 by the fastest instruction set that this processor has.
    pub fn best() -> Self {
        Self {
            set: InstructionSet::best(),
            precision: Precision::F32,
        }
    }

    /// The instruction set.
    pub fn instruction_set(self) -> InstructionSet {
        self.set
    }

    /// The precision of products.
    pub fn precision(self) -> Precision {
        self.precision
    }

    /// Vectors across a panel of packed weights.
    fn panel(self) -> usize {
        match self.set {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => avx512::Avx512::PANEL,
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => avx2::Avx2::PANEL,
            _ => portable::Portable::PANEL,
        }
    }

    /// Runs an operation by this instruction set.
    fn run(self, operation: impl Operation) {
        match self.set {
            // SAFETY: `new` found what these functions enable, and nothing else makes a Kernels.
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => match self.precision {
                Precision::F32 => unsafe { by_avx512(operation) },
                Precision::Bf16 => unsafe { by_avx512_bf16(operation) },
            },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => unsafe { by_avx2(operation) },
            _ => operation.run(portable::Portable),
        }
    }
}

/// Something to be compiled for each instruction set. `run` must be inlined always.
trait Operation {
    fn run<L: Lanes>(self, lanes: L);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn by_avx512(operation: impl Operation) {
    // SAFETY: the caller has what this function enables.
    operation.run(unsafe { avx512::Avx512::assume() });
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
fn by_avx512_bf16(operation: impl Operation) {
    // SAFETY: the caller has what this function enables.
    operation.run(unsafe { avx512::Avx512::assume() });
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn by_avx2(operation: impl Operation) {
    // SAFETY: the caller has what this function enables.
    operation.run(unsafe { avx2::Avx2::assume() });
}

/// Buffers that a worker reuses from batch to batch. They only grow.
#[derive(Default)]
pub struct Scratch {
    /// Inputs of a linear layer, in bf16.
    inputs: Buffer,
    /// Queries, keys and values of some texts.
    projected: Buffer,
    /// Keys of one head, transposed.
    keys: Buffer,
    /// Scores of some queries.
    scores: Buffer,
    /// What attention gives, of some texts.
    context: Buffer,
    /// The widened rows of the feed-forward part.
    intermediate: Buffer,
    /// Rows before their residual is added.
    narrowed: Buffer,
}
