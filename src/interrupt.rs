//! SIGTERM and SIGINT: what is in hand is finished, nothing more is begun, and the process exits 75
//! so that the next start continues. A second signal ends it at once, which loses nothing either.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::{Class, Failure};

/// Whether somebody asked the process to stop. Clones ask the same question.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

/// Exit codes of a process that a signal ended begin here.
const BY_SIGNAL: i32 = 128;

impl Interrupt {
    /// Listens to SIGTERM and SIGINT from here on.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn listen() -> anyhow::Result<Self> {
        let requested = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // In this order: the first signal finds the flag unset and sets it, the second exits.
            flag::register_conditional_shutdown(signal, BY_SIGNAL + signal, requested.clone())
                .and_then(|_| flag::register(signal, requested.clone()))
                .context("cannot listen to signals")?;
        }
        Ok(Self(requested))
    }

    /// Whether to stop.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Stops whoever asks, if so requested.
    ///
    /// # Errors
    /// To stop is requested (75).
    pub fn check(&self) -> Result<(), Failure> {
        match self.is_requested() {
            false => Ok(()),
            true => Err(Failure::new(Class::Temporary, "interrupted")
                .hint("what is committed stays; the next start continues")),
        }
    }
}
