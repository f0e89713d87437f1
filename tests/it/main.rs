//! Lamplighter from outside: the real binary, real files, a real database.
//!
//! One binary, so that the dependencies are linked once. Each module says what belongs in it.

/// Rooms, homes and lengths.
mod architecture;
/// Bad input of every kind: refused or set aside, and never visible.
mod bad_input;
/// Exit codes, help, streams, locks.
mod command_line;
mod harness;
/// `kill -9` and restart.
mod kill;
/// Law 4, as properties.
mod same_bits;
/// The fixtures against PyTorch's own predictions: what `make smoke` runs.
mod smoke;
/// `runs verify` against rows changed by hand.
mod verify;
