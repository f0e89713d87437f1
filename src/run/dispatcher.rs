//! The side of a run that knows how far it is: hands out shards, has committed what comes back, and knows
//! when to stop.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender};

use super::committer::{Done, Finished};
use super::forecast::Forecast;
use super::pipeline::{Crew, End, Progress, Settings, Share};
use super::tolerance::{Tolerance, worst};
use super::watch::Watch;
use super::worker::Orders;
use crate::error::{Class, Failure, classify};
use crate::ledger::{Claim, Committed, Ledger, Run, ShardProgress, State};

/// Shards that a worker gets at once, at most.
const LARGEST_BLOCK: usize = 8;

/// Longest time between two reports of progress.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);

/// How often to look whether peers have left something. The database has no event that reaches
/// through a connection pooler.
const PEER_INTERVAL: Duration = Duration::from_millis(250);

/// How often to look how far peers are, where a deadline depends on it.
const REFRESH_INTERVAL: Duration = Duration::from_secs(5);

/// How long a worker that is told to drop its shard may take: it looks up between batches.
const DROPPING: Duration = Duration::from_secs(5);

/// How often to look whether it has.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// What is known of a run, and what is in hand of it.
pub(super) struct Dispatcher<'a> {
    run: &'a Run,
    crew: &'a Crew<'a>,
    settings: Settings,
    /// Shards that were not completed when last looked, less those claimed since.
    claimable: u64,
    /// When to ask again for shards that peers may have left.
    next_look: Instant,
    /// When to ask again how far peers are.
    next_refresh: Instant,
    /// Shards handed out and not yet committed.
    in_hand: usize,
    /// How far the run is, as far as is known here.
    now: ShardProgress,
    forecast: Forecast,
    pub(super) watch: Arc<Watch>,
    pub(super) orders: Arc<Orders>,
    share: &'a mut Share,
    is_waiting: bool,
}

impl<'a> Dispatcher<'a> {
    /// Nothing handed out yet.
    pub(super) fn new(
        run: &'a Run,
        crew: &'a Crew<'a>,
        settings: Settings,
        now: ShardProgress,
        share: &'a mut Share,
    ) -> Self {
        Self {
            run,
            crew,
            settings,
            claimable: 0,
            next_look: Instant::now(),
            next_refresh: Instant::now() + REFRESH_INTERVAL,
            in_hand: 0,
            now,
            forecast: Forecast::new(now.records),
            watch: Arc::new(Watch::new(settings.workers)),
            orders: Arc::new(Orders::default()),
            share,
            is_waiting: false,
        }
    }

    /// Hands out and commits until the run is done or is to stop.
    pub(super) fn run(
        &mut self,
        ledger: &mut Ledger,
        work: Sender<Vec<Claim>>,
        finished: &Finished,
        progress: &mut dyn FnMut(Progress),
    ) -> anyhow::Result<End> {
        loop {
            self.hand_out(ledger, &work)?;
            if let Some(reason) = self.reason_to_stop(ledger)? {
                return self.stop(ledger, work, finished, reason);
            }
            let patience = match self.in_hand {
                0 => PEER_INTERVAL,
                _ => REPORT_INTERVAL,
            };
            let deadline = Instant::now() + crate::database::jittered(patience);
            match finished.next(ledger, self.run.run_id, deadline) {
                Ok(done) => self.take(ledger, &done?)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::internal("all workers are gone").into());
                }
            }
            self.end_if_a_worker_hangs(ledger);
            if self.in_hand == 0 && self.claimable == 0 && self.look(ledger)? {
                progress(self.progress());
                return Ok(End::Completed);
            }
            self.refresh(ledger)?;
            self.forecast.tell(self.progress(), self.crew.interrupt);
            progress(self.progress());
        }
    }

    /// How far the run is, as far as is known here.
    pub(super) fn progress(&self) -> Progress {
        Progress {
            planned: self.run.planned as u64,
            records: self.now.records.min(self.run.planned as u64),
            dead_letters: self.now.dead_letters,
        }
    }

    /// Looks at the run's shards. Returns whether all of them are completed.
    pub(super) fn look(&mut self, ledger: &mut Ledger) -> anyhow::Result<bool> {
        self.now = ledger.progress(self.run.run_id)?;
        self.claimable = self.now.shards - self.now.completed_shards;
        if self.claimable == 0 {
            return Ok(true);
        }
        match self.state(ledger)? {
            // A peer completed the last shard, and then the run, since the look above.
            Some(State::Completed) => {
                self.claimable = 0;
                Ok(true)
            }
            Some(State::Planning | State::Running) => Ok(false),
            ended => Err(self.taken_away(ledger, ended)?),
        }
    }

    /// Why there is nothing more to do here, if the run was ended by somebody else.
    fn taken_away(
        &self,
        ledger: &mut Ledger,
        state: Option<State>,
    ) -> anyhow::Result<anyhow::Error> {
        match (state, self.crew.tolerance) {
            (Some(State::Failed), Some(tolerance)) => {
                let now = ledger.progress(self.run.run_id)?;
                Ok(self.too_many_dead_letters(ledger, &now, tolerance)?.into())
            }
            _ => Ok(given_up(self.run)),
        }
    }

    /// What peers do counts for a forecast, and for the limit of dead letters.
    fn refresh(&mut self, ledger: &mut Ledger) -> anyhow::Result<()> {
        let is_of_use = self.crew.interrupt.time_left().is_some() || self.crew.tolerance.is_some();
        if ledger.is_shared() && is_of_use && Instant::now() >= self.next_refresh {
            self.next_refresh = Instant::now() + REFRESH_INTERVAL;
            self.now = ledger.progress(self.run.run_id)?;
        }
        Ok(())
    }

    fn state(&self, ledger: &mut Ledger) -> anyhow::Result<Option<State>> {
        Ok(ledger.run(self.run.run_id)?.map(|run| run.state))
    }

    /// Why to begin no more shards, if there is a reason.
    pub(super) fn reason_to_stop(
        &mut self,
        ledger: &mut Ledger,
    ) -> anyhow::Result<Option<Failure>> {
        if let Err(stop) = self.crew.interrupt.check() {
            return Ok(Some(stop));
        }
        let Some(tolerance) = self.crew.tolerance else {
            return Ok(None);
        };
        let planned = self.run.planned as u64;
        // With nothing left to begin, the end of the run judges.
        if self.claimable == 0 || tolerance.can_be_kept(planned, &self.now) {
            return Ok(None);
        }
        // A shard that was seen in the ledger may be counted again when its committer tells of it.
        self.now = ledger.progress(self.run.run_id)?;
        if tolerance.can_be_kept(planned, &self.now) {
            return Ok(None);
        }
        self.too_many_dead_letters(ledger, &self.now, tolerance)
            .map(Some)
    }

    fn too_many_dead_letters(
        &self,
        ledger: &mut Ledger,
        now: &ShardProgress,
        tolerance: Tolerance,
    ) -> anyhow::Result<Failure> {
        let dead_letters = ledger.dead_letter_counts(self.run.run_id)?;
        Ok(Failure::data(format!(
            "{} of the {} records scored so far are dead letters, so that the limit of {} can not be kept any more{}",
            now.rejected,
            now.records,
            tolerance.limit,
            worst(&dead_letters)
        ))
        .hint("`lamplighter dead-letters list` shows them; a start with a higher [errors] max_dead_letters goes on from here"))
    }

    /// Commits the shards that workers are at, and no others, and drops those that take too long.
    fn stop(
        &mut self,
        ledger: &mut Ledger,
        work: Sender<Vec<Claim>>,
        finished: &Finished,
        reason: Failure,
    ) -> anyhow::Result<End> {
        self.orders.finish();
        drop(work);
        if !self.drain(ledger, finished, self.settings.grace)? {
            self.orders.drop_all();
            // A commit that is under way is waited for; it has an end of its own.
            while !self.drain(ledger, finished, DROPPING)? {
                if self.watch.is_anybody_at_work() {
                    let text = "a worker does not let go of its shard";
                    self.end_process(ledger, &Failure::new(reason.class(), text));
                }
            }
        }
        if self.look(ledger)? {
            return Ok(End::Completed);
        }
        self.fail_if_worthless(ledger, &reason)?;
        let Progress {
            planned, records, ..
        } = self.progress();
        tracing::warn!("stopped with {records} of {planned} records committed");
        Ok(End::Stopped(reason))
    }

    /// Commits what comes from the workers for so long. Returns whether all of them are done.
    fn drain(
        &mut self,
        ledger: &mut Ledger,
        finished: &Finished,
        patience: Duration,
    ) -> anyhow::Result<bool> {
        let end = Instant::now() + patience;
        loop {
            match finished.next(ledger, self.run.run_id, end) {
                Ok(done) => self.take(ledger, &done?)?,
                Err(RecvTimeoutError::Timeout) => return Ok(false),
                Err(RecvTimeoutError::Disconnected) => return Ok(true),
            }
        }
    }

    /// A thread can not be stopped, so if one hangs the whole process ends. Its claims lapse, or the
    /// next start takes them: what makes it hang is then isolated like what kills.
    fn end_if_a_worker_hangs(&self, ledger: &mut Ledger) {
        let Some(shard) = self.watch.hangs(self.settings.shard_timeout) else {
            return;
        };
        let failure = Failure::new(
            Class::Temporary,
            format!(
                "shard {shard} has taken longer than [run] shard_timeout, {} s",
                self.settings.shard_timeout.as_secs()
            ),
        );
        self.end_process(ledger, &failure);
    }

    /// Ends the process after an error that workers do not let it come back with.
    pub(super) fn end_if_a_worker_stays(&self, ledger: &mut Ledger, error: &anyhow::Error) {
        let end = Instant::now() + DROPPING;
        while self.watch.is_anybody_at_work() {
            if Instant::now() >= end {
                let failure = Failure::new(classify(error), format!("{error:#}"));
                self.end_process(ledger, &failure);
            }
            thread::sleep(LOOK_INTERVAL);
        }
    }

    /// What can not be published any more is failed.
    pub(super) fn fail_if_worthless(
        &self,
        ledger: &mut Ledger,
        reason: &Failure,
    ) -> anyhow::Result<()> {
        if reason.class() == Class::Data {
            ledger.fail_run(self.run.run_id, reason.class().exit_code())?;
        }
        Ok(())
    }

    fn end_process(&self, ledger: &mut Ledger, failure: &Failure) -> ! {
        tracing::error!("{failure}: ending this process; the next start continues");
        let exit_code = failure.class().exit_code();
        if let Err(error) = ledger.end_attempt(self.crew.attempt, exit_code) {
            tracing::warn!("{error:#}");
        }
        std::process::exit(exit_code.into());
    }

    /// Claims blocks until there is one in wait for every worker.
    fn hand_out(&mut self, ledger: &mut Ledger, work: &Sender<Vec<Claim>>) -> anyhow::Result<()> {
        let most = (self.settings.workers + self.settings.committers) * 2 * LARGEST_BLOCK;
        while self.claimable > 0 && work.len() < self.settings.workers && self.in_hand < most {
            if Instant::now() < self.next_look || !self.crew.heartbeat.is_steady() {
                return Ok(());
            }
            let claims = ledger.claim_shards(self.run.run_id, self.crew.who, self.block())?;
            if claims.is_empty() {
                return self.nothing_to_claim(ledger);
            }
            self.is_waiting = false;
            self.crew.heartbeat.hold(&claims);
            self.claimable = self.claimable.saturating_sub(claims.len() as u64);
            self.in_hand += claims.len();
            work.send(claims)
                .map_err(|_| Failure::internal("all workers are gone"))?;
        }
        Ok(())
    }

    /// Whatever is left is in this process's hands or in its peers'.
    fn nothing_to_claim(&mut self, ledger: &Ledger) -> anyhow::Result<()> {
        if !ledger.is_shared() {
            self.claimable = 0;
            return Ok(());
        }
        self.next_look = Instant::now() + crate::database::jittered(PEER_INTERVAL);
        if self.in_hand == 0 {
            // Looked at afresh before it is asked for again.
            self.claimable = 0;
            if !self.is_waiting {
                tracing::info!(run = %self.run.name(), "other processes hold the shards that are left; waiting for them");
                self.is_waiting = true;
            }
        }
        Ok(())
    }

    /// Blocks grow smaller towards the end, so that workers finish together.
    fn block(&self) -> usize {
        let share = self.claimable as usize / (self.settings.workers * 4);
        share.clamp(1, LARGEST_BLOCK)
    }

    /// Notes what became of a shard.
    fn take(&mut self, ledger: &mut Ledger, done: &Done) -> anyhow::Result<()> {
        self.share.committing += done.elapsed;
        self.in_hand -= 1;
        self.crew.heartbeat.let_go(done.shard_no);
        match done.committed {
            Committed::Yes => {
                self.share.records += done.records;
                self.now.completed_shards += 1;
                self.now.records += done.records;
                self.now.predicted += done.predicted;
                self.now.dead_letters += done.dead_letters;
                self.now.rejected += done.rejected;
                Ok(())
            }
            Committed::Fenced if ledger.is_shared() => {
                let state = self.state(ledger)?;
                if let Some(State::Failed | State::Cancelled) = state {
                    return Err(self.taken_away(ledger, state)?);
                }
                tracing::warn!(
                    run = %self.run.name(),
                    shard = done.shard_no,
                    "this process was silent for longer than [run] lease, and its claim lapsed: the shard is another's now, and nothing of it was written here"
                );
                Ok(())
            }
            Committed::Fenced => Err(Failure::internal(format!(
                "shard {} was claimed by another process, which can not be with an exclusive ledger",
                done.shard_no
            ))
            .into()),
        }
    }
}

/// The failure of a process whose run was taken from it.
pub(super) fn given_up(run: &Run) -> anyhow::Error {
    Failure::new(
        Class::Temporary,
        format!(
            "{} was given up while this process worked on it",
            run.name()
        ),
    )
    .hint("`lamplighter runs list` shows what came after it; start again to go on with that")
    .into()
}
