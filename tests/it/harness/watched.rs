//! Servers that the tests start, each in a temporary directory of its own, which are gone when the
//! test process is, however it ends.
//!
//! A shell watches over each server. It reads commands from a pipe of which the test process has the
//! only other end: also after `kill -9` the kernel closes that end, the shell comes to the end of
//! its input, ends the server and removes the directory.
//!
//! Neither Postgres nor pgbouncer runs as root. When the tests do, the shell and what it starts are
//! the user `postgres`, or `nobody` where there is none.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::small_disk::is_root;

/// What every watcher does. Each server's script comes before it and defines its commands as shell
/// functions, `end` among them: what to do before the directory is removed.
///
/// A socket's path has at most 107 bytes, and stands in URLs as it is: a temporary directory with
/// a long or an odd name is not used.
///
/// The watcher keeps the tests' standard error: who reads that to its end knows that all is gone.
const WATCH: &str = r#"
umask 077
for place in "${TMPDIR:-/tmp}" /tmp; do
    case $place in *[!A-Za-z0-9/._-]*) continue ;; /*) ;; *) continue ;; esac
    [ ${#place} -le 60 ] || continue
    directory=$(mktemp -d "$place/lamplighter-XXXXXXXX" 2>/dev/null) && break
done
[ -n "${directory:-}" ] || exit 1
trap 'end >>"$directory/log" 2>&1; rm -rf "$directory"' EXIT
trap 'exit 1' HUP INT TERM
trap '' PIPE
echo "$directory"
while read -r command; do
    if "$command" >>"$directory/log" 2>&1; then echo done; else echo failed; fi
done
"#;

/// A server and the shell that watches over it. Dropping it returns when both are gone.
pub struct Watched {
    watcher: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    directory: PathBuf,
}

impl Watched {
    /// Starts a watcher with a server's script and the arguments that the script expects.
    pub fn start(script: &str, arguments: &[&OsStr]) -> Self {
        let mut watcher = as_server_user("sh")
            .args(["-c", &format!("{script}{WATCH}"), "watcher"])
            .args(arguments)
            // Ctrl-C is for the tests; the watcher then notices that they are gone.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let commands = watcher.stdin.take();
        let mut answers = BufReader::new(watcher.stdout.take().expect("a pipe"));
        let directory = PathBuf::from(line(&mut answers));
        assert!(directory.is_dir(), "a temporary directory for a server");
        Self {
            watcher,
            commands,
            answers,
            directory,
        }
    }

    /// Has the watcher call a function of its script and waits until it returns.
    #[track_caller]
    pub fn call(&mut self, function: &str) {
        let commands = self.commands.as_mut().expect("open until dropped");
        writeln!(commands, "{function}").expect("the watcher listens");
        let answer = line(&mut self.answers);
        assert!(answer == "done", "{function} {answer}: {}", self.log());
    }

    /// The server's directory, which only its user and root can enter.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What the server has said so far; nothing, if the watcher itself has ended.
    pub fn log(&self) -> String {
        let log = fs::read(self.directory.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        drop(self.commands.take());
        let _ended = self.watcher.wait();
    }
}

fn line(answers: &mut impl BufRead) -> String {
    let mut line = String::new();
    answers.read_line(&mut line).expect("the watcher answers");
    line.truncate(line.trim_end().len());
    line
}

/// A command that runs as the user that servers run as.
pub fn as_server_user(program: impl AsRef<OsStr>) -> Command {
    let mut command = match server_user() {
        Some((user, group)) => {
            let mut command = Command::new("setpriv");
            command
                .args([format!("--reuid={user}"), format!("--regid={group}")])
                .args(["--clear-groups", "--"])
                .arg(program);
            command
        }
        None if is_root() => {
            // In a namespace where there is no other user, one that is taken for another.
            let mut command = Command::new("unshare");
            command
                .args(["--user", "--map-user=1000", "--map-group=1000", "--"])
                .arg(program);
            command
        }
        None => Command::new(program),
    };
    // The tests' own directory may be closed to that user.
    command.current_dir("/").env("LC_ALL", "C");
    command
}

/// A new directory that belongs to that user.
pub fn owned_directory(path: &Path) -> PathBuf {
    fs::create_dir(path).expect("a directory");
    if let Some((user, group)) = server_user() {
        std::os::unix::fs::chown(path, Some(user), Some(group)).expect("an owner");
    }
    path.to_owned()
}

/// User and group that servers run as, if it is not the tests' own.
fn server_user() -> Option<(u32, u32)> {
    // Among root's first users there are none but root where a namespace has no others.
    let users = fs::read_to_string("/proc/self/uid_map").expect("a process of Linux");
    let is_alone = users.lines().all(|line| line.ends_with(" 1"));
    if !is_root() || is_alone {
        return None;
    }
    let user = ["postgres", "nobody"].into_iter().find_map(ids);
    Some(user.expect("a user `postgres` or `nobody`, as servers do not run as root"))
}

/// User and group id of a user of this machine.
fn ids(name: &str) -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let user = users
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields[0] == name)?;
    Some((user.get(2)?.parse().ok()?, user.get(3)?.parse().ok()?))
}
