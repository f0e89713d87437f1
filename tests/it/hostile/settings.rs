//! Job files and descriptions of models that no person would write: refused with their place, in few
//! words, none of which steers a terminal.

use std::fs;

use super::{confined, forged, job, nothing_was_planned, workspace};
use crate::harness::{Ended, Workspace};

const JOB: &str = "job.toml";
const MODEL: &str = "bundle/model.toml";

/// More than anybody reads.
const MOST_WORDS: usize = 4_000;

/// A workspace with good records.
fn intact() -> Workspace {
    let workspace = workspace();
    let file = forged::file(&forged::columns(0..4));
    workspace.write("input/a.parquet", file);
    workspace
}

/// Starts on a file of these bytes, which must be refused by name in few words.
#[track_caller]
fn is_refused(file: &str, bytes: &[u8]) -> Ended {
    let workspace = intact();
    workspace.write(file, bytes);
    let ended = super::run(&workspace).expect(78).says(&["error:", file]);
    nothing_was_planned(&workspace);
    assert!(
        ended.stderr.len() < MOST_WORDS,
        "{} bytes",
        ended.stderr.len()
    );
    assert!(!ended.stderr.contains('\x1b'), "{}", ended.stderr);
    ended
}

/// Both files, each with these bytes after what is sound.
#[track_caller]
fn are_refused_after_what_is_sound(bytes: &[u8]) {
    let sound = intact();
    for file in [JOB, MODEL] {
        let text = fs::read(sound.path(file)).expect("a file");
        is_refused(file, &[&text, &b"\n"[..], bytes].concat());
    }
}

#[test]
fn values_that_are_nested_without_end_are_refused() {
    for nested in ["[", "{a=", "[{a=["] {
        for levels in [200, 100_000] {
            let text = format!("[more]\nx = {}", nested.repeat(levels));
            are_refused_after_what_is_sound(text.as_bytes());
        }
    }
}

#[test]
fn keys_that_are_nested_without_end_are_refused() {
    for levels in [200, 100_000] {
        let key = format!("a{}", ".a".repeat(levels));
        let texts = [
            format!("[{key}]\n"),
            format!("[[{key}]]\n"),
            format!("[more]\n{key} = 1\n"),
        ];
        for text in texts {
            are_refused_after_what_is_sound(text.as_bytes());
        }
    }
}

#[test]
fn ten_megabytes_of_brackets_are_refused() {
    let brackets = vec![b'['; 10 << 20];
    for file in [JOB, MODEL] {
        is_refused(file, &brackets);
    }
    are_refused_after_what_is_sound(&brackets);
}

#[test]
fn integers_beyond_all_types_are_refused_on_their_line() {
    for number in [
        "9223372036854775808",
        "-1",
        &"9".repeat(100_000),
        "0xFFFFFFFFFFFFFFFFFF",
    ] {
        let text = job("").replace("workers = 2", &format!("workers = {number}"));
        is_refused(JOB, text.as_bytes()).says(&["job.toml:13"]);
    }
    let model = fs::read_to_string(intact().path(MODEL)).expect("a file");
    for number in [
        "9223372036854775808",
        "-1",
        &"9".repeat(100_000),
        "9223372036854775807",
    ] {
        let text = model.replace("hidden = []", &format!("hidden = [{number}]"));
        is_refused(MODEL, text.as_bytes());
    }
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    for bytes in [
        &b"\0"[..],
        b"x = \"\0\"",
        b"\xff\xfe",
        b"x = \"\xc3\x28\"",
        b"\xed\xa0\x80",
        b"\x1b[2J",
    ] {
        are_refused_after_what_is_sound(bytes);
    }
}

#[test]
fn a_key_of_a_megabyte_is_refused_in_few_words() {
    let key = "k".repeat(1 << 20);
    for text in [
        format!("[more]\n{key} = 1\n"),
        format!("[{key}]\n"),
        format!("[job]\n{key} = 1\n"),
        format!("[model]\n{key} = 1\n"),
        format!("[env.{key}.run]\nx = 1\n"),
        format!("{key}\n"),
    ] {
        is_refused(JOB, text.as_bytes());
        is_refused(MODEL, text.as_bytes());
    }
    let text = format!("[source]\ncolumns = {{ {key} = 1 }}\n");
    is_refused(JOB, text.as_bytes());
}

#[test]
fn thousands_of_overlays_and_keys_are_read_in_no_time() {
    let overlays: String = (0..20_000)
        .map(|n| format!("[env.e{n}.run]\nbatch_size = 4\n"))
        .collect();
    let workspace = intact();
    workspace.write(JOB, job(&overlays));
    let arguments = [&super::RUN[..], &["--env", "e19999"]].concat();
    confined(&workspace.command(&arguments)).expect(0);

    let keys: String = (0..200_000).map(|n| format!("k{n} = {n}\n")).collect();
    is_refused(JOB, job(&format!("[job.more]\n{keys}")).as_bytes());
    is_refused(JOB, job(&keys).as_bytes()).says(&["unknown key `k0`"]);
    is_refused(JOB, job(&format!("[env.a.run]\n{keys}")).as_bytes()).says(&["unknown key `k0`"]);
}

#[test]
fn a_variable_that_holds_variables_is_not_expanded_again() {
    let workspace = intact();
    workspace.write(JOB, job("").replace("input/*.parquet", "${LAUGH}"));
    let mut command = workspace.command(&super::RUN);
    command.env("LAUGH", "${LAUGH}${LAUGH}");
    confined(&command).expect(66);
    nothing_was_planned(&workspace);
}

#[test]
fn a_variable_that_is_named_a_hundred_thousand_times_is_refused_on_its_line() {
    let workspace = intact();
    let laughs = "${LAUGH}".repeat(100_000);
    workspace.write(JOB, job("").replace("input/*.parquet", &laughs));
    let mut command = workspace.command(&super::RUN);
    command.env("LAUGH", "ha".repeat(50_000));
    let ended = confined(&command)
        .expect(78)
        .says(&["job.toml:6", "[source] path"]);
    assert!(ended.stderr.len() < MOST_WORDS && !ended.stderr.contains("haha"));
    nothing_was_planned(&workspace);
}

#[test]
fn nothing_in_a_file_steers_the_terminal() {
    const CLEAR: &str = "\\u001b[2J\\u001b]0;title\\u0007\\u009b31m";
    let texts = [
        format!("[\"{CLEAR}\"]\n"),
        format!("[job]\n\"{CLEAR}\" = 1\n"),
        format!("[model]\n\"{CLEAR}\" = 1\n"),
        format!("[env.\"{CLEAR}\"]\nx = 1\n"),
        format!("[model]\nname = \"{CLEAR}\"\n"),
        format!("[source]\nkind = \"{CLEAR}\"\n"),
        format!("[model]\nname = \"a\"\nversion = \"1\"\narchitecture = \"{CLEAR}\"\n"),
    ];
    for text in texts {
        for file in [JOB, MODEL] {
            let ended = is_refused(file, text.as_bytes());
            assert!(
                !ended.stderr.contains(['\u{7}', '\u{9b}']),
                "{}",
                ended.stderr
            );
        }
    }
}

/// They stand in every report and in the log.
#[test]
fn names_of_models_that_would_steer_terminal_or_log_are_refused() {
    let model = fs::read_to_string(intact().path(MODEL)).expect("a file");
    for key in ["name = \"linear\"", "version = \"1\""] {
        for wrong in [
            "\\u001b[31m",
            "\\n2026-01-01T00:00:00Z ERROR forged",
            "\\u009b2J",
            "\\u0000",
        ] {
            let forged = format!("{}{wrong}\"", key.trim_end_matches('"'));
            let text = model.replace(key, &forged);
            is_refused(MODEL, text.as_bytes()).says(&["a control character"]);
        }
    }
}
