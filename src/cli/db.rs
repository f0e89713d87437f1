//! Subcommands of `db`.

use clap::Subcommand;

/// Subcommands of `db`.
#[derive(Subcommand)]
pub enum DbCommand {
    /// Create the tables, or bring them up to date (`run` does so by itself on SQLite)
    #[command(after_help = "\
On Postgres this takes a role that may create a schema, or one that owns it.

Examples:
  lamplighter db migrate --database sqlite://lamplighter.db
  lamplighter db migrate --database postgres://admin@db.example.com/scores --schema team_a")]
    Migrate,
    /// Tell which schema the database has
    #[command(after_help = "Example:\n  lamplighter db status")]
    Status,
    /// Print SQL that creates four roles and grants each the least that it needs
    #[command(after_help = "\
migrator owns the tables, runner runs jobs (creates nothing, deletes no prediction), custodian prunes
and erases, reader reads results. To be run by an administrator after `db migrate`, and again after each later one.

Example:
  lamplighter db roles --schema team_a | psql scores")]
    Roles,
}
