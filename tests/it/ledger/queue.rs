use std::time::Duration;

use lamplighter::error::{Class, classify};
use lamplighter::job::OnConflict;
use lamplighter::ledger::{
    Committed, Finishing, Ledger, NewRun, PlannedInput, Planning, Publication, QueueStats,
    queue_ids,
};

use super::{Home, NOTHING, claim, commit, new_run, try_finish, work};

on_both! {
    a_record_waits_once_and_the_job_says_which_row_stays,
    a_payload_comes_back_as_it_was_pushed,
    a_run_takes_what_waits_and_leaves_what_comes_later,
    jobs_do_not_take_each_others_rows,
    a_trial_looks_and_takes_nothing,
    too_few_records_are_no_input_and_nothing_is_taken,
    what_a_given_up_run_took_waits_again_unless_something_newer_does,
    a_date_that_was_scored_scores_the_same_rows_again,
    higher_priority_comes_first_then_the_order_of_pushing,
    only_rows_of_ended_runs_are_pruned_and_only_after_their_time,
    a_pruning_of_the_queue_that_is_to_stop_stops,
}

const DATE: &str = "2026-11-23";

#[track_caller]
fn push(ledger: &mut Ledger, records: &[(&str, &str)], priority: i64) -> u64 {
    push_with(ledger, "simple", records, priority, OnConflict::Replace)
}

#[track_caller]
fn push_with(
    ledger: &mut Ledger,
    job: &str,
    records: &[(&str, &str)],
    priority: i64,
    conflict: OnConflict,
) -> u64 {
    let records: Vec<(String, String)> = records
        .iter()
        .map(|&(id, payload)| (id.to_owned(), payload.to_owned()))
        .collect();
    ledger
        .push(job, &records, priority, conflict)
        .expect("a push")
}

const ALL: PlannedInput<'static> = PlannedInput::Queue {
    limit: None,
    min_rows: 0,
};

#[track_caller]
fn plan_queue(ledger: &mut Ledger, run: &NewRun, input: &PlannedInput<'_>) -> i64 {
    let known = ledger.state_of_date(&run.job, &run.logical_date);
    match ledger.plan_run(run, input, known.unwrap()).expect("a plan") {
        Planning::Planned { run_id, .. } => run_id,
        Planning::Overtaken => panic!("nobody else plans"),
    }
}

/// Ids of a run's records, in the order of their ordinals, by claiming all its shards.
#[track_caller]
fn taken(ledger: &mut Ledger, run_id: i64) -> Vec<String> {
    let claims = claim(ledger, run_id, "owner", 1000);
    let keys: Vec<i64> = claims
        .iter()
        .flat_map(|claim| {
            let keys = queue_ids(&claim.slice.input);
            assert_eq!(keys.len() as u64, claim.slice.records);
            keys
        })
        .collect();
    let rows = ledger.queue_records(&keys).unwrap();
    assert_eq!(rows.len(), keys.len());
    keys.iter()
        .map(|key| {
            let row = rows.iter().find(|row| row.queue_id == *key);
            row.expect("the row").record_id.clone()
        })
        .collect()
}

/// Completes and publishes a run whose shards nobody holds.
#[track_caller]
fn finish(ledger: &mut Ledger, run_id: i64) {
    ledger.release_claims(run_id, None).unwrap();
    for claim in claim(ledger, run_id, "owner", 1000) {
        let committed = commit(ledger, run_id, &work(&claim, 1.0));
        assert_eq!(committed, Committed::Yes);
    }
    let (finished, _) = try_finish(ledger, run_id, Publication::Published);
    assert!(matches!(finished, Ok(Finishing::Finished(()))));
}

/// Rows that wait, are in progress, done, and replaced.
#[track_caller]
fn stats(ledger: &mut Ledger) -> [u64; 4] {
    match &ledger.queue_stats(Some("simple")).unwrap()[..] {
        [] => [0; 4],
        [
            QueueStats {
                job,
                pending,
                in_progress,
                done,
                replaced,
                oldest_pending,
            },
        ] => {
            assert_eq!(job, "simple");
            assert_eq!(oldest_pending.is_some(), *pending > 0);
            [*pending, *in_progress, *done, *replaced]
        }
        more => panic!("{more:?}"),
    }
}

fn a_record_waits_once_and_the_job_says_which_row_stays(home: &Home) {
    let mut ledger = home.open();
    assert_eq!(push(&mut ledger, &[("a", "{\"x\":1}"), ("b", "{}")], 0), 2);
    assert_eq!(push(&mut ledger, &[("a", "{\"x\":2}")], 7), 1);
    let rows = "SELECT record_id, payload, priority FROM queue ORDER BY record_id";
    let replaced = [["a", "{\"x\":2}", "7"], ["b", "{}", "0"]];
    assert_eq!(home.query(rows), replaced);
    let ignored = [("a", "{\"x\":3}"), ("b", "{\"x\":3}")];
    let inserted = push_with(&mut ledger, "simple", &ignored, 9, OnConflict::Ignore);
    assert_eq!(inserted, 0);
    assert_eq!(home.query(rows), replaced);
    let mixed = [("a", "{}"), ("c", "{}")];
    let inserted = push_with(&mut ledger, "simple", &mixed, 0, OnConflict::Ignore);
    assert_eq!(inserted, 1);
    assert_eq!(ledger.pending_in_queue("simple").unwrap(), 3);
    assert_eq!(ledger.pending_in_queue("other").unwrap(), 0);
}

fn a_payload_comes_back_as_it_was_pushed(home: &Home) {
    let mut ledger = home.open();
    let payload =
        "{\"b\": 1, \"a\": [0.1, 1e308, -0.0, null], \"it's\": \"\\\"é\\\" \\\\ 東京\\n\"}";
    push(&mut ledger, &[("O'Hare \"é\"", payload)], 0);
    let run_id = plan_queue(&mut ledger, &new_run(DATE), &ALL);
    let claims = claim(&mut ledger, run_id, "owner", 1);
    let rows = ledger
        .queue_records(&queue_ids(&claims[0].slice.input))
        .unwrap();
    assert_eq!(rows[0].record_id, "O'Hare \"é\"");
    assert_eq!(rows[0].payload, payload);
}

fn a_run_takes_what_waits_and_leaves_what_comes_later(home: &Home) {
    let mut ledger = home.open();
    push(&mut ledger, &[("a", "{}"), ("b", "{}")], 0);
    let run_id = plan_queue(&mut ledger, &new_run(DATE), &ALL);
    let run = ledger.run(run_id).unwrap().expect("the run");
    assert_eq!(run.planned, 2);
    assert_eq!(stats(&mut ledger), [0, 2, 0, 0]);
    push(&mut ledger, &[("b", "{\"x\":2}"), ("c", "{}")], 0);
    assert_eq!(stats(&mut ledger), [2, 2, 0, 0]);
    assert_eq!(taken(&mut ledger, run_id), ["a", "b"]);
    finish(&mut ledger, run_id);
    assert_eq!(stats(&mut ledger), [2, 0, 2, 0]);
    let next = plan_queue(&mut ledger, &new_run("2026-11-24"), &ALL);
    assert_eq!(taken(&mut ledger, next), ["b", "c"]);
}

fn jobs_do_not_take_each_others_rows(home: &Home) {
    let mut ledger = home.open();
    push(&mut ledger, &[("a", "{}")], 0);
    let theirs = [("a", "{}"), ("b", "{}")];
    push_with(&mut ledger, "other", &theirs, 0, OnConflict::Replace);
    let run_id = plan_queue(&mut ledger, &new_run(DATE), &ALL);
    assert_eq!(taken(&mut ledger, run_id), ["a"]);
    assert_eq!(ledger.pending_in_queue("other").unwrap(), 2);
    let all = ledger.queue_stats(None).unwrap();
    let jobs: Vec<&str> = all.iter().map(|stats| stats.job.as_str()).collect();
    assert_eq!(jobs, ["other", "simple"]);
}

fn a_trial_looks_and_takes_nothing(home: &Home) {
    let mut ledger = home.open();
    push(&mut ledger, &[("a", "{}"), ("b", "{}"), ("c", "{}")], 0);
    let mut trial = new_run(DATE);
    trial.trial = true;
    let first = PlannedInput::Queue {
        limit: Some(2),
        min_rows: 0,
    };
    let run_id = plan_queue(&mut ledger, &trial, &first);
    assert_eq!(taken(&mut ledger, run_id), ["a", "b"]);
    assert_eq!(stats(&mut ledger), [3, 0, 0, 0]);
}

fn too_few_records_are_no_input_and_nothing_is_taken(home: &Home) {
    let mut ledger = home.open();
    push(&mut ledger, &[("a", "{}")], 0);
    let two = PlannedInput::Queue {
        limit: None,
        min_rows: 2,
    };
    let error = ledger
        .plan_run(&new_run(DATE), &two, NOTHING)
        .expect_err("a refusal");
    assert_eq!(classify(&error), Class::NoInput, "{error:#}");
    assert_eq!(stats(&mut ledger), [1, 0, 0, 0]);
    assert_eq!(home.counts(&["runs", "shards"]), ["0", "0"]);
}

fn what_a_given_up_run_took_waits_again_unless_something_newer_does(home: &Home) {
    let mut ledger = home.open();
    push(&mut ledger, &[("a", "{\"x\":1}"), ("b", "{\"x\":1}")], 0);
    let run_id = plan_queue(&mut ledger, &new_run(DATE), &ALL);
    push(&mut ledger, &[("b", "{\"x\":2}")], 0);
    assert!(ledger.cancel_run(run_id).unwrap());
    assert_eq!(stats(&mut ledger), [2, 0, 0, 1]);
    let waiting = "SELECT record_id, payload FROM queue WHERE run_id IS NULL ORDER BY record_id";
    assert_eq!(
        home.query(waiting),
        [["a", "{\"x\":1}"], ["b", "{\"x\":2}"]]
    );
    // A later plan of the date gives up as a person does.
    let first = plan_queue(&mut ledger, &new_run(DATE), &ALL);
    let second = plan_queue(&mut ledger, &new_run(DATE), &ALL);
    assert_ne!(first, second);
    assert_eq!(taken(&mut ledger, second), ["a", "b"]);
}

fn a_date_that_was_scored_scores_the_same_rows_again(home: &Home) {
    let mut ledger = home.open();
    let ids: Vec<String> = (0..23).map(|number| format!("r{number:02}")).collect();
    let records: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), "{}")).collect();
    push(&mut ledger, &records, 0);
    let first = plan_queue(&mut ledger, &new_run(DATE), &ALL);
    assert_eq!(taken(&mut ledger, first), ids);
    finish(&mut ledger, first);
    push(&mut ledger, &[("later", "{}")], 0);
    let mut again = new_run(DATE);
    // Shards are the first generation's, whatever the job says by now.
    again.shard_size = 2;
    let second = plan_queue(&mut ledger, &again, &ALL);
    assert_eq!(taken(&mut ledger, second), ids);
    let run = ledger.run(second).unwrap().expect("the run");
    assert_eq!((run.generation, run.planned, run.shard_size), (2, 23, 10));
    assert_eq!(stats(&mut ledger), [1, 0, 23, 0], "nothing new was taken");
    ledger.cancel_run(second).unwrap();
    assert_eq!(
        stats(&mut ledger),
        [1, 0, 23, 0],
        "nor is anything given back"
    );
}

fn higher_priority_comes_first_then_the_order_of_pushing(home: &Home) {
    let mut ledger = home.open();
    push(&mut ledger, &[("c", "{}"), ("a", "{}")], 0);
    push(&mut ledger, &[("e", "{}"), ("d", "{}")], 5);
    push(&mut ledger, &[("b", "{}")], -1);
    push(&mut ledger, &[("f", "{}")], 5);
    let mut trial = new_run(DATE);
    trial.trial = true;
    let some = PlannedInput::Queue {
        limit: Some(4),
        min_rows: 0,
    };
    let looked_at = plan_queue(&mut ledger, &trial, &some);
    assert_eq!(taken(&mut ledger, looked_at), ["e", "d", "f", "c"]);
    let run_id = plan_queue(&mut ledger, &new_run(DATE), &ALL);
    let order = ["e", "d", "f", "c", "a", "b"];
    assert_eq!(taken(&mut ledger, run_id), order);
}

#[track_caller]
fn prune(ledger: &mut Ledger, job: &str, retention: Duration) -> u64 {
    ledger.prune_queue(job, retention, &mut || Ok(())).unwrap()
}

fn only_rows_of_ended_runs_are_pruned_and_only_after_their_time(home: &Home) {
    let mut ledger = home.open();
    push(&mut ledger, &[("a", "{}"), ("b", "{}")], 0);
    let done = plan_queue(&mut ledger, &new_run("2026-11-21"), &ALL);
    finish(&mut ledger, done);
    push(&mut ledger, &[("c", "{}")], 0);
    plan_queue(&mut ledger, &new_run("2026-11-22"), &ALL);
    push(&mut ledger, &[("d", "{}")], 0);
    push_with(&mut ledger, "other", &[("e", "{}")], 0, OnConflict::Replace);
    let day = Duration::from_hours(24);
    assert_eq!(prune(&mut ledger, "simple", day), 0);
    assert_eq!(prune(&mut ledger, "other", Duration::ZERO), 0);
    assert_eq!(stats(&mut ledger), [1, 1, 2, 0]);
    assert_eq!(prune(&mut ledger, "simple", Duration::ZERO), 2);
    assert_eq!(stats(&mut ledger), [1, 1, 0, 0]);
    assert_eq!(ledger.pending_in_queue("other").unwrap(), 1);
}

fn a_pruning_of_the_queue_that_is_to_stop_stops(home: &Home) {
    let mut ledger = home.open();
    let ids: Vec<String> = (0..6_000).map(|number| format!("r{number}")).collect();
    let records: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), "{}")).collect();
    push(&mut ledger, &records, 0);
    let mut run = new_run(DATE);
    run.shard_size = 6_000;
    let done = plan_queue(&mut ledger, &run, &ALL);
    finish(&mut ledger, done);
    let mut asked = 0;
    let stopped = ledger.prune_queue("simple", Duration::ZERO, &mut || {
        asked += 1;
        anyhow::ensure!(asked < 2, "interrupted");
        Ok(())
    });
    assert!(format!("{:#}", stopped.expect_err("a stop")).contains("interrupted"));
    assert_eq!(stats(&mut ledger), [0, 0, 1_000, 0]);
    assert_eq!(prune(&mut ledger, "simple", Duration::ZERO), 1_000);
}
