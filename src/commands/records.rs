//! `lamplighter records`: erase records by their ids, prove that they were.
//!
//! Ids are personal data: they are counted, never logged.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt::Write;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

use super::{Invocation, target, with_ledger};
use crate::cli::{EraseOptions, IdsOptions, RecordsCommand};
use crate::error::{Class, Failure, classify};
use crate::ledger::{Access, ErasedFrom, Erasure, ErasureKey, Ledger, Run, Tombstone};
use crate::printable::one_line;
use crate::report::text::grouped;
use crate::source::queue::for_each_record;
use crate::terminal::Terminal;

const KEY_FILE: &str = "LAMPLIGHTER_ERASURE_KEY_FILE";

/// Extensions of files that hold the ids in a column.
const TABLES: [&str; 4] = ["parquet", "csv", "jsonl", "ndjson"];

/// What an erasure came to.
#[derive(Serialize)]
struct Summary {
    dry_run: bool,
    /// Different ids that were asked for.
    ids: u64,
    /// Of these, found.
    found: u64,
    /// Of the others, those that were erased before; unknown to a dry run.
    erased_before: Option<u64>,
    #[serde(flatten)]
    erased: ErasedFrom,
    /// Runs that may still hold records.
    unfinished_runs: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// The file of ids or the key is at fault (64, 65, 66, 77, 78); to stop is requested (75); the role
/// may not delete (77); the database's. Returns 75 if a run under way may still hold records, and 70
/// if rows of a run are not the ones that were committed.
pub fn run(command: &RecordsCommand, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    match command {
        RecordsCommand::Erase(options) if options.dry_run => count(options, invocation),
        RecordsCommand::Erase(options) => erase(options, invocation),
        RecordsCommand::Erased { ids, key_file } => prove(ids, key_file.as_deref(), invocation),
    }
}

fn count(options: &EraseOptions, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    let erasure = Erasure::new(read_ids(&options.ids)?.into_iter().collect());
    let target = target(invocation, None)?;
    let job = options.job.as_deref();
    let (erased, unfinished) = with_ledger(&target, Access::Read, |ledger| {
        ledger.at_one_moment(|ledger| {
            refuse_unknown(ledger, job)?;
            let found = ledger.find_records(&erasure, job)?;
            Ok((found, unfinished(ledger, job)?))
        })
    })?;
    let summary = Summary {
        dry_run: true,
        ids: erasure.len() as u64,
        found: erased.found.len() as u64,
        erased_before: None,
        erased,
        unfinished_runs: unfinished
            .iter()
            .map(|run| run.name().to_string())
            .collect(),
    };
    tell(&summary, invocation.terminal)?;
    Ok(0)
}

fn erase(options: &EraseOptions, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    let key = read_key(options.key_file.as_deref())?;
    let erasure = Erasure::new(read_ids(&options.ids)?.into_iter().collect());
    let target = target(invocation, None)?;
    let job = options.job.as_deref();
    // To look first spares a mistyped name from creating a database.
    with_ledger(&target, Access::Read, |ledger| refuse_unknown(ledger, job))?;
    let (summary, broken) = with_ledger(&target, Access::Write, |ledger| {
        erase_all(ledger, &erasure, &key, job, invocation)
    })?;
    tell(&summary, invocation.terminal)?;
    if let Some(failure) = broken {
        return Err(failure);
    }
    if summary.unfinished_runs.is_empty() {
        return Ok(0);
    }
    Err(Failure::new(
        Class::Temporary,
        format!(
            "not finished, so that they may still hold records: {}",
            summary.unfinished_runs.join(", ")
        ),
    )
    .hint(
        "`lamplighter run` finishes a run, `lamplighter runs cancel` gives it up; then erase again",
    )
    .into())
}

/// Erases, run by run. One whose rows are not the ones that were committed does not save the others:
/// its failure is returned.
fn erase_all(
    ledger: &mut Ledger,
    erasure: &Erasure,
    key: &ErasureKey,
    job: Option<&str>,
    invocation: &Invocation<'_>,
) -> anyhow::Result<(Summary, Option<anyhow::Error>)> {
    let interrupt = invocation.interrupt;
    let proceed = &mut || Ok(interrupt.check()?);
    let mut erased = ErasedFrom::default();
    let mut broken = None;
    ledger.overwrite_deleted()?;
    // Whatever is planned from here on is read anew.
    let before = ledger.runs_of_job(job)?;
    let mut names: BTreeMap<i64, String> = unfinished_of(&before);
    ledger.erase_from_queue(erasure, key, job, &mut erased)?;
    for run in &before {
        let outcome = match run.pruned_at {
            // All of it is to go.
            Some(_) => ledger.prune_run(run, proceed).map(drop),
            None => ledger.erase_from_run(run, erasure, key, &mut erased, proceed),
        };
        match outcome {
            Err(failure) if classify(&failure) == Class::Internal => {
                // The last one is told at the end.
                if let Some(earlier) = broken.replace(failure) {
                    invocation.terminal.error(&earlier);
                }
            }
            outcome => outcome?,
        }
    }
    ledger.scrub()?;
    // What was planned, or taken up again and ended, meanwhile may have read the records before they
    // were deleted there.
    let known: BTreeMap<i64, &Run> = before.iter().map(|run| (run.run_id, run)).collect();
    let is_as_before = |run: &Run| {
        known.get(&run.run_id).is_some_and(|known| {
            (known.state, &known.completed_at) == (run.state, &run.completed_at)
        })
    };
    let after = ledger.runs_of_job(job)?;
    names.extend(unfinished_of(&after));
    names.extend(
        after
            .iter()
            .filter(|run| !is_as_before(run))
            .map(|run| (run.run_id, run.name().to_string())),
    );
    let tokens: Vec<String> = erasure
        .ids()
        .filter(|id| !erased.found.contains(*id))
        .map(|id| key.token(id))
        .collect();
    let summary = Summary {
        dry_run: false,
        ids: erasure.len() as u64,
        found: erased.found.len() as u64,
        erased_before: Some(ledger.tombstones(&tokens)?.len() as u64),
        erased,
        unfinished_runs: names.into_values().collect(),
    };
    Ok((summary, broken))
}

/// Under a mistyped name nothing would be found, and the records would stay.
fn refuse_unknown(ledger: &mut Ledger, job: Option<&str>) -> anyhow::Result<()> {
    let Some(job) = job else { return Ok(()) };
    if ledger.latest_run(Some(job))?.is_some() || !ledger.queue_stats(Some(job))?.is_empty() {
        return Ok(());
    }
    let problem = format!("neither runs nor the queue know a job {job}");
    Err(Failure::new(Class::Usage, problem)
        .hint("`lamplighter runs list` shows runs with their jobs; without --job the records of all jobs are erased")
        .into())
}

fn unfinished(ledger: &mut Ledger, job: Option<&str>) -> anyhow::Result<Vec<Run>> {
    let mut runs = ledger.runs_of_job(job)?;
    runs.retain(|run| run.state.is_unfinished());
    Ok(runs)
}

fn unfinished_of(runs: &[Run]) -> BTreeMap<i64, String> {
    runs.iter()
        .filter(|run| run.state.is_unfinished())
        .map(|run| (run.run_id, run.name().to_string()))
        .collect()
}

fn tell(summary: &Summary, terminal: &Terminal) -> anyhow::Result<()> {
    terminal.print_either(summary, || {
        let erased = &summary.erased;
        let mut text = match summary.dry_run {
            true => "dry run, nothing is erased\n".to_owned(),
            false => String::new(),
        };
        let missing = summary.ids - summary.found;
        let before = summary.erased_before.unwrap_or(0);
        let lines = [
            ("ids", grouped(summary.ids)),
            ("found", grouped(summary.found)),
            (
                "not found",
                match before {
                    0 => grouped(missing),
                    before => format!("{}, {} erased before", grouped(missing), grouped(before)),
                },
            ),
            ("predictions", grouped(erased.predictions)),
            ("dead letters", grouped(erased.dead_letters)),
            ("queue", grouped(erased.queue)),
            ("inputs", grouped(erased.inputs)),
            ("runs", grouped(erased.runs)),
        ];
        for (name, value) in lines {
            // Writing to a String can not fail.
            let _ = writeln!(text, "    {name:<14}{value}");
        }
        for run in &summary.unfinished_runs {
            let _ = writeln!(text, "    {:<14}{run}", "not finished");
        }
        text
    })
}

/// That an id was erased.
#[derive(Serialize)]
struct Proof {
    record_id: String,
    erased: bool,
    erased_at: Option<String>,
    places: u64,
    token: String,
}

fn prove(
    ids: &IdsOptions,
    key_file: Option<&Path>,
    invocation: &Invocation<'_>,
) -> anyhow::Result<u8> {
    let key = read_key(key_file)?;
    let ids = read_ids(ids)?;
    let tokens: Vec<String> = ids.iter().map(|id| key.token(id)).collect();
    let target = target(invocation, None)?;
    let found = with_ledger(&target, Access::Read, |ledger| {
        ledger.at_one_moment(|ledger| ledger.tombstones(&tokens))
    })?;
    let found: BTreeMap<&str, &Tombstone> = found
        .iter()
        .map(|tombstone| (tombstone.token.as_str(), tombstone))
        .collect();
    let proofs: Vec<Proof> = ids
        .into_iter()
        .zip(tokens)
        .map(|(record_id, token)| {
            let tombstone = found.get(token.as_str());
            Proof {
                record_id,
                erased: tombstone.is_some(),
                erased_at: tombstone.map(|tombstone| tombstone.erased_at.clone()),
                places: tombstone.map_or(0, |tombstone| tombstone.places),
                token,
            }
        })
        .collect();
    invocation.terminal.print_either(&proofs, || {
        let mut text = format!(
            "{:<32} {:<26} {:>7}  {}\n",
            "RECORD", "ERASED", "PLACES", "TOKEN"
        );
        for proof in &proofs {
            let _ = writeln!(
                text,
                "{:<32} {:<26} {:>7}  {}",
                one_line(&proof.record_id),
                proof.erased_at.as_deref().unwrap_or("no"),
                proof.places,
                proof.token
            );
        }
        text
    })?;
    Ok(0)
}

fn read_key(named: Option<&Path>) -> anyhow::Result<ErasureKey> {
    let file = match named {
        Some(file) => file.to_owned(),
        None => env::var_os(KEY_FILE)
            .filter(|file| !file.is_empty())
            .map(PathBuf::from)
            .ok_or_else(|| {
                Failure::new(
                    Class::Usage,
                    "tombstones need a key: neither --key-file nor LAMPLIGHTER_ERASURE_KEY_FILE names one",
                )
                .hint("(umask 077; head -c 32 /dev/urandom > erasure.key) makes a key; keep it: without it nobody can prove what was erased")
            })?,
    };
    Ok(ErasureKey::read(&file)?)
}

/// The different ids of a file, in their order.
fn read_ids(options: &IdsOptions) -> anyhow::Result<Vec<String>> {
    let path = &options.ids;
    let mut ids = Vec::new();
    let mut seen = BTreeSet::new();
    let mut add = |id: String| {
        if seen.insert(id.clone()) {
            ids.push(id);
        }
    };
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    if TABLES.contains(&extension.to_ascii_lowercase().as_str()) {
        for_each_record(path, &options.id_column, &BTreeSet::new(), &mut |record| {
            add(record.record_id);
            Ok(())
        })?;
    } else {
        let lines: Box<dyn Read> = match path.as_os_str() == "-" {
            true => Box::new(io::stdin().lock()),
            false => Box::new(open(path)?),
        };
        let lines = BufReader::new(lines).lines();
        for (line, number) in lines.zip(1u64..) {
            let line = line.with_context(|| format!("{}, line {number}", path.display()));
            let line = line.map_err(|error| match error.downcast_ref::<io::Error>() {
                Some(cause) if cause.kind() == io::ErrorKind::InvalidData => Failure::data(
                    format!("{}, line {number}: not UTF-8", path.display()),
                )
                .hint(
                    "the file holds one id a line; tables end in .parquet, .csv, .jsonl or .ndjson",
                )
                .into(),
                _ => error,
            })?;
            let mut id = line.strip_suffix('\r').unwrap_or(&line);
            // As spreadsheets write text.
            if number == 1 {
                id = id.strip_prefix('\u{feff}').unwrap_or(id);
            }
            if id.contains('\0') {
                let problem = "the id contains a NUL character, which no record's id has";
                return Err(
                    Failure::data(format!("{}, line {number}: {problem}", path.display())).into(),
                );
            }
            if !id.is_empty() {
                add(id.to_owned());
            }
        }
    }
    if ids.is_empty() {
        return Err(Failure::new(
            Class::NoInput,
            format!("{} holds no ids", path.display()),
        )
        .hint("one id a line, or a column of ids in a file that ends in .parquet, .csv, .jsonl or .ndjson")
        .into());
    }
    Ok(ids)
}

fn open(path: &Path) -> anyhow::Result<fs::File> {
    match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::new(
            Class::NoInput,
            format!("there is no file {}", path.display()),
        )
        .into()),
        opened => opened.with_context(|| format!("cannot open {}", path.display())),
    }
}
