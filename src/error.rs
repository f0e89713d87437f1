//! Classes of failure and the exit codes they map to.
//!
//! The program works with [`anyhow`] throughout. Where a caller, a scheduler or a person must be
//! able to tell *what kind* of thing went wrong, the error is a [`Failure`]: a class (which fixes
//! the exit code), a message that says what, where and why, and, where there is one, a hint that
//! says what to do. Context added on top never hides the class.

use std::any::Any;
use std::fmt;
use std::io;

/// What kind of thing went wrong. Each class is one exit code of the command line's contract,
/// so that a Kubernetes `podFailurePolicy` can tell what is worth another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The command line was wrong (64).
    Usage,
    /// The data breaks its contract, changed while running, or left too many dead letters (65).
    Data,
    /// There is no input, or less than the job demands (66).
    NoInput,
    /// The database cannot be reached (69).
    Unavailable,
    /// An invariant of Lamplighter itself is broken (70).
    Internal,
    /// Disk or other I/O (74).
    Io,
    /// Interrupted, locked by another process, or input not there yet; the next start continues (75).
    Temporary,
    /// The operating system or the database refused access (77).
    Permission,
    /// Job file, bundle, schema or fingerprint (78).
    Config,
    /// A rule withheld the run, or not all that should be published is (79).
    Withheld,
    /// Past `[schedule] finish_by`; a later start continues (80).
    Late,
}

impl Class {
    /// The class that has this exit code; [`Class::Internal`] if none has.
    pub fn of_exit_code(exit_code: u8) -> Self {
        let mut classes = CLASSES.into_iter();
        classes
            .find(|class| class.exit_code() == exit_code)
            .unwrap_or(Class::Internal)
    }

    /// The process exit code of this class.
    pub fn exit_code(self) -> u8 {
        match self {
            Class::Usage => 64,
            Class::Data => 65,
            Class::NoInput => 66,
            Class::Unavailable => 69,
            Class::Internal => 70,
            Class::Io => 74,
            Class::Temporary => 75,
            Class::Permission => 77,
            Class::Config => 78,
            Class::Withheld => 79,
            Class::Late => 80,
        }
    }
}

/// All classes.
const CLASSES: [Class; 11] = [
    Class::Usage,
    Class::Data,
    Class::NoInput,
    Class::Unavailable,
    Class::Internal,
    Class::Io,
    Class::Temporary,
    Class::Permission,
    Class::Config,
    Class::Withheld,
    Class::Late,
];

/// A classified error: class, message, and a hint on the way out.
#[derive(Clone, Debug)]
pub struct Failure {
    class: Class,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// A failure of `class`; the message says what, where and why.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            hint: None,
        }
    }

    /// A mistake in the job file, the bundle or another setting (78).
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Class::Config, message)
    }

    /// Data that breaks its contract (65).
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(Class::Data, message)
    }

    /// Disk or other I/O (74).
    pub fn io(message: impl Into<String>) -> Self {
        Self::new(Class::Io, message)
    }

    /// A broken invariant of Lamplighter itself (70).
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Class::Internal, message)
    }

    /// Adds what the reader can do about it, without the word "hint".
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The class, and with it the exit code.
    pub fn class(&self) -> Class {
        self.class
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Whether to try the transaction again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It would fail again.
    Never,
    /// It met another transaction, or the connection was lost: the whole of it may succeed on
    /// another try. It may even have been committed.
    Transaction,
}

/// A database's error, classified.
#[derive(Clone, Debug)]
pub struct QueryError {
    failure: Failure,
    retry: Retry,
}

impl QueryError {
    /// An error of this class; `retry` says whether another try makes sense.
    pub fn new(failure: Failure, retry: Retry) -> Self {
        Self { failure, retry }
    }

    /// Whether to try the transaction again.
    pub fn retry(&self) -> Retry {
        self.retry
    }

    /// The classified failure.
    pub fn failure(&self) -> &Failure {
        &self.failure
    }

    /// The classified failure.
    pub fn into_failure(self) -> Failure {
        self.failure
    }
}

impl From<Failure> for QueryError {
    fn from(failure: Failure) -> Self {
        Self::new(failure, Retry::Never)
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(formatter)
    }
}

impl std::error::Error for QueryError {}

/// The class of any error: that of the [`Failure`] in its chain, else what an I/O error in the
/// chain implies, else [`Class::Internal`].
pub fn classify(error: &anyhow::Error) -> Class {
    if let Some(failure) = failure(error) {
        return failure.class;
    }
    match find::<io::Error>(error) {
        Some(io_error) => classify_io(io_error),
        None => Class::Internal,
    }
}

/// The class of an I/O error that reached us without further context.
pub fn classify_io(error: &io::Error) -> Class {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Class::Permission,
        _ => Class::Io,
    }
}

/// The hint of the [`Failure`] in the chain, if it has one.
pub fn hint(error: &anyhow::Error) -> Option<&str> {
    failure(error).and_then(|failure| failure.hint.as_deref())
}

fn failure(error: &anyhow::Error) -> Option<&Failure> {
    find::<Failure>(error).or_else(|| find::<QueryError>(error).map(QueryError::failure))
}

fn find<E: std::error::Error + Send + Sync + 'static>(error: &anyhow::Error) -> Option<&E> {
    error
        .downcast_ref::<E>()
        .or_else(|| error.chain().find_map(|cause| cause.downcast_ref::<E>()))
}

/// What a caught panic said.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn context_keeps_class_and_hint() {
        let error = Err::<(), _>(Failure::data("page is corrupt").hint("copy the file again"))
            .context("flights.parquet")
            .context("shard 3")
            .unwrap_err();
        assert_eq!(classify(&error), Class::Data);
        assert_eq!(hint(&error), Some("copy the file again"));
        assert_eq!(
            format!("{error:#}"),
            "shard 3: flights.parquet: page is corrupt"
        );
    }

    #[test]
    fn io_errors_are_told_apart() {
        let denied = anyhow::Error::from(io::Error::from(io::ErrorKind::PermissionDenied));
        assert_eq!(classify(&denied).exit_code(), 77);
        let full = anyhow::Error::from(io::Error::from(io::ErrorKind::StorageFull)).context("db");
        assert_eq!(classify(&full).exit_code(), 74);
        assert_eq!(classify(&anyhow::anyhow!("?")).exit_code(), 70);
    }
}
