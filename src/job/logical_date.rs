//! The date a run is for.
//!
//! A logical date is a name, not an instant: a day, or an hour of a day, of the calendar in the
//! schedule's time zone. A week is named by its Monday, a month by its first day. Its text is
//! canonical: equal dates have equal texts, and within one grain texts sort as dates do.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Class, Failure};

/// The date, or the hour, that a run is for: `2026-11-23` or `2026-11-23T05`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogicalDate {
    date: Date,
    /// 0 to 23, with the grain hour only.
    hour: Option<i8>,
}

impl LogicalDate {
    /// The logical date of a whole day, or of a longer time that begins with it.
    pub(super) fn of_day(date: Date) -> Self {
        Self { date, hour: None }
    }

    /// The logical date of the hour that `datetime` lies in.
    pub(super) fn of_hour(datetime: DateTime) -> Self {
        Self {
            date: datetime.date(),
            hour: Some(datetime.hour()),
        }
    }

    /// Whether it names an hour.
    pub(super) fn is_hour(self) -> bool {
        self.hour.is_some()
    }

    /// When it begins, by the clocks of the schedule's time zone.
    pub fn start(self) -> DateTime {
        self.date.at(self.hour.unwrap_or(0), 0, 0, 0)
    }

    /// Replaces `{date}` in `template` by this date's text, and `{date:FORMAT}` by its start in a
    /// strftime format such as `%Y%m%d`. Other braces stay as they are.
    ///
    /// Fails with Config (78) if a format is not closed, is empty, or asks for what a calendar
    /// date does not have, such as an offset.
    pub fn expand(&self, template: &str) -> Result<String, Failure> {
        const OPEN: &str = "{date";
        let mut expanded = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once(OPEN) {
            expanded.push_str(before);
            if let Some(after) = after.strip_prefix('}') {
                expanded.push_str(&self.to_string());
                rest = after;
            } else if let Some(after) = after.strip_prefix(':') {
                let (format, after) = after.split_once('}').ok_or_else(|| {
                    Failure::config(format!("`{OPEN}:{after}` is not closed by a `}}`"))
                })?;
                expanded.push_str(&self.format(format)?);
                rest = after;
            } else {
                expanded.push_str(OPEN);
                rest = after;
            }
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    fn format(&self, format: &str) -> Result<String, Failure> {
        let refused = |reason: &str| {
            Failure::config(format!(
                "`{{date:{format}}}` is not a date format: {reason}"
            ))
            .hint("for example {date:%Y%m%d} or {date:%Y/%m/%d}")
        };
        if format.is_empty() {
            return Err(refused("it is empty"));
        }
        strtime::format(format, self.start()).map_err(|error| refused(&error.to_string()))
    }
}

impl fmt::Display for LogicalDate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hour {
            Some(hour) => write!(formatter, "{}T{hour:02}", self.date),
            None => write!(formatter, "{}", self.date),
        }
    }
}

impl FromStr for LogicalDate {
    type Err = Failure;

    /// Reads the canonical text, and nothing else: Usage (64) otherwise.
    fn from_str(text: &str) -> Result<Self, Failure> {
        parse(text).ok_or_else(|| {
            Failure::new(
                Class::Usage,
                format!("{text:?} is not a logical date; expected one such as 2026-11-23 or 2026-11-23T05"),
            )
        })
    }
}

fn parse(text: &str) -> Option<LogicalDate> {
    let (date, hour) = match text.split_once('T') {
        Some((date, hour)) => (date, Some(number(hour, 2)?)),
        None => (text, None),
    };
    let (year, month_and_day) = date.split_once('-')?;
    let (month, day) = month_and_day.split_once('-')?;
    let month = i8::try_from(number(month, 2)?).ok()?;
    let day = i8::try_from(number(day, 2)?).ok()?;
    let date = Date::new(number(year, 4)?, month, day).ok()?;
    let hour = match hour {
        Some(hour @ 0..=23) => Some(i8::try_from(hour).ok()?),
        Some(_) => return None,
        None => None,
    };
    Some(LogicalDate { date, hour })
}

fn number(text: &str, digits: usize) -> Option<i16> {
    let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

impl Serialize for LogicalDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LogicalDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;

    fn date(text: &str) -> LogicalDate {
        text.parse().unwrap()
    }

    #[test]
    fn only_the_canonical_text_is_read() {
        for text in ["2026-11-23", "2026-11-23T05", "2024-02-29", "0001-01-01"] {
            assert_eq!(date(text).to_string(), text);
        }
        for text in [
            "",
            "2026-11-3",
            "20261123",
            "2026-11-23T5",
            "2026-11-23T24",
            "2026-11-23T05:00",
            "2026-02-29",
            "2026-13-01",
            "+026-11-23",
            "-026-11-23",
            "2026-11-23 ",
            "2026-11-23t05",
        ] {
            assert_eq!(
                text.parse::<LogicalDate>().unwrap_err().class(),
                Class::Usage,
                "{text}"
            );
        }
    }

    #[test]
    fn dates_sort_by_time() {
        assert!(date("2026-09-30") < date("2026-10-01"));
        assert!(date("2026-10-01T09") < date("2026-10-01T10"));
    }

    #[test]
    fn a_date_travels_as_a_string() {
        let hour = date("2026-11-23T05");
        let json = serde_json::to_string(&hour).unwrap();
        assert_eq!(json, "\"2026-11-23T05\"");
        assert_eq!(serde_json::from_str::<LogicalDate>(&json).unwrap(), hour);
        assert!(serde_json::from_str::<LogicalDate>("\"today\"").is_err());
    }

    #[test]
    fn a_path_takes_the_date() {
        let expand = |template| date("2026-11-23T05").expand(template).unwrap();
        assert_eq!(expand("in/{date}/*.parquet"), "in/2026-11-23T05/*.parquet");
        assert_eq!(expand("{date:%Y/%m/%d}/{date:%H}"), "2026/11/23/05");
        assert_eq!(
            date("2026-11-23").expand("d{date:%Y%m%d}").unwrap(),
            "d20261123"
        );
    }

    #[test]
    fn other_braces_stay_as_they_are() {
        for template in [
            "{a,b}.parquet",
            "{}",
            "{dates}",
            "{dat",
            "}{",
            "plain",
            "",
            "{date",
        ] {
            assert_eq!(date("2026-11-23").expand(template).unwrap(), template);
        }
    }

    #[test]
    fn a_format_that_means_nothing_is_quoted() {
        for (template, quoted) in [
            ("in/{date:%Q}", "`{date:%Q}`"),
            ("in/{date:%z}", "`{date:%z}`"),
            ("in/{date:}", "`{date:}`"),
            ("in/{date:%Y", "`{date:%Y`"),
        ] {
            let failure = date("2026-11-23").expand(template).unwrap_err();
            assert_eq!(failure.class(), Class::Config);
            assert!(failure.to_string().contains(quoted), "{failure}");
        }
    }
}
