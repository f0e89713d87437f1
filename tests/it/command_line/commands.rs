use serde_json::{Value, json};

use super::{RUN, RUN_NAME, scored, workspace};

/// Standard output of a command that succeeds, as JSON.
#[track_caller]
fn json_of(workspace: &crate::harness::Workspace, command: &[&str]) -> Value {
    let arguments = [command, &["--format", "json"]].concat();
    workspace.lamplighter(&arguments).expect(0).json()
}

#[track_caller]
fn has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is missing:\n{text}");
    }
}

#[test]
fn run_prints_its_report() {
    let report = json_of(&workspace(), &RUN);
    assert_eq!(report["run"], RUN_NAME);
    assert_eq!(report["outcome"]["verdict"], "published");
    assert_eq!(report["outcome"]["exit_code"], 0);
    let text = workspace().lamplighter(&RUN).expect(0).stdout;
    has(&text, &[RUN_NAME, "PUBLISHED", "validate/missing_value x"]);
}

#[test]
fn a_run_that_is_complete_prints_the_same_report_again() {
    let workspace = workspace();
    let first = json_of(&workspace, &RUN);
    assert_eq!(json_of(&workspace, &RUN), first);
    let text = workspace.lamplighter(&RUN).expect(0).stdout;
    has(&text, &[RUN_NAME, "already complete and published"]);
    assert_eq!(workspace.value("SELECT count(*) FROM runs"), "1");
}

#[test]
fn a_run_that_was_withheld_by_hand_is_told_as_withheld() {
    let workspace = workspace();
    workspace.lamplighter(&RUN).expect(0);
    workspace.execute("DELETE FROM publications; UPDATE runs SET publication = 'withheld'");
    let text = workspace.lamplighter(&RUN).expect(0).stdout;
    has(
        &text,
        &[
            "already complete and withheld: consumers do not see it any more",
            "--rescore",
        ],
    );
    let report = json_of(&workspace, &["report"]);
    assert_eq!(report["outcome"]["verdict"], "withheld");
}

#[test]
fn a_dry_run_says_what_would_be_done_and_writes_nothing() {
    let workspace = workspace();
    let dry_run = [&RUN[..], &["--dry-run"]].concat();
    let summary = json_of(&workspace, &dry_run);
    assert_eq!(summary["action"], "plan a new run");
    assert_eq!(summary["records"], 4);
    assert_eq!(summary["duplicates"], 1);
    has(
        &workspace.lamplighter(&dry_run).expect(0).stdout,
        &["simple@2026-11-23", "nothing is written", "plan a new run"],
    );
    assert!(!workspace.path("lamplighter.db").exists());
}

#[test]
fn runs_list_shows_the_newest_first() {
    let workspace = scored();
    let second = ["run", "job.toml", "--date", "2026-11-24"];
    workspace.lamplighter(&second).expect(0);
    let runs = json_of(&workspace, &["runs", "list"]);
    let dates: Vec<&Value> = runs
        .as_array()
        .expect("runs")
        .iter()
        .map(|run| &run["logical_date"])
        .collect();
    assert_eq!(dates, ["2026-11-24", "2026-11-23"]);
    let limited = json_of(&workspace, &["runs", "list", "--limit", "1"]);
    assert_eq!(limited.as_array().expect("runs").len(), 1);
    let of_another = json_of(&workspace, &["runs", "list", "--job", "other"]);
    assert_eq!(of_another, json!([]));
    let text = workspace.lamplighter(&["runs", "list"]).expect(0).stdout;
    has(&text, &["RUN", RUN_NAME, "completed", "published"]);
}

#[test]
fn runs_show_tells_of_shards_and_attempts() {
    let workspace = scored();
    let run = json_of(&workspace, &["runs", "show", RUN_NAME]);
    assert_eq!(run["state"], "completed");
    assert_eq!(run["publication"], "published");
    assert_eq!(run["shards"][0]["records"], 4);
    assert_eq!(run["attempts"][0]["exit_code"], 0);
    assert_eq!(run, json_of(&workspace, &["runs", "show"]));
    let text = workspace.lamplighter(&["runs", "show"]).expect(0).stdout;
    has(&text, &[RUN_NAME, "1 of 1 completed", "exit code 0"]);
}

#[test]
fn runs_verify_says_ok() {
    let workspace = scored();
    let verification = json_of(&workspace, &["runs", "verify", RUN_NAME]);
    assert_eq!(verification["ok"], true);
    assert_eq!(verification["planned"], 4);
    assert_eq!(verification["predicted"], 2);
    assert_eq!(verification["dead_letters"], 2);
    let text = workspace.lamplighter(&["runs", "verify"]).expect(0).stdout;
    has(
        &text,
        &[RUN_NAME, "OK", "4 planned = 2 predictions + 2 dead letters"],
    );
}

#[test]
fn a_finished_run_cannot_be_cancelled() {
    scored()
        .lamplighter(&["runs", "cancel", RUN_NAME])
        .expect(64)
        .says(&[RUN_NAME, "completed", "cancelled"]);
}

#[test]
fn report_tells_what_became_of_the_records() {
    let workspace = scored();
    let report = json_of(&workspace, &["report", RUN_NAME]);
    let counts = json!({
        "planned": 4, "predicted": 2, "dead_letters": 2, "duplicates": 1,
        "filtered": 0, "erased": 0, "unfinished": 0, "shards": 1
    });
    assert_eq!(report["counts"], counts);
    assert_eq!(report["outputs"]["values"]["mean"], 5.0);
    let text = workspace.lamplighter(&["report"]).expect(0).stdout;
    let words = [
        RUN_NAME,
        "PUBLISHED",
        "linear 1",
        "read/duplicate_id",
        "mean 5.0000",
    ];
    has(&text, &words);
}

#[test]
fn dead_letters_are_listed_shown_and_exported() {
    let workspace = scored();
    let missing = json!({
        "ordinal": 1, "record_id": "b", "stage": "validate", "code": "missing_value",
        "field": "x", "message": "the value is null"
    });
    let duplicate = json!({
        "ordinal": 2, "record_id": "a", "stage": "read", "code": "duplicate_id",
        "field": null, "message": "an earlier record of the input has the same id"
    });
    let both = json!([missing, duplicate]);
    assert_eq!(json_of(&workspace, &["dead-letters", "list"]), both);
    let list = ["dead-letters", "list", RUN_NAME, "--code", "duplicate_id"];
    assert_eq!(json_of(&workspace, &list), json!([duplicate]));
    let show = ["dead-letters", "show", "b", "--run", RUN_NAME];
    assert_eq!(json_of(&workspace, &show), json!([missing]));

    let lines = |text: &str| -> Value {
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"))
            .collect()
    };
    let export = ["dead-letters", "export", RUN_NAME];
    let exported = workspace.lamplighter(&export).expect(0);
    assert_eq!(lines(&exported.stdout), both);
    let export = [
        &export[..],
        &["--code", "missing_value", "-o", "letters.jsonl"],
    ]
    .concat();
    assert_eq!(workspace.lamplighter(&export).expect(0).stdout, "");
    let file = std::fs::read_to_string(workspace.path("letters.jsonl")).expect("the export");
    assert_eq!(lines(&file), json!([missing]));
}

#[test]
fn dead_letters_are_listed_as_text_and_what_is_left_out_is_said() {
    let workspace = scored();
    let list = ["dead-letters", "list", "--limit", "1"];
    let text = workspace.lamplighter(&list).expect(0).stdout;
    has(
        &text,
        &["ORDINAL", "missing_value", "the value is null", "1 of 2"],
    );
    let text = workspace
        .lamplighter(&["dead-letters", "show", "a"])
        .expect(0);
    has(&text.stdout, &["duplicate_id", "an earlier record"]);
}

#[test]
fn db_migrate_creates_the_tables_and_status_tells_of_them() {
    let workspace = workspace();
    for command in [["db", "migrate"], ["db", "migrate"], ["db", "status"]] {
        let status = json_of(&workspace, &command);
        assert_eq!(status["schema"], status["known"]);
        assert_eq!(status["database"], "lamplighter.db");
        let text = workspace.lamplighter(&command).expect(0).stdout;
        has(&text, &["lamplighter.db", "up to date"]);
    }
    assert_eq!(workspace.value("SELECT count(*) FROM runs"), "0");
}

#[test]
fn commands_that_only_look_do_not_create_a_database() {
    let commands: [&[&str]; 6] = [
        &["db", "status"],
        &["runs", "list"],
        &["runs", "show"],
        &["runs", "verify"],
        &["report"],
        &["dead-letters", "list"],
    ];
    for command in commands {
        let workspace = workspace();
        workspace.lamplighter(command).expect(66).says(&[
            "there is no database at lamplighter.db",
            "hint: name it with --database or DATABASE_URL",
        ]);
        assert!(!workspace.path("lamplighter.db").exists());
    }
}

#[test]
fn what_is_not_there_is_64_with_the_way_to_find_it() {
    let workspace = scored();
    let questions: [(&[&str], &str); 6] = [
        (
            &["report", "simple@2026-11-23#2"],
            "no run simple@2026-11-23#2",
        ),
        (&["runs", "show", "other@2026-11-23#1"], "no run other@"),
        (&["runs", "verify", "yesterday"], "job@date#generation"),
        (
            &["runs", "cancel", "simple@2026-11-24#1"],
            "no run simple@2026-11-24#1",
        ),
        (&["dead-letters", "list", "simple#1"], "job@date#generation"),
        (
            &["dead-letters", "show", "c"],
            "no dead letter with the id `c`",
        ),
    ];
    for (command, words) in questions {
        workspace
            .lamplighter(command)
            .expect(64)
            .says(&["error:", words, "hint:", "lamplighter"]);
    }
}
