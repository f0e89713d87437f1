//! Programs that the job file names.

use std::io;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

const POLL: Duration = Duration::from_millis(20);

/// The status of a program once it has ended, or `None` if it took longer than `patience` and was killed.
///
/// # Errors
/// The operating system's.
pub fn wait(child: &mut Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    wait_or(child, patience, Child::kill)
}

/// The same of a program that was started in a process group of its own: all of that is killed.
///
/// # Errors
/// The operating system's.
pub fn wait_for_group(child: &mut Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    wait_or(child, patience, |child| {
        let group = i32::try_from(child.id()).map_err(io::Error::other)?;
        Ok(killpg(Pid::from_raw(group), Signal::SIGKILL)?)
    })
}

fn wait_or(
    child: &mut Child,
    patience: Duration,
    end: impl FnOnce(&mut Child) -> io::Result<()>,
) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= patience {
            end(child)?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}
