//! `lamplighter status`: how all jobs of the database are.

use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Invocation, look};
use crate::cli::StatusOptions;
use crate::error::{Class, Failure};
use crate::job::duration;
use crate::status::{JobStatus, status};

/// Exit code if a job is not well: something that should be published is not.
const NOT_WELL: u8 = 79;

/// How all jobs are, for programs.
#[derive(Serialize)]
struct AllJobs {
    ok: bool,
    now: String,
    since: String,
    jobs: Vec<JobStatus>,
}

/// Runs the command. Returns 79 if a job is not well.
///
/// # Errors
/// There is no such job (64); the database's.
pub fn run(options: &StatusOptions, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    let window = duration(&options.since).ok_or_else(|| {
        Failure::new(
            Class::Usage,
            format!("--since {:?}: expected a duration", options.since),
        )
        .hint("such as 24h, 90m or 7d")
    })?;
    let all = look(invocation, |ledger| {
        let now = ledger.now()?;
        let since = now
            .checked_sub(SignedDuration::try_from(window)?)
            .unwrap_or(Timestamp::MIN);
        let jobs = status(ledger, options.job.as_deref(), since, now)?;
        Ok(AllJobs {
            ok: jobs.iter().all(|job| job.ok),
            now: now.to_string(),
            since: since.to_string(),
            jobs,
        })
    })?;
    if let (Some(job), true) = (&options.job, all.jobs.is_empty()) {
        return Err(Failure::new(
            Class::Usage,
            format!("the database knows no job {job}, or it is retired"),
        )
        .hint("`lamplighter status` lists those there are; --database names another database")
        .into());
    }
    invocation
        .terminal
        .print_either(&all, || table(&all.jobs))?;
    Ok(if all.ok { 0 } else { NOT_WELL })
}

fn table(jobs: &[JobStatus]) -> String {
    let mut text = format!(
        "{:<24} {:<11} {:<34} {:<13} {:<17} {}\n",
        "JOB", "STANDING", "LAST RUN", "PUBLISHED", "NEXT START", "NEXT FINISH"
    );
    for job in jobs {
        let last_run = job.last_run.as_ref().map_or("-", |run| &run.run);
        let minute = |time: &Option<String>| {
            let time = time.as_deref().unwrap_or("-");
            time.get(..16).unwrap_or(time).replace('T', " ")
        };
        // Writing to a String can not fail.
        let _ = writeln!(
            text,
            "{:<24} {:<11} {:<34} {:<13} {:<17} {}",
            job.job,
            job.standing,
            last_run,
            job.published_date.as_deref().unwrap_or("-"),
            minute(&job.next_start),
            minute(&job.next_finish),
        );
        describe(job, &mut text);
    }
    let troubled = jobs.iter().filter(|job| !job.ok).count();
    let _ = match troubled {
        0 => writeln!(text, "all {} jobs are well (times are UTC)", jobs.len()),
        _ => writeln!(
            text,
            "{troubled} of {} jobs are NOT well (times are UTC)",
            jobs.len()
        ),
    };
    text
}

fn describe(job: &JobStatus, text: &mut String) {
    let late = job
        .due
        .as_ref()
        .and_then(|due| Some((due, due.late_seconds?)));
    if let Some((due, seconds)) = late {
        let _ = writeln!(
            text,
            "    {} {} min after its finish_by",
            due.date,
            (seconds + 59) / 60
        );
    }
    for trouble in &job.troubles {
        let code = trouble
            .exit_code
            .map_or_else(String::new, |code| format!(" (exit code {code})"));
        let run = trouble.run.as_deref();
        let way_out = match (trouble.standing, run) {
            ("withheld" | "failed", Some(run)) => format!("lamplighter report '{run}'"),
            ("stopped", Some(run)) => {
                format!("the next start continues it; lamplighter runs show '{run}'")
            }
            (_, Some(run)) => format!("lamplighter runs show '{run}'"),
            (_, None) => format!("lamplighter run JOB --date {}", trouble.date),
        };
        let _ = writeln!(
            text,
            "    {} {}{code}: {way_out}",
            trouble.date, trouble.standing
        );
    }
}
