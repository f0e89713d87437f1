//! Proof, from the rows, that a run's every record is accounted for.
//!
//! Stored counters prove nothing, so what is stored as a row is counted as a row: each prediction
//! and each dead letter is read back, assigned to its shard by ordinal, and hashed; hashes, counts
//! and the conservation law (records = predictions + dead letters + filtered + erased) are then
//! held against what the shard's transaction wrote. The shards' hashes are in turn held against the
//! run's, and what consumers see against what the run says of itself.

use serde::Serialize;

use super::{Ledger, Publication, Run, ShardRow, State};
use crate::record::{DUPLICATE_ID, OutputHasher, run_hash};

/// What [`verify`] found.
#[derive(Debug, Serialize)]
pub struct Verification {
    /// `job@date#generation`.
    pub run: String,
    /// Whether everything agrees.
    pub ok: bool,
    /// Records of the run.
    pub planned: u64,
    /// Rows of `predictions`.
    pub predicted: u64,
    /// Rows of `dead_letters`.
    pub dead_letters: u64,
    /// Dead letters that were pruned, by the shards' own counts, which their hashes cover.
    pub pruned_dead_letters: u64,
    /// When the dead letters were pruned.
    pub dead_letters_pruned_at: Option<String>,
    /// Records that the filter dropped.
    pub filtered: u64,
    /// Tombstones of records that were erased.
    pub erased: u64,
    /// When the run began to be pruned as a whole: then nothing is left to prove but that nobody sees
    /// or needs it.
    pub pruned_at: Option<String>,
    /// Records of shards that are not completed.
    pub unfinished: u64,
    /// What does not agree, in words.
    pub findings: Vec<String>,
}

struct Tally {
    predicted: u64,
    dead_letters: u64,
    erased: u64,
    last_ordinal: Option<i64>,
    hasher: OutputHasher,
}

/// Recomputes a run from its rows.
///
/// # Errors
/// The database's. What does not agree is no error, but a finding.
pub fn verify(ledger: &mut Ledger, run: &Run) -> anyhow::Result<Verification> {
    if run.pruned_at.is_some() {
        let findings = check_pruned(ledger, run)?;
        return Ok(Verification {
            run: run.name().to_string(),
            ok: findings.is_empty(),
            planned: run.planned as u64,
            predicted: 0,
            dead_letters: 0,
            pruned_dead_letters: 0,
            dead_letters_pruned_at: None,
            filtered: 0,
            erased: 0,
            pruned_at: run.pruned_at.clone(),
            unfinished: 0,
            findings,
        });
    }
    let shards = ledger.shards(run.run_id)?;
    let mut findings = Vec::new();
    check_slices(run, &shards, &mut findings);
    let mut tallies: Vec<Tally> = shards
        .iter()
        .map(|shard| Tally {
            predicted: 0,
            dead_letters: 0,
            erased: 0,
            last_ordinal: None,
            hasher: OutputHasher::new(
                shard.first_ordinal,
                shard.records,
                shard.filtered.unwrap_or(0),
            ),
        })
        .collect();

    let mut predicted = 0u64;
    ledger.for_each_prediction(run.run_id, |row| {
        predicted += 1;
        let Some(tally) = tally_of(&shards, &mut tallies, row.ordinal) else {
            findings.push(format!(
                "prediction of ordinal {} lies outside every shard",
                row.ordinal
            ));
            return;
        };
        if tally.last_ordinal.replace(row.ordinal) == Some(row.ordinal) {
            findings.push(format!("ordinal {} is predicted twice", row.ordinal));
        }
        tally.predicted += 1;
        tally.hasher.prediction(row);
    })?;

    let (mut dead_letters, mut duplicates) = (0u64, 0u64);
    ledger.for_each_dead_letter(run.run_id, None, |letter| {
        dead_letters += 1;
        duplicates += u64::from(letter.code == DUPLICATE_ID);
        match tally_of(&shards, &mut tallies, letter.ordinal) {
            None => findings.push(format!(
                "dead letter of ordinal {} lies outside every shard",
                letter.ordinal
            )),
            Some(tally) => {
                tally.dead_letters += 1;
                tally.hasher.dead_letter(
                    letter.ordinal,
                    letter.record_id.as_deref(),
                    &letter.stage,
                    &letter.code,
                    letter.field.as_deref(),
                    &letter.message,
                );
            }
        }
        Ok(())
    })?;

    let mut erased = 0u64;
    ledger.for_each_tombstone(run.run_id, |ordinal, token| {
        erased += 1;
        match tally_of(&shards, &mut tallies, ordinal) {
            None => findings.push(format!(
                "tombstone of ordinal {ordinal} lies outside every shard"
            )),
            Some(tally) => {
                tally.erased += 1;
                tally.hasher.tombstone(ordinal, token);
            }
        }
    })?;

    let (mut filtered, mut unfinished) = (0, 0);
    let pruned: u64 = shards.iter().map(|shard| shard.pruned_dead_letters).sum();
    let pruned_duplicates: u64 = shards.iter().map(|shard| shard.pruned_duplicates).sum();
    if (pruned > 0) != run.dead_letters_pruned_at.is_some() {
        findings.push(format!(
            "{pruned} dead letters were pruned, but the run says {}",
            run.dead_letters_pruned_at.as_deref().unwrap_or("none were")
        ));
    }
    for (shard, tally) in shards.iter().zip(tallies) {
        if shard.state == "completed" {
            filtered += shard.filtered.unwrap_or(0);
            check_completed(shard, tally, &mut findings);
        } else {
            unfinished += shard.records;
            check_unfinished(run, shard, &tally, &mut findings);
        }
    }
    if run.state == State::Completed {
        for (what, stored, counted) in [
            ("predictions", run.predicted, predicted),
            ("dead letters", run.dead_letters, dead_letters + pruned),
            ("duplicates", run.duplicates, duplicates + pruned_duplicates),
            ("filtered records", run.filtered, filtered),
            ("erased records", Some(run.erased), erased),
        ] {
            if stored != Some(counted as i64) {
                let stored = stored.map_or("none".to_owned(), |stored| stored.to_string());
                findings.push(format!(
                    "the run counts {stored} {what}, but there are {counted}"
                ));
            }
        }
        let hashes = shards
            .iter()
            .filter_map(|shard| shard.output_hash.as_deref());
        if run.output_hash != Some(run_hash(hashes)) {
            findings
                .push("its shards are not the ones that were finished (hash differs)".to_owned());
        }
    }
    check_publication(ledger, run, &mut findings)?;
    Ok(Verification {
        run: run.name().to_string(),
        ok: findings.is_empty(),
        planned: run.planned as u64,
        predicted,
        dead_letters,
        pruned_dead_letters: pruned,
        dead_letters_pruned_at: run.dead_letters_pruned_at.clone(),
        filtered,
        erased,
        pruned_at: None,
        unfinished,
        findings,
    })
}

/// Nobody may see or need a run that is being pruned.
fn check_pruned(ledger: &mut Ledger, run: &Run) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    check_publication(ledger, run, &mut findings)?;
    let is_published = run.publication == Publication::Published;
    if is_published || ledger.is_seen(run.run_id)? {
        findings.push("the run is being pruned, but it is published".to_owned());
    }
    if run.state.is_unfinished() {
        findings.push(format!(
            "the run is being pruned, but it is {}",
            run.state.as_str()
        ));
    }
    if ledger.newest_child(run.run_id)?.is_some() {
        findings.push("the run is being pruned, but there is a retry of it".to_owned());
    }
    Ok(findings)
}

/// Consumers must see just the run that says so of itself, and only a whole one.
fn check_publication(
    ledger: &mut Ledger,
    run: &Run,
    findings: &mut Vec<String>,
) -> anyhow::Result<()> {
    let seen = ledger.is_seen(run.run_id)?;
    let published = run.publication == Publication::Published;
    if seen != published {
        findings.push(format!(
            "the run is {}, but consumers {} it",
            run.publication.as_str(),
            if seen { "see" } else { "do not see" }
        ));
    }
    if let (true, Some(parent)) = (seen, run.parent_run_id)
        && ledger.published_run(&run.job, &run.logical_date)? != Some(parent)
    {
        findings.push("consumers see the retry, but not the run that it belongs to".to_owned());
    }
    if (seen || published) && (run.state != State::Completed || run.trial) {
        findings.push(format!(
            "the run is published, but it is {}",
            if run.trial {
                "a trial"
            } else {
                run.state.as_str()
            }
        ));
    }
    Ok(())
}

/// Shards must tile the run's ordinals.
fn check_slices(run: &Run, shards: &[ShardRow], findings: &mut Vec<String>) {
    let mut next = 0;
    for shard in shards {
        if shard.first_ordinal != next {
            findings.push(format!(
                "shard {} begins at ordinal {}, not at {next}",
                shard.shard_no, shard.first_ordinal
            ));
        }
        next = shard.first_ordinal + shard.records;
    }
    if next != run.planned as u64 {
        findings.push(format!(
            "shards end at ordinal {next}, but {} records are planned",
            run.planned
        ));
    }
}

fn check_completed(shard: &ShardRow, mut tally: Tally, findings: &mut Vec<String>) {
    let shard_no = shard.shard_no;
    let filtered = shard.filtered.unwrap_or(0);
    let dead_letters = tally.dead_letters + shard.pruned_dead_letters;
    let sum = tally.predicted + dead_letters + filtered + tally.erased;
    if sum != shard.records {
        findings.push(format!(
            "shard {shard_no}: {} records, but {} predictions + {dead_letters} dead letters + {filtered} filtered + {} erased = {sum}",
            shard.records, tally.predicted, tally.erased,
        ));
    }
    tally.hasher.pruned(shard.pruned_dead_letters);
    for (what, stored, counted) in [
        ("predictions", shard.predicted, tally.predicted),
        ("dead letters", shard.dead_letters, dead_letters),
        ("erased records", Some(shard.erased), tally.erased),
    ] {
        if stored != Some(counted) {
            findings.push(format!(
                "shard {shard_no}: {} {what} were committed, but there are {counted}",
                stored.unwrap_or(0)
            ));
        }
    }
    if shard.output_hash.as_deref() != Some(tally.hasher.finish().as_str()) {
        findings.push(format!(
            "shard {shard_no}: its rows are not the ones that were committed (hash differs)"
        ));
    }
}

fn check_unfinished(run: &Run, shard: &ShardRow, tally: &Tally, findings: &mut Vec<String>) {
    let rows = tally.predicted + tally.dead_letters + tally.erased;
    if rows > 0 {
        findings.push(format!(
            "shard {} is not completed, but has {rows} rows",
            shard.shard_no
        ));
    }
    if run.state == State::Completed {
        findings.push(format!(
            "the run is completed, but shard {} is not",
            shard.shard_no
        ));
    }
}

fn tally_of<'tallies>(
    shards: &[ShardRow],
    tallies: &'tallies mut [Tally],
    ordinal: i64,
) -> Option<&'tallies mut Tally> {
    let ordinal = u64::try_from(ordinal).ok()?;
    let index = shards
        .partition_point(|shard| shard.first_ordinal <= ordinal)
        .checked_sub(1)?;
    let shard = &shards[index];
    (ordinal < shard.first_ordinal + shard.records).then(|| &mut tallies[index])
}
