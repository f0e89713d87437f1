use serde_json::Value;

use super::{DATE, RUN, set_up};
use crate::harness::results::Results;
use crate::harness::{Ended, Workspace, linear_bundle, simple_job};

/// What a terminal or a reader of logs would take for more than a name.
const HOSTILE: [&str; 7] = [
    "a\n2026-01-01T00:00:00Z ERROR forged",
    "b\u{1b}[2J\u{1b}]0;title\u{7}",
    "c\u{9b}31m",
    "d\u{202e}gpj.exe\u{2066}",
    "e\r\u{8}forged",
    "f\u{2028}forged\u{2029}",
    "g\tforged\u{7f}",
];

/// Characters of which none may be shown.
#[track_caller]
fn is_plain(text: &str) {
    let steers = |character: char| {
        character.is_control() && character != '\n'
            || matches!(
                character,
                '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            )
    };
    assert!(!text.chars().any(steers), "{text:?}");
    let begins = |line: &str| line.starts_with("2026-01-01") || line.starts_with("forged");
    assert!(!text.lines().any(begins), "{text:?}");
}

#[track_caller]
fn says_nothing_hostile(ended: &Ended) {
    is_plain(&ended.stdout);
    is_plain(&ended.stderr);
}

/// Each hostile record is a dead letter.
fn with_hostile_records(results: &Results) {
    let records: Vec<(&str, Option<f64>)> = HOSTILE.iter().map(|id| (*id, None)).collect();
    set_up(&results.workspace, &records);
}

#[test]
fn ids_of_records_stay_on_their_line_in_tables_and_json() {
    for results in Results::in_each() {
        with_hostile_records(&results);
        says_nothing_hostile(&results.lamplighter(&RUN).expect(0));
        let list = results.lamplighter(&["dead-letters", "list"]).expect(0);
        says_nothing_hostile(&list);
        assert_eq!(list.stdout.lines().count(), 1 + HOSTILE.len());
        for command in ["list", "export"] {
            let arguments = ["dead-letters", command, "--format", "json"];
            let json = results.lamplighter(&arguments).expect(0);
            says_nothing_hostile(&json);
            // It means what was put in.
            let lines = json.stdout.lines();
            let documents = lines.map(|line| serde_json::from_str(line).expect("JSON"));
            let letters: Vec<Value> = documents
                .flat_map(|document: Value| document.as_array().cloned().unwrap_or(vec![document]))
                .collect();
            let ids = letters.iter().map(|letter| letter["record_id"].as_str());
            assert!(ids.eq(HOSTILE.iter().map(|id| Some(*id))), "{letters:?}");
        }
        for id in HOSTILE {
            let show = ["dead-letters", "show", id];
            says_nothing_hostile(&results.lamplighter(&show).expect(0));
            let none = format!("{id} none");
            let show = ["dead-letters", "show", &none];
            says_nothing_hostile(&results.lamplighter(&show).expect(64));
        }
        for command in [&["runs", "show"][..], &["runs", "list"], &["report"]] {
            says_nothing_hostile(&results.lamplighter(command).expect(0));
        }
    }
}

/// What kills a process is logged with the id of the record.
#[test]
fn an_event_of_the_log_is_one_line_whatever_it_speaks_of() {
    for id in HOSTILE {
        let results = Results::in_sqlite();
        set_up(&results.workspace, &[(id, Some(1.0)), ("good", Some(2.0))]);
        for format in ["text", "json"] {
            let arguments = [&RUN[..], &["--log-format", format, "--limit", "2"]].concat();
            let mut command = results.command(&arguments);
            let ended = Ended::of(command.env("LAMPLIGHTER_FAULT", format!("error:{id}")));
            let ended = ended.expect(0);
            says_nothing_hostile(&ended);
            let struck: Vec<&str> = ended
                .stderr
                .lines()
                .filter(|line| line.contains("a fault strikes"))
                .collect();
            assert!(!struck.is_empty(), "{ended}");
            if format == "json" {
                let event: Value = serde_json::from_str(struck[0]).expect("JSON");
                assert_eq!(event["record"], *id);
            }
        }
    }
}

#[test]
fn names_of_files_columns_jobs_and_classes_stay_on_their_line() {
    for name in HOSTILE {
        let workspace = Workspace::new();
        set_up(&workspace, &[("a", Some(1.0))]);
        workspace.write(
            &format!("bad/{name}.parquet"),
            "not Parquet, though long enough",
        );
        let quoted = serde_json::Value::from(name)
            .to_string()
            .replace("\\u007f", "");
        let runs: [(&[&str], i32); 5] = [
            (&["--set", "source.path=bad/*.parquet"], 65),
            (&["--set", &format!("source.path={name}")], 66),
            (&["--set", &format!("source.id_column={quoted}")], 65),
            (&["--set", &format!("job.name={quoted}")], 64),
            (&["--set", &format!("source.wait_for={name}")], 75),
        ];
        for (more, code) in runs {
            for format in ["text", "json"] {
                let arguments = [&RUN[..], more, &["--log-format", format]].concat();
                let ended = workspace.lamplighter(&arguments);
                assert_eq!(ended.code, Some(code), "{more:?}: {ended}");
                says_nothing_hostile(&ended);
            }
        }
        says_nothing_hostile(&workspace.lamplighter(&["run", name]).expect(78));
    }
}

/// Columns stand in the report, by the name that the bundle and the file give them.
#[test]
fn names_of_columns_in_a_report_stay_on_their_line() {
    let workspace = Workspace::new();
    let column = "x\\n2026-01-01T00:00:00Z ERROR forged\\u001b[2J\\u202e";
    linear_bundle(&workspace.path("bundle"), &[(column, 2.0)], 1.0, "");
    let name = "x\n2026-01-01T00:00:00Z ERROR forged\u{1b}[2J\u{202e}";
    let ids = std::sync::Arc::new(arrow::array::StringArray::from(vec!["a", "b"]));
    let numbers = arrow::array::Float64Array::from(vec![Some(f64::INFINITY), None]);
    let rows = crate::harness::batch(vec![("id", ids), (name, std::sync::Arc::new(numbers))]);
    crate::harness::write_parquet(&workspace.path("input/rows.parquet"), &rows, 10);
    workspace.write(
        "job.toml",
        simple_job("[errors]\nmax_dead_letters = \"100%\"\n"),
    );
    let ended = workspace.lamplighter(&["run", "job.toml", "--date", DATE]);
    let ended = ended.expect(0);
    assert!(ended.stdout.contains("forged"), "{ended}");
    says_nothing_hostile(&ended);
    says_nothing_hostile(&workspace.lamplighter(&["dead-letters", "list"]).expect(0));
}
