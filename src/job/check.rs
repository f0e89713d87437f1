//! Turns what serde refuses into words for whoever wrote the job file.
//!
//! Every section name, key and value is checked on its own, so that a complaint always belongs to
//! one place; what is missing is only asked of a whole document. serde's messages repeat values:
//! only their end, which says what was expected, is ever shown.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer};

use super::document::{Document, Entry, LISTS, OVERLAYS, Section};
use super::places::Origin;
use super::spec::JobSpec;
use crate::error::{Class, Failure};

/// Spans by which an error tells what it is about. Sections have theirs from 0 upwards, one each.
const KEY: usize = usize::MAX - 1;
const VALUE: usize = usize::MAX - 2;
const ROOT: usize = usize::MAX - 3;

/// Bytes of a value, or characters of a name in a table, beyond which a message would be buried.
const LONGEST_SHOWN: usize = 500;

/// Why a section, a key or a value is not accepted.
pub enum Refusal {
    /// There is no such name; these there are.
    Unknown { allowed: Vec<String> },
    /// The value is not what the key takes; the text says what it takes.
    Value { problem: String },
}

/// Checks each name and value of `document`. `label` is what stands before a section's name in
/// the file: empty, or `env.NAME.`. With `deferred`, strings that contain a `${` pass: what they
/// will hold is not known yet.
pub fn check(
    document: &Document<'_>,
    file: &str,
    label: &str,
    deferred: bool,
) -> Result<(), Failure> {
    for section in &document.sections {
        if let Err(allowed) = check_section(&section.name) {
            return Err(unknown_section(section, &allowed, file, label));
        }
        for entry in &section.entries {
            match check_entry(&section.name, &entry.key, &entry.value) {
                Ok(()) => {}
                Err(Refusal::Unknown { allowed }) => {
                    return Err(unknown_key(section, entry, &allowed, file, label));
                }
                Err(Refusal::Value { .. }) if deferred && holds_variable(&entry.value) => {}
                Err(Refusal::Value { problem }) => {
                    let (key, value) = culprit(&section.name, entry);
                    let name = section.label();
                    let found = entry.place.shown(&name, &entry.key, value);
                    let found = match found.len() {
                        0..=LONGEST_SHOWN => found,
                        _ => "one that is too long to be shown".to_owned(),
                    };
                    return Err(entry.place.failure(
                        file,
                        &format!("{label}{name}"),
                        &key,
                        format!("{problem}, found {found}"),
                    ));
                }
            }
        }
    }
    Ok(())
}

/// What of a refused entry is at fault: an item of its array or table if the key takes such but not
/// that item, else the whole value.
fn culprit<'entry, 'text>(
    section: &str,
    entry: &'entry Entry<'text>,
) -> (String, &'entry DeValue<'text>) {
    let Entry { key, value, .. } = entry;
    let is_refused = |alone: DeValue<'_>| check_entry(section, key, &alone).is_err();
    let item = match value {
        DeValue::Array(_) if is_refused(DeValue::Array(DeArray::new())) => None,
        DeValue::Table(_) if is_refused(DeValue::Table(DeTable::new())) => None,
        DeValue::Array(items) => items.iter().enumerate().find_map(|(index, item)| {
            let mut alone = DeArray::new();
            alone.push(item.clone());
            let found = is_refused(DeValue::Array(alone));
            found.then(|| (format!("{key}, item {}", index + 1), item.get_ref()))
        }),
        DeValue::Table(entries) => entries.iter().find_map(|(name, item)| {
            let mut alone = DeTable::new();
            alone.insert(name.clone(), item.clone());
            let found = is_refused(DeValue::Table(alone));
            found.then(|| {
                let name: String = name.get_ref().chars().take(LONGEST_SHOWN).collect();
                (format!("{key}.{name}"), item.get_ref())
            })
        }),
        _ => None,
    };
    item.unwrap_or_else(|| (key.clone(), value))
}

/// Whether `section.key` exists and takes `value`.
pub fn check_entry(section: &str, key: &str, value: &DeValue<'_>) -> Result<(), Refusal> {
    let mut table = DeTable::new();
    table.insert(spanned(KEY, key.into()), spanned(VALUE, as_one(value)));
    let Err(error) = deserialize(section, table) else {
        return Ok(());
    };
    match error.span() {
        Some(span) if span.start == KEY => Err(Refusal::Unknown {
            allowed: alternatives(error.message(), key),
        }),
        Some(span) if span.start == VALUE => Err(Refusal::Value {
            problem: problem(error.message()),
        }),
        // Keys that one entry alone leaves missing.
        _ => Ok(()),
    }
}

/// The typed form of a document that [`check`] has passed: what is missing is found here.
pub fn into_spec(document: &Document<'_>, file: &str) -> Result<JobSpec, Failure> {
    let mut root = DeTable::new();
    let mut lists: BTreeMap<String, DeArray<'_>> = BTreeMap::new();
    for (index, section) in document.sections.iter().enumerate() {
        let mut table = DeTable::new();
        for entry in &section.entries {
            table.insert(
                spanned(KEY, entry.key.clone().into()),
                spanned(VALUE, as_one(&entry.value)),
            );
        }
        let table = spanned(index, DeValue::Table(table));
        match section.number {
            Some(0) => {}
            Some(_) => match lists.get_mut(&section.name) {
                Some(list) => list.push(table),
                None => {
                    let mut list = DeArray::new();
                    list.push(table);
                    lists.insert(section.name.clone(), list);
                }
            },
            None => {
                root.insert(spanned(KEY, section.name.clone().into()), table);
            }
        }
    }
    for (name, list) in lists {
        root.insert(
            spanned(KEY, name.into()),
            spanned(ROOT, DeValue::Array(list)),
        );
    }
    JobSpec::deserialize(Deserializer::from(spanned(ROOT, root))).map_err(|error| {
        let missing = error.message().strip_prefix("missing field ");
        let section = error
            .span()
            .and_then(|span| document.sections.get(span.start));
        match (missing, section) {
            (Some(key), Some(section)) => {
                let place = match section.origin {
                    Origin::Line(line) => format!("{file}:{line}"),
                    Origin::CommandLine => file.to_owned(),
                };
                Failure::config(format!(
                    "{place}: [{}]: the key {key} is missing",
                    section.label()
                ))
            }
            (Some(section), None) => {
                let section = section.trim_matches('`');
                Failure::config(format!("{file}: the section [{section}] is missing"))
            }
            // Only what a single value cannot show, and no value is in such a message.
            (None, _) => Failure::config(format!("{file}: the sections do not make up a job")),
        }
    })
}

fn check_section(section: &str) -> Result<(), Vec<String>> {
    match deserialize(section, DeTable::new()) {
        Err(error) if error.span().is_some_and(|span| span.start == KEY) => {
            Err(alternatives(error.message(), section))
        }
        _ => Ok(()),
    }
}

fn deserialize(section: &str, table: DeTable<'_>) -> Result<JobSpec, toml::de::Error> {
    let mut root = DeTable::new();
    root.insert(
        spanned(KEY, section.into()),
        spanned(0, as_written(section, DeValue::Table(table))),
    );
    JobSpec::deserialize(Deserializer::from(spanned(ROOT, root)))
}

/// A section as it stands in the whole: alone, or as one of a list.
fn as_written<'text>(section: &str, table: DeValue<'text>) -> DeValue<'text> {
    if !LISTS.contains(&section) {
        return table;
    }
    let mut list = DeArray::new();
    list.push(spanned(0, table));
    DeValue::Array(list)
}

fn spanned<T>(span: usize, value: T) -> Spanned<T> {
    Spanned::new(span..span, value)
}

/// The value with what is inside of it spanned like itself, so that an error about a part is known
/// to be about the value.
fn as_one<'text>(value: &DeValue<'text>) -> DeValue<'text> {
    match value {
        DeValue::Array(items) => {
            let mut array = DeArray::new();
            for item in items.iter() {
                array.push(spanned(VALUE, as_one(item.get_ref())));
            }
            DeValue::Array(array)
        }
        DeValue::Table(entries) => {
            let mut table = DeTable::new();
            for (name, item) in entries.iter() {
                let name = spanned(VALUE, name.get_ref().clone());
                table.insert(name, spanned(VALUE, as_one(item.get_ref())));
            }
            DeValue::Table(table)
        }
        other => other.clone(),
    }
}

/// The names in backticks that serde lists after an unknown one.
fn alternatives(message: &str, unknown: &str) -> Vec<String> {
    let list = message.strip_prefix(&format!("unknown field `{unknown}`"));
    let names = list.unwrap_or_default().split('`').skip(1).step_by(2);
    names.map(str::to_owned).collect()
}

fn problem(message: &str) -> String {
    let expected = match message.rsplit_once("expected ") {
        Some((_, "u32" | "u64")) => "a whole number, zero or more",
        Some((_, "f32")) => "a number",
        Some((_, "path string")) => "a string",
        Some((_, "a sequence")) => "an array of strings",
        Some((_, "a map")) => "a table",
        Some((_, expected)) => expected,
        None if message.ends_with("overflowed") => "a smaller number",
        // An enum's complaint about a value that is no text.
        None => "a string",
    };
    format!("expected {expected}")
}

fn holds_variable(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::String(text) => text.contains("${"),
        DeValue::Array(items) => items.iter().any(|item| holds_variable(item.get_ref())),
        DeValue::Table(entries) => entries.values().any(|item| holds_variable(item.get_ref())),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
            false
        }
    }
}

fn unknown_section(section: &Section<'_>, allowed: &[String], file: &str, label: &str) -> Failure {
    let name = format!("[{label}{}]", section.name);
    let names = allowed.join(", ");
    let failure = match section.origin {
        Origin::Line(line) if label.is_empty() => Failure::config(format!(
            "{file}:{line}: unknown section {name}; allowed: {names}, {OVERLAYS}"
        )),
        Origin::Line(line) => Failure::config(format!(
            "{file}:{line}: unknown section {name}; allowed: {names}"
        )),
        Origin::CommandLine => Failure::new(
            Class::Usage,
            format!("--set: unknown section {name}; allowed: {names}"),
        ),
    };
    with_nearest(failure, &section.name, allowed)
}

fn unknown_key(
    section: &Section<'_>,
    entry: &Entry<'_>,
    allowed: &[String],
    file: &str,
    label: &str,
) -> Failure {
    let Section { name, .. } = section;
    let Entry { key, .. } = entry;
    let problem = format!(
        "unknown key `{key}` in [{label}{name}]; allowed: {}",
        allowed.join(", ")
    );
    let failure = match entry.place.origin {
        Origin::Line(line) => Failure::config(format!("{file}:{line}: {problem}")),
        Origin::CommandLine => Failure::new(Class::Usage, format!("--set {name}.{key}: {problem}")),
    };
    with_nearest(failure, key, allowed)
}

/// Adds "did you mean" to `failure` if one of `names` is near what was written.
pub fn with_nearest(failure: Failure, written: &str, names: &[String]) -> Failure {
    /// Below this, names have little more in common than some letters.
    const NEAR: f64 = 0.8;
    let nearest = names
        .iter()
        .map(|name| (strsim::jaro_winkler(written, name), name))
        .max_by(|(left, _), (right, _)| left.total_cmp(right));
    match nearest {
        Some((similarity, name)) if similarity >= NEAR => {
            failure.hint(format!("did you mean `{name}`?"))
        }
        _ => failure,
    }
}
