//! Values of the job file with a text form of their own: durations, sizes, and the limit of dead
//! letters.
//!
//! Each refusal says what was expected and never repeats the value: where the value may be shown
//! is decided in one place, by [`super::places`].

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// How many dead letters a run may have and still be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadLetterLimit {
    /// At most this many.
    Count(u64),
    /// At most this share of the records, in millionths: whole numbers, so that 29 of 100 are
    /// never more than 29 %.
    Share {
        /// 1,000,000 is all of them.
        millionths: u32,
    },
}

const WHOLE: u32 = 1_000_000;
const MILLIONTHS_PER_PERCENT: u32 = WHOLE / 100;

impl DeadLetterLimit {
    /// Whether a run of `records`, that many of them dead letters, is within the limit. A run
    /// without records has none and is within every limit.
    pub fn allows(&self, dead_letters: u64, records: u64) -> bool {
        match *self {
            DeadLetterLimit::Count(count) => dead_letters <= count,
            DeadLetterLimit::Share { millionths } => {
                u128::from(dead_letters) * u128::from(WHOLE)
                    <= u128::from(millionths) * u128::from(records)
            }
        }
    }

    fn from_percent(text: &str) -> Option<Self> {
        let percent: f64 = text.strip_suffix('%')?.trim().parse().ok()?;
        if !(0.0..=100.0).contains(&percent) {
            return None;
        }
        let millionths = percent * f64::from(MILLIONTHS_PER_PERCENT);
        let nearest = millionths.round();
        let exact = (millionths - nearest).abs() < 1e-6;
        exact.then_some(DeadLetterLimit::Share {
            millionths: nearest as u32,
        })
    }
}

impl fmt::Display for DeadLetterLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            DeadLetterLimit::Count(count) => write!(formatter, "{count}"),
            DeadLetterLimit::Share { millionths } => {
                let percent = f64::from(millionths) / f64::from(MILLIONTHS_PER_PERCENT);
                write!(formatter, "{percent}%")
            }
        }
    }
}

impl<'de> Deserialize<'de> for DeadLetterLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrInteger {
            expected: "a count such as 100, or a share such as \"1%\" (0% to 100%, at most four decimals)",
            text: Self::from_percent,
            integer: |count| Some(DeadLetterLimit::Count(count)),
        })
    }
}

/// Reads a duration of weeks, days (of 24 hours), hours, minutes and seconds, such as `"30m"`,
/// `"1h 30m"` or `"7d"`.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(TextOrInteger {
        expected: "a duration such as \"30m\", \"1h 30m\" or \"7d\"",
        text: parse_duration,
        integer: |_| None,
    })
}

/// The same for a key that may be left out.
pub fn optional_duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

/// Reads a duration such as `30m`, `1h 30m` or `7d`, as the job file takes it.
pub fn parse_duration(text: &str) -> Option<Duration> {
    Duration::try_from(signed_duration(text)?).ok()
}

fn signed_duration(text: &str) -> Option<SignedDuration> {
    // A span takes days and weeks, but fewer seconds than a duration.
    text.parse().ok().or_else(|| {
        let span: Span = text.parse().ok()?;
        span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()
    })
}

/// Reads a number of bytes, as an integer or as text such as `"4GiB"`.
pub fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    deserializer.deserialize_any(TextOrInteger {
        expected: "a size such as \"4GiB\" or \"512MiB\"",
        text: |text| Some(text.parse::<bytesize::ByteSize>().ok()?.as_u64()),
        integer: Some,
    })
}

struct TextOrInteger<T> {
    expected: &'static str,
    text: fn(&str) -> Option<T>,
    integer: fn(u64) -> Option<T>,
}

impl<T> TextOrInteger<T> {
    fn or_refuse<E: Error>(&self, value: Option<T>) -> Result<T, E> {
        value.ok_or_else(|| E::invalid_value(Unexpected::Other("value"), &self.expected))
    }
}

impl<T> Visitor<'_> for TextOrInteger<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        self.or_refuse((self.text)(text))
    }

    fn visit_u64<E: Error>(self, integer: u64) -> Result<T, E> {
        self.or_refuse((self.integer)(integer))
    }

    fn visit_i64<E: Error>(self, integer: i64) -> Result<T, E> {
        let value = u64::try_from(integer).ok().and_then(self.integer);
        self.or_refuse(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(text: &str) -> DeadLetterLimit {
        DeadLetterLimit::from_percent(text).unwrap()
    }

    #[test]
    fn durations_have_weeks_days_and_what_a_clock_has() {
        for (text, seconds) in [
            ("0s", 0),
            ("90s", 90),
            ("30m", 1_800),
            ("1h 30m", 5_400),
            ("1.5h", 5_400),
            ("PT1H", 3_600),
            ("1d", 86_400),
            ("30d", 30 * 86_400),
            ("2 days", 2 * 86_400),
            ("2w", 14 * 86_400),
            ("1w 1d 1h", 8 * 86_400 + 3_600),
        ] {
            let duration = signed_duration(text).map(|duration| duration.as_secs());
            assert_eq!(duration, Some(seconds), "{text}");
        }
        for text in ["", "30", "1 month", "1y", "a while"] {
            assert_eq!(signed_duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_share_is_exact_for_every_whole_percent() {
        for percent in 0..=100u64 {
            let limit = share(&format!("{percent}%"));
            for hundreds in [1, 7, 1_000_003] {
                assert!(limit.allows(percent * hundreds, 100 * hundreds));
                assert!(!limit.allows(percent * hundreds + 1, 100 * hundreds));
            }
        }
    }

    #[test]
    fn a_count_is_inclusive_and_no_records_are_always_allowed() {
        assert!(DeadLetterLimit::Count(3).allows(3, 10));
        assert!(!DeadLetterLimit::Count(3).allows(4, 10));
        assert!(DeadLetterLimit::Count(0).allows(0, 0));
        assert!(share("0%").allows(0, 0));
        assert!(!share("0%").allows(1, 1_000_000_000));
        assert!(share("100%").allows(u64::MAX, u64::MAX));
    }

    #[test]
    fn a_limit_prints_as_it_is_written() {
        for text in ["0%", "1%", "0.5%", "0.0001%", "12.25%", "100%"] {
            assert_eq!(share(text).to_string(), text);
        }
        assert_eq!(DeadLetterLimit::Count(12).to_string(), "12");
    }

    #[test]
    fn shares_outside_0_to_100_percent_or_finer_than_four_decimals_are_refused() {
        for text in ["101%", "-1%", "nan%", "inf%", "%", "1", "0.00001%", "one%"] {
            assert_eq!(DeadLetterLimit::from_percent(text), None, "{text}");
        }
    }
}
