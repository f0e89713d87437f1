use super::workspace;
use crate::harness::{Ended, Workspace};

/// The help of a command, at a fixed width.
fn help(command: &[&str]) -> String {
    let arguments = [command, &["--help"]].concat();
    let workspace = Workspace::new();
    let mut command = workspace.command(&arguments);
    Ended::of(command.env("COLUMNS", "100")).expect(0).stdout
}

#[test]
fn every_command_has_help() {
    let commands: &[&[&str]] = &[
        &[],
        &["run"],
        &["backfill"],
        &["plan"],
        &["check"],
        &["status"],
        &["runs"],
        &["runs", "list"],
        &["runs", "show"],
        &["runs", "verify"],
        &["runs", "publish"],
        &["runs", "cancel"],
        &["runs", "prune"],
        &["runs", "retire"],
        &["report"],
        &["alerts"],
        &["alerts", "test"],
        &["dead-letters"],
        &["dead-letters", "list"],
        &["dead-letters", "show"],
        &["dead-letters", "retry"],
        &["dead-letters", "export"],
        &["records"],
        &["records", "erase"],
        &["records", "erased"],
        &["db"],
        &["db", "migrate"],
        &["db", "status"],
        &["init"],
        &["completions"],
        &["man"],
    ];
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for command in commands {
            let name = [&["help"], *command].concat().join("_");
            insta::assert_snapshot!(name, help(command));
        }
    });
}

#[test]
fn the_help_lists_every_exit_code() {
    let help = help(&[]);
    let (_, codes) = help.split_once("Exit codes:").expect("exit codes");
    for code in [
        "0", "64", "65", "66", "69", "70", "74", "75", "77", "78", "79", "80", "101",
    ] {
        let listed = codes
            .lines()
            .any(|line| line.trim_start().split([' ', ',']).next() == Some(code));
        assert!(listed, "{code} is not in\n{codes}");
    }
}

#[test]
fn the_version_is_printed() {
    let version = Workspace::new()
        .lamplighter(&["--version"])
        .expect(0)
        .stdout;
    assert_eq!(
        version,
        concat!("lamplighter ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn a_wrong_command_line_is_64_and_says_what_is_wrong() {
    let wrongs: [(&[&str], &str); 12] = [
        (&[], "Usage: lamplighter"),
        (&["rum"], "'rum'"),
        (&["run"], "<JOB>"),
        (&["run", "job.toml", "--wokers", "2"], "'--workers'"),
        (&["run", "job.toml", "--workers", "0"], "--workers"),
        (&["run", "job.toml", "--limit", "0"], "--limit"),
        (&["run", "job.toml", "--rescore"], "--reason"),
        (&["run", "job.toml", "--date", "tomorrow"], "tomorrow"),
        (&["run", "job.toml", "--set", "run"], "SECTION.KEY=VALUE"),
        (
            &["run", "job.toml", "--set", "run.batchsize=1"],
            "batch_size",
        ),
        (&["report", "--format", "yaml"], "json"),
        (&["db"], "migrate"),
    ];
    for (arguments, word) in wrongs {
        let workspace = workspace();
        let ended = workspace.lamplighter(arguments).expect(64).says(&[word]);
        assert_eq!(ended.stdout, "", "{arguments:?}");
        assert!(!workspace.path("lamplighter.db").exists(), "{arguments:?}");
    }
}
