//! The deployment checklist: what would keep a run from succeeding, found before it begins.
//!
//! Everything that a run needs is opened and looked at, the first records are scored, and nothing is
//! run or written (SQLite itself folds the log that a killed writer left into the file when its last
//! reader closes it: what is stored stays the same, the bytes do not). Each [`Item`] stands for itself: one that failed keeps no other from being looked
//! at, unless that one needs it. `job`, `input`, `model`, `database` and `host` look at one group of
//! items each, in the order in which they need each other; [`text`] is the list for people.

mod database;
mod file_system;
mod host;
mod input;
mod job;
mod model;
pub mod text;

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use crate::error::{self, Class};
use crate::interrupt::Interrupt;
use crate::job::{Job, LogicalDate, SourceKind};
use crate::ledger::Target;
use crate::report::text::grouped;
use crate::run::Prepared;

/// What is looked at.
pub struct Request<'a> {
    /// Path of the job file.
    pub file: &'a Path,
    /// The job.
    pub job: Job,
    /// Its overlay.
    pub env: Option<&'a str>,
    /// How many of its keys the command line overrides.
    pub overrides: usize,
    /// The date that is asked for.
    pub date: Option<&'a str>,
    /// The ledger, or why its address makes no sense.
    pub target: anyhow::Result<Target>,
    /// Whether somebody wants it to stop.
    pub interrupt: &'a Interrupt,
}

/// What an item is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// The job file and the calendar.
    Job,
    /// The records.
    Input,
    /// The bundle.
    Model,
    /// Where the results go.
    Database,
    /// This machine.
    Host,
}

/// What came of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is as a run needs it.
    Passed,
    /// It would keep a run from succeeding.
    Failed,
    /// It can be left out, and is; or it comes with the first run.
    NotSetUp,
    /// It needs something that failed.
    NotLookedAt,
}

/// One line of the list.
#[derive(Clone, Debug, Serialize)]
pub struct Item {
    /// What it is about.
    pub group: Group,
    /// Its name, unique within the group.
    pub item: &'static str,
    /// What came of it.
    pub status: Status,
    /// Whether a job needs it at all.
    pub required: bool,
    /// What was found.
    pub finding: String,
    /// The setting or command that mends it, unless it passed.
    pub mend: Option<String>,
    /// What a run would exit with, if it failed.
    pub exit_code: Option<u8>,
}

/// What can be left out.
const OPTIONAL: [&str; 8] = [
    "alerts",
    "metrics",
    "date in source",
    "finish_by",
    "wait_for",
    "digest",
    "test vectors",
    "reference profile",
];

/// The whole list.
#[derive(Clone, Debug, Serialize)]
pub struct Checklist {
    /// Name of the job, if there is one.
    pub job: Option<String>,
    /// The date whose input was looked at.
    pub logical_date: Option<String>,
    /// What came of all items.
    pub overall: Overall,
    /// The items, group by group.
    pub items: Vec<Item>,
}

/// How many items came to what.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Overall {
    /// Whether no item failed.
    pub passed: bool,
    /// 0, or that of the first item that failed.
    pub exit_code: u8,
    /// Items that passed.
    pub items_passed: usize,
    /// Items that failed.
    pub items_failed: usize,
    /// Items that are not set up.
    pub items_not_set_up: usize,
    /// Items that need one that failed.
    pub items_not_looked_at: usize,
}

/// Looks at everything.
///
/// # Errors
/// To stop is requested (75); the date that was asked for is none (64). Whatever else is wrong is an
/// item of the list.
pub fn check(mut request: Request<'_>) -> anyhow::Result<Checklist> {
    // To hash all of the input's bytes takes as long as the input is large.
    if let SourceKind::Parquet { strict, .. } = &mut request.job.source.kind {
        *strict = false;
    }
    let interrupt = request.interrupt;
    let mut list = List::default();
    let seen = database::look(&request, &mut list);
    interrupt.check()?;
    let now = seen.now.unwrap_or_else(Timestamp::now);
    let date = request.job.schedule.resolve(request.date, now)?;
    job::look(&request, date, now, &mut list);
    let bundle = model::look(&request, &mut list);
    interrupt.check()?;
    let looked = input::look(&request, date, bundle, &seen, &mut list);
    interrupt.check()?;
    model::look_at_memory(&request, &looked, &mut list);
    host::look(&request, &looked, &seen, &mut list);
    interrupt.check()?;
    Ok(list.finish(Some((&request.job.name, date))))
}

/// The list of a job file that makes up no job.
pub fn without_job(failure: &anyhow::Error) -> Checklist {
    let mut list = List::default();
    let mut job = list.group(Group::Job);
    job.failed("job file", failure);
    for group in [Group::Input, Group::Model, Group::Database, Group::Host] {
        list.group(group).not_looked_at("everything", "job file");
    }
    list.finish(None)
}

/// What is known of the input.
#[derive(Default)]
struct Looked {
    /// The input with the model, if both can be opened and go together.
    prepared: Option<std::sync::Arc<Prepared>>,
    /// Number of records, at least about.
    records: Option<u64>,
}

/// Items on their way into the list.
#[derive(Default)]
struct List(Vec<Item>);

impl List {
    fn group(&mut self, group: Group) -> Section<'_> {
        Section { group, list: self }
    }

    fn finish(mut self, job: Option<(&str, LogicalDate)>) -> Checklist {
        self.0.sort_by_key(|item| item.group);
        let count = |status| self.0.iter().filter(|item| item.status == status).count();
        let first = self.0.iter().find_map(|item| item.exit_code);
        let overall = Overall {
            passed: first.is_none(),
            exit_code: first.unwrap_or_default(),
            items_passed: count(Status::Passed),
            items_failed: count(Status::Failed),
            items_not_set_up: count(Status::NotSetUp),
            items_not_looked_at: count(Status::NotLookedAt),
        };
        Checklist {
            job: job.map(|(name, _)| name.to_owned()),
            logical_date: job.map(|(_, date)| date.to_string()),
            overall,
            items: self.0,
        }
    }
}

/// Takes the items of one group.
struct Section<'a> {
    group: Group,
    list: &'a mut List,
}

impl Section<'_> {
    fn passed(&mut self, item: &'static str, finding: impl Into<String>) {
        self.push(item, Status::Passed, finding.into(), None, None);
    }

    fn not_set_up(
        &mut self,
        item: &'static str,
        finding: impl Into<String>,
        mend: impl Into<String>,
    ) {
        let mend = Some(mend.into());
        self.push(item, Status::NotSetUp, finding.into(), mend, None);
    }

    /// `needed` is the item that failed.
    fn not_looked_at(&mut self, item: &'static str, needed: &str) {
        let finding = format!("it needs the item `{needed}`, which did not pass");
        let mend = Some(format!("see `{needed}`"));
        self.push(item, Status::NotLookedAt, finding, mend, None);
    }

    fn failed(&mut self, item: &'static str, failure: &anyhow::Error) {
        let usual = || "--verbose says more in the log".to_owned();
        let mend = error::hint(failure).map_or_else(usual, one_line);
        self.failed_with(item, failure, mend);
    }

    /// As [`failed`](Self::failed), with another way out than the failure's own.
    fn failed_with(
        &mut self,
        item: &'static str,
        failure: &anyhow::Error,
        mend: impl Into<String>,
    ) {
        let class = error::classify(failure);
        let finding = one_line(&format!("{failure:#}"));
        self.push(
            item,
            Status::Failed,
            finding,
            Some(mend.into()),
            Some(class),
        );
    }

    /// Fails the item of an error, and passes the value on otherwise.
    fn settle<T>(&mut self, item: &'static str, outcome: anyhow::Result<T>) -> Option<T> {
        outcome.map_err(|failure| self.failed(item, &failure)).ok()
    }

    fn push(
        &mut self,
        item: &'static str,
        status: Status,
        finding: String,
        mend: Option<String>,
        class: Option<Class>,
    ) {
        self.list.0.push(Item {
            group: self.group,
            item,
            status,
            required: !OPTIONAL.contains(&item),
            finding,
            mend,
            exit_code: class.map(Class::exit_code),
        });
    }
}

/// A message of several lines as one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A number of things, in words.
fn count(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", grouped(number))
}

/// A line of a job file, and the section that it belongs to.
fn setting(section: &str, line: &str) -> String {
    format!("{line}  # in [{section}]")
}
