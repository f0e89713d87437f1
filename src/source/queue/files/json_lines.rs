//! JSON lines: one object a line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context;

use super::{PushedRecord, at, check_id, no_id};
use crate::error::Failure;
use crate::source::queue::json::{NotAnObject, Token, canonical_integer, for_each_entry, text_of};

/// Longer lines are no records: a file without line ends must not fill the memory.
const LONGEST_LINE: u64 = 64 << 20;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

pub fn read(
    path: &Path,
    file: File,
    id_column: &str,
    visit: &mut dyn FnMut(PushedRecord) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut lines = BufReader::new(file);
    let mut bytes = Vec::new();
    let mut number = 0u64;
    loop {
        bytes.clear();
        let read = lines
            .by_ref()
            .take(LONGEST_LINE + 1)
            .read_until(b'\n', &mut bytes)
            .with_context(|| format!("cannot read {}", path.display()))?;
        if read == 0 {
            return Ok(());
        }
        number += 1;
        let place = format!("line {number}");
        let refused = |problem: &str| {
            Failure::data(format!("{}, {place}: {problem}", path.display()))
                .hint("each line must be one JSON object, in UTF-8")
        };
        if read as u64 > LONGEST_LINE {
            return Err(refused(&format!("longer than {} MiB", LONGEST_LINE >> 20)).into());
        }
        let line = match bytes.strip_prefix(BYTE_ORDER_MARK) {
            Some(line) if number == 1 => line,
            _ => &bytes,
        };
        let line = std::str::from_utf8(line).map_err(|_| refused("not UTF-8"))?;
        let line = line.trim_matches([' ', '\t', '\r', '\n']);
        if line.is_empty() {
            continue;
        }
        let mut id = None;
        let mut payload = String::with_capacity(line.len());
        for_each_entry(line, |key, value| {
            if key == id_column {
                id = Some(Token::of(value));
                return;
            }
            payload.push(if payload.is_empty() { '{' } else { ',' });
            payload.push_str(&serde_json::Value::from(key).to_string());
            payload.push(':');
            payload.push_str(value.get());
        })
        .map_err(|NotAnObject(reason)| refused(&reason))?;
        if payload.is_empty() {
            payload.push('{');
        }
        payload.push('}');
        let record_id = match id {
            None | Some(Token::Null) => return Err(no_id(path, &place, id_column).into()),
            Some(Token::Integer(digits)) => canonical_integer(digits).to_owned(),
            Some(Token::Text(quoted)) => match text_of(quoted) {
                Some(text) => text.into_owned(),
                None => {
                    let problem = "the id holds half of a surrogate pair";
                    return Err(at(path, &place, id_column, problem).into());
                }
            },
            Some(other) => {
                let problem = format!("an id is text or an integer, found {}", other.kind());
                return Err(at(path, &place, id_column, &problem)
                    .hint("write the id as text, in quotes")
                    .into());
            }
        };
        check_id(path, &place, id_column, &record_id)?;
        visit(PushedRecord { record_id, payload })?;
    }
}
