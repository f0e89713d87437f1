//! The files of a bundle, read once, so that what is hashed is what is loaded.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::Context;
use sha2::{Digest, Sha256};

use crate::error::{Class, Failure};
use crate::model::weights::shortened;

/// What the training data looked like.
pub const REFERENCE: &str = "reference.json";

/// Name and content of every file of a bundle, hidden ones aside.
pub(super) struct Files {
    directory: PathBuf,
    contents: BTreeMap<String, Vec<u8>>,
}

impl Files {
    /// Reads them all.
    ///
    /// # Errors
    /// The directory is not there (78, 77); a file can not be read, or holds a pickle (78).
    pub(super) fn read(directory: &Path) -> anyhow::Result<Self> {
        let entries = fs::read_dir(directory).map_err(|error| {
            let class = match error.kind() {
                io::ErrorKind::PermissionDenied => Class::Permission,
                _ => Class::Config,
            };
            Failure::new(class, format!("bundle {}: {error}", directory.display()))
            .hint("[model] bundle is a directory with model.toml and model.safetensors; relative paths start at the working directory")
        })?;
        let mut files = BTreeMap::new();
        for entry in entries {
            let path = entry
                .with_context(|| format!("cannot list {}", directory.display()))?
                .path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if name.starts_with('.') || !path.is_file() {
                continue;
            }
            refuse_pickle(&path)?;
            let bytes =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            files.insert(name, bytes);
        }
        Ok(Self {
            directory: directory.to_owned(),
            contents: files,
        })
    }

    /// The content of a file.
    ///
    /// # Errors
    /// There is no such file (78).
    pub(super) fn get(&self, name: &str) -> anyhow::Result<&[u8]> {
        self.contents.get(name).map(Vec::as_slice).ok_or_else(|| {
            // Files of other directories are no part of what was hashed.
            if name.starts_with('.') || name.contains('/') {
                return Failure::config(format!(
                    "`{}` is no name of a file in the bundle itself",
                    shortened(name)
                ))
                .hint("it has no directory in it and does not begin with a dot")
                .into();
            }
            let path = self.directory.join(name);
            match fs::symlink_metadata(&path) {
                Ok(_) => Failure::config(format!(
                    "{} is not a file, or a link that leads to none",
                    path.display()
                )),
                Err(_) => {
                    let directory = self.directory.display();
                    Failure::config(format!("bundle {directory} has no {name}"))
                }
            }
            .into()
        })
    }

    /// The content of the reference, if there is one.
    pub(super) fn reference(&self) -> Option<Vec<u8>> {
        self.contents.get(REFERENCE).cloned()
    }

    /// The ids that a file holds, one a line.
    ///
    /// # Errors
    /// There is no such file, or it holds no text, no ids, an empty line, or an id twice (78).
    pub(super) fn ids(&self, name: &str) -> anyhow::Result<Vec<String>> {
        let refused = |why: String| Failure::config(format!("{name}: {why}"));
        let text =
            std::str::from_utf8(self.get(name)?).map_err(|error| refused(error.to_string()))?;
        let ids: Vec<String> = text.lines().map(str::to_owned).collect();
        if ids.is_empty() {
            return Err(refused("it holds no ids".to_owned()).into());
        }
        let mut known = HashSet::with_capacity(ids.len());
        for (line, id) in (1..).zip(&ids) {
            if id.is_empty() {
                return Err(refused(format!("line {line} is empty"))
                    .hint("ids stand one a line, each for a row of the embedding table")
                    .into());
            }
            let is_odd = |character: char| {
                character.is_whitespace() || character.is_control() || character == '\u{FEFF}'
            };
            if id.starts_with(is_odd) || id.ends_with(is_odd) {
                let problem = "begins or ends with white space, or with what nobody sees";
                return Err(refused(format!("line {line} {problem}"))
                    .hint("write the file as UTF-8 without a byte-order mark, an id a line")
                    .into());
            }
            if !known.insert(id) {
                let id = shortened(id);
                return Err(refused(format!("line {line}: `{id}` is listed twice")).into());
            }
        }
        Ok(ids)
    }

    /// `sha256:` and the hexadecimal digest over names and contents of all files that predictions depend on:
    /// all but the reference, which holds this very digest.
    pub(super) fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        let files = self.contents.iter();
        for (name, bytes) in files.filter(|(name, _)| *name != REFERENCE) {
            hasher.update((name.len() as u64).to_le_bytes());
            hasher.update(name);
            hasher.update(Sha256::digest(bytes));
        }
        format!("sha256:{}", hex::encode(hasher.finalize()))
    }
}

/// Names under which pickles are shipped. None is read here, and none is passed on with a bundle to
/// somebody who would load it.
const PICKLES: [&str; 8] = [
    "pt", "pth", "ckpt", "bin", "pkl", "pickle", "joblib", "dill",
];

fn refuse_pickle(path: &Path) -> Result<(), Failure> {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    if !PICKLES.contains(&extension.to_ascii_lowercase().as_str()) {
        return Ok(());
    }
    Err(Failure::config(format!(
        "{}: a bundle holds no pickles: to load one is to run the code in it",
        path.display()
    ))
    .hint("take the file out of the bundle; weights are in model.safetensors"))
}
