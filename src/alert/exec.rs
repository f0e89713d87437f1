//! Telling of an alert by a program.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::unistd::{AccessFlags, access};

use super::outbound::Problem;
use crate::job::Exec;
use crate::printable::one_line;
use crate::subprocess;

/// Of what a program says of its failure, so many bytes are logged at most.
const LONGEST_COMPLAINT: u64 = 2 * 1024;

/// How long to listen to what it said when it has ended.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Variables that are not the program's business.
const SECRETS: [&str; 2] = ["DATABASE_URL", "PGPASSWORD"];

/// Whether there is such a program.
pub(super) fn is_there(exec: &Exec) -> bool {
    let Some(program) = exec.command.first() else {
        return false;
    };
    let is_file = |path: &Path| path.is_file() && access(path, AccessFlags::X_OK).is_ok();
    if program.contains('/') {
        return is_file(Path::new(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| is_file(&directory.join(program)))
}

/// Runs the program with `message` on its standard input.
pub(super) fn run(exec: &Exec, message: &str) -> Result<(), Problem> {
    let Some((program, arguments)) = exec.command.split_first() else {
        return Err(Problem::lasting("no program is named"));
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // So that what it starts ends with it.
        .process_group(0);
    for secret in SECRETS {
        command.env_remove(secret);
    }
    let mut child = command
        .spawn()
        .map_err(|error| Problem::of_receiver(format!("it does not start: {error}")))?;
    if let Some(mut input) = child.stdin.take() {
        let message = message.to_owned();
        // It need not read; and one that does not must not hold us up.
        thread::spawn(move || input.write_all(message.as_bytes()));
    }
    let (told, complaint) = mpsc::channel();
    if let Some(output) = child.stderr.take() {
        thread::spawn(move || {
            let mut said = Vec::new();
            let mut output = output;
            let _ = (&mut output).take(LONGEST_COMPLAINT).read_to_end(&mut said);
            // Nobody listens any more if it was not said in time.
            let _ = told.send(String::from_utf8_lossy(&said).into_owned());
            // A full pipe would stop it.
            let _ = std::io::copy(&mut output, &mut std::io::sink());
        });
    }
    let ended = subprocess::wait_for_group(&mut child, exec.timeout);
    let problem = match ended {
        Ok(Some(status)) if status.success() => return Ok(()),
        Ok(Some(status)) => Problem::temporary(format!("it failed ({status})")),
        Ok(None) => Problem::of_receiver(format!(
            "it was killed after {} s",
            exec.timeout.as_secs_f64()
        )),
        Err(error) => Problem::of_receiver(format!("it can not be waited for: {error}")),
    };
    // What it left behind may hold its output open.
    if let Ok(said) = complaint.recv_timeout(LAST_WORDS)
        && !said.trim().is_empty()
    {
        tracing::warn!(program, "{problem}: {}", one_line(said.trim()));
    }
    Err(problem)
}
