//! Eight starts at once.

use std::thread;

use crate::harness::flights_on_postgres::eventually;
use crate::harness::night::{Night, date};
use crate::harness::started::Started;
use crate::harness::tally::Tally;

const STARTS: u64 = 8;

/// On Postgres, where all of them meet at the plan.
pub fn on_postgres(tries: u64) -> Tally {
    let night = Night::in_postgres();
    let mut tally = Tally::new("eight starts at once, Postgres");
    for date in (0..tries).map(date) {
        let mut session = night.database().session();
        let lock = format!("hashtextextended('lamplighter:plan:flights@{date}', 0)");
        session.execute(&format!("SELECT pg_advisory_lock({lock})"));
        let mut all: Vec<Started> = (0..STARTS)
            .map(|_| night.start("start", &date, &[]))
            .collect();
        let waiting = "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
             WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()";
        let mut met = 0;
        eventually(|| {
            met = session.value(waiting).parse().expect("a number");
            met >= STARTS || !all.iter_mut().all(Started::is_alive)
        });
        session.execute(&format!("SELECT pg_advisory_unlock({lock})"));
        tally.tries += 1;
        tally.struck += u64::from(met >= STARTS);
        judge_ends(&night, &date, all, &[0], &mut tally);
        night.judge(&date, &mut tally);
    }
    tally
}

/// On SQLite, where one works and sends the others away.
pub fn on_sqlite(tries: u64) -> Tally {
    let night = Night::in_sqlite();
    let mut tally = Tally::new("eight starts at once, SQLite");
    for date in (0..tries).map(date) {
        let all: Vec<Started> = (0..STARTS)
            .map(|_| Started::new(&mut night.run(&date, &[])))
            .collect();
        tally.tries += 1;
        let sent_away = judge_ends(&night, &date, all, &[0, 75], &mut tally);
        tally.struck += u64::from(sent_away > 0);
        if sent_away == STARTS {
            tally.notes.push(format!("{date}: nobody worked"));
        }
        night.complete(&date, &mut tally);
        night.judge(&date, &mut tally);
    }
    tally
}

/// Judges each process as soon as it ends; returns how many came to be sent away.
fn judge_ends(
    night: &Night,
    date: &str,
    all: Vec<Started>,
    codes: &[i32],
    tally: &mut Tally,
) -> u64 {
    let ends: Vec<_> = thread::scope(|scope| {
        let waiting: Vec<_> = all
            .into_iter()
            .map(|started| {
                scope.spawn(move || {
                    let mut counted = Tally::default();
                    let ended = started.end();
                    night.judge_end(date, &ended, codes, &mut counted);
                    (ended.code, counted)
                })
            })
            .collect();
        let waiting = waiting.into_iter();
        waiting.map(|end| end.join().expect("an end")).collect()
    });
    let sent_away = ends.iter().filter(|(code, _)| *code == Some(75)).count();
    for (_, counted) in ends {
        tally.add(counted);
    }
    sent_away as u64
}

#[test]
fn eight_starts_at_once_make_one_run_on_postgres() {
    on_postgres(3).check(3);
}

#[test]
fn of_eight_starts_at_once_on_sqlite_one_works_and_the_others_are_told_to_come_back() {
    on_sqlite(3).check(2);
}
