//! A few sessions for many threads, and the patience with a server that is not there.
//!
//! No more sessions are open than the limit, whoever waits. Waiting ends when it is asked to end
//! ([`Interrupt`]), but a first attempt is always made, so that what was begun before can still be
//! committed. A session that is lost, or in a transaction that can not be rolled back, is never
//! handed out again.

use std::hash::{BuildHasher, RandomState};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::address::Address;
use super::errors;
use super::session::{NotConnected, Session};
use super::transaction::TransactionOptions;
use crate::database::{QueryError, Retry};
use crate::interrupt::Interrupt;

/// A firewall may have cut a connection that was silent for longer.
const IDLE: Duration = Duration::from_secs(30);
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How soon an interrupt is noticed.
const POLL: Duration = Duration::from_millis(100);
const WARN_EVERY: Duration = Duration::from_secs(10);

/// How many sessions, and how long to wait for the server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most sessions that are open at a time; at least one.
    pub connections: usize,
    /// How long to try to reach the server.
    pub patience: Duration,
}

/// Hands out sessions. Clones share them.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

struct Shared {
    address: Address,
    limits: Limits,
    interrupt: Interrupt,
    sessions: Mutex<Sessions>,
    returned: Condvar,
}

#[derive(Default)]
struct Sessions {
    /// The one that was used last is at the end, with the time of its return.
    idle: Vec<(Session, Instant)>,
    /// Idle ones and those handed out.
    open: usize,
}

/// A session on loan. Dropping it gives it back.
pub struct Checkout {
    session: Session,
    _place: Place,
}

/// One of the pool's places. Empties on drop, also if the connecting panics.
struct Place(Pool);

/// What came of one attempt.
enum Attempt {
    Done(Checkout),
    /// All are handed out.
    Busy,
    /// An idle session turned out to be lost; there may be another.
    Stale,
    Failed(NotConnected),
}

impl Pool {
    /// A pool without sessions yet.
    pub fn new(address: Address, limits: Limits, interrupt: Interrupt) -> Self {
        Self(Arc::new(Shared {
            address,
            limits,
            interrupt,
            sessions: Mutex::default(),
            returned: Condvar::new(),
        }))
    }

    /// Where its sessions lead.
    pub fn address(&self) -> &Address {
        &self.0.address
    }

    /// A session without a transaction.
    ///
    /// # Errors
    /// The server refuses us, can not be reached with all patience, or the wait is interrupted.
    pub fn checkout(&self) -> Result<Checkout, QueryError> {
        self.obtain(&mut |_| Ok(()))
    }

    /// A session in a transaction. Idle sessions that turn out to be lost are replaced: nothing is
    /// lost with them.
    ///
    /// # Errors
    /// As for [`checkout`](Self::checkout), or the transaction can not be begun.
    pub fn begin(&self, options: &TransactionOptions) -> Result<Checkout, QueryError> {
        self.obtain(&mut |session| session.begin(options))
    }

    /// Closes the sessions that are not handed out.
    pub fn close(&self) {
        let idle = std::mem::take(&mut self.lock().idle);
        for (session, _) in idle {
            session.close();
            drop(Place(self.clone()));
        }
    }

    fn obtain(
        &self,
        prepare: &mut dyn FnMut(&mut Session) -> Result<(), QueryError>,
    ) -> Result<Checkout, QueryError> {
        let mut trouble = Trouble::default();
        loop {
            match self.attempt(prepare) {
                Attempt::Done(checkout) => return Ok(checkout),
                Attempt::Stale => continue,
                // A session that is out comes back soon, and what was begun is to be committed.
                Attempt::Busy => self.wait_for_return(),
                Attempt::Failed(NotConnected { error, is_full }) => {
                    if error.retry() == Retry::Never {
                        return Err(error);
                    }
                    // One that is given back will do as well as a new one, whenever it comes.
                    let others = is_full && self.lock().open > 0;
                    let pause = trouble.count(self, &error, others)?;
                    self.pause(pause)?;
                }
            }
        }
    }

    fn attempt(&self, prepare: &mut dyn FnMut(&mut Session) -> Result<(), QueryError>) -> Attempt {
        let (stale, found) = {
            let mut sessions = self.lock();
            let is_stale = |(_, since): &mut (Session, Instant)| since.elapsed() > IDLE;
            let stale: Vec<_> = sessions.idle.extract_if(.., is_stale).collect();
            let found = match sessions.idle.pop() {
                Some((session, _)) => Some((Some(session), Place(self.clone()))),
                None if sessions.open - stale.len() < self.0.limits.connections.max(1) => {
                    sessions.open += 1;
                    Some((None, Place(self.clone())))
                }
                None => None,
            };
            (stale, found)
        };
        for (session, _) in stale {
            session.close();
            drop(Place(self.clone()));
        }
        let Some((idle, place)) = found else {
            return Attempt::Busy;
        };
        let is_reused = idle.is_some();
        let session = match idle.map_or_else(|| Session::open(self.address()), Ok) {
            Ok(session) => session,
            Err(refused) => return Attempt::Failed(refused),
        };
        let mut checkout = Checkout {
            session,
            _place: place,
        };
        match prepare(&mut checkout.session) {
            Ok(()) => Attempt::Done(checkout),
            Err(_) if is_reused && checkout.session.is_broken() => Attempt::Stale,
            Err(error) => Attempt::Failed(NotConnected {
                error,
                is_full: false,
            }),
        }
    }

    /// Waits until a session comes back, or a moment.
    fn wait_for_return(&self) {
        let sessions = self.lock();
        if sessions.idle.is_empty() {
            // Whatever ended the wait, whoever waits looks again.
            drop(self.0.returned.wait_timeout(sessions, POLL));
        }
    }

    /// Waits until a session comes back, or for so long.
    fn pause(&self, duration: Duration) -> Result<(), QueryError> {
        let end = Instant::now() + duration;
        let mut sessions = self.lock();
        while sessions.idle.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.0.returned.wait_timeout(sessions, left.min(POLL));
            sessions = waited.unwrap_or_else(PoisonError::into_inner).0;
            self.0.interrupt.check()?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Sessions> {
        let sessions = self.0.sessions.lock();
        sessions.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Failures to connect in a row.
#[derive(Default)]
struct Trouble {
    since: Option<Instant>,
    warned: Option<Instant>,
    failures: u32,
}

impl Trouble {
    /// Counts one more. Returns how long to wait before the next attempt, if there is to be one.
    fn count(
        &mut self,
        pool: &Pool,
        error: &QueryError,
        others: bool,
    ) -> Result<Duration, QueryError> {
        pool.0.interrupt.check()?;
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        let patience = pool.0.limits.patience;
        let left = patience.saturating_sub(now - since);
        if left.is_zero() && !others {
            let message = format!("{error}; gave up after {} s", (now - since).as_secs());
            return Err(errors::reworded(error, Retry::Never, message));
        }
        if self.warned.is_none_or(|warned| now - warned >= WARN_EVERY) {
            self.warned = Some(now);
            tracing::warn!(
                address = %pool.address(),
                %error,
                seconds_left = left.as_secs(),
                "waiting for the database"
            );
        }
        let pause = pause_after(self.failures);
        self.failures += 1;
        // The last attempt is made when patience ends, not before.
        Ok(if others { pause } else { pause.min(left) })
    }
}

/// Grows exponentially and is random, so that many clients do not come back at once.
fn pause_after(failures: u32) -> Duration {
    let longest = SHORTEST_PAUSE
        .saturating_mul(1 << failures.min(10))
        .min(LONGEST_PAUSE);
    // Each state has keys of its own, seeded by the operating system.
    let random = RandomState::new().hash_one(failures);
    longest.mul_f64(random as f64 / u64::MAX as f64)
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.lock().open -= 1;
        self.0.0.returned.notify_all();
    }
}

impl Deref for Checkout {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl DerefMut for Checkout {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.session
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        // What can not be rolled back is broken, which rolls it back.
        let _ = self.session.rollback();
        if self.session.is_broken() {
            return;
        }
        let session = self.session.take();
        let pool = &self._place.0;
        let mut sessions = pool.lock();
        // The place of the loan empties next; the idle session has its own.
        sessions.open += 1;
        sessions.idle.push((session, Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(patience: Duration, interrupt: Interrupt) -> Pool {
        let directory = "/nonexistent";
        let url = format!("postgres:///d?host={directory}&user=u");
        let address = Address::parse(&url, None).unwrap();
        Pool::new(
            address,
            Limits {
                connections: 1,
                patience,
            },
            interrupt,
        )
    }

    #[test]
    fn patience_ends_with_the_class_of_the_last_error() {
        let pool = pool(Duration::from_millis(300), Interrupt::default());
        let Err(error) = pool.checkout() else {
            panic!("nobody is there");
        };
        assert_eq!(error.failure().class().exit_code(), 69);
        assert_eq!(error.retry(), Retry::Never);
        assert!(
            error.to_string().ends_with("; gave up after 0 s"),
            "{error}"
        );
        assert_eq!(pool.lock().open, 0);
    }

    #[test]
    fn pauses_grow_up_to_a_bound() {
        for failures in 0..100 {
            assert!(pause_after(failures) <= LONGEST_PAUSE);
        }
        assert!(pause_after(0) <= SHORTEST_PAUSE);
    }
}
