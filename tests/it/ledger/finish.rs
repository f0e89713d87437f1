use lamplighter::error::{Class, classify};
use lamplighter::ledger::{Access, Finishing, Ledger, Publication, State, verify};

use super::{
    Home, claim, commit, complete_shards, finish_of, new_run, plan, published, try_finish, work,
};

on_both! {
    a_run_with_an_unfinished_shard_can_not_be_finished,
    a_finished_run_is_what_consumers_see,
    a_later_publication_takes_the_place_of_the_earlier,
    what_is_withheld_leaves_the_earlier_publication_alone,
    a_run_is_finished_once,
    a_run_that_was_given_up_is_not_finished,
    a_conclusion_that_fails_leaves_the_run_as_it_was,
    one_moment_stays_the_same_while_others_write,
}

const DATE: &str = "2026-11-23";

fn run_of(ledger: &mut Ledger, run_id: i64) -> (State, Publication) {
    let run = ledger.run(run_id).unwrap().expect("the run");
    (run.state, run.publication)
}

fn a_run_with_an_unfinished_shard_can_not_be_finished(home: &Home) {
    let mut ledger = home.open();
    let run_id = plan(&mut ledger, &new_run(DATE), &[3, 2]);
    let claims = claim(&mut ledger, run_id, "owner", 2);
    commit(&mut ledger, run_id, &work(&claims[0], 1.0));
    let (finished, asked) = try_finish(&mut ledger, run_id, Publication::Published);
    let error = finished.err().expect("a refusal");
    assert_eq!(asked, 1);
    assert_eq!(classify(&error), Class::Internal, "{error:#}");
    let after = (State::Running, Publication::Pending);
    assert_eq!(run_of(&mut ledger, run_id), after);
    assert_eq!(home.counts(&["publications", "reports"]), ["0", "0"]);
}

fn a_finished_run_is_what_consumers_see(home: &Home) {
    let mut ledger = home.open();
    let run_id = plan(&mut ledger, &new_run(DATE), &[3, 2]);
    complete_shards(&mut ledger, run_id);
    assert_eq!(home.counts(&["predictions_by_date"]), ["0"], "not before");
    let (finished, _) = try_finish(&mut ledger, run_id, Publication::Published);
    assert!(matches!(finished, Ok(Finishing::Finished(()))));
    assert_eq!(home.counts(&["predictions_by_date"]), ["5"]);
    assert_eq!(home.counts(&["predictions_latest"]), ["5"]);
    let run = ledger.run(run_id).unwrap().expect("the run");
    assert_eq!((run.predicted, run.dead_letters), (Some(5), Some(0)));
    assert!(run.completed_at.is_some());
    assert_eq!(ledger.report(run_id).unwrap().as_deref(), Some("{}"));
    let verification = verify::verify(&mut ledger, &run).unwrap();
    assert!(verification.ok, "{:?}", verification.findings);
}

fn a_later_publication_takes_the_place_of_the_earlier(home: &Home) {
    let mut ledger = home.open();
    let other = published(&mut ledger, &new_run("2026-11-22"));
    let earlier = published(&mut ledger, &new_run(DATE));
    let later = published(&mut ledger, &new_run(DATE));
    let withheld = (State::Completed, Publication::Withheld);
    assert_eq!(run_of(&mut ledger, earlier), withheld);
    let seen = "SELECT DISTINCT run_id FROM predictions_by_date ORDER BY run_id";
    assert_eq!(
        home.query(seen),
        [[other.to_string()], [later.to_string()]],
        "one run of each date"
    );
    let of_date = ledger.published_run("simple", DATE).unwrap();
    assert_eq!(of_date, Some(later));
}

fn what_is_withheld_leaves_the_earlier_publication_alone(home: &Home) {
    let mut ledger = home.open();
    let earlier = published(&mut ledger, &new_run(DATE));
    let run_id = plan(&mut ledger, &new_run(DATE), &[1]);
    complete_shards(&mut ledger, run_id);
    let (finished, _) = try_finish(&mut ledger, run_id, Publication::Withheld);
    assert!(matches!(finished, Ok(Finishing::Finished(()))));
    let of_date = ledger.published_run("simple", DATE).unwrap();
    assert_eq!(of_date, Some(earlier));
    let seen = (State::Completed, Publication::Published);
    assert_eq!(run_of(&mut ledger, earlier), seen);
}

fn a_run_is_finished_once(home: &Home) {
    let mut ledger = home.open();
    let run_id = published(&mut ledger, &new_run(DATE));
    let (again, asked) = try_finish(&mut ledger, run_id, Publication::Withheld);
    assert!(matches!(again, Ok(Finishing::Ended)));
    assert_eq!(asked, 0, "nobody is asked for a second verdict");
    let before = (State::Completed, Publication::Published);
    assert_eq!(run_of(&mut ledger, run_id), before);
    assert_eq!(home.counts(&["reports"]), ["1"]);
}

fn a_run_that_was_given_up_is_not_finished(home: &Home) {
    let mut ledger = home.open();
    let run_id = plan(&mut ledger, &new_run(DATE), &[1]);
    complete_shards(&mut ledger, run_id);
    ledger.cancel_run(run_id).unwrap();
    let (finished, asked) = try_finish(&mut ledger, run_id, Publication::Published);
    assert!(matches!(finished, Ok(Finishing::Ended)));
    assert_eq!(asked, 0);
    assert_eq!(home.counts(&["publications", "reports"]), ["0", "0"]);
}

fn a_conclusion_that_fails_leaves_the_run_as_it_was(home: &Home) {
    let mut ledger = home.open();
    let run_id = plan(&mut ledger, &new_run(DATE), &[1]);
    complete_shards(&mut ledger, run_id);
    let failed = ledger.finish_run::<()>(run_id, &mut |_| anyhow::bail!("no verdict"));
    let error = failed.err().expect("the fault");
    assert!(format!("{error:#}").contains("no verdict"));
    let after = (State::Running, Publication::Pending);
    assert_eq!(run_of(&mut ledger, run_id), after);
    let (finished, _) = try_finish(&mut ledger, run_id, Publication::Published);
    assert!(matches!(finished, Ok(Finishing::Finished(()))));
}

fn one_moment_stays_the_same_while_others_write(home: &Home) {
    let mut writer = home.open();
    let run_id = plan(&mut writer, &new_run(DATE), &[3, 2]);
    let mut reader = home.open_for(Access::Read);
    let look = |reader: &mut Ledger| {
        let progress = reader.progress(run_id).unwrap();
        let (totals, unfinished) = reader.totals(run_id).unwrap();
        let state = run_of(reader, run_id).0;
        (
            progress.completed_shards,
            totals.predicted,
            unfinished,
            state,
        )
    };
    let (before, during) = reader
        .at_one_moment(|reader| {
            let before = look(reader);
            complete_shards(&mut writer, run_id);
            let (finished, _) = try_finish(&mut writer, run_id, Publication::Published);
            assert!(matches!(finished, Ok(Finishing::Finished(()))));
            Ok((before, look(reader)))
        })
        .unwrap();
    assert_eq!(before, (0, 0, 2, State::Running));
    assert_eq!(during, before);
    assert_eq!(look(&mut reader), (2, 5, 0, State::Completed));
}

#[test]
fn while_one_finishes_another_waits_and_concludes_nothing() {
    let home = Home::postgres();
    let mut ledger = home.open();
    let mut other = home.open();
    let run_id = plan(&mut ledger, &new_run(DATE), &[1]);
    complete_shards(&mut ledger, run_id);
    let mut conclude = |ledger: &mut Ledger| {
        let (meanwhile, asked) = try_finish(&mut other, run_id, Publication::Withheld);
        assert!(matches!(meanwhile, Ok(Finishing::Busy)));
        assert_eq!(asked, 0);
        Ok((finish_of(ledger, run_id, Publication::Published)?, ()))
    };
    let finished = ledger.finish_run(run_id, &mut conclude);
    assert!(matches!(finished, Ok(Finishing::Finished(()))));
    let (after, _) = try_finish(&mut other, run_id, Publication::Withheld);
    assert!(matches!(after, Ok(Finishing::Ended)));
    assert_eq!(home.counts(&["reports"]), ["1"]);
}

#[test]
fn a_connection_that_is_lost_midway_costs_another_try_and_no_more() {
    let home = Home::postgres();
    let mut ledger = home.open();
    let run_id = plan(&mut ledger, &new_run(DATE), &[1]);
    complete_shards(&mut ledger, run_id);
    let mut asked = 0;
    let finished = ledger.finish_run(run_id, &mut |ledger| {
        asked += 1;
        if asked == 1 {
            let terminated = home.value(
                "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name = 'lamplighter'
                   AND xact_start IS NOT NULL",
            );
            assert_eq!(terminated, "1");
        }
        let mut shards = 0;
        ledger.for_each_shard_stats(run_id, |_, _| {
            shards += 1;
            Ok(())
        })?;
        assert_eq!(shards, 1);
        Ok((finish_of(ledger, run_id, Publication::Published)?, ()))
    });
    assert!(matches!(finished, Ok(Finishing::Finished(()))));
    assert_eq!(asked, 2);
    assert_eq!(home.counts(&["publications", "reports"]), ["1", "1"]);
}
