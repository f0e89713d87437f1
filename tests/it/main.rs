//! Lamplighter from outside: the real binary, real files, a real database.
//!
//! One binary, so that the dependencies are linked once. Each module says what belongs in it.

mod harness;
/// The fixtures against PyTorch's own predictions: what `make smoke` runs.
mod smoke;
