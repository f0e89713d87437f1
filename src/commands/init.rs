//! `lamplighter init`: a job, a bundle and an export script from a Parquet file.

use std::fmt::Write;

use serde_json::json;

use super::Invocation;
use crate::cli::{self, InitOptions};
use crate::features::spec::FeatureKind;
use crate::model::Task;
use crate::report::text::grouped;
use crate::scaffold::{Request, Scaffold, shell_word};

/// Columns that are not features, of which the reason is shown.
const SHOWN: usize = 10;

/// Runs the command.
///
/// # Errors
/// The options do not go with the file, or something is there already (64); the file is at fault
/// (65, 66); I/O.
pub fn run(options: &InitOptions, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    let request = Request {
        directory: options.directory.clone(),
        from: options.from.clone(),
        id_column: options.id_column.clone(),
        name: options.name.clone(),
        task: options.task.map(|task| match task {
            cli::Task::Binary => Task::Binary,
            cli::Task::Multiclass => Task::Multiclass,
            cli::Task::Regression => Task::Regression,
        }),
        target: options.target.clone(),
    };
    let scaffold = Scaffold::plan(&request, invocation.interrupt)?;
    scaffold.write()?;
    let (place, prediction) = (&scaffold.place, &scaffold.prediction);
    let files = files(&scaffold).map(|(file, _)| file);
    let left_out: Vec<_> = scaffold
        .left_out
        .iter()
        .map(|left| json!({ "column": left.column, "reason": left.reason }))
        .collect();
    let json = json!({
        "directory": place.directory,
        "name": place.name,
        "files": files,
        "id_column": scaffold.id_column,
        "task": prediction.task.as_str(),
        "classes": prediction.classes,
        "target": prediction.target,
        "records": scaffold.rows,
        "features": scaffold.features.len(),
        "left_out": left_out,
        "next": next(&scaffold),
    });
    invocation
        .terminal
        .print_either(&json, || describe(&scaffold))?;
    if let Some(warning) = scaffold.id_warning {
        tracing::warn!(id_column = scaffold.id_column, "the id column {warning}");
    }
    Ok(0)
}

/// What was written, and what it is.
fn files(scaffold: &Scaffold) -> [(String, &'static str); 5] {
    let place = &scaffold.place;
    let of_bundle = |name: &str| format!("{}/{name}", place.bundle());
    [
        (place.job(), "the job"),
        (of_bundle("model.toml"), "what the model reads and predicts"),
        (of_bundle("model.safetensors"), "its weights: zeros"),
        (
            place.export(),
            "trains it, or takes a state dict, and writes the weights",
        ),
        (place.crontab(), "starts the job every night"),
    ]
}

/// What to type next.
fn next(scaffold: &Scaffold) -> Vec<String> {
    let place = &scaffold.place;
    let job = place.job();
    let mut commands = Vec::new();
    if !place.is_here() {
        commands.push(format!("cd {}", shell_word(&place.given.to_string_lossy())));
    }
    commands.extend([
        format!("lamplighter check {job}"),
        format!("lamplighter run {job} --limit 100"),
        format!("lamplighter run {job}"),
    ]);
    commands
}

fn describe(scaffold: &Scaffold) -> String {
    let (place, prediction) = (&scaffold.place, &scaffold.prediction);
    let mut text = format!("wrote into {}\n", place.directory.display());
    // Writing to a String can not fail.
    for (file, what) in files(scaffold) {
        let _ = writeln!(text, "    {file:<36}{what}");
    }
    let is_numeric = |kind: &FeatureKind| matches!(kind, FeatureKind::Numeric(_));
    let numeric = scaffold.features.iter();
    let numeric = numeric
        .filter(|chosen| is_numeric(&chosen.feature.kind))
        .count();
    let categorical = scaffold.features.len() - numeric;
    let classes = match prediction.classes.as_slice() {
        [] => String::new(),
        classes => format!(" of {}", some(classes, ", ")),
    };
    let lines = [
        ("records", grouped(scaffold.rows)),
        ("id column", scaffold.id_column.clone()),
        (
            "task",
            format!(
                "{}{classes} ({})",
                prediction.task.as_str(),
                prediction.because
            ),
        ),
        (
            "features",
            format!("{numeric} numeric, {categorical} categorical"),
        ),
    ];
    text.push_str("\nfound\n");
    for (name, value) in lines {
        let _ = writeln!(text, "    {name:<14}{value}");
    }
    if !scaffold.left_out.is_empty() {
        text.push_str("\nno features\n");
        for left in scaffold.left_out.iter().take(SHOWN) {
            let _ = writeln!(text, "    {:<14}{}", left.column, left.reason);
        }
        let more = scaffold.left_out.len().saturating_sub(SHOWN);
        if more > 0 {
            let _ = writeln!(text, "    and {more} more, which model.toml names");
        }
    }
    text.push_str("\nnext\n");
    for command in next(scaffold) {
        let _ = writeln!(text, "    {command}");
    }
    let _ = writeln!(
        text,
        "\nEvery prediction is the same until {} has written trained weights.",
        place.export()
    );
    text
}

/// The first of many.
fn some(items: &[String], separator: &str) -> String {
    let shown = items.iter().take(SHOWN).cloned().collect::<Vec<_>>();
    match items.len().saturating_sub(SHOWN) {
        0 => shown.join(separator),
        more => format!("{} and {more} more", shown.join(separator)),
    }
}
