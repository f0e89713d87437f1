//! The files as text.

use std::fmt::Write;
use std::path::Path;

use super::quoted::{number, of_crontab, of_job, quoted};
use super::{Chosen, Scaffold, UNTRAINED};
use crate::features::spec::{FeatureKind, Scale};
use crate::model::Task;
use crate::report::text::grouped;

/// Widths of the hidden layers.
pub const HIDDEN: [usize; 2] = [64, 32];

/// The job file.
pub fn job(scaffold: &Scaffold) -> String {
    let place = &scaffold.place;
    filled(
        include_str!("templates/job.toml"),
        &[
            ("directory", place.directory.display().to_string()),
            ("name", quoted(&place.name)),
            ("crontab", place.crontab()),
            ("input", of_job(&place.input)),
            ("id_column", of_job(&scaffold.id_column)),
            ("export", place.export()),
            ("bundle", quoted(&place.bundle())),
        ],
    )
}

/// The bundle's `model.toml`.
pub fn model(scaffold: &Scaffold) -> String {
    let prediction = &scaffold.prediction;
    let mut text = filled(
        include_str!("templates/model.toml"),
        &[
            ("export", scaffold.place.export()),
            ("records", format!("{} records", grouped(scaffold.rows))),
            ("from", scaffold.place.input.clone()),
            ("name", quoted(&scaffold.place.name)),
            ("version", quoted(UNTRAINED)),
            ("task", quoted(prediction.task.as_str())),
            ("classes", classes(scaffold)),
            ("hidden", format!("{HIDDEN:?}")),
        ],
    );
    if !scaffold.left_out.is_empty() {
        text.push_str("\n# Columns that are no features:\n");
    }
    for left in &scaffold.left_out {
        // Writing to a String can not fail.
        let _ = writeln!(text, "#   {}: {}", quoted(&left.column), left.reason);
    }
    for chosen in &scaffold.features {
        text.push_str(&feature(chosen));
    }
    text
}

fn classes(scaffold: &Scaffold) -> String {
    let prediction = &scaffold.prediction;
    if prediction.classes.is_empty() {
        return String::new();
    }
    let comment = match (prediction.task, &prediction.target) {
        (Task::Binary, None) => "  # put your own names in; the second is the positive one",
        (Task::Binary, Some(_)) => "  # the second is the positive one",
        _ => "",
    };
    format!("classes = {}{comment}\n", list(&prediction.classes))
}

fn feature(chosen: &Chosen) -> String {
    let mut text = "\n[[feature]]\n".to_owned();
    if let Some(note) = &chosen.note {
        let _ = writeln!(text, "# {note}");
    }
    let _ = writeln!(text, "column = {}", quoted(&chosen.feature.column));
    match &chosen.feature.kind {
        FeatureKind::Numeric(Scale {
            mean,
            std,
            min,
            max,
            ..
        }) => {
            text.push_str("kind = \"numeric\"\n");
            let keys = [("mean", mean), ("std", std), ("min", min), ("max", max)];
            for (key, value) in keys.into_iter().filter(|(_, value)| value.is_finite()) {
                let _ = writeln!(text, "{key} = {}", number(*value));
            }
        }
        // Texts have no section of their own.
        FeatureKind::Text { .. } | FeatureKind::Query | FeatureKind::Items => {}
        FeatureKind::Categorical {
            categories, dim, ..
        } => {
            let _ = writeln!(
                text,
                "kind = \"categorical\"\ncategories = {}\ndim = {dim}{}",
                list(categories),
                if *dim == 0 { "  # one-hot" } else { "" }
            );
        }
    }
    text
}

/// Strings as TOML writes them.
fn list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    format!("[{}]", items.join(", "))
}

/// The script that trains the model and writes the bundle's weights.
pub fn export(scaffold: &Scaffold) -> String {
    let place = &scaffold.place;
    let target = scaffold.prediction.target.as_deref();
    filled(
        include_str!("templates/export.py"),
        &[
            ("bundle", place.bundle()),
            ("export", place.export()),
            ("bundle_string", quoted(&place.bundle())),
            ("input", quoted(&place.input)),
            ("target", target.map_or_else(|| "None".to_owned(), quoted)),
        ],
    )
}

/// The crontab. `binary` is this program.
pub fn crontab(scaffold: &Scaffold, binary: &Path) -> String {
    let place = &scaffold.place;
    let log = place.directory.join(format!("{}.log", place.name));
    filled(
        include_str!("templates/crontab"),
        &[
            ("name", place.name.clone()),
            ("directory", of_crontab(&place.directory.to_string_lossy())),
            ("binary", of_crontab(&binary.to_string_lossy())),
            ("job", place.job()),
            ("log", of_crontab(&log.to_string_lossy())),
        ],
    )
}

/// A template with what stands for `{{name}}`. What is put in is not looked at again.
fn filled(template: &str, values: &[(&str, String)]) -> String {
    let mut text = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        text.push_str(before);
        match after.split_once("}}") {
            Some((name, after)) => {
                let value = values.iter().find(|(known, _)| *known == name);
                text.push_str(value.map_or("", |(_, value)| value));
                rest = after;
            }
            None => rest = after,
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_not_looked_at_again() {
        let values = [("a", "{{b}}".to_owned()), ("b", "B".to_owned())];
        assert_eq!(filled("x {{a}} {{b}} {date}", &values), "x {{b}} B {date}");
    }
}
