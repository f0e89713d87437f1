//! The child: scores what it is asked for, until nobody asks any more.

use std::io::{BufRead, Write};
use std::sync::Arc;

use anyhow::Context;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;

use super::message::{Answer, Failed, Part, Question};
use crate::error::Failure;
use crate::run::Prepared;
use crate::run::worker::{Orders, Worker};

/// Less than this and no model could be loaded.
const SMALLEST_MEMORY_BYTES: u64 = 512 << 20;

/// Ties this process to its parent's life, and confines it to `memory_bytes`: what asks for more must
/// be told apart from what the system ends, parent and all, when memory is short.
///
/// # Errors
/// The system refuses.
pub fn confine(memory_bytes: u64) -> anyhow::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("cannot follow the parent")?;
    let memory = memory_bytes.max(SMALLEST_MEMORY_BYTES);
    for (resource, limit) in [(Resource::RLIMIT_DATA, memory), (Resource::RLIMIT_CORE, 0)] {
        let (soft, hard) = getrlimit(resource).context("cannot read a limit")?;
        setrlimit(resource, soft.min(limit), hard).context("cannot set a limit")?;
    }
    Ok(())
}

/// Scores the parts of shards that `questions` asks for, and writes what came of each to `answers`.
///
/// # Errors
/// A question is none (70); the parent can not be talked to (74).
pub fn serve(
    prepared: Arc<Prepared>,
    chunk_rows: usize,
    questions: impl BufRead,
    mut answers: impl Write,
) -> anyhow::Result<()> {
    let mut worker = Worker::new(prepared, chunk_rows, Arc::new(Orders::default()));
    let mut say = |answer: &Answer| {
        let line = serde_json::to_string(answer)?;
        writeln!(answers, "{line}")
            .and_then(|()| answers.flush())
            .context("cannot answer the parent")
    };
    say(&Answer::Ready)?;
    for line in questions.lines() {
        let line = line.context("cannot hear the parent")?;
        let Question { slice, one_in } = serde_json::from_str(&line)?;
        let answer = match worker.score(&slice, one_in) {
            Ok(Some(results)) => Answer::Scored(Box::new(Part::of(results))),
            Ok(None) => return Err(Failure::internal("nobody told a child to stop").into()),
            Err(error) => Answer::Failed(Failed::of(&error)),
        };
        say(&answer)?;
    }
    Ok(())
}
