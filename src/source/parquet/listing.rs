//! Which files a path means: one file, a directory, or a pattern.
//!
//! Links are followed, as whoever mounts or arranges data expects. With `**` and in directories each
//! directory is entered once, whatever names lead to it, so that links in a circle come to an end
//! and no file is read twice. What is no file (a FIFO, a device) is passed over.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use glob::{MatchOptions, Pattern};

use crate::error::{Class, Failure};

/// As in a shell: what is hidden is not meant.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// Name (relative to the input's root) and path of each file that `pattern` means, sorted by name.
pub(super) fn list(pattern: &str) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let path = Path::new(pattern);
    if path.is_file() {
        let name = path.file_name().unwrap_or_default();
        return Ok(vec![(
            name.to_string_lossy().into_owned(),
            path.to_path_buf(),
        )]);
    }
    let is_directory = path.is_dir();
    let (root, matches) = if is_directory {
        (path.to_path_buf(), in_directory(path)?)
    } else {
        (fixed_root(pattern), matching(pattern)?)
    };
    let mut files = Vec::new();
    for path in matches {
        // A file that can not be looked at must not be passed over.
        let metadata =
            fs::metadata(&path).with_context(|| format!("cannot look at {}", path.display()))?;
        if metadata.is_dir() && !is_directory && pattern.ends_with(".parquet") {
            return Err(Failure::config(format!(
                "[source] path `{pattern}` matches the directory {}",
                path.display()
            ))
            .hint("a data set that is a directory is matched by its files, with `/*.parquet` at the end")
            .into());
        }
        let name = path.strip_prefix(&root).unwrap_or(&path);
        if metadata.is_file() && !(is_directory && is_work_in_progress(name)) {
            files.push((name.to_string_lossy().into_owned(), path));
        }
    }
    if files.is_empty() {
        return Err(Failure::new(
            Class::NoInput,
            format!("no file matches [source] path `{pattern}`"),
        )
        .hint(format!(
            "relative paths start at the working directory, {}; `wait_for` waits for input that comes late",
            std::env::current_dir().unwrap_or_default().display()
        ))
        .into());
    }
    files.sort();
    Ok(files)
}

/// What stands in a directory and those below it, without what is hidden.
fn in_directory(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = everything_below(directory, false)?;
    found.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "parquet")
    });
    Ok(found)
}

/// What a pattern matches.
fn matching(pattern: &str) -> anyhow::Result<Vec<PathBuf>> {
    let refused = |error: glob::PatternError| {
        Failure::config(format!(
            "[source] path: `{pattern}` is not a valid pattern: {error}"
        ))
    };
    if pattern.contains("**") {
        // As paths are put together here: with one `/` between names.
        let plain: PathBuf = Path::new(pattern).components().collect();
        let compiled = Pattern::new(&plain.to_string_lossy()).map_err(refused)?;
        let root = fixed_root(pattern);
        let with_hidden = pattern.contains("/.");
        let mut found = match root.as_os_str().is_empty() || root.is_dir() {
            true => everything_below(&root, with_hidden)?,
            false => Vec::new(),
        };
        found.retain(|path| compiled.matches_path_with(path, OPTIONS));
        return Ok(found);
    }
    glob::glob_with(pattern, OPTIONS)
        .map_err(refused)?
        .map(|entry| {
            entry.map_err(|error| {
                let path = error.path().display().to_string();
                anyhow::Error::from(std::io::Error::from(error))
                    .context(format!("cannot list {path}"))
            })
        })
        .collect()
}

/// All files and directories below a directory, `with_hidden` those whose names begin with a dot.
fn everything_below(root: &Path, with_hidden: bool) -> anyhow::Result<Vec<PathBuf>> {
    let (mut entered, mut found) = (HashSet::new(), Vec::new());
    let mut left = vec![root.to_path_buf()];
    while let Some(directory) = left.pop() {
        let context = || format!("cannot list {}", directory.display());
        // The working directory has no name in a pattern.
        let opened = match directory.as_os_str().is_empty() {
            true => Path::new("."),
            false => &directory,
        };
        let metadata = fs::metadata(opened).with_context(context)?;
        if !entered.insert((metadata.dev(), metadata.ino())) {
            continue;
        }
        let first = found.len();
        for entry in fs::read_dir(opened).with_context(context)? {
            let name = entry.with_context(context)?.file_name();
            if with_hidden || !name.as_encoded_bytes().starts_with(b".") {
                found.push(directory.join(name));
            }
        }
        // By which name a directory is entered must not depend on the order on the disk.
        found[first..].sort();
        let directories = found[first..].iter().rev().filter(|path| path.is_dir());
        left.extend(directories.cloned());
    }
    Ok(found)
}

/// Whether a name is one that writers use for what is not finished, such as `_temporary/0/x`.
fn is_work_in_progress(name: &Path) -> bool {
    name.components().any(|component| {
        component
            .as_os_str()
            .to_string_lossy()
            .starts_with(['.', '_'])
    })
}

/// The directories before the first one with a wildcard.
fn fixed_root(pattern: &str) -> PathBuf {
    let mut root = PathBuf::new();
    let mut components = Path::new(pattern).components().peekable();
    while let Some(component) = components.next() {
        let text = component.as_os_str().to_string_lossy();
        if components.peek().is_none() || text.contains(['*', '?', '[']) {
            break;
        }
        root.push(component);
    }
    root
}
