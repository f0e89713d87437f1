//! How long a job's things are kept, complete and checked.

use std::time::Duration;

use super::places::Places;
use super::spec::RetentionSection;
use crate::error::Failure;

/// How long things are kept. `None`: for ever.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Rows of completed runs stay in the queue so long; zero: not at all.
    pub queue: Duration,
    /// Runs that consumers do not see, after their end.
    pub runs: Option<Duration>,
    /// So many of the newest runs stay, however old.
    pub keep_runs: u64,
    /// Dead letters, after the end of their run.
    pub dead_letters: Option<Duration>,
    /// Profiles, after the end of their run.
    pub profiles: Option<Duration>,
    /// Reports, after the end of their run.
    pub reports: Option<Duration>,
}

pub(super) fn resolve(written: &RetentionSection, places: &Places) -> Result<Retention, Failure> {
    if written.keep_runs > 0 && written.runs.is_none() {
        let problem = "spares runs from [retention] runs, which is not there";
        return Err(places
            .failure("retention", "keep_runs", problem)
            .hint("runs = \"90d\" prunes runs that ended longer ago"));
    }
    Ok(Retention {
        queue: written.queue,
        runs: written.runs,
        keep_runs: written.keep_runs,
        dead_letters: written.dead_letters,
        profiles: written.profiles,
        reports: written.reports,
    })
}
