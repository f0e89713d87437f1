//! Models: bundles on disk, their weights, and the forward pass.
//!
//! [`bundle`] reads a bundle's files once, hashes the very bytes it then loads, and refuses
//! whatever `model.toml` does not account for. [`mlp`] is the one architecture so far. [`outputs`]
//! turns logits into labels, scores and values. [`untrained`] writes weights that are zeros.
//! [`numerics`] decides how many threads a product may use (one) and names the instruction set that
//! the bits depend on. [`vectors`] is what a bundle expects of itself.

pub mod activation;
pub mod bundle;
pub mod mlp;
pub mod numerics;
pub mod outputs;
pub mod untrained;
pub mod vectors;
pub mod weights;

pub use activation::Activation;
pub use bundle::{Bundle, Task};
pub use mlp::Mlp;
pub use outputs::Head;
pub use vectors::TestVectors;
