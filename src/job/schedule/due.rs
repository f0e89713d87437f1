//! Which dates there should be: by the crontab if the schedule names one, else one of each grain.

use jiff::{Timestamp, ToSpan};

use super::{DateExpression, Grain, LogicalDate, Schedule, ScheduleSection};

/// A date, and when it is scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub date: LogicalDate,
    /// Its first start by the crontab.
    pub starts_at: Timestamp,
    /// When it is to be finished, if the schedule says so.
    pub finish_by: Option<Timestamp>,
}

/// Starts that are looked at when dates are searched, one an hour: more than ten years.
const MOST_STARTS: usize = 100_000;

impl Schedule {
    /// The schedule as text, for [`from_json`](Self::from_json).
    pub fn to_json(&self) -> String {
        serde_json::json!(self.written).to_string()
    }

    /// The schedule that [`to_json`](Self::to_json) wrote; `None` if it was another version that did.
    pub fn from_json(text: &str) -> Option<Self> {
        let written: ScheduleSection = serde_json::from_str(text).ok()?;
        Self::new(&written).ok()
    }

    /// The crontab as it is written.
    pub fn cron(&self) -> Option<&str> {
        self.written.cron.as_deref()
    }

    /// The next start by the crontab.
    pub fn next_start(&self, now: Timestamp) -> Option<Timestamp> {
        self.crontab.as_ref()?.after(now, &self.timezone)
    }

    /// The date whose time came last, by the crontab.
    pub fn last_due(&self, now: Timestamp) -> Option<Due> {
        let crontab = self.crontab.as_ref()?;
        let mut starts_at = crontab.before(now, &self.timezone)?;
        let date = self.resolve(None, starts_at).ok()?;
        if let DateExpression::Fixed(_) = self.date {
            // No start was the first.
            return Some(self.due(date, starts_at));
        }
        // Later starts go on with what the first one left.
        for _ in 0..MOST_STARTS {
            let just_before = starts_at.checked_sub(1.second()).ok()?;
            let Some(earlier) = crontab.before(just_before, &self.timezone) else {
                break;
            };
            if self.resolve(None, earlier).ok()? != date {
                break;
            }
            starts_at = earlier;
        }
        Some(self.due(date, starts_at))
    }

    /// Dates whose time came after `since` and up to `now`, by the crontab, the oldest first.
    pub fn due_between(&self, since: Timestamp, now: Timestamp) -> Vec<Due> {
        let mut found: Vec<Due> = Vec::new();
        let Some(crontab) = &self.crontab else {
            return found;
        };
        let mut moment = since;
        for _ in 0..MOST_STARTS {
            let next = crontab.after(moment, &self.timezone);
            let Some(starts_at) = next.filter(|next| *next <= now) else {
                break;
            };
            moment = self.end_of_hour(starts_at);
            if let Ok(date) = self.resolve(None, starts_at)
                && found.last().is_none_or(|due| due.date != date)
            {
                found.push(self.due(date, starts_at));
            }
        }
        found
    }

    /// Dates whose time comes after `now` and before `end`: by the crontab, or without one as many as the grain has
    /// there.
    pub fn starts_between(&self, now: Timestamp, end: Timestamp) -> u64 {
        let Ok(last) = end.checked_sub(1.second()) else {
            return 0;
        };
        if last <= now {
            return 0;
        }
        if self.crontab.is_some() {
            // Tonight's later starts are for a date that has begun.
            let begun = self.last_due(now).map(|due| due.date);
            let due = self.due_between(now, last).into_iter();
            return due.filter(|due| Some(due.date) != begun).count() as u64;
        }
        let dates = (self.resolve(None, now), self.resolve(None, last));
        let (Ok(current), Ok(last)) = dates else {
            return 0;
        };
        self.dates(current, last).skip(1).count() as u64
    }

    /// The last second of the hour: all starts of one hour are for one date.
    fn end_of_hour(&self, moment: Timestamp) -> Timestamp {
        let local = self.timezone.to_datetime(moment);
        let left = 3599 - i64::from(local.minute()) * 60 - i64::from(local.second());
        moment.checked_add(left.max(0).seconds()).unwrap_or(moment)
    }

    fn due(&self, date: LogicalDate, starts_at: Timestamp) -> Due {
        Due {
            date,
            starts_at,
            finish_by: self.deadline(starts_at),
        }
    }

    /// Dates that there should be by now, from `first` on: by the crontab those whose time has come;
    /// without one all before the one that a start would be for now.
    pub fn expected(&self, first: LogicalDate, now: Timestamp) -> Vec<LogicalDate> {
        if self.crontab.is_none() {
            let Ok(current) = self.resolve(None, now) else {
                return Vec::new();
            };
            let dates = self.dates(first, current);
            return dates.filter(|date| *date < current).collect();
        }
        // A date is scored after it begins, unless it lies ahead of its start.
        let begins = self.timezone.to_timestamp(first.start());
        let since = begins.ok().and_then(|at| at.checked_sub(1.second()).ok());
        let Some(since) = since else {
            return Vec::new();
        };
        let due = self.due_between(since, now);
        let mut dates: Vec<LogicalDate> = due.iter().map(|due| due.date).collect();
        dates.retain(|date| *date >= first);
        dates.sort();
        dates
    }

    /// All dates of the grain from `from` to `to`, both included, the oldest first.
    pub fn dates(
        &self,
        from: LogicalDate,
        to: LogicalDate,
    ) -> impl Iterator<Item = LogicalDate> + '_ {
        let step = match self.grain {
            Grain::Hour => 1.hour(),
            Grain::Day => 1.day(),
            Grain::Week => 1.week(),
            Grain::Month => 1.month(),
        };
        let following = move |date: &LogicalDate| {
            let after = date.start().checked_add(step).ok()?;
            self.grain.truncate(after)
        };
        std::iter::successors(self.grain.truncate(from.start()), following)
            .take_while(move |date| *date <= to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(cron: Option<&str>, date: &str, grain: Grain) -> Schedule {
        let written = ScheduleSection {
            date: date.to_owned(),
            grain,
            cron: cron.map(str::to_owned),
            finish_by: Some("06:00".to_owned()),
            ..ScheduleSection::default()
        };
        let schedule = Schedule::new(&written).ok().unwrap();
        let stored = Schedule::from_json(&schedule.to_json()).unwrap();
        assert_eq!(stored.written, written);
        stored
    }

    fn names(dates: &[LogicalDate]) -> Vec<String> {
        dates.iter().map(LogicalDate::to_string).collect()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_last_date_is_that_of_the_first_of_its_starts() {
        let nightly = schedule(Some("0 2,4 * * *"), "-1d", Grain::Day);
        let due = nightly.last_due(at("2026-11-25T05:00:00Z")).unwrap();
        assert_eq!(due.date.to_string(), "2026-11-24");
        assert_eq!(due.starts_at, at("2026-11-25T02:00:00Z"));
        assert_eq!(due.finish_by, Some(at("2026-11-25T06:00:00Z")));
        let next = nightly.next_start(at("2026-11-25T05:00:00Z"));
        assert_eq!(next, Some(at("2026-11-26T02:00:00Z")));
    }

    #[test]
    fn a_fixed_date_is_due_at_the_last_start() {
        let fixed = schedule(Some("0 2,4 * * *"), "2026-01-01", Grain::Day);
        let due = fixed.last_due(at("2026-11-25T05:00:00Z")).unwrap();
        assert_eq!(due.date.to_string(), "2026-01-01");
        assert_eq!(due.starts_at, at("2026-11-25T04:00:00Z"));
    }

    #[test]
    fn workdays_expect_no_date_of_a_weekend() {
        let workdays = schedule(Some("0 2 * * MON-FRI"), "0d", Grain::Day);
        let first = "2026-11-19".parse().unwrap();
        let dates = workdays.expected(first, at("2026-11-24T03:00:00Z"));
        assert_eq!(
            names(&dates),
            ["2026-11-19", "2026-11-20", "2026-11-23", "2026-11-24"]
        );
    }

    #[test]
    fn a_start_every_minute_hides_no_date() {
        let busy = schedule(Some("* * * * *"), "0d", Grain::Day);
        let first = "2026-01-01".parse().unwrap();
        let dates = busy.expected(first, at("2026-11-25T12:00:00Z"));
        assert_eq!(dates.len(), 329);
    }

    #[test]
    fn without_a_crontab_the_date_of_now_is_not_asked_for() {
        let weekly = schedule(None, "0d", Grain::Week);
        let dates = weekly.expected("2026-11-02".parse().unwrap(), at("2026-11-25T03:00:00Z"));
        assert_eq!(names(&dates), ["2026-11-02", "2026-11-09", "2026-11-16"]);
        let none = weekly.expected("2026-11-23".parse().unwrap(), at("2026-11-25T03:00:00Z"));
        assert!(none.is_empty());
    }

    #[test]
    fn a_range_has_every_date_of_its_grain_once() {
        let range = |grain, from: &str, to: &str| {
            let schedule = schedule(None, "0d", grain);
            let dates = schedule.dates(from.parse().unwrap(), to.parse().unwrap());
            names(&dates.collect::<Vec<_>>())
        };
        assert_eq!(range(Grain::Day, "2024-02-27", "2024-03-01").len(), 4);
        assert_eq!(
            range(Grain::Month, "2026-01-31", "2026-03-01"),
            ["2026-01-01", "2026-02-01", "2026-03-01"]
        );
        assert_eq!(
            range(Grain::Hour, "2026-11-24T22", "2026-11-25T01").len(),
            4
        );
        assert!(range(Grain::Day, "2026-11-25", "2026-11-24").is_empty());
    }
}
