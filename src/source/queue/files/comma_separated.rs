//! CSV: a line of column names, then one record a line (or more, where a quoted cell holds line
//! ends).

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

use anyhow::Context;
use csv::{ErrorKind, ReaderBuilder, StringRecord};

use super::{PushedRecord, check_id, no_id};
use crate::error::Failure;
use crate::source::queue::json::is_number;
use crate::suggest::nearest;

/// The longest record that is read, in bytes: the reader has room for whatever comes before the
/// next line end.
const LONGEST_RECORD: u64 = 64 << 20;

/// A file of which no record may be longer than what is left.
struct Bounded {
    file: File,
    left: Rc<Cell<u64>>,
}

impl Read for Bounded {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(bytes)?;
        let left = self.left.get().checked_sub(read as u64);
        self.left.set(left.ok_or(io::ErrorKind::FileTooLarge)?);
        Ok(read)
    }
}

/// A column other than the id's.
struct CsvColumn {
    index: usize,
    /// The name and a colon, as they stand in a JSON object.
    key: String,
    is_numeric: bool,
}

pub fn read(
    path: &Path,
    file: File,
    id_column: &str,
    numeric_columns: &BTreeSet<String>,
    visit: &mut dyn FnMut(PushedRecord) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let left = Rc::new(Cell::new(LONGEST_RECORD));
    let bounded = Bounded {
        file,
        left: left.clone(),
    };
    let mut reader = ReaderBuilder::new().from_reader(bounded);
    let header = reader
        .headers()
        .map_err(|error| refused(path, error))?
        .clone();
    let (id_index, columns) = columns(path, &header, id_column, numeric_columns)?;
    let mut record = StringRecord::new();
    let mut last_record = (0, 1);
    while reader
        .read_record(&mut record)
        .map_err(|error| refused(path, error))?
    {
        let (byte, line) = record
            .position()
            .map_or(last_record, |position| (position.byte(), position.line()));
        last_record = (byte, line);
        left.set(LONGEST_RECORD);
        let place = format!("line {line}");
        let cell = |index| record.get(index).unwrap_or_default();
        let record_id = cell(id_index);
        if record_id.is_empty() {
            return Err(no_id(path, &place, id_column).into());
        }
        check_id(path, &place, id_column, record_id)?;
        let mut payload = String::from("{");
        for column in &columns {
            if payload.len() > 1 {
                payload.push(',');
            }
            payload.push_str(&column.key);
            match cell(column.index) {
                "" => payload.push_str("null"),
                number if column.is_numeric && is_number(number) => payload.push_str(number),
                text => payload.push_str(&serde_json::Value::from(text).to_string()),
            }
        }
        payload.push('}');
        visit(PushedRecord {
            record_id: record_id.to_owned(),
            payload,
        })?;
    }
    check_end(path, reader.into_inner().file, last_record)
}

/// A quote that is never closed makes one cell of all that follows, which the reader takes as it
/// is: the records in it would be lost.
fn check_end(path: &Path, mut file: File, (byte, line): (u64, u64)) -> anyhow::Result<()> {
    let context = || format!("cannot read {}", path.display());
    file.seek(SeekFrom::Start(byte)).with_context(context)?;
    let mut rest = BufReader::new(file);
    let mut quotes = 0;
    loop {
        let bytes = rest.fill_buf().with_context(context)?;
        if bytes.is_empty() {
            break;
        }
        quotes += bytes.iter().filter(|byte| **byte == b'"').count();
        let length = bytes.len();
        rest.consume(length);
    }
    if quotes % 2 != 0 {
        let place = format!("{}, line {line}", path.display());
        return Err(
            Failure::data(format!("{place}: a double quote is never closed"))
                .hint("a cell that holds a quote stands in double quotes, with that quote doubled")
                .into(),
        );
    }
    Ok(())
}

/// Index of the id's column, and the other columns.
fn columns(
    path: &Path,
    header: &StringRecord,
    id_column: &str,
    numeric_columns: &BTreeSet<String>,
) -> anyhow::Result<(usize, Vec<CsvColumn>)> {
    let mut seen = BTreeSet::new();
    for (index, name) in header.iter().enumerate() {
        let problem = if name.is_empty() {
            format!("column {} has no name", index + 1)
        } else if !seen.insert(name) {
            format!("there is more than one column `{name}`")
        } else {
            continue;
        };
        return Err(
            Failure::data(format!("{}, line 1: {problem}", path.display()))
                .hint("the first line must name every column, each by its own name")
                .into(),
        );
    }
    let Some(id_index) = header.iter().position(|name| name == id_column) else {
        let there: Vec<&str> = header.iter().collect();
        let failure = Failure::data(format!(
            "{}, line 1: there is no column `{id_column}` for the ids; the columns are {}",
            path.display(),
            there.join(", ")
        ));
        // One name alone is more likely a line of names that something else separates.
        let near = nearest(id_column, there).filter(|_| header.len() > 1);
        return Err(match near {
            Some(near) => failure.hint(format!(
                "did you mean `{near}`? [source] id_column names the column"
            )),
            None => failure.hint(
                "the first line must name the columns, separated by commas; [source] id_column says which one holds the ids",
            ),
        }
        .into());
    };
    let columns = header
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != id_index)
        .map(|(index, name)| CsvColumn {
            index,
            key: format!("{}:", serde_json::Value::from(name)),
            is_numeric: numeric_columns.contains(name),
        })
        .collect();
    Ok((id_index, columns))
}

/// What the reader refuses, in words of ours: its own may repeat cells.
fn refused(path: &Path, error: csv::Error) -> anyhow::Error {
    let line = error.position().map_or(1, csv::Position::line);
    let place = format!("{}, line {line}", path.display());
    match error.into_kind() {
        ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            let problem = format!("longer than {} MiB", LONGEST_RECORD >> 20);
            Failure::data(format!("{}: a record is {problem}", path.display()))
                .hint("is it CSV, and is every double quote closed?")
                .into()
        }
        ErrorKind::Io(error) => {
            anyhow::Error::from(error).context(format!("cannot read {}", path.display()))
        }
        ErrorKind::Utf8 { err, .. } => {
            Failure::data(format!("{place}, column {}: not UTF-8", err.field() + 1))
                .hint("save the file in UTF-8")
                .into()
        }
        ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => Failure::data(format!(
            "{place}: {len} cells, but the first line names {expected_len} columns"
        ))
        .hint("a cell that holds a comma, a quote or a line end stands in double quotes")
        .into(),
        _ => Failure::data(format!("{place}: not CSV")).into(),
    }
}
