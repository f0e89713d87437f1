//! The hash that the committing process computed is the hash of what is read back. The expected
//! hashes stand on what was committed, so they are the very same for both databases.

use std::sync::Arc;

use arrow::array::StringArray;
use lamplighter::ledger::{Committed, Finishing, Publication, verify};
use lamplighter::record::{DeadLetter, OutputHasher, Outputs, Predictions, Stage};

use super::{Home, claim, commit, commit_of, new_run, plan, try_finish};

on_both! {
    regressions_come_back_bit_by_bit,
    binary_scores_come_back_bit_by_bit,
    probabilities_come_back_bit_by_bit,
    dead_letters_come_back_letter_by_letter,
    ids_come_back_letter_by_letter,
    a_zero_has_no_sign,
}

/// Texts that a layer on the way might change.
const AWKWARD: [&str; 12] = [
    "",
    " ",
    "O'Hare",
    "\"quoted\"",
    "back\\slash \\N \\.",
    "tab\tline\nreturn\r",
    "\u{1}\u{1f}\u{7f}\u{80}",
    "é e\u{301} ﬁ",
    "東京 🛫 \u{10ffff}",
    "{1,2} $1 ?1 %s",
    "null",
    "\u{feff}bom",
];

/// Commits one shard with this, reads it back, and holds the hash of that against the one of what
/// was committed; and lets `runs verify` say the same.
#[track_caller]
fn round_trip(home: &Home, predictions: Predictions, dead_letters: Vec<DeadLetter>) {
    let records = (predictions.len() + dead_letters.len()) as u64;
    let mut ledger = home.open();
    let run_id = plan(&mut ledger, &new_run("2026-11-23"), &[records]);
    let claims = claim(&mut ledger, run_id, "owner", 1);
    let work = commit_of(&claims[0], predictions, dead_letters);
    assert_eq!(commit(&mut ledger, run_id, &work), Committed::Yes);

    let mut hasher = OutputHasher::new(0, records, 0);
    let mut found = Vec::new();
    ledger
        .for_each_prediction(run_id, |row| {
            hasher.prediction(row);
            found.push(format!("{row:?}"));
        })
        .unwrap();
    // Says which one differs, where the hash below only says that one does.
    for (found, expected) in found.iter().zip(work.predictions.rows()) {
        assert_eq!(*found, format!("{expected:?}"));
    }
    assert_eq!(found.len(), work.predictions.len());
    ledger
        .for_each_dead_letter(run_id, None, |letter| {
            hasher.dead_letter(
                letter.ordinal,
                letter.record_id.as_deref(),
                &letter.stage,
                &letter.code,
                letter.field.as_deref(),
                &letter.message,
            );
            Ok(())
        })
        .unwrap();
    assert_eq!(hasher.finish(), work.output_hash);

    let (finished, _) = try_finish(&mut ledger, run_id, Publication::Published);
    assert!(matches!(finished, Ok(Finishing::Finished(()))));
    let run = ledger.run(run_id).unwrap().expect("the run");
    let verification = verify::verify(&mut ledger, &run).unwrap();
    assert!(verification.ok, "{:?}", verification.findings);
}

fn predictions(outputs: Outputs) -> Predictions {
    let count = outputs.len();
    // Ids descend where ordinals ascend.
    let ids = StringArray::from_iter_values((0..count).map(|row| format!("r{:03}", 999 - row)));
    Predictions::new(ids, (0..count as u64).collect(), outputs).expect("predictions")
}

fn regressions_come_back_bit_by_bit(home: &Home) {
    let values = vec![
        0.0,
        -0.0,
        f64::MIN_POSITIVE,
        f64::from_bits(1),
        -f64::from_bits(1),
        f64::MAX,
        f64::MIN,
        1e308,
        0.1,
        0.1 + 0.2,
        1.0 / 3.0,
        1.0,
        -3.0,
        9_007_199_254_740_993.0,
        9_223_372_036_854_775_808.0,
        1e22,
        1e23,
        5e-324,
    ];
    round_trip(home, predictions(Outputs::Regression { values }), vec![]);
}

/// Probabilities, and bits that no probability has.
fn odd_scores() -> Vec<f32> {
    vec![
        0.0,
        -0.0,
        1.0,
        0.1,
        0.5,
        1.0 - f32::EPSILON / 2.0,
        f32::from_bits(0x3f7f_fffd),
        f32::from_bits(0x3dcc_cccb),
        f32::MIN_POSITIVE,
        f32::from_bits(1),
        f32::from_bits(0x007f_ffff),
        f32::MAX,
        16_777_217.0,
    ]
}

fn binary_scores_come_back_bit_by_bit(home: &Home) {
    let scores = odd_scores();
    let outputs = Outputs::Binary {
        classes: Arc::from(["on time".to_owned(), "späť \"15'\"".to_owned()]),
        labels: (0..scores.len() as u32).map(|row| row % 2).collect(),
        scores,
    };
    round_trip(home, predictions(outputs), vec![]);
}

fn probabilities_come_back_bit_by_bit(home: &Home) {
    let scores = odd_scores();
    let classes: Arc<[String]> = AWKWARD[1..5].iter().map(|&name| name.to_owned()).collect();
    let probabilities = scores
        .iter()
        .flat_map(|&score| [score, 1.0 - score, 1e-45, 0.3])
        .collect();
    let outputs = Outputs::Multiclass {
        classes,
        labels: (0..scores.len() as u32).map(|row| row % 4).collect(),
        scores,
        probabilities,
    };
    round_trip(home, predictions(outputs), vec![]);
}

fn dead_letters_come_back_letter_by_letter(home: &Home) {
    let stages = [Stage::Read, Stage::Validate, Stage::Infer];
    let codes = ["missing_id", "out_of_range", "non_finite_output"];
    let letters = AWKWARD.iter().zip(0..).map(|(&text, row)| DeadLetter {
        ordinal: 2 + row as u64,
        record_id: (row % 3 != 0).then(|| text.to_owned()),
        stage: stages[row % 3],
        code: codes[row % 3].into(),
        field: (row % 2 != 0).then(|| text.to_owned()),
        message: text.to_owned(),
    });
    let outputs = Outputs::Regression {
        values: vec![1.0, 2.0],
    };
    round_trip(home, predictions(outputs), letters.collect());
}

fn ids_come_back_letter_by_letter(home: &Home) {
    let ids = StringArray::from_iter_values(AWKWARD);
    let ordinals = (0..AWKWARD.len() as u64).collect();
    let values = vec![1.5; AWKWARD.len()];
    let predictions = Predictions::new(ids, ordinals, Outputs::Regression { values });
    round_trip(home, predictions.expect("predictions"), vec![]);
}

fn a_zero_has_no_sign(home: &Home) {
    let values = vec![-0.0, 0.0];
    round_trip(home, predictions(Outputs::Regression { values }), vec![]);
    let run_id: i64 = home.value("SELECT run_id FROM runs").parse().unwrap();
    let mut signs = Vec::new();
    let read = home.open().for_each_prediction(run_id, |row| {
        signs.push(row.value.map(f64::is_sign_negative));
    });
    read.unwrap();
    assert_eq!(signs, [Some(false), Some(false)]);
}
