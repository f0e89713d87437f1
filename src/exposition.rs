//! The figures of a job's newest run where Prometheus finds them: a file for node-exporter's textfile
//! collector, a Pushgateway, or both.
//!
//! They are of the last start that came to a report. That no start came to one is seen by
//! `lamplighter_run_last_success_timestamp_seconds`, which grows old.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use jiff::Timestamp;

use crate::alert::outbound::{Method, Outbound};
use crate::interrupt::Interrupt;
use crate::job::{Job, Metrics};
use crate::ledger::Ledger;
use crate::report::RunReport;
use crate::report::prometheus::{Facts, render};
use crate::whole_file;

/// Mode of the file: node-exporter is another user.
const READABLE: u32 = 0o644;

/// Tries to push.
const TRIES: usize = 2;

/// Writes the figures of `report` to wherever the job says. That it fails costs no run: it is told.
pub fn expose(ledger: &mut Ledger, job: &Job, report: &RunReport, interrupt: &Interrupt) {
    if job.metrics.is_empty() || report.trial || report.retry.is_some() {
        return;
    }
    match facts(ledger, job) {
        Ok(facts) => write(&job.metrics, &job.name, &render(report, &facts), interrupt),
        Err(error) => tracing::warn!(job = job.name, "no metrics for Prometheus: {error:#}"),
    }
}

fn facts(ledger: &mut Ledger, job: &Job) -> anyhow::Result<Facts> {
    let last_success = ledger.last_success(&job.name)?;
    let last_success = last_success.and_then(|at| at.parse::<Timestamp>().ok());
    Ok(Facts {
        last_success_timestamp_seconds: last_success.map(|at| at.as_millisecond() as f64 / 1e3),
        pending_deliveries: ledger.pending_owed(&job.name)?,
    })
}

fn write(metrics: &Metrics, job: &str, text: &str, interrupt: &Interrupt) {
    if let Some(file) = &metrics.textfile
        && let Err(error) = readable(file, text)
    {
        tracing::warn!(
            job,
            "cannot write [metrics] textfile {}: {error}",
            file.display()
        );
    }
    if let Some(gateway) = &metrics.pushgateway {
        let gateway = gateway.trim_end_matches('/');
        let url = format!("{gateway}/metrics/job/lamplighter/job_name/{job}");
        if let Err(problem) = push(&url, text, interrupt) {
            tracing::warn!(job, "cannot push to [metrics] pushgateway: {problem}");
        }
    }
}

/// Writes the file so that another user can read it, whatever the umask says.
fn readable(file: &Path, text: &str) -> io::Result<()> {
    whole_file::replace(file, text.as_bytes(), READABLE)?;
    fs::set_permissions(file, Permissions::from_mode(READABLE))
}

fn push(url: &str, text: &str, interrupt: &Interrupt) -> Result<(), String> {
    let outbound = Outbound::new();
    let headers = [("content-type", "text/plain; version=0.0.4")];
    let mut problem = String::new();
    for _ in 0..TRIES {
        match outbound.send(Method::PUT, url, &headers, text) {
            Ok(()) => return Ok(()),
            Err(found) if found.is_temporary && !interrupt.is_signalled() => problem = found.text,
            Err(found) => return Err(found.text),
        }
    }
    Err(problem)
}
