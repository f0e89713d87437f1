//! Where each value of a job came from, so that a complaint about one can name its line.
//!
//! Invariant: database URLs, commands that print passwords, and values that came through `${VAR}`
//! may be secrets, and never appear in a message.

use std::collections::BTreeMap;
use std::fmt::Display;

use toml::de::DeValue;

use crate::error::{Class, Failure};

/// Longer values would bury the message they stand in.
const SHOWN_CHARACTERS: usize = 80;

/// Where one value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the job file, on this line, counted from 1.
    Line(usize),
    /// In a `--set` of the command line.
    CommandLine,
}

/// Where one value was written, and which environment variables went into it.
#[derive(Clone, Debug)]
pub struct Place {
    pub origin: Origin,
    pub variables: Vec<String>,
}

/// The places of all values of one job.
#[derive(Debug)]
pub struct Places {
    file: String,
    sections: BTreeMap<String, Origin>,
    entries: BTreeMap<(String, String), Place>,
}

impl Places {
    /// No values yet, of the job file that messages call `file`.
    pub fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            sections: BTreeMap::new(),
            entries: BTreeMap::new(),
        }
    }

    /// Notes where the header of `section` was written.
    pub fn insert_section(&mut self, section: &str, origin: Origin) {
        self.sections.insert(section.to_owned(), origin);
    }

    /// Notes where `section.key` was written.
    pub fn insert(&mut self, section: &str, key: &str, place: Place) {
        self.entries
            .insert((section.to_owned(), key.to_owned()), place);
    }

    /// The failure that says where `section.key` stands and what is wrong with it: Config (78), or
    /// Usage (64) if it came from the command line. A value left to its default has no line.
    pub fn failure(&self, section: &str, key: &str, problem: impl Display) -> Failure {
        match self.place(section, key) {
            Some(place) => place.failure(&self.file, section, key, problem),
            None => Failure::config(format!("{}: [{section}] {key}: {problem}", self.file)),
        }
    }

    /// The failure (78) that says what a whole section lacks.
    pub fn section_failure(&self, section: &str, problem: impl Display) -> Failure {
        let file = &self.file;
        match self.sections.get(section) {
            Some(Origin::Line(line)) => {
                Failure::config(format!("{file}:{line}: [{section}]: {problem}"))
            }
            Some(Origin::CommandLine) | None => {
                Failure::config(format!("{file}: [{section}]: {problem}"))
            }
        }
    }

    /// Whether `section.key` is written anywhere; if not, its value is the default.
    pub fn is_written(&self, section: &str, key: &str) -> bool {
        self.place(section, key).is_some()
    }

    /// The text of `section.key` in quotes, or words that stand for it if it must not be shown.
    pub fn shown(&self, section: &str, key: &str, text: &str) -> String {
        let value = DeValue::String(text.into());
        match self.place(section, key) {
            Some(place) => place.shown(section, key, &value),
            None => shown(&value),
        }
    }

    /// Whether the text of `section.key` must not be shown.
    pub fn is_hidden(&self, section: &str, key: &str) -> bool {
        self.place(section, key)
            .is_some_and(|place| place.hidden_as(section, key).is_some())
    }

    fn place(&self, section: &str, key: &str) -> Option<&Place> {
        self.entries.get(&(section.to_owned(), key.to_owned()))
    }
}

impl Place {
    /// A failure about the value of `key` in `section` of the job file `file`.
    pub fn failure(&self, file: &str, section: &str, key: &str, problem: impl Display) -> Failure {
        match self.origin {
            Origin::Line(line) => {
                Failure::config(format!("{file}:{line}: [{section}] {key}: {problem}"))
            }
            Origin::CommandLine => {
                Failure::new(Class::Usage, format!("--set {section}.{key}: {problem}"))
            }
        }
    }

    /// The value as a message may show it.
    pub fn shown(&self, section: &str, key: &str, value: &DeValue<'_>) -> String {
        self.hidden_as(section, key).unwrap_or_else(|| shown(value))
    }

    /// The words that stand for a value that may be a secret; none if it may be shown.
    fn hidden_as(&self, section: &str, key: &str) -> Option<String> {
        if let Some(variable) = self.variables.first() {
            return Some(format!("the value of `${{{variable}}}`"));
        }
        let names_a_secret = matches!(
            (section, key),
            ("sink", "database" | "password_command")
                | ("source", "url" | "password_command")
                | ("metrics", "pushgateway")
                | (_, "webhook_url" | "exec")
        );
        names_a_secret.then(|| "a value that is not shown".to_owned())
    }
}

fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.chars().count() > SHOWN_CHARACTERS => {
            "a long string".to_owned()
        }
        DeValue::String(text) => format!("the string {text:?}"),
        DeValue::Integer(integer) => integer.to_string(),
        DeValue::Float(float) => float.to_string(),
        DeValue::Boolean(boolean) => boolean.to_string(),
        DeValue::Datetime(_) => "a date without quotes".to_owned(),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
