//! Which logical date a run is for.
//!
//! Invariants: dates are counted on the calendar of the schedule's time zone, never in hours, so
//! that a change of the clocks neither skips nor doubles one; the process's own time zone has no
//! say; the time of day is an argument.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use super::crontab::Crontab;
use super::logical_date::LogicalDate;
use super::spec::ScheduleSection;
use crate::error::{Class, Failure};

/// What one logical date stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grain {
    /// An hour, in UTC only.
    Hour,
    /// A day.
    Day,
    /// A week from Monday on.
    Week,
    /// A month of the calendar.
    Month,
}

impl Grain {
    /// The logical date that `datetime` lies in; none before the calendar begins.
    fn truncate(self, datetime: DateTime) -> Option<LogicalDate> {
        let date = datetime.date();
        Some(match self {
            Grain::Hour => LogicalDate::of_hour(datetime),
            Grain::Day => LogicalDate::of_day(date),
            Grain::Week => LogicalDate::of_day(monday(date)?),
            Grain::Month => LogicalDate::of_day(date.first_of_month()),
        })
    }

    /// The word in the job file.
    pub fn name(self) -> &'static str {
        match self {
            Grain::Hour => "hour",
            Grain::Day => "day",
            Grain::Week => "week",
            Grain::Month => "month",
        }
    }
}

fn monday(date: Date) -> Option<Date> {
    date.checked_sub(date.weekday().to_monday_zero_offset().days())
        .ok()
}

/// A date as it may be written: fixed, or counted back from now.
#[derive(Clone, Copy, Debug)]
enum DateExpression {
    Fixed(LogicalDate),
    Back(Span),
}

/// When a job is due, as far as it decides which date a run is for.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Whose calendar and clocks count.
    pub timezone: TimeZone,
    /// Its IANA name.
    pub timezone_name: String,
    /// What one logical date stands for.
    pub grain: Grain,
    /// How many unfinished earlier dates a start resumes first.
    pub catch_up: u32,
    date: DateExpression,
    finish_by: Option<Time>,
    crontab: Option<Crontab>,
    /// As it was written.
    written: ScheduleSection,
}

/// Why a schedule makes no sense: the key of `[schedule]` that is wrong, and the failure to report
/// for it, which does not repeat the key's value.
pub(super) struct Refused {
    pub key: &'static str,
    pub problem: String,
    pub hint: &'static str,
}

const ZONE_HINT: &str = "IANA names such as Europe/Berlin or America/New_York; UTC is the default";
const DATE_HINT: &str =
    "0d is today, -1d yesterday; -2h, -1w and -1m count hours, weeks and months";

impl Schedule {
    /// The schedule that a job file's section means.
    pub(super) fn new(written: &ScheduleSection) -> Result<Self, Refused> {
        let ScheduleSection {
            timezone,
            date,
            grain,
            catch_up,
            finish_by,
            cron,
        } = written;
        let grain = *grain;
        let zone = TimeZone::get(timezone).map_err(|_| Refused {
            key: "timezone",
            problem: "there is no such time zone".to_owned(),
            hint: ZONE_HINT,
        })?;
        let timezone_name = zone.iana_name().unwrap_or(timezone).to_owned();
        if grain == Grain::Hour && !matches!(timezone_name.as_str(), "UTC" | "Etc/UTC") {
            return Err(Refused {
                key: "timezone",
                problem: "the grain `hour` needs UTC: where clocks change, one hour of the year \
                          comes twice and one never"
                    .to_owned(),
                hint: "leave the time zone out, or use the grain `day`",
            });
        }
        let date = parse(date, grain).map_err(|problem| Refused {
            key: "date",
            problem,
            hint: DATE_HINT,
        })?;
        let finish_by = finish_by
            .as_deref()
            .map(|text| {
                time_of_day(text).ok_or_else(|| Refused {
                    key: "finish_by",
                    problem: "expected a time of day".to_owned(),
                    hint: "such as \"06:00\", by the clocks of [schedule] timezone",
                })
            })
            .transpose()?;
        let crontab = cron
            .as_deref()
            .map(|text| {
                Crontab::parse(text).map_err(|problem| Refused {
                    key: "cron",
                    problem,
                    hint: "such as \"30 2 * * *\" for half past two every night, by the clocks of [schedule] timezone",
                })
            })
            .transpose()?;
        Ok(Self {
            timezone: zone,
            timezone_name,
            grain,
            catch_up: *catch_up,
            date,
            finish_by,
            crontab,
            written: written.clone(),
        })
    }

    /// When a start at `now` is to stop claiming: the first time after it that the clocks of the
    /// time zone show `finish_by`. A time that a change of the clocks skips is as much later as they
    /// are put forward; one that comes twice is meant when it comes first.
    pub fn deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let time = self.finish_by?;
        let today = self.timezone.to_datetime(now).date();
        [Some(today), today.tomorrow().ok()]
            .into_iter()
            .flatten()
            .filter_map(|date| self.timezone.to_timestamp(date.to_datetime(time)).ok())
            .find(|deadline| *deadline > now)
    }

    /// The logical date that `requested` means at `now`, or without it the job's own default.
    ///
    /// `requested` is a date (`2026-11-23`; with the grain hour `2026-11-23T05`), which is
    /// truncated to the week or month it lies in, or a distance back from now: `0d`, `-1d`, `-2h`,
    /// `-1w`, `-1m`. Days, weeks and months are those of the calendar; hours are hours passed. A
    /// day of the month that does not exist becomes the month's last.
    ///
    /// Fails with Usage (64) if `requested` is no such text; with the class of whoever wrote it if
    /// it lies beyond the calendar, which ends with the year 9999.
    pub fn resolve(&self, requested: Option<&str>, now: Timestamp) -> Result<LogicalDate, Failure> {
        let class = if requested.is_some() {
            Class::Usage
        } else {
            Class::Config
        };
        let expression = match requested {
            Some(text) => parse(text, self.grain).map_err(|problem| {
                Failure::new(class, format!("the date {text:?}: {problem}")).hint(DATE_HINT)
            })?,
            None => self.date,
        };
        self.evaluate(expression, now).ok_or_else(|| {
            let text = requested.unwrap_or("of [schedule]");
            Failure::new(
                class,
                format!("the date {text} lies beyond the years 1 to 9999"),
            )
        })
    }

    /// None beyond the years 1 to 9999.
    fn evaluate(&self, expression: DateExpression, now: Timestamp) -> Option<LogicalDate> {
        let datetime = match expression {
            DateExpression::Fixed(date) => date.start(),
            DateExpression::Back(span) if span.get_hours() != 0 => {
                self.timezone.to_datetime(now.checked_sub(span).ok()?)
            }
            DateExpression::Back(span) => self.timezone.to_datetime(now).checked_sub(span).ok()?,
        };
        let date = self.grain.truncate(datetime)?;
        (date.start().year() >= 1).then_some(date)
    }
}

/// `HH:MM` or `HH:MM:SS`.
fn time_of_day(text: &str) -> Option<Time> {
    let mut parts = text.split(':').map(|part| {
        let is_plain = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        is_plain.then(|| part.parse().ok()).flatten()
    });
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = match parts.next() {
        Some(second) => second?,
        None => 0,
    };
    match parts.next() {
        None => Time::new(hour, minute, second, 0).ok(),
        Some(_) => None,
    }
}

fn parse(text: &str, grain: Grain) -> Result<DateExpression, String> {
    if let Ok(date) = text.parse::<LogicalDate>() {
        return match (grain, date.is_hour()) {
            (Grain::Hour, false) => {
                Err("the grain is hour; expected a date with an hour, such as 2026-11-23T05".into())
            }
            (Grain::Day | Grain::Week | Grain::Month, true) => {
                let grain = grain.name();
                Err(format!(
                    "the grain is {grain}; expected a date without an hour"
                ))
            }
            _ => Ok(DateExpression::Fixed(date)),
        };
    }
    back(text)
        .map(DateExpression::Back)
        .ok_or_else(|| "expected a date such as 2026-11-23, or one such as 0d or -1d".into())
}

/// Reads `0d` or `-N` and a unit. What is to come has no input yet: `1d` is more likely a `-1d`
/// without its sign than tomorrow.
fn back(text: &str) -> Option<Span> {
    let unit = text.chars().last()?;
    let amount = text.strip_suffix(unit)?;
    let amount = match amount.strip_prefix('-') {
        Some(digits) => digits,
        None if amount == "0" => amount,
        None => return None,
    };
    if amount.is_empty() || !amount.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: i64 = amount.parse().ok()?;
    let span = Span::new();
    match unit {
        'h' => span.try_hours(amount).ok(),
        'd' => span.try_days(amount).ok(),
        'w' => span.try_weeks(amount).ok(),
        'm' => span.try_months(amount).ok(),
        _ => None,
    }
}

mod due;

pub use due::Due;

#[cfg(test)]
mod tests;
