//! What this process used of the machine.

use std::fs;
use std::hash::{BuildHasher, RandomState};
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
    /// Memory that the run may use: `[run] max_memory`.
    #[serde(default)]
    pub memory_limit_bytes: Option<u64>,
    /// Processor time, in seconds.
    #[serde(default)]
    pub cpu_seconds: Option<f64>,
    /// Bytes that came over the network while the run was under way: of the whole host or container, the
    /// loopback interface aside.
    #[serde(default)]
    pub network_received_bytes: Option<u64>,
    /// The same of bytes that were sent.
    #[serde(default)]
    pub network_sent_bytes: Option<u64>,
    /// Processor time over wall-clock time and workers: 1 is all of them, all the time.
    pub cpu_share: Option<f64>,
    /// Bytes read from files, cached or not.
    pub bytes_read: Option<u64>,
    /// Bytes written to files.
    pub bytes_written: Option<u64>,
    /// Space left where the database's file is.
    pub free_disk_bytes: Option<u64>,
}

/// What a process had used, and the machine had done, when a run began.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    begun: Instant,
    cpu_seconds: Option<f64>,
    bytes_read: Option<u64>,
    bytes_written: Option<u64>,
    network: Option<Network>,
}

/// Bytes over a host's or container's network, since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    received: u64,
    sent: u64,
}

impl Before {
    /// From here on.
    pub fn now() -> Self {
        Self {
            begun: Instant::now(),
            cpu_seconds: cpu_seconds(),
            bytes_read: transferred("rchar"),
            bytes_written: transferred("wchar"),
            network: network(),
        }
    }
}

/// Looks at the process, which used `workers` threads and may use `memory_limit` bytes; `database` is the
/// database's file, if it is one.
pub fn measure(
    before: &Before,
    workers: usize,
    memory_limit: u64,
    database: Option<&Path>,
) -> Resources {
    // Of a process that works on several runs, what it used for this one.
    let cpu_seconds = before
        .cpu_seconds
        .zip(cpu_seconds())
        .map(|(before, now)| (now - before).max(0.0));
    let since = |before: Option<u64>, now: Option<u64>| {
        let both = before.zip(now);
        both.map(|(before, now)| now.saturating_sub(before))
    };
    let both = before.network.zip(network());
    let over_network = |bytes: fn(&Network) -> u64| {
        both.map(|(before, now)| bytes(&now).saturating_sub(bytes(&before)))
    };
    let directory = database.map(|file| match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    });
    Resources {
        host: host_name(),
        workers: workers as u64,
        peak_memory_bytes: peak_memory(),
        memory_limit_bytes: Some(memory_limit),
        cpu_seconds,
        network_received_bytes: over_network(|network| network.received),
        network_sent_bytes: over_network(|network| network.sent),
        cpu_share: cpu_seconds.map(|seconds| {
            let available = before.begun.elapsed().as_secs_f64() * workers as f64;
            seconds / available
        }),
        bytes_read: since(before.bytes_read, transferred("rchar")),
        bytes_written: since(before.bytes_written, transferred("wchar")),
        free_disk_bytes: directory
            .and_then(|directory| statvfs(directory).ok())
            .map(|disk| disk.blocks_available() * disk.fragment_size()),
    }
}

/// Processor time of this process, in seconds.
fn cpu_seconds() -> Option<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let processor = usage.user_time() + usage.system_time();
    Some(processor.num_microseconds() as f64 / 1e6)
}

/// Greatest resident set of this process so far, in bytes.
pub fn peak_memory() -> Option<u64> {
    peak_resident_set().or_else(|| {
        // In KiB. That of whoever started this process counts, too, where it was greater.
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
        let kibibytes = u64::try_from(usage.max_rss()).ok()?;
        Some(kibibytes * 1024)
    })
}

/// Name of this host.
pub fn host_name() -> String {
    nix::unistd::gethostname().map_or_else(
        |_| "unknown".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// A name for this process that no other has, wherever it runs.
pub fn unique_process() -> String {
    // Containers may share host name and process id.
    let random = RandomState::new().hash_one(Instant::now());
    format!("{}:{}:{random:016x}", host_name(), std::process::id())
}

/// A counter of `/proc/self/io`, which only Linux has.
fn transferred(counter: &str) -> Option<u64> {
    entry("/proc/self/io", counter)?.parse().ok()
}

/// What went over all interfaces but loopback, where Linux tells.
fn network() -> Option<Network> {
    parse_network(&fs::read_to_string("/proc/self/net/dev").ok()?)
}

/// Lines such as `eth0: RECEIVED packets errs drop fifo frame compressed multicast SENT …`, after two of titles.
fn parse_network(text: &str) -> Option<Network> {
    let mut sum = Network {
        received: 0,
        sent: 0,
    };
    for line in text.lines().skip(2) {
        let (interface, counters) = line.split_once(':')?;
        if interface.trim() == "lo" {
            continue;
        }
        let mut counters = counters.split_whitespace();
        sum.received += counters.next()?.parse::<u64>().ok()?;
        sum.sent += counters.nth(7)?.parse::<u64>().ok()?;
    }
    Some(sum)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_is_all_interfaces_but_loopback() {
        let text = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 9999 1 0 0 0 0 0 0 9999 1 0 0 0 0 0 0
  eth0: 1000 7 0 0 0 0 0 0 200 3 0 0 0 0 0 0
  eth1:    5 1 0 0 0 0 0 0   6 1 0 0 0 0 0 0
";
        let expected = Network {
            received: 1005,
            sent: 206,
        };
        assert_eq!(parse_network(text), Some(expected));
        assert_eq!(parse_network("a\nb\neth0: no numbers\n"), None);
    }
}
