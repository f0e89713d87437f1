//! The exit codes: one table in the README, the help, the code and the runbook say the same.

use std::collections::BTreeSet;

use lamplighter::error::Class;

use super::markdown::Page;
use crate::harness::Workspace;

/// Codes that no failure of a command has: success, what `status` finds, and what ends a process.
const OTHERS: [u16; 5] = [0, 79, 101, 134, 137];

fn of_the_code() -> BTreeSet<u16> {
    let classes = (1..=u8::MAX).filter(|&code| Class::of_exit_code(code).exit_code() == code);
    classes.map(u16::from).chain(OTHERS).collect()
}

/// Codes in the first cells of a page's table under this heading.
fn of_table(page: &str, heading: &str) -> BTreeSet<u16> {
    let rows = Page::read(page).rows();
    let rows = rows.iter().filter(|(above, _)| above == heading);
    rows.flat_map(|(_, cells)| numbers(&cells[0])).collect()
}

fn numbers(text: &str) -> Vec<u16> {
    let words = text.split(|letter: char| !letter.is_ascii_digit());
    words.filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn the_readme_has_every_exit_code_and_no_other() {
    assert_eq!(
        of_table("README.md", "When something goes wrong"),
        of_the_code()
    );
}

#[test]
fn the_runbook_says_what_to_do_about_each() {
    let mut codes = of_table("cron/RUNBOOK.md", "Exit codes");
    codes.insert(0);
    assert_eq!(codes, of_the_code());
}

#[test]
fn the_page_on_schedules_tells_what_each_does() {
    let told = of_table("cron/README.md", "What each exit code does");
    let missing: Vec<u16> = of_the_code().difference(&told).copied().collect();
    assert!(missing.is_empty(), "not in cron/README.md: {missing:?}");
}

#[test]
fn the_help_lists_the_same() {
    let help = Workspace::new().lamplighter(&["--help"]).expect(0).stdout;
    let (_, codes) = help.split_once("Exit codes:\n").expect("exit codes");
    let lines = codes.lines().take_while(|line| line.starts_with("  "));
    let listed = lines.flat_map(|line| {
        let (codes, _) = line.trim_start().split_once("   ").unwrap_or((line, ""));
        numbers(codes)
    });
    assert_eq!(listed.collect::<BTreeSet<_>>(), of_the_code());
}
