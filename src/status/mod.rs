//! How all jobs of a database are: what became of the dates that were due, and what comes next.
//!
//! A job whose last start told of a crontab (`[schedule] cron`) is judged by the dates that were due:
//! each must be published, or under way in time. Of other jobs the newest run is judged alone.

pub mod missing;

use jiff::{SignedDuration, Timestamp};
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde::Serialize;

use crate::database::sqlite::has_writer;
use crate::error::Failure;
use crate::job::{Due, Schedule};
use crate::ledger::{Attempt, KnownJob, Ledger, Publication, Run, State};
use crate::report::resources::host_name;

/// A scheduler may be so late with a start before it counts as missed.
const START_TOLERANCE: SignedDuration = SignedDuration::from_mins(15);

/// How a job is.
#[derive(Debug, Serialize)]
pub struct JobStatus {
    /// Which.
    pub job: String,
    /// Whether nobody need look after it.
    pub ok: bool,
    /// In a word or two: `published`, `due`, `running`, `late`, `not begun`, `stopped`, `withheld`, `failed`,
    /// `no runs`.
    pub standing: &'static str,
    /// Its newest run that is no trial and no retry; a backfill's only if there is no other.
    pub last_run: Option<LastRun>,
    /// The newest date that consumers see.
    pub published_date: Option<String>,
    /// What was due last, by its crontab.
    pub due: Option<DueDate>,
    /// Dates that were due and are not well, the oldest first.
    pub troubles: Vec<Trouble>,
    /// The crontab, as its last start told it.
    pub cron: Option<String>,
    /// Its next start by that.
    pub next_start: Option<String>,
    /// When it will probably be finished: the run that is under way, else the next one.
    pub next_finish: Option<String>,
}

/// A run, in short.
#[derive(Debug, Serialize)]
pub struct LastRun {
    /// `job@date#generation`.
    pub run: String,
    /// How execution went.
    pub state: State,
    /// Whether consumers see it.
    pub publication: Publication,
    /// When it was planned.
    pub created_at: String,
    /// When it was finished.
    pub completed_at: Option<String>,
    /// Exit code of the process that finished it.
    pub exit_code: Option<i64>,
    /// Its records.
    pub planned: i64,
    /// Records of completed shards.
    pub done: u64,
}

/// A date that was due.
#[derive(Debug, Serialize)]
pub struct DueDate {
    /// Which.
    pub date: String,
    /// Its first start.
    pub starts_at: String,
    /// When it was to be finished.
    pub finish_by: Option<String>,
    /// By how much it missed that, in seconds: until it was published, or until now.
    pub late_seconds: Option<i64>,
}

/// A date that is not well.
#[derive(Debug, Serialize)]
pub struct Trouble {
    /// Which.
    pub date: String,
    /// As of a [`JobStatus`].
    pub standing: &'static str,
    /// Its run, if it has one.
    pub run: Option<String>,
    /// Exit code of the last process that worked on it.
    pub exit_code: Option<i64>,
}

/// How each job is, or the one of this name. Dates that were due since then are judged, and the last
/// one whenever it was. Retired jobs are left out.
///
/// # Errors
/// The database's.
pub fn status(
    ledger: &mut Ledger,
    job: Option<&str>,
    since: Timestamp,
    now: Timestamp,
) -> anyhow::Result<Vec<JobStatus>> {
    let mut jobs = ledger.jobs(job)?;
    jobs.retain(|known| !known.is_retired);
    jobs.iter()
        .map(|known| judge(ledger, known, since, now))
        .collect()
}

/// What became of one date.
struct Judged {
    standing: &'static str,
    ok: bool,
    run: Option<Run>,
    exit_code: Option<i64>,
}

fn judge(
    ledger: &mut Ledger,
    known: &KnownJob,
    since: Timestamp,
    now: Timestamp,
) -> anyhow::Result<JobStatus> {
    let schedule = known.schedule.as_deref().and_then(Schedule::from_json);
    let newest = ledger.newest_run_of_job(&known.name)?;
    let last_due = schedule
        .as_ref()
        .and_then(|schedule| schedule.last_due(now));
    let mut dues = match &schedule {
        Some(schedule) => schedule.due_between(since, now),
        None => Vec::new(),
    };
    if let Some(last) = last_due
        && dues.iter().all(|due| due.date != last.date)
    {
        dues.insert(0, last);
    }
    // Nothing was due before there was anything of the job.
    match ledger.first_date(&known.name)? {
        Some(first) => dues.retain(|due| due.date.to_string() >= first),
        None => dues.retain(|due| last_due.is_some_and(|last| last.date == due.date)),
    }
    let last_due = last_due.filter(|last| dues.iter().any(|due| due.date == last.date));
    let mut troubles = Vec::new();
    let mut judged_last = None;
    for due in &dues {
        let judged = judge_due(ledger, &known.name, due, now)?;
        if !judged.ok {
            troubles.push(Trouble {
                date: due.date.to_string(),
                standing: judged.standing,
                run: judged.run.as_ref().map(|run| run.name().to_string()),
                exit_code: judged.exit_code,
            });
        }
        if last_due.is_some_and(|last| last.date == due.date) {
            judged_last = Some(judged);
        }
    }
    let judged = match (judged_last, &newest) {
        (Some(judged), _) => judged,
        (None, Some(run)) => {
            let judged = judge_run(ledger, run.clone())?;
            if !judged.ok {
                troubles.push(Trouble {
                    date: run.logical_date.clone(),
                    standing: judged.standing,
                    run: Some(run.name().to_string()),
                    exit_code: judged.exit_code,
                });
            }
            judged
        }
        (None, None) => Judged {
            standing: "no runs",
            ok: true,
            run: None,
            exit_code: None,
        },
    };
    let next_start = schedule
        .as_ref()
        .and_then(|schedule| schedule.next_start(now));
    let next_finish = next_finish(ledger, &known.name, newest.as_ref(), next_start, now)?;
    Ok(JobStatus {
        job: known.name.clone(),
        ok: troubles.is_empty(),
        standing: judged.standing,
        due: match last_due {
            Some(due) => Some(due_date(ledger, &known.name, &due, now)?),
            None => None,
        },
        last_run: match newest {
            Some(run) => Some(LastRun {
                run: run.name().to_string(),
                state: run.state,
                publication: run.publication,
                done: ledger.progress(run.run_id)?.records,
                planned: run.planned,
                created_at: run.created_at,
                completed_at: run.completed_at,
                exit_code: run.exit_code,
            }),
            None => None,
        },
        published_date: ledger.newest_published_date(&known.name)?,
        troubles,
        cron: schedule
            .as_ref()
            .and_then(|schedule| schedule.cron().map(str::to_owned)),
        next_start: next_start.map(|at| at.to_string()),
        next_finish: next_finish.map(|at| at.to_string()),
    })
}

fn judge_due(ledger: &mut Ledger, job: &str, due: &Due, now: Timestamp) -> anyhow::Result<Judged> {
    let date = due.date.to_string();
    let runs = ledger.newest_and_published(job, &date)?;
    let is_seen = runs.published.is_some();
    let is_late = due.finish_by.is_some_and(|finish_by| finish_by < now);
    match runs.newest {
        // A new generation that failed leaves consumers with the old one.
        Some(run) => {
            let mut judged = judge_run(ledger, run)?;
            if judged.standing == "running" && is_late && !is_seen {
                judged = Judged {
                    standing: "late",
                    ok: false,
                    ..judged
                };
            }
            Ok(judged)
        }
        None => {
            let is_missed = now > due.starts_at.checked_add(START_TOLERANCE)?;
            Ok(Judged {
                standing: match (is_seen, is_missed) {
                    (true, _) => "published",
                    (false, true) => "not begun",
                    (false, false) => "due",
                },
                ok: is_seen || !is_missed,
                run: None,
                exit_code: None,
            })
        }
    }
}

fn judge_run(ledger: &mut Ledger, run: Run) -> anyhow::Result<Judged> {
    let (standing, ok, exit_code) = match (run.state, run.publication) {
        (State::Completed, Publication::Published) => ("published", true, run.exit_code),
        (State::Completed, _) => ("withheld", false, run.exit_code),
        (State::Failed, _) => ("failed", false, run.exit_code),
        (State::Cancelled, _) => ("cancelled", true, None),
        (State::Planning | State::Running, _) => {
            let attempts = ledger.attempts(run.run_id)?;
            let last = attempts.last().and_then(|attempt| attempt.exit_code);
            match is_at_work(ledger, &attempts)? {
                true => ("running", true, None),
                false => ("stopped", false, last),
            }
        }
    };
    Ok(Judged {
        standing,
        ok,
        run: Some(run),
        exit_code,
    })
}

/// Whether one of the processes that worked on a run still does.
fn is_at_work(ledger: &Ledger, attempts: &[Attempt]) -> anyhow::Result<bool> {
    let mut open = attempts.iter().filter(|attempt| attempt.ended_at.is_none());
    let Some(file) = ledger.target().file() else {
        return Ok(open.any(|attempt| attempt.seems_alive));
    };
    // The operating system knows, where there is one host. That some process has a number does not
    // make it the one that had it then; but nobody works on a run without the file's lock.
    let is_alive = |attempt: &Attempt| {
        let pid = i32::try_from(attempt.pid).map(Pid::from_raw);
        attempt.host == host_name() && pid.is_ok_and(|pid| kill(pid, None) != Err(Errno::ESRCH))
    };
    Ok(open.any(is_alive) && has_writer(file)?)
}

fn due_date(ledger: &mut Ledger, job: &str, due: &Due, now: Timestamp) -> anyhow::Result<DueDate> {
    let date = due.date.to_string();
    let is_seen = ledger.published_run(job, &date)?.is_some();
    // Later generations of a date do not make it late.
    let ended = match is_seen {
        true => ledger.first_completion(job, &date)?,
        false => Some(now.to_string()),
    };
    let late_seconds = match (due.finish_by, ended) {
        (Some(finish_by), Some(ended)) => Some(time(&ended)?.duration_since(finish_by).as_secs()),
        _ => None,
    };
    Ok(DueDate {
        date,
        starts_at: due.starts_at.to_string(),
        finish_by: due.finish_by.map(|at| at.to_string()),
        late_seconds: late_seconds.filter(|seconds| *seconds > 0),
    })
}

/// When the run that is under way will be finished at its rate so far, or the next one if it takes as
/// long as the last few did.
fn next_finish(
    ledger: &mut Ledger,
    job: &str,
    newest: Option<&Run>,
    next_start: Option<Timestamp>,
    now: Timestamp,
) -> anyhow::Result<Option<Timestamp>> {
    if let Some(run) = newest.filter(|run| run.state.is_unfinished()) {
        let attempts = ledger.attempts(run.run_id)?;
        if !is_at_work(ledger, &attempts)? {
            return Ok(None);
        }
        let done = ledger.progress(run.run_id)?.records as f64;
        let elapsed = now.duration_since(time(&run.created_at)?).as_secs_f64();
        let left = (run.planned as f64 - done) * elapsed / done;
        let left = SignedDuration::try_from_secs_f64(left).ok();
        return Ok(left.and_then(|left| now.checked_add(left).ok()));
    }
    let mut durations = ledger.recent_durations(job)?;
    durations.sort_by(f64::total_cmp);
    let median = durations.get(durations.len() / 2);
    let median = median.and_then(|seconds| SignedDuration::try_from_secs_f64(*seconds).ok());
    Ok(match (next_start, median) {
        (Some(start), Some(median)) => start.checked_add(median).ok(),
        _ => None,
    })
}

/// A time as the ledger gives it.
fn time(text: &str) -> Result<Timestamp, Failure> {
    text.parse()
        .map_err(|_| Failure::internal(format!("`{text}` in the ledger is no time")))
}
