//! The flights on Postgres, and processes that score them.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use super::postgres::{Database, PostgresSession, cluster};
use super::started::Started;
use super::{Ended, Workspace, repository};

/// The flights, and a database with tables to score them into.
pub struct Flights {
    pub database: Database,
    pub workspace: Workspace,
}

pub const DATE: &str = "2026-01-01";

/// Waits until something shows in a database: what no event tells.
pub fn eventually(mut happened: impl FnMut() -> bool) {
    while !happened() {
        thread::sleep(Duration::from_millis(20));
    }
}

/// The predictions of an undisturbed run on SQLite.
pub fn expected() -> &'static BTreeMap<String, String> {
    static EXPECTED: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    EXPECTED.get_or_init(|| {
        let workspace = Workspace::new();
        let url = format!("sqlite://{}", workspace.path("lamplighter.db").display());
        Ended::of(&mut run_flights(&workspace, DATE, &["--database", &url])).expect(0);
        workspace.prediction_bits_without_ordinal(1)
    })
}

fn run_flights(workspace: &Workspace, date: &str, more: &[&str]) -> Command {
    let run = ["run", "jobs/flight-delay.toml", "--date", date];
    let mut command = workspace.command(&[&run, more].concat());
    command.current_dir(repository());
    command
}

impl Flights {
    pub fn new() -> Self {
        Self::in_database(cluster().database())
    }

    pub fn in_database(database: Database) -> Self {
        let workspace = Workspace::new();
        let migrate = ["db", "migrate", "--database", &database.url()];
        workspace.lamplighter(&migrate).expect(0);
        Self {
            database,
            workspace,
        }
    }

    /// A run of the date by a process of this name, with shards of so many records.
    pub fn run(&self, date: &str, name: &str, shard_size: u32, more: &[&str]) -> Command {
        let url = format!("{}&application_name={name}", self.database.url());
        self.run_at(&url, date, shard_size, more)
    }

    pub fn run_at(&self, url: &str, date: &str, shard_size: u32, more: &[&str]) -> Command {
        let size = format!("run.shard_size={shard_size}");
        // On a busy machine a barrier may stand for long, and a commit before it.
        let patience = "sink.retry_for=1h";
        let arguments = [
            "--database",
            url,
            "--workers",
            "1",
            "--set",
            &size,
            "--set",
            patience,
        ];
        run_flights(&self.workspace, date, &[&arguments, more].concat())
    }

    pub fn start(&self, name: &str, shard_size: u32, more: &[&str]) -> Started {
        Started::new(&mut self.run(DATE, name, shard_size, more))
    }

    pub fn value(&self, sql: &str) -> String {
        self.database
            .value(&format!("SET search_path = lamplighter; {sql}"))
    }

    /// Shards that a process holds.
    pub fn held_by(&self, started: &Started) -> u32 {
        held_by(&mut self.database.session(), started)
    }

    /// Waits until a process holds a shard.
    pub fn until_it_holds(&self, started: &mut Started) {
        until_it_holds(&self.database, started);
    }

    /// Stops a process while it holds shards and is in no transaction.
    pub fn stop_with_shards(&self, name: &str, started: &mut Started) -> bool {
        stop_with_shards(&self.database, name, started)
    }

    /// Every record once, and with the bits that it has on SQLite; of one generation.
    #[track_caller]
    pub fn check(&self, date: &str) {
        let run_id = self.value(&format!(
            "SELECT run_id FROM publications WHERE logical_date = '{date}'"
        ));
        let generations = format!("SELECT count(*) FROM runs WHERE logical_date = '{date}'");
        assert_eq!(self.value(&generations), "1");
        let run_id = run_id.parse().expect("a number");
        let found = self.database.prediction_bits("lamplighter", run_id);
        assert!(&found == expected(), "{date}: bits differ from SQLite's");
        let name = format!("flight-delay@{date}#1");
        let url = self.database.url();
        self.workspace
            .lamplighter(&["runs", "verify", &name, "--database", &url])
            .expect(0);
    }

    /// Waits for the ends of processes, each of which must say the truth: with exit code 0 the
    /// run is completed by then.
    pub fn ends(&self, all: Vec<Started>) -> Vec<Ended> {
        thread::scope(|scope| {
            let waiting: Vec<_> = all
                .into_iter()
                .map(|started| {
                    scope.spawn(move || {
                        let ended = started.end();
                        let state = format!("SELECT state FROM runs WHERE logical_date = '{DATE}'");
                        if ended.code == Some(0) {
                            assert_eq!(self.value(&state), "completed", "{}", ended.stderr);
                        }
                        ended
                    })
                })
                .collect();
            let waiting = waiting.into_iter();
            waiting.map(|end| end.join().expect("the truth")).collect()
        })
    }

    /// Keeps all processes from committing a shard until it is committed or dropped.
    pub fn barrier(&self) -> PostgresSession {
        barrier(&self.database)
    }
}

/// Waits until a process holds a shard.
pub fn until_it_holds(database: &Database, started: &mut Started) {
    let mut session = database.session();
    eventually(|| {
        assert!(started.is_alive(), "it ended before it held anything");
        held_by(&mut session, started) > 0
    });
}

/// Stops a process while it holds shards and is in no transaction. One in a transaction has
/// the row of its shard locked, and keeps it.
pub fn stop_with_shards(database: &Database, name: &str, started: &mut Started) -> bool {
    let mut session = database.session();
    let busy = format!(
        "SELECT count(*) FROM pg_stat_activity
         WHERE application_name = '{name}' AND datname = current_database()
           AND (xact_start IS NOT NULL OR state <> 'idle')"
    );
    while started.is_alive() {
        if held_by(&mut session, started) == 0 {
            continue;
        }
        started.send("STOP");
        // What it sent last may be under way still; what it waits for never ends.
        let idle = (0..20).any(|_| session.value(&busy) == "0");
        if idle && held_by(&mut session, started) > 0 {
            return true;
        }
        started.send("CONT");
    }
    false
}

/// Keeps all processes from committing a shard until it is committed or dropped.
pub fn barrier(database: &Database) -> PostgresSession {
    let mut session = database.session();
    session.begin();
    session.execute("LOCK TABLE lamplighter.predictions IN SHARE MODE");
    session
}

/// Shards that a process holds.
pub fn held_by(session: &mut PostgresSession, started: &Started) -> u32 {
    let held = session.value(&format!(
        "SELECT count(*) FROM lamplighter.shards WHERE state = 'leased' AND owner LIKE '%:{}:%'",
        started.id()
    ));
    held.parse().expect("a number")
}
