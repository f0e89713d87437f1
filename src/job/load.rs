//! From the text of a job file to its spec: parse, lay overlays over it, replace variables, and
//! give it types.
//!
//! Invariants: the whole file is checked, overlays that are not chosen included; `${VAR}` is
//! replaced only in what is used; the only I/O is reading the file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use toml::de::DeValue;

use super::check::{self, check_entry};
use super::document::{self, Document, Entry, LISTS, OVERLAYS};
use super::places::{Origin, Place, Places};
use super::spec::JobSpec;
use crate::error::{Class, Failure, classify_io};

/// The longest job file that is read, in bytes.
const LONGEST_FILE: u64 = 16 << 20;

/// What is laid over the job file, and where its variables come from.
pub struct LoadOptions<'a> {
    /// The overlay to use: `--env NAME` takes `[env.NAME]`.
    pub env: Option<String>,
    /// Single values, each `section.key=value`, over the overlay.
    pub set: Vec<String>,
    /// Looks an environment variable up.
    pub variables: &'a dyn Fn(&str) -> Option<String>,
}

/// Reads the job file at `path`, and says where each of its values came from.
///
/// Fails with Config (78) if there is no such file, or if it or an overlay does not make up a job;
/// with Usage (64) if a `--set` is wrong; with Permission (77) or Io (74) if it cannot be read.
pub fn load(path: &Path, options: &LoadOptions<'_>) -> Result<(JobSpec, Places), Failure> {
    let file = path.display().to_string();
    let text = read(path, &file)?;
    let parsed = document::parse(&text, &file)?;

    check::check(&parsed.base, &file, "", true)?;
    for (name, overlay) in &parsed.overlays {
        check::check(overlay, &file, &format!("{OVERLAYS}.{name}."), true)?;
    }

    let mut document = parsed.base;
    if let Some(env) = &options.env {
        document.overlay(chosen(env, parsed.overlays, &file)?);
    }
    for assignment in &options.set {
        set(&mut document, assignment)?;
    }
    document.expand_variables(&file, options.variables)?;
    check::check(&document, &file, "", false)?;
    let spec = check::into_spec(&document, &file)?;
    Ok((spec, document.places(&file)))
}

fn read(path: &Path, file: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read =
        File::open(path).and_then(|opened| opened.take(LONGEST_FILE + 1).read_to_string(&mut text));
    read.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::config(format!("no job file at {file}")),
        io::ErrorKind::IsADirectory => {
            Failure::config(format!("{file} is a directory, not a job file"))
        }
        io::ErrorKind::InvalidData => Failure::config(format!("{file}: a job file must be UTF-8")),
        _ => Failure::new(classify_io(&error), format!("cannot read {file}: {error}")),
    })?;
    if text.len() as u64 > LONGEST_FILE {
        return Err(Failure::config(format!(
            "{file}: a job file has at most {} MiB",
            LONGEST_FILE >> 20
        )));
    }
    Ok(text)
}

fn chosen<'text>(
    env: &str,
    overlays: Vec<(String, Document<'text>)>,
    file: &str,
) -> Result<Document<'text>, Failure> {
    let names: Vec<String> = overlays.iter().map(|(name, _)| name.clone()).collect();
    match overlays.into_iter().find(|(name, _)| name == env) {
        Some((_, overlay)) => Ok(overlay),
        None if names.is_empty() => Err(Failure::config(format!(
            "{file}: no environment `{env}`; the file has no [{OVERLAYS}.…] sections"
        ))),
        None => {
            let failure = Failure::config(format!(
                "{file}: no environment `{env}`; there are: {}",
                names.join(", ")
            ));
            Err(check::with_nearest(failure, env, &names))
        }
    }
}

/// Applies one `section.key=value`. The value is a TOML value if the key takes it as one, else
/// plain text, so that dates, paths and names need no quotes.
fn set<'text>(document: &mut Document<'text>, assignment: &'text str) -> Result<(), Failure> {
    let malformed = || {
        let shown = assignment
            .split_once('=')
            .map_or(assignment, |(name, _)| name);
        Failure::new(
            Class::Usage,
            format!("--set {shown}: expected SECTION.KEY=VALUE"),
        )
        .hint("for example --set run.batch_size=256")
    };
    let (name, text) = assignment.split_once('=').ok_or_else(malformed)?;
    let (section, key) = name.trim().split_once('.').ok_or_else(malformed)?;
    if section.is_empty() || key.is_empty() || key.contains('.') {
        return Err(malformed());
    }
    if LISTS.contains(&section) {
        let problem =
            format!("--set {name}: there may be several of `{section}`, of which this names none");
        return Err(Failure::new(Class::Usage, problem).hint(format!(
            "write them into the job file, or into an overlay: [[{OVERLAYS}.NAME.{section}]]"
        )));
    }

    let as_text = DeValue::String(text.into());
    let value = match DeValue::parse(text) {
        Ok(value) => {
            let value = value.into_inner();
            let text_is_better = check_entry(section, key, &value).is_err()
                && check_entry(section, key, &as_text).is_ok();
            if text_is_better { as_text } else { value }
        }
        Err(_) => as_text,
    };
    let place = Place {
        origin: Origin::CommandLine,
        variables: Vec::new(),
    };
    let entry = Entry {
        key: key.to_owned(),
        value,
        place,
    };
    document.set(section, &Origin::CommandLine, entry);
    Ok(())
}

#[cfg(test)]
mod tests;
