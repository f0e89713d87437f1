//! What the processor could do at best, for benchmarks to compare with.

use super::lanes::{LANES, Lanes};
use super::{Kernels, Operation, Precision};

/// Sums that are independent of each other: enough to hide the latency of an addition.
const SUMS: usize = 12;

/// Multiplies and adds `rounds` times in registers alone; gives the floating-point operations done.
pub fn multiply_in_registers(kernels: Kernels, rounds: usize) -> f64 {
    let mut flops = 0.0;
    kernels.run(InRegisters {
        precision: kernels.precision,
        rounds,
        flops: &mut flops,
    });
    flops
}

struct InRegisters<'a> {
    precision: Precision,
    rounds: usize,
    flops: &'a mut f64,
}

impl Operation for InRegisters<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        // Opaque, or the compiler would do the sums itself.
        let factor = std::hint::black_box(0.5f32);
        let pairs = std::hint::black_box([0x3f00_3f00u32; LANES]);
        let mut sums = [l.splat(1.0); SUMS];
        for _ in 0..self.rounds {
            for sum in &mut sums {
                *sum = match self.precision {
                    Precision::F32 => l.mul_add(*sum, l.splat(factor), l.splat(factor)),
                    // SAFETY: sixteen pairs, and the kernels compute bf16.
                    Precision::Bf16 => unsafe { l.dot_bf16(*sum, pairs[0], pairs.as_ptr()) },
                };
            }
        }
        let total: f32 = sums.into_iter().map(|sum| l.sum(sum)).sum();
        std::hint::black_box(total);
        let products = match self.precision {
            Precision::F32 => 1,
            Precision::Bf16 => 2,
        };
        *self.flops = (2 * products * SUMS * LANES * self.rounds) as f64;
    }
}
