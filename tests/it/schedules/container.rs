use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::command_lines::Site;
use super::yaml::document;
use super::{is_left_out, works};
use crate::harness::postgres::{Database, cluster};
use crate::harness::started::Started;
use crate::harness::{Ended, repository};

const USER: u32 = 10001;
const ON_SQLITE: &str = "kubernetes-cronjob-sqlite.yaml";
const ON_POSTGRES: &str = "kubernetes-cronjob.yaml";

/// A pod of a manifest: its arguments, variables and mounts, over the places of a site.
struct Pod {
    /// Its files are there as long as it is.
    _site: Site,
    places: Vec<(String, PathBuf, String)>,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
}

impl Pod {
    /// `None` if no container can be entered here, and that has been said.
    fn of(manifest: &str, site: Site) -> Option<Self> {
        if is_left_out(works("container.sh"), "TEST_WITHOUT_CONTAINER") {
            return None;
        }
        let mut manifest = document(manifest)?;
        let container =
            manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0].take();
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let list = |key: &str| container[key].as_array().expect("a list").clone();
        let mounts = list("volumeMounts")
            .into_iter()
            .filter(|mount| mount["name"] != "temporary");
        let places = mounts.map(|mount| {
            let outside = match mount["name"].as_str().expect("a name") {
                "database" => "secrets".to_owned(),
                "state" => "state".to_owned(),
                other => format!("srv/{other}"),
            };
            let mode = if mount["readOnly"] == true {
                "--read-only"
            } else {
                "--writable"
            };
            (
                mode.to_owned(),
                site.workspace.path(&outside),
                text(&mount["mountPath"]),
            )
        });
        let places = places.collect();
        // What the cluster does with volumes: they are the group's, and a secret is root's.
        chown(site.workspace.path("state"), None, Some(USER)).expect("an owner");
        set_mode(&site.workspace.path("state"), 0o2775);
        chown(site.workspace.path("secrets/url"), Some(0), Some(USER)).expect("an owner");
        set_mode(&site.workspace.path("secrets/url"), 0o440);
        Some(Self {
            places,
            environment: list("env")
                .iter()
                .map(|one| (text(&one["name"]), text(&one["value"])))
                .collect(),
            arguments: list("args").iter().map(text).collect(),
            _site: site,
        })
    }

    fn on_sqlite() -> Option<Self> {
        Self::of(ON_SQLITE, Site::on_sqlite())
    }

    /// The database's socket is the one way out of it.
    fn on_postgres(database: &Database) -> Option<Self> {
        let site = Site::on(database);
        let port = cluster().port();
        let name = format!(".s.PGSQL.{port}");
        let url = format!(
            "postgres:///{}?host=/run/postgresql&port={port}&user=postgres\n",
            database.name()
        );
        site.workspace.write("secrets/url", url);
        let mut pod = Self::of(ON_POSTGRES, site)?;
        let socket = cluster().socket_directory().join(&name);
        pod.places.push((
            "--writable".to_owned(),
            socket,
            format!("/run/postgresql/{name}"),
        ));
        Some(pod)
    }

    /// The pod, with other arguments.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(repository().join("tests/container.sh"));
        command
            .arg("run")
            .env("LAMPLIGHTER", env!("CARGO_BIN_EXE_lamplighter"));
        command
            .env_remove("DATABASE_URL")
            .env_remove("DATABASE_URL_FILE")
            .envs(self.environment.iter().cloned());
        for (mode, outside, inside) in &self.places {
            command.arg(mode).arg(outside).arg(inside);
        }
        command.arg("--").args(arguments);
        command
    }

    /// The pod as the manifest has it, for a date, and more.
    fn night(&self, more: &[&str]) -> Command {
        let own = self.arguments.iter().map(String::as_str);
        let arguments: Vec<&str> = own
            .chain(["--date", "2026-11-23"])
            .chain(more.iter().copied())
            .collect();
        self.command(&arguments)
    }

    fn lamplighter(&self, arguments: &[&str]) -> Ended {
        Ended::of(&mut self.command(arguments))
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

/// The process that a process waits for, and the number that it has for itself.
fn inner(outer: &Started) -> (String, String) {
    let children = format!("/proc/{0}/task/{0}/children", outer.id());
    let child = fs::read_to_string(children)
        .expect("its children")
        .trim()
        .to_owned();
    let status = fs::read_to_string(format!("/proc/{child}/status")).expect("its status");
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let number = numbers.and_then(|numbers| numbers.split_whitespace().last());
    (child, number.expect("a number").to_owned())
}

#[test]
fn a_night_in_the_container_on_sqlite() {
    let Some(pod) = Pod::on_sqlite() else { return };
    let ended = Ended::of(&mut pod.night(&[])).expect(0);
    assert!(ended.stdout.contains("PUBLISHED"), "{ended}");
    pod.lamplighter(&["runs", "verify"]).expect(0);
    let again = Ended::of(&mut pod.night(&[])).expect(0);
    assert!(again.stdout.contains("is already complete"), "{again}");
}

#[test]
fn a_night_in_the_container_on_postgres_without_a_network() {
    let database = cluster().database();
    let Some(pod) = Pod::on_postgres(&database) else {
        return;
    };
    Ended::of(&mut pod.night(&[])).expect(0);
    let seen = database
        .value("SELECT count(*) FROM lamplighter.predictions_latest WHERE job = 'flight-delay'");
    assert_eq!(seen, "84292");
}

#[test]
fn nothing_but_the_volume_can_be_written() {
    let Some(pod) = Pod::on_sqlite() else { return };
    for place in [
        "sqlite://lamplighter.db",
        "sqlite:///usr/local/bin/lamplighter.db",
        "sqlite:///srv/lamplighter/models/lamplighter.db",
    ] {
        let refused = pod.lamplighter(&["run", "jobs/flight-delay.toml", "--database", place]);
        assert!(matches!(refused.code, Some(74 | 77)), "{refused}");
    }
}

#[test]
fn a_signal_to_process_1_ends_the_night_with_75_and_the_next_pod_completes_it() {
    let Some(pod) = Pod::on_sqlite() else { return };
    let started = Started::new(&mut pod.night(&["--set=run.shard_size=100"]));
    started.until("scoring");
    let (process, number) = inner(&started);
    assert_eq!(number, "1");
    let sent = Command::new("kill").args(["-s", "TERM", &process]).status();
    assert!(sent.expect("the program `kill`").success());
    started.end().expect(75).says(&["interrupted"]);
    let next = Ended::of(&mut pod.night(&["--set=run.shard_size=100"])).expect(0);
    assert!(next.stderr.contains("resuming"), "{next}");
    pod.lamplighter(&["runs", "verify"]).expect(0);
}

#[test]
fn process_1_finds_the_record_that_kills_by_children_of_its_own() {
    let Some(pod) = Pod::on_sqlite() else { return };
    let mut night = pod.night(&[]);
    night.env("LAMPLIGHTER_FAULT", "abort:2013-10-01-US1877-EWR-0500");
    for _ in 0..2 {
        // The kernel lets no SIGABRT reach process 1; what abort() tries next does.
        assert_eq!(Ended::of(&mut night).signal, Some(11));
    }
    Ended::of(&mut night)
        .expect(0)
        .says(&["scoring the record ended its process, twice"]);
    let dead = pod.lamplighter(&["dead-letters", "list"]).expect(0);
    assert!(dead.stdout.contains("process_died"), "{dead}");
}
