//! Disks that are full, of the server and of its log, and files that may not be written.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::harness::Ended;
use crate::harness::night::{Night, date};
use crate::harness::postgres::Cluster;
use crate::harness::small_disk::{SmallDisk, may_mount, set_mode, without_privileges};
use crate::harness::started::Started;
use crate::harness::tally::Tally;

/// A directory that the server's user can enter.
fn directory() -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    set_mode(directory.path(), 0o755);
    directory
}

/// Whoever meets a server that is away gives up soon.
const IMPATIENT: [&str; 2] = ["--set", "sink.retry_for=1s"];

/// Servers whose disk has room for a part of a night's predictions.
pub fn full_server(tries: u64) -> Tally {
    let mut tally = Tally::new("the server's disk is full (53100), then has room again");
    let directory = directory();
    let disk = SmallDisk::at(directory.path().join("data"), 160 << 20);
    let wal = SmallDisk::at(directory.path().join("wal"), 512 << 20);
    // Nothing but the run is to write.
    let quiet = ["autovacuum = off", "checkpoint_timeout = '1d'"];
    let cluster = Cluster::start_on(Some(&disk), Some(&wal), &quiet);
    for number in 0..tries {
        // A table that was never written to has no pages to fill.
        let night = Night::in_database(cluster.database());
        let date = date(number);
        let filler = disk.fill((number % 8) * (96 << 10));
        let ended = Ended::of(&mut night.run(&date, &IMPATIENT));
        tally.tries += 1;
        tally.struck += u64::from(ended.stderr.contains("(53100)"));
        if night.judge_end(&date, &ended, &[74], &mut tally)
            && !ended.stderr.contains("the server's disk is full")
        {
            tally.wrong_end("74, but not for a full disk", &ended);
        }
        fs::remove_file(filler).expect("the filler");
        night.complete(&date, &mut tally);
        night.judge(&date, &mut tally);
    }
    drop(cluster);
    tally
}

/// Servers that end in panic, as their write-ahead log has no room.
pub fn full_log(tries: u64) -> Tally {
    let mut tally =
        Tally::new("the disk of the server's write-ahead log is full (PANIC), then a restart");
    let directory = directory();
    let wal = SmallDisk::at(directory.path().join("wal"), 64 << 20);
    // What was written before a checkpoint is not needed after it; room for the next try.
    let cluster = Cluster::start_on(
        None,
        Some(&wal),
        &["wal_recycle = off", "min_wal_size = 2MB"],
    );
    let panics = || cluster.log().matches("PANIC:").count();
    for number in 0..tries {
        let night = Night::in_database(cluster.database());
        let before = panics();
        let filler = wal.fill((number % 4) * (300 << 10));
        // What room the last piece of the log has is the server's affair.
        let dates: Vec<String> = (0..20)
            .map(date)
            .take_while(|date| {
                panics() == before && {
                    let ended = Ended::of(&mut night.run(date, &IMPATIENT));
                    let may_be_done = panics() == before;
                    let codes = if may_be_done { [0; 2] } else { [69, 74] };
                    tally.expect(&ended, &codes);
                    true
                }
            })
            .collect();
        tally.tries += 1;
        tally.struck += u64::from(panics() > before);
        fs::remove_file(filler).expect("the filler");
        cluster.restart();
        for date in &dates {
            night.complete(date, &mut tally);
            night.judge(date, &mut tally);
        }
    }
    drop(cluster);
    tally
}

/// A night on SQLite that was killed midway.
fn killed_midway(date: &str) -> Night {
    let night = Night::in_sqlite();
    let killed = Started::new(&mut night.run(date, &[]));
    killed.until("scoring");
    killed.killed();
    night
}

/// What may not be written: the database's file, its directory, their file system.
pub fn read_only(tries: u64) -> Tally {
    let mut tally = Tally::new("read-only database file, log, or directory; SQLite");
    for number in 0..tries {
        let date = date(number);
        let night = killed_midway(&date);
        let workspace = &night.results.workspace;
        let close = |path: &Path| {
            let is_directory = path.is_dir();
            let [open, closed] = if is_directory {
                [0o755, 0o555]
            } else {
                [0o644, 0o444]
            };
            set_mode(path, closed);
            let ended = without_privileges(workspace, &mut night.run(&date, &[]));
            set_mode(path, open);
            ended
        };
        for name in [
            "lamplighter.db",
            "lamplighter.db-wal",
            "lamplighter.db.lock",
            "",
        ] {
            let path = workspace.path(name);
            if !path.exists() {
                continue;
            }
            let ended = close(&path);
            tally.tries += 1;
            tally.struck += u64::from(ended.code != Some(0));
            // Where all files are there already, no directory needs to be written.
            let codes = if name.is_empty() {
                &[74, 77, 0][..]
            } else {
                &[74, 77]
            };
            night.judge_end(&date, &ended, codes, &mut tally);
        }
        night.complete(&date, &mut tally);
        night.judge(&date, &mut tally);
    }
    tally
}

#[test]
fn a_servers_full_disk_is_74_and_the_run_is_completed_once_there_is_room() {
    let name =
        "faults::full::a_servers_full_disk_is_74_and_the_run_is_completed_once_there_is_room";
    if may_mount(name) {
        full_server(3).check(3);
    }
}

#[test]
fn a_server_whose_log_has_no_room_panics_and_the_run_is_completed_after_a_restart() {
    let name = "faults::full::a_server_whose_log_has_no_room_panics_and_the_run_is_completed_after_a_restart";
    if may_mount(name) {
        full_log(2).check(2);
    }
}

#[test]
fn what_may_not_be_written_is_74_or_77_and_left_as_it_was() {
    read_only(2).check(6);
}
