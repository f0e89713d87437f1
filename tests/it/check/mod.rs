//! `check`: what is there passes, what is not is said with its way out, and nothing is touched.

/// What is printed, and what is left behind.
mod form;
/// Records.
mod input;
/// Bundles.
mod model;
/// Servers and roles.
mod postgres;
/// Files and disks.
mod sqlite;
/// Test vectors.
mod vectors;

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray};

use crate::harness::{Ended, Workspace, batch, linear_bundle, simple_job, write_parquet};

/// What a check has found.
struct Found {
    list: serde_json::Value,
    ended: Ended,
}

impl Found {
    fn of(ended: Ended) -> Self {
        let list = ended.json();
        Self { list, ended }
    }

    /// The item of this group and name.
    #[track_caller]
    fn item(&self, group: &str, item: &str) -> &serde_json::Value {
        let mut items = self.list["items"].as_array().expect("items").iter();
        items
            .find(|found| found["group"] == group && found["item"] == item)
            .unwrap_or_else(|| panic!("there is no item {item}: {}", self.ended))
    }

    /// Checks what came of an item, and that its finding has all of the words.
    #[track_caller]
    fn is(&self, group: &str, item: &str, status: &str, words: &[&str]) -> &Self {
        let found = self.item(group, item);
        assert_eq!(found["status"], status, "{found}");
        let finding = found["finding"].as_str().expect("a finding");
        for word in words {
            assert!(finding.contains(word), "`{word}` is missing: {found}");
        }
        self
    }

    /// Checks that an item passed.
    #[track_caller]
    fn passed(&self, group: &str, item: &str, words: &[&str]) -> &Self {
        self.is(group, item, "passed", words)
    }

    /// Checks that an item failed with this exit code.
    #[track_caller]
    fn failed(&self, group: &str, item: &str, exit_code: u8, words: &[&str]) -> &Self {
        self.is(group, item, "failed", words);
        let found = self.item(group, item);
        assert_eq!(found["exit_code"], exit_code, "{found}");
        assert!(!self.mend(group, item).is_empty());
        self
    }

    /// The way out of an item.
    #[track_caller]
    fn mend(&self, group: &str, item: &str) -> String {
        let found = self.item(group, item);
        let mend = found["mend"].as_str();
        mend.unwrap_or_else(|| panic!("no way out: {found}"))
            .to_owned()
    }

    /// Names of the items that failed.
    fn failures(&self) -> Vec<String> {
        let items = self.list["items"].as_array().expect("items").iter();
        items
            .filter(|item| item["status"] == "failed")
            .map(|item| item["item"].as_str().expect("a name").to_owned())
            .collect()
    }

    /// Checks that these failed and no others, and how the process ended.
    #[track_caller]
    fn only(&self, exit_code: i32, failures: &[&str]) -> &Self {
        assert_eq!(self.failures(), failures, "{}", self.ended);
        assert_eq!(self.ended.code, Some(exit_code), "{}", self.ended);
        assert_eq!(self.list["overall"]["exit_code"], exit_code);
        assert_eq!(self.list["overall"]["passed"], exit_code == 0);
        self
    }
}

const CHECK: [&str; 4] = ["check", "job.toml", "--format", "json"];

fn check(workspace: &Workspace, more: &[&str]) -> Found {
    Found::of(workspace.lamplighter(&[&CHECK[..], more].concat()))
}

/// Records r0, r1 … with these numbers.
fn records(workspace: &Workspace, numbers: Vec<Option<f64>>) {
    let ids = (0..numbers.len()).map(|row| Some(format!("r{row}")));
    records_of(
        workspace,
        ids.collect(),
        Arc::new(Float64Array::from(numbers)),
    );
}

fn records_of(workspace: &Workspace, ids: Vec<Option<String>>, column: ArrayRef) {
    let ids: StringArray = ids.into_iter().collect();
    let rows = batch(vec![("id", Arc::new(ids)), ("x", column)]);
    write_parquet(&workspace.path("input/1.parquet"), &rows, 100);
}

/// Twelve records, a bundle that says 2·x + 1, and a job with `more`.
fn workspace(more: &str) -> Workspace {
    let workspace = Workspace::new();
    let bundle = workspace.path("bundle");
    linear_bundle(&bundle, &[("x", 2.0)], 1.0, "missing = \"reject\"");
    records(&workspace, (0..12).map(|x| Some(f64::from(x))).collect());
    workspace.write("job.toml", simple_job(more));
    workspace
}
