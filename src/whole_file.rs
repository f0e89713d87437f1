//! Files that are written as a whole, so that nobody ever reads half of one.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Puts `content` in the place of the file's, whose permissions stay; a new file gets `mode`, less what the
/// umask takes. Links are followed. What is no plain file, such as a pipe, is written to.
///
/// # Errors
/// I/O.
pub fn replace(file: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let followed = fs::canonicalize(file);
    let file = followed.as_deref().unwrap_or(file);
    let before = fs::metadata(file).ok();
    if before.as_ref().is_some_and(|before| !before.is_file()) {
        return fs::write(file, content);
    }
    let directory = match file.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    let mut written = tempfile::Builder::new()
        .prefix(".lamplighter-")
        .suffix(".tmp")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(directory)?;
    written.write_all(content)?;
    if let Some(before) = before {
        written.as_file().set_permissions(before.permissions())?;
    }
    written.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_replaced_where_it_is_and_keeps_its_permissions() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("report.html");
        replace(&file, b"one", 0o644).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        let link = directory.path().join("link");
        symlink(&file, &link).unwrap();
        replace(&link, b"two", 0o644).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_no_file_is_written_to_and_stays() {
        replace(Path::new("/dev/null"), b"nothing", 0o644).unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
