//! What judges all the others notices damage.

use crate::harness::Ended;
use crate::harness::night::{Night, date};
use crate::harness::tally::Tally;

fn damaged(night: &Night, sql: &str) -> Tally {
    let mut tally = Tally::new("damage by hand");
    let date = date(0);
    let ended = Ended::of(&mut night.run(&date, &[]));
    night.judge_end(&date, &ended, &[0], &mut tally);
    night.judge(&date, &mut tally);
    assert!(tally.is_clean(), "{tally:#?}");
    night.results.execute(sql);
    night.judge(&date, &mut tally);
    assert!(!tally.is_clean(), "{sql}");
    tally
}

fn nights() -> [Night; 2] {
    [Night::in_sqlite(), Night::in_postgres()]
}

#[test]
fn a_record_that_is_gone_is_lost() {
    for night in nights() {
        let tally = damaged(
            &night,
            "DELETE FROM predictions WHERE ordinal IN (100, 200)",
        );
        assert_eq!((tally.lost, tally.doubled, tally.wrong_bits), (2, 0, 0));
        assert_eq!(tally.wrong_exit_codes, 1, "`runs verify` refuses it");
    }
    for night in nights() {
        let tally = damaged(&night, "DELETE FROM dead_letters WHERE ordinal = 30");
        assert_eq!((tally.lost, tally.doubled, tally.wrong_bits), (1, 0, 0));
    }
}

#[test]
fn a_record_that_is_there_twice_is_doubled() {
    for night in nights() {
        let tally = damaged(
            &night,
            "INSERT INTO predictions (run_id, record_id, ordinal, label, score)
             SELECT run_id, 'another', ordinal, label, score FROM predictions WHERE ordinal = 100",
        );
        // By its ordinal, and as one that should not be there.
        assert_eq!((tally.lost, tally.doubled, tally.wrong_bits), (0, 2, 0));
    }
}

#[test]
fn a_single_bit_that_differs_is_wrong() {
    for night in nights() {
        let tally = damaged(
            &night,
            "UPDATE predictions SET score = score + 0.0000001 WHERE ordinal = 100",
        );
        assert_eq!((tally.lost, tally.doubled, tally.wrong_bits), (0, 0, 1));
    }
}

#[test]
fn a_code_that_is_not_the_truth_is_counted() {
    for night in nights() {
        let mut tally = Tally::default();
        let date = date(0);
        let ended = Ended::of(&mut night.run(&date, &[]));
        night.results.execute("DELETE FROM publications");
        night.judge_end(&date, &ended, &[0], &mut tally);
        night.judge_end(&date, &ended, &[75], &mut tally);
        assert_eq!(tally.wrong_exit_codes, 3, "{tally:#?}");
    }
}
