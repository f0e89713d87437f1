//! Links lead somewhere, and `make` has the targets that pages name.

use std::fs;

use super::markdown::{Page, code_spans, pages, without_code};
use crate::harness::repository;

/// What stands in the round brackets after square ones, and after `[name]: ` at the begin of a line.
fn targets(line: &str) -> Vec<String> {
    let line = without_code(line);
    let inline = line.split("](").skip(1);
    let mut targets: Vec<String> = inline
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.to_owned())
        .collect();
    if line.starts_with('[')
        && let Some((_, target)) = line.split_once("]: ")
    {
        targets.push(target.to_owned());
    }
    targets
}

/// Why a link leads nowhere.
fn broken(page: &Page, target: &str) -> Option<String> {
    if target.starts_with("https://") {
        return None;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = match file {
        "" => repository().join(&page.name),
        file => page.directory().join(file),
    };
    if !path.exists() {
        return Some(format!("{}: {target} is not there", page.name));
    }
    let path = path.canonicalize().expect("a path");
    let root = repository().canonicalize().expect("a path");
    let Ok(name) = path.strip_prefix(root) else {
        return Some(format!(
            "{}: {target} is outside of the repository",
            page.name
        ));
    };
    if anchor.is_empty() {
        return None;
    }
    let anchors = Page::read(&name.to_string_lossy()).anchors();
    (!anchors.iter().any(|known| known == anchor))
        .then(|| format!("{}: {target} is none of {anchors:?}", page.name))
}

#[test]
fn every_link_leads_somewhere() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for page in pages() {
        for target in page.prose().flat_map(targets) {
            count += 1;
            wrong.extend(broken(&page, &target));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 30, "links are written in another way: {count}");
}

#[test]
fn every_name_of_a_link_is_explained_once() {
    for page in pages() {
        let explained: Vec<&str> = page
            .prose()
            .filter(|line| line.starts_with('['))
            .filter_map(|line| line.split_once("]: "))
            .map(|(name, _)| &name[1..])
            .collect();
        for name in &explained {
            let uses = page
                .prose()
                .filter(|line| line.contains(&format!("][{name}]")));
            assert!(uses.count() > 0, "{}: nothing leads to [{name}]", page.name);
        }
        for line in page.prose() {
            for rest in without_code(line).split("][").skip(1) {
                let (name, _) = rest.split_once(']').expect("an end");
                let times = explained.iter().filter(|known| **known == name).count();
                assert_eq!(times, 1, "{}: [{name}]", page.name);
            }
        }
    }
}

#[test]
fn make_has_every_target_that_a_page_names() {
    let makefile = fs::read_to_string(repository().join("Makefile")).expect("a Makefile");
    let is_target = |name: &str| {
        makefile
            .lines()
            .any(|line| line.starts_with(&format!("{name}:")))
    };
    let mut count = 0;
    for page in pages() {
        let spans = page.prose().flat_map(code_spans).map(str::to_owned);
        let commands = page
            .blocks()
            .into_iter()
            .filter(|block| block.language == "sh" || block.language == "console");
        let commands = commands.flat_map(|block| {
            let lines = block
                .text
                .lines()
                .map(|line| line.trim_start_matches("$ ").to_owned());
            lines.collect::<Vec<_>>()
        });
        for line in spans.chain(commands) {
            let Some(rest) = line.strip_prefix("make ") else {
                continue;
            };
            let name = rest.split_whitespace().next().expect("a target");
            count += 1;
            assert!(is_target(name), "{}: there is no `make {name}`", page.name);
        }
    }
    assert!(count > 5, "targets are named in another way: {count}");
}
