//! What a finished run's profile is, and how far it is from the reference.

use super::Prepared;
use crate::ledger::{Ledger, Monitoring, Run};
use crate::monitor::profile::ShardProfile;
use crate::monitor::{Drift, Profile};

/// What a run is held against if nothing else is named.
pub const REFERENCE: &str = "reference";

/// The profiles of a run's shards, merged in their order; `None` if no shard left one.
///
/// # Errors
/// The database's.
pub fn profile(
    ledger: &mut Ledger,
    run: &Run,
    prepared: &Prepared,
) -> anyhow::Result<Option<Profile>> {
    let mut merged: Option<ShardProfile> = None;
    let mut left_out = 0_u64;
    let mut unreadable = None;
    ledger.for_each_shard_profile(run.run_id, |stored| {
        let shard = match ShardProfile::from_bytes(stored) {
            Ok(shard) => shard,
            Err(error) => {
                unreadable = Some(error);
                return Ok(());
            }
        };
        match &mut merged {
            _ if !shard.is_of(&prepared.layout) => left_out += 1,
            Some(merged) => merged.merge(&shard),
            None => merged = Some(shard),
        }
        Ok(())
    })?;
    // No reason not to publish: another version of this program may have stored it.
    if let Some(error) = unreadable {
        tracing::warn!(run = %run.name(), "{error:#}: shards like it are not part of the run's profile");
    }
    if left_out > 0 {
        tracing::warn!(
            run = %run.name(),
            shards = left_out,
            "the bundle's reference.json changed while the run was under way: shards that were counted by the former one are not part of the run's profile"
        );
    }
    Ok(merged.map(|merged| Profile::of(&prepared.layout, merged)))
}

/// How far a run's profile is from the reference, if the model has one.
pub fn drift(profile: &Profile, prepared: &Prepared) -> Option<Drift> {
    let reference = prepared.reference.as_ref()?;
    let thresholds = &prepared.drift.thresholds;
    Some(Drift::between(
        &reference.profile,
        profile,
        REFERENCE,
        thresholds,
    ))
}

/// What is stored of both.
///
/// # Errors
/// None that can be met: all numbers are finite.
pub fn rows(
    profile: Option<&Profile>,
    drift: Option<&Drift>,
) -> anyhow::Result<Option<Monitoring>> {
    let Some(profile) = profile else {
        return Ok(None);
    };
    let drift = drift.map(|drift| serde_json::to_string(&drift.series));
    Ok(Some(Monitoring {
        records: profile.records,
        profile: serde_json::to_string(profile)?,
        drift: drift.transpose()?,
    }))
}
