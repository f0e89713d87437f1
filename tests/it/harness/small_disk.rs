//! File systems that are small or read-only.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Ended, Workspace};

pub fn is_root() -> bool {
    fs::metadata("/proc/self").expect("this process").uid() == 0
}

/// Whether this process may mount file systems. If it may not, the test of this full name is run in
/// a user namespace, in which it may.
pub fn may_mount(test: &str) -> bool {
    if is_root() {
        return true;
    }
    let ended = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount"])
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", test])
        .output()
        .expect("the program `unshare`");
    let output = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success() && output.contains("1 passed"),
        "{output}{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    false
}

/// A small file system of its own, unmounted when dropped.
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    pub fn at(path: PathBuf, bytes: usize) -> Self {
        fs::create_dir_all(&path).expect("a directory");
        let size = format!("size={bytes}");
        mount(&["-t", "tmpfs", "-o", &size, "tmpfs"], &path);
        Self { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn make_read_only(&self) {
        mount(&["-o", "remount,bind,ro"], &self.path);
    }

    pub fn make_writable(&self) {
        mount(&["-o", "remount,bind,rw"], &self.path);
    }

    /// Fills it until there is room for so many bytes; what fills it is gone when the file is
    /// removed that is returned.
    pub fn fill(&self, room: u64) -> PathBuf {
        let path = self.path.join("filler");
        let mut file = File::create(&path).expect("a file");
        let zeros = [0; 4096];
        while file.write_all(&zeros).is_ok() {}
        let length = file.metadata().expect("a length").len();
        file.set_len(length.saturating_sub(room)).expect("a length");
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.path).status();
        if !std::thread::panicking() {
            assert!(unmounted.expect("umount").success());
        }
    }
}

#[track_caller]
fn mount(options: &[&str], path: &Path) {
    let mounted = Command::new("mount").args(options).arg(path).output();
    let mounted = mounted.expect("the program `mount`");
    assert!(
        mounted.status.success(),
        "a full or read-only disk can only be tested where file systems may be mounted \
         (as root, or in a user namespace): {}",
        String::from_utf8_lossy(&mounted.stderr)
    );
}

/// Runs a command without root's power to pass over permissions.
pub fn without_privileges(workspace: &Workspace, command: &mut Command) -> Ended {
    if !is_root() {
        return Ended::of(command);
    }
    let mut unprivileged = Command::new("setpriv");
    unprivileged
        .args(["--bounding-set", "-dac_override,-dac_read_search"])
        .arg(command.get_program())
        .args(command.get_args())
        .env_remove("DATABASE_URL")
        .env_remove("DATABASE_URL_FILE")
        .current_dir(workspace.path(""));
    Ended::of(&mut unprivileged)
}

/// Sets the permissions of a file or a directory.
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permissions");
}
