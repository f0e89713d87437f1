//! Postgres behind the face that both databases share.
//!
//! A session is taken from the pool for each transaction and given back at its end, so that none is
//! held while nothing is asked.

use super::copy;
use super::errors;
use super::pool::{Checkout, Pool};
use super::session::Session;
use super::transaction::TransactionOptions;
use crate::database::encoded::Form;
use crate::database::{
    Begin, Connection, EncodedRows, Identifier, QueryError, Row, Statement, Value,
};
use crate::error::Failure;

/// How much is sent at a time.
const PIECE: usize = 256 * 1024;

/// A connection to the tables in one schema.
pub struct PostgresConnection {
    pool: Pool,
    schema: Identifier,
    current: Option<Checkout>,
}

impl PostgresConnection {
    /// Takes a session from `pool` whenever a transaction begins.
    pub fn new(pool: Pool, schema: Identifier) -> Self {
        Self {
            pool,
            schema,
            current: None,
        }
    }

    /// Where its sessions come from.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    fn session(&mut self) -> Result<&mut Session, QueryError> {
        let current = self.current.as_deref_mut();
        current.ok_or_else(|| Failure::internal("there is no transaction").into())
    }
}

impl Connection for PostgresConnection {
    fn begin(&mut self, begin: Begin) -> Result<(), QueryError> {
        if self.current.is_some() {
            return Err(Failure::internal("a transaction was begun inside another").into());
        }
        let is_read = begin == Begin::Read;
        let options = TransactionOptions {
            schema: Some(self.schema.clone()),
            read_only: is_read,
            repeatable_read: is_read,
            ..TransactionOptions::default()
        };
        self.current = Some(self.pool.begin(&options)?);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), QueryError> {
        let committed = self.session()?.commit();
        self.current = None;
        committed
    }

    fn rollback(&mut self) {
        self.current = None;
    }

    fn execute(&mut self, statement: &Statement, values: &[Value<'_>]) -> Result<u64, QueryError> {
        let done = self.session()?.execute(statement.postgres, values);
        done.map_err(|error| within(statement.name, &error))
    }

    fn query(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
        visit: &mut dyn FnMut(&Row) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let done = self.session()?.query(statement.postgres, values, visit);
        done.map_err(|error| match error.downcast::<QueryError>() {
            Ok(error) => within(statement.name, &error).into(),
            Err(error) => error,
        })
    }

    fn insert(&mut self, table: &'static str, rows: &EncodedRows) -> Result<u64, QueryError> {
        let Form::Postgres(bytes) = &rows.form else {
            return Err(Failure::internal("rows of another database").into());
        };
        let statement = copy::statement(table, rows.columns)?;
        let done = self.session()?.copy_in(statement, &mut |send| {
            bytes.chunks(PIECE).try_for_each(&mut *send)
        });
        done.map_err(|error| within(table, &error))
    }

    fn run_script(&mut self, script: &Statement) -> Result<(), QueryError> {
        self.session()?.run_script(script.postgres)
    }

    fn prepare_file(&mut self) -> Result<(), QueryError> {
        Ok(())
    }

    fn overwrite_deleted(&mut self) -> Result<(), QueryError> {
        Ok(())
    }

    fn scrub(&mut self) -> Result<(), QueryError> {
        Ok(())
    }

    fn close(mut self: Box<Self>) -> Result<(), QueryError> {
        self.current = None;
        self.pool.close();
        Ok(())
    }
}

/// The error, with the name of what was asked.
fn within(name: &str, error: &QueryError) -> QueryError {
    errors::reworded(error, error.retry(), format!("{name}: {error}"))
}
