//! How products are computed: on one thread, and by which instruction set.
//!
//! Parallelism is over shards. Were a matrix product to spread over threads as well, workers would
//! fight for cores; so candle's matrix products are confined to the thread that asks for them,
//! here and nowhere else.
//!
//! The instruction set is part of a run's identity: a fused multiply-add and a separate multiply
//! and add round differently. It is stored with the run, and a host that lacks it does not join.

/// Confines matrix products to the calling thread. To be called once, before any product.
pub fn confine_products_to_their_thread() {
    gemm::set_threading_threshold(usize::MAX);
}

/// Name of the instruction set that matrix products use on this host.
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
