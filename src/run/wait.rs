//! Waiting for input that comes late. Nothing is locked meanwhile.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::error::{Class, Failure};
use crate::interrupt::Interrupt;
use crate::job::{Job, LogicalDate};

/// How often to look. There is no event to wait for: the file may be on a network file system.
const INTERVAL: Duration = Duration::from_secs(1);

/// Waits until the job's input for `date` is announced as complete, at most for its `wait`.
///
/// # Errors
/// It is not, or to stop is requested (75): a later start may find it.
pub fn wait(job: &Job, date: LogicalDate, interrupt: &Interrupt) -> anyhow::Result<()> {
    match &job.source.wait_for {
        None => Ok(()),
        Some(marker) => wait_for(Path::new(&date.expand(marker)?), job.source.wait, interrupt),
    }
}

/// The file that is to announce the job's input for `date` as complete, if it is not there.
///
/// # Errors
/// Nobody can look for it.
pub fn missing_marker(job: &Job, date: LogicalDate) -> anyhow::Result<Option<PathBuf>> {
    let Some(marker) = &job.source.wait_for else {
        return Ok(None);
    };
    let marker = PathBuf::from(date.expand(marker)?);
    Ok((!exists(&marker)?).then_some(marker))
}

fn exists(path: &Path) -> anyhow::Result<bool> {
    path.try_exists()
        .with_context(|| format!("cannot look for {}", path.display()))
}

fn wait_for(path: &Path, patience: Duration, interrupt: &Interrupt) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut announced = false;
    while !exists(path)? {
        interrupt.check()?;
        let left = patience.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(Failure::new(
                Class::Temporary,
                format!("{} is not there yet", path.display()),
            )
            .hint("start again later, or raise [source] wait")
            .into());
        }
        if !announced {
            tracing::info!(path = %path.display(), patience_seconds = patience.as_secs(), "waiting for input");
            announced = true;
        }
        thread::sleep(INTERVAL.min(left));
    }
    Ok(())
}
