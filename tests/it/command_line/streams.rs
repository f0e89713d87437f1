use std::fs::File;
use std::process::Stdio;

use serde_json::Value;

use super::{RUN, scored, workspace};
use crate::harness::Ended;

const LOGS_AS_JSON: [&str; 2] = ["--log-format", "json"];

/// Standard error, each line of it a JSON object.
#[track_caller]
fn lines(ended: &Ended) -> Vec<Value> {
    let lines: Vec<Value> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: `{line}`")))
        .collect();
    assert!(!lines.is_empty(), "nothing was logged");
    for line in &lines {
        for key in ["timestamp", "level", "message"] {
            assert!(line[key].is_string(), "no {key}: {line}");
        }
    }
    lines
}

#[test]
fn logs_as_json_are_one_object_a_line_and_standard_output_has_none_of_them() {
    let arguments = [&RUN[..], &LOGS_AS_JSON, &["--format", "json", "-vv"]].concat();
    let ended = workspace().lamplighter(&arguments).expect(0);
    let logged = lines(&ended);
    assert!(logged.iter().any(|line| line["message"] == "scoring"));
    assert_eq!(ended.json()["outcome"]["verdict"], "published");
}

#[test]
fn standard_output_is_the_report_and_nothing_else() {
    let workspace = workspace();
    let ended = workspace.lamplighter(&RUN).expect(0);
    assert!(ended.stderr.contains("scoring"), "{}", ended.stderr);
    assert!(!ended.stdout.contains("scoring"), "{}", ended.stdout);
    assert!(ended.stdout.starts_with(super::RUN_NAME));
    let report = workspace.lamplighter(&["report"]).expect(0);
    assert_eq!(report.stdout, ended.stdout);
    assert_eq!(report.stderr, "");
}

#[test]
fn an_error_as_json_has_message_hint_and_exit_code() {
    let errors: [(&[&str], i32, &str); 6] = [
        (&["run", "job.toml", "--date", "never"], 64, "never"),
        (
            &["run", "job.toml", "--set", "source.id_column=key"],
            65,
            "no column `key`",
        ),
        (
            &["run", "job.toml", "--set", "source.path=*.parquet"],
            66,
            "no file matches",
        ),
        (&["report", "--database", "sqlite://none.db"], 66, "none.db"),
        (
            &["run", "job.toml", "--set", "source.wait_for=none"],
            75,
            "none is not there yet",
        ),
        (
            &["run", "job.toml", "--set", "model.bundle=none"],
            78,
            "bundle none",
        ),
    ];
    for (arguments, code, words) in errors {
        let ended = workspace().lamplighter(&[arguments, &LOGS_AS_JSON].concat());
        let ended = ended.expect(code);
        let last = lines(&ended).pop().expect("a line");
        assert_eq!(last["level"], "ERROR");
        assert_eq!(last["exit_code"], code, "{last}");
        let message = last["message"].as_str().expect("a message");
        assert!(message.contains(words), "{message}");
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn a_withheld_run_says_so_as_json_too() {
    let arguments = [
        &RUN[..],
        &LOGS_AS_JSON,
        &["--set", "errors.max_dead_letters=0"],
    ]
    .concat();
    let ended = workspace().lamplighter(&arguments).expect(65);
    let last = lines(&ended).pop().expect("a line");
    assert_eq!(last["level"], "ERROR");
    assert_eq!(last["exit_code"], 65);
    assert!(
        last["message"].to_string().contains("missing_value"),
        "{last}"
    );
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let workspace = scored();
    let commands: [&[&str]; 7] = [
        &["--help"],
        &["runs", "list"],
        &["runs", "show"],
        &["report", "--format", "json"],
        &["dead-letters", "list"],
        &["dead-letters", "export"],
        &RUN,
    ];
    for command in commands {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        // Before anything is written, so that every write fails.
        drop(reader);
        let child = workspace
            .command(command)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn();
        let output = child.and_then(|child| child.wait_with_output());
        let output = output.expect("lamplighter ends");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{command:?}: {stderr}");
        assert!(!stderr.contains("error"), "{command:?}: {stderr}");
        assert!(!stderr.contains("panic"), "{command:?}: {stderr}");
    }
}

#[test]
fn output_that_cannot_be_written_is_74() {
    let workspace = scored();
    let full = File::options().write(true).open("/dev/full");
    let mut command = workspace.command(&["report"]);
    let output = command.stdout(full.expect("/dev/full")).output();
    let output = output.expect("lamplighter ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(74), "{stderr}");
    assert!(stderr.contains("No space left"), "{stderr}");
}

#[test]
fn control_characters_in_a_file_name_do_not_steer_the_terminal() {
    let workspace = workspace();
    workspace.write(
        "bad/\u{1b}[2Jred.parquet",
        "not Parquet, though long enough",
    );
    let path = ["run", "job.toml", "--set", "source.path=bad/*.parquet"];
    let ended = workspace
        .lamplighter(&path)
        .expect(65)
        .says(&["[2Jred.parquet"]);
    assert!(!ended.stderr.contains('\u{1b}'), "{}", ended.stderr);
}
