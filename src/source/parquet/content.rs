//! Whether a file is still the one that was planned.
//!
//! What the file system says of a file (a [`Stamp`]) costs nothing to compare, and changes with
//! every write. Where all bytes are fixed (`strict_input`), they are hashed when the run is planned,
//! and again whenever a file is opened whose stamp is another by then.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Context;
use sha2::{Digest, Sha256};

use crate::interrupt::Interrupt;

/// Read and hashed at a time.
const PIECE_BYTES: usize = 1 << 20;

/// What the file system says of a file: which one it is, and when it was last written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size_bytes: u64,
    /// Last write, in seconds and nanoseconds.
    modified: (i64, i64),
    /// Last change of any kind, which nobody can set back.
    changed: (i64, i64),
}

impl Stamp {
    /// Of an open file; `path` is for the message.
    pub(super) fn of(file: &File, path: &Path) -> anyhow::Result<Self> {
        let metadata = file
            .metadata()
            .with_context(|| format!("cannot look at {}", path.display()))?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size_bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// Whether nothing was written between the two, as far as the file's own times tell. To rename a
    /// file or to change its mode writes nothing.
    pub(super) fn is_unwritten_since(self, earlier: Self) -> bool {
        let changed = earlier.changed;
        Self { changed, ..self } == earlier
    }
}

/// All bytes of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Content {
    pub(super) sha256: [u8; 32],
    /// As it was when they were hashed.
    stamp: Stamp,
}

impl Content {
    /// Hashes the file.
    ///
    /// # Errors
    /// I/O; to stop is requested (75 or 80).
    pub(super) fn of(mut file: &File, path: &Path, interrupt: &Interrupt) -> anyhow::Result<Self> {
        let context = || format!("cannot read {}", path.display());
        // Before the first byte: a write that comes after it shows.
        let stamp = Stamp::of(file, path)?;
        file.rewind().with_context(context)?;
        let mut hasher = Sha256::new();
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            interrupt.check()?;
            match file.read(&mut piece).with_context(context)? {
                0 => break,
                length => hasher.update(&piece[..length]),
            }
        }
        Ok(Self {
            sha256: hasher.finalize().into(),
            stamp,
        })
    }

    /// Whether the file, whose stamp is this by now, holds these bytes.
    ///
    /// # Errors
    /// I/O; to stop is requested (75 or 80).
    pub(super) fn is_of(
        &self,
        file: &File,
        stamp: Stamp,
        path: &Path,
        interrupt: &Interrupt,
    ) -> anyhow::Result<bool> {
        Ok(stamp == self.stamp || Self::of(file, path, interrupt)?.sha256 == self.sha256)
    }
}
