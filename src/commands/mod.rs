//! One file for each subcommand: options in, calls, and what to print.

pub mod db;
pub mod dead_letters;
pub mod report;
pub mod run;
pub mod runs;

use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::cli::{Cli, Command, GlobalOptions};
use crate::error::{Class, Failure};
use crate::interrupt::Interrupt;
use crate::ledger::{Access, Ledger, Run};
use crate::terminal::Terminal;

/// Where the database is if nothing says otherwise.
const DEFAULT_DATABASE: &str = "sqlite://lamplighter.db";

/// Runs the command. Returns the exit code.
///
/// # Errors
/// Whatever the command meets; [`crate::error::classify`] gives the exit code.
pub fn dispatch(cli: Cli, terminal: &Terminal, interrupt: &Interrupt) -> anyhow::Result<u8> {
    let global = &cli.global;
    match cli.command {
        Command::Run(options) => run::run(&options, global, terminal, interrupt),
        Command::Runs(command) => runs::run(&command, global, terminal),
        Command::Report(options) => report::run(&options, global, terminal),
        Command::DeadLetters(command) => dead_letters::run(&command, global, terminal),
        Command::Db(command) => db::run(&command, global, terminal),
    }
}

/// The database's URL: --database or DATABASE_URL, the file DATABASE_URL_FILE, the job's, the
/// default.
fn database_url(global: &GlobalOptions, of_job: Option<&str>) -> anyhow::Result<String> {
    let given = global.database.as_ref().filter(|url| !url.is_empty());
    if let Some(url) = given {
        return Ok(url.clone());
    }
    if let Some(path) = std::env::var_os("DATABASE_URL_FILE") {
        let path = Path::new(&path);
        let url = fs::read_to_string(path)
            .with_context(|| format!("cannot read DATABASE_URL_FILE {}", path.display()))?;
        return Ok(url.trim().to_owned());
    }
    Ok(of_job.unwrap_or(DEFAULT_DATABASE).to_owned())
}

/// Opens the ledger, acts, and closes it, whatever came of it.
fn with_ledger<T>(
    url: &str,
    access: Access,
    act: impl FnOnce(&mut Ledger) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut ledger = Ledger::open(url, access)?;
    let outcome = act(&mut ledger);
    let closed = ledger.close();
    let value = outcome?;
    closed?;
    Ok(value)
}

/// Looks at the ledger, as it is at one moment.
fn look<T>(
    global: &GlobalOptions,
    look: impl FnOnce(&mut Ledger) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let url = database_url(global, None)?;
    with_ledger(&url, Access::Read, |ledger| ledger.at_one_moment(look))
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
