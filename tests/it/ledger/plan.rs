use lamplighter::ledger::{
    DateState, Ledger, NewRun, PlannedInput, Planning, Publication, RetriedRun, ShardSlice, State,
};
use lamplighter::record::{DeadLetter, Outputs, Predictions, Stage};

use super::{
    Home, NOTHING, claim, commit, commit_of, new_run, plan, published, slices, try_finish, try_plan,
};

on_both! {
    a_plan_is_stored_as_it_was_made,
    a_plan_that_was_overtaken_writes_nothing,
    a_plan_gives_up_an_unfinished_run_of_its_date_and_of_no_other,
    a_trial_is_in_nobodys_way,
    a_plan_that_fails_midway_writes_nothing,
    a_run_that_was_published_meanwhile_is_not_replaced,
    what_was_pruned_meanwhile_is_not_retried,
    what_is_retried_meanwhile_keeps_its_dead_letters,
}

fn a_plan_is_stored_as_it_was_made(home: &Home) {
    let mut run = new_run("2026-11-23");
    run.reason = Some("it's \"wrong\" – 朝".to_owned());
    run.identity = "{\"a\": [1, null, \"é\"]}".to_owned();
    let mut shards = slices(&[10, 3, 7]);
    shards[0].duplicates = vec![0, 1, 9];
    shards[2].duplicates = vec![u32::MAX];
    let inputs: Vec<Vec<u8>> = vec![Vec::new(), (0..=255).collect(), vec![0]];
    let input = PlannedInput::Slices {
        shards: &shards,
        input: &|shard_no| Ok(inputs[shard_no as usize].clone()),
    };
    let mut ledger = home.open();
    let Planning::Planned { run_id, given_up } =
        ledger.plan_run(&run, &input, NOTHING).expect("an answer")
    else {
        panic!("nobody else plans");
    };
    assert!(given_up.is_empty());
    ledger.close().expect("an end");

    let mut ledger = home.open();
    let stored = ledger.run(run_id).expect("an answer").expect("the run");
    assert_eq!(stored.name().to_string(), "simple@2026-11-23#1");
    assert_eq!(stored.reason, run.reason);
    assert_eq!(stored.identity, run.identity);
    assert_eq!(stored.fingerprint, run.fingerprint);
    assert_eq!(stored.model_digest, run.model_digest);
    assert_eq!((stored.batch_size, stored.shard_size), (4, 10));
    assert_eq!((stored.planned, stored.state), (20, State::Running));
    assert!(!stored.trial);
    let claimed: Vec<ShardSlice> = claim(&mut ledger, run_id, "owner", 9)
        .into_iter()
        .map(|claim| claim.slice)
        .collect();
    let expected: Vec<ShardSlice> = shards
        .into_iter()
        .zip(inputs)
        .map(|(shard, input)| ShardSlice { input, ..shard })
        .collect();
    assert_eq!(claimed, expected);
}

fn a_plan_that_was_overtaken_writes_nothing(home: &Home) {
    let mut ledger = home.open();
    let run = new_run("2026-11-23");
    let first = plan(&mut ledger, &run, &[3, 2]);
    let before = home.counts(&["runs", "shards", "publications"]);
    let second = try_plan(&mut ledger, &run, &[5], NOTHING);
    assert_eq!(second, Planning::Overtaken);
    assert_eq!(home.counts(&["runs", "shards", "publications"]), before);
    let stored = ledger.run(first).expect("an answer").expect("the run");
    assert_eq!(stored.state, State::Running, "the first plan stands");
}

fn a_plan_gives_up_an_unfinished_run_of_its_date_and_of_no_other(home: &Home) {
    let mut ledger = home.open();
    let other = plan(&mut ledger, &new_run("2026-11-22"), &[1]);
    let run = new_run("2026-11-23");
    let first = plan(&mut ledger, &run, &[3]);
    let planning = try_plan(&mut ledger, &run, &[4], unfinished(first));
    let Planning::Planned { run_id, given_up } = planning else {
        panic!("nobody else plans");
    };
    assert_eq!(given_up, [first]);
    let mut state = |run_id| ledger.run(run_id).unwrap().expect("the run").state;
    assert_eq!(state(first), State::Cancelled);
    assert_eq!(state(other), State::Running);
    assert_eq!(state(run_id), State::Running);
    let name = ledger.run(run_id).unwrap().expect("the run").name();
    assert_eq!(name.to_string(), "simple@2026-11-23#2");
}

fn a_trial_is_in_nobodys_way(home: &Home) {
    let mut ledger = home.open();
    let run = new_run("2026-11-23");
    let night = plan(&mut ledger, &run, &[3]);
    let mut trial = run.clone();
    trial.trial = true;
    let Planning::Planned { run_id, given_up } = try_plan(&mut ledger, &trial, &[1], NOTHING)
    else {
        panic!("a trial is never overtaken");
    };
    assert!(given_up.is_empty());
    assert_ne!(run_id, night);
    let state = ledger.run(night).unwrap().expect("the run").state;
    assert_eq!(state, State::Running);
    let known = ledger.state_of_date("simple", "2026-11-23").unwrap();
    assert_eq!(known, unfinished(night), "a trial is no run of its date");
}

fn a_plan_that_fails_midway_writes_nothing(home: &Home) {
    let mut ledger = home.open();
    let run = new_run("2026-11-23");
    let first = plan(&mut ledger, &run, &[3]);
    let shards = slices(&[1, 1, 1]);
    let input = PlannedInput::Slices {
        shards: &shards,
        input: &|shard_no| match shard_no {
            2 => anyhow::bail!("the input is gone"),
            _ => Ok(vec![1]),
        },
    };
    let error = ledger
        .plan_run(&run, &input, unfinished(first))
        .expect_err("the fault");
    assert!(format!("{error:#}").contains("the input is gone"));
    assert_eq!(home.counts(&["runs", "shards"]), ["1", "1"]);
    let state = ledger.run(first).unwrap().expect("the run").state;
    assert_eq!(state, State::Running, "what it would replace stays");
}

/// A date with this run, which nobody sees yet.
fn unfinished(run_id: i64) -> DateState {
    DateState {
        newest: Some(run_id),
        published: None,
    }
}

/// Who decided to plan while the date's run was unfinished must not replace it once it is
/// published: for that a reason is asked.
fn a_run_that_was_published_meanwhile_is_not_replaced(home: &Home) {
    let mut ledger = home.open();
    let run = new_run("2026-11-23");
    let first = published(&mut ledger, &run);
    let planning = try_plan(&mut ledger, &run, &[4], unfinished(first));
    assert_eq!(planning, Planning::Overtaken);
    assert_eq!(home.counts(&["runs"]), ["1"]);
}

/// A published run of nothing but one dead letter.
fn with_a_dead_letter(ledger: &mut Ledger, run: &NewRun) -> i64 {
    let run_id = plan(ledger, run, &[1]);
    let claims = claim(ledger, run_id, "owner", 1);
    let values = Outputs::Regression { values: Vec::new() };
    let ids = arrow::array::StringArray::from(Vec::<&str>::new());
    let none = Predictions::new(ids, Vec::new(), values).expect("no predictions");
    let letter = DeadLetter {
        ordinal: 0,
        record_id: Some("r0".to_owned()),
        stage: Stage::Validate,
        code: "missing_value".into(),
        field: None,
        message: String::new(),
    };
    commit(ledger, run_id, &commit_of(&claims[0], none, vec![letter]));
    let (finished, _) = try_finish(ledger, run_id, Publication::Published);
    assert!(finished.is_ok());
    run_id
}

#[track_caller]
fn plan_retry(ledger: &mut Ledger, parent: i64) -> Planning {
    let mut run = new_run("2026-11-23");
    run.parent_run_id = Some(parent);
    let shards = slices(&[1]);
    let input = PlannedInput::Slices {
        shards: &shards,
        input: &|_| Ok(Vec::new()),
    };
    let known = RetriedRun {
        run_id: parent,
        newest_child: ledger.newest_child(parent).expect("an answer"),
    };
    ledger.plan_retry(&run, &input, known).expect("an answer")
}

fn what_was_pruned_meanwhile_is_not_retried(home: &Home) {
    let mut ledger = home.open();
    let parent = with_a_dead_letter(&mut ledger, &new_run("2026-11-23"));
    for column in ["dead_letters_pruned_at", "pruned_at"] {
        home.execute(&format!("UPDATE runs SET {column} = completed_at"));
        assert_eq!(plan_retry(&mut ledger, parent), Planning::Overtaken);
        home.execute(&format!("UPDATE runs SET {column} = NULL"));
    }
    assert_eq!(home.counts(&["runs"]), ["1"]);
    let planned = plan_retry(&mut ledger, parent);
    assert!(matches!(planned, Planning::Planned { .. }));
}

fn what_is_retried_meanwhile_keeps_its_dead_letters(home: &Home) {
    let mut ledger = home.open();
    let parent = with_a_dead_letter(&mut ledger, &new_run("2026-11-23"));
    let seen = ledger.run(parent).unwrap().expect("the run");
    let Planning::Planned { run_id, .. } = plan_retry(&mut ledger, parent) else {
        panic!("nobody else plans");
    };
    let proceed = &mut || Ok(());
    assert_eq!(ledger.prune_dead_letters(&seen, proceed).unwrap(), None);
    assert_eq!(home.counts(&["dead_letters"]), ["1"]);
    let stored = ledger.run(parent).unwrap().expect("the run");
    assert_eq!(stored.dead_letters_pruned_at, None);
    ledger.cancel_run(run_id).unwrap();
    assert_eq!(ledger.prune_dead_letters(&seen, proceed).unwrap(), Some(1));
    assert_eq!(home.counts(&["dead_letters"]), ["0"]);
}
