//! The key of erasure: who has it can prove that an id was erased, and nobody else can find out
//! which ids were.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::{Class, Failure, classify_io};

/// Shorter keys can be guessed.
const SHORTEST: usize = 32;

/// Longer files are no keys.
const LONGEST: u64 = 4096;

/// A secret key.
pub struct ErasureKey(Hmac<Sha256>);

impl fmt::Debug for ErasureKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ErasureKey")
    }
}

impl ErasureKey {
    /// Reads a key from a file: all its bytes are the key.
    ///
    /// # Errors
    /// Others can read the file (77); it is not there, or no key (78).
    pub fn read(file: &Path) -> Result<Self, Failure> {
        let shown = file.display();
        let refused = |error: io::Error| {
            let class = match classify_io(&error) {
                Class::Permission => Class::Permission,
                _ => Class::Config,
            };
            Failure::new(class, format!("cannot read the key file {shown}: {error}"))
                .hint(how_to_make_one(file))
        };
        let metadata = fs::metadata(file).map_err(refused)?;
        if metadata.permissions().mode() & 0o077 != 0 {
            let message = format!("others can read the key file {shown}");
            return Err(Failure::new(Class::Permission, message).hint(format!("chmod 600 {shown}")));
        }
        if metadata.len() > LONGEST {
            return Err(Failure::config(format!(
                "{shown} has {} bytes: that is no key, which has {LONGEST} at most",
                metadata.len()
            ))
            .hint(how_to_make_one(file)));
        }
        let bytes = fs::read(file).map_err(refused)?;
        if bytes.len() < SHORTEST {
            return Err(Failure::config(format!(
                "the key in {shown} has {} bytes, fewer than {SHORTEST}",
                bytes.len()
            ))
            .hint(how_to_make_one(file)));
        }
        let keyed = Hmac::new_from_slice(&bytes)
            .map_err(|error| Failure::config(format!("the key in {shown}: {error}")))?;
        Ok(Self(keyed))
    }

    /// What stands for an id in its tombstones: the same wherever it was erased.
    pub fn token(&self, record_id: &str) -> String {
        let mut keyed = self.0.clone();
        keyed.update(record_id.as_bytes());
        hex::encode(keyed.finalize().into_bytes())
    }
}

/// The command that makes a key.
fn how_to_make_one(file: &Path) -> String {
    format!(
        "(umask 077; head -c 32 /dev/urandom > {}) makes a key; keep it: without it nobody can prove what was erased",
        file.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(bytes: &[u8], mode: u32) -> Result<ErasureKey, Failure> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        fs::write(&file, bytes).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        ErasureKey::read(&file)
    }

    /// RFC 4231, test case 3, whose key is too short for us; the longer one is test case 6.
    #[test]
    fn a_token_is_the_hmac_of_the_id() {
        let key = key(&[0xaa; 131], 0o600).unwrap();
        assert_eq!(
            key.token("Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn a_key_is_long_and_its_owners_alone() {
        for (bytes, mode, class) in [
            (&[7; 31][..], 0o600, Class::Config),
            (&[], 0o600, Class::Config),
            (&[7; 5000], 0o600, Class::Config),
            (&[7; 32], 0o640, Class::Permission),
            (&[7; 32], 0o604, Class::Permission),
        ] {
            let refused = key(bytes, mode).unwrap_err();
            assert_eq!(refused.class(), class, "{refused}");
        }
        assert!(key(&[7; 32], 0o400).is_ok());
        let missing = ErasureKey::read(Path::new("/nonexistent/key")).unwrap_err();
        assert_eq!(missing.class(), Class::Config);
    }
}
