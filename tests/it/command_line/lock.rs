use std::io::{BufRead, BufReader, ErrorKind, PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::{RUN, scored, workspace};
use crate::harness::Workspace;

/// A start that was seen to say something. Killed when dropped.
struct Started(Child);

impl Started {
    /// Returns once the command has said `words` on standard error.
    fn until(command: &mut Command, words: &str) -> Self {
        let child = command.stderr(Stdio::piped()).spawn();
        let mut started = Self(child.expect("lamplighter starts"));
        let stderr = started.0.stderr.as_mut().expect("standard error");
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        assert!(
            lines.any(|line| line.contains(words)),
            "it never said `{words}`"
        );
        started
    }

    fn exit_code(mut self) -> Option<i32> {
        self.0.wait().expect("it ends").code()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A start that holds the database, because nobody reads the report that it wants to print.
struct Holder {
    started: Started,
    report: PipeReader,
}

impl Holder {
    fn start(workspace: &Workspace) -> Self {
        let (report, stdout) = std::io::pipe().expect("a pipe");
        fill(&stdout);
        let mut command = workspace.command(&["run", "job.toml", "--date", "2026-11-30"]);
        let started = Started::until(command.stdout(stdout), "scoring");
        Self { started, report }
    }

    /// Reads its report, and returns its exit code.
    fn end(mut self) -> Option<i32> {
        let mut report = Vec::new();
        self.report.read_to_end(&mut report).expect("the report");
        self.started.exit_code()
    }
}

/// Writes until the pipe takes no more.
fn fill(mut pipe: impl Write + AsFd) {
    fcntl(pipe.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a pipe that never blocks");
    let full = loop {
        if let Err(error) = pipe.write(b".") {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    fcntl(pipe.as_fd(), FcntlArg::F_SETFL(OFlag::empty())).expect("a pipe that blocks");
}

#[test]
fn a_second_start_at_once_is_75_and_harms_neither() {
    let workspace = workspace();
    let first = Holder::start(&workspace);
    for command in [&RUN[..], &["db", "migrate"]] {
        workspace.lamplighter(command).expect(75).says(&[
            "error: another lamplighter is writing to lamplighter.db",
            "hint:",
            "start again",
        ]);
    }
    assert_eq!(
        workspace.value("SELECT logical_date FROM runs"),
        "2026-11-30"
    );
    assert_eq!(first.end(), Some(0));
    workspace.lamplighter(&RUN).expect(0);
    let published = "SELECT count(*) FROM runs WHERE publication = 'published'";
    assert_eq!(workspace.value(published), "2");
}

#[test]
fn a_start_into_another_database_is_not_kept_out() {
    let workspace = workspace();
    let first = Holder::start(&workspace);
    let elsewhere = [&RUN[..], &["--database", "sqlite://other.db"]].concat();
    workspace.lamplighter(&elsewhere).expect(0);
    assert_eq!(first.end(), Some(0));
}

#[test]
fn who_only_looks_is_not_kept_out() {
    let workspace = scored();
    let first = Holder::start(&workspace);
    let commands: [&[&str]; 5] = [
        &["runs", "list"],
        &["runs", "verify", super::RUN_NAME],
        &["report", super::RUN_NAME],
        &["dead-letters", "list", super::RUN_NAME],
        &["db", "status"],
    ];
    for command in commands {
        workspace.lamplighter(command).expect(0);
    }
    assert_eq!(first.end(), Some(0));
}

#[test]
fn a_killed_start_keeps_nobody_out() {
    let workspace = workspace();
    drop(Holder::start(&workspace));
    workspace.lamplighter(&RUN).expect(0);
}

#[test]
fn a_start_that_waits_for_its_input_keeps_nobody_out() {
    let workspace = workspace();
    let waiting = ["run", "job.toml", "--date", "2026-11-30"];
    let wait = ["--set", "source.wait_for=ready", "--set", "source.wait=1h"];
    let mut command = workspace.command(&[&waiting[..], &wait].concat());
    let first = Started::until(command.stdout(Stdio::null()), "waiting for input");
    workspace.lamplighter(&RUN).expect(0);
    workspace.write("ready", "");
    assert_eq!(first.exit_code(), Some(0));
}
