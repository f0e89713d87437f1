//! Which files a path means: one file, a directory, or a pattern.
//!
//! Links are followed, as whoever mounts or arranges data expects. With `**` and in directories each
//! directory is entered once, whatever names lead to it, so that links in a circle come to an end
//! and no file is read twice. What is no file (a FIFO, a device) is passed over.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
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
    let named = what_is_at(path)?;
    if named.as_ref().is_some_and(Metadata::is_file) {
        let name = path.file_name().unwrap_or_default();
        return Ok(vec![(
            name.to_string_lossy().into_owned(),
            path.to_path_buf(),
        )]);
    }
    let is_directory = named.is_some_and(|named| named.is_dir());
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

/// What a path leads to; `None` if there is no such name, or a link that leads nowhere. What can not
/// be looked at is an error: it may be there.
fn what_is_at(path: &Path) -> anyhow::Result<Option<Metadata>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        // A pattern need not be a path.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound
                    | ErrorKind::NotADirectory
                    | ErrorKind::InvalidInput
                    | ErrorKind::InvalidFilename
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| format!("cannot look at {}", path.display())),
    }
}

/// What stands in a directory and those below it, without what is hidden or unfinished.
fn in_directory(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = everything_below(directory, &is_work_in_progress)?;
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
        let is_left_out =
            |name: &Path| !with_hidden && name.as_os_str().as_encoded_bytes().starts_with(b".");
        let mut found = match is_directory(&root)? {
            true => everything_below(&root, &is_left_out)?,
            false => Vec::new(),
        };
        found.retain(|path| compiled.matches_path_with(path, OPTIONS));
        return Ok(found);
    }
    // Name by name, so that what can not be looked at is told: it may be a directory that matches.
    let root = fixed_root(pattern);
    let names = Path::new(pattern)
        .components()
        .skip(root.components().count());
    let mut found = vec![root];
    for name in names {
        let name = name.as_os_str().to_string_lossy();
        let compiled = Pattern::new(&name).map_err(refused)?;
        let mut next = Vec::new();
        for directory in found {
            if !is_directory(&directory)? {
                continue;
            }
            if !has_wildcard(&name) {
                let path = directory.join(&*name);
                next.extend(is_there(&path)?.then_some(path));
                continue;
            }
            let context = || format!("cannot list {}", directory.display());
            for entry in fs::read_dir(opened(&directory)).with_context(context)? {
                let name = entry.with_context(context)?.file_name();
                if compiled.matches_with(&name.to_string_lossy(), OPTIONS) {
                    next.push(directory.join(name));
                }
            }
        }
        found = next;
    }
    Ok(found)
}

/// Whether a name is there, be it a link that leads nowhere.
fn is_there(path: &Path) -> anyhow::Result<bool> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        looked => looked
            .map(|_| true)
            .with_context(|| format!("cannot look at {}", path.display())),
    }
}

/// Whether a path that is there is a directory; one that is not there is none, but a link that leads
/// nowhere may be meant as one.
fn is_directory(path: &Path) -> anyhow::Result<bool> {
    let path = opened(path);
    if !is_there(path)? {
        return Ok(false);
    }
    let looked = fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()));
    Ok(looked?.is_dir())
}

/// The working directory has no name in a pattern.
fn opened(directory: &Path) -> &Path {
    match directory.as_os_str().is_empty() {
        true => Path::new("."),
        false => directory,
    }
}

/// All files and directories below a directory, but for names that are left out, with what is below
/// them.
fn everything_below(
    root: &Path,
    is_left_out: &dyn Fn(&Path) -> bool,
) -> anyhow::Result<Vec<PathBuf>> {
    let (mut entered, mut found) = (HashSet::new(), Vec::new());
    let mut left = vec![root.to_path_buf()];
    while let Some(directory) = left.pop() {
        let context = || format!("cannot list {}", directory.display());
        let opened = opened(&directory);
        let metadata = fs::metadata(opened).with_context(context)?;
        if !entered.insert((metadata.dev(), metadata.ino())) {
            continue;
        }
        let mut directories = Vec::new();
        for entry in fs::read_dir(opened).with_context(context)? {
            let entry = entry.with_context(context)?;
            let name = entry.file_name();
            if is_left_out(Path::new(&name)) {
                continue;
            }
            let path = directory.join(name);
            let kind = entry.file_type().with_context(context)?;
            // A link leads to a directory or to a file; one that leads nowhere is no input that can
            // be passed over.
            if kind.is_dir() || kind.is_symlink() && is_directory(&path)? {
                directories.push(path.clone());
            }
            found.push(path);
        }
        // By which name a directory is entered must not depend on the order on the disk.
        directories.sort_by(|one, other| other.cmp(one));
        left.extend(directories);
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

fn has_wildcard(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

/// The directories before the first one with a wildcard.
fn fixed_root(pattern: &str) -> PathBuf {
    let mut root = PathBuf::new();
    let mut components = Path::new(pattern).components().peekable();
    while let Some(component) = components.next() {
        let text = component.as_os_str().to_string_lossy();
        if components.peek().is_none() || has_wildcard(&text) {
            break;
        }
        root.push(component);
    }
    root
}
