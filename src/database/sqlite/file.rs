//! The database's file, and the lock that keeps a second writer out.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::Context;

use crate::error::{Class, Failure, classify_io};
use crate::interrupt::Interrupt;

/// How URLs of SQLite files begin.
const SCHEME: &str = "sqlite:";

/// The file that `url` (`sqlite://PATH`) names.
///
/// # Errors
/// It names none (78).
pub fn file_of(url: &str) -> anyhow::Result<PathBuf> {
    let refuse = |why: &str| {
        Failure::config(format!("the database URL {why}"))
            .hint("an SQLite file is named sqlite://PATH, such as sqlite://lamplighter.db or sqlite:///var/lib/lamplighter/lamplighter.db")
    };
    let rest = url
        .strip_prefix(SCHEME)
        .ok_or_else(|| refuse("does not begin with sqlite:"))?;
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() {
        return Err(refuse("names no file").into());
    }
    if path.starts_with(":memory:") || path.contains('?') {
        return Err(refuse("must name a file, without parameters").into());
    }
    Ok(PathBuf::from(path))
}

/// # Errors
/// The file's directory is not there (74).
pub(super) fn refuse_missing_directory(database: &Path) -> anyhow::Result<()> {
    match database.parent() {
        Some(directory) if !directory.as_os_str().is_empty() && !directory.is_dir() => {
            Err(Failure::io(format!(
                "cannot create {}: {} is no directory",
                database.display(),
                directory.display()
            ))
            .hint("create the directory first, or name another database with --database")
            .into())
        }
        _ => Ok(()),
    }
}

/// Who asks for the writer's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Somebody who wants to write now. A backfill holds the lock for one date at a time, and is
    /// waited for; anybody else is not.
    Now,
    /// A backfill, which has time, and whom the others wait for.
    Patient,
}

/// What the lock's file holds while a backfill has it.
const BACKFILL: &[u8] = b"backfill";

/// How often whoever waits looks. Nothing tells of a lock that is let go.
const INTERVAL: Duration = Duration::from_millis(20);

/// The file that the writer holds.
fn lock_file(database: &Path) -> PathBuf {
    // By whatever name it is called, a database has one lock.
    let named = fs::canonicalize(database).unwrap_or_else(|_| database.to_path_buf());
    let mut path = named.into_os_string();
    path.push(".lock");
    PathBuf::from(path)
}

/// Whether a writer is at work. Nothing is made; the lock is held for no longer than it takes to ask.
///
/// # Errors
/// I/O.
pub fn has_writer(database: &Path) -> anyhow::Result<bool> {
    let path = lock_file(database);
    let context = || format!("cannot look at {}", path.display());
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).with_context(context),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error).with_context(context),
    }
}

/// Takes the writer's lock. The operating system drops it with the process, however it dies.
///
/// # Errors
/// Another process holds it, or to stop is requested (75); I/O.
pub(super) fn lock(database: &Path, turn: Turn, interrupt: &Interrupt) -> anyhow::Result<File> {
    let path = lock_file(database);
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(|error| {
            Failure::new(
                classify_io(&error),
                format!("cannot open {}: {error}", path.display()),
            )
            .hint("the database's directory must be writable; --database or DATABASE_URL names another")
        })?;
    let context = || format!("cannot lock {}", path.display());
    let (mut has_told, mut has_looked_again) = (false, false);
    loop {
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0).with_context(context)?;
                if turn == Turn::Patient {
                    file.write_all(BACKFILL).with_context(context)?;
                }
                return Ok(file);
            }
            Err(TryLockError::WouldBlock) if turn == Turn::Patient || is_backfill(&path) => {
                if !has_told {
                    tracing::info!(database = %database.display(), "waiting for another lamplighter that is writing");
                    has_told = true;
                }
                interrupt.check()?;
                thread::sleep(INTERVAL);
            }
            // A backfill that has just got the lock may not have said so yet.
            Err(TryLockError::WouldBlock) if !has_looked_again => {
                has_looked_again = true;
                thread::sleep(INTERVAL);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::new(
                    Class::Temporary,
                    format!("another lamplighter is writing to {}", database.display()),
                )
                .hint("an SQLite database takes one writer at a time; start again when it is done, or give this job a database of its own")
                .into());
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(context),
        }
    }
}

/// Whether a backfill holds the lock.
fn is_backfill(lock: &Path) -> bool {
    fs::read(lock).is_ok_and(|content| content == BACKFILL)
}
