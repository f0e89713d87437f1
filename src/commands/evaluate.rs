//! `lamplighter evaluate`: hold predictions against what was true.

use std::fmt::{self, Write};

use serde_json::json;

use super::{Invocation, deliver, load_job, target, with_ledger};
use crate::alert::Effort;
use crate::cli::EvaluateOptions;
use crate::evaluation::{self, Delivery, Evaluation, Named, Request};
use crate::job::SourceKind;
use crate::ledger::{Access, EvaluationRow, Origin};
use crate::model::Bundle;
use crate::monitor::Reference;
use crate::printable::one_line;
use crate::report::text::grouped;
use crate::report::{Decay, JudgedRule, RuleState, evaluation as text};
use crate::run::decay::decay;

/// Runs the command.
///
/// # Errors
/// The ground truth can not be read (66, 65) or is not described (78); the task has none (78); the
/// database's.
pub fn run(options: &EvaluateOptions, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    let job = load_job(&options.job)?;
    let bundle = Bundle::load(&job.model)?;
    let reference = Reference::of(&bundle)?;
    let target = target(invocation, Some(&job))?;
    let delivered = match &options.ground_truth {
        Some(path) => Some(SourceKind::files(path)),
        None => job.ground_truth.source.clone(),
    };
    let request = Request {
        job: &job,
        bundle: &bundle,
        reference: reference.as_ref(),
        delivered,
        origin: match options.corrections {
            true => Origin::Correction,
            false => Origin::Observed,
        },
        target: &target,
        interrupt: invocation.interrupt,
    };
    let (evaluation, aged, alerts) = with_ledger(&target, Access::Write, |ledger| {
        let evaluation = evaluation::evaluate(&request, ledger)?;
        let alerts = evaluation::alerts::alert(ledger, &job, &evaluation.metrics)?;
        deliver(ledger, &job, Effort::Persistent, invocation);
        let aged = match &reference {
            Some(reference) => {
                let rules = &job.drift.retrain;
                let aged = decay(ledger, &job.name, &bundle, reference, rules, None)?;
                Some(aged)
            }
            None => None,
        };
        Ok((evaluation, aged, alerts))
    })?;
    let mut json = json!(evaluation);
    json["decay"] = json!(aged);
    json["alerts"] = json!(alerts);
    invocation
        .terminal
        .print_either(&json, || render(&evaluation, aged.as_ref(), &alerts))?;
    Ok(0)
}

fn render(evaluation: &Evaluation, aged: Option<&Decay>, alerts: &[JudgedRule]) -> String {
    let mut text = String::new();
    // Writing to a String can not fail.
    let _ = write(&mut text, evaluation, aged, alerts);
    text
}

fn write(
    out: &mut String,
    evaluation: &Evaluation,
    aged: Option<&Decay>,
    alerts: &[JudgedRule],
) -> fmt::Result {
    writeln!(out, "{}", evaluation.job)?;
    if let Some(delivery) = &evaluation.delivery {
        write_delivery(out, delivery)?;
    }
    for (what, named) in [
        (
            "of records that consumers see no prediction of",
            &evaluation.unknown_records,
        ),
        (
            "of classes that the model does not have",
            &evaluation.unknown_labels,
        ),
    ] {
        write_named(out, what, named)?;
    }
    writeln!(
        out,
        "  {} predictions, {} of them lack their ground truth",
        grouped(evaluation.predictions),
        grouped(evaluation.missing)
    )?;
    if let Some(decay) = aged {
        writeln!(out, "\n  age of the model")?;
        text::write_decay(out, decay)?;
    }
    if !alerts.is_empty() {
        writeln!(out, "\n  alerts")?;
    }
    for judged in alerts {
        let state = match judged.state {
            RuleState::Firing => judged.severity.as_str().to_uppercase(),
            RuleState::Quiet => "quiet".to_owned(),
            RuleState::Unknown => "unknown".to_owned(),
        };
        writeln!(
            out,
            "    {state:<9} {}: {}",
            judged.rule,
            one_line(&judged.summary)
        )?;
    }
    writeln!(out, "\n  metrics")?;
    if evaluation.metrics.is_empty() {
        writeln!(out, "    none: no prediction has its ground truth")?;
    }
    let of_all_dates: Vec<EvaluationRow> = evaluation
        .metrics
        .iter()
        .filter(|row| row.logical_date.is_empty())
        .cloned()
        .collect();
    text::write_metrics(out, &of_all_dates)?;
    if let (Some(metric), false) = (evaluation.watched, evaluation.metrics.is_empty()) {
        writeln!(
            out,
            "\n  {metric} by date (--format json and the table evaluations have all)"
        )?;
        text::write_dates(out, &evaluation.metrics, metric)?;
    }
    Ok(())
}

fn write_delivery(out: &mut String, delivery: &Delivery) -> fmt::Result {
    writeln!(
        out,
        "  {} rows of ground truth read, {} stored",
        grouped(delivery.rows),
        grouped(delivery.stored)
    )?;
    write_named(
        out,
        "repeat a record; the first counts",
        &delivery.duplicates,
    )?;
    for (count, what) in [
        (delivery.contradictions, "of these contradict the first"),
        (
            delivery.without_id,
            "have no id, or none that a record can have",
        ),
        (delivery.without_truth, "say nothing of what was true"),
    ] {
        if count > 0 {
            writeln!(out, "    {} {what}", grouped(count))?;
        }
    }
    Ok(())
}

fn write_named(out: &mut String, what: &str, named: &Named) -> fmt::Result {
    if named.count == 0 {
        return Ok(());
    }
    let examples: Vec<String> = named.examples.iter().map(|name| one_line(name)).collect();
    let more = if named.count > examples.len() as u64 {
        ", …"
    } else {
        ""
    };
    writeln!(
        out,
        "    {} {what}: {}{more}",
        grouped(named.count),
        examples.join(", ")
    )
}
