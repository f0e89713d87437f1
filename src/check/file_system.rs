//! File systems: what kind they are, how much room they have, and whether they let us write.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};

use crate::error::{Failure, classify_io};

/// A kind of file system, as far as it matters to a database's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) fitness: Fitness,
}

/// Whether a database's file may lie on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fitness {
    Local,
    /// What is on it is gone with a container or the machine's memory.
    Fleeting,
    /// Locks and shared memory do not reach other hosts.
    Network,
}

/// The numbers by which the kernel knows kinds, from `linux/magic.h`.
const KINDS: [(u32, &str, Fitness); 14] = [
    (0xEF53, "ext4", Fitness::Local),
    (0x5846_5342, "xfs", Fitness::Local),
    (0x9123_683E, "btrfs", Fitness::Local),
    (0x2FC1_2FC1, "zfs", Fitness::Local),
    (0x0102_1994, "tmpfs", Fitness::Fleeting),
    (0x794C_7630, "overlay", Fitness::Fleeting),
    (0x6969, "nfs", Fitness::Network),
    (0x517B, "smb", Fitness::Network),
    (0xFF53_4D42, "cifs", Fitness::Network),
    (0xFE53_4D42, "smb2", Fitness::Network),
    (0x00C3_6400, "ceph", Fitness::Network),
    (0x5346_414F, "afs", Fitness::Network),
    (0x0102_1997, "9p", Fitness::Network),
    (0x0BD0_0BD0, "lustre", Fitness::Network),
];

/// The kind of the file system that holds `directory`; `None` if it is one that is not known.
pub(super) fn kind(directory: &Path) -> Option<Kind> {
    #[cfg(target_os = "linux")]
    {
        let found = nix::sys::statfs::statfs(directory).ok()?.filesystem_type();
        // The number has 32 bits, in a type whose width and sign differ between processors.
        return known(found.0 as u32);
    }
    #[allow(unreachable_code, reason = "elsewhere nothing tells")]
    None
}

fn known(magic: u32) -> Option<Kind> {
    let (_, name, fitness) = KINDS.into_iter().find(|(known, _, _)| *known == magic)?;
    Some(Kind { name, fitness })
}

/// Bytes that this process may still write where `directory` is.
pub(super) fn free_bytes(directory: &Path) -> anyhow::Result<u64> {
    let disk = statvfs(directory)
        .map_err(io::Error::from)
        .with_context(|| format!("cannot ask for the room in {}", directory.display()))?;
    Ok(disk.blocks_available() * disk.fragment_size())
}

/// The directory that holds `file`, through whatever links it is named.
pub(super) fn directory_of(file: &Path) -> PathBuf {
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Refuses what this process may not write to. Nothing is written to find out.
pub(super) fn refuse_unwritable(path: &Path) -> Result<(), Failure> {
    access(path, AccessFlags::W_OK).map_err(|error| {
        let error = io::Error::from(error);
        let problem = format!("{} can not be written to: {error}", path.display());
        Failure::new(classify_io(&error), problem)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_of_other_hosts_are_known() {
        for magic in [0x6969, 0xFF53_4D42, 0xFE53_4D42, 0x0102_1997] {
            assert_eq!(known(magic).unwrap().fitness, Fitness::Network);
        }
        assert_eq!(known(0xEF53).unwrap().fitness, Fitness::Local);
        assert_eq!(known(0x1234_5678), None);
    }

    #[test]
    fn the_directory_of_a_name_is_here() {
        assert_eq!(directory_of(Path::new("none.db")), Path::new("."));
        assert_eq!(directory_of(Path::new("/none/such.db")), Path::new("/none"));
    }
}
