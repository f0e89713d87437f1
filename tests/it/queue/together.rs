//! Many that push while runs take: every record is scored once.

use std::collections::BTreeSet;
use std::thread;

use super::linear;

const PUSHERS: usize = 4;
const FILES: usize = 10;
const RECORDS: usize = 250;

#[test]
fn what_is_pushed_while_runs_take_is_scored_exactly_once() {
    let [_, results] = linear("min_rows = 0", "");
    let hourly = super::job("min_rows = 0", "")
        .replace("[source]", "[schedule]\ngrain = \"hour\"\n[source]");
    results.workspace.write("job.toml", hourly);
    let results = &results;
    let run = |hour: usize| {
        let date = format!("2026-11-23T{hour:02}");
        let arguments = [
            "run",
            "job.toml",
            "--date",
            &date,
            "--set",
            "run.shard_size=100",
        ];
        results.lamplighter(&arguments).expect(0);
    };
    thread::scope(|scope| {
        let pushers: Vec<_> = (0..PUSHERS)
            .map(|pusher| {
                scope.spawn(move || {
                    for file in 0..FILES {
                        let name = format!("{pusher}-{file}.jsonl");
                        let lines: String = (0..RECORDS)
                            .map(|row| {
                                format!("{{\"id\":\"{pusher}-{file}-{row}\",\"x\":{row}}}\n")
                            })
                            .collect();
                        results.workspace.write(&name, lines);
                        let push = ["queue", "push", "job.toml", &name];
                        results.lamplighter(&push).expect(0);
                    }
                })
            })
            .collect();
        for hour in 0..3 {
            run(hour);
        }
        // A later hour helps an earlier one to its end before it begins.
        let runs: Vec<_> = (3..6).map(|hour| scope.spawn(move || run(hour))).collect();
        for run in runs {
            run.join().expect("every run succeeds");
        }
        for pusher in pushers {
            pusher.join().expect("every push succeeds");
        }
    });
    // The last hour takes what was pushed after the others were planned.
    run(6);
    let scored = results.query("SELECT record_id FROM predictions");
    let distinct: BTreeSet<&String> = scored.iter().map(|row| &row[0]).collect();
    assert_eq!(scored.len(), PUSHERS * FILES * RECORDS);
    assert_eq!(distinct.len(), scored.len());
    assert_eq!(results.value("SELECT count(*) FROM dead_letters"), "0");
    assert_eq!(super::stats(results)[..2], [0, 0]);
    results.verify();
}
