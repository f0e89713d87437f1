use std::fs;
use std::path::Path;
use std::process::Command;

use super::crontab::Crontab;
use super::file;
use super::systemd::Unit;
use super::yaml::{documents, manifests};
use crate::harness::postgres::{Database, cluster};
use crate::harness::{Ended, Workspace, flights, repository};

/// Commands that write, and can be told to say what they would write.
const WITH_DRY_RUN: [&[&str]; 4] = [
    &["run"],
    &["backfill"],
    &["runs", "prune"],
    &["records", "erase"],
];

/// Files that hold no command line.
const SILENT: [&str; 3] = [
    "kubernetes-network-policy.yaml",
    "lamplighter-failure@.service",
    "lamplighter@.timer",
];

/// A host or a cluster as the files want it, in a workspace: their places are below it.
pub struct Site {
    pub workspace: Workspace,
}

impl Site {
    fn new(url: impl FnOnce(&Workspace) -> String) -> Self {
        let workspace = Workspace::new();
        workspace.copy_directory("jobs", "srv/jobs");
        for to in [
            "srv/models/flight-delay",
            "srv/fixtures/models/flight-delay",
        ] {
            workspace.copy_directory("fixtures/models/flight-delay", to);
        }
        let url = url(&workspace);
        for name in ["etc/database-url", "etc/custodian-url", "secrets/url"] {
            workspace.write(name, &url);
        }
        for directory in ["log", "state", "srv/fixtures/flights"] {
            fs::create_dir_all(workspace.path(directory)).expect("a directory");
        }
        for file in flights::files() {
            let name = file.file_name().expect("a name");
            let copy = workspace.path("srv/fixtures/flights").join(name);
            fs::copy(&file, &copy).expect("a copy");
            let dates = (1..=30).map(|day| format!("2026-11-{day:02}/"));
            for date in dates.chain([String::new()]) {
                let directory = workspace.path(&format!("srv/input/{date}"));
                fs::create_dir_all(&directory).expect("a directory");
                fs::hard_link(&copy, directory.join(name)).expect("a link");
            }
        }
        Self { workspace }
    }

    pub fn on_sqlite() -> Self {
        Self::new(|workspace| format!("sqlite://{}", workspace.path("lamplighter.db").display()))
    }

    /// With the tables in this database.
    pub fn on(database: &Database) -> Self {
        let site = Self::new(|_| database.url());
        let migrate = ["db", "migrate", "--database", &database.url()];
        site.workspace.lamplighter(&migrate).expect(0);
        site
    }

    /// A text of the files with their places replaced by this site's.
    pub fn place(&self, text: &str) -> String {
        let binary = Path::new(env!("CARGO_BIN_EXE_lamplighter"));
        let directory = binary.parent().expect("a directory");
        let path = |name: &str| self.workspace.path(name).display().to_string();
        text.replace("/usr/local/bin/lamplighter", &binary.display().to_string())
            .replace("/usr/local/bin", &directory.display().to_string())
            .replace("/run/secrets/lamplighter", &path("secrets"))
            .replace("/etc/lamplighter", &path("etc"))
            .replace("/var/log/lamplighter", &path("log"))
            .replace("/var/lib/lamplighter", &path("state"))
            .replace("/srv/lamplighter", &path("srv"))
    }

    /// Changes the job file of the flights.
    pub fn change_job(&self, from: &str, to: &str) {
        let path = self.workspace.path("srv/jobs/flight-delay.toml");
        let job = fs::read_to_string(&path).expect("a job");
        assert!(job.contains(from), "{job}");
        fs::write(path, job.replace(from, to)).expect("a job");
    }
}

/// A command line of lamplighter, and where it stands.
struct CommandLine {
    file: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// The arguments after `lamplighter` in a line of a shell, up to what the shell does with the output.
fn arguments(line: &str) -> Option<Vec<String>> {
    let mut words = line
        .split_whitespace()
        .skip_while(|word| *word != "lamplighter");
    words.next()?;
    let is_shell = |word: &str| word.starts_with(['>', '|', '&', ';', '#']) || word.ends_with('\\');
    let own: Vec<String> = words
        .take_while(|word| !is_shell(word))
        .map(str::to_owned)
        .collect();
    (!own.is_empty()).then_some(own)
}

fn of_crontab(site: &Site) -> Vec<CommandLine> {
    let crontab = Crontab::read(&site.place(&file("crontab")));
    let arguments = crontab
        .lines
        .iter()
        .map(|line| arguments(&line.command).expect("lamplighter"));
    arguments
        .map(|mut arguments| {
            for word in &mut arguments {
                if word == "$JOB" {
                    crontab.setting("JOB").clone_into(word);
                }
            }
            let url = (
                "DATABASE_URL_FILE".to_owned(),
                crontab.setting("DATABASE_URL_FILE").to_owned(),
            );
            CommandLine {
                file: "crontab".to_owned(),
                arguments,
                environment: vec![url],
            }
        })
        .collect()
}

fn of_unit(site: &Site, name: &str) -> Vec<CommandLine> {
    let unit = Unit::read(&file(name)).instance("flight-delay");
    let credentials = "/etc/lamplighter";
    let environment = unit.all("Environment").into_iter().filter_map(|setting| {
        let (name, value) = setting.split_once('=')?;
        Some((
            name.to_owned(),
            site.place(&value.replace("%d", credentials)),
        ))
    });
    let environment: Vec<_> = environment.collect();
    let starts = unit.all("ExecStart").into_iter();
    let starts =
        starts.filter_map(|start| start.strip_prefix("/usr/local/bin/").and_then(arguments));
    starts
        .map(|arguments| CommandLine {
            file: name.to_owned(),
            arguments,
            environment: environment.clone(),
        })
        .collect()
}

fn of_manifest(site: &Site, path: &Path) -> Vec<CommandLine> {
    let name = path
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let texts = |values: &serde_json::Value| -> Vec<String> {
        let values = values.as_array().into_iter().flatten();
        values
            .filter_map(|value| value.as_str())
            .map(|text| site.place(text))
            .collect()
    };
    let mut found = Vec::new();
    for document in documents(path).into_iter().flatten() {
        for job in ["/spec/jobTemplate/spec", "/spec"] {
            let containers = document.pointer(&format!("{job}/template/spec/containers"));
            for container in containers
                .and_then(|containers| containers.as_array())
                .into_iter()
                .flatten()
            {
                assert_eq!(texts(&container["command"]), ["lamplighter"], "{name}");
                let environment = container["env"].as_array().into_iter().flatten();
                let environment = environment.map(|variable| {
                    let text = |key: &str| site.place(variable[key].as_str().expect("text"));
                    (text("name"), text("value"))
                });
                found.push(CommandLine {
                    file: name.clone(),
                    arguments: texts(&container["args"]),
                    environment: environment.collect(),
                });
            }
        }
    }
    found
}

/// The lines of a page's blocks that begin with lamplighter.
fn of_page(site: &Site, name: &str) -> Vec<CommandLine> {
    let page = site.place(&file(name));
    let environment = [(
        "DATABASE_URL_FILE".to_owned(),
        site.place("/etc/lamplighter/database-url"),
    )];
    let blocks = page.split("```").skip(1).step_by(2);
    let lines = blocks
        .flat_map(str::lines)
        .map(|line| line.trim_start_matches("$ "));
    lines
        .filter(|line| line.starts_with("lamplighter "))
        .filter_map(arguments)
        .map(|arguments| CommandLine {
            file: name.to_owned(),
            arguments,
            environment: environment.to_vec(),
        })
        .collect()
}

#[test]
fn every_command_line_in_the_files_can_be_run() {
    let database = cluster().database();
    let site = Site::on(&database);
    // Where nothing has run yet, nothing is well.
    let today = [
        "run",
        "jobs/flight-delay.toml",
        "--database",
        &database.url(),
    ];
    Ended::of(
        site.workspace
            .command(&today)
            .current_dir(site.workspace.path("srv")),
    )
    .expect(0);

    let mut lines = of_crontab(&site);
    for entry in fs::read_dir(repository().join("cron")).expect("files") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let found = match path.extension().and_then(|extension| extension.to_str()) {
            Some("service") => of_unit(&site, &name),
            // What Prometheus and Grafana read; `faces::figures` looks at it.
            Some("yaml" | "json") if !manifests().contains(&path) => continue,
            Some("yaml") => of_manifest(&site, &path),
            // Its blocks are run one by one, each in a world that needs it.
            Some("md") if name == "RUNBOOK.md" => continue,
            Some("md") => of_page(&site, &name),
            Some("timer") => Vec::new(),
            None if name == "crontab" => continue,
            _ => panic!("what is {name}?"),
        };
        let is_read = !manifests().contains(&path) || super::yaml::python().is_some();
        assert_eq!(
            found.is_empty(),
            SILENT.contains(&name.as_str()) || !is_read,
            "{name}"
        );
        lines.extend(found);
    }

    for line in lines {
        let mut arguments: Vec<&str> = line.arguments.iter().map(String::as_str).collect();
        if WITH_DRY_RUN
            .iter()
            .any(|command| arguments.starts_with(command))
            && !arguments.contains(&"--dry-run")
        {
            arguments.push("--dry-run");
        }
        let mut command: Command = site.workspace.command(&arguments);
        command
            .current_dir(site.workspace.path("srv"))
            .envs(line.environment);
        let ended = Ended::of(&mut command);
        assert_eq!(ended.code, Some(0), "{}: {ended}", line.file);
    }
}
