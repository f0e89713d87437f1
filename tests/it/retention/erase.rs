use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{
    Held, RESCORE, SOME, erase, in_each, prune, put_input, put_key, run, runs, seen, set_up,
    verified,
};
use crate::harness::Ended;
use crate::harness::results::Results;

/// Every row of every table of the ledger, as text.
fn everything(results: &Results) -> String {
    let more = results.query("SELECT place, run_id, ordinal, token FROM tombstones");
    results.everything_stored() + &format!("{more:?}")
}

#[test]
fn a_record_goes_from_everywhere_and_the_rest_can_still_be_proven() {
    for results in in_each(SOME) {
        run(&results, "2026-11-20", &["--limit", "3"]).expect(0);
        run(&results, "2026-11-20", &[]).expect(0);
        run(&results, "2026-11-20", &RESCORE).expect(0);
        run(&results, "2026-11-21", &[]).expect(0);
        put_input(&results, &[("bravo-17", Some(2.0)), ("echo-17", None)]);
        let retry = ["dead-letters", "retry", "job.toml"];
        results.lamplighter(&retry).expect(0);
        let before = seen(&results);

        let ids = ["alpha-17", "bravo-17", "never-17"];
        let stored = everything(&results);
        let dry = erase(&results, &ids, &["--dry-run", "--format", "json"])
            .expect(0)
            .json();
        assert!(everything(&results) == stored);
        let erased = erase(&results, &ids, &["--format", "json", "-vv"]).expect(0);
        for id in ids {
            assert!(!erased.stderr.contains(id), "{}", erased.stderr);
        }
        let erased = erased.json();
        // alpha: predicted in four runs, a duplicate in three; bravo: dead in four, predicted in one.
        for (key, expected) in [
            ("ids", 3),
            ("found", 2),
            ("predictions", 5),
            ("dead_letters", 7),
            ("queue", 0),
            ("runs", 5),
        ] {
            assert_eq!(erased[key], expected, "{key}: {erased}");
            assert_eq!(dry[key], expected, "{key}: {dry}");
        }
        for id in ["alpha-17", "bravo-17"] {
            assert!(!everything(&results).contains(id));
        }
        let is_left = |row: &&String| !row.starts_with("alpha-17") && !row.starts_with("bravo-17");
        let left: Vec<_> = before.iter().filter(is_left).cloned().collect();
        assert_eq!(seen(&results), left);
        assert!(left.len() < before.len());

        results.verify();
        let proof = verified(&results, "simple@2026-11-20#3");
        let counts = ["planned", "predicted", "dead_letters", "erased"];
        assert_eq!(counts.map(|count| proof[count].clone()), [7, 3, 1, 3]);
        let shown = results
            .lamplighter(&["report", "simple@2026-11-20#3", "--all"])
            .expect(0);
        assert!(
            shown.stdout.contains("    erased        3 "),
            "{}",
            shown.stdout
        );
        let report = results
            .lamplighter(&["report", "simple@2026-11-20#3", "--format", "json"])
            .expect(0)
            .json();
        let counts = [
            "planned",
            "predicted",
            "dead_letters",
            "duplicates",
            "erased",
        ];
        assert_eq!(
            counts.map(|count| report["counts"][count].clone()),
            [7, 3, 1, 0, 3]
        );

        let stored = everything(&results);
        let again = erase(&results, &ids, &["--format", "json"])
            .expect(0)
            .json();
        assert_eq!(
            (&again["found"], &again["erased_before"]),
            (&0.into(), &2.into())
        );
        assert!(everything(&results) == stored);

        // What is left is retried, resumed and pruned as ever.
        put_input(&results, &[("echo-17", Some(5.0))]);
        results.lamplighter(&retry).expect(0);
        put_input(&results, SOME);
        run(&results, "2026-11-21", &[])
            .expect(0)
            .says(&["already complete"]);
        prune(&results, &["runs=0s", "dead_letters=0s"], &[]).expect(0);
        results.verify();
        assert_eq!(seen(&results).len(), left.len() + 1);
    }
}

#[test]
fn only_the_named_jobs_records_go() {
    for results in in_each(SOME) {
        run(&results, "2026-11-20", &[]).expect(0);
        let job = fs::read_to_string(results.workspace.path("job.toml")).expect("the job");
        results
            .workspace
            .write("other.toml", job.replace("simple", "other"));
        results
            .lamplighter(&["run", "other.toml", "--date", "2026-11-20"])
            .expect(0);
        erase(&results, &["delta-17"], &["--job", "other"]).expect(0);
        let left = "SELECT run_id FROM predictions WHERE record_id = 'delta-17'";
        assert_eq!(results.query(left), [["1"]]);
        results.verify();
    }
}

#[test]
fn who_has_the_key_can_prove_what_was_erased_and_nobody_else() {
    for results in in_each(SOME) {
        run(&results, "2026-11-20", &[]).expect(0);
        erase(&results, &["delta-17"], &[]).expect(0);
        results.workspace.write("ids.txt", "delta-17\ncharlie-17\n");
        let prove = |key: &str| {
            let prove = ["records", "erased", "--ids", "ids.txt", "--format", "json"];
            let prove = [&prove[..], &["--key-file", key]].concat();
            results.lamplighter(&prove).expect(0).json()
        };
        let proofs = prove("key");
        assert_eq!(proofs[0]["record_id"], "delta-17");
        assert_eq!(proofs[0]["erased"], true);
        assert_eq!(proofs[0]["places"], 1);
        assert!(
            proofs[0]["erased_at"]
                .as_str()
                .expect("a time")
                .ends_with('Z')
        );
        assert_eq!(proofs[1]["erased"], false);
        put_key(&results, "other-key", 8);
        assert_eq!(prove("other-key")[0]["erased"], false);
        // The proof outlives the run.
        run(&results, "2026-11-20", &RESCORE).expect(0);
        prune(&results, &["runs=0s"], &[]).expect(0);
        assert_eq!(runs(&results), ["20#2 completed published"]);
        assert_eq!(prove("key"), proofs);
    }
}

#[test]
fn no_byte_of_the_id_stays_in_the_files_of_sqlite() {
    let results = Results::in_sqlite();
    let ids: Vec<String> = (0..6000)
        .map(|row| format!("person-{row:05}-surname"))
        .collect();
    // In another order than that of the ids, so that pages of the table are cut in two.
    let shuffled = (0..6000).map(|row| {
        (
            ids[row * 3571 % 6000].as_str(),
            (row % 7 != 0).then_some(1.0),
        )
    });
    let records: Vec<_> = shuffled.collect();
    set_up(&results, &records);
    let more = ["--set", "run.shard_size=100"];
    for date in ["2026-11-20", "2026-11-21"] {
        run(&results, date, &more).expect(0);
    }
    // Somebody who looks keeps the write-ahead log from being deleted with the last connection.
    let mut reader = Held::open(&results);
    // Pages that were freed before anybody saw to it that they are overwritten.
    reader.execute(
        "PRAGMA secure_delete = OFF;
         CREATE TABLE other AS SELECT * FROM predictions; DROP TABLE other",
    );
    let gone: Vec<&str> = ids.iter().step_by(97).map(String::as_str).collect();
    erase(&results, &gone, &[]).expect(0);
    let mut files = 0;
    for file in ["lamplighter.db", "lamplighter.db-wal", "lamplighter.db-shm"] {
        let Ok(bytes) = fs::read(results.workspace.path(file)) else {
            continue;
        };
        files += 1;
        for id in &gone {
            let is_there = bytes
                .windows(id.len())
                .any(|window| window == id.as_bytes());
            assert!(!is_there, "{id} is in {file}");
        }
    }
    assert_eq!(files, 3);
    drop(reader);
    results.verify();
}

#[test]
fn rows_of_the_queue_go_whether_they_wait_or_were_taken() {
    for results in in_each(SOME) {
        let parquet = "kind = \"parquet\"\npath = \"input/*.parquet\"";
        let job = fs::read_to_string(results.workspace.path("job.toml")).expect("the job");
        results
            .workspace
            .write("job.toml", job.replace(parquet, "kind = \"queue\""));
        let push = |lines: &str| {
            results.workspace.write("rows.jsonl", lines);
            let push = ["queue", "push", "job.toml", "rows.jsonl"];
            results.lamplighter(&push).expect(0);
        };
        push("{\"id\":\"alpha-17\",\"x\":1}\n{\"id\":\"bravo-17\",\"x\":2}\n");
        run(&results, "2026-11-20", &[]).expect(0);
        push("{\"id\":\"alpha-17\",\"x\":3}\n{\"id\":\"charlie-17\",\"x\":4}\n");
        let erased = erase(&results, &["alpha-17"], &["--format", "json"])
            .expect(0)
            .json();
        assert_eq!(
            (&erased["queue"], &erased["predictions"]),
            (&2.into(), &1.into())
        );
        assert!(!everything(&results).contains("alpha-17"));
        let places = "SELECT place, run_id FROM tombstones ORDER BY tombstone_id";
        assert_eq!(
            results.query(places),
            [["queue", "1"], ["queue", "NULL"], ["prediction", "1"]]
        );
        // Scored again, the date has a record less that can be read, and no id for it.
        let more = [&RESCORE[..], &["--set", "errors.max_dead_letters=1"]].concat();
        run(&results, "2026-11-20", &more).expect(0);
        assert_eq!(
            results.dead_letters(2),
            ["queue_id 1 read/record_vanished -"]
        );
        run(&results, "2026-11-21", &[]).expect(0);
        results.verify();
    }
}

#[test]
fn what_a_run_remembers_of_a_table_goes_too() {
    let results = Results::in_postgres();
    set_up(&results, SOME);
    let parquet = "kind = \"parquet\"\npath = \"input/*.parquet\"";
    let job = fs::read_to_string(results.workspace.path("job.toml")).expect("the job");
    let table = "kind = \"postgres\"\ntable = \"rows\"";
    results
        .workspace
        .write("job.toml", job.replace(parquet, table));
    let database = results.postgres().expect("Postgres");
    database.execute(
        "CREATE TABLE rows (id text, x double precision);
         INSERT INTO rows SELECT 'r' || n, CASE WHEN n % 3 > 0 THEN n END FROM generate_series(1, 300) AS n",
    );
    run(&results, "2026-11-20", &[]).expect(0);
    // One in each shard: most are never scored, for there are more than a process takes in hand at once.
    let strict = ["--set", "errors.max_dead_letters=1", "--workers", "1"];
    run(&results, "2026-11-21", &strict).expect(65);
    assert_eq!(runs(&results)[1], "21#1 failed withheld");
    let remembered = "SELECT run_id, shard_no FROM shards WHERE input IS NOT NULL ORDER BY 1, 2";
    assert_eq!(results.query(remembered).len(), 200);
    let unscored = "SELECT count(*) FROM shards WHERE run_id = 2 AND state <> 'completed'";
    let unscored = results.value(unscored);
    assert_ne!(unscored, "0");

    // The last shard of the run that failed holds r299.
    database.execute("DELETE FROM rows WHERE id IN ('r5', 'r299')");
    let erased = erase(&results, &["r5", "r299"], &["--format", "json"])
        .expect(0)
        .json();
    assert_eq!(erased["inputs"], 4);
    let found = |id: &str| {
        let dry = erase(&results, &[id], &["--dry-run", "--format", "json"]).expect(0);
        dry.json()["found"].clone()
    };
    assert_eq!(["r5", "r299", "r8"].map(found), [0, 0, 1]);
    results.verify();
    // Gone on with, the record that has no id any more is a dead letter.
    run(&results, "2026-11-21", &[]).expect(0);
    let nameless = "SELECT code FROM dead_letters WHERE run_id = 2 AND record_id IS NULL";
    assert!(
        results
            .query(nameless)
            .contains(&vec!["null_id".to_owned()])
    );
    assert_eq!(["r5", "r299"].map(found), [0, 0]);
    results.verify();
}

#[test]
fn a_hash_that_would_confirm_a_guess_goes_with_the_record() {
    for results in in_each(SOME) {
        run(&results, "2026-11-20", &[]).expect(0);
        put_input(&results, &[("bravo-17", Some(2.0)), ("echo-17", None)]);
        let retry = ["dead-letters", "retry", "job.toml"];
        results.lamplighter(&retry).expect(0);
        let identity = |results: &Results| {
            let row = results.query("SELECT identity, fingerprint FROM runs WHERE run_id = 2");
            let identity: serde_json::Value = serde_json::from_str(&row[0][0]).expect("JSON");
            (identity["retry"]["records"].clone(), row[0][1].clone())
        };
        let (records, before) = identity(&results);
        assert!(records.is_string());
        erase(&results, &["delta-17"], &[]).expect(0);
        erase(&results, &["bravo-17"], &[]).expect(0);
        let (records, after) = identity(&results);
        assert!(records.is_null());
        assert_ne!(after, before);
        let report = results
            .lamplighter(&["report", "simple@2026-11-20#2", "--format", "json"])
            .expect(0)
            .json();
        assert_eq!(report["input"]["fingerprint"], after);
        assert!(!everything(&results).contains(&before));
        results.verify();
    }
}

#[test]
fn whatever_is_changed_by_hand_after_erasure_is_found() {
    for (what, sql) in [
        ("a tombstone deleted", "DELETE FROM tombstones"),
        (
            "a tombstone of another id",
            "UPDATE tombstones SET token = 'ff' WHERE ordinal = 4",
        ),
        (
            "a tombstone moved",
            "UPDATE tombstones SET ordinal = 5 WHERE ordinal = 4",
        ),
        (
            "a tombstone added",
            "INSERT INTO tombstones (token, place, run_id, ordinal) VALUES ('ff', 'prediction', 1, 5)",
        ),
        (
            "a record put back",
            "INSERT INTO predictions (run_id, record_id, ordinal, value) VALUES (1, 'delta-17', 4, 9)",
        ),
        (
            "a record put back for its tombstone",
            "DELETE FROM tombstones; INSERT INTO predictions (run_id, record_id, ordinal, value) VALUES (1, 'delta-17', 4, 9)",
        ),
        (
            "a record deleted and a tombstone left",
            "DELETE FROM predictions WHERE ordinal = 6; INSERT INTO tombstones (token, place, run_id, ordinal) VALUES ('ff', 'prediction', 1, 6); UPDATE shards SET erased = erased + 1, predicted = predicted - 1 WHERE shard_no = 2; UPDATE runs SET erased = erased + 1, predicted = predicted - 1",
        ),
        (
            "a value altered",
            "UPDATE predictions SET value = 0 WHERE ordinal = 6",
        ),
        ("a shard's count", "UPDATE shards SET erased = 0"),
        ("a run's count", "UPDATE runs SET erased = 0"),
    ] {
        let results = Results::in_sqlite();
        set_up(&results, SOME);
        run(&results, "2026-11-20", &[]).expect(0);
        erase(&results, &["delta-17"], &[]).expect(0);
        results.execute(sql);
        let ended = results.lamplighter(&["runs", "verify"]);
        assert_eq!(ended.code, Some(70), "{what} was not found: {ended}");
    }
}

#[test]
fn rows_that_are_not_those_that_were_committed_are_told_and_save_no_other_run() {
    for results in in_each(SOME) {
        run(&results, "2026-11-20", &[]).expect(0);
        run(&results, "2026-11-21", &[]).expect(0);
        results.execute(
            "UPDATE predictions SET value = 0 WHERE run_id = 2 AND record_id = 'delta-17'",
        );
        erase(&results, &["delta-17"], &[])
            .expect(70)
            .says(&["simple@2026-11-21#1, shard 1", "`lamplighter runs verify`"]);
        let left = "SELECT run_id FROM predictions WHERE record_id = 'delta-17'";
        assert_eq!(results.query(left), [["2"]]);
        verified(&results, "simple@2026-11-20#1");
    }
}

#[test]
fn ids_come_from_lines_columns_and_standard_input() {
    let results = Results::in_sqlite();
    set_up(&results, SOME);
    run(&results, "2026-11-20", &[]).expect(0);
    let workspace = &results.workspace;
    workspace.write("ids.csv", "name,id\nx,alpha-17\ny,\"delta-17\"\n");
    workspace.write("ids.jsonl", "{\"record_id\": \"alpha-17\"}\n");
    workspace.write("ids", "alpha-17\r\n\ndelta-17\nalpha-17");
    let counted = |more: &[&str]| {
        let dry = ["records", "erase", "--dry-run", "--format", "json", "--ids"];
        let json = results.lamplighter(&[&dry, more].concat()).expect(0).json();
        ["ids", "predictions"].map(|key| json[key].as_u64().expect("a count"))
    };
    assert_eq!(counted(&["ids.csv", "--id-column", "id"]), [2, 2]);
    assert_eq!(
        counted(&["input/rows.parquet", "--id-column", "id"]),
        [6, 4]
    );
    assert_eq!(counted(&["ids.jsonl"]), [1, 1]);
    assert_eq!(counted(&["ids"]), [2, 2]);
    let mut command = workspace.command(&["records", "erase", "--ids", "-", "--key-file", "key"]);
    command.stdin(fs::File::open(workspace.path("ids")).expect("the ids"));
    Ended::of(&mut command).expect(0);
    assert_eq!(seen(&results).len(), 2);
}

#[test]
fn without_a_key_or_ids_nothing_is_touched() {
    let results = Results::in_sqlite();
    set_up(&results, SOME);
    let workspace = &results.workspace;
    workspace.write("ids", "alpha-17\n");
    let erase = ["records", "erase", "--ids", "ids"];
    let with_key = |key: &str| results.lamplighter(&[&erase[..], &["--key-file", key]].concat());
    with_key("key").expect(66).says(&["there is no database"]);
    assert!(!workspace.path("lamplighter.db").exists());
    run(&results, "2026-11-20", &[]).expect(0);
    let makes_one = "head -c 32 /dev/urandom >";
    results
        .lamplighter(&erase)
        .expect(64)
        .says(&["need a key", makes_one]);
    with_key("nowhere")
        .expect(78)
        .says(&["key file nowhere", makes_one]);
    workspace.write("short", "secret");
    workspace.write("open", [7; 32]);
    for (key, mode) in [("short", 0o600), ("open", 0o644)] {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(workspace.path(key), mode).expect("a mode");
    }
    with_key("short")
        .expect(78)
        .says(&["has 6 bytes, fewer than 32", makes_one]);
    with_key("open")
        .expect(77)
        .says(&["others can read", "chmod 600 open"]);
    for (ids, code, what) in [
        ("nowhere", 66, "there is no file nowhere"),
        ("empty", 66, "empty holds no ids"),
        ("binary", 65, "binary, line 2: not UTF-8"),
        ("ids.csv", 65, "there is no column `record_id`"),
    ] {
        workspace.write("empty", "\n\r\n");
        workspace.write("binary", b"a\n\xff\n");
        workspace.write("ids.csv", "id\na\n");
        let arguments = ["records", "erase", "--ids", ids, "--key-file", "key"];
        results.lamplighter(&arguments).expect(code).says(&[what]);
    }
    assert_eq!(seen(&results).len(), 4);
    let mut by_variable = results.command(&erase);
    by_variable.env("LAMPLIGHTER_ERASURE_KEY_FILE", "key");
    Ended::of(&mut by_variable).expect(0);
    assert_eq!(seen(&results).len(), 3);
}
