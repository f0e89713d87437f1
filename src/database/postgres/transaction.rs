//! What a transaction may do, and the one message that begins it.

use std::time::Duration;

use crate::database::Identifier;

/// What a transaction may do, and for how long.
#[derive(Clone, Debug)]
pub struct TransactionOptions {
    /// Where names without a schema are looked up; `None` leaves that to the server.
    pub schema: Option<Identifier>,
    /// Whether writing is refused.
    pub read_only: bool,
    /// Whether all statements see the same moment.
    pub repeatable_read: bool,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// How long a statement may wait for a lock.
    pub lock_timeout: Duration,
}

impl Default for TransactionOptions {
    fn default() -> Self {
        Self {
            schema: None,
            read_only: false,
            repeatable_read: false,
            statement_timeout: Duration::from_mins(15),
            lock_timeout: Duration::from_secs(30),
        }
    }
}

impl TransactionOptions {
    /// One message that begins the transaction. Its settings end with it.
    pub(super) fn statement(&self) -> String {
        let milliseconds = |limit: Duration| limit.as_millis().clamp(1, i32::MAX as u128);
        let mut sql = "BEGIN ISOLATION LEVEL ".to_owned();
        sql += match self.repeatable_read {
            true => "REPEATABLE READ",
            false => "READ COMMITTED",
        };
        sql += match self.read_only {
            true => " READ ONLY",
            false => " READ WRITE",
        };
        sql += &format!(
            "; SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}; \
             SET LOCAL idle_in_transaction_session_timeout = '5min'; SET LOCAL TIME ZONE 'UTC'",
            milliseconds(self.statement_timeout),
            milliseconds(self.lock_timeout),
        );
        if let Some(schema) = &self.schema {
            sql += &format!("; SET LOCAL search_path = {schema}, pg_temp");
        }
        if !self.read_only {
            // What was committed must survive a crash of the server.
            sql += "; SELECT set_config('synchronous_commit', 'on', true) \
                    WHERE current_setting('synchronous_commit') = 'off'";
        }
        sql
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_end_with_the_transaction() {
        let options = TransactionOptions {
            schema: Some(Identifier::schema("team_a").unwrap()),
            ..TransactionOptions::default()
        };
        let sql = options.statement();
        assert!(
            sql.starts_with("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; "),
            "{sql}"
        );
        assert!(
            sql.contains("SET LOCAL statement_timeout = 900000;"),
            "{sql}"
        );
        assert!(
            sql.contains("SET LOCAL search_path = \"team_a\", pg_temp;"),
            "{sql}"
        );
        let settings = sql.split("; ").skip(1);
        for setting in settings {
            assert!(
                setting.starts_with("SET LOCAL ") || setting.contains(", true)"),
                "{setting}"
            );
        }
        let reading = TransactionOptions {
            read_only: true,
            repeatable_read: true,
            ..TransactionOptions::default()
        };
        let sql = reading.statement();
        assert!(
            sql.starts_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "),
            "{sql}"
        );
        assert!(!sql.contains("synchronous_commit"), "{sql}");
    }
}
