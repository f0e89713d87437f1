use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sys::stat::Mode;

use super::intact;
use crate::harness::Ended;

/// Nobody is there.
const NOBODY: &str = "postgres://night@127.0.0.1:1/none";
const NO_TEXT: &[u8] = b"\xff\xfecanary";

#[test]
fn a_variable_that_is_no_text_is_refused_and_not_passed_over() {
    let no_text = OsStr::from_bytes(NO_TEXT);
    let workspace = intact();
    let mut command = workspace.command(&super::RUN);
    Ended::of(command.env("DATABASE_URL", no_text))
        .expect(78)
        .says(&["DATABASE_URL is not UTF-8", "hint:"]);
    assert!(
        !workspace.path("lamplighter.db").exists(),
        "another database was meant"
    );
    for name in [
        "PGHOST",
        "PGPASSWORD",
        "PGPASSFILE",
        "PGSSLMODE",
        "PGSSLROOTCERT",
    ] {
        let mut command = workspace.command(&["db", "status", "--database", NOBODY]);
        let ended = Ended::of(command.env(name, no_text)).expect(78);
        let ended = ended.says(&[&format!("{name} is not UTF-8")]);
        assert!(!ended.stderr.contains("canary"), "{ended}");
    }
    workspace.write(
        "variable.toml",
        crate::harness::simple_job("[sink]\ndatabase = \"${X}\"\n"),
    );
    let mut command = workspace.command(&["run", "variable.toml"]);
    Ended::of(command.env("X", no_text))
        .expect(78)
        .says(&["`X` is not set, or not UTF-8"]);
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

#[test]
fn a_password_file_that_others_can_read_or_that_is_no_file_is_refused() {
    let workspace = intact();
    let file = workspace.write("pgpass", "*:*:*:*:canary\n");
    let refused = |path: &Path, code: i32, words: &[&str]| {
        let mut command = workspace.command(&["db", "status", "--database", NOBODY]);
        let ended = Ended::of(command.env("PGPASSFILE", path))
            .expect(code)
            .says(words);
        assert!(!ended.stderr.contains("canary"), "{ended}");
    };
    for mode in [0o644, 0o640, 0o604, 0o620] {
        chmod(&file, mode);
        refused(
            &file,
            77,
            &["others can read the password file", "chmod 600"],
        );
    }
    let pipe = workspace.path("pipe");
    nix::unistd::mkfifo(&pipe, Mode::S_IRUSR | Mode::S_IWUSR).expect("a FIFO");
    let endless = workspace.path("endless");
    let sparse = fs::File::create(&endless).expect("a file");
    sparse.set_len(1 << 40).expect("a length");
    chmod(&endless, 0o600);
    for path in [
        &pipe,
        &endless,
        Path::new("/dev/zero"),
        &workspace.path("input"),
    ] {
        refused(path, 78, &["is not a file of at most"]);
    }
}

#[test]
fn a_file_with_a_url_that_all_can_read_is_told_and_one_that_is_none_is_refused() {
    let workspace = intact();
    let file = workspace.write("url", "postgres://night:canary@127.0.0.1:1/none?sslmode=no");
    let status = |path: &Path| {
        let mut command = workspace.command(&["db", "status"]);
        let ended = Ended::of(command.env("DATABASE_URL_FILE", path)).expect(78);
        assert!(!ended.stderr.contains("canary"), "{ended}");
        ended
    };
    for (mode, is_told) in [(0o644, true), (0o602, true), (0o640, false), (0o600, false)] {
        chmod(&file, mode);
        let told = status(&file).says(&["unknown sslmode"]);
        assert_eq!(
            told.stderr.contains("defaultMode"),
            is_told,
            "{mode:o}: {told}"
        );
    }
    // Without a password there is nothing to hide.
    fs::write(&file, "postgres://night@127.0.0.1:1/none?sslmode=no").expect("a file");
    chmod(&file, 0o644);
    assert!(!status(&file).stderr.contains("defaultMode"));
    status(Path::new("/dev/zero")).says(&["DATABASE_URL_FILE /dev/zero has more than"]);
    fs::write(&file, NO_TEXT).expect("a file");
    status(&file).says(&["is not UTF-8"]);
}
