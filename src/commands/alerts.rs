//! `lamplighter alerts`: see whether alerts arrive.

use std::fmt::Write;

use serde_json::json;

use super::{Invocation, load_job};
use crate::alert::{self, deliver::Tested};
use crate::cli::{AlertsCommand, JobOptions};
use crate::error::Class;
use crate::job::{AlertRule, Job};

/// Runs the command. Returns 69 if a receiver did not take a test.
///
/// # Errors
/// The job file can not be used (78).
pub fn run(command: &AlertsCommand, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    match command {
        AlertsCommand::Test(options) => test(options, invocation),
    }
}

fn test(options: &JobOptions, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    let job = load_job(options)?;
    let tested = alert::send_test(&job);
    let silent: Vec<&AlertRule> = job
        .alerts
        .iter()
        .filter(|rule| rule.webhook.is_none() && rule.exec.is_none())
        .collect();
    let sent: Vec<_> = tested
        .iter()
        .map(|tested| json!({ "rule": tested.rule, "action": tested.action, "problem": tested.problem }))
        .collect();
    let untold: Vec<_> = silent.iter().map(|rule| &rule.name).collect();
    let json = json!({ "job": job.name, "sent": sent, "without_receiver": untold });
    invocation
        .terminal
        .print_either(&json, || render(&job, &tested, &silent))?;
    Ok(match tested.iter().any(|tested| tested.problem.is_some()) {
        true => Class::Unavailable.exit_code(),
        false => 0,
    })
}

fn render(job: &Job, tested: &[Tested], silent: &[&AlertRule]) -> String {
    let mut text = String::new();
    // Writing to a String can not fail.
    if job.alerts.is_empty() {
        let _ = writeln!(text, "{} has no [[alert]]", job.name);
    }
    for tested in tested {
        let outcome = match &tested.problem {
            None => "taken".to_owned(),
            Some(problem) => format!("NOT TAKEN: {problem}"),
        };
        let _ = writeln!(text, "{:<24} {:<8} {outcome}", tested.rule, tested.action);
    }
    for rule in silent {
        let what = match rule.withhold {
            true => "withholds the run and tells nobody",
            false => "stands in the report and tells nobody",
        };
        let _ = writeln!(text, "{:<24} {:<8} {what}", rule.name, "-");
    }
    text
}
