use std::fs;
use std::os::unix::fs::MetadataExt;

use super::{follow, ids, init, listing, numbers, scaffolded, workspace};
use crate::harness::small_disk::{SmallDisk, may_mount};
use crate::harness::{Ended, Workspace, batch, repository, write_parquet};

const WRITTEN: [&str; 4] = [
    "jobs/records.toml",
    "models/records",
    "models/records-export.py",
    "cron/records.crontab",
];

fn simple() -> Workspace {
    let x = numbers((0..6).map(f64::from));
    workspace(vec![("id", ids(6)), ("x", x)])
}

#[test]
fn the_flights_are_scaffolded_and_scored_at_once() {
    let workspace = Workspace::new();
    let flights = repository().join("fixtures/flights").display().to_string();
    let from = ["init", "night", "--from", &flights];
    let text = workspace.lamplighter(&from).expect(0).stdout;
    for words in [
        "flight_id",
        "84,292",
        "18 numeric, 3 categorical",
        "cd night",
        "scheduled",
    ] {
        assert!(text.contains(words), "{words} is missing: {text}");
    }
    let run = "cd night && lamplighter run jobs/flights.toml --format json";
    let report = Ended::of(&mut workspace.in_shell(run)).expect(0).json();
    assert_eq!(report["counts"]["predicted"], 84_292);
    // A file elsewhere is named from the root.
    let job = fs::read_to_string(workspace.path("night/jobs/flights.toml")).expect("a job");
    assert!(job.contains(&format!("path = \"{flights}\"")), "{job}");
}

#[test]
fn nothing_that_exists_is_touched() {
    for name in WRITTEN {
        let workspace = simple();
        workspace.write(name, "mine");
        let before = listing(&workspace.path(""));
        init(&workspace, &[])
            .expect(64)
            .says(&[name, "there already"]);
        assert_eq!(listing(&workspace.path("")), before);
        assert_eq!(
            fs::read_to_string(workspace.path(name)).expect("a file"),
            "mine"
        );
    }
    let workspace = simple();
    init(&workspace, &[]).expect(0);
    let before = listing(&workspace.path(""));
    init(&workspace, &[]).expect(64);
    assert_eq!(listing(&workspace.path("")), before);
    // Beside it, under another name, there is room.
    follow(&workspace, &scaffolded(&workspace, &["--name", "second"]));
}

#[test]
fn only_what_is_announced_is_written() {
    let workspace = simple();
    let scaffold = scaffolded(&workspace, &[]);
    let mut expected: Vec<String> = [
        "cron",
        "jobs",
        "models",
        "models/records",
        "records.parquet",
    ]
    .map(str::to_owned)
    .to_vec();
    let files = scaffold["files"].as_array().expect("files");
    expected.extend(
        files
            .iter()
            .filter_map(|file| file.as_str().map(str::to_owned)),
    );
    expected.sort();
    assert_eq!(listing(&workspace.path("")), expected);
    let mode = |name: &str| fs::metadata(workspace.path(name)).expect("a file").mode();
    workspace.write("other", "");
    for file in files {
        let file = file.as_str().expect("a name");
        assert_eq!(
            mode(file),
            mode("other"),
            "{file} is as readable as any file"
        );
    }
}

#[test]
fn input_that_is_none_is_refused_with_the_code_of_its_kind() {
    let workspace = simple();
    let cases: [(&str, i32, &str); 6] = [
        ("nowhere.parquet", 66, "nowhere.parquet"),
        ("*.csv", 66, "*.csv"),
        ("broken.parquet", 65, "broken.parquet"),
        ("cut.parquet", 65, "cut.parquet"),
        ("empty.parquet", 66, "no records"),
        ("[", 64, "not a valid pattern"),
    ];
    workspace.write("broken.parquet", "this is text and no Parquet at all");
    let mut whole = fs::read(workspace.path("records.parquet")).expect("records");
    whole.truncate(whole.len() - 20);
    workspace.write("cut.parquet", whole);
    let none = batch(vec![("id", ids(0)), ("x", numbers([]))]);
    write_parquet(&workspace.path("empty.parquet"), &none, 10);
    let before = listing(&workspace.path(""));
    for (from, code, words) in cases {
        let arguments = ["init", "new", "--name", "n", "--from", from];
        workspace
            .lamplighter(&arguments)
            .expect(code)
            .says(&[words]);
        assert_eq!(listing(&workspace.path("")), before, "{from}");
    }
}

#[test]
fn names_that_a_job_can_not_have_are_refused() {
    let workspace = simple();
    for name in ["Flights", "a/b", "../up", "", &"x".repeat(64)] {
        let arguments = ["init", "--from", "records.parquet", "--name", name];
        workspace
            .lamplighter(&arguments)
            .expect(64)
            .says(&["--name"]);
    }
    fs::copy(
        workspace.path("records.parquet"),
        workspace.path("記録.parquet"),
    )
    .expect("a copy");
    let arguments = ["init", "--from", "記録.parquet"];
    workspace
        .lamplighter(&arguments)
        .expect(64)
        .says(&["--name"]);
    assert_eq!(
        listing(&workspace.path("")),
        ["records.parquet", "記録.parquet"]
    );
}

#[test]
fn strange_paths_are_written_so_that_all_who_read_them_find_them() {
    let workspace = simple();
    let directory = "it's 100% \"mine\" ${HOME} é";
    fs::create_dir(workspace.path(directory)).expect("a directory");
    let from = format!("{directory}/re[c]ords ${{X}}.parquet");
    fs::rename(workspace.path("records.parquet"), workspace.path(&from)).expect("a move");
    let arguments = [
        "init", directory, "--from", &from, "--name", "odd", "--format", "json",
    ];
    let scaffold = workspace.lamplighter(&arguments).expect(0).json();
    follow(&workspace, &scaffold);
    // The line of the crontab, as cron passes it to the shell.
    let crontab = workspace.path(directory).join("cron/odd.crontab");
    let crontab = fs::read_to_string(crontab).expect("a crontab");
    let lines = crontab
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut count = 0;
    for line in lines {
        count += 1;
        let command = line.splitn(6, ' ').nth(5).expect("a command");
        assert!(!command.replace("\\%", "").contains('%'), "{command}");
        let command = command.trim_start().replace("\\%", "%");
        Ended::of(&mut workspace.in_shell(&command)).expect(0);
    }
    assert_eq!(count, 2);
    let log = fs::read_to_string(workspace.path(directory).join("odd.log")).expect("a log");
    assert!(log.contains("already complete"), "{log}");
}

#[test]
fn a_directory_that_is_a_file_is_refused() {
    let workspace = simple();
    workspace.write("taken", "");
    let arguments = ["init", "taken", "--from", "records.parquet"];
    workspace
        .lamplighter(&arguments)
        .expect(64)
        .says(&["taken", "not a directory"]);
    workspace.write("jobs", "");
    init(&workspace, &[]).expect(74);
    assert_eq!(
        listing(&workspace.path("")),
        ["jobs", "records.parquet", "taken"]
    );
}

#[test]
fn a_full_disk_leaves_nothing_behind() {
    if !may_mount("scaffold::files::a_full_disk_leaves_nothing_behind") {
        return;
    }
    let workspace = simple();
    let disk = SmallDisk::at(workspace.path("disk"), 1 << 20);
    let filler = disk.fill(16 << 10);
    let arguments = ["init", "disk", "--from", "records.parquet"];
    workspace.lamplighter(&arguments).expect(74).says(&["disk"]);
    assert_eq!(listing(disk.path()), ["filler"]);
    fs::remove_file(filler).expect("the filler");
    workspace.lamplighter(&arguments).expect(0);
}
