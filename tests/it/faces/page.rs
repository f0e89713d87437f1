use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use arrow::array::{Array, AsArray, StringArray};

use super::wide;
use crate::alerts::{DATE, RUN, bad_rows, notify, put, rule};
use crate::harness::programs::is_left_out;
use crate::harness::receiver::Receiver;
use crate::harness::results::Results;
use crate::harness::{Ended, find_program};
use crate::monitoring::replaced;

/// Bytes that a page may have at most.
const LARGEST: usize = 500_000;

/// What a browser makes of a page.
struct Browsed {
    /// What was said to the console, and what the browser complained of.
    console: Vec<String>,
    /// Addresses that were asked for.
    requests: Vec<String>,
    /// The page once it is drawn.
    document: String,
}

/// Opens a page in chromium, in a window of this width; `None` if there is no chromium.
fn browse(results: &Results, page: &str, width: u32) -> Option<Browsed> {
    let chromium = find_program("chromium");
    if is_left_out(chromium.is_some(), "TEST_WITHOUT_CHROMIUM") {
        return None;
    }
    let path = |name: &str| results.workspace.path(name);
    let profile = path(&format!("browser-{width}"));
    let log = path("net-log.json");
    let url = format!("file://{}", path(page).display());
    let mut command = Command::new(chromium?);
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--enable-logging=stderr",
            "--v=0",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("--window-size={width},1200"))
        .arg(format!("--log-net-log={}", log.display()))
        .arg(&url)
        .stdin(Stdio::null());
    let ended = Ended::of(&mut command).expect(0);
    let is_of_page = |line: &&str| line.contains(":CONSOLE");
    let console = ended
        .stderr
        .lines()
        .filter(is_of_page)
        .map(str::to_owned)
        .collect();
    let requests = requested(&log, &url);
    Some(Browsed {
        console,
        requests,
        document: ended.stdout,
    })
}

/// URLs in a net-log that are neither the page nor the browser's own.
fn requested(log: &Path, page: &str) -> Vec<String> {
    let text = fs::read_to_string(log).expect("a net-log");
    let mut found: Vec<String> = text
        .split("\"url\":\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|url| *url != page && !url.starts_with("chrome") && !url.starts_with("data:"))
        .map(str::to_owned)
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Whether it is where chromium goes by itself, which it does not do every time.
fn is_google(url: &str) -> bool {
    let host = url.split('/').nth(2).unwrap_or_default();
    [".google.com", ".googleapis.com", ".gvt1.com"]
        .iter()
        .any(|own| host.ends_with(own))
}

fn write_page(results: &Results, more: &[&str]) -> String {
    let arguments = [
        &["report", "--format", "html", "--output", "page.html"],
        more,
    ]
    .concat();
    let ended = results.lamplighter(&arguments).expect(0);
    assert_eq!(ended.stdout, "", "it is in the file");
    fs::read_to_string(results.workspace.path("page.html")).expect("a page")
}

#[test]
fn a_page_asks_for_nothing_and_says_nothing_to_the_console() {
    let results = Results::in_sqlite();
    let receiver = Receiver::answering(&[]);
    let rules = notify(&receiver.url("/"))
        + &rule(
            "drift",
            "psi > 0.25",
            "column = \"distance\"\nseverity = \"critical\"",
        )
        + "[errors]\nmax_dead_letters = \"5%\"\n[cost]\nper_hour = 1.0\n";
    // Of the dead letters one has an id: that of the first record, which is there twice.
    let rows = replaced(&bad_rows(), "flight_id", |column| {
        let ids = column.as_string::<i32>();
        let ids = (0..ids.len()).map(|row| match row {
            1 => Some(ids.value(0)),
            row => ids.is_valid(row).then(|| ids.value(row)),
        });
        Arc::new(ids.collect::<StringArray>())
    });
    put(&results, &rows, &rules);
    results
        .lamplighter(&["run", "job.toml", DATE[0], DATE[1]])
        .expect(0);
    let page = write_page(&results, &[RUN]);
    assert!(page.len() < LARGEST, "{}", page.len());
    for outside in ["http://", "https://", "<script", "src=", "@import", "url("] {
        let allowed = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!allowed.contains(outside), "{outside}");
    }
    for told in ["Bad night", "distance", "drift", "null_id"] {
        assert!(page.contains(told), "{told}");
    }
    let id = results.value("SELECT record_id FROM dead_letters WHERE code = 'duplicate_id'");
    assert!(!page.contains(&id), "ids may be personal data");
    let named = write_page(&results, &[RUN, "--record-ids"]);
    assert!(named.contains(&id));
    // The browser has errands of its own.
    results
        .workspace
        .write("empty.html", "<!doctype html><title>empty</title>");
    let Some(errands) = browse(&results, "empty.html", 800) else {
        return;
    };
    for width in [390, 1280] {
        let Some(browsed) = browse(&results, "page.html", width) else {
            return;
        };
        assert_eq!(browsed.console, Vec::<String>::new());
        let mut requests = browsed.requests;
        requests.retain(|url| !errands.requests.contains(url) && !is_google(url));
        assert_eq!(requests, Vec::<String>::new());
        assert!(browsed.document.contains("Bad night"), "the page is drawn");
    }
}

#[test]
fn a_page_of_three_hundred_columns_is_small_enough_to_mail() {
    let results = Results::in_sqlite();
    wide(&results, 300, 2_000);
    for day in ["2026-11-01", "2026-11-02", "2026-11-03"] {
        results
            .lamplighter(&["run", "job.toml", "--date", day])
            .expect(0);
    }
    let page = write_page(&results, &[]);
    assert!(page.len() < LARGEST, "{}", page.len());
    assert!(
        page.contains("c149") && page.contains("c299"),
        "all columns are there"
    );
    let text = results.lamplighter(&["report"]).expect(0).stdout;
    assert!(text.lines().count() <= 25, "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
}

#[test]
fn only_a_report_is_a_page() {
    let results = Results::in_sqlite();
    results
        .lamplighter(&["status", "--format", "html"])
        .expect(64)
        .says(&["`lamplighter report` alone"]);
}
