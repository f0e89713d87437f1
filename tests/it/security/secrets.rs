use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{DATE, set_up};
use crate::harness::postgres::{Cluster, Database};
use crate::harness::results::Results;
use crate::harness::started::Started;
use crate::harness::{Ended, simple_job};

const CANARY: &str = "canary-9z41";

/// A cluster that lets `night` in by TLS and password alone, and the authority to believe.
struct Guarded {
    cluster: Cluster,
    database: Database,
    results: Results,
    root: PathBuf,
}

impl Guarded {
    fn start() -> Self {
        let cluster = Cluster::start(&["listen_addresses = '127.0.0.1'"]);
        let database = cluster.database();
        database.execute(&format!(
            "CREATE ROLE night SUPERUSER LOGIN PASSWORD '{CANARY}'"
        ));
        cluster.authenticate(&["hostssl all night 127.0.0.1/32 scram-sha-256"]);
        let root = cluster.enable_tls();
        let results = Results::in_sqlite();
        set_up(&results.workspace, &[("a", Some(1.0)), ("b", None)]);
        let copy = results.workspace.path("root.crt");
        fs::copy(root, &copy).expect("a copy");
        let workspace = &results.workspace;
        let more = "[sink]\nretry_for = \"1s\"\n[errors]\nmax_dead_letters = \"100%\"\n";
        let parquet = "kind = \"parquet\"\npath = \"input/*.parquet\"";
        workspace.write("job.toml", simple_job(more));
        let queue = simple_job(more).replace(parquet, "kind = \"queue\"");
        workspace.write("queue.toml", queue);
        let table = "kind = \"postgres\"\ntable = \"t\"\nurl = \"${DATABASE_URL}\"";
        workspace.write("table.toml", simple_job(more).replace(parquet, table));
        workspace.write("rows.jsonl", "{\"id\": \"q\", \"x\": 1}\n");
        Self {
            cluster,
            database,
            results,
            root: copy,
        }
    }

    fn url(&self, password: &str, database: &str, more: &str) -> String {
        let port = self.cluster.port();
        format!("postgres://night:{password}@127.0.0.1:{port}/{database}?{more}")
    }

    fn right(&self) -> String {
        let verified = format!("sslrootcert={}", self.root.display());
        self.url(
            CANARY,
            self.database.name(),
            &format!("sslmode=verify-full&{verified}"),
        )
    }

    fn command(&self, url: &str, arguments: &[&str]) -> Command {
        let mut command = self.results.workspace.command(arguments);
        for name in ["PGPASSWORD", "PGSSLMODE", "PGSSLROOTCERT"] {
            command.env_remove(name);
        }
        command.env("DATABASE_URL", url);
        command
    }

    /// Runs a command as loudly as it can, in both forms; it must not tell.
    fn ended(&self, url: &str, arguments: &[&str]) -> [Ended; 2] {
        ["text", "json"].map(|form| {
            let loud = ["-vv", "--log-format", form, "--format", form];
            let ended = Ended::of(&mut self.command(url, &[arguments, &loud].concat()));
            tells_nothing(&ended.stdout);
            tells_nothing(&ended.stderr);
            ended
        })
    }
}

#[track_caller]
fn tells_nothing(text: &str) {
    assert!(!text.contains("canary") && !text.contains("9z41"), "{text}");
}

const COMMANDS: [&[&str]; 11] = [
    &["run", "job.toml"],
    &["run", "table.toml"],
    &["run", "job.toml", "--dry-run"],
    &["db", "status"],
    &["db", "migrate"],
    &["runs", "list"],
    &["report"],
    &["dead-letters", "list"],
    &["dead-letters", "retry", "job.toml"],
    &["queue", "stats"],
    &["queue", "push", "queue.toml", "rows.jsonl"],
];

#[test]
fn no_command_tells_the_password_however_it_fails() {
    let guarded = Guarded::start();
    let name = guarded.database.name().to_owned();
    let port = guarded.cluster.port();
    let in_authority = |rest: &str| format!("postgres://night:{CANARY}{rest}");
    let unprotected = guarded.url(CANARY, &name, "sslmode=disable");
    let failing = [
        (
            "wrong password",
            guarded.right().replace(CANARY, "canary-0000"),
            77,
        ),
        (
            "no such database",
            guarded.right().replace(&name, "nowhere"),
            78,
        ),
        (
            "an authority that the system does not know",
            guarded.url(CANARY, &name, "sslmode=verify-full"),
            69,
        ),
        ("refused without TLS", unprotected, 77),
        (
            "a mode that is none",
            guarded.url(CANARY, &name, "sslmode=verify-ful"),
            78,
        ),
        (
            "a parameter that is none",
            guarded.url(CANARY, &name, "passwrd=canary"),
            78,
        ),
        (
            "a slash in the password",
            in_authority(&format!("/x@127.0.0.1:{port}/{name}")),
            78,
        ),
        ("a port that is none", in_authority("@127.0.0.1:port/x"), 78),
        ("a percent sign", in_authority("%zz@127.0.0.1/x"), 78),
        (
            "another scheme",
            format!("postgre://night:{CANARY}@127.0.0.1/x"),
            78,
        ),
    ];
    for (what, url, code) in failing {
        for arguments in COMMANDS {
            for ended in guarded.ended(&url, arguments) {
                assert_eq!(ended.code, Some(code), "{what}: {ended}");
            }
        }
    }
    // Nothing is there, or nobody by that name: tried again for a while.
    for host in ["127.0.0.1:1", "nowhere.invalid"] {
        let url = in_authority(&format!("@{host}/x"));
        for ended in guarded.ended(&url, &["run", "job.toml"]) {
            assert_eq!(ended.code, Some(69), "{ended}");
        }
    }
    // Tables that are not there yet.
    for ended in guarded.ended(&guarded.right(), &["run", "job.toml"]) {
        assert_eq!(ended.code, Some(78), "{ended}");
    }
}

#[test]
fn what_works_tells_and_stores_no_password_either() {
    let guarded = Guarded::start();
    let right = guarded.right();
    guarded.database.execute(
        "CREATE TABLE t (id text PRIMARY KEY, x double precision); INSERT INTO t VALUES ('t', 1)",
    );
    let commands: [&[&str]; 10] = [
        &["db", "migrate"],
        &["run", "job.toml", "--date", DATE],
        &["run", "table.toml", "--date", DATE, "--limit", "1"],
        &["queue", "push", "queue.toml", "rows.jsonl"],
        &["db", "status"],
        &["runs", "show"],
        &["report"],
        &["dead-letters", "export"],
        &["dead-letters", "retry", "job.toml"],
        &["queue", "stats"],
    ];
    for arguments in commands {
        for ended in guarded.ended(&right, arguments) {
            assert_eq!(ended.code, Some(0), "{ended}");
        }
    }
    let all = "SELECT string_agg(query_to_xml('SELECT * FROM lamplighter.' || tablename, true, false, '')::text, '')
         FROM pg_tables WHERE schemaname = 'lamplighter'";
    let stored = guarded.database.value(all);
    assert!(stored.contains("missing_value"), "the tables were read");
    tells_nothing(&stored);
}

/// Whoever lists the processes sees the arguments; the environment is for the same user alone, and
/// does not hold it either if a file does.
#[test]
fn neither_a_process_nor_its_child_shows_the_password_to_who_lists_processes() {
    let guarded = Guarded::start();
    let right = guarded.right();
    guarded.ended(&right, &["db", "migrate"]);
    let file = guarded.results.workspace.write("url", &right);
    let run = |fault: &str| {
        let arguments = [
            "run",
            "job.toml",
            "--date",
            DATE,
            "--set",
            "run.shard_timeout=1h",
        ];
        let mut command = guarded.results.workspace.command(&arguments);
        command.env("DATABASE_URL_FILE", &file);
        command.env("LAMPLIGHTER_FAULT", fault);
        command
    };
    // As after two processes that died with the shard in hand.
    let died = Ended::of(&mut run("abort:a"));
    assert!(died.signal.is_some(), "{died}");
    guarded.database.execute(
        "UPDATE lamplighter.shards SET attempts = 2, state = 'available', owner = NULL, lease_until = NULL",
    );
    let started = Started::new(&mut run("hang:a"));
    started.until("a process of its own scores it now");
    let child = loop {
        // From its start on it is for a moment what its parent is.
        let is_itself = |pid: &u32| {
            fs::read_to_string(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| line.contains("isolated-worker"))
        };
        if let Some(child) = children(started.id()).into_iter().find(is_itself) {
            break child;
        }
    };
    for pid in [started.id(), child] {
        for name in ["cmdline", "environ"] {
            let bytes = fs::read(format!("/proc/{pid}/{name}")).expect("a process");
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert!(!text.is_empty(), "{pid} has no {name}");
            tells_nothing(&text);
        }
    }
    started.killed();
}

fn children(pid: u32) -> Vec<u32> {
    let listed = fs::read_dir(format!("/proc/{pid}/task")).expect("a process");
    listed
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok())
        .flat_map(|line| {
            let pids = line
                .split_whitespace()
                .map(|pid| pid.parse().expect("a process"));
            pids.collect::<Vec<u32>>()
        })
        .collect()
}
