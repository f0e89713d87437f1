use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::{CHECK, Found, check, workspace};
use crate::harness::postgres::{cluster, load_parquet};
use crate::harness::results::Results;
use crate::harness::started::Started;
use crate::harness::{Ended, Workspace, flights, repository};

/// Every file below, with its content.
fn tree(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(tree(&path)),
            false => {
                let content = fs::read(&path).expect("a file");
                found.insert(path.display().to_string(), content);
            }
        }
    }
    found
}

fn check_in_repository(workspace: &Workspace, job: &str, url: &str, more: &[&str]) -> Found {
    let check = ["check", job, "--format", "json", "--database", url];
    let arguments = [&check, more].concat();
    let mut command = workspace.command(&arguments);
    Found::of(Ended::of(command.current_dir(repository())))
}

#[test]
fn every_job_of_the_repository_passes() {
    let mut jobs: Vec<_> = fs::read_dir(repository().join("jobs"))
        .expect("the jobs")
        .map(|entry| entry.expect("an entry").file_name().into_string())
        .map(|name| name.expect("a name"))
        .filter(|name| name.ends_with(".toml"))
        .collect();
    jobs.sort();
    assert!(jobs.len() >= 6, "{jobs:?}");
    let workspace = Workspace::new();
    let file = format!("sqlite://{}", workspace.path("lamplighter.db").display());
    let database = cluster().database();
    for file in flights::files() {
        load_parquet(&database, "public.flights", &file, Some("flight_id"));
    }
    database.execute("ANALYZE public.flights");
    let migrate = ["db", "migrate", "--database", &database.url()];
    workspace.lamplighter(&migrate).expect(0);
    for job in jobs {
        let is_postgres = job.contains("postgres");
        let url = if is_postgres {
            database.url()
        } else {
            file.clone()
        };
        // Its files are of other months than the last one.
        let more: &[&str] = match job.contains("monthly") {
            true => &["--date", "2013-12-01"],
            false => &[],
        };
        let found = check_in_repository(&workspace, &format!("jobs/{job}"), &url, more);
        let found = found
            .only(0, &[])
            .passed("model", "reference profile", &["metrics"]);
        // Of rankings there are none.
        let found = match job.as_str() {
            "recommendations.toml" => found.is("model", "test vectors", "not_set_up", &[]),
            _ => found.passed("model", "test vectors", &["64 rows reproduced"]),
        };
        if is_postgres {
            found
                .passed("input", "source", &["table public.flights", "records"])
                .passed(
                    "input",
                    "ids",
                    &["of all 84,292 records, 0 without an id and 0"],
                )
                .passed("database", "privileges", &["superuser"]);
        }
    }
    assert!(!workspace.path("lamplighter.db").exists());
}

#[test]
fn nothing_is_written() {
    let workspace = workspace("");
    let before = tree(&workspace.path(""));
    check(&workspace, &[]).only(0, &[]);
    assert!(tree(&workspace.path("")) == before, "a first check wrote");
    workspace.lamplighter(&["run", "job.toml"]).expect(0);
    let before = tree(&workspace.path(""));
    check(&workspace, &[]).only(0, &[]).passed(
        "database",
        "database",
        &["lamplighter.db, SQLite", "journal wal"],
    );
    check(&workspace, &["--set", "model.bundle=none"]).only(78, &["bundle"]);
    assert!(tree(&workspace.path("")) == before, "a check wrote");
}

#[test]
fn nothing_is_written_to_a_server() {
    let results = Results::in_postgres();
    let database = results.postgres().expect("Postgres");
    results
        .workspace
        .copy_directory("fixtures/models/flight-delay", "bundle");
    let path = repository().join("fixtures/flights/*.parquet");
    let source = format!("kind = \"parquet\"\npath = \"{}\"", path.display());
    results.workspace.write("job.toml", flights::job(&source));
    let run = ["run", "job.toml", "--date", "2026-01-01"];
    results.lamplighter(&run).expect(0);
    let content = "SELECT string_agg(tablename || md5(query_to_xml('SELECT * FROM lamplighter.' || tablename, true, false, '')::text), ' ' ORDER BY tablename)
         FROM pg_tables WHERE schemaname = 'lamplighter'";
    let before = database.value(content);
    Found::of(results.lamplighter(&CHECK)).only(0, &[]);
    assert_eq!(database.value(content), before);
}

#[test]
fn people_read_a_line_an_item_in_a_hundred_columns() {
    let workspace = workspace("");
    let found = check(&workspace, &[]);
    let text = workspace
        .lamplighter(&["check", "job.toml"])
        .expect(0)
        .stdout;
    assert!(text.contains("check: "), "{text}");
    let items = found.list["items"].as_array().expect("items");
    for item in items {
        let name = item["item"].as_str().expect("a name");
        let status = item["status"].as_str().expect("a status").replace('_', " ");
        let line = text.lines().find(|line| {
            let mut words = line.trim().splitn(2, "  ");
            words.next() == Some(&status)
                && words
                    .next()
                    .is_some_and(|rest| rest.trim().starts_with(name))
        });
        assert!(line.is_some(), "{name} is missing:\n{text}");
    }
    let overall = &found.list["overall"];
    let sum: u64 = ["passed", "failed", "not_set_up", "not_looked_at"]
        .iter()
        .map(|status| {
            overall[format!("items_{status}")]
                .as_u64()
                .expect("a count")
        })
        .sum();
    assert_eq!(sum, items.len() as u64);
    // What is to be pasted is never broken.
    let mends: Vec<_> = items
        .iter()
        .filter_map(|item| item["mend"].as_str())
        .collect();
    for line in text.lines() {
        let is_mend = mends.contains(&line.trim());
        assert!(is_mend || line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn every_item_says_how_to_mend_it_unless_it_passed() {
    let workspace = workspace("[source.nonsense]\n");
    let broken = check(&workspace, &[]);
    broken.only(78, &["job file"]);
    let unreadable = super::workspace("");
    unreadable.write("input/1.parquet", "no Parquet");
    for found in [broken, check(&unreadable, &[])] {
        for item in found.list["items"].as_array().expect("items") {
            let has_mend = item["mend"].is_string();
            assert_eq!(has_mend, item["status"] != "passed", "{item}");
            let has_exit_code = item["exit_code"].is_u64();
            assert_eq!(has_exit_code, item["status"] == "failed", "{item}");
            assert!(item["required"].is_boolean(), "{item}");
        }
    }
}

#[test]
fn a_job_file_that_is_none_is_the_one_item_that_is_looked_at() {
    let workspace = Workspace::new();
    workspace.write("job.toml", "[job]\nname = \"x\"\n[sourc]\n");
    let found = check(&workspace, &[]);
    found
        .only(78, &["job file"])
        .failed("job", "job file", 78, &["sourc"])
        .is("database", "everything", "not_looked_at", &["job file"]);
    check(&workspace, &["--env", "prod"]).only(78, &["job file"]);
    workspace.lamplighter(&["check", "none.toml"]).expect(78);
}

#[test]
fn what_is_wrong_with_the_command_line_is_64() {
    let workspace = workspace("");
    for more in [
        &["--date", "tomorrow"][..],
        &["--set", "run.workers=many"],
        &["--database", "postgres://night:secret@localhost/x"],
    ] {
        let ended = workspace.lamplighter(&[&["check", "job.toml"], more].concat());
        assert_eq!(ended.expect(64).stdout, "");
    }
}

#[test]
fn overlay_date_and_deadline_are_told() {
    let workspace =
        workspace("[env.prod.schedule]\ntimezone = \"Asia/Tokyo\"\nfinish_by = \"06:00\"\n");
    let more = [
        "--env",
        "prod",
        "--date",
        "2026-03-05",
        "--set",
        "run.workers=3",
    ];
    check(&workspace, &more)
        .only(0, &[])
        .passed(
            "job",
            "job file",
            &["overlay [env.prod]", "1 key from the command line"],
        )
        .passed("job", "logical date", &["2026-03-05", "Asia/Tokyo"])
        .passed("job", "finish_by", &["06:00", "hours"])
        .passed("model", "memory allowed", &["3 workers"]);
    let found = check(&workspace, &[]);
    found.is("job", "finish_by", "not_set_up", &[]);
    found.is("job", "date in source", "not_set_up", &["every date"]);
    assert!(
        found
            .mend("job", "date in source")
            .starts_with("path = \"input/{date}/*.parquet\"")
    );
}

#[test]
fn ctrl_c_ends_it_with_75() {
    let workspace = workspace("");
    let pipes = ["asked", "answer"].map(|name| workspace.path(name));
    let made = Command::new("mkfifo").args(&pipes).status();
    assert!(made.expect("the program `mkfifo`").success());
    let script = "echo asked >asked; cat answer";
    let script = workspace.write("password.sh", script);
    let command = format!("sink.password_command=[\"sh\", \"{}\"]", script.display());
    // Nobody is at this address; before it is tried, the password is asked for.
    let url = "postgres://night@localhost/x?port=1";
    let arguments = ["--database", url, "--set", &command];
    let mut command = workspace.command(&[&["check", "job.toml"][..], &arguments].concat());
    let started = Started::new(&mut command);
    assert_eq!(
        fs::read_to_string(&pipes[0]).expect("a question"),
        "asked\n"
    );
    started.send("INT");
    fs::write(&pipes[1], "secret\n").expect("an answer");
    let ended = started.end().expect(75).says(&["interrupted"]);
    assert_eq!(ended.stdout, "");
}
