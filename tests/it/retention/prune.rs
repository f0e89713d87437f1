use super::{RESCORE, SOME, in_each, prune, put_input, run, runs, seen, set_up, verified};
use crate::harness::results::Results;

const ALL_NUMBERS: super::Records<'static> = &[("bravo-17", Some(2.0)), ("echo-17", Some(5.0))];

/// A trial, a replaced run, the published one, and a published retry of it.
fn some_runs(results: &Results) {
    run(results, "2026-11-20", &["--limit", "2"]).expect(0);
    run(results, "2026-11-20", &[]).expect(0);
    run(results, "2026-11-20", &RESCORE).expect(0);
    put_input(results, ALL_NUMBERS);
    let retry = ["dead-letters", "retry", "job.toml"];
    results.lamplighter(&retry).expect(0);
    put_input(results, SOME);
}

#[test]
fn what_consumers_see_stays_and_the_rest_goes_when_its_time_is_over() {
    for results in in_each(SOME) {
        some_runs(&results);
        let all = [
            "20#1 completed withheld",
            "20#2 completed withheld",
            "20#3 completed published",
            "20#4 completed published",
        ];
        assert_eq!(runs(&results), all);
        let before = seen(&results);
        assert_eq!(before.len(), 6);

        let nothing = prune(&results, &[], &[]).expect(0);
        assert_eq!(nothing.stdout, "simple: nothing is to be pruned\n");
        prune(&results, &["runs=1h"], &[]).expect(0);
        prune(&results, &["runs=0s", "keep_runs=4"], &[]).expect(0);
        assert_eq!(runs(&results), all);

        results
            .execute("UPDATE runs SET completed_at = '2020-01-01T00:00:00.000Z' WHERE run_id <> 2");
        let ended = prune(&results, &["runs=90d"], &["--format", "json"]).expect(0);
        let pruned = &ended.json()["pruned"];
        assert_eq!(pruned.as_array().expect("kinds").len(), 1, "{pruned}");
        let [kind, runs_, rows, from, to] =
            ["kind", "runs", "rows", "from", "to"].map(|key| &pruned[0][key]);
        assert_eq!((kind, runs_, rows), (&"runs".into(), &1.into(), &2.into()));
        assert_eq!((from, to), (&"2026-11-20".into(), &"2026-11-20".into()));
        assert_eq!(runs(&results), all[1..]);

        prune(&results, &["runs=0s", "keep_runs=2"], &[]).expect(0);
        assert_eq!(runs(&results), all[2..]);
        assert_eq!(seen(&results), before);
        results.verify();
        let left = "SELECT count(*) FROM predictions WHERE run_id < 3";
        assert_eq!(results.value(left), "0");
        let left = "SELECT count(*) FROM run_attempts WHERE run_id < 3";
        assert_eq!(results.value(left), "0");
    }
}

#[test]
fn names_of_pruned_runs_are_not_given_out_again() {
    for results in in_each(SOME) {
        run(&results, "2026-11-20", &["--limit", "2"]).expect(0);
        run(&results, "2026-11-20", &["--limit", "2"]).expect(0);
        prune(&results, &["runs=0s"], &[]).expect(0);
        assert_eq!(runs(&results), [""; 0]);
        run(&results, "2026-11-20", &[]).expect(0);
        assert_eq!(runs(&results), ["20#3 completed published"]);
    }
}

#[test]
fn what_somebody_works_on_or_belongs_to_what_is_seen_stays() {
    for results in in_each(SOME) {
        run(&results, "2026-11-20", &[]).expect(0);
        // A retry that scores nothing is withheld, and stays with its published parent.
        put_input(&results, &[("bravo-17", None)]);
        let strict = ["--set", "errors.max_dead_letters=0"];
        let retry = [&["dead-letters", "retry", "job.toml"][..], &strict].concat();
        results.lamplighter(&retry).expect(65);
        // A run that was withheld, with a retry that was withheld, too.
        put_input(&results, SOME);
        let one_shard = ["--set", "run.shard_size=100"];
        run(&results, "2026-11-21", &[&strict[..], &one_shard].concat()).expect(65);
        put_input(&results, &[("bravo-17", None)]);
        let second = [&retry[..], &["--run", "simple@2026-11-21#1"]].concat();
        results.lamplighter(&second).expect(65);
        assert_eq!(
            runs(&results),
            [
                "20#1 completed published",
                "20#2 failed withheld",
                "21#1 completed withheld",
                "21#2 failed withheld",
            ]
        );
        results.execute("UPDATE runs SET state = 'running' WHERE run_id = 4");
        prune(&results, &["runs=0s", "dead_letters=0s"], &[]).expect(0);
        assert_eq!(runs(&results).len(), 4);
        let letters = "SELECT DISTINCT run_id FROM dead_letters ORDER BY 1";
        assert_eq!(results.query(letters), [["3"]], "a retry asks for them");

        // The retry goes before the run that it belongs to.
        results.execute("UPDATE runs SET state = 'failed' WHERE run_id = 4");
        prune(&results, &["runs=0s"], &[]).expect(0);
        assert_eq!(
            runs(&results),
            ["20#1 completed published", "20#2 failed withheld"]
        );
        results.verify();
    }
}

#[test]
fn pruned_dead_letters_are_told_wherever_they_are_missed() {
    for results in in_each(SOME) {
        run(&results, "2026-11-20", &[]).expect(0);
        let before = seen(&results);
        let dry = prune(&results, &["dead_letters=0s"], &["--dry-run"]).expect(0);
        assert!(
            dry.stdout
                .contains("3 dead letters of 1 run, of 2026-11-20"),
            "{}",
            dry.stdout
        );
        assert_eq!(results.dead_letters(1).len(), 3);
        let ended = prune(&results, &["dead_letters=0s"], &[]).expect(0);
        assert!(
            ended.stdout.contains("3 dead letters of 1 run"),
            "{}",
            ended.stdout
        );
        assert_eq!(results.dead_letters(1), [""; 0]);
        assert_eq!(seen(&results), before);

        let proof = verified(&results, "simple@2026-11-20#1");
        assert_eq!(proof["predicted"], 4);
        assert_eq!(proof["dead_letters"], 0);
        assert_eq!(proof["pruned_dead_letters"], 3);
        assert!(proof["dead_letters_pruned_at"].is_string());
        let verify = results.lamplighter(&["runs", "verify"]).expect(0);
        assert!(
            verify
                .stdout
                .contains("4 predictions + 0 dead letters + 3 pruned dead letters"),
            "{}",
            verify.stdout
        );
        let was_pruned = "dead letters of this run were pruned";
        for command in [
            &["dead-letters", "list"][..],
            &["dead-letters", "export"],
            &["report"],
        ] {
            results.lamplighter(command).expect(0).says(&[was_pruned]);
        }
        let report = results
            .lamplighter(&["report", "--format", "json"])
            .expect(0);
        assert_eq!(report.json()["counts"]["dead_letters"], 3);
        let retry = ["dead-letters", "retry", "job.toml"];
        results.lamplighter(&retry).expect(64).says(&[
            "has no dead letters any more: they were pruned at",
            "--rescore",
        ]);
        let shown = results.lamplighter(&["runs", "show"]).expect(0).stdout;
        assert!(shown.contains("pruned        dead letters, "), "{shown}");
        // Again there is nothing to do, and the date can be scored anew.
        let again = prune(&results, &["dead_letters=0s"], &[]).expect(0);
        assert_eq!(again.stdout, "simple: nothing is to be pruned\n");
        run(&results, "2026-11-20", &[]).expect(0);
        run(&results, "2026-11-20", &RESCORE).expect(0);
        assert_eq!(results.dead_letters(2).len(), 3);
        results.verify();
    }
}

#[test]
fn pruned_dead_letters_are_overwritten_in_the_file_of_sqlite() {
    let results = Results::in_sqlite();
    set_up(&results, SOME);
    run(&results, "2026-11-20", &[]).expect(0);
    let holds = |id: &str| {
        let file = results.workspace.path("lamplighter.db");
        let bytes = std::fs::read(file).expect("the database");
        bytes
            .windows(id.len())
            .any(|window| window == id.as_bytes())
    };
    assert_eq!(["echo-17", "delta-17"].map(holds), [true, true]);
    prune(&results, &["dead_letters=0s"], &[]).expect(0);
    assert_eq!(["echo-17", "delta-17"].map(holds), [false, true]);
}

#[test]
fn whatever_is_changed_by_hand_after_pruning_is_found() {
    for (what, sql) in [
        (
            "a number of pruned dead letters",
            "UPDATE shards SET pruned_dead_letters = pruned_dead_letters - 1, dead_letters = dead_letters - 1, records = records - 1 WHERE shard_no = 0",
        ),
        (
            "a prediction deleted",
            "DELETE FROM predictions WHERE record_id = 'delta-17'",
        ),
        (
            "a value altered",
            "UPDATE predictions SET value = 8 WHERE record_id = 'delta-17'",
        ),
        (
            "a prediction deleted and called pruned",
            "DELETE FROM predictions WHERE record_id = 'delta-17'; UPDATE shards SET predicted = predicted - 1, dead_letters = dead_letters + 1, pruned_dead_letters = pruned_dead_letters + 1 WHERE shard_no = 1",
        ),
        (
            "a dead letter put back",
            "INSERT INTO dead_letters VALUES (1, 1, 'bravo-17', 'validate', 'missing_value', 'x', '')",
        ),
        (
            "that it was pruned",
            "UPDATE runs SET dead_letters_pruned_at = NULL",
        ),
    ] {
        let results = Results::in_sqlite();
        set_up(&results, SOME);
        run(&results, "2026-11-20", &[]).expect(0);
        prune(&results, &["dead_letters=0s"], &[]).expect(0);
        results.execute(sql);
        let ended = results.lamplighter(&["runs", "verify"]);
        assert_eq!(ended.code, Some(70), "{what} was not found: {ended}");
    }
}

#[test]
fn dead_letters_that_are_not_those_that_were_committed_are_not_pruned() {
    for results in in_each(SOME) {
        run(&results, "2026-11-20", &[]).expect(0);
        results.execute("UPDATE dead_letters SET code = 'other' WHERE ordinal = 5");
        let before = results.everything_stored();
        let ended = prune(&results, &["dead_letters=0s"], &[])
            .expect(70)
            .says(&["simple@2026-11-20#1, shard 1", "`lamplighter runs verify`"]);
        assert_eq!(ended.stdout, "");
        assert!(results.everything_stored() == before);
    }
}

#[test]
fn a_run_that_is_damaged_keeps_no_other_from_being_pruned() {
    for results in in_each(SOME) {
        for date in ["2026-11-20", "2026-11-21", "2026-11-22"] {
            run(&results, date, &[]).expect(0);
        }
        results.execute("UPDATE dead_letters SET code = 'other' WHERE ordinal = 5 AND run_id > 1");
        let ended = prune(&results, &["dead_letters=0s", "reports=0s"], &[])
            .expect(70)
            .says(&[
                "simple@2026-11-21#1, shard 1",
                "simple@2026-11-22#1, shard 1",
            ]);
        for pruned in [
            "3 dead letters of 1 run, of 2026-11-20",
            "3 reports of 3 runs",
        ] {
            assert!(ended.stdout.contains(pruned), "{ended}");
        }
        let letters = "SELECT run_id, count(*) FROM dead_letters GROUP BY run_id ORDER BY run_id";
        assert_eq!(results.query(letters), [["2", "3"], ["3", "3"]]);
        assert_eq!(results.value("SELECT count(*) FROM reports"), "0");
    }
}

#[test]
fn a_dry_run_writes_nothing_and_says_what_would_go() {
    for results in in_each(SOME) {
        some_runs(&results);
        let before = results.everything_stored();
        let keys = ["runs=0s", "dead_letters=0s", "reports=0s"];
        let dry = prune(&results, &keys, &["--dry-run", "--format", "json"]).expect(0);
        assert!(results.everything_stored() == before);
        let wet = prune(&results, &keys, &["--format", "json"]).expect(0);
        assert_eq!(dry.json()["pruned"], wet.json()["pruned"]);
        assert_eq!(dry.json()["dry_run"], true);
        assert_eq!(wet.json()["pruned"].as_array().expect("kinds").len(), 3);
        results.verify();
    }
    let nowhere = Results::in_sqlite();
    set_up(&nowhere, SOME);
    prune(&nowhere, &["runs=0s"], &["--dry-run"]).expect(66);
    prune(&nowhere, &["runs=0s"], &[]).expect(66);
    assert!(!nowhere.workspace.path("lamplighter.db").exists());
}

#[test]
fn pruned_reports_and_profiles_are_told() {
    for results in in_each(SOME) {
        run(&results, "2026-11-20", &[]).expect(0);
        let bytes = match results.postgres() {
            Some(_) => "'\\x01'",
            None => "x'01'",
        };
        results.execute(&format!("UPDATE shards SET profile = {bytes}"));
        prune(&results, &["reports=0s", "profiles=0s"], &[]).expect(0);
        let left = "SELECT (SELECT count(*) FROM reports) + (SELECT count(*) FROM shards WHERE profile IS NOT NULL)";
        assert_eq!(results.value(left), "0");
        results
            .lamplighter(&["report"])
            .expect(64)
            .says(&["the report of simple@2026-11-20#1 was pruned at"]);
        let again = run(&results, "2026-11-20", &[]).expect(0);
        assert!(
            again.stdout.contains("its report was pruned at"),
            "{}",
            again.stdout
        );
        let shown = results.lamplighter(&["runs", "show"]).expect(0).stdout;
        for what in ["profiles, ", "report, "] {
            assert!(shown.contains(what), "{shown}");
        }
        results.verify();
    }
}

#[test]
fn a_run_stays_as_long_as_its_rows_are_in_the_queue() {
    for results in in_each(SOME) {
        let parquet = "kind = \"parquet\"\npath = \"input/*.parquet\"";
        let job = std::fs::read_to_string(results.workspace.path("job.toml")).expect("the job");
        let job = job.replace(parquet, "kind = \"queue\"");
        results.workspace.write("job.toml", job);
        results.workspace.write(
            "rows.jsonl",
            "{\"id\":\"a\",\"x\":1}\n{\"id\":\"b\",\"x\":2}\n",
        );
        let push = ["queue", "push", "job.toml", "rows.jsonl"];
        results.lamplighter(&push).expect(0);
        run(&results, "2026-11-20", &[]).expect(0);
        run(&results, "2026-11-20", &RESCORE).expect(0);
        prune(&results, &["runs=0s"], &[]).expect(0);
        assert_eq!(runs(&results).len(), 2, "scored again from its rows");
        let json = ["--format", "json"];
        let both = ["runs=0s", "queue=0s"];
        let dry = prune(&results, &both, &[&json[..], &["--dry-run"]].concat()).expect(0);
        let wet = prune(&results, &both, &json).expect(0);
        assert_eq!(dry.json()["pruned"], wet.json()["pruned"]);
        assert_eq!(wet.json()["pruned"].as_array().expect("kinds").len(), 2);
        assert_eq!(runs(&results), ["20#2 completed published"]);
        assert_eq!(results.value("SELECT count(*) FROM queue"), "0");
        results.verify();
    }
}
