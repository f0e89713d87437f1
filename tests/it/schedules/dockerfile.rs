use std::fs;
use std::process::Command;

use crate::harness::{Workspace, repository};

/// The lines of the last stage.
fn last_stage() -> Vec<String> {
    let text = fs::read_to_string(repository().join("Dockerfile")).expect("a Dockerfile");
    let text = text.replace("\\\n", " ");
    let mut stage = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.starts_with("FROM ") {
            stage.clear();
        }
        stage.push(line.to_owned());
    }
    stage
}

fn value(instruction: &str) -> String {
    let stage = last_stage();
    let value = stage.iter().find_map(|line| line.strip_prefix(instruction));
    value
        .unwrap_or_else(|| panic!("no {instruction}"))
        .trim()
        .to_owned()
}

#[test]
fn the_image_runs_the_binary_alone_as_a_user_that_is_a_number() {
    assert_eq!(value("ENTRYPOINT"), "[\"lamplighter\"]");
    assert_eq!(value("USER"), "10001:10001");
    assert_eq!(value("WORKDIR"), "/srv/lamplighter");
    assert_eq!(value("HEALTHCHECK"), "NONE");
    let stage = last_stage();
    assert!(
        !stage.iter().any(|line| line.starts_with("RUN ")),
        "{stage:?}"
    );
    let version = format!(
        "org.opencontainers.image.version=\"{}\"",
        env!("CARGO_PKG_VERSION")
    );
    assert!(value("LABEL").contains(&version));
}

#[test]
fn what_is_sent_to_the_builder_is_enough_for_cargo_and_no_more() {
    let rules = fs::read_to_string(repository().join(".dockerignore")).expect("a .dockerignore");
    let mut rules = rules.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(
        rules.next(),
        Some("*"),
        "nothing is sent unless it is named"
    );
    let workspace = Workspace::new();
    for sent in rules {
        let name = sent.strip_prefix('!').expect("a name");
        let to = workspace.path(name);
        fs::create_dir_all(to.parent().expect("a parent")).expect("a directory");
        let copied = Command::new("cp")
            .arg("-R")
            .arg(repository().join(name))
            .arg(&to)
            .status();
        assert!(copied.expect("cp").success(), "{name}");
    }
    let metadata = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--locked",
            "--offline",
            "--no-deps",
            "--format-version=1",
        ])
        .current_dir(workspace.path(""))
        .output()
        .expect("cargo");
    let said = String::from_utf8_lossy(&metadata.stderr);
    assert!(metadata.status.success(), "{said}");
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).expect("JSON");
    let targets = metadata["packages"][0]["targets"]
        .as_array()
        .expect("targets");
    assert!(
        targets
            .iter()
            .any(|target| target["name"] == "lamplighter" && target["kind"][0] == "bin")
    );
    // Files that the sources take in while they are built.
    for path in glob::glob(&repository().join("src/**/*.rs").to_string_lossy()).expect("a pattern")
    {
        let path = path.expect("a path");
        let text = fs::read_to_string(&path).expect("a source file");
        let is_test = path
            .components()
            .any(|part| part.as_os_str().to_string_lossy().starts_with("tests"));
        for taken in text.split("include_str!(\"").skip(1) {
            let taken = taken.split('"').next().unwrap_or_default();
            let outside = taken.matches("../").count()
                >= path
                    .strip_prefix(repository())
                    .expect("inside")
                    .components()
                    .count()
                    - 1;
            assert!(
                is_test || !outside,
                "{}: {taken} is not sent",
                path.display()
            );
        }
    }
}
