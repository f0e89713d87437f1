//! Shell commands of the pages, run as a reader types them, in a directory of their own that holds
//! the fixtures and the jobs.
//!
//! After `sh` a fence may say `no-test: REASON`, or `exits CODE`. After `toml` or `python` it may name
//! the file that the reader is told to write.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use arrow::array::{Int32Array, StringArray};
use candle_core::{Device, Tensor};
use jiff::{Timestamp, ToSpan, tz::TimeZone};

use super::markdown::{Block, Page, pages};
use crate::harness::postgres::{Cluster, Database};
use crate::harness::{Ended, Workspace, batch, repository, write_parquet};

/// What the commands of a page find.
#[derive(Clone, Copy, PartialEq)]
enum World {
    /// No database. Each block goes on where the one before it ended.
    New,
    /// A night that was killed and one with a dead letter, the same for each block.
    Nights,
}

const PAGES: [(&str, World); 4] = [
    ("README.md", World::New),
    ("jobs/README.md", World::New),
    ("fixtures/README.md", World::New),
    ("cron/RUNBOOK.md", World::Nights),
];

/// Pages whose commands other tests run.
const ELSEWHERE: [&str; 1] = ["cron/README.md"];

/// Servers that only the reader has: a database of the test's own stands for them.
const SERVERS: [&str; 2] = [
    "postgres://admin@db.example.com/scores",
    "postgres://nightly@db.example.com/scores",
];

/// Blocks that are not run, by page and reason.
const NOT_RUN: [(&str, &str, usize); 0] = [];

/// How this part of a block is done.
enum Step {
    /// By a shell.
    Shell(String),
    /// `sqlite3 lamplighter.db "…"`, which need not be installed.
    Sql(String),
    /// `sqlite3 lamplighter.db ".backup FILE"`.
    Backup(String),
    /// The README's script, which needs PyTorch: weights of this version, and customers.
    Export(String),
}

fn steps(block: &Block) -> Vec<Step> {
    let mut steps = Vec::new();
    for line in block.text.replace("\\\n", "").lines() {
        let sql = line.strip_prefix("sqlite3 lamplighter.db \"");
        let sql = sql.and_then(|rest| rest.strip_suffix('"'));
        let version = line.strip_prefix("python target/churn/export.py ");
        match (sql.map(|sql| (sql, sql.strip_prefix(".backup "))), version) {
            (Some((_, Some(file))), _) => steps.push(Step::Backup(file.to_owned())),
            (Some((sql, None)), _) => steps.push(Step::Sql(sql.to_owned())),
            (None, Some(version)) => steps.push(Step::Export(version.to_owned())),
            (None, None) => match steps.last_mut() {
                Some(Step::Shell(script)) => script.push_str(&format!("{line}\n")),
                _ => steps.push(Step::Shell(format!("{line}\n"))),
            },
        }
    }
    steps
}

/// A directory to type in, and the server that the page means.
struct Desk<'a> {
    workspace: Workspace,
    cluster: &'a Cluster,
    database: Option<Database>,
    world: World,
}

impl<'a> Desk<'a> {
    fn new(world: World, cluster: &'a Cluster) -> Self {
        let workspace = Workspace::new();
        set_up_files(&workspace);
        if world == World::Nights {
            workspace.write("lamplighter.db", nights());
        }
        Self {
            workspace,
            cluster,
            database: None,
            world,
        }
    }

    /// The script with the test's server in the place of the reader's.
    fn placed(&mut self, script: &str) -> String {
        if !SERVERS.iter().any(|server| script.contains(server)) {
            return script.to_owned();
        }
        let database = self.database.get_or_insert_with(|| self.cluster.database());
        let url = database.url();
        if self.world == World::Nights {
            let migrate = ["db", "migrate", "--database", &url];
            self.workspace.lamplighter(&migrate).expect(0);
        }
        let quoted = format!("'{url}'");
        SERVERS.iter().fold(script.to_owned(), |script, server| {
            script.replace(server, &quoted)
        })
    }

    fn shell(&mut self, script: &str) -> Ended {
        let script = self.placed(script);
        let binary = Path::new(env!("CARGO_BIN_EXE_lamplighter"));
        let psql = self.cluster.binary("psql");
        let own = [binary, &psql].map(|program| program.parent().expect("a directory").to_owned());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(own.into_iter().chain(std::env::split_paths(&path)));
        Ended::of(
            Command::new("sh")
                .args(["-euc", &script])
                .current_dir(self.workspace.path(""))
                .env("PATH", path.expect("a path"))
                .env("PGOPTIONS", "--client-min-messages=warning")
                .env_remove("DATABASE_URL")
                .env_remove("DATABASE_URL_FILE")
                .stdin(Stdio::null()),
        )
    }

    /// Does what a block says. Returns what is wrong.
    fn type_in(&mut self, page: &Page, block: &Block) -> Option<String> {
        let expected = match block.remark.strip_prefix("exits ") {
            Some(code) => code.parse().expect("an exit code"),
            None => 0,
        };
        for step in steps(block) {
            match step {
                Step::Shell(script) => {
                    let ended = self.shell(&script);
                    if ended.code != Some(expected) {
                        return Some(format!("{}: {ended}", block.place));
                    }
                }
                Step::Sql(sql) => {
                    if self.workspace.query(&sql).is_empty() {
                        return Some(format!("{}: nothing is found by {sql}", block.place));
                    }
                }
                Step::Backup(file) => {
                    let file = self.workspace.path(&file);
                    let copy = format!("VACUUM INTO '{}'", file.display());
                    self.workspace.execute(&copy);
                }
                Step::Export(version) => export(&self.workspace, page, &version),
            }
        }
        None
    }
}

fn set_up_files(workspace: &Workspace) {
    symlink(repository().join("fixtures"), workspace.path("fixtures")).expect("a link");
    workspace.copy_directory("jobs", "jobs");
}

/// `flight-delay@2026-11-22#1` was killed, `flight-delay@2026-11-23#1` has a dead letter.
fn nights() -> &'static [u8] {
    static DATABASE: OnceLock<Vec<u8>> = OnceLock::new();
    DATABASE.get_or_init(|| {
        let workspace = Workspace::new();
        set_up_files(&workspace);
        let run = |date: &str, fault: &str| {
            let arguments = ["run", "jobs/flight-delay.toml", "--date", date];
            let catch_up = ["--set", "schedule.catch_up=0", "--workers", "1"];
            let mut command = workspace.command(&[&arguments[..], &catch_up].concat());
            let fault = format!("{fault}:2013-10-01-US1877-EWR-0500");
            Ended::of(command.env("LAMPLIGHTER_FAULT", fault))
        };
        let killed = run("2026-11-22", "abort");
        assert!(killed.signal.is_some(), "{killed}");
        run("2026-11-23", "error").expect(0);
        // The last process to close the file has put into it what stood beside it.
        assert!(!workspace.path("lamplighter.db-wal").exists());
        fs::read(workspace.path("lamplighter.db")).expect("a database")
    })
}

/// Writes what the page's script writes, as far as no training is needed: the `model.toml` that stands
/// in it, weights of the right shapes, and customers of a month and a day more.
fn export(workspace: &Workspace, page: &Page, version: &str) {
    let script = &page.blocks_of("python")[0].text;
    let (_, toml) = script
        .split_once("write_text(f\"\"\"\n")
        .expect("model.toml");
    let (toml, _) = toml.split_once("\"\"\"").expect("its end");
    let toml = toml
        .replace("{version}", version)
        .replace("{mean}", "53.6")
        .replace("{std}", "20.8")
        .replace("{plans}", "[\"basic\", \"family\", \"pro\"]");
    let bundle = format!("target/churn/bundle/{version}");
    workspace.write(&format!("{bundle}/model.toml"), toml);
    let shapes: [(&str, &[usize]); 5] = [
        ("embeddings.plan.weight", &[4, 2]),
        ("layers.0.weight", &[16, 3]),
        ("layers.0.bias", &[16]),
        ("layers.1.weight", &[1, 16]),
        ("layers.1.bias", &[1]),
    ];
    let tensors: HashMap<&str, Tensor> = shapes
        .into_iter()
        .map(|(name, shape)| {
            let count = shape.iter().product::<usize>();
            let values = (0..count).map(|index| (index as f32 * 0.7).sin()).collect();
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu);
            (name, tensor.expect("a tensor"))
        })
        .collect();
    let weights = workspace.path(&format!("{bundle}/model.safetensors"));
    candle_core::safetensors::save(&tensors, weights).expect("weights");

    let ids = StringArray::from_iter_values((0..5000).map(|number| format!("c{number}")));
    let ages = Int32Array::from_iter_values((0..5000).map(|number| 18 + number % 72));
    let plans = ["basic", "family", "pro"];
    let plans = StringArray::from_iter_values((0..5000).map(|number| plans[number % 3]));
    let rows = batch(vec![
        ("customer_id", Arc::new(ids)),
        ("age", Arc::new(ages)),
        ("plan", Arc::new(plans)),
    ]);
    let today = TimeZone::UTC.to_datetime(Timestamp::now()).date();
    fs::create_dir_all(workspace.path("target/churn/customers")).expect("a directory");
    for days in -1..=31 {
        let date = today.checked_sub(days.days()).expect("a date");
        let name = format!("target/churn/customers/{date}.parquet");
        write_parquet(&workspace.path(&name), &rows, 10_000);
    }
}

/// Runs every block of a page. Returns how many, and what is wrong.
fn run(page: &Page, world: World, cluster: &Cluster) -> (usize, Vec<String>) {
    let mut desk = Desk::new(world, cluster);
    let (mut count, mut wrong) = (0, Vec::new());
    for block in page.blocks() {
        match block.language.as_str() {
            "toml" | "python" if !block.remark.is_empty() => {
                desk.workspace.write(&block.remark, &block.text);
            }
            "sh" if !block.remark.starts_with("no-test") => {
                if world == World::Nights {
                    desk = Desk::new(world, cluster);
                }
                wrong.extend(desk.type_in(page, &block));
                count += 1;
            }
            _ => {}
        }
    }
    (count, wrong)
}

#[test]
fn every_command_of_a_page_runs() {
    // Roles belong to a whole cluster.
    let cluster = Cluster::start(&[]);
    let (mut count, mut wrong) = (0, Vec::new());
    for (name, world) in PAGES {
        let (run, failed) = run(&Page::read(name), world, &cluster);
        count += run;
        wrong.extend(failed);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(count > 30, "commands are shown in another way: {count}");
}

#[test]
fn no_page_has_commands_that_nothing_runs() {
    let known = PAGES.iter().map(|(name, _)| name).chain(&ELSEWHERE);
    let known: Vec<&str> = known.copied().collect();
    for page in pages() {
        let has_commands = !page.blocks_of("sh").is_empty();
        assert!(
            !has_commands || known.contains(&page.name.as_str()),
            "{}",
            page.name
        );
    }
}

#[test]
fn what_is_not_run_is_counted_with_its_reason() {
    let mut counted = BTreeMap::<(String, String), usize>::new();
    for (name, _) in PAGES {
        for block in Page::read(name).blocks_of("sh") {
            let Some(reason) = block.remark.strip_prefix("no-test") else {
                let remark = &block.remark;
                let is_known = remark.is_empty() || remark.starts_with("exits ");
                assert!(is_known, "{}: sh {remark}", block.place);
                continue;
            };
            let reason = reason.strip_prefix(": ").expect("a reason").to_owned();
            *counted.entry((name.to_owned(), reason)).or_default() += 1;
        }
    }
    let known = NOT_RUN.map(|(page, reason, count)| ((page.to_owned(), reason.to_owned()), count));
    assert_eq!(counted, BTreeMap::from(known));
}
