//! The limit of what a run may cost, held before anything of it is planned or claimed.
//!
//! The forecast is made by a process of its own, `lamplighter plan`: it scores records, and one that
//! kills or hangs whoever scores it must not keep every start from coming to where such records are
//! found and set aside. Then there is no forecast, and the run goes on.

use std::ffi::OsString;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{RecvTimeoutError, bounded};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::start::Request;
use crate::error::Failure;
use crate::job::{Job, LogicalDate};

/// How often to look whether this process is to stop.
const INTERVAL: Duration = Duration::from_millis(100);

/// Refuses a run whose forecast costs more than `[cost] max_per_run`.
///
/// # Errors
/// It does (78); to stop is requested (75 or 80).
pub(super) fn refuse_if_too_dear(
    job: &Job,
    date: LogicalDate,
    request: &Request,
) -> anyhow::Result<()> {
    let limit = job
        .cost
        .as_ref()
        .and_then(|cost| Some((cost, cost.max_per_run?)));
    let Some((cost, most)) = limit else {
        return Ok(());
    };
    let seconds = match forecast(job, date, request)? {
        Ok(seconds) => seconds,
        Err(reason) => {
            tracing::warn!(job = job.name, %date, "no forecast, so [cost] max_per_run is not held: {reason}");
            return Ok(());
        }
    };
    let amount = cost.of(seconds);
    tracing::info!(job = job.name, %date, seconds = seconds.round(), "forecast: {}", cost.shown(amount));
    if amount <= most {
        return Ok(());
    }
    Err(Failure::config(format!(
        "{}@{date} would take {seconds:.0} s and cost {}, but [cost] max_per_run is {}",
        job.name,
        cost.shown(amount),
        cost.shown(most)
    ))
    .hint("nothing was claimed; `lamplighter plan` shows what makes it dear; raise max_per_run, or --set cost.max_per_run=… for this start")
    .into())
}

/// How long the run will take, in seconds, or why nobody can say.
fn forecast(
    job: &Job,
    date: LogicalDate,
    request: &Request,
) -> anyhow::Result<Result<f64, String>> {
    let mut process = Command::new(std::env::current_exe().context("cannot find this program")?);
    process
        .args(arguments(date, request))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // What is wrong with the job, the run itself tells.
        .stderr(Stdio::null());
    let child = process.spawn().context("cannot start a forecast")?;
    let pid = i32::try_from(child.id()).map(Pid::from_raw);
    let (send, ended) = bounded(1);
    thread::spawn(move || send.send(child.wait_with_output()));
    let begun = Instant::now();
    let output = loop {
        let stopped = match ended.recv_timeout(INTERVAL) {
            Ok(output) => break output.context("cannot hear of a forecast")?,
            Err(RecvTimeoutError::Disconnected) => return Ok(Err("it is gone".to_owned())),
            Err(RecvTimeoutError::Timeout) => request.interrupt.check(),
        };
        let is_late = begun.elapsed() > job.shard_timeout;
        if let (Ok(pid), true) = (pid, is_late || stopped.is_err()) {
            // It may have ended.
            let _ = kill(pid, Signal::SIGKILL);
        }
        stopped?;
        if is_late {
            return Ok(Err("it took longer than [run] shard_timeout".to_owned()));
        }
    };
    Ok(seconds(&output))
}

fn seconds(output: &Output) -> Result<f64, String> {
    let plan: serde_json::Value = match output.status.success() {
        true => serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?,
        false => return Err(format!("`lamplighter plan` ended with {}", output.status)),
    };
    let seconds = plan["forecast_seconds"].as_f64();
    seconds.ok_or_else(|| "`lamplighter plan` gives none".to_owned())
}

/// The command line of a plan for the same start.
fn arguments(date: LogicalDate, request: &Request) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["plan".into()];
    arguments.extend(request.isolated_arguments.iter().skip(1).cloned());
    arguments.extend(["--format".into(), "json".into()]);
    arguments.extend(["--date".into(), date.to_string().into()]);
    if let Some(workers) = request.workers {
        arguments.extend(["--workers".into(), workers.to_string().into()]);
    }
    if request.rescore.is_some() {
        arguments.push("--rescore".into());
    }
    arguments
}
