//! Where all of it came from.

use super::Entry;
use super::words::{bytes, time};
use crate::report::text::{files, grouped};
use crate::report::{RunReport, Verdict};

pub(super) fn view(report: &RunReport) -> Vec<Entry> {
    let finished = match report.outcome.verdict {
        Verdict::Unfinished => "not yet".to_owned(),
        _ => time(&report.timing.finished_at),
    };
    let (model, input) = (&report.model, &report.input);
    let mut entries = vec![
        Entry::new("Run", report.run.as_str()),
        Entry::new("Key", report.run_id.to_string()),
        Entry::new("Logical date", report.logical_date.as_str()),
        Entry::new("Generation", report.generation.to_string()),
    ];
    if report.trial {
        entries.push(Entry::new("Trial", "yes: it is never published"));
    }
    entries.extend([
        Entry::new("Exit code", report.outcome.exit_code.to_string()),
        Entry::new("Model", format!("{} {}", model.name, model.version)),
        Entry::new("Digest", model.digest.as_str()),
        Entry::new(
            "Numerics",
            format!(
                "{} {}, batches of {}",
                model.precision,
                model.numerics,
                grouped(model.batch_size)
            ),
        ),
        Entry::new(
            "Input",
            match input.files {
                0 => input.source.clone(),
                number => format!(
                    "{}, {}, {}",
                    input.source,
                    files(number),
                    bytes(Some(input.bytes))
                ),
            },
        ),
        Entry::new("Manifest", input.manifest.as_str()),
        Entry::new("Fingerprint", input.fingerprint.as_str()),
        Entry::new("Shards", grouped(report.counts.shards)),
        Entry::new("Host", report.resources.host.as_str()),
        Entry::new("Started", time(&report.timing.started_at)),
        Entry::new("Finished", finished),
        Entry::new("Lamplighter", report.lamplighter.as_str()),
    ]);
    entries.retain(|entry| !entry.value.is_empty());
    entries
}
