//! `lamplighter queue`: put records in, look at what is there.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use serde_json::json;

use super::{Invocation, load_job, look, target, with_ledger};
use crate::cli::{PushOptions, QueueCommand};
use crate::error::Failure;
use crate::features::FeatureKind;
use crate::job::{ColumnType, OnConflict, QueueSource, SourceKind};
use crate::ledger::{Access, Ledger, QueueStats};
use crate::model::Bundle;
use crate::report::text::grouped;
use crate::source::queue::for_each_record;

/// Records that go to the database at once.
const BATCH: usize = 1_000;

/// Runs the command.
///
/// # Errors
/// The file or the job is at fault (65, 66, 78); the database's.
pub fn run(command: &QueueCommand, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    match command {
        QueueCommand::Push(options) => push(options, invocation),
        QueueCommand::Stats { job } => {
            let stats = look(invocation, |ledger| ledger.queue_stats(job.as_deref()))?;
            invocation.terminal.print_either(&stats, || table(&stats))?;
            Ok(0)
        }
    }
}

fn push(options: &PushOptions, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    let job = load_job(&options.job)?;
    let SourceKind::Queue(source) = &job.source.kind else {
        return Err(
            Failure::config(format!("{} does not read from the queue", job.name))
                .hint("queue push is for jobs with [source] kind = \"queue\"")
                .into(),
        );
    };
    let bundle = Bundle::load(&job.model)?;
    let numeric = numeric_columns(&bundle, source);
    let target = target(invocation, Some(&job))?;
    let (read, changed) = with_ledger(&target, Access::Write, |ledger| {
        let mut pushing = Pushing {
            ledger,
            job: &job.name,
            priority: options.priority,
            conflict: source.on_conflict,
            batch: Vec::new(),
            places: HashMap::new(),
            read: 0,
            changed: 0,
        };
        for_each_record(
            &options.file,
            &job.source.id_column,
            &numeric,
            &mut |record| {
                invocation.interrupt.check()?;
                pushing.add(record.record_id, record.payload)
            },
        )
        .and_then(|()| pushing.flush())
        .map_err(|error| match pushing.changed {
            0 => error,
            queued => error.context(format!(
                "{} of the file's records were queued before this",
                grouped(queued)
            )),
        })?;
        Ok((pushing.read, pushing.changed))
    })?;
    let json = json!({ "job": job.name, "read": read, "queued": changed });
    invocation.terminal.print_either(&json, || {
        format!(
            "{}: {} records read, {} rows of the queue written",
            job.name,
            grouped(read),
            grouped(changed)
        )
    })?;
    Ok(0)
}

/// Columns whose cells in a CSV file are numbers.
fn numeric_columns(bundle: &Bundle, source: &QueueSource) -> BTreeSet<String> {
    let features = bundle.encoder.features().iter();
    let features = features
        .filter(|feature| matches!(feature.kind, FeatureKind::Numeric(_)))
        .map(|feature| feature.column.clone());
    let declared = source.columns.iter();
    let declared = declared
        .filter(|(_, column)| matches!(column, ColumnType::Integer | ColumnType::Float))
        .map(|(name, _)| name.clone());
    features.chain(declared).collect()
}

struct Pushing<'a> {
    ledger: &'a mut Ledger,
    job: &'a str,
    priority: i64,
    conflict: OnConflict,
    batch: Vec<(String, String)>,
    /// Where an id stands in the batch: one statement can not write a row twice.
    places: HashMap<String, usize>,
    read: u64,
    changed: u64,
}

impl Pushing<'_> {
    fn add(&mut self, record_id: String, payload: String) -> anyhow::Result<()> {
        self.read += 1;
        match (self.places.get(&record_id), self.conflict) {
            (Some(&place), OnConflict::Replace) => self.batch[place].1 = payload,
            (Some(_), OnConflict::Ignore) => {}
            (None, _) => {
                self.places.insert(record_id.clone(), self.batch.len());
                self.batch.push((record_id, payload));
            }
        }
        match self.batch.len() < BATCH {
            true => Ok(()),
            false => self.flush(),
        }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        if !self.batch.is_empty() {
            self.changed +=
                self.ledger
                    .push(self.job, &self.batch, self.priority, self.conflict)?;
            self.batch.clear();
            self.places.clear();
        }
        Ok(())
    }
}

fn table(stats: &[QueueStats]) -> String {
    let mut text = format!(
        "{:<40} {:>12} {:>12} {:>12} {:>12}  {}\n",
        "JOB", "PENDING", "IN PROGRESS", "DONE", "REPLACED", "OLDEST PENDING"
    );
    for job in stats {
        // Writing to a String can not fail.
        let _ = writeln!(
            text,
            "{:<40} {:>12} {:>12} {:>12} {:>12}  {}",
            job.job,
            grouped(job.pending),
            grouped(job.in_progress),
            grouped(job.done),
            grouped(job.replaced),
            job.oldest_pending.as_deref().unwrap_or("-"),
        );
    }
    text
}
