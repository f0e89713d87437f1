//! Whether the run will be done by `[schedule] finish_by`, told as soon as it looks otherwise.

use std::time::{Duration, Instant};

use super::Progress;
use crate::interrupt::Interrupt;

/// Rates of less time than this say little.
const SHORTEST: Duration = Duration::from_secs(1);

/// A forecast changes back to good news only with this much to spare, so that it does not flicker.
const MARGIN: f64 = 0.9;

/// Compares the rate so far with the time that is left.
pub(super) struct Forecast {
    begun: Instant,
    /// Records that were done when this process began.
    records_before: u64,
    is_late: bool,
}

/// What is new.
#[derive(Clone, Copy, Debug, PartialEq)]
enum News {
    /// It will take so much longer, in seconds, than there is time.
    Late { needed: f64, left: f64 },
    /// It will be done in time after all.
    InTime,
}

impl Forecast {
    /// From here on, with so many records done.
    pub(super) fn new(records_before: u64) -> Self {
        Self {
            begun: Instant::now(),
            records_before,
            is_late: false,
        }
    }

    /// Says what is new, if anything is.
    pub(super) fn tell(&mut self, progress: Progress, interrupt: &Interrupt) {
        let Some((left, finish_by)) = interrupt.time_left() else {
            return;
        };
        let elapsed = self.begun.elapsed();
        match self.news(progress, elapsed, left) {
            Some(News::Late { needed, left }) => tracing::warn!(
                finish_by,
                seconds_needed = needed.round(),
                seconds_left = left.round(),
                records_left = progress.planned - progress.records,
                "at this rate the run will not be done by [schedule] finish_by; a later start continues it"
            ),
            Some(News::InTime) => {
                tracing::info!(finish_by, "the run will be done by finish_by after all");
            }
            None => {}
        }
    }

    fn news(&mut self, progress: Progress, elapsed: Duration, left: Duration) -> Option<News> {
        let done = progress.records.saturating_sub(self.records_before);
        if elapsed < SHORTEST || done == 0 {
            return None;
        }
        let missing = progress.planned.saturating_sub(progress.records);
        let needed = missing as f64 / done as f64 * elapsed.as_secs_f64();
        let left = left.as_secs_f64();
        if !self.is_late && needed > left {
            self.is_late = true;
            return Some(News::Late { needed, left });
        }
        if self.is_late && needed < left * MARGIN {
            self.is_late = false;
            return Some(News::InTime);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(records: u64) -> Progress {
        Progress {
            planned: 1_000,
            records,
            dead_letters: 0,
        }
    }

    #[test]
    fn bad_news_come_once_and_good_news_after_them() {
        let mut forecast = Forecast::new(0);
        let seconds = Duration::from_secs;
        let soon = forecast.news(progress(1), Duration::from_millis(10), seconds(1));
        assert_eq!(soon, None, "too early to say");
        assert_eq!(forecast.news(progress(0), seconds(9), seconds(1)), None);
        assert_eq!(forecast.news(progress(500), seconds(10), seconds(11)), None);
        let late = forecast.news(progress(500), seconds(10), seconds(9));
        let expected = News::Late {
            needed: 10.0,
            left: 9.0,
        };
        assert_eq!(late, Some(expected));
        assert_eq!(forecast.news(progress(500), seconds(10), seconds(8)), None);
        let barely = forecast.news(progress(500), seconds(10), seconds(11));
        assert_eq!(barely, None, "not by a hair");
        let better = forecast.news(progress(500), seconds(10), seconds(12));
        assert_eq!(better, Some(News::InTime));
    }

    #[test]
    fn what_others_did_before_is_no_part_of_the_rate() {
        let mut forecast = Forecast::new(900);
        let late = forecast.news(
            progress(910),
            Duration::from_secs(10),
            Duration::from_secs(80),
        );
        assert!(matches!(late, Some(News::Late { needed, .. }) if (needed - 90.0).abs() < 1e-9));
    }
}
