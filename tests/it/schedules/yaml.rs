//! YAML as JSON: by the Python and the PyYAML that the validator of manifests brings.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{is_left_out, tool};
use crate::harness::{find_program, repository};

const AS_JSON: &str =
    "import json, sys, yaml; json.dump(list(yaml.safe_load_all(open(sys.argv[1]))), sys.stdout)";

/// Python, with the validator of manifests; `None` if it is left out.
pub fn python() -> Option<Command> {
    let library = tool("python");
    let program = find_program("python3").filter(|_| library.join("kubernetes_validate").is_dir());
    if is_left_out(program.is_some(), "TEST_WITHOUT_KUBERNETES") {
        return None;
    }
    let mut python = Command::new(program?);
    python.env("PYTHONPATH", library).env_remove("PYTHONHOME");
    Some(python)
}

/// The files with manifests.
pub fn manifests() -> Vec<PathBuf> {
    let pattern = repository().join("cron/kubernetes-*.yaml");
    let found = glob::glob(&pattern.to_string_lossy()).expect("a pattern");
    let found: Vec<PathBuf> = found.map(|path| path.expect("a path")).collect();
    assert!(!found.is_empty(), "the manifests are somewhere else");
    found
}

/// The documents of a file; `None` if nothing here reads YAML, and that has been said.
pub fn documents(path: &Path) -> Option<Vec<Value>> {
    let output = python()?.args(["-c", AS_JSON]).arg(path).output();
    let output = output.expect("Python");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", path.display());
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

/// The one document of a file of `cron/`.
pub fn document(name: &str) -> Option<Value> {
    let documents = documents(&repository().join("cron").join(name))?;
    assert_eq!(documents.len(), 1, "{name}");
    documents.into_iter().next()
}
