use super::{RESCORE, erase, in_each, prune, put_input, run, runs, seen};
use crate::harness::results::Results;

const RECORDS: usize = 24;

/// Numbers that look like chance, the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

fn ids() -> Vec<String> {
    (0..RECORDS).map(|row| format!("r{}", row % 22)).collect()
}

/// The records, of which every fifth lacks its number if they are flawed.
fn put_records(results: &Results, are_flawed: bool) {
    let ids = ids();
    let number = |row: usize| (!are_flawed || row % 5 != 1).then_some(row as f64);
    let records: Vec<_> = ids
        .iter()
        .zip(0..)
        .map(|(id, row)| (id.as_str(), number(row)))
        .collect();
    put_input(results, &records);
}

/// Something happens; what consumers see afterwards is as it is to be.
fn step(results: &Results, chance: &mut Chance, done: &mut Vec<String>) {
    let date = format!("2026-11-2{}", chance.below(3));
    let before = seen(results);
    let what = chance.below(7);
    done.push(format!("{what} {date}"));
    match what {
        0 | 1 => {
            run(results, &date, &[]).expect(0);
        }
        2 => {
            let has_run = !results
                .query(&format!("SELECT 1 FROM runs WHERE logical_date = '{date}'"))
                .is_empty();
            let more: &[&str] = if has_run { &RESCORE } else { &[] };
            run(results, &date, more).expect(0);
        }
        3 => {
            run(results, &date, &["--limit", "9"]).expect(0);
            assert_eq!(seen(results), before);
        }
        4 => {
            put_records(results, false);
            // There may be nothing to retry, or it was pruned.
            let ended = results.lamplighter(&["dead-letters", "retry", "job.toml"]);
            assert!(matches!(ended.code, Some(0 | 64 | 66)), "{ended}");
            put_records(results, true);
            assert!(seen(results).len() >= before.len());
        }
        5 => {
            let keys = ["runs=0s", "keep_runs=2", "dead_letters=0s", "reports=0s"];
            let keys = &keys[..1 + chance.below(keys.len())];
            prune(results, keys, &[]).expect(0);
            assert_eq!(seen(results), before, "pruning takes nothing that is seen");
        }
        _ => {
            let ids = ids();
            let gone: Vec<&str> = (0..1 + chance.below(3))
                .map(|_| ids[chance.below(RECORDS)].as_str())
                .collect();
            erase(results, &gone, &[]).expect(0);
            let is_left = |row: &String| !gone.iter().any(|id| row.split(' ').next() == Some(*id));
            let left: Vec<String> = before.into_iter().filter(is_left).collect();
            assert_eq!(seen(results), left, "just {gone:?} go");
            let everything = results.query(
                "SELECT record_id FROM predictions UNION ALL SELECT record_id FROM dead_letters",
            );
            assert!(
                everything
                    .iter()
                    .all(|row| !gone.contains(&row[0].as_str()))
            );
        }
    }
    if what >= 4 {
        results.verify();
    }
}

#[test]
fn whatever_is_pruned_and_erased_in_whatever_order_every_run_holds() {
    for seed in [1, 2, 3] {
        for results in in_each(&[]) {
            put_records(&results, true);
            let mut chance = Chance(seed);
            let mut done = Vec::new();
            run(&results, "2026-11-20", &[]).expect(0);
            for _ in 0..14 {
                step(&results, &mut chance, &mut done);
            }
            results.verify();
            assert!(!runs(&results).is_empty(), "{done:?}");
        }
    }
}
