use std::fs;
use std::path::Path;

use crate::harness::repository;

/// Every test of this repository, by the name of its function.
fn tests(directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            tests(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            let mut is_test = false;
            for line in text.lines().map(str::trim) {
                if line == "#[test]" {
                    is_test = true;
                } else if let Some(rest) = line.strip_prefix("fn ").filter(|_| is_test) {
                    found.push(rest.split('(').next().unwrap_or_default().to_owned());
                    is_test = false;
                }
            }
        }
    }
}

/// Each row of the table of threats names tests, and each of them is there.
#[test]
fn every_test_that_security_md_names_is_there() {
    let text = fs::read_to_string(repository().join("SECURITY.md")).expect("SECURITY.md");
    assert!(text.lines().count() < 150, "too long to be read");
    let mut there = Vec::new();
    for directory in ["tests", "src"] {
        tests(&repository().join(directory), &mut there);
    }
    assert!(there.len() > 300, "the tests are somewhere else");
    let threats = text
        .split("\n## ")
        .find(|section| section.starts_with("Threats"));
    let rows = threats.expect("the section about threats").lines();
    let rows = rows.filter(|line| line.starts_with("| ") && !line.starts_with("| threat"));
    let mut named = 0;
    for row in rows {
        let proof = row
            .trim_end_matches(['|', ' '])
            .rsplit('|')
            .next()
            .unwrap_or_default();
        let names: Vec<&str> = proof.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "nothing proves it: {row}");
        for name in names {
            let is_target = name.strip_prefix("make ").is_some_and(|target| {
                let makefile = fs::read_to_string(repository().join("Makefile"));
                makefile.is_ok_and(|text| text.contains(&format!("\n{target}:")))
            });
            assert!(
                is_target || there.iter().any(|test| test == name),
                "there is no test {name}"
            );
            named += 1;
        }
    }
    assert!(named >= 20, "only {named} tests are named");
}
