//! The rooms of the code, held to what the crate's documentation says of them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::repository;

/// Rooms from the first stage to the last: a room may know those before it, never those after it.
/// Rooms of one line know nothing of each other's order.
const ORDER: [&[&str]; 14] = [
    &[
        "error",
        "interrupt",
        "printable",
        "subprocess",
        "suggest",
        "whole_file",
    ],
    &["record", "job"],
    &["database"],
    &["source", "features"],
    &["model"],
    &["monitor"],
    &["ledger"],
    &["report"],
    &["alert"],
    &["run", "scaffold", "exposition"],
    &["evaluation"],
    &["status", "check"],
    &["cli"],
    &["terminal"],
];

/// Heavy crates, and the places that may know them.
const HOMES: [(&str, &[&str]); 15] = [
    ("clap::", &["cli", "main.rs"]),
    ("clap_complete::", &["cli/completions.rs"]),
    ("clap_mangen::", &["cli/man.rs"]),
    ("indicatif::", &["terminal.rs"]),
    ("parquet::", &["source/parquet"]),
    ("polars", &["source/row_sql"]),
    ("candle_core::", &["model"]),
    ("candle_nn::", &["model"]),
    (
        "rayon::",
        &["run/pipeline.rs", "run/ids.rs", "run/duplicates.rs"],
    ),
    ("sqlx::", &["database"]),
    ("tokenizers::", &["features/text.rs"]),
    ("ureq::", &["alert/outbound.rs"]),
    ("minijinja::", &["alert/webhook.rs", "report/html"]),
    ("plotters::", &["report/html"]),
    ("prometheus_client::", &["report/prometheus"]),
];

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = repository().join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    found.sort();
    assert!(found.len() > 30, "the sources are somewhere else");
    found
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a source file");
            (
                path.strip_prefix(&root).expect("inside").to_path_buf(),
                text,
            )
        })
        .collect()
}

/// Lines of code, without comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn no_file_is_too_long_to_read() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= 500, "{} has {lines} lines", path.display());
    }
}

#[test]
fn no_room_knows_a_later_one() {
    let stage = |room: &str| ORDER.iter().position(|rooms| rooms.contains(&room));
    for (path, text) in sources() {
        let room = path
            .components()
            .next()
            .expect("a room")
            .as_os_str()
            .to_string_lossy();
        let Some(own) = stage(room.trim_end_matches(".rs")) else {
            continue;
        };
        for line in code(&text) {
            for used in line.split("crate::").skip(1) {
                let used: String = used
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                if let Some(other) = stage(&used) {
                    assert!(other <= own, "{}: {line}", path.display());
                }
            }
        }
    }
}

#[test]
fn each_heavy_crate_has_one_home() {
    for (path, text) in sources() {
        let shown = path.display().to_string();
        for line in code(&text) {
            for (name, homes) in HOMES {
                let used = line.match_indices(name).any(|(at, _)| {
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
                });
                assert!(
                    !used || homes.iter().any(|home| shown.starts_with(home)),
                    "{shown} uses {name}: {line}"
                );
            }
        }
    }
}

#[test]
fn unsafe_code_stays_in_the_kernels() {
    let library = fs::read_to_string(repository().join("src/lib.rs")).expect("lib.rs");
    assert!(library.contains("#![deny(unsafe_code)]"));
    let kernels = Path::new("model/kernels");
    let mut allowing = Vec::new();
    for (path, text) in sources() {
        let code: Vec<&str> = text.lines().map(|line| line.trim_start()).collect();
        let code = code.into_iter().filter(|line| !line.starts_with("//"));
        let is_unsafe = code.clone().any(|line| {
            ["unsafe {", "unsafe fn", "unsafe impl", "unsafe trait"]
                .iter()
                .any(|word| line.contains(word))
        });
        assert!(
            !is_unsafe || path.starts_with(kernels),
            "{}",
            path.display()
        );
        if code.clone().any(|line| line.starts_with("unsafe_code")) {
            allowing.push(path);
        }
    }
    assert_eq!(allowing, [kernels.join("mod.rs")]);
}
