//! What of a report anybody wants to know in the morning, on one screen.

use super::fit::{cut, listed, wrap};
use super::{decimals, grouped, input, machine, money, punctuality, spread};
use crate::ledger::{EvaluationRow, Origin};
use crate::report::assessment::{Assessment, Finding, Grade, against, percent};
use crate::report::{RuleState, RunReport};

/// Lines of the report at most.
const MOST_LINES: usize = 25;

/// Columns of a line at most.
const MOST_COLUMNS: usize = 100;

/// Columns before a value: four, the name, a space.
const BEFORE_VALUE: usize = 18;

/// Columns of a value at most.
const VALUE: usize = MOST_COLUMNS - BEFORE_VALUE;

/// Columns that a name in a list may take.
const NAME: usize = 40;

/// Lines of a finding at most, and again of what is to be done.
const LINES_OF_SENTENCE: usize = 2;

/// Lines that findings get, if they need as many, before what can be done without goes.
const LINES_OF_FINDINGS: usize = 9;

/// Kinds of dead letters that are told.
const KINDS_OF_DEAD_LETTERS: usize = 3;

/// A line of figures.
struct Figures {
    name: &'static str,
    value: String,
    /// Whether it goes first where there is not room for all.
    is_dispensable: bool,
}

pub(super) fn render(report: &RunReport) -> String {
    let assessment = Assessment::of(report);
    let mut lines = beginning(report);
    lines.push(format!("  {}", cut(&assessment.headline, MOST_COLUMNS - 2)));
    let blocks: Vec<Vec<String>> = assessment
        .findings
        .iter()
        .map(|finding| told(finding, &report.outcome.explanation))
        .collect();
    let mut figures = figures(report);
    let wanted = blocks.iter().map(Vec::len).sum::<usize>();
    // An empty line above what is told of records and time, and one above findings.
    let room = |figures: &[Figures]| {
        let taken = lines.len() + 1 + figures.len();
        MOST_LINES.saturating_sub(taken + usize::from(wanted > 0))
    };
    while room(&figures) < wanted.min(LINES_OF_FINDINGS)
        && let Some(last) = figures.iter().rposition(|figures| figures.is_dispensable)
    {
        figures.remove(last);
    }
    let findings = as_many_as_fit(&blocks, room(&figures), &report.run);
    if !findings.is_empty() {
        lines.push(String::new());
        lines.extend(findings);
    }
    lines.push(String::new());
    lines.extend(figures.iter().map(|figures| {
        let (name, value) = (figures.name, cut(&figures.value, VALUE));
        format!("    {name:<13} {value}")
    }));
    lines.truncate(MOST_LINES);
    lines.join("\n") + "\n"
}

/// Which run it was, how it ended and why it scored again.
fn beginning(report: &RunReport) -> Vec<String> {
    let ending = &report.outcome;
    let verdict = ending.verdict.as_str().to_uppercase();
    let run = cut(&report.run, MOST_COLUMNS - 2 - verdict.len());
    let exit_code = format!("(exit code {})", ending.exit_code);
    let explanation = cut(&ending.explanation, MOST_COLUMNS - 3 - exit_code.len());
    let mut lines = vec![
        format!("{run}  {verdict}"),
        format!("  {explanation} {exit_code}"),
    ];
    if let Some(reason) = &report.reason {
        lines.push(cut(&format!("  scored again: {reason}"), MOST_COLUMNS));
    }
    if let Some(retry) = &report.retry {
        let (wanted, lost) = (grouped(retry.wanted), grouped(retry.not_found));
        let run = &retry.run;
        let told = format!("  {wanted} dead letters of {run} scored again, {lost} not found");
        lines.push(cut(&told, MOST_COLUMNS));
    }
    lines
}

/// A finding and what to do. What stands above already is not said again.
fn told(finding: &Finding, explanation: &str) -> Vec<String> {
    let grade = finding.grade.word();
    let what = finding.what.strip_suffix(explanation);
    let what = what.and_then(|what| what.strip_suffix(": "));
    let what = what.unwrap_or(&finding.what);
    let mut lines = Vec::new();
    for (index, line) in wrap(what, VALUE, LINES_OF_SENTENCE).into_iter().enumerate() {
        let name = if index == 0 { grade } else { "" };
        lines.push(format!("    {name:<13} {line}"));
    }
    if let Some(action) = finding
        .action
        .as_ref()
        .filter(|_| finding.grade > Grade::Good)
    {
        let action = wrap(action, VALUE - 2, LINES_OF_SENTENCE);
        for (index, line) in action.into_iter().enumerate() {
            let arrow = if index == 0 { "→" } else { " " };
            lines.push(format!("{:BEFORE_VALUE$}{arrow} {line}", ""));
        }
    }
    lines
}

/// Whole findings, and how many there are more.
fn as_many_as_fit(blocks: &[Vec<String>], room: usize, run: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let is_last = index + 1 == blocks.len();
        if lines.len() + block.len() + usize::from(!is_last) > room {
            let more = blocks.len() - index;
            let command = format!(": lamplighter report {run} --all");
            lines.push(cut(&format!("    and {more} more{command}"), MOST_COLUMNS));
            break;
        }
        lines.extend_from_slice(block);
    }
    lines
}

fn figures(report: &RunReport) -> Vec<Figures> {
    let mut all = Vec::new();
    let mut add = |name, is_dispensable, value: Option<String>| {
        all.extend(value.map(|value| Figures {
            name,
            value,
            is_dispensable,
        }));
    };
    add("model", false, Some(model(report)));
    add("input", true, Some(input(report)));
    add("records", false, Some(records(report)));
    add("dead letters", false, dead_letters(report));
    add("values", true, values_of_columns(report));
    add("predictions", false, predictions(report));
    let outputs = &report.outputs;
    add("score", false, outputs.scores.as_ref().map(spread));
    add("value", false, outputs.values.as_ref().map(spread));
    add("drift", false, drift(report));
    add("trained", false, age(report));
    add("ground truth", false, ground_truth(report));
    add("time", false, Some(time(report)));
    let stages = &report.timing.stage_seconds;
    let stages = format!(
        "read {:.2} s, encode {:.2} s, infer {:.2} s, commit {:.2} s",
        stages.read, stages.encode, stages.infer, stages.commit
    );
    add("by stage", true, Some(stages));
    let batch = report.timing.batch_milliseconds.as_ref().map(|batch| {
        format!(
            "p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms, {} batches",
            batch.p50,
            batch.p95,
            batch.p99,
            grouped(batch.count)
        )
    });
    add("batch", true, batch);
    add("machine", false, Some(machine(report)));
    add("cost", false, cost(report));
    add("alerts", false, alerts(report));
    all
}

fn model(report: &RunReport) -> String {
    let model = &report.model;
    let digest: String = model.digest.chars().take("sha256:".len() + 12).collect();
    format!(
        "{} {}, {} {}, batches of {}, {digest}",
        cut(&model.name, NAME),
        cut(&model.version, NAME / 2),
        model.precision,
        model.numerics,
        model.batch_size
    )
}

fn records(report: &RunReport) -> String {
    let counts = &report.counts;
    let share = |count: u64| match counts.planned {
        0 => String::new(),
        planned => format!(" ({})", percent(count as f64 / planned as f64)),
    };
    let mut parts = vec![
        format!("{} planned", grouped(counts.planned)),
        format!(
            "{} predicted{}",
            grouped(counts.predicted),
            share(counts.predicted)
        ),
    ];
    if counts.dead_letters == 0 {
        parts.push("no dead letters".to_owned());
    }
    for (name, count) in [
        ("dead letters", counts.dead_letters),
        ("unfinished", counts.unfinished),
        ("filtered", counts.filtered),
        ("erased", counts.erased),
    ] {
        if count > 0 {
            parts.push(format!("{} {name}{}", grouped(count), share(count)));
        }
    }
    parts.join(", ")
}

fn dead_letters(report: &RunReport) -> Option<String> {
    let mut kinds: Vec<_> = report.dead_letters.iter().collect();
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.records));
    let worst = kinds.iter().take(KINDS_OF_DEAD_LETTERS).map(|kind| {
        let field = kind.field.as_deref().unwrap_or_default();
        let name = format!("{}/{} {field}", kind.stage, kind.code);
        format!("{} {}", grouped(kind.records), cut(name.trim_end(), NAME))
    });
    let worst: Vec<String> = worst.collect();
    let beyond = kinds.len() - worst.len();
    (!worst.is_empty()).then(|| listed(&worst, beyond, VALUE))
}

fn values_of_columns(report: &RunReport) -> Option<String> {
    let sum = |count: fn(&crate::monitor::stats::ColumnNotes) -> u64| {
        report.columns.values().map(count).sum::<u64>()
    };
    let parts: Vec<String> = [
        ("imputed", sum(|notes| notes.imputed)),
        ("clamped", sum(|notes| notes.clamped)),
        ("unknown", sum(|notes| notes.unknown)),
        ("cut", sum(|notes| notes.truncated)),
    ]
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .map(|(name, count)| format!("{} {name}", grouped(count)))
    .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn predictions(report: &RunReport) -> Option<String> {
    let labels = &report.outputs.labels;
    let all = labels.values().sum::<u64>().max(1);
    let mut labels: Vec<(&String, u64)> = labels
        .iter()
        .map(|(label, count)| (label, *count))
        .collect();
    labels.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let labels: Vec<String> = labels
        .into_iter()
        .map(|(label, count)| {
            let share = 100.0 * count as f64 / all as f64;
            format!("{} {share:.2} %", cut(label, NAME))
        })
        .collect();
    (!labels.is_empty()).then(|| listed(&labels, 0, VALUE))
}

fn drift(report: &RunReport) -> Option<String> {
    let drift = report.drift.as_ref()?;
    let all = format!(
        "{} of {} inputs, {} of {} outputs",
        drift.drifted_inputs,
        drift.inputs,
        drift.drifted_outputs,
        (drift.series.len() as u64).saturating_sub(drift.inputs),
    );
    let worst: Vec<String> = drift
        .drifted()
        .map(|series| {
            let reason = series.reasons.first().map_or("", String::as_str);
            format!("{} {}", cut(&series.name, NAME), cut(reason, NAME))
        })
        .collect();
    if worst.is_empty() {
        return Some(format!(
            "none from {} in {} inputs",
            against(drift),
            drift.inputs
        ));
    }
    let room = VALUE.saturating_sub(all.len() + 2);
    Some(format!("{all}: {}", listed(&worst, 0, room)))
}

fn age(report: &RunReport) -> Option<String> {
    let decay = report.decay.as_ref()?;
    let mut text = decay.trained_at.clone();
    if let Some(days) = decay.model_age_days {
        text.push_str(&match days {
            1 => ", a day ago".to_owned(),
            days => format!(", {days} days ago"),
        });
    }
    if let (Some(metric), Some(newest)) = (&decay.metric, decay.history.last()) {
        let value = newest.value.map_or("not defined".to_owned(), decimals);
        text.push_str(&format!("; {metric} {value} for {}", newest.logical_date));
        if let Some(baseline) = decay.baseline {
            text.push_str(&format!(", baseline {}", decimals(baseline)));
        }
    }
    Some(text)
}

/// The metrics of all records by what happened, as far as there is room.
fn ground_truth(report: &RunReport) -> Option<String> {
    let is_of_all = |row: &&EvaluationRow| {
        row.segment.is_empty() && row.class.is_empty() && row.origin == Origin::Observed
    };
    let rows: Vec<&EvaluationRow> = report.evaluation.iter().filter(is_of_all).collect();
    let first = rows.first().copied().or(report.evaluation.first())?;
    let missing = match first.missing {
        0 => String::new(),
        missing => format!(", {} lack their ground truth", grouped(missing)),
    };
    let all = format!("{} records{missing}: ", grouped(first.records));
    let watched = report
        .decay
        .as_ref()
        .and_then(|decay| decay.metric.as_ref());
    let mut metrics: Vec<&&EvaluationRow> = rows
        .iter()
        .filter(|row| row.logical_date == first.logical_date)
        .collect();
    metrics.sort_by_key(|row| Some(&row.metric) != watched);
    let metrics: Vec<String> = metrics
        .into_iter()
        .filter_map(|row| Some(format!("{} {}", row.metric, decimals(row.value?))))
        .collect();
    let room = VALUE.saturating_sub(all.len());
    let text = format!("{all}{}", listed(&metrics, 0, room));
    Some(text.trim_end_matches([' ', ':']).to_owned())
}

fn time(report: &RunReport) -> String {
    let timing = &report.timing;
    let mut text = format!(
        "{:.2} s ({:.2} s of it planning), {} records/s",
        timing.duration_seconds,
        timing.plan_seconds,
        grouped(timing.records_per_second.round() as u64)
    );
    if timing.attempts > 1 {
        text.push_str(&format!(", {} attempts", timing.attempts));
    }
    if let Some(punctuality) = punctuality(report) {
        text.push_str(&format!(", {punctuality}"));
    }
    text
}

fn cost(report: &RunReport) -> Option<String> {
    let cost = report.cost.as_ref()?;
    let mut text = format!("{} {}", money(cost.amount), cut(&cost.currency, NAME));
    if let Some(million) = cost.per_million_records {
        text.push_str(&format!(" ({} a million records)", money(million)));
    }
    if let Some(month) = &cost.month {
        let (spent, forecast) = (money(month.spent), money(month.forecast));
        let month = &month.month;
        text.push_str(&format!("; {month}: {spent} so far, {forecast} forecast"));
    }
    Some(text)
}

fn alerts(report: &RunReport) -> Option<String> {
    let of = |state: RuleState| report.alerts.iter().filter(move |rule| rule.state == state);
    if report.alerts.is_empty() {
        return None;
    }
    let firing: Vec<String> = of(RuleState::Firing)
        .map(|rule| cut(&rule.rule, NAME))
        .collect();
    let mut all = format!("{} of {} rules firing", firing.len(), report.alerts.len());
    let unknown = of(RuleState::Unknown).count();
    if unknown > 0 {
        all.push_str(&format!(", {unknown} not judged"));
    }
    for state in ["delivered", "pending", "expired"] {
        let deliveries = report.deliveries.iter();
        match deliveries
            .filter(|delivery| delivery.state == state)
            .count()
        {
            0 => {}
            1 => all.push_str(&format!(", 1 message {state}")),
            many => all.push_str(&format!(", {many} messages {state}")),
        }
    }
    if firing.is_empty() {
        return Some(all);
    }
    let room = VALUE.saturating_sub(all.len() + 2);
    Some(format!("{all}: {}", listed(&firing, 0, room)))
}
