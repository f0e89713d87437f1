use super::{RUN, workspace};
use crate::harness::{Ended, Workspace};

/// Runs the job, whose file names `of-job.db`, and says which databases came to be.
fn databases_after(workspace: &Workspace, flag: Option<&str>, env: &[(&str, &str)]) -> Vec<String> {
    let mut arguments = RUN.to_vec();
    arguments.extend(["--set", "sink.database=sqlite://of-job.db"]);
    arguments.extend(flag.into_iter().flat_map(|url| ["--database", url]));
    let mut command = workspace.command(&arguments);
    Ended::of(command.envs(env.iter().copied())).expect(0);
    let mut databases: Vec<String> = std::fs::read_dir(workspace.path(""))
        .expect("the workspace")
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".db"))
        .collect();
    databases.sort();
    databases
}

#[test]
fn the_database_is_that_of_the_flag_then_the_environment_then_the_file_then_the_job() {
    let flag = Some("sqlite://of-flag.db");
    let url = ("DATABASE_URL", "sqlite://of-url.db");
    let file = ("DATABASE_URL_FILE", "secret");
    let cases: [(_, &[_], _); 4] = [
        (flag, &[url, file], "of-flag.db"),
        (None, &[url, file], "of-url.db"),
        (None, &[file], "of-file.db"),
        (None, &[], "of-job.db"),
    ];
    for (flag, env, expected) in cases {
        let workspace = workspace();
        workspace.write("secret", "sqlite://of-file.db\n");
        assert_eq!(databases_after(&workspace, flag, env), [expected]);
    }
    let workspace = workspace();
    workspace.lamplighter(&RUN).expect(0);
    assert!(workspace.path("lamplighter.db").exists());
}

#[test]
fn commands_that_look_mean_the_same_database() {
    let workspace = workspace();
    workspace.write("secret", "sqlite://of-file.db");
    databases_after(&workspace, None, &[("DATABASE_URL_FILE", "secret")]);
    for variable in [
        ("DATABASE_URL", "sqlite://of-file.db"),
        ("DATABASE_URL_FILE", "secret"),
    ] {
        let mut command = workspace.command(&["db", "status"]);
        let ended = Ended::of(command.envs([variable])).expect(0);
        assert!(ended.stdout.contains("of-file.db"), "{}", ended.stdout);
    }
}

#[test]
fn a_file_of_the_url_that_cannot_be_read_is_named() {
    let workspace = workspace();
    let mut command = workspace.command(&RUN);
    Ended::of(command.env("DATABASE_URL_FILE", "none/secret"))
        .expect(74)
        .says(&["DATABASE_URL_FILE", "none/secret", "No such file"]);
}

const SECRET: &str = "hunter2";

#[test]
fn a_password_in_a_database_url_is_never_told() {
    let url = "postgres://lamp:hunter2@db.example/lamp?sslmode=prefer";
    let workspace = workspace();
    workspace.write("secret", url);
    let in_file = format!("[sink]\ndatabase = \"{url}\"\n");
    workspace.write("sink.toml", crate::harness::simple_job(&in_file));
    let wrong = in_file.replace("database", "databse");
    workspace.write("typo.toml", crate::harness::simple_job(&wrong));
    let set = format!("sink.database={url}");
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], i32);
    let cases: [Case; 9] = [
        (&["run", "job.toml", "-vv", "--database", url], &[], 64),
        (&["run", "job.toml", "-vv"], &[("DATABASE_URL", url)], 78),
        (&["run", "job.toml"], &[("DATABASE_URL_FILE", "secret")], 78),
        (&["run", "job.toml", "--set", &set], &[], 64),
        (&["run", "sink.toml", "-vv"], &[], 78),
        (&["run", "typo.toml"], &[], 78),
        (&["run", "--database", url], &[], 64),
        (&["runs", "list", "--help"], &[("DATABASE_URL", url)], 0),
        (
            &["runs", "list", "--log-format", "json"],
            &[("DATABASE_URL", url)],
            78,
        ),
    ];
    for (arguments, env, code) in cases {
        let mut command = workspace.command(arguments);
        let ended = Ended::of(command.envs(env.iter().copied())).expect(code);
        assert!(!ended.stderr.contains(SECRET), "{}", ended.stderr);
        assert!(!ended.stdout.contains(SECRET), "{}", ended.stdout);
    }
}

#[test]
fn a_url_that_is_no_sqlite_file_is_refused_with_an_example() {
    for url in [
        "lamplighter.db",
        "mysql://x",
        "sqlite://",
        "sqlite::memory:",
        "sqlite://a?mode=ro",
    ] {
        let arguments = [&RUN[..], &["--database", url]].concat();
        workspace().lamplighter(&arguments).expect(78).says(&[
            "error: the database URL",
            "hint:",
            "sqlite://PATH",
        ]);
    }
}
