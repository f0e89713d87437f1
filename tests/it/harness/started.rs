//! A process that is under way, and what is done to it.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::Ended;

/// A process that is under way; killed when it is dropped.
pub struct Started {
    child: Child,
    arguments: String,
    stdout: Option<JoinHandle<String>>,
    stderr: Arc<Said>,
}

/// Lines of standard error as they come.
#[derive(Default)]
struct Said {
    so_far: Mutex<(String, bool)>,
    more: Condvar,
}

impl Started {
    pub fn new(command: &mut Command) -> Self {
        let arguments = format!("{command:?}");
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut stdout = child.stdout.take().expect("a pipe");
        let stdout = thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).expect("text");
            text
        });
        let said = Arc::new(Said::default());
        let (listener, log) = (said.clone(), child.stderr.take().expect("a pipe"));
        thread::spawn(move || listener.listen(log));
        Self {
            child,
            arguments,
            stdout: Some(stdout),
            stderr: said,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has logged this.
    #[track_caller]
    pub fn until(&self, word: &str) -> &Self {
        let mut said = self.stderr.lock();
        while !said.0.contains(word) {
            assert!(!said.1, "it ended without saying `{word}`: {}", said.0);
            let waited = self.stderr.more.wait(said);
            said = waited.unwrap_or_else(PoisonError::into_inner);
        }
        drop(said);
        self
    }

    /// Sends a signal, such as `STOP`.
    #[track_caller]
    pub fn send(&self, signal: &str) {
        let sent = Command::new("kill")
            .args(["-s", signal, &self.id().to_string()])
            .status()
            .expect("the program `kill`");
        assert!(sent.success(), "{} is gone", self.arguments);
    }

    /// Kills it, unless it has ended, and waits for its end.
    pub fn killed(mut self) -> Ended {
        self.child.kill().expect("a kill");
        self.end()
    }

    /// Whether it has not ended yet.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("a process").is_none()
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ended {
        let status = self.child.wait().expect("an end");
        let stdout = self.stdout.take().expect("taken once");
        let mut said = self.stderr.lock();
        while !said.1 {
            let waited = self.stderr.more.wait(said);
            said = waited.unwrap_or_else(PoisonError::into_inner);
        }
        Ended {
            code: status.code(),
            signal: status.signal(),
            pid: Some(self.id()),
            stdout: stdout.join().expect("text"),
            stderr: said.0.clone(),
            arguments: self.arguments.clone(),
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Said {
    fn listen(&self, log: ChildStderr) {
        for line in BufReader::new(log).lines() {
            self.lock().0 += &(line.expect("text") + "\n");
            self.more.notify_all();
        }
        self.lock().1 = true;
        self.more.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, (String, bool)> {
        self.so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
