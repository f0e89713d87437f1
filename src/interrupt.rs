//! Why a run is to stop early: somebody asked (SIGTERM, SIGINT), or `[schedule] finish_by` is past.
//!
//! Either way what is in hand is finished, nothing more is begun, and a later start continues. A second
//! signal ends the process at once, which loses nothing either.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::{Class, Failure};

/// Whether, and why, the process is to stop. Clones ask the same question.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<Reasons>);

#[derive(Debug, Default)]
struct Reasons {
    signalled: Arc<AtomicBool>,
    finish_by: OnceLock<FinishBy>,
}

#[derive(Debug)]
struct FinishBy {
    at: Instant,
    /// As people say it.
    text: String,
}

/// Exit codes of a process that a signal ended begin here.
const BY_SIGNAL: i32 = 128;

impl Interrupt {
    /// Listens to SIGTERM and SIGINT from here on.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn listen() -> anyhow::Result<Self> {
        let interrupt = Self::default();
        let signalled = &interrupt.0.signalled;
        for signal in [SIGTERM, SIGINT] {
            // In this order: the first signal finds the flag unset and sets it, the second exits.
            flag::register_conditional_shutdown(signal, BY_SIGNAL + signal, signalled.clone())
                .and_then(|_| flag::register(signal, signalled.clone()))
                .context("cannot listen to signals")?;
        }
        Ok(interrupt)
    }

    /// Asks all clones to stop when so much time has passed; `text` is how people say when that is.
    /// Only the first call counts.
    pub fn finish_by(&self, left: Duration, text: String) {
        let at = Instant::now() + left;
        // The job's one deadline: a second call would mean the same.
        let _ = self.0.finish_by.set(FinishBy { at, text });
    }

    /// Time until `finish_by`, and when that is; `None` without one.
    pub fn time_left(&self) -> Option<(Duration, &str)> {
        let FinishBy { at, text } = self.0.finish_by.get()?;
        Some((at.saturating_duration_since(Instant::now()), text))
    }

    /// Whether to stop.
    pub fn is_requested(&self) -> bool {
        self.check().is_err()
    }

    /// Whether a signal asked to stop: then there is no time for anything that can wait.
    pub fn is_signalled(&self) -> bool {
        self.0.signalled.load(Ordering::Relaxed)
    }

    /// Stops whoever asks, if so requested.
    ///
    /// # Errors
    /// To stop is requested by a signal (75), or it is past `finish_by` (80).
    pub fn check(&self) -> Result<(), Failure> {
        const HINT: &str = "what is committed stays; the next start continues";
        if self.is_signalled() {
            return Err(Failure::new(Class::Temporary, "interrupted").hint(HINT));
        }
        match self.time_left() {
            Some((Duration::ZERO, text)) => {
                let problem = format!("it is past [schedule] finish_by, {text}");
                Err(Failure::new(Class::Late, problem).hint(HINT))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_learn_of_a_deadline_that_is_set_later() {
        let interrupt = Interrupt::default();
        let clone = interrupt.clone();
        assert!(clone.time_left().is_none());
        interrupt.finish_by(Duration::from_hours(1), "06:00".to_owned());
        assert!(!clone.is_requested());
        assert!(
            clone
                .time_left()
                .is_some_and(|(left, _)| left > Duration::from_mins(59))
        );
    }

    #[test]
    fn past_the_deadline_is_80() {
        let interrupt = Interrupt::default();
        interrupt.finish_by(Duration::ZERO, "06:00 UTC".to_owned());
        let failure = interrupt.check().unwrap_err();
        assert_eq!(failure.class().exit_code(), 80);
        assert!(failure.to_string().contains("06:00 UTC"), "{failure}");
    }
}
