//! The end of a run: counts, report and publication, in one transaction, by one process.

use super::{Finish, Ledger, Publication, Run, Totals};
use crate::database::{Begin, Value};
use crate::error::Failure;

/// What came of finishing.
pub enum Finishing<T> {
    /// This process finished the run.
    Finished(T),
    /// Another process is about to.
    Busy,
    /// The run is under way no more: another process finished it, or it was given up.
    Ended,
}

impl Ledger {
    /// Finishes a run whose shards are all completed. `conclude` looks at the rows and says how the
    /// run ends; it is called again if the transaction is tried again. Publishing replaces whatever
    /// was published for the date.
    ///
    /// # Errors
    /// Those of `conclude`; a shard is not completed (70); the database's.
    pub fn finish_run<T>(
        &mut self,
        run_id: i64,
        conclude: &mut dyn FnMut(&mut Ledger) -> anyhow::Result<(Finish, T)>,
    ) -> anyhow::Result<Finishing<T>> {
        let doing = || format!("cannot finish run {run_id}");
        self.transaction(Begin::Write, doing, |ledger| {
            let locked = ledger.fetch(statement!("lock_finish"), &[run_id.into()], |_| Ok(()))?;
            if locked.is_empty() {
                return Ok(Finishing::Busy);
            }
            let Some(run) = ledger.run(run_id)? else {
                return Ok(Finishing::Ended);
            };
            // Of a date's runs, and of their retries, one at a time decides what consumers see.
            ledger.lock_date(&run.job, &run.logical_date)?;
            // Nobody gives the run up from here on.
            ledger.fetch(statement!("hold_run"), &[run_id.into()], |_| Ok(()))?;
            let is_running = ledger
                .run(run_id)?
                .is_some_and(|run| run.state.is_unfinished());
            if !is_running {
                return Ok(Finishing::Ended);
            }
            let (finish, outcome) = conclude(ledger)?;
            ledger.finish(run_id, &finish)?;
            Ok(Finishing::Finished(outcome))
        })
    }

    /// Publishes a completed run that was withheld, in place of what consumers see of its date. Returns false
    /// if it is no such run.
    ///
    /// # Errors
    /// The database's.
    pub fn publish_withheld(&mut self, run: &Run) -> anyhow::Result<bool> {
        let doing = || format!("cannot publish {}", run.name());
        self.transaction(Begin::Write, doing, |ledger| {
            ledger.lock_date(&run.job, &run.logical_date)?;
            let values = [run.run_id.into()];
            if ledger.execute(statement!("publish_parent"), &values)? == 0 {
                return Ok(false);
            }
            for statement in [
                statement!("unpublish_date"),
                statement!("withhold_replaced"),
                statement!("publish"),
            ] {
                ledger.execute(statement, &values)?;
            }
            Ok(true)
        })
    }

    fn finish(&mut self, run_id: i64, finish: &Finish) -> anyhow::Result<()> {
        let Totals {
            predicted,
            dead_letters,
            duplicates,
            filtered,
            erased: _,
        } = finish.totals;
        let exit_code = i64::from(finish.exit_code);
        let values = [
            Value::from(run_id),
            finish.publication.as_str().into(),
            (&finish.output_hash).into(),
            exit_code.into(),
            (predicted as i64).into(),
            (dead_letters as i64).into(),
            (duplicates as i64).into(),
            (filtered as i64).into(),
        ];
        if self.execute(statement!("finish_run"), &values)? != 1 {
            return Err(Failure::internal(format!(
                "run {run_id} can not be finished: a shard is not completed, or the run not running"
            ))
            .into());
        }
        if let (Publication::Published, Some(parent)) = (finish.publication, finish.parent) {
            self.publish_over(run_id, parent)?;
        } else if finish.publication == Publication::Published {
            for statement in [
                statement!("unpublish_date"),
                statement!("withhold_replaced"),
                statement!("publish"),
            ] {
                self.execute(statement, &[run_id.into()])?;
            }
        }
        let values = [
            Value::from(run_id),
            finish.verdict.into(),
            exit_code.into(),
            finish.duration_seconds.into(),
            finish.records_per_second.into(),
            finish.peak_memory_bytes.map(|bytes| bytes as i64).into(),
            (&finish.report).into(),
            finish.cost.as_ref().map(|(amount, _)| *amount).into(),
            Value::Text(finish.cost.as_ref().map(|(_, currency)| currency.as_str())),
        ];
        self.execute(statement!("insert_report"), &values)?;
        if let Some(monitoring) = &finish.monitoring {
            self.insert_monitoring(run_id, monitoring)?;
        }
        self.owe(run_id, &finish.owing)?;
        Ok(())
    }

    /// Publishes a retry over its parent, which is published by now or else with it.
    fn publish_over(&mut self, run_id: i64, parent: i64) -> anyhow::Result<()> {
        if self.execute(statement!("publish_parent"), &[parent.into()])? > 0 {
            self.execute(statement!("publish"), &[parent.into()])?;
        }
        self.execute(statement!("publish_over"), &[run_id.into()])?;
        Ok(())
    }
}
