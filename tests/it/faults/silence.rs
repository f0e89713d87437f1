//! A network that swallows what is sent, and commits of which nobody hears what came of them.

use crate::harness::Ended;
use crate::harness::flights_on_postgres::eventually;
use crate::harness::night::{Night, date};
use crate::harness::proxy::{Message, Proxy, Then};
use crate::harness::started::Started;
use crate::harness::tally::Tally;

/// Where the network falls silent.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Before the server has heard of a commit.
    Begin,
    /// Between the rows of a shard.
    Rows,
    /// Before the server has heard the word COMMIT.
    Commit,
    /// When it has.
    Committed,
    /// Before the run is planned.
    Plan,
}

const PLACES: [Place; 5] = [
    Place::Begin,
    Place::Rows,
    Place::Commit,
    Place::Committed,
    Place::Plan,
];

impl Place {
    /// What becomes of each message, once the silence is to fall in the commit of a shard.
    fn choice(self) -> impl FnMut(&Message<'_>) -> Then + Send {
        let mut commits = 0;
        let mut is_over = false;
        move |message| {
            let commit = message.is_commit() && message.copied;
            commits += u64::from(commit);
            let begins = message.kind == Some(b'Q') && message.body.starts_with(b"BEGIN");
            let then = match self {
                Self::Plan if begins => Then::FallSilent,
                // The plan, and a shard before it.
                Self::Begin if commits > 3 && begins => Then::FallSilent,
                Self::Rows if commits > 3 && message.kind == Some(b'd') => Then::FallSilent,
                Self::Commit if commits > 3 && commit => Then::FallSilent,
                Self::Committed if commits > 3 && commit => Then::PassAndFallSilent,
                _ => Then::Pass,
            };
            match is_over {
                true => Then::Pass,
                false => {
                    is_over = then != Then::Pass;
                    then
                }
            }
        }
    }
}

/// Networks that fall silent under one process while another works on the same run.
pub fn silent(tries: u64) -> Tally {
    let fault = "network silent in both directions, without a word of farewell";
    Tally::of_threads(fault, 3, |thread, tally| {
        for number in (thread..tries).step_by(3) {
            let place = PLACES[number as usize % PLACES.len()];
            let (night, date) = (Night::in_postgres(), date(0));
            let proxy = Proxy::start(&night.results.workspace, Box::new(place.choice()));
            let mut command = night.run(&date, &["--workers", "1"]);
            command.env("DATABASE_URL", proxy.url(night.database()));
            let mut silent = Started::new(&mut command);
            eventually(|| proxy.is_silent() || !silent.is_alive());
            tally.tries += 1;
            tally.struck += u64::from(proxy.is_silent());
            let mut other = night.start("other", &date, &[]);
            // All but those whose rows the server may still keep locked for whoever is silent, in a
            // commit, a claim or a heartbeat: fewer than half of them.
            let left = "SELECT count(*) > 0 AND count(*) FILTER (WHERE state <> 'completed') <= 30
                 FROM shards";
            let done = |other: &mut Started| night.results.value(left) == "t" || !other.is_alive();
            eventually(|| done(&mut other));
            proxy.hang_up();
            for started in [other, silent] {
                night.judge_end(&date, &started.end(), &[0], tally);
            }
            night.judge(&date, tally);
        }
    })
}

/// Commits whose answer is kept from the client: one in three, whatever it commits.
pub fn unheard(tries: u64) -> Tally {
    let mut tally = Tally::new("the answer to COMMIT never arrives");
    for number in 0..tries {
        let (night, date) = (Night::in_postgres(), date(0));
        let mut commits = number;
        let choose = move |message: &Message<'_>| {
            commits += u64::from(message.is_commit());
            match message.is_commit() && commits % 3 == 0 {
                true => Then::KeepAnswer,
                false => Then::Pass,
            }
        };
        let proxy = Proxy::start(&night.results.workspace, Box::new(choose));
        let mut command = night.run(&date, &[]);
        command.env("DATABASE_URL", proxy.url(night.database()));
        let ended = Ended::of(&mut command);
        let kept = proxy.kept() as u64;
        tally.tries += kept;
        tally.struck += kept;
        night.judge_end(&date, &ended, &[0], &mut tally);
        night.judge(&date, &mut tally);
    }
    tally
}

#[test]
fn while_the_network_of_one_process_is_silent_another_completes_the_run() {
    silent(5).check(5);
}

#[test]
fn commits_of_which_nobody_hears_are_asked_for() {
    unheard(3).check(30);
}
