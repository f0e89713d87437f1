//! What waits: its order, what happens to a record that waits already, and what people are told.

use super::{letters, linear, push, run, stats};

const DATE: &str = "2026-11-23";

fn scored_in_order(results: &super::Results) -> Vec<String> {
    results
        .query("SELECT record_id FROM predictions ORDER BY ordinal")
        .concat()
}

#[test]
fn higher_priority_comes_first_and_then_what_came_first() {
    for results in linear("", "") {
        push(
            &results,
            "{\"id\":\"z\",\"x\":1}\n{\"id\":\"b\",\"x\":1}\n",
            &[],
        );
        push(
            &results,
            "{\"id\":\"low\",\"x\":1}\n",
            &["--priority", "-5"],
        );
        push(
            &results,
            "{\"id\":\"high\",\"x\":1}\n",
            &["--priority", "7"],
        );
        push(&results, "{\"id\":\"a\",\"x\":1}\n", &["--priority", "0"]);
        run(&results, DATE, &[]).expect(0);
        assert_eq!(scored_in_order(&results), ["high", "z", "b", "a", "low"]);
    }
}

#[test]
fn rows_are_inserted_as_the_help_says() {
    let [sqlite, postgres] = linear("", "");
    let help = sqlite.lamplighter(&["queue", "push", "--help"]).expect(0);
    let statement = |conflict: &str, x: i64| {
        format!(
            "INSERT INTO lamplighter.queue (job, record_id, payload)
             VALUES ('queued', 'r', '{{\"x\": {x}}}')
             ON CONFLICT (job, record_id) WHERE run_id IS NULL
             DO UPDATE SET payload = excluded.payload, enqueued_at = {conflict}"
        )
    };
    for words in [
        "INSERT INTO lamplighter.queue (job, record_id, payload)",
        "ON CONFLICT (job, record_id) WHERE run_id IS NULL",
        "DO UPDATE SET payload = excluded.payload, enqueued_at = now();",
    ] {
        assert!(help.stdout.contains(words), "{}", help.stdout);
    }
    postgres.execute(&statement("now()", 1));
    postgres.execute(&statement("now()", 20));
    // SQLite has no schemas and no now().
    let in_sqlite = |x| statement("CURRENT_TIMESTAMP", x).replace("lamplighter.", "");
    sqlite.lamplighter(&["db", "migrate"]).expect(0);
    sqlite.execute(&in_sqlite(1));
    sqlite.execute(&in_sqlite(20));
    for results in [sqlite, postgres] {
        assert_eq!(stats(&results), [1, 0, 0, 0]);
        run(&results, DATE, &[]).expect(0);
        assert_eq!(results.published(DATE), [["r", "41"]]);
    }
}

#[test]
fn a_record_that_waits_is_replaced_or_left_alone() {
    for (rule, expected) in [("", "9"), ("replace", "9"), ("ignore", "3")] {
        let line = match rule {
            "" => String::new(),
            rule => format!("on_conflict = \"{rule}\""),
        };
        for results in linear(&line, "") {
            push(&results, "{\"id\":\"a\",\"x\":1}\n", &[]);
            let twice = "{\"id\":\"a\",\"x\":3}\n{\"id\":\"b\",\"x\":1}\n{\"id\":\"a\",\"x\":4}\n";
            push(&results, twice, &[]);
            assert_eq!(stats(&results), [2, 0, 0, 0]);
            run(&results, DATE, &[]).expect(0);
            assert_eq!(results.published(DATE), [["a", expected], ["b", "3"]]);
        }
    }
}

/// The row that the run took is not the one that waits now.
#[test]
fn a_record_may_wait_again_once_a_run_has_taken_it() {
    for results in linear("on_conflict = \"ignore\"", "") {
        push(&results, &letters(2), &[]);
        run(&results, DATE, &[]).expect(0);
        push(&results, "{\"id\":\"a\",\"x\":50}\n", &[]);
        assert_eq!(stats(&results), [1, 0, 2, 0]);
        run(&results, "2026-11-24", &[]).expect(0);
        assert_eq!(results.published(DATE), [["a", "3"], ["b", "5"]]);
        assert_eq!(results.published("2026-11-24"), [["a", "101"]]);
    }
}

#[test]
fn queues_of_other_jobs_are_theirs() {
    for results in linear("", "") {
        push(&results, &letters(2), &[]);
        let other = super::job("", "").replace("\"queued\"", "\"other\"");
        results.workspace.write("other.toml", other);
        let push = ["queue", "push", "other.toml", "pushed.jsonl"];
        results.lamplighter(&push).expect(0);
        run(&results, DATE, &[]).expect(0);
        assert_eq!(results.value("SELECT count(*) FROM predictions"), "2");
        let arguments = ["queue", "stats", "--format", "json"];
        let stats = results.lamplighter(&arguments).expect(0).json();
        let counts: Vec<_> = stats
            .as_array()
            .expect("jobs")
            .iter()
            .map(|job| (job["job"].as_str(), job["pending"].as_u64()))
            .collect();
        assert_eq!(
            counts,
            [(Some("other"), Some(2)), (Some("queued"), Some(0))]
        );
        let one = ["queue", "stats", "--job", "other", "--format", "json"];
        let stats = results.lamplighter(&one).expect(0).json();
        assert_eq!(stats.as_array().expect("jobs").len(), 1, "{stats}");
    }
}

#[test]
fn stats_tell_what_waits_and_since_when() {
    for results in linear("", "") {
        push(&results, &letters(3), &[]);
        run(&results, DATE, &[]).expect(0);
        push(&results, &letters(2), &[]);
        let arguments = ["queue", "stats", "--format", "json"];
        let stats = results.lamplighter(&arguments).expect(0).json();
        let job = &stats[0];
        assert_eq!(job["job"], "queued");
        assert_eq!(
            (job["pending"].as_u64(), job["done"].as_u64()),
            (Some(2), Some(3))
        );
        let oldest = job["oldest_pending"].as_str().expect("a time");
        assert!(
            oldest.starts_with("20") && oldest.ends_with('Z'),
            "{oldest}"
        );
        let text = results.lamplighter(&["queue", "stats"]).expect(0).stdout;
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[0][..2], ["JOB", "PENDING"]);
        assert_eq!(lines[1], ["queued", "2", "0", "3", "0", oldest]);
    }
}

#[test]
fn an_empty_queue_is_no_input_unless_the_job_expects_it() {
    for results in linear("", "") {
        results.lamplighter(&["db", "migrate"]).expect(0);
        let nothing = run(&results, DATE, &[]);
        nothing
            .expect(66)
            .says(&["queue", "min_rows", "queue stats"]);
        assert_eq!(results.value("SELECT count(*) FROM runs"), "0");
        run(&results, DATE, &["--set", "source.min_rows=0"]).expect(0);
        let state = "SELECT state || ' ' || publication || ' ' || planned FROM runs";
        assert_eq!(results.value(state), "completed published 0");
        push(&results, &letters(2), &[]);
        let few = run(&results, "2026-11-24", &["--set", "source.min_rows=3"]);
        few.expect(66).says(&["2 records", "3"]);
        // What was refused has taken nothing.
        assert_eq!(stats(&results), [2, 0, 0, 0]);
        results.verify();
    }
}

#[test]
fn a_trial_and_a_dry_run_leave_the_queue_as_it_is() {
    for results in linear("", "") {
        push(&results, &letters(5), &[]);
        let more = ["--dry-run", "--format", "json"];
        let told = run(&results, DATE, &more).expect(0).json();
        assert_eq!(told["records"].as_u64(), Some(5), "{told}");
        assert_eq!(results.value("SELECT count(*) FROM runs"), "0");
        run(&results, DATE, &["--limit", "4"]).expect(0);
        assert_eq!(stats(&results), [5, 0, 0, 0]);
        let trial = "SELECT count(*) FROM predictions";
        assert_eq!(results.value(trial), "4");
        assert_eq!(results.value("SELECT count(*) FROM publications"), "0");
        run(&results, DATE, &[]).expect(0);
        assert_eq!(results.published(DATE).len(), 5);
        results.verify();
    }
}
