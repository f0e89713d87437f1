//! Postgres' errors as classes of failure, and whether another try makes sense.
//!
//! A message holds the server's primary message and its SQLSTATE, cut to a bounded length. It never
//! holds the detail, the context or the statement, and of errors about data no quoted part: those
//! can hold values of rows.

use std::io::ErrorKind;

use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::database::{QueryError, Retry};
use crate::error::{Class, Failure};

/// The longest message of a server that is passed on, in characters.
const LIMIT: usize = 400;

/// A pooler stands in for the server, with messages of its own under one code.
const PROTOCOL_VIOLATION: &str = "08P01";

/// What an error means: class, whether to retry, and a hint.
type Meaning = (Class, Retry, Option<&'static str>);

/// The error of a statement; `doing` says what failed.
pub(super) fn classify(error: &sqlx::Error, doing: &str) -> QueryError {
    if let sqlx::Error::Database(database) = error {
        let code = database.code().unwrap_or_default();
        return of_server(&code, database.message(), doing);
    }
    let meaning = match error {
        sqlx::Error::Configuration(_) | sqlx::Error::InvalidArgument(_) => {
            (Class::Config, Retry::Never, None)
        }
        sqlx::Error::Tls(_) => UNTRUSTED,
        sqlx::Error::Io(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => LOST,
        _ => (Class::Internal, Retry::Never, None),
    };
    // sqlx's own words about an I/O error add nothing.
    let message = match error {
        sqlx::Error::Io(io) => io.to_string(),
        error => error.to_string(),
    };
    build(meaning, format!("{doing}: {}", shortened(&message)))
}

/// The error of an attempt to connect. Differs from [`classify`] in what I/O errors mean: the TLS
/// library reports a refused certificate as one.
pub(super) fn classify_connecting(error: &sqlx::Error, doing: &str) -> QueryError {
    let sqlx::Error::Io(io) = error else {
        return classify(error, doing);
    };
    let meaning = match io.kind() {
        ErrorKind::InvalidData => UNTRUSTED,
        ErrorKind::PermissionDenied => (
            Class::Permission,
            Retry::Never,
            Some("the operating system refuses access to the server's socket"),
        ),
        _ => LOST,
    };
    build(meaning, format!("{doing}: {}", shortened(&io.to_string())))
}

/// What took longer than this side waits.
pub(super) fn timed_out(doing: &str, seconds: u64) -> QueryError {
    build(LOST, format!("{doing}: no answer in {seconds} s"))
}

/// Whether the server, or a pooler before it, has no connection left to give.
pub(super) fn is_full(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|database| {
        let message = database.message();
        database.code().as_deref() == Some("53300")
            || message.contains("max_client_conn")
            || message.contains("no more connections allowed")
    })
}

/// Whether the session is of no more use after this error.
pub(super) fn is_fatal(error: &sqlx::Error) -> bool {
    match error.as_database_error() {
        None => true,
        Some(database) => database
            .try_downcast_ref::<PgDatabaseError>()
            .is_none_or(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic)),
    }
}

/// The same error with other words, or another advice about retrying.
pub(super) fn reworded(error: &QueryError, retry: Retry, message: String) -> QueryError {
    let failure = error.failure().clone();
    let class = failure.class();
    let hint = crate::error::hint(&failure.into()).map(str::to_owned);
    let failure = Failure::new(class, message);
    QueryError::new(
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        },
        retry,
    )
}

const LOST: Meaning = (Class::Unavailable, Retry::Transaction, None);

const UNTRUSTED: Meaning = (
    Class::Unavailable,
    Retry::Never,
    Some(
        "the server's certificate must be signed by an authority that the system or `sslrootcert` \
         names, and for `sslmode=verify-full` be made out to the host in the address",
    ),
);

fn of_server(code: &str, message: &str, doing: &str) -> QueryError {
    let meaning = match code {
        PROTOCOL_VIOLATION => of_pooler(message),
        code => of_code(code),
    };
    let message = match code.starts_with("22") {
        true => without_quoted(message),
        false => message.to_owned(),
    };
    build(
        meaning,
        format!("{doing}: {} ({code})", shortened(&message)),
    )
}

/// Codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn of_code(code: &str) -> Meaning {
    let never = |class, hint| (class, Retry::Never, Some(hint));
    match code {
        "28000" | "28P01" => never(
            Class::Permission,
            "check the user and the password, and the server's pg_hba.conf",
        ),
        "42501" => never(
            Class::Permission,
            "`lamplighter db roles` prints the grants that each role needs; only \
             lamplighter_custodian may prune and erase",
        ),
        "3D000" => never(
            Class::Config,
            "create the database, or correct its name in the address",
        ),
        "3F000" | "42P01" => never(Class::Config, "`lamplighter db migrate` creates the tables"),
        "53100" => never(
            Class::Io,
            "the server's disk is full; nothing of the failed transaction was kept, and the next \
             start continues",
        ),
        "25006" => never(
            Class::Unavailable,
            "the server is read-only: is it a replica? The address must name the primary",
        ),
        // Serialization, deadlock, lock timeout, statement timeout, idle timeouts.
        "40001" | "40P01" | "55P03" | "57014" | "25P03" | "57P05" => LOST,
        // Shutdown, crash, start-up, lost connections, and what the server has too little of.
        "57P01" | "57P02" | "57P03" | "53000" | "53200" | "53300" => LOST,
        code if code.starts_with("08") => LOST,
        code if code.starts_with("22") => (Class::Data, Retry::Never, None),
        code if code.starts_with("42") => (Class::Config, Retry::Never, None),
        code if code.starts_with("58") => (Class::Io, Retry::Never, None),
        _ => (Class::Internal, Retry::Never, None),
    }
}

/// pgbouncer before 1.21 gives all that it refuses the same code. What a later try can not change
/// is told by its words.
fn of_pooler(message: &str) -> Meaning {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["no such database", "unsupported startup parameter"]) {
        let hint = "the pooler's configuration does not allow it";
        (Class::Config, Retry::Never, Some(hint))
    } else if says(&["auth failed", "authentication failed", "no such user"]) {
        let hint = "check the user and the password, also in the pooler's configuration";
        (Class::Permission, Retry::Never, Some(hint))
    } else {
        LOST
    }
}

fn build((class, retry, hint): Meaning, message: String) -> QueryError {
    let failure = Failure::new(class, message);
    let failure = match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    };
    QueryError::new(failure, retry)
}

/// At most [`LIMIT`] characters, of which none controls a terminal.
fn shortened(message: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = message.chars().take(LIMIT).map(plain).collect();
    if message.chars().nth(LIMIT).is_some() {
        short.push('…');
    }
    short
}

/// The message without what stands between its first and its last quotation mark.
fn without_quoted(message: &str) -> String {
    match (message.find('"'), message.rfind('"')) {
        (Some(first), Some(last)) if first < last => {
            format!("{}…{}", &message[..=first], &message[last..])
        }
        (Some(first), _) => format!("{}…", &message[..=first]),
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: &str) -> (u8, Retry) {
        let error = of_server(code, "words", "cannot commit");
        (error.failure().class().exit_code(), error.retry())
    }

    #[test]
    fn codes_of_the_server_have_classes() {
        for (code, exit, retry) in [
            ("28P01", 77, Retry::Never),
            ("42501", 77, Retry::Never),
            ("3D000", 78, Retry::Never),
            ("42P01", 78, Retry::Never),
            ("42601", 78, Retry::Never),
            ("40001", 69, Retry::Transaction),
            ("40P01", 69, Retry::Transaction),
            ("57014", 69, Retry::Transaction),
            ("57P01", 69, Retry::Transaction),
            ("53300", 69, Retry::Transaction),
            ("08006", 69, Retry::Transaction),
            ("53100", 74, Retry::Never),
            ("25006", 69, Retry::Never),
            ("22003", 65, Retry::Never),
            ("23505", 70, Retry::Never),
        ] {
            assert_eq!(of(code), (exit, retry), "{code}");
        }
        let error = of_server("40001", "could not serialize access", "cannot commit");
        assert_eq!(
            error.to_string(),
            "cannot commit: could not serialize access (40001)"
        );
    }

    #[test]
    fn a_pooler_is_told_by_its_words() {
        let exit = |words| {
            let error = of_server("08P01", words, "cannot begin");
            (error.failure().class().exit_code(), error.retry())
        };
        assert_eq!(exit("query_wait_timeout"), (69, Retry::Transaction));
        assert_eq!(
            exit("server login has been failing (server_login_retry)").0,
            69
        );
        assert_eq!(exit("no such database: x"), (78, Retry::Never));
        assert_eq!(exit("SASL authentication failed"), (77, Retry::Never));
    }

    #[test]
    fn values_and_terminal_codes_stay_out_of_messages_and_length_is_bounded() {
        let error = of_server("22P02", "invalid input for type integer: \"ca\"nary\"", "x");
        assert_eq!(
            error.to_string(),
            "x: invalid input for type integer: \"…\" (22P02)"
        );
        let error = of_server("XX000", &format!("\u{1b}[2J{}", "é".repeat(1000)), "x");
        assert!(!error.to_string().contains('\u{1b}'));
        assert_eq!(error.to_string().chars().count(), 3 + LIMIT + 1 + 8);
    }

    #[test]
    fn a_lost_connection_is_retried_and_a_refused_certificate_is_not() {
        let io = |kind| sqlx::Error::Io(std::io::Error::new(kind, "words"));
        let refused = classify_connecting(&io(ErrorKind::ConnectionRefused), "cannot connect");
        assert_eq!(refused.retry(), Retry::Transaction);
        assert_eq!(refused.failure().class(), Class::Unavailable);
        for untrusted in [io(ErrorKind::InvalidData), sqlx::Error::Tls("words".into())] {
            let error = classify_connecting(&untrusted, "cannot connect");
            assert_eq!(error.failure().class(), Class::Unavailable);
            assert_eq!(error.retry(), Retry::Never);
        }
        let denied = classify_connecting(&io(ErrorKind::PermissionDenied), "cannot connect");
        assert_eq!(denied.failure().class(), Class::Permission);
        assert!(is_fatal(&sqlx::Error::Protocol("words".into())));
    }
}
