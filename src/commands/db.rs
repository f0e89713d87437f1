//! `lamplighter db`: the database's schema.

use serde_json::json;

use super::{Invocation, target, with_ledger};
use crate::cli::DbCommand;
use crate::ledger::{Access, TargetOptions, grants};

/// Runs the command.
///
/// # Errors
/// The schema can not be worked on (78); another writer (75); the database's.
pub fn run(command: &DbCommand, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    let access = match command {
        DbCommand::Migrate => Access::Migrate,
        DbCommand::Status => Access::Look,
        DbCommand::Roles => {
            let schema = invocation.global.schema.clone();
            let sql = grants(&schema.unwrap_or(TargetOptions::default().schema))?;
            invocation.terminal.print(&sql)?;
            return Ok(0);
        }
    };
    let target = target(invocation, None)?;
    let status = with_ledger(&target, access, |ledger| ledger.schema_status())?;
    let place = target.describe();
    let json = json!({ "database": place, "schema": status.applied, "known": status.known });
    invocation.terminal.print_either(&json, || {
        let verdict = match status.applied.cmp(&status.known) {
            std::cmp::Ordering::Equal => "up to date",
            std::cmp::Ordering::Less => "`lamplighter db migrate` brings it up to date",
            std::cmp::Ordering::Greater => "newer than this binary, which can still work on it",
        };
        format!(
            "{place}: schema version {}, this binary knows {}: {verdict}",
            status.applied, status.known
        )
    })?;
    Ok(0)
}
