//! `lamplighter db`: the database's schema.

use serde_json::json;

use super::{database_url, with_ledger};
use crate::cli::{DbCommand, GlobalOptions};
use crate::ledger::Access;
use crate::terminal::Terminal;

/// Runs the command.
///
/// # Errors
/// The schema can not be worked on (78); another writer (75); the database's.
pub fn run(command: &DbCommand, global: &GlobalOptions, terminal: &Terminal) -> anyhow::Result<u8> {
    let access = match command {
        DbCommand::Migrate => Access::Write,
        DbCommand::Status => Access::Look,
    };
    let (status, path) = with_ledger(&database_url(global, None)?, access, |ledger| {
        Ok((ledger.schema_status()?, ledger.path().display().to_string()))
    })?;
    let json = json!({ "database": path, "schema": status.applied, "known": status.known });
    terminal.print_either(&json, || {
        let verdict = match status.applied.cmp(&status.known) {
            std::cmp::Ordering::Equal => "up to date",
            std::cmp::Ordering::Less => "`lamplighter db migrate` brings it up to date",
            std::cmp::Ordering::Greater => "newer than this binary, which can still work on it",
        };
        format!(
            "{path}: schema {}, this binary knows {}: {verdict}",
            status.applied, status.known
        )
    })?;
    Ok(0)
}
