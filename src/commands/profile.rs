//! `lamplighter model profile`: write a bundle's reference.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::json;
use tempfile::NamedTempFile;

use super::{Invocation, load_job};
use crate::cli::{JobOptions, ProfileOptions};
use crate::error::{Class, Failure};
use crate::evaluation::baseline;
use crate::job::{Job, ModelReference, SourceKind};
use crate::model::Bundle;
use crate::model::bundle::REFERENCE;
use crate::monitor::reference::{FORMAT, Reference, ReferenceModel};
use crate::report::text::grouped;
use crate::run::input::Input;
use crate::run::{Prepared, memory, prepare, reference};

/// Runs the command.
///
/// # Errors
/// The bundle or the job is at fault (78), the data is not there (66) or not what the model takes (65).
pub fn run(options: &ProfileOptions, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    let trained_at = trained_at(options.trained_at.as_deref())?;
    let job = job(options)?;
    let mut bundle = Bundle::load(&job.model)?;
    let model = ReferenceModel::of(&bundle);
    // The former one may be that of another version, or broken.
    bundle.reference = None;
    let date = job.schedule.resolve(None, Timestamp::now())?;
    let row_sql = prepare::row_sql(&job)?;
    let input = Input::open(&job, &date, None, None, invocation.interrupt)?;
    let prepared = Arc::new(Prepared::of(&job, date, None, bundle, row_sql, input)?);
    let workers = memory::worker_threads(job.workers);
    let measured = reference::measure(&prepared, workers, invocation.interrupt)?;
    let baseline = match &options.ground_truth {
        Some(path) => {
            let source = SourceKind::files(path);
            let (bundle, predictions) = (&prepared.bundle, measured.predictions);
            let baseline = baseline(&job, bundle, &source, predictions, invocation.interrupt)?;
            if baseline.judged == 0 {
                let problem = format!("{path} holds the truth of no record of {}", options.data);
                return Err(Failure::new(Class::Data, problem)
                    .hint("both are joined by the column of ids: --id-column, or [ground_truth] id_column of --job")
                    .into());
            }
            baseline.metrics
        }
        None => Vec::new(),
    };
    let reference = Reference {
        format: FORMAT,
        model,
        trained_at,
        data: options.data.clone(),
        baseline,
        profile: measured.profile,
    };
    let path = options.bundle.join(REFERENCE);
    write(&options.bundle, &path, &reference)?;
    let json = json!({
        "reference": path,
        "records": reference.profile.records,
        "dead_letters": measured.dead_letters,
        "series": reference.profile.series.len(),
        "baseline": reference.baseline,
    });
    invocation.terminal.print_either(&json, || {
        format!(
            "wrote {}: {} records, {} columns and outputs, {} dead letters, {} metrics",
            path.display(),
            grouped(reference.profile.records),
            reference.profile.series.len(),
            grouped(measured.dead_letters),
            reference.baseline.len()
        )
    })?;
    Ok(0)
}

/// A day, in canonical form.
fn trained_at(given: Option<&str>) -> Result<String, Failure> {
    let Some(given) = given else {
        return Ok(Timestamp::now()
            .to_zoned_datetime(TimeZone::UTC)
            .date()
            .to_string());
    };
    let date: Date = given.parse().map_err(|_| {
        let problem = format!("--trained-at: expected a day such as 2026-11-23, found `{given}`");
        Failure::new(Class::Usage, problem)
    })?;
    Ok(date.to_string())
}

/// A job that reads the data and scores it with the bundle.
fn job(options: &ProfileOptions) -> anyhow::Result<Job> {
    let Some(path) = &options.job else {
        let id_column = options.id_column.as_deref().unwrap_or("id");
        let mut job = Job::of_data(&options.bundle, &options.data, id_column)?;
        job.ground_truth.column.clone_from(&options.truth_column);
        return Ok(job);
    };
    let mut job = load_job(&JobOptions {
        job: path.clone(),
        env: None,
        set: Vec::new(),
    })?;
    job.model = ModelReference {
        bundle: options.bundle.clone(),
        digest: None,
        ..job.model
    };
    job.source.kind = SourceKind::files(&options.data);
    if let Some(column) = &options.id_column {
        job.source.id_column.clone_from(column);
    }
    if options.truth_column.is_some() {
        job.ground_truth.column.clone_from(&options.truth_column);
    }
    Ok(job)
}

/// Writes the file as a whole or not at all.
fn write(bundle: &Path, path: &Path, reference: &Reference) -> anyhow::Result<()> {
    let doing = || format!("cannot write {}", path.display());
    let file = NamedTempFile::new_in(bundle).with_context(doing)?;
    let mut text = serde_json::to_vec(reference)?;
    text.push(b'\n');
    fs::write(file.path(), text).with_context(doing)?;
    let readable = fs::Permissions::from_mode(0o644);
    fs::set_permissions(file.path(), readable).with_context(doing)?;
    file.persist(path).with_context(doing)?;
    Ok(())
}
