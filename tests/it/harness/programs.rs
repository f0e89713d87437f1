//! Programs that tests start, and that `make programs` brings.

use std::path::PathBuf;

use super::repository;

/// Where `make programs` puts what needs no installation.
pub fn tool(path: &str) -> PathBuf {
    repository().join("target/tools").join(path)
}

/// Whether something is not there, and `make test`, which could not install it, has said so and asked to
/// go on without. Nobody else may leave it out.
pub fn is_left_out(is_there: bool, variable: &str) -> bool {
    assert!(
        is_there || std::env::var_os(variable).is_some(),
        "what this needs is missing: `make test` installs it, or `make programs` alone, and says if it can not"
    );
    !is_there
}
