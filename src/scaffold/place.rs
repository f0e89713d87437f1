//! Names and paths of what is scaffolded.

use std::env;
use std::path::{Component, Path, PathBuf};

use anyhow::Context;

use super::Request;
use crate::error::{Class, Failure};
use crate::job::Job;

/// Names and paths of what is scaffolded.
pub struct Place {
    /// What job and model are called.
    pub name: String,
    /// The directory that everything is written into, absolute.
    pub directory: PathBuf,
    /// The same as it was given.
    pub given: PathBuf,
    /// The input as the job names it: relative to the directory if it lies in it, else absolute.
    pub input: String,
}

impl Place {
    /// Settles them.
    ///
    /// # Errors
    /// A name that a job can not have, or a path that a job or a crontab can not hold (64).
    pub(super) fn new(request: &Request) -> anyhow::Result<Self> {
        let name = match &request.name {
            Some(name) if Job::is_name(name) => name.clone(),
            Some(name) => {
                return Err(usage(format!("--name: a job can not be called {name:?}"))
                    .hint("a lower-case letter or digit, then up to 62 lower-case letters, digits, `_` or `-`")
                    .into());
            }
            None => name_of(&request.from).ok_or_else(|| {
                usage(format!(
                    "no name for a job can be made of `{}`",
                    request.from
                ))
                .hint("name it with --name")
            })?,
        };
        let here = env::current_dir().context("cannot tell the working directory")?;
        let directory = absolute(&here, &request.directory);
        let from = absolute(&here, Path::new(&request.from));
        let input = from.strip_prefix(&directory).unwrap_or(&from);
        let place = Self {
            name,
            input: input.to_string_lossy().into_owned(),
            directory,
            given: request.directory.clone(),
        };
        place.check()?;
        Ok(place)
    }

    fn check(&self) -> Result<(), Failure> {
        let directory = self.directory.to_str().ok_or_else(|| {
            usage(format!("{} is not UTF-8", self.directory.display()))
                .hint("job file and crontab are text: take another directory")
        })?;
        for path in [directory, &self.input] {
            if path.contains(char::is_control) {
                return Err(usage(format!("{path:?} holds a control character"))
                    .hint("a line of a crontab can not hold one: rename the file or directory"));
            }
        }
        if self.input.contains("{date") {
            return Err(
                usage(format!("--from `{}` holds a {{date}}", self.input)).hint(
                    "name the file of one date; put {date} into the path of the job afterwards",
                ),
            );
        }
        if self.directory.exists() && !self.directory.is_dir() {
            return Err(usage(format!("{directory} is not a directory")));
        }
        Ok(())
    }

    /// Whether the directory is the one that the process works in.
    pub fn is_here(&self) -> bool {
        env::current_dir().is_ok_and(|here| here == self.directory)
    }

    /// The job file, relative to the directory.
    pub fn job(&self) -> String {
        format!("jobs/{}.toml", self.name)
    }

    /// The bundle's directory, relative to the directory.
    pub fn bundle(&self) -> String {
        format!("models/{}", self.name)
    }

    /// The export script, relative to the directory. It stands beside the bundle and not in it, whose
    /// every file counts for its digest.
    pub fn export(&self) -> String {
        format!("models/{}-export.py", self.name)
    }

    /// The crontab, relative to the directory.
    pub fn crontab(&self) -> String {
        format!("cron/{}.crontab", self.name)
    }
}

/// A job's name made of the last part of a path that is no pattern.
fn name_of(from: &str) -> Option<String> {
    let plain = |component: &Component<'_>| match component {
        Component::Normal(name) => !name.to_string_lossy().contains(['*', '?', '[']),
        _ => false,
    };
    let last = Path::new(from).components().rfind(plain)?;
    let stem = Path::new(last.as_os_str()).file_stem()?.to_string_lossy();
    let mut name = String::new();
    for character in stem.to_lowercase().chars() {
        match character {
            'a'..='z' | '0'..='9' | '_' => name.push(character),
            _ if name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    let name: String = name.trim_matches(['-', '_']).chars().take(63).collect();
    Job::is_name(&name).then_some(name)
}

/// An absolute path without `.` and `..`, as a person reads it.
fn absolute(here: &Path, path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in here.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

fn usage(message: String) -> Failure {
    Failure::new(Class::Usage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_named_after_its_file() {
        for (from, name) in [
            ("in/flights-2013-10.parquet", Some("flights-2013-10")),
            ("in/Flights 2013.PARQUET", Some("flights-2013")),
            ("in/flights/*.parquet", Some("flights")),
            ("in/flights/", Some("flights")),
            ("*.parquet", None),
            ("in/日本.parquet", None),
            ("in/_été_.parquet", Some("t")),
        ] {
            assert_eq!(name_of(from).as_deref(), name, "{from}");
        }
    }

    #[test]
    fn dots_are_resolved_as_a_person_reads_them() {
        let here = Path::new("/a/b");
        for (given, expected) in [
            (".", "/a/b"),
            ("../c/./d", "/a/c/d"),
            ("/x", "/x"),
            ("../../..", "/"),
        ] {
            assert_eq!(absolute(here, Path::new(given)), Path::new(expected));
        }
    }
}
