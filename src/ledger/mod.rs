//! The ledger: the tables that know what is done.
//!
//! A run is planned in one transaction, which fixes its shards. A shard is claimed, which raises
//! its epoch; and completed in one transaction that holds its predictions, its dead letters and its
//! completion, and that does nothing if the epoch is no longer the claim's. A run is finished in
//! one transaction that holds its counts, its report and its publication.
//!
//! [`Ledger`] is the face. It is the same on both databases: what differs is the SQL, which stands
//! in files of the same name under `sql/sqlite` and `sql/postgres`, and how a [`Target`] is opened.
//! Values are always bound, and no other module knows this SQL.
//!
//! A transaction that meets another one, or loses its connection, is tried again as a whole. It may
//! have been committed all the same, so each is written to find that out from the rows when it runs
//! again: nothing is ever guessed.
//!
#![doc = include_str!("tables.md")]

/// The statement of this name in both dialects.
macro_rules! statement {
    ($name:literal) => {
        crate::database::Statement {
            name: $name,
            sqlite: include_str!(concat!("sql/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("sql/postgres/", $name, ".sql")),
        }
    };
}

mod claim;
mod commit;
mod dates;
mod erase;
mod evaluations;
mod finish;
mod history;
mod inspect;
mod key;
mod monitoring;
mod outbox;
mod plan;
mod predictions;
mod prune;
mod queue;
mod read;
mod rewrite;
mod roles;
mod rows;
mod schema;
mod target;
pub mod verify;

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::database::{Begin, Connection, QueryError, Retry, Row, Statement, Value};
use crate::error::Failure;

pub use claim::Beginning;
pub use commit::Committed;
pub use dates::{KnownJob, NewestAndPublished};
pub use erase::{ErasedFrom, Erasure, Tombstone};
pub use evaluations::{EvaluationRow, Judged, Origin, PublishedPredictions, Truth};
pub use finish::Finishing;
pub use history::{CompletedShard, PastCost};
pub use inspect::{MissingRights, Server};
pub use key::ErasureKey;
pub use monitoring::Monitoring;
pub use outbox::{Delivery, OutboxRow, Owed, Owing, Settlement};
pub use plan::{DateState, PlannedInput, Planning, RetriedRun};
pub use prune::{Prunable, PrunableInQueue, PrunedKind, RowsOfRun};
pub use queue::{QueueStats, QueuedRecord, queue_ids};
pub use read::ShardProgress;
pub use roles::grants;
pub use rows::{
    Attempt, Claim, DeadLetterCount, DeadLetterFilter, Finish, NewRun, Participant, Publication,
    Run, RunName, ShardCommit, ShardRow, ShardSlice, State, StoredDeadLetter, Totals,
};
pub use schema::SchemaStatus;
pub use target::{Access, LARGEST_SKEW, Target, TargetOptions};

/// An open ledger. Calls block.
pub struct Ledger {
    connection: Box<dyn Connection>,
    target: Target,
    /// Calls made now are part of a transaction that is under way.
    in_transaction: bool,
}

/// Pause before the second try of a transaction; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl Ledger {
    /// From here on what is deleted from a database's file is overwritten there. On Postgres there is
    /// nothing to do, here and below: its own VACUUM does so in time.
    ///
    /// # Errors
    /// The database's.
    pub fn overwrite_deleted(&mut self) -> anyhow::Result<()> {
        self.connection
            .overwrite_deleted()
            .map_err(|error| error.into_failure().into())
    }

    /// Sees to it that what was deleted is gone from the database's file, too.
    ///
    /// # Errors
    /// Somebody reads the file all the time (75); the disk is full (74); the database's.
    pub fn scrub(&mut self) -> anyhow::Result<()> {
        self.connection
            .scrub()
            .map_err(|error| error.into_failure().into())
    }

    /// Closes the database.
    ///
    /// # Errors
    /// I/O. What was committed is safe all the same.
    pub fn close(self) -> anyhow::Result<()> {
        self.connection
            .close()
            .map_err(|error| error.into_failure().into())
    }

    /// Whether other processes may work on the same run at the same time.
    pub fn is_shared(&self) -> bool {
        self.target.is_shared()
    }

    /// Where the ledger is, for people; without user and password.
    pub fn describe(&self) -> String {
        self.target.describe()
    }

    /// The database's file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        self.target.file()
    }

    /// Where the ledger is, to open it once more.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Looks at the ledger as it is at one moment, whatever others write meanwhile.
    ///
    /// # Errors
    /// Those of `look`; the database's.
    pub fn at_one_moment<T>(
        &mut self,
        look: impl FnOnce(&mut Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        self.once(Begin::Read, look).map_err(plain)
    }

    /// Runs `act` in a transaction, which is tried again as a whole if another try may succeed. It
    /// may have been committed nevertheless, and `act` must find that out. Inside another
    /// transaction, `act` is a part of that one.
    fn transaction<T>(
        &mut self,
        begin: Begin,
        doing: impl Fn() -> String,
        mut act: impl FnMut(&mut Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        if self.in_transaction {
            return act(self);
        }
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.once(begin, &mut act) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let again = error
                .downcast_ref::<QueryError>()
                .is_some_and(|error| error.retry() == Retry::Transaction);
            if !again || begun.elapsed() >= self.target.retry_for() {
                return Err(plain(error)).with_context(doing);
            }
            tracing::debug!("{}, trying again: {error:#}", doing());
            thread::sleep(crate::database::jittered(pause));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn once<T>(
        &mut self,
        begin: Begin,
        act: impl FnOnce(&mut Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        if self.in_transaction {
            return act(self);
        }
        self.connection.begin(begin)?;
        self.in_transaction = true;
        let outcome = act(self);
        self.in_transaction = false;
        let committed = match outcome {
            Ok(value) => self.connection.commit().map(|()| value).map_err(Into::into),
            Err(error) => Err(error),
        };
        if committed.is_err() {
            self.connection.rollback();
        }
        committed
    }

    /// Runs a statement of the transaction that is under way.
    fn execute(&mut self, statement: Statement, values: &[Value<'_>]) -> Result<u64, QueryError> {
        self.connection.execute(&statement, values)
    }

    /// All rows of a query of the transaction that is under way.
    fn fetch<T>(
        &mut self,
        statement: Statement,
        values: &[Value<'_>],
        map: impl Fn(&Row) -> Result<T, QueryError>,
    ) -> anyhow::Result<Vec<T>> {
        let mut found = Vec::new();
        self.connection.query(&statement, values, &mut |row| {
            found.push(map(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// The one row of a query of the transaction that is under way.
    fn fetch_one<T>(
        &mut self,
        statement: Statement,
        values: &[Value<'_>],
        map: impl Fn(&Row) -> Result<T, QueryError>,
    ) -> anyhow::Result<T> {
        let name = statement.name;
        let found = self.fetch(statement, values, map)?.pop();
        Ok(found.ok_or_else(|| Failure::internal(format!("`{name}` gave no row")))?)
    }

    /// All rows of a query, in a transaction of its own if there is none.
    fn read<T>(
        &mut self,
        statement: Statement,
        values: &[Value<'_>],
        map: impl Fn(&Row) -> Result<T, QueryError>,
    ) -> anyhow::Result<Vec<T>> {
        let doing = || format!("cannot read the ledger ({})", statement.name);
        self.transaction(Begin::Read, doing, |ledger| {
            ledger.fetch(statement, values, &map)
        })
    }

    /// Passes every row of a query to `visit`, in bounded memory. It is not tried again, but as a
    /// part of the transaction that is under way.
    fn stream(
        &mut self,
        statement: Statement,
        values: &[Value<'_>],
        visit: &mut dyn FnMut(&Row) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if self.in_transaction {
            return self.connection.query(&statement, values, visit);
        }
        self.once(Begin::Read, |ledger| {
            ledger.connection.query(&statement, values, visit)
        })
        .map_err(plain)
        .with_context(|| format!("cannot read the ledger ({})", statement.name))
    }

    /// One statement that may be repeated without harm. Returns the number of rows it changed.
    fn change(
        &mut self,
        statement: Statement,
        values: &[Value<'_>],
        doing: &str,
    ) -> anyhow::Result<u64> {
        self.transaction(
            Begin::Write,
            || doing.to_owned(),
            |ledger| Ok(ledger.execute(statement, values)?),
        )
    }
}

/// A database's error as a plain failure: whether to try again is decided by now.
fn plain(error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<QueryError>() {
        Ok(error) => error.into_failure().into(),
        Err(error) => error,
    }
}

/// Numbers as Postgres writes an array of them; SQLite's statements take them apart likewise.
fn array(numbers: impl IntoIterator<Item = i64>) -> String {
    let numbers: Vec<String> = numbers
        .into_iter()
        .map(|number| number.to_string())
        .collect();
    format!("{{{}}}", numbers.join(","))
}
