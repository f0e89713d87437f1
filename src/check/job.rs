//! The job file, and what the calendar makes of it.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Group, List, Request, count, setting};
use crate::job::{LogicalDate, PostgresRelation, SourceKind};

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

/// A time as people read it.
fn shown(time: Timestamp, zone: &TimeZone) -> String {
    let local = time.to_zoned_datetime(zone.clone());
    local.strftime("%Y-%m-%d %H:%M %Z").to_string()
}
