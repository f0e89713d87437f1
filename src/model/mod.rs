//! Models: bundles on disk, their weights, and the forward pass.
//!
//! [`bundle`] reads a bundle's files once, hashes the very bytes it then loads, and refuses
//! whatever `model.toml` does not account for. [`mlp`], [`bert`] and [`two_tower`] are the architectures,
//! [`network`] is any of them. [`outputs`] turns what a network gives into labels, scores, values and vectors.
//! [`kernels`] are the products that processors are good at, `ops` makes them operations of candle's,
//! and [`numerics`] decides which of them this host computes with. [`untrained`] writes weights that are zeros.
//! [`vectors`] is what a bundle expects of itself.

pub mod bert;
pub mod bundle;
pub mod kernels;
pub mod mlp;
pub mod network;
pub mod numerics;
mod ops;
pub mod outputs;
pub mod two_tower;
pub mod untrained;
pub mod vectors;
pub mod weights;

pub use bert::Bert;
pub use bundle::{Bundle, Task};
pub use kernels::Activation;
pub use mlp::Mlp;
pub use network::{Capacity, Network, NetworkOutput};
pub use outputs::Head;
pub use two_tower::TwoTower;
pub use vectors::TestVectors;
