//! What the server, and what it lets this role do, is like: for a look before a night depends on it.

use super::Ledger;
use super::roles::RUNNER;
use super::target::{Kind, Target};
use crate::database::postgres::PostgresConnection;
use crate::database::sqlite::{Mode, SqliteConnection};
use crate::database::{Connection, Value};
use crate::error::Failure;

/// What is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its version.
    pub version: String,
    /// Postgres: `synchronous_commit`; SQLite: the journal's mode.
    pub durability: String,
    /// Whether commits are acknowledged before they are on the disk, whatever is asked for.
    pub skips_disk: bool,
    /// Whether it only follows another server.
    pub is_replica: bool,
    /// Who we are to it; empty for a file.
    pub role: String,
    /// Whether that role may do everything.
    pub is_superuser: bool,
    /// Whether that role owns the schema of the tables.
    pub owns_schema: bool,
    /// Whether there is such a schema; a file has no others.
    pub has_schema: bool,
    /// Version and cipher of TLS; `None` without it.
    pub encryption: Option<String>,
    /// `file`, `socket`, `loopback` or `network`.
    pub way: String,
    /// How long the server has had the session that we were given.
    pub session_seconds: f64,
}

/// Rights on a table that a run needs and this role lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingRights {
    /// The table.
    pub table: &'static str,
    /// The rights.
    pub rights: Vec<&'static str>,
}

impl Target {
    /// Opens the ledger, whatever schema is there and whatever this role may do with it. Only to
    /// look at.
    ///
    /// # Errors
    /// There is no file (66); I/O.
    pub fn visit(&self) -> anyhow::Result<Ledger> {
        let connection: Box<dyn Connection> = match self.0.as_ref() {
            Kind::Sqlite { path, interrupt } => {
                Box::new(SqliteConnection::open(path, Mode::ReadOnly, interrupt)?)
            }
            Kind::Postgres { pool, schema, .. } => {
                Box::new(PostgresConnection::new(pool.clone(), schema.clone()))
            }
        };
        Ok(Ledger::over(connection, self.clone()))
    }
}

impl Ledger {
    /// What the server says of itself and of this connection.
    ///
    /// # Errors
    /// The database's, here and below.
    pub fn server(&mut self) -> anyhow::Result<Server> {
        let schema = self.target.schema_name().map(str::to_owned);
        let values = [Value::Text(schema.as_deref())];
        let found = self.read(statement!("server"), &values, |row| {
            Ok(Server {
                version: row.get("version")?,
                durability: row.get("durability")?,
                skips_disk: row.get("skips_disk")?,
                is_replica: row.get("is_replica")?,
                role: row.get("role")?,
                is_superuser: row.get("is_superuser")?,
                owns_schema: row.get("owns_schema")?,
                has_schema: row.get("has_schema")?,
                encryption: row.get("encryption")?,
                way: row.get("way")?,
                session_seconds: row.get("session_seconds")?,
            })
        })?;
        found
            .into_iter()
            .next()
            .ok_or_else(|| Failure::internal("the database says nothing of itself").into())
    }

    /// Whether this role may use the schema of the tables.
    pub fn may_use_schema(&mut self) -> anyhow::Result<bool> {
        let Some(schema) = self.target.schema_name().map(str::to_owned) else {
            return Ok(true);
        };
        let closed = self.read(statement!("schema_closed"), &[(&schema).into()], |_| Ok(()))?;
        Ok(closed.is_empty())
    }

    /// Rights that a run needs and this role lacks, by table.
    pub fn missing_rights(&mut self) -> anyhow::Result<Vec<MissingRights>> {
        let schema = self.target.schema_name().map(str::to_owned);
        let values = [Value::Text(schema.as_deref())];
        let held = self.read(statement!("rights"), &values, |row| {
            let mut held: Vec<&str> = Vec::new();
            for (column, right) in [
                ("can_select", "SELECT"),
                ("can_insert", "INSERT"),
                ("can_update", "UPDATE"),
                ("can_delete", "DELETE"),
            ] {
                if row.get(column)? {
                    held.push(right);
                }
            }
            Ok((row.get::<String>("name")?, held))
        })?;
        let missing = RUNNER.into_iter().filter_map(|(table, needed)| {
            let (_, held) = held.iter().find(|(name, _)| name == table)?;
            let rights: Vec<_> = needed
                .split(", ")
                .filter(|right| !held.contains(right))
                .collect();
            (!rights.is_empty()).then_some(MissingRights { table, rights })
        });
        Ok(missing.collect())
    }

    /// How many rights on how many tables a run needs.
    pub fn needed_rights() -> (usize, usize) {
        let rights = RUNNER.iter().map(|(_, rights)| rights.split(", ").count());
        (rights.sum(), RUNNER.len())
    }
}
