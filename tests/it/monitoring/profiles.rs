use std::os::unix::process::ExitStatusExt;

use serde_json::Value;

use super::{job, make_reference, put_bundle};
use crate::harness::results::Results;
use crate::harness::{flights, read_text};

fn put(results: &Results) -> String {
    put_bundle(&results.workspace);
    let data = flights::files()[0].to_string_lossy().into_owned();
    make_reference(results, &data);
    let later = flights::files()[1].to_string_lossy().into_owned();
    results
        .workspace
        .write("job.toml", job(&later, "[run]\nshard_size = 250\n"));
    data
}

/// The profile of the one run, sums without their last digits, and its drift as stored.
fn found(results: &Results) -> (Value, Vec<Vec<String>>) {
    let stored = results.value("SELECT profile FROM profiles");
    let mut profile: Value = serde_json::from_str(&stored).expect("JSON");
    for series in profile["series"].as_array_mut().expect("a list") {
        for key in ["sum", "squares"] {
            if let Some(number) = series[key].as_f64() {
                series[key] = Value::from(format!("{number:.8e}"));
            }
        }
    }
    let drift = results.query(
        "SELECT side, name, level, psi, psi_corrected, jensen_shannon, kolmogorov_smirnov, wasserstein,
                cramers_v, l_infinity, missing_share, mean, standard_deviation, reasons
         FROM drift ORDER BY side, name",
    );
    (profile, drift)
}

const RUN: [&str; 4] = ["run", "job.toml", "--date", "2013-11-01"];

#[test]
fn workers_and_deaths_change_no_profile_and_no_drift() {
    let undisturbed = Results::in_sqlite();
    put(&undisturbed);
    undisturbed
        .lamplighter(&[&RUN[..], &["--workers", "1"]].concat())
        .expect(0);
    let expected = found(&undisturbed);
    assert_eq!(expected.1.len(), 23);

    let crowded = Results::in_postgres();
    put(&crowded);
    crowded
        .lamplighter(&[&RUN[..], &["--workers", "8"]].concat())
        .expect(0);
    let (profile, drift) = found(&crowded);
    assert_eq!(profile, expected.0);
    assert_eq!(drift.len(), expected.1.len());

    let killed = Results::in_sqlite();
    put(&killed);
    let ids = read_text(&flights::files()[1], "flight_id");
    // One place kills twice, so that a process of its own scores what was in hand there in the end.
    for row in [100, 6_000, 6_000, 14_000, 22_000] {
        let mut command = killed.command(&[&RUN[..], &["--workers", "1"]].concat());
        command.env("LAMPLIGHTER_FAULT", format!("abort:{}", ids[row]));
        let ended = command.output().expect("the binary starts");
        assert!(ended.status.signal().is_some(), "it should have died");
    }
    killed.lamplighter(&RUN).expect(0);
    assert_eq!(killed.value("SELECT count(*) FROM run_attempts"), "6");
    let (profile, drift) = found(&killed);
    assert_eq!(profile, expected.0);
    assert_eq!(drift, expected.1);
}

#[test]
fn a_profile_is_pruned_with_what_it_was_made_of() {
    for results in Results::in_each() {
        put(&results);
        results.lamplighter(&RUN).expect(0);
        let prune = [
            "runs",
            "prune",
            "job.toml",
            "--set",
            "retention.profiles=0s",
        ];
        results.lamplighter(&prune).expect(0);
        assert_eq!(results.value("SELECT count(*) FROM profiles"), "0");
        assert_eq!(
            results.value("SELECT count(*) FROM shards WHERE profile IS NOT NULL"),
            "0"
        );
        results
            .lamplighter(&["drift", "job.toml"])
            .expect(64)
            .says(&["was pruned"]);
        results.lamplighter(&["runs", "verify"]).expect(0);
    }
}
