//! Every fault many times over, and a table of what came of it: `make chaos`.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Instant;

use crate::faults::{clocks, conflicts, connections, full, killed, silence, syscalls, together};
use crate::harness::small_disk::is_root;
use crate::harness::tally::Tally;
use crate::harness::{pgbouncer, strace};
use crate::harness::{processor, repository};

/// How often each fault is to strike, at least in the campaign of `make chaos`.
const KILLS: &str = "LAMPLIGHTER_CHAOS";

const TABLE: &str = "tests/CHAOS.md";

type Fault = Box<dyn Fn() -> Tally>;

/// All faults, with how often each of them is to be tried when kills are to strike `kills` times.
fn faults(kills: u64) -> Vec<Fault> {
    let part = move |divisor: u64| kills.div_ceil(divisor);
    let (few, some, many) = (part(50), part(10), part(2));
    let mut all: Vec<Fault> = vec![
        Box::new(move || killed::on_sqlite(kills)),
        Box::new(move || killed::on_postgres(kills)),
        Box::new(move || killed::among_peers(kills)),
    ];
    if !pgbouncer::is_left_out() {
        all.push(Box::new(move || killed::behind_pgbouncer(many)));
    }
    if !strace::is_left_out() {
        all.push(Box::new(move || syscalls::killed_on_sqlite(many)));
        all.push(Box::new(move || syscalls::killed_on_postgres(many)));
        all.push(Box::new(move || syscalls::failing_disk(part(8))));
        all.push(Box::new(move || syscalls::broken_connection(part(4))));
    }
    all.push(Box::new(move || connections::slept(some)));
    all.push(Box::new(move || connections::crashed(some)));
    all.push(Box::new(move || connections::terminated_in_copy(some)));
    all.push(Box::new(move || connections::terminated(many)));
    all.push(Box::new(move || connections::one_connection(few)));
    all.push(Box::new(move || silence::silent(some)));
    all.push(Box::new(move || silence::unheard(few)));
    all.push(Box::new(move || conflicts::deadlocked(few)));
    all.push(Box::new(move || conflicts::refused(5)));
    all.push(Box::new(move || conflicts::locked_out(few)));
    // Elsewhere its tests run it where file systems may be mounted.
    if is_root() {
        all.push(Box::new(move || full::full_server(some)));
        all.push(Box::new(move || full::full_log(few)));
    } else {
        println!("NOT tried: full disks of the server, which only root can mount here");
    }
    all.push(Box::new(move || full::read_only(few)));
    all.push(Box::new(move || together::on_postgres(part(5))));
    all.push(Box::new(move || together::on_sqlite(part(5))));
    if !clocks::is_left_out() {
        all.push(Box::new(move || clocks::wrong(few)));
    }
    all
}

fn table(kills: &str, commit: &str, tallies: &[Tally], minutes: u64) -> String {
    let mut text = format!(
        "# What faults did\n\n\
         `make chaos CHAOS={kills}` on {}, {}, commit {commit}, in {minutes} minutes.\n\n\
         Each fault befalls runs of 6,000 records in 60 shards on the real binary. *Struck* counts the tries in\n\
         which the fault is seen to have happened. Then the run is completed, and every prediction and dead\n\
         letter is compared with an undisturbed run's, bit for bit. *Wrong exit codes* are ends that do not say the\n\
         truth: 0 before consumers see the date, codes that are not documented for the fault, claims left behind\n\
         by an orderly end, and runs that `runs verify` refuses.\n\n\
         | fault | tries | struck | lost | doubled | wrong bits | wrong exit codes |\n\
         |---|---:|---:|---:|---:|---:|---:|\n",
        jiff::Timestamp::now().strftime("%Y-%m-%d"),
        processor(),
    );
    for tally in tallies {
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            tally.fault,
            tally.tries,
            tally.struck,
            tally.lost,
            tally.doubled,
            tally.wrong_bits,
            tally.wrong_exit_codes
        )
        .expect("text");
    }
    text
}

fn commit() -> String {
    let asked = Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .current_dir(repository())
        .output();
    let commit = asked.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    commit.unwrap_or_else(|_| "unknown".to_owned())
}

#[test]
fn whatever_fails_nothing_is_lost_or_doubled_no_bit_differs_and_exit_codes_are_true() {
    match std::env::var(KILLS) {
        Ok(kills) => run_all(&kills),
        // Each fault's own tests are the bounded part; here it is the campaign's table that counts.
        Err(_) => check_kept_table(),
    }
}

/// Each row has strikes and no damage.
fn check_kept_table() {
    let text = fs::read_to_string(repository().join(TABLE)).expect("the table");
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let rows: Vec<Vec<&str>> = rows.map(|row| row.split(" | ").collect()).collect();
    assert!(rows.len() > 20, "{} faults", rows.len());
    for row in &rows[1..] {
        assert_eq!(row[3..], ["0", "0", "0", "0 |"], "{row:?}");
        assert_ne!(row[2], "0", "{row:?}");
    }
}

fn run_all(kills: &str) {
    // Before the table changes.
    let commit = commit();
    let begun = Instant::now();
    let mut tallies: Vec<Tally> = Vec::new();
    for fault in faults(kills.parse().expect("a number of kills")) {
        let since = Instant::now();
        let tally = fault();
        let seconds = since.elapsed().as_secs();
        println!(
            "{}: {} of {} struck in {seconds} s",
            tally.fault, tally.struck, tally.tries
        );
        for note in &tally.notes {
            println!("    {note}");
        }
        tallies.push(tally);
        // Whatever comes next, what was measured is kept.
        let text = table(kills, &commit, &tallies, begun.elapsed().as_secs() / 60);
        fs::write(repository().join(TABLE), text).expect("the table");
    }
    for tally in tallies {
        tally.check(1);
    }
}
