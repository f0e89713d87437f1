//! The tables' versions.
//!
//! Which migrations were applied stands in `_sqlx_migrations`, beside the tables. A migration that
//! is begun is finished or leaves nothing: all that are missing are applied in one transaction,
//! under a lock that lets two migrations wait for each other.

use sha2::{Digest, Sha384};

use super::{Access, Ledger, Target, plain};
use crate::database::postgres::{PostgresConnection, TransactionOptions};
use crate::database::sqlite::SqliteConnection;
use crate::database::{Begin, Connection, Identifier, Statement, Value};
use crate::error::{Class, Failure};

/// Where the schema stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaStatus {
    /// Newest migration that was applied; 0 for none.
    pub applied: i64,
    /// Newest migration that this binary knows.
    pub known: i64,
}

/// The same steps in both dialects.
const MIGRATIONS: [Statement; 8] = [
    Statement {
        name: "runs",
        sqlite: include_str!("migrations/sqlite/0001_runs.sql"),
        postgres: include_str!("migrations/postgres/0001_runs.sql"),
    },
    Statement {
        name: "queue",
        sqlite: include_str!("migrations/sqlite/0002_queue.sql"),
        postgres: include_str!("migrations/postgres/0002_queue.sql"),
    },
    Statement {
        name: "faults",
        sqlite: include_str!("migrations/sqlite/0003_faults.sql"),
        postgres: include_str!("migrations/postgres/0003_faults.sql"),
    },
    Statement {
        name: "operations",
        sqlite: include_str!("migrations/sqlite/0004_operations.sql"),
        postgres: include_str!("migrations/postgres/0004_operations.sql"),
    },
    Statement {
        name: "retention",
        sqlite: include_str!("migrations/sqlite/0005_retention.sql"),
        postgres: include_str!("migrations/postgres/0005_retention.sql"),
    },
    Statement {
        name: "pruned dates",
        sqlite: include_str!("migrations/sqlite/0006_pruned_dates.sql"),
        postgres: include_str!("migrations/postgres/0006_pruned_dates.sql"),
    },
    Statement {
        name: "monitoring",
        sqlite: include_str!("migrations/sqlite/0007_monitoring.sql"),
        postgres: include_str!("migrations/postgres/0007_monitoring.sql"),
    },
    Statement {
        name: "outbox",
        sqlite: include_str!("migrations/sqlite/0008_outbox.sql"),
        postgres: include_str!("migrations/postgres/0008_outbox.sql"),
    },
];

/// A ledger on an SQLite file, its schema as `access` needs it.
pub(super) fn prepare_sqlite(
    connection: SqliteConnection,
    target: Target,
    access: Access,
) -> anyhow::Result<Ledger> {
    if matches!(access, Access::Look | Access::Read) {
        let mut ledger = Ledger::over(Box::new(connection), target);
        if access == Access::Read {
            ledger.refuse_other_schema()?;
        }
        return Ok(ledger);
    }
    // Before anything is written: the file may be another program's.
    let mut ledger = Ledger::over(Box::new(connection), target);
    let status = ledger.refuse_strange_schema()?;
    ledger.connection.prepare_file()?;
    ledger.migrate(status)?;
    Ok(ledger)
}

/// A ledger in a schema of Postgres, as `access` needs it.
pub(super) fn prepare_postgres(
    connection: PostgresConnection,
    target: Target,
    access: Access,
) -> anyhow::Result<Ledger> {
    if access == Access::Migrate {
        create_schema(&target).map_err(plain)?;
    }
    let mut ledger = Ledger::over(Box::new(connection), target);
    ledger.refuse_closed_schema()?;
    match access {
        Access::Look => {}
        Access::Read | Access::Write | Access::WriteInTurn => ledger.refuse_other_schema()?,
        Access::Migrate => {
            let status = ledger.refuse_strange_schema()?;
            ledger.migrate(status)?;
        }
    }
    Ok(ledger)
}

/// Creates the schema if it is not there: to try would need a right even where there is nothing to
/// create.
fn create_schema(target: &Target) -> anyhow::Result<()> {
    let (Some(pool), Some(name)) = (target.pool(), target.schema_name()) else {
        return Ok(());
    };
    let schema = Identifier::schema(name)?;
    let mut session = pool.checkout()?;
    // Otherwise what this asks for would be looked up where the role's own path leads.
    session.begin(&TransactionOptions {
        schema: Some(schema.clone()),
        ..TransactionOptions::default()
    })?;
    session.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('lamplighter:create:' || $1, 0))",
        &[name.into()],
    )?;
    let mut exists = false;
    session.query(
        "SELECT 1 AS found FROM pg_namespace WHERE nspname = $1",
        &[name.into()],
        &mut |_| {
            exists = true;
            Ok(())
        },
    )?;
    if !exists {
        session.query_text(format!("CREATE SCHEMA {schema}"), &[], &mut |_| Ok(()))?;
    }
    Ok(session.commit()?)
}

impl Ledger {
    pub(super) fn over(connection: Box<dyn Connection>, target: Target) -> Self {
        Self {
            connection,
            target,
            in_transaction: false,
        }
    }

    /// Where the schema stands.
    ///
    /// # Errors
    /// The database's.
    pub fn schema_status(&mut self) -> anyhow::Result<SchemaStatus> {
        let doing = || "cannot read the schema's version".to_owned();
        let applied = self.transaction(Begin::Read, doing, Self::applied)?;
        Ok(SchemaStatus {
            applied,
            known: MIGRATIONS.len() as i64,
        })
    }

    fn applied(&mut self) -> anyhow::Result<i64> {
        let has_versions = !self
            .fetch(statement!("schema_table"), &[], |_| Ok(()))?
            .is_empty();
        match has_versions {
            false => Ok(0),
            true => self.fetch_one(statement!("schema_version"), &[], |row| row.get("version")),
        }
    }

    /// Applies what is missing, if anything was missing when `status` was seen.
    fn migrate(&mut self, status: SchemaStatus) -> anyhow::Result<()> {
        if status.applied >= status.known {
            return Ok(());
        }
        let doing = || "cannot migrate the database".to_owned();
        self.transaction(Begin::Write, doing, |ledger| {
            ledger.fetch(statement!("lock_migrations"), &[], |_| Ok(()))?;
            ledger.execute(statement!("create_migrations"), &[])?;
            // Another process may have been here while this one waited.
            let applied = ledger.applied()?;
            for (version, migration) in (1..).zip(MIGRATIONS).skip(usize::try_from(applied)?) {
                ledger.connection.run_script(&migration)?;
                let checksum = Sha384::digest(match ledger.is_shared() {
                    true => migration.postgres,
                    false => migration.sqlite,
                });
                ledger.execute(
                    statement!("insert_migration"),
                    &[
                        Value::from(version),
                        migration.name.into(),
                        Some(checksum.as_slice()).into(),
                    ],
                )?;
            }
            Ok(())
        })
    }

    /// A schema that this role may not use looks as if it were empty.
    fn refuse_closed_schema(&mut self) -> anyhow::Result<()> {
        let Some(name) = self.target.schema_name().map(str::to_owned) else {
            return Ok(());
        };
        let found = self.read(statement!("schema_closed"), &[(&name).into()], |_| Ok(()))?;
        if found.is_empty() {
            return Ok(());
        }
        Err(Failure::new(
            Class::Permission,
            format!("this role may not use {}", self.describe()),
        )
        .hint("`lamplighter db roles` prints the grants")
        .into())
    }

    /// A binary of schema N works on N and on N + 1.
    fn refuse_strange_schema(&mut self) -> anyhow::Result<SchemaStatus> {
        let status = self.schema_status()?;
        let SchemaStatus { applied, known } = status;
        let place = self.describe();
        if applied > known + 1 {
            return Err(Failure::config(format!(
                "{place} has schema version {applied}, but this binary knows {known} and works on {} at most",
                known + 1
            ))
            .hint("use a newer lamplighter")
            .into());
        }
        if applied == 0 && self.has_other_tables()? {
            return Err(Failure::config(format!(
                "{place} is a database, but not one of Lamplighter's"
            ))
            .hint(match self.is_shared() {
                true => "name another schema with --schema or [sink] schema",
                false => "name another file with --database, or one that does not exist yet",
            })
            .into());
        }
        Ok(status)
    }

    fn refuse_other_schema(&mut self) -> anyhow::Result<()> {
        let SchemaStatus { applied, known } = self.refuse_strange_schema()?;
        let place = self.describe();
        let command = match self.target.schema_name() {
            Some(schema) => format!("`lamplighter db migrate --schema {schema}`"),
            None => "`lamplighter db migrate`".to_owned(),
        };
        if applied == 0 && self.is_shared() {
            return Err(Failure::config(format!("{place} has no tables yet"))
                .hint(format!("{command} creates them"))
                .into());
        }
        if applied == 0 {
            return Err(
                Failure::new(Class::NoInput, format!("{place} holds no runs yet"))
                    .hint(format!("`lamplighter run` or {command} creates its tables"))
                    .into(),
            );
        }
        if applied < known {
            return Err(Failure::config(format!(
                "{place} has schema version {applied}, this binary needs {known}"
            ))
            .hint(format!("{command} brings it up to date"))
            .into());
        }
        Ok(())
    }

    fn has_other_tables(&mut self) -> anyhow::Result<bool> {
        let found = self.read(statement!("schema_other_tables"), &[], |_| Ok(()))?;
        Ok(!found.is_empty())
    }
}
