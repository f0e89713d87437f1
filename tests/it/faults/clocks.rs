//! Processes whose clocks are wrong, by `libfaketime`.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::harness::flights_on_postgres::{barrier, until_it_holds};
use crate::harness::night::{Night, date};
use crate::harness::started::Started;
use crate::harness::tally::Tally;

/// What each process's clock is wrong by.
const SKEWS: [&str; 3] = ["+2h", "-2h", "+0"];

/// Where Debian has it.
fn library() -> Option<PathBuf> {
    ["/usr/lib/*", "/usr/lib"]
        .iter()
        .map(|place| format!("{place}/faketime/libfaketimeMT.so.1"))
        .flat_map(|pattern| glob::glob(&pattern).expect("a pattern").flatten())
        .next()
}

/// Whether there is none, and `make test`, which could not install it, has said so and asked to go
/// on without. Nobody else may leave it out.
pub fn is_left_out() -> bool {
    library().is_none() && std::env::var_os("TEST_WITHOUT_FAKETIME").is_some()
}

/// Three processes of different times on one run.
pub fn wrong(tries: u64) -> Tally {
    let library = library()
        .expect("faketime is not installed: `make test` installs it, or `make programs` alone");
    let night = Night::in_postgres();
    let mut tally = Tally::new("clocks two hours ahead and two hours behind");
    for date in (0..tries).map(date) {
        let closed = barrier(night.database());
        let mut all = SKEWS.map(|skew| {
            let mut command = night.run(&date, &[]);
            command
                .env("LD_PRELOAD", &library)
                .env("FAKETIME", skew)
                // How long something takes is measured by another clock, which nobody sets.
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
                .env("DONT_FAKE_MONOTONIC", "1");
            Started::new(&mut command)
        });
        for started in &mut all {
            until_it_holds(night.database(), started);
        }
        drop(closed);
        tally.tries += 2;
        for started in all {
            let ended = started.end();
            let told = ended.stderr.split_whitespace().next();
            let told = told.and_then(|word| word.parse::<Timestamp>().ok());
            let skew = told.map(|told| told.duration_since(Timestamp::now()).as_secs().abs());
            tally.struck += u64::from(skew.is_some_and(|seconds| seconds > 3600));
            if ended.stderr.contains("lapsed") {
                tally.wrong_end("a lease was lost", &ended);
            }
            night.judge_end(&date, &ended, &[0], &mut tally);
        }
        let taken_twice = night.results.value(&format!(
            "SELECT count(*) FROM shards JOIN runs USING (run_id) WHERE logical_date = '{date}' AND epoch > 1"
        ));
        if taken_twice != "0" {
            let note = format!("{date}: {taken_twice} shards were taken from who held them");
            tally.notes.push(note);
        }
        night.judge(&date, &mut tally);
    }
    tally
}

#[test]
fn processes_whose_clocks_differ_by_hours_keep_their_leases_on_one_run() {
    if is_left_out() {
        return;
    }
    wrong(2).check(4);
}
