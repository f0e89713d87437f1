//! The report that the README begins with is the one that the fixtures give.

use std::os::unix::fs::symlink;

use super::markdown::Page;
use crate::harness::{Workspace, repository};

/// What its lines begin with that are the same on every machine and every night.
const THE_SAME: [&str; 9] = [
    "Look at it",
    "attention",
    "→",
    "input",
    "records",
    "values",
    "predictions",
    "score ",
    "drift",
];

#[test]
fn the_report_of_the_readme_is_that_of_the_fixtures() {
    let workspace = Workspace::new();
    symlink(repository().join("fixtures"), workspace.path("fixtures")).expect("a link");
    workspace.copy_directory("jobs", "jobs");
    let run = ["run", "jobs/flight-delay.toml", "--date", "2026-11-23"];
    let report = workspace.lamplighter(&run).expect(0).stdout;
    let shown = &Page::read("README.md").blocks_of("console")[0].text;
    for begin in THE_SAME {
        let mut lines = shown
            .lines()
            .filter(|line| line.trim_start().starts_with(begin));
        let line = lines
            .next()
            .unwrap_or_else(|| panic!("no line begins with {begin}"));
        let is_there = report
            .lines()
            .any(|known| known.trim_end() == line.trim_end());
        assert!(is_there, "{line}\nis not in\n{report}");
    }
    // The same on every machine, unlike the rest of its line.
    let digest = report
        .split_whitespace()
        .find(|word| word.starts_with("sha256:"));
    assert!(shown.contains(digest.expect("a digest")), "{report}");
    let second = &Page::read("README.md").blocks_of("console")[1].text;
    let rows = workspace.query(
        "SELECT record_id, label, printf('%.3f', score) FROM predictions_latest
         WHERE job = 'flight-delay' ORDER BY score DESC LIMIT 3",
    );
    for row in rows {
        let is_there = second
            .lines()
            .any(|line| line.split_whitespace().eq(row.iter().map(String::as_str)));
        assert!(is_there, "{row:?} is not in\n{second}");
    }
}
