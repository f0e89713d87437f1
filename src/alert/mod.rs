//! Rules that tell somebody of a run: what they look at, and how people are told.
//!
//! Rules are judged when a run ends ([`judge()`]). Those that hold are written into the ledger's outbox in the
//! transaction that finishes the run, one row for each rule and way of telling, so that a resume never tells
//! twice. They are delivered afterwards ([`mod@deliver`]), and by the next start if that failed: a receiver that
//! is down costs no run.
//!
//! What is delivered twice all the same, because a process was killed after the receiver had taken it and
//! before that was noted, has the same id both times.

pub mod deliver;
mod exec;
mod figures;
pub mod judge;
pub mod message;
pub mod outbound;
mod webhook;

pub use deliver::{Effort, deliver_pending, readiness, send_test};
pub use judge::{check_rules, judge, judge_evaluation, judge_unfinished};
pub use message::{Message, owing};
