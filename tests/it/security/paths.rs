use std::fs;
use std::os::unix::fs::symlink;

use nix::sys::stat::Mode;

use super::{RUN, intact, put};
use crate::harness::Workspace;
use crate::hostile::confined;

const TOO_MUCH: i32 = 65;

/// How many records a dry run on this path would plan.
fn planned(workspace: &Workspace, path: &str) -> u64 {
    let set = format!("source.path={path}");
    let arguments = [
        "run",
        "job.toml",
        "--dry-run",
        "--format",
        "json",
        "--set",
        &set,
    ];
    let ended = confined(&workspace.command(&arguments)).expect(0);
    ended.json()["records"].as_u64().expect("a number")
}

fn fifo(workspace: &Workspace, name: &str) {
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    nix::unistd::mkfifo(&workspace.path(name), mode).expect("a FIFO");
}

#[test]
fn links_are_followed_wherever_they_lead() {
    let workspace = intact();
    put(&workspace, "elsewhere/more.parquet", &[("c", Some(3.0))]);
    symlink("input", workspace.path("link")).expect("a link");
    for path in [
        "link",
        "link/*.parquet",
        "elsewhere/../input",
        "link/../input/*.parquet",
    ] {
        assert_eq!(planned(&workspace, path), 2, "{path}");
    }
    symlink(
        "../elsewhere/more.parquet",
        workspace.path("input/more.parquet"),
    )
    .expect("a link");
    symlink("../elsewhere", workspace.path("input/deeper")).expect("a link");
    // One by its own name, one below the directory that is linked: two names, two files.
    assert_eq!(planned(&workspace, "input"), 4);
    assert_eq!(planned(&workspace, "input/*.parquet"), 3);
}

#[test]
fn links_in_a_circle_come_to_an_end_and_no_directory_is_read_twice() {
    let workspace = intact();
    for (target, link) in [(".", "a"), (".", "b"), ("..", "c"), ("./a/b", "d")] {
        symlink(target, workspace.path("input").join(link)).expect("a link");
    }
    for path in [
        "input",
        "input/",
        "input/**/*.parquet",
        "./input//**/*.parquet",
        "**/rows.parquet",
    ] {
        assert_eq!(planned(&workspace, path), 2, "{path}");
    }
}

/// Each directory holds two links to the next: twice as many names with each.
#[test]
fn directories_that_many_links_lead_to_are_read_once() {
    let workspace = intact();
    for number in 0..30 {
        let directory = workspace.path(&format!("bomb/{number}"));
        fs::create_dir_all(&directory).expect("a directory");
        for name in ["a", "b"] {
            symlink(format!("../{}", number + 1), directory.join(name)).expect("a link");
        }
    }
    put(&workspace, "bomb/30/rows.parquet", &[("z", Some(1.0))]);
    assert_eq!(planned(&workspace, "bomb/0"), 1);
    assert_eq!(planned(&workspace, "bomb/0/**/*.parquet"), 1);
}

#[test]
fn a_link_that_leads_nowhere_is_told_and_not_passed_over() {
    let workspace = intact();
    symlink("nowhere", workspace.path("input/gone.parquet")).expect("a link");
    for path in ["input", "input/*.parquet", "input/**/*.parquet"] {
        let set = format!("source.path={path}");
        let arguments = [&RUN[..], &["--set", &set]].concat();
        workspace
            .lamplighter(&arguments)
            .expect(74)
            .says(&["input/gone.parquet"]);
    }
}

#[test]
fn what_is_no_file_is_passed_over_and_never_waited_for() {
    let workspace = intact();
    fifo(&workspace, "input/fifo.parquet");
    symlink("/dev/zero", workspace.path("input/zero.parquet")).expect("a link");
    for path in ["input", "input/*.parquet", "input/**/*.parquet"] {
        assert_eq!(planned(&workspace, path), 2, "{path}");
    }
    for path in ["input/fifo.parquet", "/dev/zero", "/dev/stdin"] {
        let set = format!("source.path={path}");
        let arguments = [&RUN[..], &["--set", &set]].concat();
        confined(&workspace.command(&arguments))
            .expect(66)
            .says(&["no file matches"]);
    }
}

#[test]
fn a_device_is_no_job_file_and_nothing_to_push() {
    let workspace = intact();
    confined(&workspace.command(&["run", "/dev/zero"]))
        .expect(78)
        .says(&["/dev/zero"]);
    let long = fs::File::create(workspace.path("long.toml")).expect("a file");
    long.set_len(1 << 40).expect("a length");
    confined(&workspace.command(&["run", "long.toml"]))
        .expect(78)
        .says(&["at most 16 MiB"]);

    let job = fs::read_to_string(workspace.path("job.toml")).expect("a job");
    let parquet = "kind = \"parquet\"\npath = \"input/*.parquet\"";
    workspace.write("queue.toml", job.replace(parquet, "kind = \"queue\""));
    for extension in ["jsonl", "csv", "parquet"] {
        let [zero, pipe, endless] = ["zero", "fifo", "endless"].map(|n| format!("{n}.{extension}"));
        symlink("/dev/zero", workspace.path(&zero)).expect("a link");
        fifo(&workspace, &pipe);
        for name in [&zero, &pipe] {
            let push = ["queue", "push", "queue.toml", name];
            confined(&workspace.command(&push))
                .expect(66)
                .says(&[name, "is not a file"]);
        }
        let sparse = fs::File::create(workspace.path(&endless)).expect("a file");
        sparse.set_len(1 << 40).expect("a length");
        let push = ["queue", "push", "queue.toml", &endless];
        confined(&workspace.command(&push))
            .expect(TOO_MUCH)
            .says(&[&endless]);
    }
}

/// As a shell's `>` does.
#[test]
fn an_export_goes_where_its_path_leads() {
    let workspace = Workspace::new();
    super::set_up(&workspace, &[("a", None)]);
    workspace.lamplighter(&RUN).expect(0);
    symlink("target.jsonl", workspace.path("link.jsonl")).expect("a link");
    let export = ["dead-letters", "export", "-o", "link.jsonl"];
    workspace.lamplighter(&export).expect(0);
    let exported = fs::read_to_string(workspace.path("target.jsonl")).expect("the target");
    assert!(exported.contains("\"a\""), "{exported}");
    assert!(workspace.path("link.jsonl").is_symlink());
}
