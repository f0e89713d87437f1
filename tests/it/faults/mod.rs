//! Whatever fails, nothing is lost, nothing is there twice, no bit differs, and exit codes are true.
//!
//! Each fault is a function that makes it happen so often and counts what it did to a night. Tests
//! call it with few tries, `make chaos` with many.

/// `kill -9` at any moment.
pub mod killed;
/// A kill or an error at the N-th system call.
pub mod syscalls;
