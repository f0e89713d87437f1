mod file;
mod overlays;

use std::path::PathBuf;

use super::*;

const JOB: &str = r#"[job]
name = "flight-delay"

[source]
kind = "parquet"
path = "flights.parquet"
id_column = "flight_id"

[model]
bundle = "bundle"
"#;

/// A job file in a folder of its own.
struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl File {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.toml");
        std::fs::write(&path, text).unwrap();
        Self {
            _folder: folder,
            path,
        }
    }

    fn load(&self, env: Option<&str>, set: &[&str]) -> Result<JobSpec, Failure> {
        let variables = |name: &str| (name == "SECRET").then(|| "hunter2".to_owned());
        let options = LoadOptions {
            env: env.map(str::to_owned),
            set: set.iter().map(|set| set.to_string()).collect(),
            variables: &variables,
        };
        load(&self.path, &options).map(|(spec, _)| spec)
    }
}

/// The message with the folder left out, its class, and its hint.
fn refused(text: &str, env: Option<&str>, set: &[&str]) -> (String, Class, Option<String>) {
    let file = File::new(text);
    let failure = file
        .load(env, set)
        .err()
        .expect("a job that must be refused was accepted");
    let message = failure
        .to_string()
        .replace(&file.path.display().to_string(), "x.toml");
    let class = failure.class();
    (
        message,
        class,
        crate::error::hint(&failure.into()).map(str::to_owned),
    )
}

fn message(text: &str) -> String {
    let (message, class, _) = refused(text, None, &[]);
    assert_eq!(class, Class::Config);
    message
}
