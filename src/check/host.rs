//! This machine: memory, disks, clock and processor.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use bytesize::ByteSize;
use jiff::Timestamp;

use super::database::Seen;
use super::file_system::{directory_of, free_bytes, refuse_unwritable};
use super::model::Need;
use super::{Group, List, Looked, Request, Section, count, setting};
use crate::error::{Class, Failure};
use crate::ledger::LARGEST_SKEW;
use crate::model::numerics;

/// What a database's file takes, for each byte that a prediction takes until it is there. On the
/// fixtures it was 0.6 of one class's score to 1.3 of three classes' probabilities as text.
const DISK_PER_BYTE: u64 = 2;

/// Tables, report and the journal, which is folded into the file at 32 MiB.
const DISK_AT_LEAST: u64 = 64 << 20;

/// What finding duplicates may write for each record.
const TEMPORARY_PER_RECORD: u64 = 24;

pub(super) fn look(request: &Request<'_>, looked: &Looked, seen: &Seen, list: &mut List) {
    let mut section = list.group(Group::Host);
    look_at_memory(request, looked, &mut section);
    look_at_disk(request, looked, &mut section);
    look_at_temporary(looked, &mut section);
    look_at_clock(seen, &mut section);
    let cores = available_parallelism().map_or(1, usize::from);
    const PROCESSOR: &str = "processor";
    if let Some(set) = section.settle(PROCESSOR, numerics::instruction_set().map_err(Into::into)) {
        let cores = count(cores as u64, "core");
        let products = set.as_str();
        section.passed(
            PROCESSOR,
            format!("{cores} for this process, products by {products}"),
        );
    }
}

fn look_at_memory(request: &Request<'_>, looked: &Looked, section: &mut Section<'_>) {
    const ITEM: &str = "memory";
    let Some(need) = Need::of(request, looked) else {
        return section.not_looked_at(ITEM, "columns");
    };
    let Some((available, who)) = available_memory() else {
        return section.passed(ITEM, "this system does not tell how much is left");
    };
    let need = need.total();
    let finding = format!(
        "about {} of {} that {who} leaves",
        ByteSize(need),
        ByteSize(available)
    );
    if need <= available {
        return section.passed(ITEM, finding);
    }
    let half = (available / 2) >> 20;
    let line = setting("run", &format!("max_memory = \"{}MiB\"", half.max(1)));
    let failure = Failure::new(Class::Temporary, finding);
    section.failed_with(ITEM, &failure.into(), line);
}

/// Memory that this process may still take, and who says so.
fn available_memory() -> Option<(u64, &'static str)> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let host = read("/proc/meminfo").and_then(|text| available_in(&text));
    let own = read("/proc/self/cgroup");
    let own = own.as_deref().and_then(own_group);
    let group = own.and_then(|group| left_in_groups(Path::new("/sys/fs/cgroup"), group));
    let host = host.map(|bytes| (bytes, "this host"));
    let group = group.map(|bytes| (bytes, "the control group"));
    host.into_iter().chain(group).min()
}

/// What `/proc/meminfo` says.
fn available_in(meminfo: &str) -> Option<u64> {
    let mut lines = meminfo.lines();
    let line = lines.find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The control group of version 2 that `/proc/self/cgroup` names, relative to their root.
fn own_group(groups: &str) -> Option<&str> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(own.trim_start_matches('/'))
}

/// The least that a group and those above it leave; `None` if none of them has a limit.
fn left_in_groups(root: &Path, own: &str) -> Option<u64> {
    let own = root.join(own);
    let groups = own.ancestors().take_while(|group| group.starts_with(root));
    let left = groups.filter_map(|group| {
        let number = |name: &str| -> Option<u64> {
            let text = fs::read_to_string(group.join(name)).ok()?;
            text.trim().parse().ok()
        };
        Some(number("memory.max")?.saturating_sub(number("memory.current")?))
    });
    left.min()
}

fn look_at_disk(request: &Request<'_>, looked: &Looked, section: &mut Section<'_>) {
    const ITEM: &str = "disk space";
    let (Some(prepared), Some(records)) = (&looked.prepared, looked.records) else {
        return section.not_looked_at(ITEM, "columns");
    };
    let written = records * prepared.bytes_per_output();
    let file = request
        .target
        .as_ref()
        .ok()
        .and_then(|target| target.file());
    let Some(file) = file else {
        return section.passed(
            ITEM,
            format!(
                "{} take about {} of the server's disk, which can not be seen from here",
                count(records, "record"),
                ByteSize(written * DISK_PER_BYTE)
            ),
        );
    };
    let directory = directory_of(file);
    if !directory.is_dir() {
        return section.not_looked_at(ITEM, "directory");
    }
    let need = DISK_AT_LEAST + written * DISK_PER_BYTE;
    look_at_room(ITEM, &directory, need, "what tonight writes", section);
}

fn look_at_temporary(looked: &Looked, section: &mut Section<'_>) {
    const ITEM: &str = "temporary files";
    let Some(records) = looked.records else {
        return section.not_looked_at(ITEM, "source");
    };
    let directory: PathBuf = env::temp_dir();
    if let Err(failure) = refuse_unwritable(&directory) {
        let mend = "export TMPDIR=/var/tmp";
        return section.failed_with(ITEM, &failure.into(), mend);
    }
    let need = records * TEMPORARY_PER_RECORD;
    look_at_room(
        ITEM,
        &directory,
        need,
        "what finding duplicate ids may write",
        section,
    );
}

fn look_at_room(
    item: &'static str,
    directory: &Path,
    need: u64,
    what: &str,
    section: &mut Section<'_>,
) {
    let Some(free) = section.settle(item, free_bytes(directory)) else {
        return;
    };
    let shown = directory.display();
    let finding = format!(
        "{} free in {shown}, {} for {what}",
        ByteSize(free),
        ByteSize(need)
    );
    match free >= need {
        true => section.passed(item, finding),
        false => section.failed_with(item, &Failure::io(finding).into(), format!("df -h {shown}")),
    }
}

fn look_at_clock(seen: &Seen, section: &mut Section<'_>) {
    const ITEM: &str = "clock";
    let Some(ahead) = seen.seconds_ahead else {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
        return match seen.is_reachable {
            true => section.passed(ITEM, format!("this host's counts: {now}")),
            false => section.not_looked_at(ITEM, "database"),
        };
    };
    let finding = format!("{ahead:+.2} s from the database's, which counts");
    if ahead.abs() <= LARGEST_SKEW.as_secs_f64() {
        return section.passed(ITEM, finding);
    }
    let failure = Failure::new(Class::Temporary, finding);
    section.failed_with(ITEM, &failure.into(), "timedatectl set-ntp true");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_understood() {
        let meminfo = "MemTotal:  24 kB\nMemAvailable:   20 kB\nSwapFree: 1 kB\n";
        assert_eq!(available_in(meminfo), Some(20 * 1024));
        assert_eq!(available_in("MemTotal: 24 kB\n"), None);
        assert_eq!(own_group("0::/pods/night\n"), Some("pods/night"));
        assert_eq!(own_group("4:memory:/pods\n"), None);
    }

    #[test]
    fn the_tightest_of_nested_groups_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |group: &str, limit: &str, current: &str| {
            let group = root.path().join(group);
            fs::create_dir_all(&group).unwrap();
            fs::write(group.join("memory.max"), format!("{limit}\n")).unwrap();
            fs::write(group.join("memory.current"), format!("{current}\n")).unwrap();
        };
        write("pods/night", "max", "10");
        assert_eq!(left_in_groups(root.path(), "pods/night"), None);
        write("pods", "1000", "400");
        assert_eq!(left_in_groups(root.path(), "pods/night"), Some(600));
        write("pods/night", "500", "10");
        assert_eq!(left_in_groups(root.path(), "pods/night"), Some(490));
        write("pods/night", "5", "10");
        assert_eq!(left_in_groups(root.path(), "pods/night"), Some(0));
        assert_eq!(left_in_groups(root.path(), "none/such"), None);
    }
}
