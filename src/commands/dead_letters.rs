//! `lamplighter dead-letters`: look at records that could not be scored.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;

use super::{Invocation, find_run, look, retry, tell_pruned};
use crate::cli::{DeadLettersCommand, DeadLettersOptions, ExportOptions};
use crate::error::{Class, Failure};
use crate::ledger::{DeadLetterFilter, Ledger, StoredDeadLetter};
use crate::printable;
use crate::terminal::Terminal;

/// Runs the command.
///
/// # Errors
/// There is no such run or dead letter (64); the output can not be written (74); the database's.
pub fn run(command: &DeadLettersCommand, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    let terminal = invocation.terminal;
    match command {
        DeadLettersCommand::List(options) => {
            look(invocation, |ledger| list(ledger, options, terminal))?;
        }
        DeadLettersCommand::Show { record_id, run } => look(invocation, |ledger| {
            show(ledger, record_id, run.as_deref(), terminal)
        })?,
        DeadLettersCommand::Export { options } => {
            look(invocation, |ledger| export(ledger, options, terminal))?;
        }
        DeadLettersCommand::Retry(options) => return retry::run(options, invocation),
    }
    Ok(0)
}

fn list(
    ledger: &mut Ledger,
    options: &DeadLettersOptions,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let run = find_run(ledger, options.run.as_deref())?;
    tell_pruned(&run);
    let filter = DeadLetterFilter {
        code: options.code.as_deref(),
        ..DeadLetterFilter::default()
    };
    let letters = ledger.dead_letters(run.run_id, filter, options.limit)?;
    let counts = ledger.dead_letter_counts(run.run_id)?;
    let recovered = ledger.recovered(run.run_id)?;
    let total: u64 = counts
        .iter()
        .filter(|count| filter.code.is_none_or(|code| code == count.code))
        .map(|count| count.records)
        .sum();
    terminal.print_either(&letters, || {
        if total == 0 {
            return format!("{} has no such dead letters", run.name());
        }
        let mut text = table(&letters);
        if total > letters.len() as u64 {
            // Writing to a String can not fail.
            let _ = writeln!(
                text,
                "{} of {total} dead letters of {}; --limit shows more, `dead-letters export` all",
                letters.len(),
                run.name()
            );
        }
        if recovered > 0 {
            let _ = writeln!(
                text,
                "{recovered} records of {} were dead letters and have been scored by retries since",
                run.name()
            );
        }
        text
    })
}

/// Dead letters that one id can have and be shown: duplicates repeat an id.
const MOST_SHOWN: u32 = 1000;

fn show(
    ledger: &mut Ledger,
    record_id: &str,
    run: Option<&str>,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let run = find_run(ledger, run)?;
    tell_pruned(&run);
    let filter = DeadLetterFilter {
        record_id: Some(record_id),
        ..DeadLetterFilter::default()
    };
    let letters = ledger.dead_letters(run.run_id, filter, MOST_SHOWN)?;
    if letters.is_empty() {
        return Err(Failure::new(
            Class::Usage,
            format!(
                "{} has no dead letter with the id `{record_id}`",
                run.name()
            ),
        )
        .hint(
            "`lamplighter dead-letters list` shows the run's dead letters; --run names another run",
        )
        .into());
    }
    terminal.print_either(&letters, || table(&letters))
}

fn table(letters: &[StoredDeadLetter]) -> String {
    let mut text = format!(
        "{:>10}  {:<32} {:<9} {:<18} {:<20} {}\n",
        "ORDINAL", "RECORD", "STAGE", "CODE", "FIELD", "MESSAGE"
    );
    for letter in letters {
        let _ = writeln!(
            text,
            "{:>10}  {:<32} {:<9} {:<18} {:<20} {}",
            letter.ordinal,
            cell(letter.record_id.as_deref()),
            letter.stage,
            letter.code,
            cell(letter.field.as_deref()),
            cell(Some(&letter.message))
        );
    }
    text
}

/// A text from outside as one cell: whatever it holds, it stays on its line.
fn cell(text: Option<&str>) -> String {
    printable::one_line(text.unwrap_or("-"))
}

fn export(ledger: &mut Ledger, options: &ExportOptions, terminal: &Terminal) -> anyhow::Result<()> {
    let run = find_run(ledger, options.run.as_deref())?;
    tell_pruned(&run);
    match options.output.as_deref() {
        Some(path) => {
            let context = || format!("cannot write {}", path.display());
            let mut file = BufWriter::new(File::create(path).with_context(context)?);
            let written = each_line(ledger, run.run_id, options, |line| {
                writeln!(file, "{line}").with_context(context)
            })?;
            file.flush().with_context(context)?;
            tell(written, path);
            Ok(())
        }
        None => each_line(
            ledger,
            run.run_id,
            options,
            |line| Ok(terminal.print(line)?),
        )
        .map(drop),
    }
}

fn tell(written: u64, path: &Path) {
    tracing::info!(dead_letters = written, path = %path.display(), "exported");
}

/// Passes each dead letter as a line of JSON to `write`. Returns how many there were.
fn each_line(
    ledger: &mut Ledger,
    run_id: i64,
    options: &ExportOptions,
    mut write: impl FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let mut written = 0;
    ledger.for_each_dead_letter(run_id, options.code.as_deref(), |letter| {
        written += 1;
        write(&printable::json(&serde_json::to_string(letter)?))
    })?;
    Ok(written)
}
