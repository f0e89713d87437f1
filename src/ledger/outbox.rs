//! The outbox: what is owed to the outside, and what of it was delivered.
//!
//! A row is written in the transaction that makes it true, once for each run, rule and way of telling. Whoever
//! delivers it claims it first, so that no two processes deliver it at the same time; a claim of a process that
//! died lapses.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Ledger, array};
use crate::database::{Begin, Value};

/// A message that is to be owed.
#[derive(Clone, Debug)]
pub struct Owing {
    /// Name of the rule.
    pub rule: String,
    /// `webhook` or `exec`.
    pub action: &'static str,
    /// What the receiver knows it by, should it come twice.
    pub message_id: String,
    /// The message as JSON.
    pub message: String,
}

/// A message that this process is to deliver.
#[derive(Clone, Debug)]
pub struct Owed {
    /// Key.
    pub outbox_id: i64,
    /// Name of the rule.
    pub rule: String,
    /// `webhook` or `exec`.
    pub action: String,
    /// What the receiver knows it by.
    pub message_id: String,
    /// The message as JSON.
    pub message: String,
}

/// A message that is owed to the outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Name of the rule.
    pub rule: String,
    /// `webhook` or `exec`.
    pub action: String,
    /// `pending`, `delivered` or `expired`.
    pub state: String,
    /// How often it was tried.
    pub attempts: u64,
    /// Why it failed the last time.
    pub last_error: Option<String>,
    /// When it was delivered.
    pub delivered_at: Option<String>,
}

/// A message and what became of it.
#[derive(Clone, Debug)]
pub struct OutboxRow {
    /// What became of it.
    pub delivery: Delivery,
    /// The message as JSON.
    pub message: String,
}

/// How the delivery of a claimed message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The receiver has it.
    Delivered,
    /// It failed, and is left to the next start.
    Pending,
    /// Nobody is to get it any more.
    Expired,
}

impl Settlement {
    fn as_str(self) -> &'static str {
        match self {
            Settlement::Delivered => "delivered",
            Settlement::Pending => "pending",
            Settlement::Expired => "expired",
        }
    }
}

impl Ledger {
    /// Owes messages of a run; one that is owed already, or was delivered, is left as it is. Returns how many
    /// are new.
    ///
    /// # Errors
    /// The database's.
    pub fn owe(&mut self, run_id: i64, owing: &[Owing]) -> anyhow::Result<u64> {
        if owing.is_empty() {
            return Ok(0);
        }
        let doing = || format!("cannot write the alerts of run {run_id}");
        self.transaction(Begin::Write, doing, |ledger| {
            let mut new = 0;
            for message in owing {
                let values = [
                    Value::from(run_id),
                    (&message.rule).into(),
                    message.action.into(),
                    (&message.message_id).into(),
                    (&message.message).into(),
                ];
                new += ledger.execute(statement!("owe"), &values)?;
            }
            Ok(new)
        })
    }

    /// Claims a message of a job whose key is none of `handled`; `None` if there is none that this process may
    /// deliver.
    ///
    /// # Errors
    /// The database's.
    pub fn claim_owed(
        &mut self,
        job: &str,
        owner: &str,
        handled: impl IntoIterator<Item = i64>,
        lease: Duration,
    ) -> anyhow::Result<Option<Owed>> {
        let handled = array(handled);
        let values = [
            Value::from(job),
            owner.into(),
            (&handled).into(),
            lease.as_secs_f64().into(),
        ];
        let doing = || "cannot claim an alert".to_owned();
        let mut found = self.transaction(Begin::Write, doing, |ledger| {
            ledger.fetch(statement!("claim_owed"), &values, |row| {
                Ok(Owed {
                    outbox_id: row.get("outbox_id")?,
                    rule: row.get("rule")?,
                    action: row.get("action")?,
                    message_id: row.get("message_id")?,
                    message: row.get("message")?,
                })
            })
        })?;
        Ok(found.pop())
    }

    /// Notes that a claimed message failed with `error` and is tried once more at once. Returns false if it is
    /// this process's no more.
    ///
    /// # Errors
    /// The database's.
    pub fn try_owed_again(
        &mut self,
        owed: &Owed,
        owner: &str,
        lease: Duration,
        error: &str,
    ) -> anyhow::Result<bool> {
        let values = [
            Value::from(owed.outbox_id),
            owner.into(),
            lease.as_secs_f64().into(),
            error.into(),
        ];
        let changed = self.change(
            statement!("try_owed_again"),
            &values,
            "cannot note how an alert went",
        )?;
        Ok(changed > 0)
    }

    /// Notes how the delivery of a claimed message went, whether it was tried, and gives the claim up.
    ///
    /// # Errors
    /// The database's.
    pub fn settle_owed(
        &mut self,
        owed: &Owed,
        owner: &str,
        settlement: Settlement,
        was_tried: bool,
        error: Option<&str>,
    ) -> anyhow::Result<()> {
        let values = [
            Value::from(owed.outbox_id),
            owner.into(),
            settlement.as_str().into(),
            Value::Text(error),
            was_tried.into(),
        ];
        self.change(
            statement!("settle_owed"),
            &values,
            "cannot note how an alert went",
        )?;
        Ok(())
    }

    /// Gives up messages of a job that have been owed for longer than `patience`. Returns how many.
    ///
    /// # Errors
    /// The database's.
    pub fn expire_owed(&mut self, job: &str, patience: Duration) -> anyhow::Result<u64> {
        let values = [Value::from(job), patience.as_secs_f64().into()];
        self.change(
            statement!("expire_owed"),
            &values,
            "cannot give up old alerts",
        )
    }

    /// Messages of a job that other processes are delivering.
    ///
    /// # Errors
    /// The database's.
    pub fn owed_to_others(&mut self, job: &str, owner: &str) -> anyhow::Result<u64> {
        let values = [Value::from(job), owner.into()];
        let found = self.read(statement!("owed_to_others"), &values, |row| row.get("owed"))?;
        Ok(found.first().copied().unwrap_or(0))
    }

    /// Messages of a job that are still owed.
    ///
    /// # Errors
    /// The database's.
    pub fn pending_owed(&mut self, job: &str) -> anyhow::Result<u64> {
        let found = self.read(statement!("pending_owed"), &[job.into()], |row| {
            row.get("owed")
        })?;
        Ok(found.first().copied().unwrap_or(0))
    }

    /// What is or was owed because of a run, the oldest first.
    ///
    /// # Errors
    /// The database's.
    pub fn owed_of_run(&mut self, run_id: i64) -> anyhow::Result<Vec<OutboxRow>> {
        self.read(statement!("owed_of_run"), &[run_id.into()], |row| {
            let delivery = Delivery {
                rule: row.get("rule")?,
                action: row.get("action")?,
                state: row.get("state")?,
                attempts: row.get("attempts")?,
                last_error: row.get("last_error")?,
                delivered_at: row.get("delivered_at")?,
            };
            Ok(OutboxRow {
                delivery,
                message: row.get("message")?,
            })
        })
    }
}
