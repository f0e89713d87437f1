//! What is in `cron/` and `Dockerfile`: examples that a user can take as they are. Each is checked by the
//! rules of the program that reads it, for what it promises, and by running every command line in it.

/// Every command line.
mod command_lines;
/// The last stage of `Dockerfile`, entered.
mod container;
/// The crontab, as cron and its reader's mailbox see it.
mod crontab;
/// `Dockerfile` and what is sent to its builder.
mod dockerfile;
/// The manifests, as a cluster sees them.
mod kubernetes;
/// The units, under a systemd of their own.
mod own_systemd;
/// The units, as systemd reads them.
mod systemd;
/// YAML as JSON.
mod yaml;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use lamplighter::error::Class;

use crate::harness::programs::{is_left_out, tool};
use crate::harness::repository;
use crate::harness::small_disk::is_root;

/// Exit codes after which another start ends the same way.
const FINAL: [u8; 8] = [64, 65, 66, 70, 77, 78, 79, 80];

/// Exit codes after which another start goes on: those of the program, of a panic, and of a signal.
const TRIED_AGAIN: [u8; 9] = [69, 74, 75, 101, 130, 134, 137, 139, 143];

/// A file of `cron/`.
fn file(name: &str) -> String {
    let path = repository().join("cron").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Whether a script of `tests/` says that what it does works here.
fn works(script: &str) -> bool {
    let probe = Command::new(repository().join("tests").join(script))
        .arg("probe")
        .status();
    is_root() && probe.expect("the script").success()
}

/// Seconds of a duration such as `90s`, `10min` or `8h`.
fn seconds(duration: &str) -> u64 {
    let digits = duration.trim_end_matches(char::is_alphabetic);
    let unit = match &duration[digits.len()..] {
        "" | "s" => 1,
        "min" | "m" => 60,
        "h" => 3600,
        unit => panic!("{unit} is no unit that is known here"),
    };
    digits.parse::<u64>().expect("a number") * unit
}

/// The default of a key, as the table of keys tells users.
fn default_of(section: &str, key: &str) -> String {
    let table = fs::read_to_string(repository().join("jobs/README.md")).expect("the table of keys");
    let row = format!("| `[{section}]` | `{key}` | ");
    let cells = table.lines().find_map(|line| line.strip_prefix(&row));
    let cells = cells.unwrap_or_else(|| panic!("no row for [{section}] {key}"));
    let default = cells.split(" | ").nth(1).expect("a default");
    default.trim_matches(['`', '"']).to_owned()
}

/// The minute at which a job of this name begins: the command that the files tell their readers to use.
fn minute_of(job: &str) -> String {
    let script = "echo $(($(printf %s \"$0\" | cksum | cut -d' ' -f1) % 60))";
    let told = script.replace("\"$0\"", "flight-delay");
    for name in ["crontab", "kubernetes-cronjob.yaml", "README.md"] {
        assert!(file(name).contains(&told), "{name} tells another way");
    }
    let output = Command::new("sh").args(["-c", script, job]).output();
    let output = output.expect("a shell").stdout;
    String::from_utf8_lossy(&output).trim().to_owned()
}

#[test]
fn the_exit_codes_are_those_of_the_program() {
    let own: BTreeSet<u8> = (1..=u8::MAX)
        .filter(|code| Class::of_exit_code(*code).exit_code() == *code)
        .collect();
    let named: BTreeSet<u8> = FINAL.into_iter().chain(TRIED_AGAIN).collect();
    let of_others = BTreeSet::from([79, 101, 130, 134, 137, 139, 143]);
    assert_eq!(&own | &of_others, named);
    let again: BTreeSet<u8> = TRIED_AGAIN.into();
    let temporary = [Class::Unavailable, Class::Io, Class::Temporary].map(Class::exit_code);
    assert_eq!(&own & &again, temporary.into());
}

#[test]
fn no_file_holds_a_secret() {
    for entry in fs::read_dir(repository().join("cron")).expect("files") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("text");
        // The runbook's are typed by a person, and hold no password either.
        let is_runbook = path.ends_with("RUNBOOK.md");
        for word in ["PGPASSWORD=", "PGPASSWORD:", "DATABASE_URL=postgres"] {
            assert!(
                is_runbook || !text.contains(word),
                "{} has {word}",
                path.display()
            );
        }
        for url in text.split("postgres://").skip(1) {
            let login = url.split(['/', '@', ' ']).next().unwrap_or_default();
            assert!(
                !login.contains(':') || login.ends_with(":PASSWORD"),
                "{}: {login}",
                path.display()
            );
        }
    }
}

#[test]
fn the_page_says_of_every_exit_code_what_each_scheduler_does() {
    let page = file("README.md");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .map(|row| row.trim_end_matches(" |").split(" | ").collect())
        .collect();
    let of = |code: u8| {
        let names = |row: &&Vec<&str>| {
            row[0]
                .split([',', ';', ' '])
                .any(|word| word == code.to_string())
        };
        let row = rows.iter().find(names);
        row.unwrap_or_else(|| panic!("{code} is in no row"))
    };
    for code in TRIED_AGAIN {
        assert_eq!(of(code)[3..], ["tried again", "tried again"], "{code}");
    }
    for code in FINAL {
        assert!(!of(code)[3..].contains(&"tried again"), "{code}");
    }
    assert!(of(75)[2].starts_with("silence"));
    assert!(of(80)[2].starts_with("mail"));
}
