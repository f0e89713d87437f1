//! Profiles of shards and runs, and how far runs have drifted.

use super::Ledger;
use crate::database::Value;

/// What a run leaves for whoever watches data and model.
pub struct Monitoring {
    /// Records that the profile is of.
    pub records: u64,
    /// [`crate::monitor::Profile`] as JSON.
    pub profile: String,
    /// Each [`crate::monitor::drift::SeriesDrift`] as JSON, in a list, if the model has a reference.
    pub drift: Option<String>,
}

impl Ledger {
    /// Passes the profile of each completed shard, as stored, to `visit`, by shard number.
    ///
    /// # Errors
    /// Those of `visit`; the database's.
    pub fn for_each_shard_profile(
        &mut self,
        run_id: i64,
        mut visit: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.stream(statement!("shard_profiles"), &[run_id.into()], &mut |row| {
            visit(&row.get::<Vec<u8>>("profile")?)
        })
    }

    /// The profile of a finished run as JSON, if there is one.
    ///
    /// # Errors
    /// The database's.
    pub fn profile(&mut self, run_id: i64) -> anyhow::Result<Option<String>> {
        let found = self.read(statement!("profile_of_run"), &[run_id.into()], |row| {
            row.get::<String>("profile")
        })?;
        Ok(found.into_iter().next())
    }

    pub(super) fn insert_monitoring(
        &mut self,
        run_id: i64,
        monitoring: &Monitoring,
    ) -> anyhow::Result<()> {
        let values = [
            Value::from(run_id),
            (monitoring.records as i64).into(),
            (&monitoring.profile).into(),
        ];
        self.execute(statement!("insert_profile"), &values)?;
        if let Some(drift) = &monitoring.drift {
            self.execute(statement!("insert_drift"), &[run_id.into(), drift.into()])?;
        }
        Ok(())
    }
}
