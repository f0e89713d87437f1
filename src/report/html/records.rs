//! What became of the records, and why some could not be scored.

use serde::Serialize;

use super::words::{clipped, percentage};
use super::{DeadLetterExample, Page};
use crate::report::RunReport;
use crate::report::assessment::percent;
use crate::report::text::grouped;

/// Examples of one kind of dead letters.
const MOST_EXAMPLES: usize = 3;

/// Kinds of dead letters, and columns with notes, that are listed.
const MOST_ROWS: usize = 100;

/// Characters of a message, which may quote a whole record.
const MOST_OF_A_MESSAGE: usize = 300;

#[derive(Serialize)]
pub(super) struct View {
    parts: Vec<Part>,
    previously: Option<String>,
    duplicates: Option<String>,
    retry: Option<String>,
    reason: Option<String>,
    dead_letters: Vec<Kind>,
    more_kinds: usize,
    examples: Vec<Example>,
    columns: Vec<Column>,
    more_columns: usize,
}

/// What became of some of the records.
#[derive(Serialize)]
struct Part {
    class: &'static str,
    name: &'static str,
    records: String,
    share: String,
    width: f64,
}

/// Dead letters of one reason.
#[derive(Serialize)]
struct Kind {
    stage: String,
    code: String,
    field: Option<String>,
    records: String,
    share: String,
    examples: Vec<Example>,
}

/// One dead letter.
#[derive(Serialize)]
struct Example {
    record: String,
    reason: String,
    message: String,
}

/// Values of a column that were not as the model knows them.
#[derive(Serialize)]
struct Column {
    name: String,
    imputed: String,
    clamped: String,
    unknown: String,
    truncated: String,
    share: String,
}

pub(super) fn view(page: &Page<'_>) -> View {
    let report = page.report;
    let planned = report.counts.planned;
    let share = |records: u64| percent(records as f64 / planned.max(1) as f64);
    let kinds = report.dead_letters.iter().take(MOST_ROWS);
    let kinds: Vec<Kind> = kinds
        .map(|kind| {
            let examples = page.examples.iter().filter(|example| {
                (&example.stage, &example.code, &example.field)
                    == (&kind.stage, &kind.code, &kind.field)
            });
            Kind {
                stage: kind.stage.clone(),
                code: kind.code.clone(),
                field: kind.field.clone(),
                records: grouped(kind.records),
                share: share(kind.records),
                examples: examples.take(MOST_EXAMPLES).map(example).collect(),
            }
        })
        .collect();
    let is_of_a_kind = |example: &&DeadLetterExample| {
        report.dead_letters.iter().any(|kind| {
            (&example.stage, &example.code, &example.field)
                == (&kind.stage, &kind.code, &kind.field)
        })
    };
    let others = page
        .examples
        .iter()
        .filter(|example| !is_of_a_kind(example));
    View {
        parts: parts(report),
        previously: report.previously_planned.map(|before| {
            let change = planned as f64 / before.max(1) as f64 - 1.0;
            let sign = if change < 0.0 { "−" } else { "+" };
            format!(
                "{} records, {sign}{} against the {} of the date before",
                grouped(planned),
                percent(change.abs()),
                grouped(before)
            )
        }),
        duplicates: match report.counts.duplicates {
            0 => None,
            1 => Some("1 of the dead letters is a duplicate.".to_owned()),
            many => Some(format!("{} of the dead letters are duplicates.", grouped(many))),
        },
        retry: report.retry.as_ref().map(|retry| {
            format!(
                "It scored {} dead letters of {} again; the input does not hold {} of them any more.",
                grouped(retry.wanted),
                retry.run,
                grouped(retry.not_found)
            )
        }),
        reason: report.reason.clone(),
        more_kinds: report.dead_letters.len().saturating_sub(MOST_ROWS),
        dead_letters: kinds,
        examples: others.take(MOST_EXAMPLES).map(example).collect(),
        columns: columns(report),
        more_columns: report.columns.len().saturating_sub(MOST_ROWS),
    }
}

fn parts(report: &RunReport) -> Vec<Part> {
    let counts = &report.counts;
    let parts = [
        ("current", "predicted", counts.predicted),
        ("bad", "dead letters", counts.dead_letters),
        ("reference", "filtered", counts.filtered),
        ("faint", "erased", counts.erased),
        ("attention", "unfinished", counts.unfinished),
    ];
    parts
        .into_iter()
        .filter(|(class, _, records)| *records > 0 || matches!(*class, "current" | "bad"))
        .map(|(class, name, records)| {
            let share = records as f64 / counts.planned.max(1) as f64;
            Part {
                class,
                name,
                records: grouped(records),
                share: percent(share),
                width: percentage(share),
            }
        })
        .collect()
}

fn example(example: &DeadLetterExample) -> Example {
    let field = example.field.as_deref();
    let field = field.map_or_else(String::new, |field| format!(" of {field}"));
    Example {
        record: match &example.record_id {
            Some(id) => clipped(id, 80),
            None => format!(
                "record {} of the input",
                grouped(u64::try_from(example.ordinal).unwrap_or(0))
            ),
        },
        reason: format!("{}: {}{field}", example.stage, example.code),
        message: clipped(&example.message, MOST_OF_A_MESSAGE),
    }
}

/// Columns with notes, those with the most first.
fn columns(report: &RunReport) -> Vec<Column> {
    let mut noted: Vec<_> = report
        .columns
        .iter()
        .map(|(name, notes)| {
            let all = [notes.imputed, notes.clamped, notes.unknown, notes.truncated];
            (name, notes, all.into_iter().fold(0, u64::saturating_add))
        })
        .collect();
    // A stable sort: those of as many stay in the order of their names.
    noted.sort_by_key(|(_, _, all)| std::cmp::Reverse(*all));
    noted
        .into_iter()
        .take(MOST_ROWS)
        .map(|(name, notes, all)| Column {
            name: clipped(name, 80),
            imputed: grouped(notes.imputed),
            clamped: grouped(notes.clamped),
            unknown: grouped(notes.unknown),
            truncated: grouped(notes.truncated),
            share: percent(all as f64 / report.counts.predicted.max(1) as f64),
        })
        .collect()
}
