//! The records: whether they can be read, are the model's, and pass.

use std::path::Path;
use std::sync::Arc;

use bytesize::ByteSize;

use super::database::Seen;
use super::{Group, List, Looked, Request, Section, count, setting};
use crate::error::{Class, Failure, classify};
use crate::job::{DuplicatePolicy, Job, LogicalDate, PostgresSource, SourceKind};
use crate::model::Bundle;
use crate::report::text::{files, grouped};
use crate::run::Prepared;
use crate::run::input::Input;
use crate::run::prepare::{check_min_rows, row_sql};
use crate::run::probe::{self, Ids, Scored};
use crate::run::tolerance::Tolerance;

/// Records whose ids are looked at.
const IDS: u64 = 100_000;

/// Records that are scored.
const RECORDS: u64 = 1_000;

/// Items that need the source.
const OF_SOURCE: [&str; 4] = ["min_rows", "columns", "ids", "records"];

pub(super) fn look(
    request: &Request<'_>,
    date: LogicalDate,
    bundle: Option<Bundle>,
    seen: &Seen,
    list: &mut List,
) -> Looked {
    let job = &request.job;
    let mut section = list.group(Group::Input);
    look_for_announcement(job, date, &mut section);
    if is_in_ledger(job) && !seen.is_reachable {
        section.not_looked_at("source", "database");
        for item in OF_SOURCE {
            section.not_looked_at(item, "source");
        }
        return Looked::default();
    }
    let (input, counted, finding) = match open(request, date) {
        Ok(opened) => opened,
        Err(failure) => {
            match look_yourself(job, date, &failure) {
                Some(command) => section.failed_with("source", &failure, command),
                None => section.failed("source", &failure),
            }
            for item in OF_SOURCE {
                section.not_looked_at(item, "source");
            }
            return Looked::default();
        }
    };
    section.passed("source", finding);
    let mut looked = Looked {
        prepared: None,
        records: Some(counted.records()),
    };
    let Some(bundle) = bundle else {
        look_at_count(job, counted, None, &mut section);
        for item in ["columns", "ids", "records"] {
            section.not_looked_at(item, "bundle");
        }
        return looked;
    };
    let features = bundle.encoder.features().len() as u64;
    let prepared = row_sql(job).and_then(|sql| Prepared::of(job, date, None, bundle, sql, input));
    let Some(prepared) = section.settle("columns", prepared) else {
        look_at_count(job, counted, None, &mut section);
        for item in ["ids", "records"] {
            section.not_looked_at(item, "columns");
        }
        return looked;
    };
    let id_column = &job.source.id_column;
    section.passed(
        "columns",
        format!(
            "{} and the id {id_column} are there",
            count(features, "feature")
        ),
    );
    let prepared = Arc::new(prepared);
    let ids = look_at_ids(request, &prepared, &mut section);
    look_at_count(job, counted, ids, &mut section);
    look_at_records(request, &prepared, &mut section);
    looked.prepared = Some(prepared);
    looked
}

/// The command that shows what there is where no file was found.
fn look_yourself(job: &Job, date: LogicalDate, failure: &anyhow::Error) -> Option<String> {
    let SourceKind::Parquet { path, .. } = &job.source.kind else {
        return None;
    };
    let path = date.expand(path).ok()?;
    (classify(failure) == Class::NoInput).then(|| format!("ls -l {path}"))
}

/// Whether the records are in the database of the results.
fn is_in_ledger(job: &Job) -> bool {
    match &job.source.kind {
        SourceKind::Parquet { .. } => false,
        SourceKind::Queue(_) => true,
        SourceKind::Postgres(PostgresSource { url, url_file, .. }) => {
            url.is_none() && url_file.is_none()
        }
    }
}

fn look_for_announcement(job: &Job, date: LogicalDate, section: &mut Section<'_>) {
    const ITEM: &str = "wait_for";
    let Some(marker) = &job.source.wait_for else {
        let line = setting("source", "wait_for = \"…/{date}/_SUCCESS\"");
        return section.not_set_up(ITEM, "input counts as complete when it is there", line);
    };
    let found = date.expand(marker).map_err(anyhow::Error::from);
    let Some(path) = section.settle(ITEM, found) else {
        return;
    };
    if Path::new(&path).exists() {
        return section.passed(ITEM, format!("{path} is there"));
    }
    let seconds = job.source.wait.as_secs();
    let problem = format!("{path} is not there; a run would wait {seconds} s for it");
    let failure = Failure::new(Class::Temporary, problem);
    section.failed_with(ITEM, &failure.into(), format!("touch {path}"));
}

/// How many records there are.
#[derive(Clone, Copy)]
enum Counted {
    Exactly(u64),
    About(u64),
}

impl Counted {
    fn records(self) -> u64 {
        match self {
            Self::Exactly(records) | Self::About(records) => records,
        }
    }
}

fn open(request: &Request<'_>, date: LogicalDate) -> anyhow::Result<(Input, Counted, String)> {
    let job = &request.job;
    let ledger = request.target.as_ref().ok();
    let input = Input::open(job, &date, None, ledger, request.interrupt)?;
    let (counted, finding) = match &input {
        Input::Parquet(input) => {
            let listed = input.files();
            let bytes = listed.iter().map(|file| file.size_bytes).sum();
            let records = input.rows();
            let finding = format!(
                "{}, {}, {}",
                files(listed.len() as u64),
                ByteSize(bytes),
                count(records, "record")
            );
            (Counted::Exactly(records), finding)
        }
        Input::Postgres(input) => {
            let records = input.estimated_rows()?;
            let finding = format!("{}, about {}", input.describe(), count(records, "record"));
            (Counted::About(records), finding)
        }
        Input::Queue(input) => {
            let records = input.waiting(&job.name)?;
            let finding = format!("queue, {} waiting", count(records, "record"));
            (Counted::Exactly(records), finding)
        }
    };
    Ok((input, counted, finding))
}

fn look_at_count(job: &Job, counted: Counted, ids: Option<Ids>, section: &mut Section<'_>) {
    const ITEM: &str = "min_rows";
    let least = job.source.min_rows;
    let (records, how) = match (counted, ids) {
        (Counted::Exactly(records), _) => (records, ""),
        // All of them were read.
        (Counted::About(_), Some(ids)) if ids.records < IDS => (ids.records, ""),
        (Counted::About(records), Some(ids)) => (records.max(ids.records), "about "),
        (Counted::About(records), None) => (records, "about "),
    };
    match check_min_rows(records, least) {
        Ok(()) => section.passed(
            ITEM,
            format!(
                "{how}{}, at least {}",
                count(records, "record"),
                grouped(least)
            ),
        ),
        Err(failure) => {
            let line = setting("source", &format!("min_rows = {records}"));
            section.failed_with(ITEM, &failure.into(), line);
        }
    }
}

fn look_at_ids(
    request: &Request<'_>,
    prepared: &Prepared,
    section: &mut Section<'_>,
) -> Option<Ids> {
    const ITEM: &str = "ids";
    let looked = probe::look_at_ids(prepared, IDS, request.interrupt);
    let ids = section.settle(ITEM, looked)?;
    let which = match ids.records < IDS {
        true => "all ",
        false => "the first ",
    };
    let finding = format!(
        "of {which}{}, {} without an id and {} with a repeated one",
        count(ids.records, "record"),
        grouped(ids.nulls),
        grouped(ids.repeated)
    );
    match too_many(&request.job, ids) {
        None if ids.nulls + ids.repeated == 0 => section.passed(ITEM, finding),
        None => {
            let dead_letters = grouped(ids.nulls + ids.repeated);
            section.passed(ITEM, format!("{finding}: {dead_letters} dead letters"));
        }
        Some(why) => {
            let line = setting("source", "id_column = \"…\"");
            let problem = format!("{finding}; {why}");
            section.failed_with(ITEM, &Failure::data(problem).into(), line);
        }
    }
    Some(ids)
}

/// Why a run would not do with these ids; `None` if it would.
fn too_many(job: &Job, ids: Ids) -> Option<&'static str> {
    if ids.repeated > 0 && job.duplicates == DuplicatePolicy::Fail {
        return Some("[errors] duplicates = \"fail\" allows none of these");
    }
    // Repeated ones are outside the limit.
    let identified = ids.kept.saturating_sub(ids.nulls + ids.repeated);
    let limit = Tolerance::of_date(job.max_dead_letters);
    let is_kept = ids.nulls == 0 || limit.judge(identified, ids.nulls).is_kept;
    (!is_kept).then_some("without one are more than [errors] max_dead_letters allows")
}

fn look_at_records(request: &Request<'_>, prepared: &Arc<Prepared>, section: &mut Section<'_>) {
    const ITEM: &str = "records";
    let scored = probe::score(prepared, RECORDS, request.interrupt);
    let Some(scored) = section.settle(ITEM, scored) else {
        return;
    };
    let rejected = scored.dead_letters.values().sum();
    let limit = Tolerance::of_date(request.job.max_dead_letters);
    let finding = describe(&scored, rejected);
    if limit.judge(scored.predicted, rejected).is_kept {
        return section.passed(ITEM, finding);
    }
    let problem = format!("{finding}; that is beyond [errors] max_dead_letters");
    let file = request.file.display();
    section.failed_with(
        ITEM,
        &Failure::data(problem).into(),
        format!("lamplighter run {file} --limit {RECORDS}; lamplighter dead-letters list"),
    );
}

fn describe(scored: &Scored, rejected: u64) -> String {
    let mut finding = format!(
        "of the first {}, {} scored",
        grouped(scored.records),
        grouped(scored.predicted)
    );
    if scored.filtered > 0 {
        finding += &format!(", {} filtered", grouped(scored.filtered));
    }
    finding += &format!(" and {} dead letters", grouped(rejected));
    let mut worst: Vec<_> = scored.dead_letters.iter().collect();
    worst.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let worst: Vec<String> = worst
        .into_iter()
        .take(3)
        .map(|((code, field), count)| match field {
            Some(field) => format!("{code} {field} {count}"),
            None => format!("{code} {count}"),
        })
        .collect();
    if !worst.is_empty() {
        finding += &format!(" ({})", worst.join(", "));
    }
    finding
}
