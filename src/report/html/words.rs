//! Figures in words, as the page has them.

use bytesize::ByteSize;

use crate::report::text::grouped;

/// Characters of a name beside a plot, at most.
pub(super) const MOST_OF_A_NAME: usize = 40;

/// What stands for a figure that is not known.
pub(super) const NOTHING: &str = "–";

/// The beginning of a text, in at most `most` characters.
pub(super) fn clipped(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => {
            let kept = text.chars().take(most.saturating_sub(1));
            kept.chain(['…']).collect()
        }
    }
}

/// The beginning of a text that is as wide as at most `most` letters; those of East Asia are twice as wide.
pub(super) fn fitted(text: &str, most: usize) -> String {
    let mut width = 0;
    let fitting = text.chars().take_while(|character| {
        width += if *character < '\u{1100}' { 1 } else { 2 };
        width <= most
    });
    clipped(text, fitting.count().max(1))
}

/// A duration in the two units that matter.
pub(super) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return NOTHING.to_owned();
    }
    if seconds < 9.95 {
        return format!("{seconds:.2} s");
    }
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3_600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3_600, whole % 3_600 / 60),
    }
}

/// About how long, for where seconds do not matter.
pub(super) fn minutes(minutes: f64) -> String {
    let whole = minutes.abs().round();
    match whole {
        0.0..120.0 => format!("{whole} min"),
        120.0..1e9 => duration(whole * 60.0),
        _ => NOTHING.to_owned(),
    }
}

/// Records per second.
pub(super) fn rate(records_per_second: f64) -> String {
    match records_per_second {
        100.0..1e18 => grouped(records_per_second.round() as u64),
        _ => brief(records_per_second),
    }
}

/// A time as `2026-11-23 23:36:54 UTC`; what has another form stays as it is.
pub(super) fn time(timestamp: &str) -> String {
    let Some((day, clock)) = timestamp.split_once('T') else {
        return timestamp.to_owned();
    };
    match clock.strip_suffix('Z') {
        Some(clock) => {
            let seconds = clock.split('.').next().unwrap_or(clock);
            format!("{day} {seconds} UTC")
        }
        None => timestamp.to_owned(),
    }
}

/// A number of bytes, where it is known.
pub(super) fn bytes(bytes: Option<u64>) -> String {
    bytes.map_or(NOTHING.to_owned(), |bytes| ByteSize(bytes).to_string())
}

/// A measure in three decimals, where it is known.
pub(super) fn measure(number: Option<f64>) -> String {
    match number.filter(|number| number.is_finite()) {
        None => NOTHING.to_owned(),
        Some(number) if number == number.trunc() && (10.0..1e15).contains(&number) => {
            grouped(number as u64)
        }
        Some(number) if number != 0.0 && number.abs() < 5e-4 => format!("{number:.1e}"),
        Some(number) if number.abs() < 1e6 => format!("{number:.3}"),
        Some(number) => format!("{number:.2e}"),
    }
}

/// A number in at most four significant digits, for where there is little room.
pub(super) fn brief(number: f64) -> String {
    let magnitude = number.abs();
    if !number.is_finite() {
        return NOTHING.to_owned();
    }
    let (scaled, unit) = match magnitude {
        1e12.. => return format!("{number:.2e}"),
        1e9.. => (number / 1e9, "G"),
        1e6.. => (number / 1e6, "M"),
        1e4.. => (number / 1e3, "k"),
        _ => (number, ""),
    };
    if magnitude != 0.0 && magnitude < 1e-4 {
        return format!("{number:.1e}");
    }
    let digits = match scaled.abs() {
        0.0 => 0.0,
        least @ ..1.0 => 3.0 - least.log10().ceil(),
        more => (3.0 - more.log10().floor()).max(0.0),
    };
    let text = format!("{scaled:.*}", digits as usize);
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text}{unit}")
}

/// A share from 0 to 1 as what a tick or the length of a bar needs.
pub(super) fn percentage(share: f64) -> f64 {
    match share.is_finite() {
        true => (share.clamp(0.0, 1.0) * 1_000.0).round() / 10.0,
        false => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_to_what_fits() {
        assert_eq!(clipped("carrier", 7), "carrier");
        assert_eq!(clipped("carriers", 7), "carrie…");
        assert_eq!(fitted("carrier", 7), "carrier");
        assert_eq!(fitted("東京駅前広場", 8), "東京駅…");
        assert_eq!(fitted("", 0), "");
    }

    #[test]
    fn durations_are_in_units_that_matter() {
        for (seconds, text) in [
            (0.22, "0.22 s"),
            (9.96, "10.0 s"),
            (59.6, "1 min 00 s"),
            (200.0, "3 min 20 s"),
            (7_500.0, "2 h 05 min"),
            (f64::NAN, NOTHING),
            (-1.0, NOTHING),
        ] {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!(minutes(-47.2), "47 min");
        assert_eq!(minutes(383.0), "6 h 23 min");
        assert_eq!(minutes(f64::INFINITY), NOTHING);
    }

    #[test]
    fn numbers_are_brief() {
        for (number, text) in [
            (0.0, "0"),
            (0.735, "0.735"),
            (9_999.0, "9999"),
            (84_292.0, "84.29k"),
            (-2.5e6, "-2.5M"),
            (1e280, "1.00e280"),
            (0.0005, "0.0005"),
            (-0.012_345, "-0.0123"),
            (1e-6, "1.0e-6"),
            (f64::NAN, NOTHING),
        ] {
            assert_eq!(brief(number), text);
        }
    }

    #[test]
    fn times_are_for_people() {
        assert_eq!(
            time("2026-11-23T23:36:54.649593Z"),
            "2026-11-23 23:36:54 UTC"
        );
        assert_eq!(time("yesterday"), "yesterday");
    }
}
