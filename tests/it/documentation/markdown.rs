//! As much of Markdown as the pages use.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::repository;

/// A page of the repository.
pub struct Page {
    /// Its path from the repository's root.
    pub name: String,
    text: String,
}

/// What stands between two fences.
pub struct Block {
    /// The line of the opening fence, for messages.
    pub place: String,
    /// First word after the fence.
    pub language: String,
    /// The others.
    pub remark: String,
    /// Its lines.
    pub text: String,
}

impl Page {
    pub fn read(name: &str) -> Self {
        let text = fs::read_to_string(repository().join(name));
        Self {
            name: name.to_owned(),
            text: text.unwrap_or_else(|error| panic!("{name}: {error}")),
        }
    }

    /// The directory that its links begin at.
    pub fn directory(&self) -> PathBuf {
        let path = repository().join(&self.name);
        path.parent().expect("a directory").to_owned()
    }

    /// Every fenced block, in order.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for (line, number) in self.text.lines().zip(1..) {
            match (line.strip_prefix("```"), &mut open) {
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(info), None) => {
                    let (language, remark) = info.split_once(' ').unwrap_or((info, ""));
                    open = Some(Block {
                        place: format!("{}:{number}", self.name),
                        language: language.to_owned(),
                        remark: remark.to_owned(),
                        text: String::new(),
                    });
                }
                (None, Some(block)) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block has no end", self.name);
        blocks
    }

    /// Blocks of a language.
    pub fn blocks_of(&self, language: &str) -> Vec<Block> {
        let mut blocks = self.blocks();
        blocks.retain(|block| block.language == language);
        blocks
    }

    /// Its lines without the blocks.
    pub fn prose(&self) -> impl Iterator<Item = &str> {
        let mut is_block = false;
        self.text.lines().filter(move |line| {
            let is_fence = line.starts_with("```");
            is_block ^= is_fence;
            !is_block && !is_fence
        })
    }

    /// Anchors of its headings, as GitHub makes them.
    pub fn anchors(&self) -> Vec<String> {
        let mut seen = BTreeMap::<String, usize>::new();
        let headings = self.prose().filter(|line| line.starts_with('#'));
        headings
            .map(|line| {
                let anchor = anchor_of(line.trim_start_matches('#').trim());
                let before = seen.entry(anchor.clone()).or_default();
                *before += 1;
                match *before {
                    1 => anchor,
                    times => format!("{anchor}-{}", times - 1),
                }
            })
            .collect()
    }

    /// Cells of every row of its tables, with the heading above.
    pub fn rows(&self) -> Vec<(String, Vec<String>)> {
        let mut heading = String::new();
        let mut rows = Vec::new();
        for line in self.prose() {
            if line.starts_with('#') {
                heading = line.trim_start_matches('#').trim().to_owned();
            }
            let inner = line
                .strip_prefix('|')
                .and_then(|line| line.strip_suffix('|'));
            if let Some(inner) = inner {
                let cells = inner.split('|').map(|cell| cell.trim().to_owned());
                rows.push((heading.clone(), cells.collect()));
            }
        }
        rows
    }
}

fn anchor_of(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept
        .chars()
        .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

/// What stands between single backticks.
pub fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The text without its code spans.
pub fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// Every page of the repository.
pub fn pages() -> Vec<Page> {
    fn walk(directory: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(repository()).expect("inside");
            let name = name.to_string_lossy().into_owned();
            let is_hidden = name
                .rsplit('/')
                .next()
                .is_some_and(|name| name.starts_with('.'));
            match path.is_dir() {
                _ if is_hidden || name == "target" => {}
                true => walk(&path, found),
                false if name.ends_with(".md") => found.push(name),
                false => {}
            }
        }
    }
    let mut names = Vec::new();
    walk(repository(), &mut names);
    names.sort();
    assert!(names.len() >= 8, "the pages are somewhere else: {names:?}");
    names.iter().map(|name| Page::read(name)).collect()
}
