//! The list for people: a line for each item, and below it what mends it.

use std::fmt::Write;

use super::{Checklist, Group, Item, Status};

/// Columns of a line, but for commands, which are pasted and therefore never broken.
const WIDTH: usize = 100;

/// Where findings begin.
const INDENT: usize = 2 + STATUS + NAME;
const STATUS: usize = 15;
const NAME: usize = 19;

/// The list.
pub fn render(list: &Checklist) -> String {
    let mut text = String::new();
    let what = match (&list.job, &list.logical_date) {
        (Some(job), Some(date)) => format!("{job}@{date}  "),
        _ => String::new(),
    };
    let overall = &list.overall;
    // Writing to a String can not fail.
    let _ = write!(
        text,
        "{what}check: {} passed, {} failed, {} not set up",
        overall.items_passed, overall.items_failed, overall.items_not_set_up
    );
    if overall.items_not_looked_at > 0 {
        let _ = write!(text, ", {} not looked at", overall.items_not_looked_at);
    }
    text.push('\n');
    let mut group = None;
    for item in &list.items {
        if group != Some(item.group) {
            group = Some(item.group);
            let _ = writeln!(text, "{}", name(item.group));
        }
        line(&mut text, item);
    }
    text
}

fn line(text: &mut String, item: &Item) {
    let status = match item.status {
        Status::Passed => "passed",
        Status::Failed => "FAILED",
        Status::NotSetUp => "not set up",
        Status::NotLookedAt => "not looked at",
    };
    let mut lines = wrapped(&item.finding, WIDTH - INDENT).into_iter();
    let first = lines.next().unwrap_or_default();
    let _ = writeln!(text, "  {status:<STATUS$}{:<NAME$}{first}", item.item);
    for rest in lines {
        let _ = writeln!(text, "{:INDENT$}{rest}", "");
    }
    if let (Some(mend), false) = (&item.mend, item.status == Status::NotLookedAt) {
        let _ = writeln!(text, "{:width$}{mend}", "", width = 2 + STATUS);
    }
}

fn name(group: Group) -> &'static str {
    match group {
        Group::Job => "job",
        Group::Input => "input",
        Group::Model => "model",
        Group::Database => "database",
        Group::Host => "host",
    }
}

/// Lines of at most `width` characters, unless a word is longer.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("unbreakable", 3), ["unbreakable"]);
        assert_eq!(wrapped("", 3), [""]);
    }
}
