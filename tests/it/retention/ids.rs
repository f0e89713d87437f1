use super::{SOME, erase, in_each, run, seen, set_up};
use crate::harness::results::Results;

#[test]
fn a_mark_of_byte_order_is_no_part_of_the_first_id() {
    let results = Results::in_sqlite();
    set_up(&results, SOME);
    run(&results, "2026-11-20", &[]).expect(0);
    erase(&results, &["\u{feff}alpha-17\r", "charlie-17"], &[]).expect(0);
    assert_eq!(seen(&results), ["delta-17 1", "foxtrot-17 1"]);
}

#[test]
fn a_job_that_nobody_knows_is_refused() {
    for results in in_each(SOME) {
        run(&results, "2026-11-20", &[]).expect(0);
        for more in [&["--dry-run"][..], &[]] {
            erase(
                &results,
                &["alpha-17"],
                &[&["--job", "smiple"], more].concat(),
            )
            .expect(64)
            .says(&["neither runs nor the queue know a job smiple"]);
        }
        assert_eq!(seen(&results).len(), 4);
        // One that has waited only is known by its rows of the queue.
        results.execute(
            "INSERT INTO queue (job, record_id, payload) VALUES ('waits', 'alpha-17', '{}')",
        );
        erase(&results, &["alpha-17"], &["--job", "waits"]).expect(0);
        assert_eq!(seen(&results).len(), 4);
        assert_eq!(results.value("SELECT count(*) FROM queue"), "0");
    }
}

#[test]
fn an_id_that_steers_a_terminal_is_printed_on_one_line() {
    let results = Results::in_sqlite();
    set_up(&results, SOME);
    run(&results, "2026-11-20", &[]).expect(0);
    let line = "{\"record_id\": \"a\\u001b[2J\\n\\rb\"}\n";
    results.workspace.write("ids.jsonl", line);
    let erased = [
        "records",
        "erased",
        "--ids",
        "ids.jsonl",
        "--id-column",
        "record_id",
    ];
    let key = ["--key-file", "key"];
    let told = results.lamplighter(&[&erased[..], &key].concat()).expect(0);
    assert!(told.stdout.contains("a\\u{1b}[2J\\n\\rb "), "{told}");
    assert_eq!(told.stdout.lines().count(), 2, "{told}");
}
