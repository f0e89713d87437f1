//! What becomes of a date's rows: done, scored again, given back, pruned.

use super::{letters, linear, push, run, stats};
use crate::harness::linear_bundle;
use crate::harness::results::Results;

const DATE: &str = "2026-11-23";
const NEXT: &str = "2026-11-24";
const RESCORE: [&str; 3] = ["--rescore", "--reason", "a test"];

fn states(results: &Results) -> Vec<String> {
    results
        .query(
            "SELECT logical_date || '#' || generation || ' ' || state || ' ' || publication
             FROM runs ORDER BY run_id",
        )
        .concat()
}

#[test]
fn a_date_that_is_done_leaves_new_rows_for_the_next() {
    for results in linear("", "") {
        push(&results, &letters(2), &[]);
        run(&results, DATE, &[]).expect(0);
        push(&results, "{\"id\":\"new\",\"x\":10}\n", &[]);
        run(&results, DATE, &[])
            .expect(0)
            .says(&["already complete"]);
        assert_eq!(results.published(DATE), [["a", "3"], ["b", "5"]]);
        assert_eq!(stats(&results), [1, 0, 2, 0]);
        run(&results, NEXT, &[]).expect(0);
        assert_eq!(results.published(NEXT), [["new", "21"]]);
        results.verify();
    }
}

#[test]
fn scored_again_are_the_same_rows_and_no_new_ones() {
    for results in linear("", "") {
        push(&results, &letters(8), &[]);
        run(&results, DATE, &[]).expect(0);
        push(
            &results,
            "{\"id\":\"new\",\"x\":10}\n{\"id\":\"a\",\"x\":50}\n",
            &[],
        );
        // Other settings of what a shard is change nothing either.
        let more = [&RESCORE[..], &["--set", "run.shard_size=2"]].concat();
        run(&results, DATE, &more).expect(0);
        assert!(results.prediction_bits(1) == results.prediction_bits(2));
        assert_eq!(results.prediction_bits(2).len(), 8);
        assert_eq!(stats(&results), [2, 0, 8, 0]);
        let expected = [
            format!("{DATE}#1 completed withheld"),
            format!("{DATE}#2 completed published"),
        ];
        assert_eq!(states(&results), expected);
        results.verify();
    }
}

#[test]
fn a_withheld_date_is_scored_again_with_a_new_bundle() {
    for results in linear("", "[errors]\nmax_dead_letters = 1\n") {
        let nulls = "{\"id\":\"n1\",\"x\":null}\n{\"id\":\"n2\",\"x\":null}\n";
        push(&results, &format!("{nulls}{}", letters(4)), &[]);
        run(&results, DATE, &[]).expect(65);
        assert_eq!(results.published(DATE), [] as [[&str; 2]; 0]);
        push(&results, "{\"id\":\"new\",\"x\":10}\n", &[]);
        let impute = "missing = \"impute\"\nfill = 4.0";
        let bundle = results.workspace.path("bundle");
        linear_bundle(&bundle, &[("x", 2.0)], 1.0, impute);
        run(&results, DATE, &[]).expect(0);
        let expected = [
            ["a", "3"],
            ["b", "5"],
            ["c", "7"],
            ["d", "9"],
            ["n1", "9"],
            ["n2", "9"],
        ];
        assert_eq!(results.published(DATE), expected);
        assert_eq!(stats(&results)[0], 1);
        results.verify();
    }
}

/// Leaves a run unfinished: killed as soon as its shards are there.
fn interrupted(results: &Results) {
    let mut more = vec!["run", "job.toml", "--date", DATE, "--workers", "1"];
    more.extend(["--set", "run.lease=2s", "--set", "run.max_memory=1"]);
    let shards = "SELECT shard_no FROM shards LIMIT 1";
    results.killed_when(&more, shards);
}

/// Records enough that a run is not done before it is killed.
fn many(count: usize) -> String {
    (0..count)
        .map(|index| format!("{{\"id\":\"r{index}\",\"x\":{index}}}\n"))
        .collect()
}

#[test]
fn a_cancelled_run_gives_its_rows_back() {
    for results in linear("", "[retention]\nqueue = \"0s\"") {
        push(&results, &many(3000), &[]);
        interrupted(&results);
        assert_eq!(stats(&results), [0, 3000, 0, 0]);
        // What waits again in a newer form is not pushed aside by the older one.
        push(&results, "{\"id\":\"r7\",\"x\":1000000}\n", &[]);
        let name = format!("queued@{DATE}#1");
        results.lamplighter(&["runs", "cancel", &name]).expect(0);
        assert_eq!(stats(&results), [3000, 0, 0, 1]);
        run(&results, NEXT, &["--set", "run.shard_size=1000"]).expect(0);
        assert_eq!(results.published(NEXT).len(), 3000);
        let newer = "SELECT value FROM predictions_latest WHERE record_id = 'r7'";
        assert_eq!(results.value(newer), "2000001");
        results.verify();
    }
}

#[test]
fn a_killed_run_goes_on_with_its_own_rows() {
    for results in linear("", "") {
        push(&results, &many(3000), &[]);
        interrupted(&results);
        push(&results, "{\"id\":\"new\",\"x\":1}\n", &[]);
        run(&results, DATE, &["--set", "run.lease=2s"]).expect(0);
        assert_eq!(states(&results), [format!("{DATE}#1 completed published")]);
        assert_eq!(results.published(DATE).len(), 3000);
        assert_eq!(stats(&results), [1, 0, 3000, 0]);
        results.verify();
    }
}

#[test]
fn rows_of_done_runs_go_when_their_time_is_over() {
    for results in linear("", "[retention]\nqueue = \"0s\"") {
        push(&results, &letters(4), &[]);
        run(&results, DATE, &["--set", "retention.queue=1h"]).expect(0);
        assert_eq!(stats(&results), [0, 0, 4, 0]);
        push(&results, "{\"id\":\"x\",\"x\":1}\n", &[]);
        run(&results, NEXT, &[]).expect(0);
        assert_eq!(stats(&results), [0; 4]);
        // Predictions stay.
        assert_eq!(results.published(DATE).len(), 4);
        results.verify();
    }
}

#[test]
fn rows_of_a_withheld_date_wait_for_the_next_bundle_whatever_the_retention() {
    let more = "[errors]\nmax_dead_letters = 0\n[retention]\nqueue = \"0s\"";
    for results in linear("", more) {
        push(&results, "{\"id\":\"a\",\"x\":null}\n", &[]);
        run(&results, DATE, &[]).expect(65);
        assert_eq!(stats(&results), [0, 0, 1, 0]);
        let bundle = results.workspace.path("bundle");
        let impute = "missing = \"impute\"\nfill = 4.0";
        linear_bundle(&bundle, &[("x", 2.0)], 1.0, impute);
        let trial = ["--limit", "9", "--set", "source.min_rows=0"];
        run(&results, DATE, &trial).expect(0);
        assert_eq!(stats(&results), [0, 0, 1, 0]);
        run(&results, DATE, &[]).expect(0);
        assert_eq!(results.published(DATE), [["a", "9"]]);
        assert_eq!(stats(&results), [0; 4]);
    }
}

#[test]
fn what_was_pruned_can_not_be_scored_again_and_the_published_stays() {
    for results in linear("", "[retention]\nqueue = \"0s\"") {
        push(&results, &letters(4), &[]);
        run(&results, DATE, &[]).expect(0);
        let ended = run(&results, DATE, &RESCORE).expect(65);
        assert!(
            ended.stdout.contains("read/record_vanished"),
            "{}",
            ended.stdout
        );
        assert_eq!(results.dead_letters(2).len(), 4);
        assert!(
            results
                .dead_letters(2)
                .iter()
                .all(|line| line.ends_with("read/record_vanished -")),
            "{:?}",
            results.dead_letters(2)
        );
        assert_eq!(results.published(DATE).len(), 4);
        let expected = [
            format!("{DATE}#1 completed published"),
            format!("{DATE}#2 completed withheld"),
        ];
        assert_eq!(states(&results), expected);
        results.verify();
    }
}

/// A night of one record, published with a pruning of the queue.
fn next_night(results: &Results) {
    push(results, "{\"id\":\"next\",\"x\":1}\n", &[]);
    run(results, NEXT, &[]).expect(0);
    assert_eq!(results.published(NEXT), [["next", "3"]]);
}

/// Six records that can not be scored, before others that can.
fn with_nulls(others: u8) -> String {
    let nulls = (1..=6).map(|index| format!("{{\"id\":\"n{index}\",\"x\":null}}\n"));
    nulls.collect::<String>() + &letters(others)
}

#[test]
fn a_run_that_failed_is_gone_on_with_after_later_nights() {
    let more = "workers = 1\n[errors]\nmax_dead_letters = 2\n[retention]\nqueue = \"0s\"";
    for results in linear("", more) {
        push(&results, &with_nulls(9), &[]);
        run(&results, DATE, &[]).expect(65);
        assert_eq!(states(&results), [format!("{DATE}#1 failed withheld")]);
        next_night(&results);
        assert_eq!(stats(&results), [0, 15, 0, 0]);
        results
            .lamplighter(&["runs", "prune", "job.toml"])
            .expect(0);
        assert_eq!(stats(&results), [0, 15, 0, 0]);

        run(&results, DATE, &["--set", "errors.max_dead_letters=6"]).expect(0);
        assert_eq!(results.published(DATE).len(), 9);
        let letters = results.dead_letters(1);
        assert_eq!(letters.len(), 6);
        assert!(
            letters
                .iter()
                .all(|letter| letter.contains("missing_value")),
            "{letters:?}"
        );
        assert_eq!(stats(&results), [0; 4], "now its rows go");
        results.verify();
    }
}

#[test]
fn a_withheld_date_keeps_its_rows_through_later_nights() {
    let more = "[errors]\nmax_dead_letters = 5\n[retention]\nqueue = \"0s\"";
    for results in linear("", more) {
        push(&results, &with_nulls(0), &[]);
        run(&results, DATE, &["--set", "run.shard_size=100"]).expect(65);
        assert_eq!(states(&results), [format!("{DATE}#1 completed withheld")]);
        next_night(&results);
        assert_eq!(stats(&results), [0, 0, 6, 0]);
        let impute = "missing = \"impute\"\nfill = 4.0";
        let bundle = results.workspace.path("bundle");
        linear_bundle(&bundle, &[("x", 2.0)], 1.0, impute);
        run(&results, DATE, &[]).expect(0);
        assert_eq!(results.published(DATE).len(), 6);
        assert_eq!(stats(&results), [0; 4]);
        results.verify();
    }
}

#[test]
fn scoring_again_that_failed_is_gone_on_with_after_later_nights() {
    let more = "workers = 1\n[errors]\nmax_dead_letters = 6\n[retention]\nqueue = \"0s\"";
    for results in linear("", more) {
        push(&results, &with_nulls(9), &[]);
        run(&results, DATE, &["--set", "retention.queue=1h"]).expect(0);
        let strict = ["--set", "errors.max_dead_letters=0"];
        run(&results, DATE, &[&RESCORE[..], &strict].concat()).expect(65);
        assert_eq!(states(&results)[1], format!("{DATE}#2 failed withheld"));
        next_night(&results);
        assert_eq!(stats(&results), [0, 0, 15, 0]);
        run(&results, DATE, &[]).expect(0);
        assert_eq!(states(&results)[1], format!("{DATE}#2 completed published"));
        assert_eq!(results.prediction_bits(2).len(), 9);
        assert_eq!(stats(&results), [0; 4]);
        results.verify();
    }
}
