use std::thread;

use lamplighter::ledger::{Beginning, Committed};

use super::{Home, claim, commit, new_run, participant, places, plan, work};

on_both! {
    claims_come_lowest_first_and_are_never_given_twice,
    a_released_claim_is_given_again_under_a_higher_epoch,
    a_commit_under_an_old_epoch_is_fenced_and_writes_nothing,
    the_same_commit_twice_writes_once,
    a_commit_of_what_was_released_is_fenced,
    a_commit_into_a_run_that_was_given_up_is_fenced,
    what_is_kept_is_what_is_still_held,
    an_attempt_is_noted_with_its_end,
    an_attempt_that_is_begun_twice_is_one,
}

fn claims_come_lowest_first_and_are_never_given_twice(home: &Home) {
    let mut ledger = home.open();
    let run_id = plan(&mut ledger, &new_run("2026-11-23"), &[1; 5]);
    let first = claim(&mut ledger, run_id, "one", 2);
    assert_eq!(places(&first), [(0, 1), (1, 1)]);
    let second = claim(&mut ledger, run_id, "other", 2);
    assert_eq!(places(&second), [(2, 1), (3, 1)]);
    let third = claim(&mut ledger, run_id, "one", 2);
    assert_eq!(places(&third), [(4, 1)]);
    assert!(claim(&mut ledger, run_id, "other", 2).is_empty());
    let ordinals: Vec<u64> = [first, second, third]
        .iter()
        .flatten()
        .map(|claim| claim.slice.first_ordinal)
        .collect();
    assert_eq!(ordinals, [0, 1, 2, 3, 4]);
}

fn a_released_claim_is_given_again_under_a_higher_epoch(home: &Home) {
    let mut ledger = home.open();
    let run_id = plan(&mut ledger, &new_run("2026-11-23"), &[1; 3]);
    claim(&mut ledger, run_id, "one", 2);
    claim(&mut ledger, run_id, "other", 1);
    assert_eq!(ledger.release_claims(run_id, Some("one")).unwrap(), 2);
    let again = claim(&mut ledger, run_id, "third", 9);
    assert_eq!(places(&again), [(0, 2), (1, 2)], "the other's is its own");
    assert_eq!(ledger.release_claims(run_id, None).unwrap(), 3);
    let again = claim(&mut ledger, run_id, "third", 9);
    assert_eq!(places(&again), [(0, 3), (1, 3), (2, 2)]);
}

fn a_commit_under_an_old_epoch_is_fenced_and_writes_nothing(home: &Home) {
    let mut ledger = home.open();
    let run_id = plan(&mut ledger, &new_run("2026-11-23"), &[3]);
    let old = claim(&mut ledger, run_id, "one", 1);
    ledger.release_claims(run_id, Some("one")).unwrap();
    let new = claim(&mut ledger, run_id, "other", 1);
    let late = commit(&mut ledger, run_id, &work(&old[0], 1.0));
    assert_eq!(late, Committed::Fenced);
    assert_eq!(home.counts(&["predictions", "dead_letters"]), ["0", "0"]);
    let valid = commit(&mut ledger, run_id, &work(&new[0], 2.0));
    assert_eq!(valid, Committed::Yes);
    let late = commit(&mut ledger, run_id, &work(&old[0], 1.0));
    assert_eq!(late, Committed::Fenced, "also after the valid one");
    assert_eq!(
        home.query("SELECT DISTINCT CAST(value AS integer) FROM predictions"),
        [["2"]]
    );
}

fn the_same_commit_twice_writes_once(home: &Home) {
    let mut ledger = home.open();
    let run_id = plan(&mut ledger, &new_run("2026-11-23"), &[3]);
    let claims = claim(&mut ledger, run_id, "one", 1);
    let work = work(&claims[0], 1.0);
    assert_eq!(commit(&mut ledger, run_id, &work), Committed::Yes);
    // As after a commit of which nobody heard.
    assert_eq!(commit(&mut ledger, run_id, &work), Committed::Yes);
    assert_eq!(home.counts(&["predictions"]), ["3"]);
    let progress = ledger.progress(run_id).unwrap();
    assert_eq!((progress.completed_shards, progress.records), (1, 3));
    assert!(claim(&mut ledger, run_id, "other", 1).is_empty());
}

fn a_commit_of_what_was_released_is_fenced(home: &Home) {
    let mut ledger = home.open();
    let run_id = plan(&mut ledger, &new_run("2026-11-23"), &[3]);
    let claims = claim(&mut ledger, run_id, "one", 1);
    ledger.release_claims(run_id, Some("one")).unwrap();
    let late = commit(&mut ledger, run_id, &work(&claims[0], 1.0));
    assert_eq!(late, Committed::Fenced);
    assert_eq!(home.counts(&["predictions"]), ["0"]);
}

fn a_commit_into_a_run_that_was_given_up_is_fenced(home: &Home) {
    let mut ledger = home.open();
    let run_id = plan(&mut ledger, &new_run("2026-11-23"), &[3, 3]);
    let claims = claim(&mut ledger, run_id, "one", 1);
    assert!(ledger.cancel_run(run_id).unwrap());
    assert!(!ledger.cancel_run(run_id).unwrap(), "given up once");
    let late = commit(&mut ledger, run_id, &work(&claims[0], 1.0));
    assert_eq!(late, Committed::Fenced);
    assert_eq!(home.counts(&["predictions"]), ["0"]);
}

fn what_is_kept_is_what_is_still_held(home: &Home) {
    let mut ledger = home.open();
    let run_id = plan(&mut ledger, &new_run("2026-11-23"), &[1; 4]);
    let who = participant("one");
    let Beginning::Begun(attempt) = ledger.begin_attempt(run_id, &who, false).unwrap() else {
        panic!("nobody else is at it");
    };
    let held = places(&claim(&mut ledger, run_id, "one", 3));
    home.execute("UPDATE shards SET epoch = 2, owner = 'other' WHERE shard_no = 0");
    home.execute("UPDATE shards SET state = 'completed' WHERE shard_no = 1");
    let kept = ledger.keep_claims(run_id, attempt, &who, &held).unwrap();
    assert_eq!(kept, 1);
    let none = ledger.keep_claims(run_id, attempt, &who, &[]).unwrap();
    assert_eq!(none, 0);
}

fn an_attempt_is_noted_with_its_end(home: &Home) {
    let mut ledger = home.open();
    let run_id = plan(&mut ledger, &new_run("2026-11-23"), &[1]);
    let begun = ledger.begin_attempt(run_id, &participant("one"), false);
    let Beginning::Begun(attempt) = begun.unwrap() else {
        panic!("nobody else is at it");
    };
    let noted = ledger.attempts(run_id).unwrap();
    assert_eq!(noted.len(), 1);
    assert_eq!((noted[0].host.as_str(), noted[0].pid), ("host", 4711));
    assert!(noted[0].ended_at.is_none());
    ledger.end_attempt(attempt, 75).unwrap();
    let noted = ledger.attempts(run_id).unwrap();
    assert_eq!(noted[0].exit_code, Some(75));
    assert!(noted[0].ended_at.is_some());
}

fn an_attempt_that_is_begun_twice_is_one(home: &Home) {
    let mut ledger = home.open();
    let run_id = plan(&mut ledger, &new_run("2026-11-23"), &[1]);
    let who = participant("one");
    let first = ledger.begin_attempt(run_id, &who, true).unwrap();
    assert!(matches!(first, Beginning::Begun(_)));
    // As after a commit of which nobody heard.
    let again = ledger.begin_attempt(run_id, &who, true).unwrap();
    assert_eq!(again, first);
    assert_eq!(home.counts(&["run_attempts"]), ["1"]);
}

#[test]
fn a_lease_that_passed_is_the_next_ones_and_its_old_owner_is_fenced() {
    let home = Home::postgres();
    let mut ledger = home.open();
    let run_id = plan(&mut ledger, &new_run("2026-11-23"), &[2, 2]);
    let old = claim(&mut ledger, run_id, "one", 2);
    assert!(claim(&mut ledger, run_id, "other", 2).is_empty());
    home.execute(
        "UPDATE shards SET lease_until = clock_timestamp() - interval '1 second' WHERE shard_no = 1",
    );
    let new = claim(&mut ledger, run_id, "other", 2);
    assert_eq!(places(&new), [(1, 2)]);
    let late = commit(&mut ledger, run_id, &work(&old[1], 1.0));
    assert_eq!(late, Committed::Fenced);
    let valid = commit(&mut ledger, run_id, &work(&old[0], 1.0));
    assert_eq!(valid, Committed::Yes, "its other claim is as good as ever");
    let valid = commit(&mut ledger, run_id, &work(&new[0], 2.0));
    assert_eq!(valid, Committed::Yes);
    assert_eq!(
        home.query("SELECT value, count(*) FROM predictions GROUP BY value ORDER BY value"),
        [["1", "2"], ["2", "2"]]
    );
}

#[test]
fn a_beat_prolongs_a_lease_that_is_about_to_pass() {
    let home = Home::postgres();
    let mut ledger = home.open();
    let run_id = plan(&mut ledger, &new_run("2026-11-23"), &[1, 1]);
    let who = participant("one");
    let Beginning::Begun(attempt) = ledger.begin_attempt(run_id, &who, true).unwrap() else {
        panic!("nobody else is at it");
    };
    let held = places(&claim(&mut ledger, run_id, "one", 2));
    home.execute(
        "UPDATE shards SET lease_until = clock_timestamp() - interval '1 second';
         UPDATE run_attempts SET alive_until = clock_timestamp() - interval '1 second'",
    );
    // Late, but before anybody came: the claims are still its own.
    assert_eq!(
        ledger
            .keep_claims(run_id, attempt, &who, &held[..1])
            .unwrap(),
        1
    );
    let others = claim(&mut ledger, run_id, "other", 2);
    assert_eq!(places(&others), [(1, 2)], "only what was not kept");
    let alive = "SELECT alive_until > clock_timestamp() FROM run_attempts";
    assert_eq!(home.value(alive), "t");
}

#[test]
fn a_beat_waits_for_no_commit() {
    let home = Home::postgres();
    let mut ledger = home.open();
    let run_id = plan(&mut ledger, &new_run("2026-11-23"), &[1, 1, 1]);
    let who = participant("one");
    let Beginning::Begun(attempt) = ledger.begin_attempt(run_id, &who, false).unwrap() else {
        panic!("nobody else is at it");
    };
    let held = places(&claim(&mut ledger, run_id, "one", 3));
    home.execute("UPDATE shards SET lease_until = clock_timestamp() - interval '1 second'");
    let mut commit = home.session();
    commit.begin();
    // As a commit does before it sends its rows.
    commit.execute("SELECT FROM lamplighter.shards WHERE shard_no = 1 FOR UPDATE");
    commit.execute("SELECT FROM lamplighter.runs FOR SHARE");
    let kept = ledger.keep_claims(run_id, attempt, &who, &held).unwrap();
    assert_eq!(kept, 2);
    let begun = ledger.begin_attempt(run_id, &participant("other"), false);
    assert!(matches!(begun.unwrap(), Beginning::Begun(_)));
    let others = claim(&mut ledger, run_id, "other", 3);
    assert!(
        others.is_empty(),
        "what is being committed is nobody else's"
    );
    commit.roll_back();
    assert_eq!(places(&claim(&mut ledger, run_id, "other", 3)), [(1, 2)]);
}

#[test]
fn many_who_claim_at_once_never_get_the_same_shard() {
    let home = Home::postgres();
    let run_id = plan(&mut home.open(), &new_run("2026-11-23"), &[1; 60]);
    let claimed: Vec<(u32, i64)> = thread::scope(|scope| {
        let claimers: Vec<_> = (0..6)
            .map(|number| {
                let home = &home;
                scope.spawn(move || {
                    let mut ledger = home.open();
                    let mut mine = Vec::new();
                    loop {
                        let claims = claim(&mut ledger, run_id, &number.to_string(), 3);
                        if claims.is_empty() {
                            return mine;
                        }
                        mine.extend(places(&claims));
                    }
                })
            })
            .collect();
        let claimers = claimers.into_iter();
        claimers
            .flat_map(|claimer| claimer.join().expect("claims"))
            .collect()
    });
    let mut claimed = claimed;
    claimed.sort_unstable();
    let expected: Vec<(u32, i64)> = (0..60).map(|shard_no| (shard_no, 1)).collect();
    assert_eq!(claimed, expected);
}

#[test]
fn who_wants_to_be_alone_is_alone_for_as_long_as_it_lives() {
    let home = Home::postgres();
    let mut ledger = home.open();
    let run_id = plan(&mut ledger, &new_run("2026-11-23"), &[1]);
    let mut begin = |owner: &str, exclusive| {
        ledger
            .begin_attempt(run_id, &participant(owner), exclusive)
            .expect("an answer")
    };
    let occupied = Beginning::Occupied("pid 4711 on host".to_owned());
    assert!(matches!(begin("one", false), Beginning::Begun(_)));
    assert!(matches!(begin("two", false), Beginning::Begun(_)));
    assert_eq!(begin("three", true), occupied);
    home.execute("UPDATE run_attempts SET ended_at = clock_timestamp() WHERE owner = 'one'");
    assert_eq!(begin("three", true), occupied);
    let past = "alive_until = clock_timestamp() - interval '1 second'";
    home.execute(&format!(
        "UPDATE run_attempts SET {past} WHERE owner = 'two'"
    ));
    assert!(matches!(begin("three", true), Beginning::Begun(_)));
    assert_eq!(begin("four", false), occupied);
    assert_eq!(begin("four", true), occupied);
    home.execute(&format!(
        "UPDATE run_attempts SET {past} WHERE owner = 'three'"
    ));
    assert!(matches!(begin("four", false), Beginning::Begun(_)));
}

#[test]
fn two_who_want_to_be_alone_at_once_are_not_both() {
    let home = Home::postgres();
    let run_id = plan(&mut home.open(), &new_run("2026-11-23"), &[1]);
    let begun = thread::scope(|scope| {
        let starts: Vec<_> = (0..6)
            .map(|number| {
                let home = &home;
                scope.spawn(move || {
                    let who = participant(&number.to_string());
                    home.open().begin_attempt(run_id, &who, true).unwrap()
                })
            })
            .collect();
        starts
            .into_iter()
            .map(|start| start.join().expect("an answer"))
            .filter(|beginning| matches!(beginning, Beginning::Begun(_)))
            .count()
    });
    assert_eq!(begun, 1);
}
