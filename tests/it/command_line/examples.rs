//! The examples of every `--help`: there are some, and they do what they say.
//!
//! To add a command is to write its examples for the world below: the fixtures, the jobs of the repository,
//! two nights of the flights, and records in the queue. What an example needs beyond that, what stands
//! for a server that only the reader has, and what it ends with if not 0, are the three tables.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::OnceLock;

use lamplighter::cli::Cli;

use crate::harness::postgres::{Database, cluster};
use crate::harness::{Ended, Workspace, repository};

/// What an example names that only its reader has, and what stands for it here; `{url}` is a database
/// of the test's own and `{psql}` a client.
const PLACEHOLDERS: [(&str, &str); 2] = [
    ("postgres://admin@db.example.com/scores", "'{url}'"),
    (
        "psql scores",
        "'{psql}' --set ON_ERROR_STOP=1 --quiet '{url}'",
    ),
];

/// What must have happened before the examples that begin so. `{url}` as above.
const BEFORE: [(&str, &str); 8] = [
    (
        "lamplighter db roles --schema team_a",
        "lamplighter db migrate --schema team_a --database '{url}'",
    ),
    (
        "lamplighter model import hf distilbert",
        "cp -RL fixtures/edge-cases/bert/distilbert . && rm distilbert/model.toml",
    ),
    (
        "lamplighter model profile",
        "cp -RL fixtures/models/flight-delay bundle; cp fixtures/flights/flights-2013-10.parquet train.parquet",
    ),
    (
        "lamplighter drift",
        "lamplighter run jobs/flight-delay.toml --date 2026-11-16 --set schedule.catch_up=0",
    ),
    (
        "lamplighter report --compare",
        "lamplighter run jobs/flight-delay.toml --date 2026-11-22",
    ),
    (
        "lamplighter runs publish",
        "printf '[[alert]]\\nname = \"gate\"\\nmetric = \"planned\"\\nop = \">\"\\nvalue = 0\\nactions = [\"withhold\"]\\n' >> jobs/flight-delay.toml;
         lamplighter run jobs/flight-delay.toml --date 2026-11-23 --rescore --reason gate; test $? = 79",
    ),
    (
        "lamplighter evaluate",
        "cp fixtures/ground-truth/flights.parquet checked.parquet",
    ),
    (
        "lamplighter records",
        "lamplighter runs cancel flight-delay@2026-11-22#1; echo 2013-10-01-US1877-EWR-0500 > ids.txt;
         printf 'flight_id\nc1\n' > people.csv; (umask 077; head -c 32 /dev/urandom > erasure.key)",
    ),
];

/// Examples that end otherwise than with 0, as their help says.
const EXIT_CODES: [(&str, i32); 0] = [];

/// A record of the flights, which the second night could not score.
const DEAD_LETTER: &str = "2013-10-01-US1877-EWR-0500";

/// The database of the world: `flight-delay@2026-11-22#1` was killed, `flight-delay@2026-11-23#1` is
/// published with one dead letter, and records of `flight-delay-queue` wait.
fn database() -> &'static [u8] {
    static DATABASE: OnceLock<Vec<u8>> = OnceLock::new();
    DATABASE.get_or_init(|| {
        let workspace = Workspace::new();
        set_up_files(&workspace);
        let run = |date: &str, fault: &str| {
            let arguments = ["run", "jobs/flight-delay.toml", "--date", date];
            let catch_up = ["--set", "schedule.catch_up=0", "--workers", "1"];
            let mut command = workspace.command(&[&arguments[..], &catch_up].concat());
            Ended::of(command.env("LAMPLIGHTER_FAULT", format!("{fault}:{DEAD_LETTER}")))
        };
        let killed = run("2026-11-22", "abort");
        assert!(killed.signal.is_some(), "{killed}");
        run("2026-11-23", "error").expect(0);
        let file = "fixtures/flights/flights-2013-10.parquet";
        let push = ["queue", "push", "jobs/flight-delay-queue.toml", file];
        workspace.lamplighter(&push).expect(0);
        // The last process to close the file has put into it what stood beside it.
        assert!(!workspace.path("lamplighter.db-wal").exists());
        fs::read(workspace.path("lamplighter.db")).expect("a database")
    })
}

fn set_up_files(workspace: &Workspace) {
    symlink(repository().join("fixtures"), workspace.path("fixtures")).expect("a link");
    workspace.copy_directory("jobs", "jobs");
}

/// The world as it is before every example.
fn world() -> Workspace {
    let workspace = Workspace::new();
    set_up_files(&workspace);
    workspace.write("lamplighter.db", database());
    workspace
}

/// Runs a line as a person would type it.
fn typed(workspace: &Workspace, line: &str, database: &mut Option<Database>) -> Ended {
    let mut line = line.to_owned();
    if line.contains("{url}") {
        let psql = cluster().binary("psql").display().to_string();
        let database = database.get_or_insert_with(|| cluster().database());
        line = line
            .replace("{psql}", &psql)
            .replace("{url}", &database.url());
    }
    Ended::of(&mut workspace.in_shell(&line))
}

/// Every command that is not hidden, as it is typed, with what its help ends with.
fn commands() -> Vec<(String, String)> {
    fn add(name: &str, command: &clap::Command, found: &mut Vec<(String, String)>) {
        for subcommand in command
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
        {
            let name = format!("{name} {}", subcommand.get_name());
            let end = subcommand
                .get_after_long_help()
                .or(subcommand.get_after_help());
            found.push((
                name.clone(),
                end.map(ToString::to_string).unwrap_or_default(),
            ));
            add(&name, subcommand, found);
        }
    }
    let mut found = Vec::new();
    add("lamplighter", &Cli::tree(), &mut found);
    assert!(found.len() > 15, "the commands are somewhere else");
    found
}

/// The lines after `Example:` or `Examples:`.
fn examples(help: &str) -> Vec<&str> {
    let lines = help
        .lines()
        .skip_while(|line| !matches!(*line, "Example:" | "Examples:"));
    let lines = lines.filter_map(|line| line.strip_prefix("  "));
    lines
        .filter(|line| line.starts_with("lamplighter "))
        .collect()
}

#[test]
fn every_command_has_an_example_of_its_own() {
    for (name, help) in commands() {
        let begin = format!("{name} ");
        let is_own = |line: &&str| format!("{line} ").starts_with(&begin);
        assert!(
            examples(&help).iter().any(is_own),
            "`{name}` has no example"
        );
    }
}

#[test]
fn no_example_is_broken_in_two() {
    // Help is at most 100 columns wide, and an example is indented by two.
    const WIDEST: usize = 98;
    for (name, help) in commands() {
        for example in examples(&help) {
            assert!(example.chars().count() <= WIDEST, "{name}: {example}");
        }
    }
}

#[test]
fn every_example_does_what_it_says() {
    let mut wrong = Vec::new();
    for (_, help) in commands() {
        for example in examples(&help) {
            let expected = EXIT_CODES.iter().find(|(line, _)| *line == example);
            let expected = expected.map_or(0, |(_, code)| *code);
            let (workspace, mut database) = (world(), None);
            for (_, line) in BEFORE
                .iter()
                .filter(|(begin, _)| example.starts_with(begin))
            {
                typed(&workspace, line, &mut database).expect(0);
            }
            let line = PLACEHOLDERS
                .iter()
                .fold(example.to_owned(), |line, (name, here)| {
                    line.replace(name, here)
                });
            let ended = typed(&workspace, &line, &mut database);
            if ended.code != Some(expected) {
                wrong.push(format!("{example}\n{ended}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn the_tables_name_no_example_that_is_gone() {
    let commands = commands();
    let all: Vec<&str> = commands
        .iter()
        .flat_map(|(_, help)| examples(help))
        .collect();
    let named = |part: &str| all.iter().any(|line| line.contains(part));
    let parts = PLACEHOLDERS.iter().map(|(part, _)| *part);
    let parts = parts.chain(BEFORE.iter().map(|(part, _)| *part));
    for part in parts.chain(EXIT_CODES.iter().map(|(part, _)| *part)) {
        assert!(named(part), "no example has `{part}`");
    }
}
