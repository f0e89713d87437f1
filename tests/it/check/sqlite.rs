use std::fs::{self, File};

use super::{CHECK, Found, check, workspace};
use crate::harness::small_disk::{SmallDisk, may_mount, set_mode, without_privileges};
use crate::harness::{Ended, Workspace};

fn check_at(workspace: &Workspace, path: &str) -> Found {
    check(workspace, &["--database", &format!("sqlite://{path}")])
}

#[test]
fn a_file_that_the_first_run_creates_is_not_set_up_and_no_failure() {
    let workspace = workspace("");
    let found = check(&workspace, &[]);
    found
        .only(0, &[])
        .is(
            "database",
            "database",
            "not_set_up",
            &["lamplighter.db", "first run creates it"],
        )
        .is("database", "schema", "not_set_up", &[]);
    let mend = found.mend("database", "database");
    let words: Vec<&str> = mend.split(' ').skip(1).collect();
    assert!(mend.starts_with("lamplighter db migrate"), "{mend}");
    // The way out is one.
    workspace.lamplighter(&words).expect(0);
    check(&workspace, &[])
        .only(0, &[])
        .passed("database", "database", &["SQLite 3."])
        .passed("database", "schema", &["version"])
        .passed("database", "unfinished runs", &["none"]);
}

#[test]
fn tables_of_an_older_version_are_brought_up_to_date_by_the_next_run() {
    let workspace = workspace("");
    workspace.lamplighter(&["db", "migrate"]).expect(0);
    workspace.execute("DELETE FROM _sqlx_migrations WHERE version > 1");
    check(&workspace, &[]).passed("database", "schema", &["version 1 of", "up to date"]);
    workspace.execute(
        "INSERT INTO _sqlx_migrations SELECT 99, description, installed_on, success, checksum, execution_time
         FROM _sqlx_migrations",
    );
    let found = check(&workspace, &[]);
    found.failed("database", "schema", 78, &["version 99"]);
    assert_eq!(found.ended.code, Some(78));
}

#[test]
fn a_database_of_somebody_else_is_78_and_left_as_it_was() {
    let workspace = workspace("");
    workspace.write("lamplighter.db", "");
    workspace.execute("CREATE TABLE songs (title TEXT)");
    let before = fs::read(workspace.path("lamplighter.db")).expect("a database");
    check(&workspace, &[])
        .only(78, &["schema"])
        .failed("database", "schema", 78, &["not one of Lamplighter's"])
        .is("database", "unfinished runs", "not_looked_at", &["schema"]);
    let after = fs::read(workspace.path("lamplighter.db")).expect("a database");
    assert_eq!(before, after);
    workspace.write("lamplighter.db", "precious notes\n".repeat(1_000));
    let found = check(&workspace, &[]);
    found.failed("database", "database", 74, &["not a database"]);
}

#[test]
fn a_directory_that_may_not_be_written_is_77() {
    let workspace = workspace("");
    set_mode(&workspace.path(""), 0o555);
    let found = Found::of(without_privileges(
        &workspace,
        &mut workspace.command(&CHECK),
    ));
    set_mode(&workspace.path(""), 0o755);
    found
        .only(77, &["directory"])
        .failed("database", "directory", 77, &["Permission denied"]);
    assert!(found.mend("database", "directory").starts_with("chown -R"));
}

#[test]
fn a_directory_that_is_not_there_is_74() {
    let workspace = workspace("");
    let found = check_at(&workspace, "none/lamplighter.db");
    found.only(74, &["directory"]);
    found.failed("database", "directory", 74, &["none is no directory"]);
    let mend = found.mend("database", "directory");
    let made = std::process::Command::new("sh")
        .args(["-c", &mend])
        .current_dir(workspace.path(""))
        .status();
    assert!(made.expect("a shell").success(), "{mend}");
    check_at(&workspace, "none/lamplighter.db").only(0, &[]);
}

#[test]
fn a_disk_that_is_read_only_or_full_is_74() {
    if !may_mount("check::sqlite::a_disk_that_is_read_only_or_full_is_74") {
        return;
    }
    let workspace = workspace("");
    let disk = SmallDisk::at(workspace.path("disk"), 12 << 20);
    let path = "disk/lamplighter.db";
    check_at(&workspace, path)
        .only(74, &["disk space"])
        .failed("host", "disk space", 74, &["12.0 MiB free", "64.0 MiB"])
        .passed("database", "file system", &["tmpfs", "may be gone"]);
    disk.make_read_only();
    let found = check_at(&workspace, path);
    found.only(74, &["directory", "disk space"]).failed(
        "database",
        "directory",
        74,
        &["Read-only"],
    );
    assert!(
        found
            .mend("database", "directory")
            .starts_with("mount -o remount,rw")
    );
    disk.make_writable();
}

#[test]
fn temporary_files_need_a_directory() {
    let workspace = workspace("");
    let mut command = workspace.command(&CHECK);
    let found = Found::of(Ended::of(command.env("TMPDIR", "/none/such")));
    found
        .only(74, &["temporary files"])
        .failed("host", "temporary files", 74, &["/none/such"]);
    assert_eq!(
        found.mend("host", "temporary files"),
        "export TMPDIR=/var/tmp"
    );
}

#[test]
fn a_writer_is_noticed_and_not_disturbed() {
    let workspace = workspace("");
    workspace.lamplighter(&["db", "migrate"]).expect(0);
    let lock = File::open(workspace.path("lamplighter.db.lock")).expect("the lock");
    lock.lock().expect("a lock");
    let found = check(&workspace, &[]);
    found
        .only(75, &["writer"])
        .failed(
            "database",
            "writer",
            75,
            &["another lamplighter is writing"],
        )
        .passed("database", "schema", &[]);
    workspace.lamplighter(&["run", "job.toml"]).expect(75);
    lock.unlock().expect("an end");
    check(&workspace, &[]).only(0, &[]);
}

#[test]
fn a_run_that_another_processor_began_is_78() {
    let workspace = workspace("");
    workspace
        .lamplighter(&["run", "job.toml", "--date", "2026-01-01"])
        .expect(0);
    workspace.execute("UPDATE runs SET state = 'running', numerics = 'abacus'");
    let found = check(&workspace, &[]);
    found.only(78, &["unfinished runs"]).failed(
        "database",
        "unfinished runs",
        78,
        &["simple@2026-01-01#1 was begun on abacus"],
    );
    let mend = found.mend("database", "unfinished runs");
    let words: Vec<&str> = mend.split(' ').skip(1).collect();
    workspace.lamplighter(&words).expect(0);
    check(&workspace, &[]).only(0, &[]);
}

#[test]
fn an_address_that_is_none_keeps_the_rest_from_nothing() {
    let workspace = workspace("");
    check(&workspace, &["--database", "mysql://x"])
        .only(78, &["database"])
        .passed("input", "records", &["12 scored"])
        .is("host", "clock", "not_looked_at", &[]);
}
