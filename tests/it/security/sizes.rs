use super::{RUN, put, scored, set_up};
use crate::harness::results::Results;

/// Bytes of an id, of which no two parts are alike, so that no index can compress it.
fn long(bytes: usize) -> String {
    let mut state = 1u64;
    (0..bytes)
        .map(|_| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            char::from(b'a' + ((state >> 33) % 26) as u8)
        })
        .collect()
}

#[test]
fn an_id_beyond_the_limit_costs_its_record_and_no_other() {
    let [longest, too_long, huge] = [2048, 2049, 16 << 20].map(long);
    for results in Results::in_each() {
        let records = [
            ("a", Some(1.0)),
            (&too_long, Some(2.0)),
            (&huge, Some(3.0)),
            (&longest, Some(4.0)),
        ];
        set_up(&results.workspace, &records);
        results.lamplighter(&RUN).expect(0);
        scored(&results, &["a", &longest]);
        let letters = results
            .query("SELECT record_id, stage, code, message FROM dead_letters ORDER BY ordinal");
        for (letter, bytes) in letters.iter().zip(["2049", "16777216"]) {
            assert_eq!(letter[1..3], ["read", "invalid_id"]);
            assert!(
                letter[3].contains(&format!("the id has {bytes} bytes")),
                "{letter:?}"
            );
            assert!(
                too_long.starts_with(letter[0].trim_end_matches('…')),
                "{letter:?}"
            );
            assert!(letter[0].len() < 200, "{letter:?}");
        }
        assert_eq!(letters.len(), 2);
        results.verify();
        let list = results.lamplighter(&["dead-letters", "list"]).expect(0);
        assert!(list.stdout.len() < 2_000, "{}", list.stdout);
    }
}

#[test]
fn a_value_of_many_megabytes_is_read_and_stored_nowhere() {
    let huge = long(16 << 20);
    for results in Results::in_each() {
        let workspace = &results.workspace;
        set_up(workspace, &[]);
        let payload = format!(
            "{{\"id\": \"a\", \"x\": 1, \"more\": \"{huge}\"}}\n{{\"id\": \"b\", \"x\": \"{huge}\"}}\n"
        );
        workspace.write("rows.jsonl", payload);
        let job = std::fs::read_to_string(workspace.path("job.toml")).expect("a job");
        let parquet = "kind = \"parquet\"\npath = \"input/*.parquet\"";
        workspace.write("job.toml", job.replace(parquet, "kind = \"queue\""));
        results
            .lamplighter(&["queue", "push", "job.toml", "rows.jsonl"])
            .expect(0);
        results.lamplighter(&RUN).expect(0);
        scored(&results, &["a"]);
        assert_eq!(results.dead_letters(1), ["b read/wrong_type x"]);
        let longest = "SELECT max(length(message)) FROM dead_letters";
        assert!(results.value(longest).parse::<u32>().expect("a number") < 200);
    }
}

#[test]
fn an_id_beyond_the_limit_does_not_enter_the_queue() {
    let results = Results::in_sqlite();
    set_up(&results.workspace, &[]);
    let job = std::fs::read_to_string(results.workspace.path("job.toml")).expect("a job");
    let parquet = "kind = \"parquet\"\npath = \"input/*.parquet\"";
    results
        .workspace
        .write("job.toml", job.replace(parquet, "kind = \"queue\""));
    put(
        &results.workspace,
        "rows.parquet",
        &[(&long(2049), Some(1.0))],
    );
    results
        .lamplighter(&["queue", "push", "job.toml", "rows.parquet"])
        .expect(65)
        .says(&["rows.parquet", "the id has 2049 bytes, the limit is 2048"]);
}
