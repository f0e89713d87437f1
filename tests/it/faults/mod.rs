//! Whatever fails, nothing is lost, nothing is there twice, no bit differs, and exit codes are true.
//!
//! Each fault is a function that makes it happen so often and counts what it did to a night. Tests
//! call it with few tries, `make chaos` with many.

/// Clocks that are wrong.
pub mod clocks;
/// Transactions that meet others.
pub mod conflicts;
/// What goes away and comes back.
pub mod connections;
/// Disks without room, and files that may not be written.
pub mod full;
/// `kill -9` at any moment.
pub mod killed;
/// The judge is judged.
mod oracle;
/// Networks that swallow what is sent.
pub mod silence;
/// A kill or an error at the N-th system call.
pub mod syscalls;
/// Eight starts at once.
pub mod together;
