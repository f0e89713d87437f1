//! How the run went on, and where its time went.

use serde::Serialize;

use super::plots::{Ink, Line, bars, lines};
use super::words::{brief, duration, measure, minutes, percentage, rate, time};
use super::{Entry, Figure};
use crate::report::RunReport;
use crate::report::text::grouped;

#[derive(Serialize)]
pub(super) struct View {
    entries: Vec<Entry>,
    stages: Vec<Stage>,
    figures: Vec<Figure>,
    has_course: bool,
}

/// Its part of the workers' time.
#[derive(Serialize)]
struct Stage {
    name: &'static str,
    time: String,
    width: f64,
}

pub(super) fn view(report: &RunReport) -> anyhow::Result<View> {
    let mut figures = Vec::new();
    figures.extend(throughput(report)?);
    figures.extend(latency(report)?);
    let has_course = !figures.is_empty();
    figures.extend(histogram(report)?);
    Ok(View {
        entries: entries(report),
        stages: stages(report),
        figures,
        has_course,
    })
}

fn entries(report: &RunReport) -> Vec<Entry> {
    let timing = &report.timing;
    let mut entries = vec![
        Entry::new(
            "Duration",
            format!(
                "{} ({} of it planning)",
                duration(timing.duration_seconds),
                duration(timing.plan_seconds)
            ),
        ),
        Entry::new(
            "Throughput",
            format!("{} records/s", rate(timing.records_per_second)),
        ),
    ];
    if let Some(late) = timing
        .minutes_past_finish_by
        .filter(|late| late.is_finite())
    {
        let when = if late > 0.0 { "late" } else { "early" };
        let by = timing.finish_by.as_deref().map_or_else(String::new, |by| {
            format!(": it was to be finished by {}", time(by))
        });
        let value = format!("{} {when}{by}", minutes(late));
        entries.push(Entry::new("Finished", value));
    }
    if let Some(batch) = &timing.batch_milliseconds {
        let value = format!(
            "median {} ms, p95 {} ms, p99 {} ms, of {} batches",
            brief(batch.p50),
            brief(batch.p95),
            brief(batch.p99),
            grouped(batch.count)
        );
        entries.push(Entry::new("Forward pass", value));
    }
    entries.push(Entry::new("Processes", grouped(timing.attempts)));
    entries
}

fn stages(report: &RunReport) -> Vec<Stage> {
    let seconds = &report.timing.stage_seconds;
    let stages = [
        ("read", seconds.read),
        ("encode", seconds.encode),
        ("infer", seconds.infer),
        ("commit", seconds.commit),
    ];
    let stages =
        stages.map(|(name, seconds)| (name, if seconds.is_finite() { seconds } else { 0.0 }));
    let all: f64 = stages.iter().map(|stage| stage.1).sum();
    if all <= 0.0 {
        return Vec::new();
    }
    stages
        .into_iter()
        .map(|(name, seconds)| Stage {
            name,
            time: duration(seconds),
            width: percentage(seconds / all),
        })
        .collect()
}

/// The unit in which a duration is best told, and how many seconds it has.
pub(super) fn unit(longest: f64) -> (&'static str, f64) {
    match longest {
        7_200.0.. => ("h", 3_600.0),
        180.0.. => ("min", 60.0),
        _ => ("s", 1.0),
    }
}

/// The unit in which the course of the run is told.
fn unit_of_course(report: &RunReport) -> (&'static str, f64) {
    let course = report.timing.course.iter();
    unit(course.map(|moment| moment.seconds).fold(0.0, f64::max))
}

fn throughput(report: &RunReport) -> anyhow::Result<Option<Figure>> {
    let (unit, length) = unit_of_course(report);
    let mut points = Vec::new();
    let (mut before, mut done) = (0.0, 0);
    for moment in &report.timing.course {
        let elapsed = moment.seconds - before;
        if elapsed > 0.0 {
            let speed = moment.records.saturating_sub(done) as f64 / elapsed;
            // A step, as long as it took.
            points.extend([(before / length, speed), (moment.seconds / length, speed)]);
            (before, done) = (moment.seconds, moment.records);
        }
    }
    let line = Line {
        points,
        ink: Ink::Filled,
    };
    let label = "Records per second over the run".to_owned();
    let plot = lines(label, &[line], brief, unit)?;
    Ok(plot.map(|plot| Figure {
        title: "Throughput, records/s".to_owned(),
        note: Some(format!(
            "on average {}",
            rate(report.timing.records_per_second)
        )),
        plot,
    }))
}

fn latency(report: &RunReport) -> anyhow::Result<Option<Figure>> {
    let (unit, length) = unit_of_course(report);
    let (mut middle, mut high) = (Vec::new(), Vec::new());
    for moment in &report.timing.course {
        let at = moment.seconds / length;
        middle.extend(moment.batch_p50_milliseconds.map(|time| (at, time)));
        high.extend(moment.batch_p99_milliseconds.map(|time| (at, time)));
    }
    let both = [
        Line {
            points: high,
            ink: Ink::Second,
        },
        Line {
            points: middle,
            ink: Ink::Plain,
        },
    ];
    let label = "Time of a forward pass over the run, median and 99th percentile".to_owned();
    let plot = lines(label, &both, brief, unit)?;
    Ok(plot.map(|plot| Figure {
        title: "Forward pass over the run, ms".to_owned(),
        note: Some("blue: median, orange: 99th percentile".to_owned()),
        plot,
    }))
}

fn histogram(report: &RunReport) -> anyhow::Result<Option<Figure>> {
    let mut before = 0;
    let mut bins: Vec<(String, f64)> = Vec::new();
    for bucket in &report.timing.batch_histogram {
        let batches = bucket.batches.saturating_sub(before);
        before = before.max(bucket.batches);
        let name = match bucket.seconds.is_finite() {
            true => format!("≤ {} ms", brief(bucket.seconds * 1e3)),
            false => "longer".to_owned(),
        };
        bins.push((name, batches as f64));
    }
    // Times that none took, at both ends.
    let used = |bin: &(String, f64)| bin.1 > 0.0;
    let (Some(first), Some(last)) = (bins.iter().position(used), bins.iter().rposition(used))
    else {
        return Ok(None);
    };
    let bins = bins.get(first..=last).unwrap_or_default();
    let label = "Number of forward passes by their time".to_owned();
    let plot = bars(label, bins, false, brief)?;
    let longest = report.timing.batch_milliseconds.as_ref();
    Ok(plot.map(|plot| Figure {
        title: "Forward passes by their time".to_owned(),
        note: longest.map(|batch| format!("the longest took {} ms", measure(Some(batch.maximum)))),
        plot,
    }))
}
