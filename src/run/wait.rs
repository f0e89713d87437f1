//! Waiting for input that comes late.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Class, Failure};

/// How often to look. There is no event to wait for: the file may be on a network file system.
const INTERVAL: Duration = Duration::from_secs(1);

/// Waits until `path` exists, at most for `patience`.
///
/// # Errors
/// It does not (75): a later start may find it.
pub fn wait_for(path: &Path, patience: Duration) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut announced = false;
    while !path.exists() {
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
