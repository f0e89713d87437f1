use super::{Held, RESCORE, erase, in_each, prune, run, runs, set_up, verified};
use crate::harness::results::Results;
use crate::harness::started::Started;

/// So many records, of which every fiftieth becomes a dead letter.
fn many(count: usize) -> Vec<(String, Option<f64>)> {
    (0..count)
        .map(|row| (format!("r{row}"), (row % 50 != 7).then_some(1.0)))
        .collect()
}

fn borrowed(records: &[(String, Option<f64>)]) -> Vec<(&str, Option<f64>)> {
    records
        .iter()
        .map(|(id, number)| (id.as_str(), *number))
        .collect()
}

#[test]
fn of_a_run_under_way_what_is_committed_goes_and_the_rest_is_due_again() {
    let records = many(3000);
    for results in in_each(&borrowed(&records)) {
        // It is looked at before the run is begun.
        results.lamplighter(&["db", "migrate"]).expect(0);
        let lease = ["--set", "run.lease=2s"];
        let start = ["run", "job.toml", "--date", "2026-11-20", "--workers", "1"];
        let committed = "SELECT 1 FROM shards WHERE state = 'completed' AND shard_no = 0";
        results.killed_when(&[&start[..], &lease].concat(), committed);
        let ids = ["r0", "r7", "r2999"];
        let ended = erase(&results, &ids, &["--format", "json"])
            .expect(75)
            .says(&[
                "may still hold records: simple@2026-11-20#1",
                "then erase again",
            ]);
        assert_eq!(ended.json()["unfinished_runs"][0], "simple@2026-11-20#1");
        assert_eq!(
            results.value("SELECT count(*) FROM predictions WHERE record_id = 'r0'"),
            "0"
        );
        verified(&results, "simple@2026-11-20#1");

        run(&results, "2026-11-20", &lease).expect(0);
        verified(&results, "simple@2026-11-20#1");
        erase(&results, &ids, &[]).expect(0);
        let proof = verified(&results, "simple@2026-11-20#1");
        let counts = ["planned", "predicted", "dead_letters", "erased"];
        assert_eq!(
            counts.map(|count| proof[count].clone()),
            [3000, 2938, 59, 3]
        );
        let report = results
            .lamplighter(&["report", "--format", "json"])
            .expect(0)
            .json();
        assert_eq!(report["counts"]["erased"], 3);
        assert_eq!(report["counts"]["unfinished"], 0);
    }
}

/// What can be told apart of an erasure.
fn outcome(results: &Results) -> Vec<Vec<Vec<String>>> {
    [
        "SELECT run_id, ordinal, token, place FROM tombstones ORDER BY 1, 2",
        "SELECT run_id, shard_no, output_hash, erased FROM shards ORDER BY 1, 2",
        "SELECT run_id, output_hash, predicted, dead_letters, erased FROM runs ORDER BY 1",
        "SELECT run_id, count(*) FROM predictions GROUP BY run_id ORDER BY 1",
    ]
    .map(|sql| results.query(sql))
    .to_vec()
}

#[test]
fn an_erasure_that_was_killed_is_done_by_the_next_one() {
    let records = many(300);
    let gone: Vec<String> = (0..50)
        .map(|number| format!("r{}", number * 6 + 1))
        .collect();
    let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
    let of_both = || {
        in_each(&borrowed(&records)).map(|results| {
            for day in 10..25 {
                run(&results, &format!("2026-11-{day}"), &[]).expect(0);
            }
            results
        })
    };
    for (killed, undisturbed) in of_both().into_iter().zip(of_both()) {
        erase(&undisturbed, &gone, &[]).expect(0);
        killed.workspace.write("ids.txt", gone.join("\n"));
        let command = ["records", "erase", "--ids", "ids.txt", "--key-file", "key"];
        let midst =
            "SELECT 1 FROM (SELECT count(*) AS erased FROM tombstones) AS t WHERE erased > 100";
        killed.killed_when(&command, midst);
        killed.verify();
        erase(&killed, &gone, &[]).expect(0);
        assert!(outcome(&killed) == outcome(&undisturbed));
        killed.verify();
    }
}

const HALF: &str = "SELECT 1 FROM runs WHERE pruned_at IS NOT NULL";

/// A run of 40,000 records that was replaced.
fn replaced(results: &Results) {
    let more = ["--set", "run.shard_size=4000"];
    run(results, "2026-11-20", &more).expect(0);
    run(
        results,
        "2026-11-20",
        &[&RESCORE[..], &["--set", "run.shard_size=4000"]].concat(),
    )
    .expect(0);
}

#[test]
fn a_run_that_is_half_pruned_is_nobodys_and_goes_with_the_next_pruning() {
    let records = many(40_000);
    for results in in_each(&borrowed(&records)) {
        replaced(&results);
        let command = ["runs", "prune", "job.toml", "--set", "retention.runs=0s"];
        results.killed_when(&command, HALF);
        assert_eq!(runs(&results).len(), 2);
        let verify = ["runs", "verify", "simple@2026-11-20#1"];
        let told = results.lamplighter(&verify).expect(0);
        assert!(told.stdout.contains("PRUNED"), "{}", told.stdout);
        let retry = [
            "dead-letters",
            "retry",
            "job.toml",
            "--run",
            "simple@2026-11-20#1",
        ];
        results
            .lamplighter(&retry)
            .expect(64)
            .says(&["is being pruned"]);
        run(&results, "2026-11-20", &[])
            .expect(0)
            .says(&["already complete"]);
        // Whatever the keys say by now.
        prune(&results, &[], &[]).expect(0);
        assert_eq!(runs(&results), ["20#2 completed published"]);
        assert_eq!(
            results.value("SELECT count(*) FROM predictions WHERE run_id = 1"),
            "0"
        );
        assert_eq!(
            results.value("SELECT count(*) FROM shards WHERE run_id = 1"),
            "0"
        );
        results.verify();
    }
}

#[test]
fn an_erasure_ends_what_an_interrupted_pruning_left() {
    let records = many(40_000);
    let results = Results::in_sqlite();
    set_up(&results, &borrowed(&records));
    replaced(&results);
    let command = ["runs", "prune", "job.toml", "--set", "retention.runs=0s"];
    results.killed_when(&command, HALF);
    erase(&results, &["r1"], &[]).expect(0);
    assert_eq!(runs(&results), ["20#2 completed published"]);
    results.verify();
}

#[test]
fn a_pruning_that_is_told_to_stop_ends_with_75_and_the_next_one_goes_on() {
    let records = many(12_000);
    let command = ["runs", "prune", "job.toml", "--set", "retention.runs=0s"];
    for results in in_each(&borrowed(&records)) {
        replaced(&results);
        let ended = match results.postgres() {
            // It waits for the shards, which come after the predictions.
            Some(database) => {
                let mut session = database.session();
                session
                    .execute("BEGIN; SELECT * FROM lamplighter.shards WHERE run_id = 1 FOR UPDATE");
                let started = Started::new(&mut results.command(&command));
                let waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DELETE FROM shards%'";
                while results.query(waits).is_empty() {
                    std::thread::yield_now();
                }
                started.send("TERM");
                session.execute("ROLLBACK");
                started.end()
            }
            // It waits for the one who writes.
            None => {
                let mut writer = Held::open(&results);
                writer.execute("BEGIN IMMEDIATE");
                let started = Started::new(&mut results.command(&command));
                started.until("pruning").send("TERM");
                writer.execute("ROLLBACK");
                started.end()
            }
        };
        ended.expect(75).says(&["interrupted"]);
        assert_eq!(runs(&results).len(), 2);
        prune(&results, &["runs=0s"], &[]).expect(0);
        assert_eq!(runs(&results), ["20#2 completed published"]);
        results.verify();
    }
}

#[test]
fn a_run_that_lost_its_dead_letters_is_gone_on_with_and_still_adds_up() {
    let records = many(500);
    for results in in_each(&borrowed(&records)) {
        let strict = ["--set", "errors.max_dead_letters=2", "--workers", "1"];
        run(&results, "2026-11-20", &strict).expect(65);
        assert_eq!(runs(&results), ["20#1 failed withheld"]);
        assert!(results.dead_letters(1).len() > 2);
        prune(&results, &["dead_letters=0s"], &[]).expect(0);
        assert_eq!(results.dead_letters(1), [""; 0]);
        results.verify();
        run(&results, "2026-11-20", &[]).expect(0);
        assert_eq!(runs(&results), ["20#1 completed published"]);
        let proof = verified(&results, "simple@2026-11-20#1");
        let letters = ["dead_letters", "pruned_dead_letters"].map(|key| proof[key].as_u64());
        assert_eq!(letters.into_iter().flatten().sum::<u64>(), 10, "{proof}");
        assert!(proof["pruned_dead_letters"].as_u64() > Some(2), "{proof}");
        assert_eq!(results.value("SELECT dead_letters FROM runs"), "10");
    }
}

#[test]
fn records_are_erased_again_and_again_while_the_run_goes_on() {
    let records = many(3000);
    let results = Results::in_postgres();
    set_up(&results, &borrowed(&records));
    let gone: Vec<String> = (0..60).map(|number| format!("r{}", number * 50)).collect();
    let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
    let mut started =
        Started::new(&mut results.command(&["run", "job.toml", "--date", "2026-11-20"]));
    while results
        .query("SELECT 1 FROM shards WHERE state = 'completed' LIMIT 1")
        .is_empty()
    {
        assert!(started.is_alive());
    }
    let mut erased_meanwhile = 0;
    while started.is_alive() {
        let ended = erase(&results, &gone, &["--format", "json"]);
        assert!(matches!(ended.code, Some(0 | 75)), "{ended}");
        erased_meanwhile += ended.json()["predictions"].as_u64().expect("a count");
    }
    started.end().expect(0);
    let last = erase(&results, &gone, &["--format", "json"])
        .expect(0)
        .json();
    let in_the_end = last["predictions"].as_u64().expect("a count");
    assert_eq!(erased_meanwhile + in_the_end, 60);
    assert!(erased_meanwhile > 0);
    let proof = verified(&results, "simple@2026-11-20#1");
    let counts = ["planned", "predicted", "dead_letters", "erased"];
    assert_eq!(
        counts.map(|count| proof[count].clone()),
        [3000, 2880, 60, 60]
    );
}

#[test]
fn a_retry_of_what_is_pruned_while_it_is_planned_is_refused() {
    for column in ["pruned_at", "dead_letters_pruned_at"] {
        let results = Results::in_postgres();
        set_up(&results, super::SOME);
        let strict = ["--set", "errors.max_dead_letters=0"];
        let one_shard = ["--set", "run.shard_size=100"];
        run(&results, "2026-11-20", &[strict, one_shard].concat()).expect(65);
        let database = results.postgres().expect("Postgres");
        let mut session = database.session();
        let date = "hashtextextended('lamplighter:plan:simple@2026-11-20', 0)";
        session.execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({date})"));
        let retry = ["dead-letters", "retry", "job.toml"];
        let started = Started::new(&mut results.command(&retry));
        wait_for_lock(&results, "%pg_advisory_xact_lock%");
        session.execute(&format!(
            "UPDATE lamplighter.runs SET {column} = now(); COMMIT"
        ));
        let ended = started.end().expect(64);
        assert!(ended.stderr.contains("pruned"), "{ended}");
        assert_eq!(results.value("SELECT count(*) FROM runs"), "1");
    }
}

/// Waits until somebody who does this waits for a lock.
fn wait_for_lock(results: &Results, query: &str) {
    let waits = format!(
        "SELECT 1 FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '{query}'"
    );
    while results.query(&waits).is_empty() {
        std::thread::yield_now();
    }
}

#[test]
fn a_run_that_is_pruned_though_somebody_sees_or_needs_it_is_no_run_that_holds() {
    for results in in_each(super::SOME) {
        run(&results, "2026-11-20", &[]).expect(0);
        run(&results, "2026-11-20", &RESCORE).expect(0);
        results.execute("UPDATE runs SET pruned_at = completed_at");
        let verify = |run: &str| results.lamplighter(&["runs", "verify", run]);
        let replaced = "simple@2026-11-20#1";
        let told = verify(replaced).expect(0);
        assert!(told.stdout.contains("PRUNED"), "{told}");
        let told = verify("simple@2026-11-20#2").expect(70);
        assert!(told.stdout.contains("NOT OK"), "{told}");
        assert!(told.stdout.contains("but it is published"), "{told}");
        for (change, finding) in [
            ("state = 'running' WHERE run_id = 1", "but it is running"),
            (
                "publication = 'published' WHERE run_id = 1",
                "consumers do not see it",
            ),
            ("parent_run_id = 1 WHERE run_id = 2", "a retry of it"),
        ] {
            results.execute(&format!("UPDATE runs SET {change}"));
            let told = verify(replaced).expect(70);
            assert!(told.stdout.contains(finding), "{told}");
            results.execute(
                "UPDATE runs SET state = 'completed', publication = 'withheld', parent_run_id = NULL WHERE run_id = 1; \
                 UPDATE runs SET parent_run_id = NULL",
            );
        }
        verify(replaced).expect(0);
    }
}

#[test]
fn a_run_that_ended_anew_while_records_were_erased_is_told() {
    let results = Results::in_postgres();
    set_up(&results, super::SOME);
    run(&results, "2026-11-20", &[]).expect(0);
    results.execute(
        "UPDATE runs SET state = 'failed', publication = 'withheld'; DELETE FROM publications",
    );
    let database = results.postgres().expect("Postgres");
    let mut session = database.session();
    session.execute("BEGIN; SELECT * FROM lamplighter.runs FOR UPDATE");
    results.workspace.write("ids.txt", "alpha-17");
    let erase = ["records", "erase", "--ids", "ids.txt", "--key-file", "key"];
    let started = Started::new(&mut results.command(&erase));
    wait_for_lock(&results, "%FOR NO KEY UPDATE%");
    session.execute(
        "UPDATE lamplighter.runs SET state = 'completed', completed_at = now() + interval '1 second'; COMMIT",
    );
    started
        .end()
        .expect(75)
        .says(&["may still hold records: simple@2026-11-20#1"]);
    super::erase(&results, &["alpha-17"], &[]).expect(0);
}
