//! What the ledger knows of jobs and their dates.

use super::read::run;
use super::{Ledger, Run};

/// A job that the ledger has heard of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownJob {
    /// Its name.
    pub name: String,
    /// Its `[schedule]`, as text, if a start of it has told.
    pub schedule: Option<String>,
    /// Whether it is retired.
    pub is_retired: bool,
}

/// What a date came to.
#[derive(Clone, Debug)]
pub struct NewestAndPublished {
    /// The newest run: no trial, no retry, not given up.
    pub newest: Option<Run>,
    /// The run that consumers see.
    pub published: Option<Run>,
}

impl Ledger {
    /// Notes when a job is to run, and takes it out of retirement.
    ///
    /// # Errors
    /// The database's, here and below.
    pub fn keep_job(&mut self, job: &str, schedule: &str) -> anyhow::Result<()> {
        let values = [job.into(), schedule.into()];
        self.change(statement!("keep_job"), &values, "cannot note the schedule")?;
        Ok(())
    }

    /// Notes when a job is to run, if nothing is known of it yet.
    pub fn note_job(&mut self, job: &str, schedule: &str) -> anyhow::Result<()> {
        let values = [job.into(), schedule.into()];
        self.change(statement!("note_job"), &values, "cannot note the schedule")?;
        Ok(())
    }

    /// From now on nothing is expected of a job. Returns false if nothing was.
    pub fn retire_job(&mut self, job: &str) -> anyhow::Result<bool> {
        let values = [job.into()];
        let changed = self.change(statement!("retire_job"), &values, "cannot retire a job")?;
        Ok(changed > 0)
    }

    /// All jobs, or the one of this name.
    pub fn jobs(&mut self, job: Option<&str>) -> anyhow::Result<Vec<KnownJob>> {
        self.read(statement!("list_jobs"), &[job.into()], |row| {
            Ok(KnownJob {
                name: row.get("job")?,
                schedule: row.get("schedule")?,
                is_retired: row.get::<Option<String>>("retired_at")?.is_some(),
            })
        })
    }

    /// A job's newest run that is no trial and no retry; a backfill's only if there is no other.
    pub fn newest_run_of_job(&mut self, job: &str) -> anyhow::Result<Option<Run>> {
        let found = self.read(statement!("newest_run_of_job"), &[job.into()], run)?;
        Ok(found.into_iter().next())
    }

    /// The newest run (no trial, no retry, not given up) of each date from `first` to `last`, by date.
    pub fn newest_runs_of_dates(
        &mut self,
        job: &str,
        first: &str,
        last: &str,
    ) -> anyhow::Result<Vec<Run>> {
        let values = [job.into(), first.into(), last.into()];
        self.read(statement!("newest_runs_of_dates"), &values, run)
    }

    /// What a date came to. To be called [at one moment](Self::at_one_moment).
    pub fn newest_and_published(
        &mut self,
        job: &str,
        date: &str,
    ) -> anyhow::Result<NewestAndPublished> {
        let newest = self.newest_runs_of_dates(job, date, date)?.pop();
        let published = match self.published_run(job, date)? {
            Some(run_id) => self.run(run_id)?,
            None => None,
        };
        Ok(NewestAndPublished { newest, published })
    }

    /// When consumers first saw predictions of a date, as far as runs are still known.
    pub fn first_completion(&mut self, job: &str, date: &str) -> anyhow::Result<Option<String>> {
        let values = [job.into(), date.into()];
        let found = self.read(statement!("first_completion"), &values, |row| {
            row.get("completed_at")
        })?;
        Ok(found.into_iter().next().flatten())
    }

    /// Dates from `first` to `last` that consumers see.
    pub fn published_dates(
        &mut self,
        job: &str,
        first: &str,
        last: &str,
    ) -> anyhow::Result<Vec<String>> {
        let values = [job.into(), first.into(), last.into()];
        self.read(statement!("published_dates"), &values, |row| {
            row.get("logical_date")
        })
    }

    /// The newest date of a job that consumers see.
    pub fn newest_published_date(&mut self, job: &str) -> anyhow::Result<Option<String>> {
        let statement = statement!("newest_published_date");
        let found = self.read(statement, &[job.into()], |row| row.get("logical_date"))?;
        Ok(found.into_iter().next().flatten())
    }

    /// A job's first date, whatever became of it, and even if its runs were pruned.
    pub fn first_date(&mut self, job: &str) -> anyhow::Result<Option<String>> {
        let found = self.read(statement!("first_date"), &[job.into()], |row| {
            row.get("logical_date")
        })?;
        Ok(found.into_iter().next().flatten())
    }

    /// Dates from `first` to `last` of which runs (no trials) were pruned.
    pub fn pruned_dates(
        &mut self,
        job: &str,
        first: &str,
        last: &str,
    ) -> anyhow::Result<Vec<String>> {
        let values = [job.into(), first.into(), last.into()];
        self.read(statement!("pruned_dates"), &values, |row| {
            row.get("logical_date")
        })
    }

    /// Dates of a job that processes are working on.
    pub fn dates_at_work(&mut self, job: &str) -> anyhow::Result<Vec<String>> {
        self.read(statement!("dates_at_work"), &[job.into()], |row| {
            row.get("logical_date")
        })
    }

    /// How long a job's newest published runs took, in seconds: a few, the newest first.
    pub fn recent_durations(&mut self, job: &str) -> anyhow::Result<Vec<f64>> {
        self.read(statement!("recent_durations"), &[job.into()], |row| {
            row.get("duration_seconds")
        })
    }

    /// Reports of a job's newest published runs, as JSON: a few, the newest first.
    pub fn recent_reports(&mut self, job: &str) -> anyhow::Result<Vec<String>> {
        self.read(statement!("recent_reports"), &[job.into()], |row| {
            row.get("report")
        })
    }
}
