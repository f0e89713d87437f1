//! TOML of jobs loads, wherever it stands, and JSON is JSON.

use lamplighter::job::{Job, LoadOptions};

use super::markdown::pages;
use crate::harness::Workspace;

/// What a job needs, section by section: what a page shows in part is laid upon it.
const SMALLEST: [(&str, &str); 3] = [
    ("[job]", "name = \"flight-delay\""),
    (
        "[source]",
        "kind = \"parquet\"\npath = \"fixtures/flights/*.parquet\"\nid_column = \"flight_id\"",
    ),
    ("[model]", "bundle = \"fixtures/models/flight-delay\""),
];

/// A page whose TOML is a bundle's.
const OF_BUNDLES: &str = "src/model/bundle.md";

/// The job that a text is a part of.
fn completed(text: &str) -> String {
    let missing = SMALLEST
        .iter()
        .filter(|(section, _)| !text.lines().any(|line| line.trim() == *section));
    let missing: String = missing
        .map(|(section, keys)| format!("{section}\n{keys}\n\n"))
        .collect();
    format!("{missing}{text}")
}

/// Names after `[env.`.
fn overlays(text: &str) -> Vec<String> {
    let names = text.lines().filter_map(|line| line.strip_prefix("[env."));
    names
        .filter_map(|rest| rest.split_once('.'))
        .map(|(name, _)| name.to_owned())
        .collect()
}

#[test]
fn every_job_of_a_page_loads() {
    let workspace = Workspace::new();
    let mut count = 0;
    for page in pages().iter().filter(|page| page.name != OF_BUNDLES) {
        for block in page.blocks_of("toml") {
            let path = workspace.write("job.toml", completed(&block.text));
            let overlays = overlays(&block.text).into_iter().map(Some);
            for env in [None].into_iter().chain(overlays) {
                let options = LoadOptions {
                    env,
                    set: Vec::new(),
                    variables: &|_| Some("value".to_owned()),
                };
                if let Err(error) = Job::load(&path, &options) {
                    panic!("{}: {error}", block.place);
                }
            }
            count += 1;
        }
    }
    assert!(count >= 5, "jobs are shown in another way: {count}");
}

#[test]
fn every_json_of_a_page_is_json() {
    for page in pages() {
        for block in page.blocks_of("json") {
            let parsed = serde_json::from_str::<serde_json::Value>(&block.text);
            assert!(parsed.is_ok(), "{}: {parsed:?}", block.place);
        }
    }
}
