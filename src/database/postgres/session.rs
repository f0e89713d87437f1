//! One connection, and the transaction that it may be in.
//!
//! Calls block: a session brings its own runtime, which runs while a call waits for the server and
//! never while a visitor or producer of the caller's runs, so that those may use other sessions.
//! Every wait has an end on this side too, for a network that swallows what is sent.
//!
//! A statement is only sent inside a transaction. A session whose connection is of no more use
//! disconnects at once and says that it [is broken](Session::is_broken); what was not committed is
//! then rolled back by the server. A transaction in which a statement failed can not be committed:
//! the server would roll it back and call that a success.

use std::time::Duration;

use futures_util::stream::TryStreamExt;
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection as _, Postgres};
use tokio::runtime::Builder;
use tokio::time::timeout;

use super::address::Address;
use super::transaction::TransactionOptions;
use super::wire::{End, GRACE, Producer, Uncopied, Wire, copy_in, describe, pull, wait};
use super::{cells, errors};
use crate::database::{QueryError, Retry, Row, Value};
use crate::error::{Class, Failure};

const CONNECTING: Duration = Duration::from_secs(15);
const CLOSING: Duration = Duration::from_secs(5);
const DOING: &str = "a statement failed";

/// A session with the server.
pub struct Session {
    /// `None` once the connection is of no more use.
    wire: Option<Wire>,
    state: State,
    limit: Duration,
    version: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Open,
    /// Only a rollback helps.
    Failed,
}

/// Why no session came about.
pub(super) struct NotConnected {
    pub(super) error: QueryError,
    /// The server has no connection left to give.
    pub(super) is_full: bool,
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// The server can not be reached or refuses us, or there is trouble with the password.
    pub fn connect(address: &Address) -> Result<Self, QueryError> {
        Self::open(address).map_err(|refused| refused.error)
    }

    pub(super) fn open(address: &Address) -> Result<Self, NotConnected> {
        let failed = |error: QueryError| NotConnected {
            error,
            is_full: false,
        };
        let options = address
            .connect_options()
            .map_err(|failure| failed(failure.into()))?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| {
                failed(Failure::io(format!("cannot start a connection's runtime: {error}")).into())
            })?;
        let connecting = async { timeout(CONNECTING, PgConnection::connect_with(&options)).await };
        let doing = format!("cannot connect to {address}");
        let refused = match runtime.block_on(connecting) {
            Ok(Ok(connection)) => {
                return Ok(Self {
                    version: connection.server_version_num().unwrap_or_default(),
                    wire: Some(Wire {
                        connection,
                        runtime,
                    }),
                    state: State::Idle,
                    limit: GRACE,
                });
            }
            Ok(Err(error)) => NotConnected {
                error: errors::classify_connecting(&error, &doing),
                is_full: errors::is_full(&error),
            },
            Err(_) => failed(errors::timed_out(&doing, CONNECTING.as_secs())),
        };
        // A look-up of the host's name may still be under way.
        runtime.shutdown_background();
        Err(refused)
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// The server refuses, or the connection is lost; the session is then broken. Or there already
    /// is a transaction (70).
    pub fn begin(&mut self, options: &TransactionOptions) -> Result<(), QueryError> {
        if self.in_transaction() {
            return Err(Failure::internal("a transaction was begun inside another").into());
        }
        self.limit = options.statement_timeout + GRACE;
        let begun = self.simple(
            "cannot begin a transaction",
            self.limit,
            options.statement(),
        );
        match begun {
            Ok(()) => self.state = State::Open,
            // It may have been begun, without its settings.
            Err(_) => self.wire = None,
        }
        begun
    }

    /// Commits the transaction. After an error that is worth a retry it is unknown whether it was
    /// committed.
    ///
    /// # Errors
    /// The server refuses, the connection is lost, or an earlier statement failed.
    pub fn commit(&mut self) -> Result<(), QueryError> {
        self.check_open()?;
        let committed = self.simple("cannot commit", self.limit, "COMMIT".to_owned());
        self.state = State::Idle;
        committed
    }

    /// Rolls the transaction back.
    ///
    /// # Errors
    /// The connection is lost, which does the same.
    pub fn rollback(&mut self) -> Result<(), QueryError> {
        if !self.in_transaction() {
            return Ok(());
        }
        let rolled_back = self.simple("cannot roll back", GRACE, "ROLLBACK".to_owned());
        match rolled_back {
            Ok(()) => self.state = State::Idle,
            Err(_) => self.wire = None,
        }
        rolled_back
    }

    /// Whether a transaction is begun and not ended.
    pub fn in_transaction(&self) -> bool {
        self.wire.is_some() && self.state != State::Idle
    }

    /// Whether the session is of no more use.
    pub fn is_broken(&self) -> bool {
        self.wire.is_none()
    }

    /// The server's version, such as 150018; 0 if it is not a number.
    pub fn server_version(&self) -> u32 {
        self.version
    }

    /// Runs a statement. Returns the number of rows that it changed.
    ///
    /// # Errors
    /// The server refuses, or the connection is lost.
    pub fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, QueryError> {
        self.check_open()?;
        let query = cells::bind(sqlx::query(sql), values).persistent(false);
        self.wait(DOING, self.limit, async |connection| {
            query
                .execute(connection)
                .await
                .map(|done| done.rows_affected())
        })
    }

    /// Runs statements that take no values and give no rows, as they are.
    ///
    /// # Errors
    /// The server refuses, or the connection is lost.
    pub fn run_script(&mut self, sql: &'static str) -> Result<(), QueryError> {
        self.check_open()?;
        self.simple(DOING, self.limit, sql.to_owned())
    }

    /// Runs a statement and passes each row to `visit` as it arrives.
    ///
    /// # Errors
    /// Those of the server as [`QueryError`], and those of `visit` as they are.
    pub fn query(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        visit: &mut dyn FnMut(&Row) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.rows(cells::bind(sqlx::query(sql), values), visit)
    }

    /// As [`query`](Self::query), for SQL that is built at run time. What comes from outside must be
    /// an [`Identifier`](crate::database::Identifier) or bound.
    ///
    /// # Errors
    /// As for [`query`](Self::query).
    pub fn query_text(
        &mut self,
        sql: String,
        values: &[Value<'_>],
        visit: &mut dyn FnMut(&Row) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.rows(cells::bind(sqlx::query(AssertSqlSafe(sql)), values), visit)
    }

    fn rows(
        &mut self,
        query: Query<'_, Postgres, PgArguments>,
        visit: &mut dyn FnMut(&Row) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.check_open()?;
        let limit = self.limit;
        let wire = self.wire.as_mut().ok_or_else(lost)?;
        let mut columns = None;
        let rows = query.persistent(false).fetch(&mut wire.connection);
        let end = pull(&wire.runtime, limit, rows, &mut |row| {
            let columns = columns.get_or_insert_with(|| cells::names(&row));
            visit(&cells::row(&row, columns)?)
        });
        // What a visitor did not want to see is read and dropped by the next call.
        self.ended(end)
    }

    /// Runs `COPY … FROM STDIN`. `produce` passes the data, in pieces of any size, to the function
    /// that it is given. Returns the number of rows.
    ///
    /// # Errors
    /// Those of the server and those of `produce`; nothing is then copied.
    pub fn copy_in(
        &mut self,
        statement: String,
        produce: &mut Producer<'_>,
    ) -> Result<u64, QueryError> {
        self.check_open()?;
        let limit = self.limit;
        let wire = self.wire.as_mut().ok_or_else(lost)?;
        match copy_in(wire, limit, &statement, produce) {
            Ok(rows) => Ok(rows),
            Err(Uncopied::Server(end)) => Err(self.failed(DOING, end)),
            Err(Uncopied::Given { error, is_aborted }) => {
                self.state = State::Failed;
                if !is_aborted {
                    self.wire = None;
                }
                Err(error)
            }
        }
    }

    /// Runs `COPY … TO STDOUT` and passes the data to `visit` as it arrives. After any error the
    /// session is broken: nothing else ends the server's sending.
    ///
    /// # Errors
    /// Those of the server as [`QueryError`], and those of `visit` as they are.
    pub fn copy_out(
        &mut self,
        statement: String,
        visit: &mut dyn FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.check_open()?;
        let limit = self.limit;
        let Wire {
            connection,
            runtime,
        } = self.wire.as_mut().ok_or_else(lost)?;
        let end = match wait(runtime, limit, connection.copy_out_raw(&statement)) {
            Ok(pieces) => pull(runtime, limit, pieces, &mut |piece| visit(&piece)),
            Err(end) => Err(end),
        };
        let is_whole = end.is_ok();
        let ended = self.ended(end);
        if !is_whole {
            self.wire = None;
        }
        ended
    }

    /// Takes leave of the server.
    pub(super) fn close(mut self) {
        if let Some(Wire {
            connection,
            runtime,
        }) = self.wire.take()
        {
            // A server that is gone needs no farewell.
            let _ = wait(&runtime, CLOSING, connection.close());
        }
    }

    /// The session, leaving a broken one in its place.
    pub(super) fn take(&mut self) -> Self {
        Self {
            wire: self.wire.take(),
            ..*self
        }
    }

    fn check_open(&self) -> Result<(), QueryError> {
        if self.wire.is_none() {
            return Err(lost());
        }
        let problem = match self.state {
            State::Open => return Ok(()),
            State::Idle => "a statement stands outside of a transaction",
            State::Failed => "an earlier statement of the transaction failed",
        };
        Err(Failure::internal(problem).into())
    }

    fn simple(&mut self, doing: &str, limit: Duration, sql: String) -> Result<(), QueryError> {
        self.wait(doing, limit, async |connection| {
            let mut done = sqlx::raw_sql(AssertSqlSafe(sql)).execute_many(connection);
            while done.try_next().await?.is_some() {}
            Ok(())
        })
    }

    fn wait<T>(
        &mut self,
        doing: &str,
        limit: Duration,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, QueryError> {
        let Wire {
            connection,
            runtime,
        } = self.wire.as_mut().ok_or_else(lost)?;
        wait(runtime, limit, work(connection)).map_err(|end| self.failed(doing, end))
    }

    /// Notes what an error means for the session.
    fn failed(&mut self, doing: &str, end: End) -> QueryError {
        self.state = State::Failed;
        let is_lost = match &end {
            End::Server(error) => errors::is_fatal(error),
            End::TimedOut => true,
            End::Visitor(_) => false,
        };
        if is_lost {
            self.wire = None;
        }
        describe(doing, self.limit, &end)
    }

    fn ended(&mut self, end: Result<(), End>) -> anyhow::Result<()> {
        match end {
            Ok(()) => Ok(()),
            Err(End::Visitor(error)) => Err(error),
            Err(end) => Err(self.failed(DOING, end).into()),
        }
    }
}

fn lost() -> QueryError {
    let failure = Failure::new(Class::Unavailable, "the connection to the database is lost");
    QueryError::new(failure, Retry::Transaction)
}
