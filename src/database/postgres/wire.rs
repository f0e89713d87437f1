//! Waiting for the server: each wait enters the connection's runtime, and each has an end.

use std::time::Duration;

use futures_util::stream::{BoxStream, StreamExt};
use sqlx::postgres::PgConnection;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::errors;
use crate::database::QueryError;
use crate::error::Failure;

/// How much longer than the server we wait for what the server itself should have ended.
pub(super) const GRACE: Duration = Duration::from_secs(60);
/// The most items that are taken from the connection at a time; fewer, if fewer have arrived.
const CHUNK: usize = 256;

/// A connection and what drives it.
///
/// The connection stands first: it is dropped before its runtime.
pub(super) struct Wire {
    pub(super) connection: PgConnection,
    pub(super) runtime: Runtime,
}

/// Why a stream ended early.
pub(super) enum End {
    Server(sqlx::Error),
    TimedOut,
    Visitor(anyhow::Error),
}

/// Why nothing was copied.
pub(super) enum Uncopied {
    Server(End),
    /// The producer gave up.
    Given {
        error: QueryError,
        is_aborted: bool,
    },
}

/// Passes data to a sink, in pieces of any size; stops at the sink's error and returns it.
pub type Producer<'a> =
    dyn FnMut(&mut dyn FnMut(&[u8]) -> Result<(), QueryError>) -> Result<(), QueryError> + 'a;

/// Waits for one answer.
pub(super) fn wait<T>(
    runtime: &Runtime,
    limit: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, End> {
    match runtime.block_on(async { timeout(limit, work).await }) {
        Ok(done) => done.map_err(End::Server),
        Err(_) => Err(End::TimedOut),
    }
}

/// Runs a `COPY … FROM STDIN`.
pub(super) fn copy_in(
    Wire {
        connection,
        runtime,
    }: &mut Wire,
    limit: Duration,
    statement: &str,
    produce: &mut Producer<'_>,
) -> Result<u64, Uncopied> {
    let begun = wait(runtime, limit, connection.copy_in_raw(statement));
    let mut sink = begun.map_err(Uncopied::Server)?;
    let mut lost = None;
    let produced = produce(&mut |bytes| match wait(runtime, limit, sink.send(bytes)) {
        Ok(_) => Ok(()),
        Err(end) => {
            let error = describe("sending failed", limit, &end);
            lost = Some(end);
            Err(error)
        }
    });
    match (lost, produced) {
        // What was sent in part can not be ended in an orderly way.
        (Some(end), _) => Err(Uncopied::Server(end)),
        (None, Ok(())) => wait(runtime, limit, sink.finish()).map_err(Uncopied::Server),
        (None, Err(error)) => {
            let aborted = wait(runtime, GRACE, sink.abort("given up by the client"));
            Err(Uncopied::Given {
                error,
                is_aborted: aborted.is_ok(),
            })
        }
    }
}

/// Passes on what a stream gives. The limit is on the wait for each piece.
pub(super) fn pull<T>(
    runtime: &Runtime,
    limit: Duration,
    stream: BoxStream<'_, Result<T, sqlx::Error>>,
    visit: &mut dyn FnMut(T) -> anyhow::Result<()>,
) -> Result<(), End> {
    // The runtime is entered once for many rows.
    let mut chunks = stream.ready_chunks(CHUNK);
    while let Some(chunk) = wait(runtime, limit, async { Ok(chunks.next().await) })? {
        for item in chunk {
            visit(item.map_err(End::Server)?).map_err(End::Visitor)?;
        }
    }
    Ok(())
}

/// The error that an end means.
pub(super) fn describe(doing: &str, limit: Duration, end: &End) -> QueryError {
    match end {
        End::Server(error) => errors::classify(error, doing),
        End::TimedOut => errors::timed_out(doing, limit.as_secs()),
        End::Visitor(error) => Failure::internal(format!("{doing}: {error:#}")).into(),
    }
}
