//! One file for each subcommand: options in, calls, and what to print.

pub mod alerts;
pub mod backfill;
mod check;
pub mod completions;
pub mod db;
pub mod dead_letters;
pub mod drift;
pub mod evaluate;
pub mod init;
mod isolated_worker;
pub mod man;
pub mod model;
pub mod plan;
mod profile;
mod prune;
pub mod queue;
pub mod records;
pub mod report;
mod retry;
pub mod run;
pub mod runs;
pub mod status;

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use crate::alert::{self, Effort};
use crate::cli::{Cli, Command, Format, GlobalOptions, JobOptions, LogFormat};
use crate::database::postgres::has_password_in_url;
use crate::database::{read_url, variable};
use crate::error::{Class, Failure};
use crate::interrupt::Interrupt;
use crate::job::{Job, LoadOptions};
use crate::ledger::{Access, LARGEST_SKEW, Ledger, Publication, Run, Target, TargetOptions};
use crate::report::{Ending, RunReport, Verdict};
use crate::terminal::Terminal;

/// Where the database is if nothing says otherwise.
const DEFAULT_DATABASE: &str = "sqlite://lamplighter.db";

/// What every command is given, beside its own options.
pub struct Invocation<'a> {
    /// Options of every command.
    pub global: &'a GlobalOptions,
    /// The process's streams.
    pub terminal: &'a Terminal,
    /// Whether somebody wants it to stop.
    pub interrupt: &'a Interrupt,
}

/// Runs the command. Returns the exit code.
///
/// # Errors
/// Whatever the command meets; [`crate::error::classify`] gives the exit code.
pub fn dispatch(cli: Cli, terminal: &Terminal, interrupt: &Interrupt) -> anyhow::Result<u8> {
    let invocation = &Invocation {
        global: &cli.global,
        terminal,
        interrupt,
    };
    if cli.global.format == Format::Html && !matches!(cli.command, Command::Report(_)) {
        return Err(Failure::new(
            Class::Usage,
            "--format html is for `lamplighter report` alone",
        )
        .hint("leave it out, or ask for --format json")
        .into());
    }
    match cli.command {
        Command::Run(options) => run::run(&options, invocation),
        Command::Backfill(options) => backfill::run(&options, invocation),
        Command::Plan(options) => plan::run(&options, invocation),
        Command::Status(options) => status::run(&options, invocation),
        Command::Check(options) => check::run(&options, invocation),
        Command::Runs(command) => runs::run(&command, invocation),
        Command::Report(options) => report::run(&options, invocation),
        Command::Drift(options) => drift::run(&options, invocation),
        Command::Evaluate(options) => evaluate::run(&options, invocation),
        Command::Alerts(command) => alerts::run(&command, invocation),
        Command::DeadLetters(command) => dead_letters::run(&command, invocation),
        Command::Queue(command) => queue::run(&command, invocation),
        Command::Model(command) => model::run(&command, invocation),
        Command::Records(command) => records::run(&command, invocation),
        Command::Db(command) => db::run(&command, invocation),
        Command::Init(options) => init::run(&options, invocation),
        Command::Completions(options) => completions::run(&options, invocation),
        Command::Man(options) => man::run(&options, invocation),
        Command::IsolatedWorker(options) => isolated_worker::run(&options, invocation),
    }
}

/// The ledger that the command line, the environment and the job mean.
fn target(invocation: &Invocation<'_>, job: Option<&Job>) -> anyhow::Result<Target> {
    let sink = job.map(|job| &job.sink);
    let url = database_url(
        invocation.global,
        sink.and_then(|sink| sink.database.as_deref()),
    )?;
    let mut options = match sink {
        Some(sink) => TargetOptions {
            schema: sink.schema.clone(),
            connections: sink.connections,
            retry_for: sink.retry_for,
            password_command: sink.password_command.clone(),
        },
        None => TargetOptions::default(),
    };
    if let Some(schema) = &invocation.global.schema {
        options.schema.clone_from(schema);
    }
    Target::new(&url, &options, invocation.interrupt)
}

/// The database's URL: --database, DATABASE_URL, the file DATABASE_URL_FILE, the job's, the default.
fn database_url(global: &GlobalOptions, of_job: Option<&str>) -> anyhow::Result<String> {
    if let Some(url) = global.database.as_ref().filter(|url| !url.is_empty()) {
        if has_password_in_url(url) {
            return Err(password_among_arguments(
                "--database",
                "give the whole URL in DATABASE_URL or DATABASE_URL_FILE",
            )
            .into());
        }
        return Ok(url.clone());
    }
    if let Some(url) = variable("DATABASE_URL")? {
        return Ok(url);
    }
    if let Some(path) = env::var_os("DATABASE_URL_FILE") {
        return read_url("DATABASE_URL_FILE", Path::new(&path));
    }
    Ok(of_job.unwrap_or(DEFAULT_DATABASE).to_owned())
}

/// Loads the job that a command is given.
fn load_job(options: &JobOptions) -> anyhow::Result<Job> {
    let JobOptions { job, env, set } = options;
    let settings = set.iter().filter_map(|set| set.split_once('='));
    for (key, value) in settings {
        if has_password_in_url(value.trim_matches(['"', '\''])) {
            return Err(password_among_arguments(
                &format!("--set {key}"),
                "put \"${VARIABLE}\" into the job file",
            )
            .into());
        }
    }
    let options = LoadOptions {
        env: env.clone(),
        set: set.clone(),
        variables: &|name| env::var(name).ok(),
    };
    Ok(Job::load(job, &options)?)
}

fn password_among_arguments(argument: &str, instead: &str) -> Failure {
    Failure::new(
        Class::Usage,
        format!("{argument} holds a password, which every user of this host could read in the list of processes"),
    )
    .hint(format!(
        "leave it out and use PGPASSFILE or PGPASSWORD, or {instead}"
    ))
}

/// A stored report, with what became of the run after it was made.
fn current(mut report: RunReport, run: &Run) -> RunReport {
    let count = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
    if run.erased > 0 {
        let counts = &mut report.counts;
        counts.predicted = count(run.predicted).unwrap_or(counts.predicted);
        counts.dead_letters = count(run.dead_letters).unwrap_or(counts.dead_letters);
        counts.duplicates = count(run.duplicates).unwrap_or(counts.duplicates);
        counts.erased = count(Some(run.erased)).unwrap_or(counts.erased);
    }
    let ending = &mut report.outcome;
    if run.publication == Publication::Published && ending.verdict == Verdict::Withheld {
        *ending = Ending {
            verdict: Verdict::Published,
            explanation: format!(
                "consumers see it, by hand or with its retried dead letters; before that: {}",
                ending.explanation
            ),
            exit_code: 0,
        };
    } else if run.publication == Publication::Withheld && ending.verdict == Verdict::Published {
        *ending = Ending {
            verdict: Verdict::Withheld,
            explanation: format!(
                "consumers do not see it any more; when it ended: {}",
                ending.explanation
            ),
            exit_code: ending.exit_code,
        };
    }
    report
}

/// Says that a run's dead letters are not all there.
fn tell_pruned(run: &Run) {
    if let Some(at) = &run.dead_letters_pruned_at {
        tracing::warn!(
            run = %run.name(),
            pruned_at = at,
            "dead letters of this run were pruned ([retention] dead_letters): what is left is shown"
        );
    }
}

/// From here on this process stops by the job's `finish_by`, and tells if its clock is not the one
/// that counts. Returns what time it is.
fn keep_time(job: &Job, target: &Target, interrupt: &Interrupt) -> anyhow::Result<Timestamp> {
    let here = Timestamp::now();
    let now = target.now()?;
    let ahead = here.duration_since(now);
    if ahead.abs() > LARGEST_SKEW {
        tracing::warn!(
            seconds_ahead = ahead.as_secs(),
            "this host's clock is not the database's, which is the one that counts"
        );
    }
    if let Some(deadline) = job.schedule.deadline(now) {
        let left = Duration::try_from(deadline.duration_since(now)).unwrap_or_default();
        let shown = deadline.to_zoned_datetime(job.schedule.timezone.clone());
        interrupt.finish_by(left, shown.strftime("%Y-%m-%d %H:%M:%S %Z").to_string());
    }
    Ok(now)
}

/// What a process for single shards of this job is started with.
fn isolated_arguments(options: &JobOptions, global: &GlobalOptions) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["isolated-worker".into(), options.job.clone().into()];
    let mut add = |option: &str, value: &str| arguments.extend([option.into(), value.into()]);
    if let Some(env) = &options.env {
        add("--env", env);
    }
    for set in &options.set {
        add("--set", set);
    }
    if let Some(url) = &global.database {
        add("--database", url);
    }
    if let Some(schema) = &global.schema {
        add("--schema", schema);
    }
    if global.log_format == LogFormat::Json {
        add("--log-format", "json");
    }
    arguments.extend((0..global.verbose).map(|_| "--verbose".into()));
    arguments
}

/// Delivers the alerts that are owed. That it fails costs no run: it is told, and the next start tries again.
fn deliver(ledger: &mut Ledger, job: &Job, effort: Effort, invocation: &Invocation<'_>) {
    if let Err(error) = alert::deliver_pending(ledger, job, effort, invocation.interrupt) {
        tracing::warn!(
            job = job.name,
            "alerts are still owed, the next start delivers them: {error:#}"
        );
    }
}

/// Opens the ledger, acts, and closes it, whatever came of it.
fn with_ledger<T>(
    target: &Target,
    access: Access,
    act: impl FnOnce(&mut Ledger) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut ledger = target.open(access)?;
    let outcome = act(&mut ledger);
    let closed = ledger.close();
    let value = outcome?;
    closed?;
    Ok(value)
}

/// Looks at the ledger, as it is at one moment.
fn look<T>(
    invocation: &Invocation<'_>,
    look: impl FnOnce(&mut Ledger) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let target = target(invocation, None)?;
    with_ledger(&target, Access::Read, |ledger| ledger.at_one_moment(look))
}

/// The run of this name, the newest one of this job, or the newest one.
fn find_run(ledger: &mut Ledger, name: Option<&str>) -> anyhow::Result<Run> {
    let (run, missing) = match name {
        Some(job) if !job.contains('@') => (
            ledger.latest_run(Some(job))?,
            format!("there is no run of a job {job}"),
        ),
        Some(name) => (
            ledger.run_named(&name.parse()?)?,
            format!("there is no run {name}"),
        ),
        None => (ledger.latest_run(None)?, "there are no runs yet".to_owned()),
    };
    run.ok_or_else(|| {
        Failure::new(Class::Usage, missing)
            .hint("runs are called job@date#generation; `lamplighter runs list` shows those of the database, and --database names another one")
            .into()
    })
}
