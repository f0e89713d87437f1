//! The job file, and what the calendar makes of it.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nix::unistd::{AccessFlags, access};

use super::{Group, List, Request, Section, count, setting};
use crate::alert;
use crate::error::Failure;
use crate::job::{AlertRule, Job, LogicalDate, Metrics, PostgresRelation, SourceKind};

/// A time of day for those who have none yet.
const SUGGESTED_FINISH_BY: &str = "finish_by = \"06:00\"";

pub(super) fn look(request: &Request<'_>, date: LogicalDate, now: Timestamp, list: &mut List) {
    let Request { job, file, .. } = request;
    let schedule = &job.schedule;
    let mut section = list.group(Group::Job);

    let overlay = match request.env {
        Some(env) => format!("overlay [env.{env}]"),
        None => "no overlay".to_owned(),
    };
    let overrides = match request.overrides as u64 {
        0 => String::new(),
        keys => format!(", {} from the command line", count(keys, "key")),
    };
    let file = file.display();
    section.passed(
        "job file",
        format!("{} of {file}, {overlay}{overrides}", job.name),
    );

    let local = shown(now, &schedule.timezone);
    section.passed(
        "logical date",
        format!("{date}; it is {local} in {}", schedule.timezone_name),
    );

    let every_date = "every date reads the same input";
    match &job.source.kind {
        SourceKind::Queue(_) => {
            section.passed(
                "date in source",
                "each date takes what waits when it is planned",
            );
        }
        SourceKind::Parquet { path, .. } if path.contains("{date") => {
            section.passed("date in source", format!("path {path}"));
        }
        SourceKind::Parquet { path, .. } => {
            let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
            let slash = if directory.is_empty() { "" } else { "/" };
            let name = path.rsplit('/').next().unwrap_or_default();
            let line = format!("path = \"{directory}{slash}{{date}}/{name}\"");
            section.not_set_up("date in source", every_date, setting("source", &line));
        }
        SourceKind::Postgres(source) => {
            let (text, line) = match &source.relation {
                PostgresRelation::Table { condition, .. } => (
                    condition.as_deref().unwrap_or_default(),
                    "where = \"… = :date\"",
                ),
                PostgresRelation::Query(query) => (&**query, "query = \"… WHERE … = :date\""),
            };
            match text.contains(":date") {
                true => section.passed("date in source", "the database is asked for :date"),
                false => section.not_set_up("date in source", every_date, setting("source", line)),
            }
        }
    }

    match (schedule.cron(), schedule.next_start(now)) {
        (Some(cron), Some(next)) => {
            let next = shown(next, &schedule.timezone);
            section.passed("cron", format!("{cron}, next {next}"));
        }
        _ => section.not_set_up(
            "cron",
            "status can not tell whether a date is late or was missed",
            setting("schedule", "cron = \"30 2 * * *\""),
        ),
    }
    look_at_alerts(job, &mut section);
    look_at_metrics(job, &mut section);
    match schedule.deadline(now) {
        Some(deadline) => {
            let left = deadline.duration_since(now);
            let hours = left.as_secs_f64() / 3600.0;
            let time = shown(deadline, &schedule.timezone);
            section.passed("finish_by", format!("{time}, in {hours:.1} hours"));
        }
        None => section.not_set_up(
            "finish_by",
            "a run may take as long as it takes",
            setting("schedule", SUGGESTED_FINISH_BY),
        ),
    }
}

/// Whether the file for Prometheus could be written, short of writing it.
fn look_at_metrics(job: &Job, section: &mut Section<'_>) {
    let Metrics {
        textfile,
        pushgateway,
    } = &job.metrics;
    if job.metrics.is_empty() {
        let line = setting("metrics", "textfile = \"/…/lamplighter.prom\"");
        section.not_set_up("metrics", "Prometheus gets no figures", line);
        return;
    }
    if let Some(file) = textfile {
        let directory = match file.parent() {
            Some(directory) if !directory.as_os_str().is_empty() => directory,
            _ => Path::new("."),
        };
        if let Err(error) = access(directory, AccessFlags::W_OK | AccessFlags::X_OK) {
            let failure = Failure::config(format!(
                "[metrics] textfile: {} can not be written: {error}",
                directory.display()
            ));
            let mend = "create the directory, or give it to the user that runs the job";
            section.failed_with("metrics", &failure.into(), mend);
            return;
        }
    }
    let places = [
        textfile.as_ref().map(|file| file.display().to_string()),
        pushgateway.as_ref().map(|_| "a Pushgateway".to_owned()),
    ];
    let places: Vec<String> = places.into_iter().flatten().collect();
    section.passed("metrics", places.join(", "));
}

/// Whether alerts could be sent, short of sending one.
fn look_at_alerts(job: &Job, section: &mut Section<'_>) {
    if job.alerts.is_empty() {
        let lines = "[[alert]]: name, metric, op, value; see jobs/README.md";
        section.not_set_up("alerts", "nobody is told of a bad night", lines);
        return;
    }
    if let Err(problem) = alert::readiness(job) {
        let failure = anyhow::Error::from(Failure::config(problem));
        let mend = "`lamplighter alerts test` sends one of each";
        section.failed_with("alerts", &failure, mend);
        return;
    }
    let told = |rule: &&AlertRule| rule.webhook.is_some() || rule.exec.is_some();
    let told = job.alerts.iter().filter(told).count();
    let rules = count(job.alerts.len() as u64, "rule");
    section.passed("alerts", format!("{rules}, {told} of them with a receiver"));
}

/// A time as people read it.
fn shown(time: Timestamp, zone: &TimeZone) -> String {
    let local = time.to_zoned_datetime(zone.clone());
    local.strftime("%Y-%m-%d %H:%M %Z").to_string()
}
