//! The report as one page for a browser.
//!
//! The page is for somebody who has ten seconds in the morning, and then perhaps ten minutes: it begins with
//! the verdict and what is to be done, and ends with where all came from. It is one file without scripts
//! that asks for nothing else, so that it can be kept, mailed and opened anywhere. What comes from outside
//! gets into it by minijinja, which escapes it, or as a text of a plot, which plotters escapes.

mod alerts;
mod drift;
mod evaluation;
mod history;
mod machine;
mod plots;
mod provenance;
mod records;
#[cfg(test)]
mod tests;
mod timing;
mod verdict;
mod words;

use anyhow::Context;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value, escape_formatter};
use serde::Serialize;

use super::RunReport;
use super::assessment::Assessment;
use crate::printable::one_line;
use plots::Plot;

/// What a page is made of.
pub struct Page<'a> {
    /// The report.
    pub report: &'a RunReport,
    /// What it comes to.
    pub assessment: &'a Assessment,
    /// Earlier runs of the job, the oldest first, this one not among them.
    pub past: &'a [PastRun],
    /// Some of the dead letters.
    pub examples: &'a [DeadLetterExample],
}

/// What is shown of an earlier run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PastRun {
    /// `job@date#generation`.
    pub run: String,
    /// Logical date.
    pub logical_date: String,
    /// `published`, `withheld`, `trial` or `unfinished`.
    pub verdict: String,
    /// Records scored.
    pub predicted: u64,
    /// Records that could not be scored.
    pub dead_letters: u64,
    /// Records of the run.
    pub planned: u64,
    /// Wall-clock time, in seconds.
    pub duration_seconds: f64,
    /// What it cost, in the job's currency.
    pub cost: Option<f64>,
}

impl PastRun {
    /// What is shown of a run of which there is this report.
    pub fn of(report: &RunReport) -> Self {
        Self {
            run: report.run.clone(),
            logical_date: report.logical_date.clone(),
            verdict: report.outcome.verdict.as_str().to_owned(),
            predicted: report.counts.predicted,
            dead_letters: report.counts.dead_letters,
            planned: report.counts.planned,
            duration_seconds: report.timing.duration_seconds,
            cost: report.cost.as_ref().map(|cost| cost.amount),
        }
    }
}

/// A dead letter, as an example of its kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeadLetterExample {
    /// `read`, `validate` or `infer`.
    pub stage: String,
    /// Why, for machines.
    pub code: String,
    /// The column at fault, if it was one.
    pub field: Option<String>,
    /// Which record of the input it was.
    pub ordinal: i64,
    /// Its id, if ids are to be shown: they may be personal data.
    pub record_id: Option<String>,
    /// Why, for people.
    pub message: String,
}

/// A plot with its title and what else is to be said of it.
#[derive(Debug, Serialize)]
struct Figure {
    title: String,
    note: Option<String>,
    plot: Plot,
}

/// What there is to say of a figure: its name, and the figure.
#[derive(Debug, PartialEq, Serialize)]
struct Entry {
    name: &'static str,
    value: String,
}

impl Entry {
    fn new(name: &'static str, value: impl Into<String>) -> Self {
        Self {
            name,
            value: value.into(),
        }
    }
}

/// All that the template is told.
#[derive(Serialize)]
struct View<'a> {
    style: &'static str,
    run: &'a str,
    job: &'a str,
    verdict: verdict::View<'a>,
    records: records::View,
    timing: timing::View,
    outputs: drift::Outputs,
    drift: drift::View,
    evaluation: evaluation::View,
    alerts: alerts::View,
    machine: machine::View,
    history: history::View,
    provenance: Vec<Entry>,
}

/// Renders a page.
///
/// # Errors
/// Those of the template and of what draws the plots: of both, mistakes of this program.
pub fn render(page: &Page<'_>) -> anyhow::Result<String> {
    let report = page.report;
    let view = View {
        style: include_str!("page.css"),
        run: &report.run,
        job: &report.job,
        verdict: verdict::view(page),
        records: records::view(page),
        timing: timing::view(report)?,
        outputs: drift::outputs(report)?,
        drift: drift::view(report)?,
        evaluation: evaluation::view(report)?,
        alerts: alerts::view(report),
        machine: machine::view(report),
        history: history::view(page)?,
        provenance: provenance::view(report),
    };
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()?,
    );
    environment.set_formatter(|out, state, value| match value.as_str() {
        // Neither may a name turn the order of what stands beside it.
        Some(text) if !value.is_safe() => {
            escape_formatter(out, state, &Value::from(one_line(text)))
        }
        _ => escape_formatter(out, state, value),
    });
    // What is called so is escaped as HTML.
    environment.add_template("page.html", include_str!("page.html"))?;
    let template = environment.get_template("page.html")?;
    template
        .render(Serde(view))
        .context("cannot render the page")
}
