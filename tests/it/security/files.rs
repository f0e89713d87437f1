use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::{RUN, intact, set_up};
use crate::harness::postgres::cluster;
use crate::harness::results::Results;
use crate::harness::started::Started;
use crate::harness::{Ended, Workspace};

/// Runs a command with this umask.
fn with_umask(umask: &str, command: &Command) -> Ended {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("umask {umask} && exec \"$0\" \"$@\"")])
        .arg(command.get_program())
        .args(command.get_args())
        .env_remove("DATABASE_URL")
        .env_remove("DATABASE_URL_FILE");
    if let Some(directory) = command.get_current_dir() {
        shell.current_dir(directory);
    }
    Ended::of(&mut shell)
}

/// The mode of every file in a workspace, by name.
fn modes(workspace: &Workspace) -> BTreeMap<String, u32> {
    let entries = fs::read_dir(workspace.path("")).expect("a directory");
    entries
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().is_file())
        .map(|entry| {
            let mode = entry.metadata().expect("a file").permissions().mode();
            (
                entry.file_name().to_string_lossy().into_owned(),
                mode & 0o777,
            )
        })
        .collect()
}

/// Who shares results with a group, and who with nobody, says so where all programs are told.
#[test]
fn files_are_made_as_the_umask_says_and_none_that_it_does_not_say() {
    for (umask, mode) in [("077", 0o600), ("027", 0o640), ("022", 0o644)] {
        let workspace = Workspace::new();
        set_up(&workspace, &[("a", Some(1.0)), ("b", None)]);
        let before = modes(&workspace);
        with_umask(umask, &workspace.command(&RUN)).expect(0);
        let export = ["dead-letters", "export", "-o", "letters.jsonl"];
        with_umask(umask, &workspace.command(&export)).expect(0);
        let made: BTreeMap<String, u32> = modes(&workspace)
            .into_iter()
            .filter(|(name, _)| !before.contains_key(name))
            .collect();
        for name in ["lamplighter.db", "lamplighter.db.lock", "letters.jsonl"] {
            assert_eq!(made.get(name), Some(&mode), "{umask}: {made:?}");
        }
        let is_expected =
            |name: &String| name.starts_with("lamplighter.db") || name == "letters.jsonl";
        assert!(made.keys().all(is_expected), "{made:?}");
    }
}

/// Nothing is left in, or expected from, a directory that others can write to.
#[test]
fn the_directory_for_temporary_files_stays_empty() {
    let workspace = intact();
    fs::create_dir(workspace.path("temporary")).expect("a directory");
    let mut command = workspace.command(&RUN);
    Ended::of(command.env("TMPDIR", workspace.path("temporary"))).expect(0);
    let left = fs::read_dir(workspace.path("temporary")).expect("a directory");
    assert_eq!(left.count(), 0);
}

/// A core would hold the password, and records.
#[test]
fn a_process_that_aborts_leaves_no_core() {
    let results = Results::in_database(cluster().database());
    set_up(&results.workspace, &[("a", Some(1.0))]);
    let mut barrier = results.postgres().expect("Postgres").session();
    barrier.begin();
    barrier.execute("LOCK TABLE lamplighter.predictions IN ACCESS EXCLUSIVE MODE");
    let command = results.command(&RUN);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -S -c $(ulimit -H -c) && exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(results.workspace.path(""))
        .env("DATABASE_URL", results.postgres().expect("Postgres").url());
    let started = Started::new(&mut shell);
    started.until("scoring");
    let limits = fs::read_to_string(format!("/proc/{}/limits", started.id())).expect("a process");
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let soft = core.and_then(|line| line.split_whitespace().nth(4));
    assert_eq!(soft, Some("0"), "{limits}");
    barrier.roll_back();
    started.end().expect(0);
}
