//! The limit of what a run may cost, held before anything of it is planned or claimed.
//!
//! The forecast is made by a process of its own, `lamplighter plan`: it scores records, and one that
//! kills or hangs whoever scores it must not keep every start from coming to where such records are
//! found and set aside. Then, and only then, the run goes on without a forecast.

use std::ffi::OsString;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{RecvTimeoutError, bounded};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::start::Request;
use crate::error::{Class, Failure};
use crate::job::{Job, LogicalDate};

/// How often to look whether this process is to stop.
const INTERVAL: Duration = Duration::from_millis(100);

/// How long a forecast that is to stop may take to put away what it made.
const PATIENCE: Duration = Duration::from_secs(2);

/// Refuses a run whose forecast costs more than `[cost] max_per_run`.
///
/// # Errors
/// It does (78); whatever keeps the run from being planned; to stop is requested (75 or 80).
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
            tracing::warn!(job = job.name, %date, "the forecast was ended, so [cost] max_per_run is not held: {reason}");
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

/// How long the run will take, in seconds, or what ended whoever was to say.
///
/// # Errors
/// Whatever keeps the run from being planned (its class); to stop is requested (75 or 80).
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
        .stderr(Stdio::piped());
    let child = process.spawn().context("cannot start a forecast")?;
    let pid = i32::try_from(child.id()).map(Pid::from_raw);
    let (send, ended) = bounded(1);
    thread::spawn(move || send.send(child.wait_with_output()));
    let begun = Instant::now();
    loop {
        match ended.recv_timeout(INTERVAL) {
            Ok(output) => return seconds(&output.context("cannot hear of a forecast")?),
            Err(RecvTimeoutError::Disconnected) => return Ok(Err("it is gone".to_owned())),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let stopped = request.interrupt.check();
        let is_late = begun.elapsed() > job.shard_timeout;
        if !is_late && stopped.is_ok() {
            continue;
        }
        // It may have ended meanwhile, and then there is nobody to tell.
        let tell = |signal| pid.map(|pid| kill(pid, signal));
        let _ = tell(Signal::SIGTERM);
        if let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(PATIENCE) {
            let _ = tell(Signal::SIGKILL);
        }
        stopped?;
        return Ok(Err("it took longer than [run] shard_timeout".to_owned()));
    }
}

fn seconds(output: &Output) -> anyhow::Result<Result<f64, String>> {
    let Some(code) = output.status.code() else {
        return Ok(Err(format!(
            "`lamplighter plan` ended by {}",
            output.status
        )));
    };
    if code != 0 {
        return Err(told(code, &String::from_utf8_lossy(&output.stderr)).into());
    }
    let plan: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("cannot read a forecast")?;
    let seconds = plan["forecast_seconds"].as_f64();
    let seconds = seconds.ok_or_else(|| Failure::internal("a forecast without seconds"))?;
    Ok(Ok(seconds))
}

/// The failure that ended a process, by its exit code and its log.
fn told(code: i32, log: &str) -> Failure {
    let class = u8::try_from(code).map_or(Class::Internal, Class::of_exit_code);
    let last: serde_json::Value = log
        .lines()
        .rev()
        .find_map(|line| serde_json::from_str(line).ok())
        .unwrap_or_default();
    let message = last["message"].as_str();
    let message = message.map_or_else(|| format!("it ended with {code}"), str::to_owned);
    let failure = Failure::new(
        class,
        format!("no forecast, which [cost] max_per_run needs: {message}"),
    );
    match last["hint"].as_str() {
        Some(hint) => failure.hint(hint.to_owned()),
        None => failure,
    }
}

/// The command line of a plan for the same start.
fn arguments(date: LogicalDate, request: &Request) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["plan".into()];
    arguments.extend(request.isolated_arguments.iter().skip(1).cloned());
    if !arguments.iter().any(|argument| argument == "--log-format") {
        arguments.extend(["--log-format".into(), "json".into()]);
    }
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
