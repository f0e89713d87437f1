//! What this process used of the machine.

use std::fs;
use std::path::Path;
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::statvfs::statvfs;
use nix::sys::time::TimeValLike;
use serde::{Deserialize, Serialize};

/// What a process used. `None` where the system does not tell.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Resources {
    /// Host name.
    pub host: String,
    /// Worker threads.
    pub workers: u64,
    /// Greatest resident set.
    pub peak_memory_bytes: Option<u64>,
    /// Processor time over wall-clock time and workers: 1 is all of them, all the time.
    pub cpu_share: Option<f64>,
    /// Bytes read from files, cached or not.
    pub bytes_read: Option<u64>,
    /// Bytes written to files.
    pub bytes_written: Option<u64>,
    /// Space left where the database's file is.
    pub free_disk_bytes: Option<u64>,
}

/// Looks at the process, which began at `begun` and used `workers` threads; `database` is the
/// database's file, if it is one.
pub fn measure(begun: Instant, workers: usize, database: Option<&Path>) -> Resources {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok();
    let directory = database.map(|file| match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    });
    Resources {
        host: host_name(),
        workers: workers as u64,
        peak_memory_bytes: peak_resident_set().or_else(|| {
            // In KiB. That of whoever started this process counts, too, where it was greater.
            let kibibytes = u64::try_from(usage?.max_rss()).ok()?;
            Some(kibibytes * 1024)
        }),
        cpu_share: usage.map(|usage| {
            let processor = usage.user_time() + usage.system_time();
            let available = begun.elapsed().as_secs_f64() * workers as f64;
            processor.num_microseconds() as f64 / 1e6 / available
        }),
        bytes_read: transferred("rchar"),
        bytes_written: transferred("wchar"),
        free_disk_bytes: directory
            .and_then(|directory| statvfs(directory).ok())
            .map(|disk| disk.blocks_available() * disk.fragment_size()),
    }
}

/// Name of this host.
pub fn host_name() -> String {
    nix::unistd::gethostname().map_or_else(
        |_| "unknown".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// A counter of `/proc/self/io`, which only Linux has.
fn transferred(counter: &str) -> Option<u64> {
    entry("/proc/self/io", counter)?.parse().ok()
}

/// Greatest resident set of this process alone, where Linux tells.
fn peak_resident_set() -> Option<u64> {
    let peak = entry("/proc/self/status", "VmHWM")?;
    let kibibytes: u64 = peak.strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// What a file of lines such as `name: value` says.
fn entry(file: &str, name: &str) -> Option<String> {
    let entries = fs::read_to_string(file).ok()?;
    let mut values = entries
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    Some(values.next()?.trim().to_owned())
}
