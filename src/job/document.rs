//! The job file as sections of `key = value`, each value with its place, before it has types.
//!
//! A job is one level of sections deep, so that laying one document over another is replacing
//! single values, and each value keeps the line it was written on.

use std::cell::Cell;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::places::{Origin, Place, Places};
use super::variables;
use crate::error::Failure;

/// The table of overlays, which is not itself a section of a job.
pub const OVERLAYS: &str = "env";

/// Longer names of keys, sections and overlays are refused: a message would repeat them.
const LONGEST_NAME: usize = 256;

/// Sections of which there may be several, each written `[[name]]`.
pub const LISTS: [&str; 1] = ["alert"];

/// What the variables of a whole file may hold, in bytes.
const LONGEST_EXPANSION: usize = 1 << 20;

/// One `key = value`.
#[derive(Clone)]
pub struct Entry<'text> {
    pub key: String,
    pub value: DeValue<'text>,
    pub place: Place,
}

/// One `[section]`, its entries in the order of the file.
#[derive(Clone)]
pub struct Section<'text> {
    pub name: String,
    /// Which of a list it is, from 1, or 0 for a list of none; `None` if there is only one of its name.
    pub number: Option<usize>,
    /// Where its header stands.
    pub origin: Origin,
    pub entries: Vec<Entry<'text>>,
}

/// Sections in the order of the file.
#[derive(Clone, Default)]
pub struct Document<'text> {
    pub sections: Vec<Section<'text>>,
}

/// A parsed file: the job itself, and what each `[env.NAME]` lays over it.
pub struct Parsed<'text> {
    pub base: Document<'text>,
    pub overlays: Vec<(String, Document<'text>)>,
}

/// Parses the TOML of a job file that messages call `file`.
pub fn parse<'text>(text: &'text str, file: &str) -> Result<Parsed<'text>, Failure> {
    let lines = Lines::of(text);
    let table = DeTable::parse(text).map_err(|error| {
        let place = match error.span() {
            Some(span) => format!(
                "{file}:{}:{}",
                lines.number(span.start),
                column(text, span.start)
            ),
            None => file.to_owned(),
        };
        Failure::config(format!("{place}: {}", error.message()))
    })?;

    let mut root = table.into_inner();
    let mut overlays = Vec::new();
    if let Some((key, value)) = root.remove_entry(OVERLAYS) {
        let DeValue::Table(table) = value.into_inner() else {
            let line = lines.number(key.span().start);
            return Err(Failure::config(format!(
                "{file}:{line}: `{OVERLAYS}` must hold overlays, such as [{OVERLAYS}.prod.sink]"
            )));
        };
        for (key, value) in in_file_order(table) {
            let (name, line) = named(&key, &lines, file)?;
            let label = format!("{OVERLAYS}.{name}.");
            let DeValue::Table(table) = value.into_inner() else {
                return Err(Failure::config(format!(
                    "{file}:{line}: `{OVERLAYS}.{name}` must hold sections, such as [{label}sink]"
                )));
            };
            overlays.push((name, document(table, &lines, file, &label)?));
        }
    }
    Ok(Parsed {
        base: document(root, &lines, file, "")?,
        overlays,
    })
}

fn document<'text>(
    table: DeTable<'text>,
    lines: &Lines,
    file: &str,
    label: &str,
) -> Result<Document<'text>, Failure> {
    let mut document = Document::default();
    for (key, value) in in_file_order(table) {
        let (name, line) = named(&key, lines, file)?;
        let is_list = LISTS.contains(&name.as_str());
        match value.into_inner() {
            DeValue::Table(table) if !is_list => document.sections.push(Section {
                name,
                number: None,
                origin: Origin::Line(line),
                entries: entries(table, lines, file)?,
            }),
            DeValue::Array(items) if is_list => {
                // Of none there is one that is none: an overlay may take all of them away.
                if items.is_empty() {
                    document.sections.push(Section {
                        name: name.clone(),
                        number: Some(0),
                        origin: Origin::Line(line),
                        entries: Vec::new(),
                    });
                }
                for (index, item) in items.into_iter().enumerate() {
                    let line = lines.number(item.span().start);
                    let DeValue::Table(table) = item.into_inner() else {
                        return Err(not_a_list(file, line, label, &name));
                    };
                    document.sections.push(Section {
                        name: name.clone(),
                        number: Some(index + 1),
                        origin: Origin::Line(line),
                        entries: entries(table, lines, file)?,
                    });
                }
            }
            _ if is_list => return Err(not_a_list(file, line, label, &name)),
            _ => {
                return Err(Failure::config(format!(
                    "{file}:{line}: `{label}{name}` stands outside of the job's sections; expected a section, such as [{label}source]"
                )));
            }
        }
    }
    Ok(document)
}

fn not_a_list(file: &str, line: usize, label: &str, name: &str) -> Failure {
    Failure::config(format!(
        "{file}:{line}: there may be several of `{label}{name}`; begin each with [[{label}{name}]]"
    ))
}

fn entries<'text>(
    table: DeTable<'text>,
    lines: &Lines,
    file: &str,
) -> Result<Vec<Entry<'text>>, Failure> {
    let entries = in_file_order(table).into_iter();
    entries
        .map(|(key, value)| {
            let (key, line) = named(&key, lines, file)?;
            Ok(Entry {
                key,
                value: value.into_inner(),
                place: Place {
                    origin: Origin::Line(line),
                    variables: Vec::new(),
                },
            })
        })
        .collect()
}

type TableEntry<'text> = (Spanned<DeString<'text>>, Spanned<DeValue<'text>>);

fn in_file_order(table: DeTable<'_>) -> Vec<TableEntry<'_>> {
    let mut entries: Vec<_> = table.into_iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// The name that a key or section has, and its line.
fn named(
    key: &Spanned<DeString<'_>>,
    lines: &Lines,
    file: &str,
) -> Result<(String, usize), Failure> {
    let line = lines.number(key.span().start);
    let name = key.get_ref();
    if name.len() > LONGEST_NAME {
        return Err(Failure::config(format!(
            "{file}:{line}: a name of {} bytes, the limit is {LONGEST_NAME}",
            name.len()
        )));
    }
    Ok((name.to_string(), line))
}

/// Where the lines of a text end.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(end, _)| end).collect())
    }

    /// The line, from 1, that the byte at `offset` is in.
    fn number(&self, offset: usize) -> usize {
        1 + self.0.partition_point(|end| *end < offset)
    }
}

fn column(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    1 + before
        .chars()
        .rev()
        .take_while(|character| *character != '\n')
        .count()
}

impl Section<'_> {
    /// What it is called in messages, and where its values are noted: `run`, `alert 2`.
    pub fn label(&self) -> String {
        match self.number {
            Some(number) => format!("{} {number}", self.name),
            None => self.name.clone(),
        }
    }
}

impl<'text> Document<'text> {
    /// Lays `overlay` over this document: its values replace those of the same section and key, its lists
    /// whole lists.
    pub fn overlay(&mut self, overlay: Document<'text>) {
        let replaces = |list: &Section<'_>| {
            let mut others = overlay.sections.iter();
            list.number.is_some() && others.any(|other| other.name == list.name)
        };
        self.sections.retain(|section| !replaces(section));
        for section in overlay.sections {
            if section.number.is_some() {
                self.sections.push(section);
                continue;
            }
            for entry in section.entries {
                self.set(&section.name, &section.origin, entry);
            }
        }
    }

    /// Replaces or adds one value; `origin` is that of the section, should it be new.
    pub fn set(&mut self, section: &str, origin: &Origin, entry: Entry<'text>) {
        let index = match self.sections.iter().position(|known| known.name == section) {
            Some(index) => index,
            None => {
                self.sections.push(Section {
                    name: section.to_owned(),
                    number: None,
                    origin: origin.clone(),
                    entries: Vec::new(),
                });
                self.sections.len() - 1
            }
        };
        let entries = &mut self.sections[index].entries;
        entries.retain(|known| known.key != entry.key);
        entries.push(entry);
    }

    /// Replaces `${VAR}` in every string, those inside of arrays and tables included.
    pub fn expand_variables(
        &mut self,
        file: &str,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), Failure> {
        let left = Cell::new(Some(LONGEST_EXPANSION));
        let bounded = |variable: &str| {
            let value = lookup(variable)?;
            left.set(left.get()?.checked_sub(value.len()));
            left.get().map(|_| value)
        };
        for section in &mut self.sections {
            let label = section.label();
            for entry in &mut section.entries {
                let mut variables = Vec::new();
                expand(&mut entry.value, &bounded, &mut variables).map_err(|problem| {
                    let problem = match left.get() {
                        Some(_) => problem,
                        None => format!(
                            "the variables hold more than {LONGEST_EXPANSION} bytes together"
                        ),
                    };
                    entry.place.failure(file, &label, &entry.key, problem)
                })?;
                entry.place.variables = variables;
            }
        }
        Ok(())
    }

    /// The places of all values.
    pub fn places(&self, file: &str) -> Places {
        let mut places = Places::new(file);
        for section in &self.sections {
            let label = section.label();
            places.insert_section(&label, section.origin.clone());
            for entry in &section.entries {
                places.insert(&label, &entry.key, entry.place.clone());
            }
        }
        places
    }
}

fn expand(
    value: &mut DeValue<'_>,
    lookup: &dyn Fn(&str) -> Option<String>,
    variables: &mut Vec<String>,
) -> Result<(), String> {
    match value {
        DeValue::String(text) => {
            let expanded = variables::expand(text, lookup)?;
            *text = expanded.text.into();
            variables.extend(expanded.variables);
        }
        DeValue::Array(items) => {
            for item in items.iter_mut() {
                expand(item.get_mut(), lookup, variables)?;
            }
        }
        DeValue::Table(entries) => {
            for (_, item) in entries.iter_mut() {
                expand(item.get_mut(), lookup, variables)?;
            }
        }
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
    }
    Ok(())
}
