//! SQLite's errors as classes of failure.

use crate::database::{QueryError, Retry};
use crate::error::{Class, Failure};

/// Adds a class and what was being done to a database error.
pub(super) trait Classified<T> {
    /// Like `with_context`, but with a class of failure from SQLite's result code.
    fn classified(self, doing: impl FnOnce() -> String) -> Result<T, QueryError>;
}

impl<T> Classified<T> for Result<T, sqlx::Error> {
    fn classified(self, doing: impl FnOnce() -> String) -> Result<T, QueryError> {
        self.map_err(|error| classify(error, doing))
    }
}

/// The failure that `error` means. Codes: <https://www.sqlite.org/rescode.html>. A transaction that
/// met another one has waited already, and is not tried again.
fn classify(error: sqlx::Error, doing: impl FnOnce() -> String) -> QueryError {
    let code = error
        .as_database_error()
        .and_then(|database| database.code())
        .and_then(|code| code.parse::<u32>().ok());
    // The low byte is the primary result code.
    let (class, hint) = match code.map(|code| code & 0xff) {
        Some(3 | 23) => (Class::Permission, None),
        Some(5 | 6) => (
            Class::Temporary,
            Some("another process holds a lock on the database; start again"),
        ),
        Some(8) => (
            Class::Io,
            Some("the database or its directory is read-only"),
        ),
        Some(13) => (
            Class::Io,
            Some(
                "the disk is full; nothing of the failed transaction was kept, and the next start continues",
            ),
        ),
        Some(10 | 14) => (
            Class::Io,
            Some("check that its directory exists and can be written"),
        ),
        Some(11 | 26) => (
            Class::Io,
            Some("the file is not an intact SQLite database; restore it from a backup"),
        ),
        Some(_) => (Class::Internal, None),
        None => match &error {
            sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => (Class::Io, None),
            _ => (Class::Internal, None),
        },
    };
    let failure = Failure::new(class, format!("{}: {error}", doing()));
    let failure = match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    };
    QueryError::new(failure, Retry::Never)
}
