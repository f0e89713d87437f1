//! SIGTERM and Ctrl-C: what is begun is finished, the rest is left for the next start.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::harness::{Ended, Workspace, repository};

/// Shards small enough that a signal after the first log line finds most of them undone.
const SHARDS: [&str; 2] = ["--set", "run.shard_size=100"];

fn run_flights(workspace: &Workspace) -> Command {
    let database = format!("sqlite://{}", workspace.path("lamplighter.db").display());
    let mut arguments = vec!["run", "jobs/flight-delay.toml", "--date", "2026-01-01"];
    arguments.extend(["--database", &database]);
    arguments.extend(SHARDS);
    let mut command = workspace.command(&arguments);
    command.current_dir(repository());
    command
}

/// Starts a command and waits until it logs a line with this word. The rest of its log is kept.
fn start_until(command: &mut Command, word: &str) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut log = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.contains(word) {
        line.clear();
        let bytes = log.read_line(&mut line).expect("a line");
        assert!(bytes > 0, "it ended without saying `{word}`");
    }
    (child, log)
}

fn send(child: &Child, signal: &str) {
    let sent = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .expect("the program `kill`");
    assert!(sent.success());
}

fn rest_of(log: BufReader<std::process::ChildStderr>) -> String {
    log.lines()
        .map(|line| line.expect("a line") + "\n")
        .collect()
}

#[test]
fn a_signal_ends_the_run_with_75_and_the_next_start_completes_it() {
    let undisturbed = Workspace::new();
    Ended::of(&mut run_flights(&undisturbed)).expect(0);
    let expected = undisturbed.prediction_bits(1);

    for signal in ["-TERM", "-INT"] {
        let workspace = Workspace::new();
        let (mut child, log) = start_until(&mut run_flights(&workspace), "scoring");
        send(&child, signal);
        let said = rest_of(log);
        let status = child.wait().expect("an end");
        assert_eq!(status.code(), Some(75), "{signal}: {status} {said}");
        assert!(said.contains("error: interrupted"), "{said}");
        assert!(said.contains("hint: what is committed stays"), "{said}");
        assert_eq!(
            workspace.query("SELECT exit_code, ended_at IS NULL FROM run_attempts"),
            [["75", "0"]]
        );
        assert_eq!(
            workspace.value("SELECT count(*) FROM shards WHERE state = 'leased'"),
            "0"
        );
        assert_eq!(workspace.value("SELECT count(*) FROM publications"), "0");

        Ended::of(&mut run_flights(&workspace)).expect(0);
        assert_eq!(workspace.value("SELECT count(*) FROM runs"), "1");
        assert!(
            workspace.prediction_bits(1) == expected,
            "{signal}: bits differ"
        );
        workspace.lamplighter(&["runs", "verify"]).expect(0);
    }
}

/// With a job whose input does not come.
fn waiting_workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.write(
        "job.toml",
        "[job]\nname = \"late\"\n[source]\nkind = \"parquet\"\npath = \"*.parquet\"\nid_column = \"id\"\nwait_for = \"never\"\nwait = \"1h\"\n[model]\nbundle = \"bundle\"\n",
    );
    workspace
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let workspace = waiting_workspace();
    let mut command = workspace.command(&["run", "job.toml"]);
    let (mut child, log) = start_until(&mut command, "waiting for input");
    send(&child, "-TERM");
    send(&child, "-INT");
    let status = child.wait().expect("an end");
    // Whichever is delivered second.
    assert!(
        matches!(status.code(), Some(130 | 143)),
        "{status} {}",
        rest_of(log)
    );
}

#[test]
fn a_start_that_waits_for_its_input_can_be_stopped() {
    let workspace = waiting_workspace();
    let mut command = workspace.command(&["run", "job.toml"]);
    let (mut child, log) = start_until(&mut command, "waiting for input");
    send(&child, "-TERM");
    assert_eq!(
        child.wait().expect("an end").code(),
        Some(75),
        "{}",
        rest_of(log)
    );
}
