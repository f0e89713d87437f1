//! Files of records to push: Parquet, CSV, JSON lines.
//!
//! Each record becomes its id and a JSON object of the other columns. Invariants: a file is read in
//! one pass, a record at a time; numbers and text keep the digits and characters of the file;
//! what can not be pushed as it is refuses the file with its line, and is never dropped.

mod comma_separated;
mod json_lines;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use anyhow::Context;

use crate::error::{Class, Failure};
use crate::record::LONGEST_ID;
use crate::source::parquet::rows;

/// A record to push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedRecord {
    /// Its id; integers in canonical decimal form.
    pub record_id: String,
    /// A JSON object of its other columns.
    pub payload: String,
}

/// Passes every record of the file to `visit`, whose error ends it. What is wrong with a file may be
/// found after records of it were passed: only a file that was read to its end is whole.
///
/// In CSV, where everything is text, the cells of `numeric_columns` become numbers if they are
/// written as numbers of JSON are, and empty cells are null.
///
/// # Errors
/// The name says of no format that is read (64); there is no file (66); a record has no id, or the
/// file is not what its name says (65), with line or row.
pub fn for_each_record(
    path: &Path,
    id_column: &str,
    numeric_columns: &BTreeSet<String>,
    visit: &mut dyn FnMut(PushedRecord) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    match extension.to_ascii_lowercase().as_str() {
        "parquet" => {
            open(path)?;
            rows::for_each_row(path, id_column, &mut |row| {
                let place = format!("row {}", row.number);
                check_id(path, &place, id_column, &row.record_id)?;
                visit(PushedRecord {
                    record_id: row.record_id,
                    payload: row.object,
                })
            })
        }
        "csv" => comma_separated::read(path, open(path)?, id_column, numeric_columns, visit),
        "jsonl" | "ndjson" => json_lines::read(path, open(path)?, id_column, visit),
        _ => Err(Failure::new(
            Class::Usage,
            format!(
                "{}: the name does not say which format the file has",
                path.display()
            ),
        )
        .hint("files that can be pushed end in .parquet, .csv, .jsonl or .ndjson")
        .into()),
    }
}

fn open(path: &Path) -> anyhow::Result<File> {
    // Nothing is waited for that may never come to an end.
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        let message = format!("{} is not a file", path.display());
        return Err(Failure::new(Class::NoInput, message).into());
    }
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::new(
            Class::NoInput,
            format!("there is no file {}", path.display()),
        )
        .into()),
        opened => opened.with_context(|| format!("cannot open {}", path.display())),
    }
}

/// Refuses an id that no database takes; `place` is its line or row.
fn check_id(path: &Path, place: &str, id_column: &str, record_id: &str) -> Result<(), Failure> {
    if record_id.contains('\0') {
        return Err(
            at(path, place, id_column, "the id contains a NUL character")
                .hint("remove the character where the file is written"),
        );
    }
    if record_id.len() > LONGEST_ID {
        let problem = format!(
            "the id has {} bytes, the limit is {LONGEST_ID}",
            record_id.len()
        );
        return Err(at(path, place, id_column, &problem));
    }
    Ok(())
}

fn no_id(path: &Path, place: &str, id_column: &str) -> Failure {
    at(path, place, id_column, "the record has no id").hint(format!(
        "every record needs an id in `{id_column}`, the column that [source] id_column names"
    ))
}

fn at(path: &Path, place: &str, column: &str, problem: &str) -> Failure {
    Failure::data(format!(
        "{}, {place}, column `{column}`: {problem}",
        path.display()
    ))
}

#[cfg(test)]
mod tests;
