//! Faults at a process's system calls, by `strace`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{Ended, Workspace};

/// Whether there is no strace, and `make test`, which could not install it, has said so and asked
/// to go on without. Nobody else may leave it out.
pub fn is_left_out() -> bool {
    super::find_program("strace").is_none() && std::env::var_os("TEST_WITHOUT_STRACE").is_some()
}

/// How often the busiest thread of an undisturbed process makes each of these system calls.
pub fn count(command: &Command, calls: &[&str]) -> BTreeMap<String, u64> {
    let workspace = Workspace::new();
    let log = workspace.path("strace");
    let quick = ["--seccomp-bpf"];
    Ended::of(&mut traced(command, &log, &calls.join(","), &quick)).expect(0);
    let log = fs::read_to_string(log).expect("what strace saw");
    let mut threads: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for line in log.lines() {
        let mut words = line.split_whitespace();
        let (thread, call) = (words.next(), words.next().unwrap_or_default());
        // The end of a call that another thread's call came between begins with `<... `.
        if let (Some(thread), Some((call, _))) = (thread, call.split_once('(')) {
            *threads.entry((thread, call)).or_default() += 1;
        }
    }
    let mut most = BTreeMap::new();
    for ((_, call), count) in threads {
        let entry: &mut u64 = most.entry(call.to_owned()).or_default();
        *entry = count.max(*entry);
    }
    most
}

/// The system calls that an undisturbed process makes.
pub fn names(command: &Command) -> BTreeSet<String> {
    let workspace = Workspace::new();
    let log = workspace.path("strace");
    Ended::of(&mut traced(command, &log, "all", &[])).expect(0);
    let log = fs::read_to_string(log).expect("what strace saw");
    let calls = log.lines().filter_map(|line| {
        let call = line.split_whitespace().nth(1)?;
        call.split_once('(').map(|(call, _)| call.to_owned())
    });
    calls.collect()
}

/// Runs a command whose threads meet a fault, such as `signal=KILL` or `error=EIO`, at their
/// `when`-th call of this name, such as `5` or `5+`. Says too whether one of them met it.
pub fn disturb(command: &Command, call: &str, fault: &str, when: &str) -> (Ended, bool) {
    let workspace = Workspace::new();
    let log = workspace.path("strace");
    let inject = format!("inject={call}:{fault}:when={when}");
    // strace 6.1 forgets signals with `--seccomp-bpf`.
    let ended = Ended::of(&mut traced(command, &log, call, &["-e", &inject]));
    let log = fs::read_to_string(log).expect("what strace saw");
    // strace ends by the signal that ended the process.
    let has_struck = log.contains("(INJECTED)") || ended.signal == Some(9);
    (ended, has_struck)
}

/// Runs a command and returns its calls of these names, one a line, in all its processes.
pub fn seen(command: &Command, calls: &str) -> (Ended, String) {
    let workspace = Workspace::new();
    let log = workspace.path("strace");
    let ended = Ended::of(&mut traced(command, &log, calls, &[]));
    (ended, fs::read_to_string(log).expect("what strace saw"))
}

fn traced(command: &Command, log: &PathBuf, calls: &str, more: &[&str]) -> Command {
    let program = super::find_program("strace")
        .expect("strace is not installed: `make test` installs it, or `make programs` alone");
    let mut traced = Command::new(program);
    traced
        .args(["-f", "-qq", "-e", "signal=none", "-s", "0"])
        .args(["-e", &format!("trace={calls}"), "-o"])
        .arg(log)
        .args(more)
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null());
    if let Some(directory) = command.get_current_dir() {
        traced.current_dir(directory);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => traced.env(name, value),
            None => traced.env_remove(name),
        };
    }
    traced
}
