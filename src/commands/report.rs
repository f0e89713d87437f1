//! `lamplighter report`: show a run's report.

use std::path::Path;

use anyhow::Context;
use serde_json::json;

use super::{Invocation, current, find_run, look, tell_pruned};
use crate::alert::Message;
use crate::cli::{Format, ReportOptions};
use crate::error::{Class, Failure};
use crate::job::Thresholds;
use crate::ledger::{EvaluationRow, Ledger, OutboxRow, Publication, Run};
use crate::monitor::{Drift, Profile};
use crate::printable;
use crate::report::assessment::Assessment;
use crate::report::compare::{self, Comparison};
use crate::report::html::{DeadLetterExample, Page, PastRun};
use crate::report::{RunReport, html, text};
use crate::run::decay::history;
use crate::whole_file;

/// Earlier runs that a page shows.
const PAST_RUNS: u32 = 30;

/// Dead letters of each kind that a page shows.
const EXAMPLES: u32 = 3;

/// Runs the command.
///
/// # Errors
/// There is no such run, or it is not finished (64); the file can not be written (74); the database's.
pub fn run(options: &ReportOptions, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    let format = invocation.global.format;
    let content = match &options.compare {
        Some(before) => {
            refuse_options_of_a_page(options)?;
            let compared = look(invocation, |ledger| {
                let before = find_run(ledger, Some(before))?;
                let after = find_run(ledger, options.run.as_deref())?;
                compare(ledger, &before, &after)
            })?;
            match format {
                Format::Text => printable::text(&compare::render(&compared)),
                Format::Json => printable::json(&serde_json::to_string(&compared)?),
                Format::Html => {
                    return Err(Failure::new(Class::Usage, "a comparison has no HTML")
                        .hint("leave --format out, or ask for --format json")
                        .into());
                }
            }
        }
        None => {
            let found = look(invocation, |ledger| {
                let run = find_run(ledger, options.run.as_deref())?;
                find(ledger, run, options, format)
            })?;
            tell_pruned(&found.run);
            render(&found, options, format)?
        }
    };
    match &options.output {
        Some(file) if file.as_os_str() != "-" => write(file, content)?,
        _ => invocation
            .terminal
            .print(&content)
            .context("cannot write to standard output")?,
    }
    Ok(0)
}

fn refuse_options_of_a_page(options: &ReportOptions) -> Result<(), Failure> {
    match options.all || options.record_ids {
        true => Err(Failure::new(
            Class::Usage,
            "--all and --record-ids are for the report of one run, not for --compare",
        )),
        false => Ok(()),
    }
}

/// A run and what a report of it tells.
struct Found {
    run: Run,
    report: RunReport,
    past: Vec<PastRun>,
    examples: Vec<DeadLetterExample>,
}

fn find(
    ledger: &mut Ledger,
    run: Run,
    options: &ReportOptions,
    format: Format,
) -> anyhow::Result<Found> {
    let report = report(ledger, &run)?;
    let (mut past, mut examples) = (Vec::new(), Vec::new());
    if format == Format::Html {
        for stored in ledger.past_reports(&run.job, run.run_id, PAST_RUNS)? {
            // One that an older version wrote may lack what a later one needs.
            past.extend(
                serde_json::from_str::<RunReport>(&stored)
                    .ok()
                    .map(|past| PastRun::of(&past)),
            );
        }
        past.reverse();
        let stored = ledger.examples_of_dead_letters(run.run_id, EXAMPLES)?;
        examples.extend(stored.into_iter().map(|letter| DeadLetterExample {
            stage: letter.stage,
            code: letter.code,
            field: letter.field,
            ordinal: letter.ordinal,
            record_id: letter.record_id.filter(|_| options.record_ids),
            message: letter.message,
        }));
    }
    Ok(Found {
        run,
        report,
        past,
        examples,
    })
}

/// The report of a run, with what became of it since.
fn report(ledger: &mut Ledger, run: &Run) -> anyhow::Result<RunReport> {
    let stored = ledger.report(run.run_id)?.ok_or_else(|| no_report(run))?;
    let mut report = current(serde_json::from_str(&stored)?, run);
    if run.publication == Publication::Published {
        let evaluations = ledger.evaluations_of_date(&run.job, &run.logical_date)?;
        let is_of_run = |row: &EvaluationRow| row.model_version == run.model_version;
        report.evaluation = evaluations.into_iter().filter(is_of_run).collect();
    }
    if let Some(decay) = &mut report.decay
        && let Some(metric) = &decay.metric
    {
        // What was known when the run ended says nothing of the run itself.
        let model = (run.model_name.as_str(), run.model_version.as_str());
        decay.history = history(ledger, &run.job, model, metric)?;
    }
    let owed = ledger.owed_of_run(run.run_id)?;
    add_evaluated(&mut report, &owed);
    report.deliveries = owed.into_iter().map(|row| row.delivery).collect();
    Ok(report)
}

/// Adds rules that fired after the run had ended, once it was known what was true.
fn add_evaluated(report: &mut RunReport, owed: &[OutboxRow]) {
    for row in owed {
        let is_known = report
            .alerts
            .iter()
            .any(|judged| judged.rule == row.delivery.rule);
        // One that another version wrote may hold what this one does not know.
        if let (false, Ok(message)) = (is_known, serde_json::from_str::<Message>(&row.message)) {
            report.alerts.push(message.judged());
        }
    }
}

fn no_report(run: &Run) -> Failure {
    if let Some(at) = &run.report_pruned_at {
        return Failure::new(
            Class::Usage,
            format!("the report of {} was pruned at {at}", run.name()),
        )
        .hint("[retention] reports says how long reports are kept; `lamplighter runs show` tells what is left of the run");
    }
    let standing = match run.state.is_unfinished() {
        true => "not finished",
        false => run.state.as_str(),
    };
    Failure::new(
        Class::Usage,
        format!("{} is {standing} and has no report", run.name()),
    )
    .hint("a run has a report once it is finished; `lamplighter runs show` tells how far it is")
}

fn render(found: &Found, options: &ReportOptions, format: Format) -> anyhow::Result<String> {
    let report = &found.report;
    Ok(match format {
        Format::Text if options.all => printable::text(&text::render_all(report)),
        Format::Text => printable::text(&text::render(report)),
        Format::Json => {
            let mut json = json!(report);
            json["assessment"] = json!(Assessment::of(report));
            printable::json(&json.to_string())
        }
        Format::Html => html::render(&Page {
            report,
            assessment: &Assessment::of(report),
            past: &found.past,
            examples: &found.examples,
        })?,
    })
}

fn compare(ledger: &mut Ledger, before: &Run, after: &Run) -> anyhow::Result<Comparison> {
    let reports = (report(ledger, before)?, report(ledger, after)?);
    let profiles = (profile(ledger, before)?, profile(ledger, after)?);
    let drift = profiles.0.zip(profiles.1).map(|(reference, current)| {
        let against = before.name().to_string();
        Drift::between(&reference, &current, &against, &Thresholds::default())
    });
    Ok(Comparison::between(&reports.0, &reports.1, drift))
}

fn profile(ledger: &mut Ledger, run: &Run) -> anyhow::Result<Option<Profile>> {
    let stored = ledger.profile(run.run_id)?;
    Ok(stored
        .map(|stored| serde_json::from_str(&stored))
        .transpose()?)
}

/// Writes `content` with a line end, so that nobody ever opens half a report.
fn write(file: &Path, mut content: String) -> anyhow::Result<()> {
    /// As of any file that a program makes for its user.
    const MODE: u32 = 0o666;
    if !content.ends_with('\n') {
        content.push('\n');
    }
    whole_file::replace(file, content.as_bytes(), MODE)
        .with_context(|| format!("cannot write {}", file.display()))
}
