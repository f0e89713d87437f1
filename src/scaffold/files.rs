//! Puts the files where they belong: all of them or none, and never over what is there.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use anyhow::Context;
use tempfile::TempPath;

use super::{Place, Scaffold, texts};
use crate::error::{Class, Failure};
use crate::features::spec::Feature;
use crate::job::{Job, LoadOptions, ModelReference};
use crate::model::untrained::write_untrained;
use crate::model::{Bundle, Task};

/// Refuses to begin if anything is there already.
///
/// # Errors
/// Something is (64); it can not be told (74, 77).
pub fn refuse_existing(place: &Place) -> anyhow::Result<()> {
    let paths = [place.job(), place.bundle(), place.export(), place.crontab()];
    for path in paths.map(|path| place.directory.join(path)) {
        match fs::symlink_metadata(&path) {
            Ok(_) => return Err(exists(&path).into()),
            Err(error) if is_absent(&error) => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot look at {}", path.display()));
            }
        }
    }
    Ok(())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn exists(path: &Path) -> Failure {
    Failure::new(Class::Usage, format!("{} is there already", path.display()))
        .hint("init overwrites nothing: choose another --name, another directory, or move it away")
}

/// Writes everything beside its place, loads it as a run would, and then moves it into place.
///
/// # Errors
/// Something is there by now (64); what was written can not be loaded (70); I/O (74, 77).
pub fn write(scaffold: &Scaffold) -> anyhow::Result<()> {
    let place = &scaffold.place;
    let context = || format!("cannot write into {}", place.directory.display());
    fs::create_dir_all(&place.directory).with_context(context)?;
    let staging = tempfile::Builder::new()
        .prefix(".lamplighter-init-")
        .tempdir_in(&place.directory)
        .with_context(context)?;
    let binary = env::current_exe().context("cannot tell where this program is")?;
    let bundle = staging.path().join("bundle");
    fs::create_dir(&bundle).with_context(context)?;
    let features: Vec<Feature> = scaffold
        .features
        .iter()
        .map(|chosen| chosen.feature.clone())
        .collect();
    let outputs = match scaffold.prediction.task {
        Task::Multiclass => scaffold.prediction.classes.len(),
        Task::Binary | Task::Regression | Task::Embedding | Task::Ranking => 1,
    };
    fs::write(bundle.join("model.toml"), texts::model(scaffold)).with_context(context)?;
    let weights = bundle.join("model.safetensors");
    write_untrained(&features, &texts::HIDDEN, outputs, &weights)?;
    let files = [
        (place.job(), texts::job(scaffold)),
        (place.export(), texts::export(scaffold)),
        (place.crontab(), texts::crontab(scaffold, &binary)),
    ];
    let mut staged = Vec::with_capacity(files.len());
    for (index, (path, text)) in files.into_iter().enumerate() {
        let temporary = staging.path().join(index.to_string());
        fs::write(&temporary, text).with_context(context)?;
        staged.push((temporary, place.directory.join(path)));
    }
    load(
        scaffold,
        &bundle,
        staged.first().map(|(job, _)| job.as_path()),
    )?;
    let mut placed = Placed::default();
    for (temporary, path) in staged {
        placed.directory_of(&path).with_context(context)?;
        let temporary = TempPath::try_from_path(temporary).with_context(context)?;
        match temporary.persist_noclobber(&path) {
            Ok(()) => placed.files.push(path),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(exists(&path).into());
            }
            Err(error) => return Err(error.error).with_context(context),
        }
    }
    let path = place.directory.join(place.bundle());
    placed.directory_of(&path).with_context(context)?;
    // An empty directory that appeared meanwhile is replaced, and nothing is lost by it.
    match fs::rename(&bundle, &path) {
        Ok(()) => {}
        Err(_) if fs::symlink_metadata(&path).is_ok() => return Err(exists(&path).into()),
        Err(error) => return Err(error).with_context(context),
    }
    placed.keep();
    Ok(())
}

/// Loads what is about to be put into place, as a run does.
fn load(scaffold: &Scaffold, bundle: &Path, job: Option<&Path>) -> anyhow::Result<()> {
    let what = "init wrote what can not be loaded";
    Bundle::load(&ModelReference::of(bundle))
        .map_err(|error| Failure::internal(format!("{what}: {error:#}")))?;
    let options = LoadOptions {
        env: None,
        set: Vec::new(),
        variables: &|_| None,
    };
    if let Some(job) = job {
        let job = Job::load(job, &options)
            .map_err(|error| Failure::internal(format!("{what}: {error}")))?;
        if job.source.id_column != scaffold.id_column {
            return Err(Failure::internal(format!("{what}: the id column is another")).into());
        }
    }
    Ok(())
}

/// What is in place already, and taken away again if the rest can not follow.
#[derive(Default)]
struct Placed {
    files: Vec<PathBuf>,
    directories: Vec<PathBuf>,
}

impl Placed {
    /// Makes the directory that `path` is to stand in.
    fn directory_of(&mut self, path: &Path) -> io::Result<()> {
        if let Some(directory) = path.parent()
            && !directory.is_dir()
        {
            fs::create_dir(directory)?;
            self.directories.push(directory.to_owned());
        }
        Ok(())
    }

    /// Everything is there: nothing is taken away.
    fn keep(mut self) {
        self.files.clear();
        self.directories.clear();
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        // The failure that led here is what is told; a file that can not be removed is found by the next try.
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
        for directory in self.directories.iter().rev() {
            let _ = fs::remove_dir(directory);
        }
    }
}
