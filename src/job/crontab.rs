//! When a scheduler starts a job, as a crontab says it.
//!
//! Invariant: times of day are those of the schedule's time zone. Where the clocks change, a time that
//! comes twice starts a job once, and one that never comes starts it when the clocks have been put
//! forward, as Vixie cron does it.

use std::cmp::Ordering;

use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use croner::time::{CivilDate, CivilDateTime, CivilTime, CronDateTime, Resolution, Weekday};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// The starts of a job: five fields, such as `30 2 * * *`, or a word such as `@daily`.
#[derive(Clone, Debug)]
pub(super) struct Crontab(Cron);

impl Crontab {
    /// Reads the five fields.
    ///
    /// # Errors
    /// What is wrong with them, in words.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        match parser.parse(text) {
            Ok(cron) => Ok(Self(cron)),
            Err(error) => Err(format!(
                "expected the five fields of a crontab, minute to day of the week ({})",
                error.to_string().trim_end_matches('.')
            )),
        }
    }

    /// The newest start at or before `now`, if there ever was one.
    pub(super) fn before(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let now = Clock { at: now, zone };
        let found = self.0.find_previous_occurrence(&now, true).ok()?;
        Some(found.at)
    }

    /// The next start after `now`, if there will be one.
    pub(super) fn after(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let now = Clock { at: now, zone };
        let found = self.0.find_next_occurrence(&now, false).ok()?;
        Some(found.at)
    }
}

/// What the crontab is searched by.
#[derive(Clone)]
struct Clock<'zone> {
    at: Timestamp,
    zone: &'zone TimeZone,
}

impl Clock<'_> {
    fn datetime(&self) -> DateTime {
        self.zone.to_datetime(self.at)
    }
}

impl CronDateTime for Clock<'_> {
    fn to_civil(&self) -> CivilDateTime {
        let time = self.datetime();
        CivilDateTime::new(
            CivilDate::from_parts_unchecked(
                i32::from(time.year()),
                time.month().unsigned_abs().into(),
                time.day().unsigned_abs().into(),
            ),
            CivilTime::from_parts_unchecked(
                time.hour().unsigned_abs().into(),
                time.minute().unsigned_abs().into(),
                time.second().unsigned_abs().into(),
            ),
        )
    }

    fn civil_weekday(&self) -> Weekday {
        let weekday = self.datetime().weekday().to_sunday_zero_offset();
        Weekday::from_days_from_sunday(weekday.unsigned_abs().into())
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let ambiguous = self.zone.to_ambiguous_timestamp(datetime(civil)?);
        let at = |offset: Offset| {
            let at = offset.to_timestamp(ambiguous.datetime());
            at.map(|at| Self { at, ..*self })
                .map_err(|_| CronError::InvalidDate)
        };
        Ok(match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { offset } => Resolution::Single(at(offset)?),
            AmbiguousOffset::Fold { before, after } => {
                Resolution::Ambiguous(at(before)?, at(after)?)
            }
            AmbiguousOffset::Gap { .. } => Resolution::Gap,
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        let moved = self.at.checked_add(SignedDuration::from_secs(seconds));
        moved.ok().map(|at| Self { at, ..*self })
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

fn datetime(civil: CivilDateTime) -> Result<DateTime, CronError> {
    let (date, time) = (civil.date(), civil.time());
    let small = |number: u32| i8::try_from(number).map_err(|_| CronError::InvalidDate);
    DateTime::new(
        i16::try_from(date.year()).map_err(|_| CronError::InvalidDate)?,
        small(date.month())?,
        small(date.day())?,
        small(time.hour())?,
        small(time.minute())?,
        small(time.second())?,
        0,
    )
    .map_err(|_| CronError::InvalidDate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn starts_are_found_before_and_after_a_moment() {
        let nightly = Crontab::parse("30 2 * * *").unwrap();
        let zone = TimeZone::get("America/New_York").unwrap();
        let now = at("2026-11-25T07:30:00Z");
        assert_eq!(
            nightly.before(now, &zone),
            Some(now),
            "a start is due at once"
        );
        assert_eq!(nightly.after(now, &zone), Some(at("2026-11-26T07:30:00Z")));
        let workdays = Crontab::parse("0 6 * * MON-FRI").unwrap();
        let sunday = at("2026-11-29T12:00:00Z");
        assert_eq!(
            workdays.before(sunday, &TimeZone::UTC),
            Some(at("2026-11-27T06:00:00Z"))
        );
        assert_eq!(
            workdays.after(sunday, &TimeZone::UTC),
            Some(at("2026-11-30T06:00:00Z"))
        );
    }

    #[test]
    fn a_change_of_the_clocks_neither_skips_nor_doubles_a_night() {
        let nightly = Crontab::parse("30 2 * * *").unwrap();
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        for (from, to, nights) in [
            ("2026-03-27T12:00:00Z", "2026-03-31T12:00:00Z", 4),
            ("2026-10-23T12:00:00Z", "2026-10-27T12:00:00Z", 4),
        ] {
            let mut starts = Vec::new();
            let mut now = at(from);
            while let Some(next) = nightly.after(now, &zone).filter(|next| *next <= at(to)) {
                starts.push(next);
                now = next;
            }
            assert_eq!(starts.len(), nights, "{starts:?}");
        }
    }

    #[test]
    fn what_is_no_crontab_is_refused() {
        for text in [
            "",
            "daily",
            "30 2 * *",
            "61 2 * * *",
            "0 30 2 * * *",
            "30 2 * * * 2026",
        ] {
            assert!(Crontab::parse(text).is_err(), "{text}");
        }
        assert!(Crontab::parse("@daily").is_ok());
    }
}
