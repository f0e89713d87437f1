//! The input: what it is, what its columns are, and transactions that read it.

use std::time::Duration;

use anyhow::Context;
use arrow::datatypes::{DataType, Field, Schema};
use sha2::{Digest, Sha256};

use super::catalog::{self, Facts};
use super::date;
use super::statements::{self, Selection};
use super::types::{SourceColumn, Stored};
use crate::database::postgres::{Pool, Session, TransactionOptions};
use crate::database::{Identifier, QueryError, Retry, Value};
use crate::error::{Class, Failure};
use crate::job::LogicalDate;
use crate::source::Projection;
use crate::source::columns::{ColumnUse, Purpose, conversion_hint};

/// A scan of everything may take its time.
const STATEMENT_TIMEOUT: Duration = Duration::from_hours(1);

/// What is read, as the job file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relation {
    /// A table or view.
    Table {
        /// Its name, with or without its schema.
        table: String,
        /// SQL that holds for the rows to read; may say `:date`.
        condition: Option<String>,
    },
    /// A query, which may say `:date`.
    Query(String),
}

/// The input: a table or query. Its rows are not fixed here but by a [scan](Self::scan), whose
/// ids the run remembers.
pub struct PostgresInput {
    pool: Pool,
    /// Where the job file says it.
    key: String,
    relation: Relation,
    sql: statements::Relation,
    date: String,
    /// Waits for those who rewrite the table.
    lock: Option<String>,
    columns: Vec<SourceColumn>,
    facts: Facts,
}

impl PostgresInput {
    /// Looks the table or query up. Nothing is read.
    ///
    /// # Errors
    /// There is no such table, or the query or condition is not understood (78); those of the
    /// database.
    pub fn open(pool: Pool, relation: Relation, date: &LogicalDate) -> anyhow::Result<Self> {
        // An hour is written as 2026-11-23T05, of which Postgres wants the minutes too.
        let mut day_or_hour = date.to_string();
        let names_hour = day_or_hour.contains('T');
        if names_hour {
            day_or_hour.push_str(":00");
        }
        let expression = statements::date_expression(names_hour);
        let (key, from, condition) = match &relation {
            Relation::Table { table, condition } => {
                let key = format!("[source] table {table}");
                let from = Identifier::of_source(table)
                    .context("[source] table")?
                    .to_string();
                let condition = condition
                    .as_deref()
                    .map(|condition| date::bind("[source] where", condition, &expression))
                    .transpose()?;
                (key, from, condition)
            }
            Relation::Query(query) => {
                let key = "[source] query".to_owned();
                let query = date::bind(&key, query, &expression)?;
                // What may be a comment at its end must not reach further.
                (key, format!("({query}\n) AS source"), None)
            }
        };
        let mut input = Self {
            pool,
            key,
            relation,
            sql: statements::Relation { from, condition },
            date: day_or_hour,
            lock: None,
            columns: Vec::new(),
            facts: Facts::default(),
        };
        let looked_up = input.look_up();
        (input.columns, input.facts) = input.explain(looked_up)?;
        input.lock = input.explain(input.lock_statement())?;
        Ok(input)
    }

    fn lock_statement(&self) -> anyhow::Result<Option<String>> {
        let Relation::Table { table, .. } = &self.relation else {
            return Ok(None);
        };
        let can_lock = self.read(&[], |session| {
            catalog::can_lock(session, &Identifier::of_source(table)?)
        })?;
        Ok(can_lock.then(|| format!("LOCK TABLE {} IN ACCESS SHARE MODE", self.sql.from)))
    }

    fn look_up(&self) -> anyhow::Result<(Vec<SourceColumn>, Facts)> {
        self.read(&[], |session| match &self.relation {
            Relation::Table { table, .. } => {
                let found = catalog::table(session, &Identifier::of_source(table)?, || {
                    let address = self.pool.address();
                    Failure::config(format!("there is no table `{table}` in {address}"))
                        .hint("names are taken as they are written, upper and lower case too; a table outside of the search path is named `schema.table`")
                })?;
                let columns = catalog::columns_of_table(session, &found)?;
                Ok((columns, found.facts))
            }
            Relation::Query(_) => {
                let columns = catalog::columns_of_query(session, &self.sql.from)?;
                Ok((columns, Facts::default()))
            }
        })
    }

    /// What it is and where, without secrets.
    pub fn describe(&self) -> String {
        let address = self.pool.address();
        match &self.relation {
            Relation::Table { table, .. } => format!("table {table} in {address}"),
            Relation::Query(_) => format!("a query in {address}"),
        }
    }

    /// About how many rows there are, by the server's statistics. Asks for the right to read them.
    ///
    /// # Errors
    /// Those of the database, such as that right (77).
    pub fn estimated_rows(&self) -> anyhow::Result<u64> {
        Ok(self.planned(self.sql.estimate(""))?.0 as u64)
    }

    /// Rows, and bytes of a row, that the server expects of a statement that explains itself.
    pub(super) fn planned(&self, statement: String) -> anyhow::Result<(f64, f64)> {
        let mut plan = String::new();
        let explained = self.read(&[], |session| {
            session.query_text(statement, &[], &mut |row| {
                plan = row.get("QUERY PLAN")?;
                Ok(())
            })
        });
        self.explain(explained)?;
        let plan: serde_json::Value = serde_json::from_str(&plan)?;
        let number = |key: &str| plan[0]["Plan"][key].as_f64().unwrap_or_default();
        Ok((number("Plan Rows"), number("Plan Width")))
    }

    /// All columns, as they are stored; as bytes, which nothing takes, if they can not be read.
    pub fn schema(&self) -> Schema {
        let fields = self.columns.iter().map(|column| {
            let data_type = column.stored.map_or(DataType::Binary, Stored::data_type);
            Field::new(&column.name, data_type, true)
        });
        Schema::new(fields.collect::<Vec<_>>())
    }

    /// Finds each use's column by name and settles its type.
    ///
    /// # Errors
    /// There is no such column, or it is of a type that can not serve or be read (65).
    pub fn projection(&self, uses: Vec<ColumnUse>) -> anyhow::Result<Projection> {
        Projection::new(uses, |wanted| {
            let column = self.column(&wanted.name)?;
            let (name, declared) = (&column.name, &column.declared);
            let stored = column.stored.ok_or_else(|| {
                let problem =
                    format!("{}: column `{name}` is of type {declared}, which can not be read", self.key);
                Failure::data(problem).hint(format!(
                    "cast it in a query, for example \"{name}::text AS {name}\" (an array: \"to_json({name})::text\"), or leave the column out"
                ))
            })?;
            let read_as = stored.read_as(wanted.purpose).ok_or_else(|| {
                let problem = format!(
                    "{}: column `{name}` is of type {declared}, but it must hold {}",
                    self.key,
                    wanted.purpose.accepted(),
                );
                let hint = match wanted.purpose {
                    Purpose::Identity if declared.starts_with("numeric") => {
                        format!("cast it in a query, for example \"{name}::bigint AS {name}\"")
                    }
                    _ if stored == Stored::Array => format!(
                        "make something else of it in a query, for example \"to_json({name})::text AS {name}\""
                    ),
                    _ => conversion_hint(wanted, &stored.data_type()),
                };
                Failure::data(problem).hint(hint)
            })?;
            Ok(read_as)
        })
    }

    /// Hash of what is read and of names and types of all columns; not of the rows.
    pub fn digest(&self) -> String {
        let (kind, text, condition) = match &self.relation {
            Relation::Table { table, condition } => ("table", table, condition.as_deref()),
            Relation::Query(query) => ("query", query, None),
        };
        let settled = [kind, text, condition.unwrap_or_default()];
        let columns = self
            .columns
            .iter()
            .flat_map(|column| [&*column.name, &*column.declared]);
        let mut hasher = Sha256::new();
        for part in settled.into_iter().chain(columns) {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hex::encode(hasher.finalize())
    }

    pub(super) fn relation(&self) -> &statements::Relation {
        &self.sql
    }

    /// What helps to find rows again.
    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The columns that `projection` needs.
    pub(super) fn select(&self, projection: &Projection) -> anyhow::Result<Selection<'_>> {
        let mut columns: Vec<(&SourceColumn, _)> = Vec::new();
        for column in projection.uses() {
            if columns.iter().all(|(known, _)| known.name != column.name) {
                let column = self.column(&column.name)?;
                let stored = column.stored.ok_or_else(|| {
                    Failure::internal(format!("column `{}` can not be read", column.name))
                })?;
                columns.push((column, stored));
            }
        }
        Ok(Selection::new(columns)?)
    }

    /// Runs `work` in a transaction of its own, which sees one moment and can not write.
    pub(super) fn read<T>(
        &self,
        settings: &[(&str, &str)],
        work: impl FnOnce(&mut Session) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let options = TransactionOptions {
            read_only: true,
            repeatable_read: true,
            statement_timeout: STATEMENT_TIMEOUT,
            ..TransactionOptions::default()
        };
        let mut session = self.pool.begin(&options)?;
        let always = [
            (statements::DATE, self.date.as_str()),
            // How `:date` was told from strings depends on it.
            ("standard_conforming_strings", "on"),
            // Compiling costs more than it gains on statements that only copy.
            ("jit", "off"),
        ];
        let worked = self
            .lock(&mut session)
            .and_then(|()| set(&mut session, &[&always, settings].concat()))
            .and_then(|()| work(&mut session));
        match worked {
            Ok(value) => {
                session.commit()?;
                Ok(value)
            }
            Err(error) => {
                // What can not be rolled back is disconnected, which does the same.
                let _ = session.rollback();
                Err(of_author(error))
            }
        }
    }

    /// The transaction's moment is that of its first query. Who then had to wait for a table that
    /// is truncated, filled anew or rewritten would find nothing in it; this waits before.
    fn lock(&self, session: &mut Session) -> anyhow::Result<()> {
        match &self.lock {
            Some(lock) => Ok(session.query_text(lock.clone(), &[], &mut |_| Ok(()))?),
            None => Ok(()),
        }
    }

    /// Says which part of the job file an error is about.
    pub(super) fn explain<T>(&self, result: anyhow::Result<T>) -> anyhow::Result<T> {
        result.with_context(|| self.key.clone())
    }

    fn column(&self, name: &str) -> Result<&SourceColumn, Failure> {
        let found = self.columns.iter().find(|column| column.name == name);
        found.ok_or_else(|| {
            let there: Vec<&str> = self.columns.iter().map(|column| &*column.name).collect();
            let failure = Failure::data(format!(
                "{} has no column `{name}`; its columns are {}",
                self.key,
                there.join(", ")
            ));
            match crate::suggest::nearest(name, there.iter().copied()) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => failure,
            }
        })
    }
}

/// The error of a statement that holds the author's SQL: what would elsewhere be our own mistake
/// is in the job file here, and advice about our own tables has no place.
fn of_author(error: anyhow::Error) -> anyhow::Error {
    let Some(query_error) = error.downcast_ref::<QueryError>() else {
        return error;
    };
    let message = query_error.to_string();
    match (query_error.retry(), query_error.failure().class()) {
        (Retry::Never, Class::Internal | Class::Config) => Failure::config(message).into(),
        (Retry::Never, Class::Unavailable) => Failure::config(message)
            .hint("a source is only read: it may not write or lock rows")
            .into(),
        (Retry::Never, Class::Permission) => Failure::new(Class::Permission, message)
            .hint("the user of the source needs SELECT on what is read, and USAGE on its schema")
            .into(),
        _ => error,
    }
}

/// Binds values to settings, which last as long as the transaction.
pub(super) fn set(session: &mut Session, settings: &[(&str, &str)]) -> anyhow::Result<()> {
    let values = settings
        .iter()
        .flat_map(|(name, value)| [Value::from(*name), Value::from(*value)]);
    let values: Vec<_> = values.collect();
    session.query_text(statements::settings(settings.len()), &values, &mut |_| {
        Ok(())
    })
}
