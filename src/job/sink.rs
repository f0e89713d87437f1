//! Where a job's results go, complete and checked.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::places::Places;
use super::spec::SinkSection;
use super::{IDENTIFIER_LENGTH, command, in_range, not_empty};
use crate::error::Failure;

const CONNECTIONS: RangeInclusive<u64> = 1..=64;

/// Where the results go.
#[derive(Clone)]
pub struct Sink {
    /// Database URL, if the job names one. May hold a password: never print it.
    pub database: Option<String>,
    /// The schema of Postgres that holds the tables: `[a-z_][a-z0-9_]{0,62}`, none of Postgres'
    /// own.
    pub schema: String,
    /// Connections that one process may hold at a time, 1 to 64.
    pub connections: usize,
    /// How long to go on when the database does not answer.
    pub retry_for: Duration,
    /// A program and its arguments, which prints the database's password; never empty.
    pub password_command: Option<Vec<String>>,
}

pub(super) fn resolve(sink: SinkSection, places: &Places) -> Result<Sink, Failure> {
    if let Some(database) = &sink.database {
        not_empty("sink", "database", database, places)?;
    }
    if !is_schema(&sink.schema) {
        let shown = places.shown("sink", "schema", &sink.schema);
        let problem = format!(
            "expected up to {IDENTIFIER_LENGTH} of a-z, 0-9 and `_`, not beginning with a digit or `pg_`, and not `information_schema`; found {shown}"
        );
        return Err(places.failure("sink", "schema", problem));
    }
    let connections = in_range("sink", "connections", sink.connections, CONNECTIONS, places)?;
    Ok(Sink {
        database: sink.database,
        schema: sink.schema,
        connections: connections as usize,
        retry_for: sink.retry_for,
        password_command: command("sink", sink.password_command, places)?,
    })
}

/// `[a-z_][a-z0-9_]{0,62}`, but for the names that Postgres keeps for itself.
fn is_schema(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.len() <= IDENTIFIER_LENGTH
        && text.bytes().all(word)
        && text.starts_with(|first: char| !first.is_ascii_digit())
        && !text.starts_with("pg_")
        && text != "information_schema"
}
