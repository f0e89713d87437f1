//! SQL of the pages, on both databases: it runs, and what asks for rows finds some.

use std::os::unix::fs::symlink;

use super::markdown::{Block, Page, pages};
use crate::harness::results::Results;
use crate::harness::{Ended, repository};

/// A flight that the second night can not score.
const DEAD_LETTER: &str = "2013-10-01-AA1175-LGA-0600";

/// Two nights of the flights, a night of the buckets, a night of the recommendations, what was true of the
/// flights, a night under way, and a table of somebody's own.
fn set_up(results: &Results) {
    let fixtures = results.workspace.path("fixtures");
    symlink(repository().join("fixtures"), fixtures).expect("a link");
    results.workspace.copy_directory("jobs", "jobs");
    let arguments = |job: &'static str, date: &'static str| {
        let files = "source.path=fixtures/flights/flights-2013-10.parquet";
        let settings = ["--set", files, "--set", "cost.per_hour=3600"];
        [&["run", job, "--date", date], &settings[..]].concat()
    };
    let flights = "jobs/flight-delay.toml";
    results
        .lamplighter(&arguments(flights, "2013-10-31"))
        .expect(0);
    let mut second = results.command(&arguments(flights, "2026-11-23"));
    Ended::of(second.env("LAMPLIGHTER_FAULT", format!("error:{DEAD_LETTER}"))).expect(0);
    let buckets = arguments("jobs/delay-bucket.toml", "2026-11-23");
    results.lamplighter(&buckets).expect(0);
    let offers = ["run", "jobs/recommendations.toml", "--date", "2026-11-23"];
    results.lamplighter(&offers).expect(0);
    let truth = "fixtures/ground-truth/flights.parquet";
    results
        .lamplighter(&["evaluate", flights, "--ground-truth", truth])
        .expect(0);
    let small = ["--set", "run.shard_size=50", "--workers", "1"];
    let third = [&arguments(flights, "2026-11-24")[..], &small].concat();
    let committed = "SELECT 1 FROM shards JOIN runs ON runs.run_id = shards.run_id
                     WHERE logical_date = '2026-11-24' AND shards.state = 'completed' LIMIT 1";
    results.killed_when(&third, committed);
    // A claim that nobody gave back, whatever the kill left of it.
    let claimed = "UPDATE shards SET state = 'leased', owner = 'somebody'
                   WHERE state <> 'completed' AND run_id = (SELECT max(run_id) FROM runs)";
    results.execute(claimed);
    results.execute(
        "CREATE TABLE bookings AS SELECT record_id AS flight_id, 'somebody' AS customer
         FROM predictions_latest WHERE job = 'flight-delay'",
    );
}

/// Statements of a block, without their ends.
fn statements(block: &Block) -> impl Iterator<Item = &str> {
    let statements = block.text.split(";\n").map(str::trim);
    statements.filter(|statement| !statement.is_empty())
}

fn every_query_runs(results: &Results, database: &str) {
    set_up(results);
    let mut count = 0;
    for page in pages() {
        for block in page.blocks_of("sql") {
            let Block { remark, place, .. } = &block;
            assert!(
                matches!(remark.as_str(), "" | "sqlite" | "postgres"),
                "{place}: sql {remark}"
            );
            if !remark.is_empty() && remark != database {
                continue;
            }
            for statement in statements(&block) {
                count += 1;
                if !statement.starts_with("SELECT") {
                    results.execute(statement);
                    continue;
                }
                let rows = results.query(statement);
                assert!(!rows.is_empty(), "{place} finds nothing:\n{statement}");
            }
        }
    }
    assert!(count > 10, "queries are shown in another way: {count}");
}

#[test]
fn a_date_that_the_runbook_takes_away_is_seen_by_nobody_until_it_is_scored_again() {
    let blocks = Page::read("cron/RUNBOOK.md").blocks_of("sql");
    let by_hand = blocks.iter().find(|block| block.text.starts_with("UPDATE"));
    let by_hand = &by_hand.expect("a block").text;
    for results in Results::in_each() {
        let fixtures = results.workspace.path("fixtures");
        symlink(repository().join("fixtures"), fixtures).expect("a link");
        results.workspace.copy_directory("jobs", "jobs");
        let run = ["run", "jobs/flight-delay.toml", "--date", "2026-11-23"];
        let seen = || results.value("SELECT count(*) FROM predictions_by_date");
        results.lamplighter(&run).expect(0);
        assert_ne!(seen(), "0");
        results.execute(by_hand);
        assert_eq!(seen(), "0");
        results.lamplighter(&run).expect(79);
        let status = results.lamplighter(&["status"]).expect(79).stdout;
        assert!(status.contains("withheld"), "{status}");
        let again = ["--rescore", "--reason", "the runbook says so"];
        results.lamplighter(&[&run[..], &again].concat()).expect(0);
        assert_ne!(seen(), "0");
    }
}

#[test]
fn every_query_of_a_page_runs_on_sqlite() {
    every_query_runs(&Results::in_sqlite(), "sqlite");
}

#[test]
fn every_query_of_a_page_runs_on_postgres() {
    every_query_runs(&Results::in_postgres(), "postgres");
}
