//! The disk: full, read-only, or not holding the database that it should (74).

use std::fs;
use std::path::PathBuf;

use super::{RUN, nothing_was_planned, numbered, put_batch, run, workspace};
use crate::harness::small_disk::{SmallDisk, may_mount, set_mode, without_privileges};
use crate::harness::{Ended, Workspace};

/// A workspace with records to score.
fn with_records(count: usize, job: &str) -> Workspace {
    let workspace = workspace("", job);
    put_batch(&workspace, "a.parquet", &numbered(count));
    workspace
}

/// Scores into the database at `path`, relative to the workspace.
fn run_into(workspace: &Workspace, path: &str) -> Ended {
    let url = format!("sqlite://{path}");
    workspace.lamplighter(&[&RUN[..], &["--database", &url]].concat())
}

#[test]
fn a_full_disk_is_74_and_the_same_run_is_completed_once_there_is_room() {
    if !may_mount(
        "bad_input::disk::a_full_disk_is_74_and_the_same_run_is_completed_once_there_is_room",
    ) {
        return;
    }
    let workspace = with_records(30_000, "[run]\nshard_size = 500\nworkers = 1\n");
    let disk = SmallDisk::at(workspace.path("disk"), 12 << 20);
    // Room for the tables and some shards.
    let filler = workspace.write("disk/filler", vec![0; 11 << 20]);
    run_into(&workspace, "disk/lamplighter.db")
        .expect(74)
        .says(&["error: cannot commit shard", "full", "hint:", "next start"]);

    let database = ["--database", "sqlite://disk/lamplighter.db"];
    let show = [&["runs", "show", "--format", "json"], &database[..]].concat();
    fs::remove_file(filler).expect("the filler");
    let left = workspace.lamplighter(&show).expect(0).json();
    assert_eq!(left["state"], "running");
    assert_eq!(left["publication"], "pending");
    let states: Vec<_> = left["shards"].as_array().expect("shards").to_owned();
    let completed = states.iter().filter(|shard| shard["state"] == "completed");
    let completed = completed.count();
    assert!((1..60).contains(&completed), "{completed} shards of 60");

    run_into(&workspace, "disk/lamplighter.db").expect(0);
    let done = workspace.lamplighter(&show).expect(0).json();
    assert_eq!(done["run_id"], left["run_id"]);
    assert_eq!(done["publication"], "published");
    assert_eq!(done["predicted"], 30_000);
    assert_eq!(done["attempts"].as_array().expect("attempts").len(), 2);
    let verify = [&["runs", "verify"], &database[..]].concat();
    workspace.lamplighter(&verify).expect(0);
    drop(disk);
}

#[test]
fn a_read_only_disk_is_74_with_path_and_hint_and_a_later_start_goes_on() {
    if !may_mount(
        "bad_input::disk::a_read_only_disk_is_74_with_path_and_hint_and_a_later_start_goes_on",
    ) {
        return;
    }
    let workspace = with_records(3, "");
    let disk = SmallDisk::at(workspace.path("disk"), 3 << 20);
    disk.make_read_only();
    run_into(&workspace, "disk/lamplighter.db")
        .expect(74)
        .says(&["disk/lamplighter.db", "Read-only", "hint:"]);
    disk.make_writable();
    let files = fs::read_dir(disk.path()).expect("the disk").count();
    assert_eq!(files, 0, "something was written");
    run_into(&workspace, "disk/lamplighter.db").expect(0);
}

#[test]
fn a_directory_that_is_not_there_is_74_with_path_and_hint() {
    let workspace = with_records(3, "");
    run_into(&workspace, "none/such/lamplighter.db")
        .expect(74)
        .says(&["none/such/lamplighter.db", "hint:"]);
    assert!(!workspace.path("none").exists());
    run_into(&workspace, "job.toml/lamplighter.db")
        .expect(74)
        .says(&[
            "job.toml/lamplighter.db",
            "job.toml is no directory",
            "hint:",
        ]);
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_as_it_was() {
    let workspace = with_records(3, "");
    let content = "precious notes\n".repeat(1_000);
    let notes = workspace.write("lamplighter.db", &content);
    run(&workspace)
        .expect(74)
        .says(&["lamplighter.db", "not a database", "hint:"]);
    for command in [["runs", "list"], ["db", "status"], ["db", "migrate"]] {
        workspace
            .lamplighter(&command)
            .expect(74)
            .says(&["lamplighter.db", "hint:"]);
    }
    assert_eq!(fs::read_to_string(notes).expect("notes"), content);
}

/// Writes another program's database as `lamplighter.db`.
fn strangers_database(workspace: &Workspace) -> PathBuf {
    // An empty file is an empty database.
    let path = workspace.write("lamplighter.db", "");
    workspace.execute("CREATE TABLE songs (title TEXT); INSERT INTO songs VALUES ('Fall');");
    path
}

#[test]
fn another_programs_database_is_refused_and_left_as_it_was() {
    let workspace = with_records(3, "");
    let path = strangers_database(&workspace);
    let before = fs::read(&path).expect("the database");
    for command in [&RUN[..], &["runs", "list"], &["db", "migrate"]] {
        workspace.lamplighter(command).expect(78).says(&[
            "lamplighter.db",
            "not one of Lamplighter's",
            "hint: name another file with --database",
        ]);
    }
    assert!(
        before == fs::read(&path).expect("the database"),
        "it was changed"
    );
}

#[test]
fn a_database_of_a_much_newer_lamplighter_is_refused() {
    let workspace = with_records(3, "");
    workspace.lamplighter(&["db", "migrate"]).expect(0);
    workspace.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         SELECT 99, 'later', 1, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
    );
    run(&workspace).expect(78).says(&[
        "lamplighter.db",
        "schema version 99",
        "hint: use a newer lamplighter",
    ]);
    nothing_was_planned(&workspace);
}

#[test]
fn a_list_of_dead_letters_that_cannot_be_written_is_74() {
    let workspace = workspace("max = 0.0\nout_of_range = \"reject\"", "");
    put_batch(&workspace, "a.parquet", &numbered(3));
    run(&workspace).expect(65);
    for output in ["/dev/full", "none/such.jsonl"] {
        workspace
            .lamplighter(&["dead-letters", "export", "-o", output])
            .expect(74)
            .says(&["cannot write", output]);
    }
}

/// Runs the job without root's power to pass over permissions.
fn run_without_privileges(workspace: &Workspace) -> Ended {
    without_privileges(workspace, &mut workspace.command(&RUN))
}

#[test]
fn input_that_may_not_be_read_is_77_and_named() {
    let workspace = with_records(3, "");
    set_mode(&workspace.path("input/a.parquet"), 0o000);
    run_without_privileges(&workspace)
        .expect(77)
        .says(&["input/a.parquet", "Permission denied"]);
    nothing_was_planned(&workspace);
}

#[test]
fn a_directory_that_may_not_be_written_is_77_with_path_and_hint() {
    let workspace = with_records(3, "");
    set_mode(&workspace.path(""), 0o555);
    run_without_privileges(&workspace).expect(77).says(&[
        "lamplighter.db",
        "Permission denied",
        "hint:",
    ]);
    set_mode(&workspace.path(""), 0o755);
    run_without_privileges(&workspace).expect(0);
}
