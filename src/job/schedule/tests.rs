use jiff::civil::{DateTime, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::prelude::*;

use super::*;

fn written(zone: &str, date: &str, grain: Grain) -> ScheduleSection {
    ScheduleSection {
        timezone: zone.to_owned(),
        date: date.to_owned(),
        grain,
        ..ScheduleSection::default()
    }
}

fn schedule(zone: &str, grain: Grain) -> Schedule {
    Schedule::new(&written(zone, "0d", grain)).ok().unwrap()
}

fn finishing(zone: &str, finish_by: &str) -> Result<Schedule, Refused> {
    Schedule::new(&ScheduleSection {
        finish_by: Some(finish_by.to_owned()),
        ..written(zone, "0d", Grain::Day)
    })
}

fn instant(zone: &str, local: &str) -> Timestamp {
    let local: DateTime = local.parse().unwrap();
    TimeZone::get(zone).unwrap().to_timestamp(local).unwrap()
}

fn resolved(zone: &str, grain: Grain, requested: &str, local_now: &str) -> String {
    let now = instant(zone, local_now);
    schedule(zone, grain)
        .resolve(Some(requested), now)
        .unwrap()
        .to_string()
}

#[test]
fn a_fixed_date_means_the_week_or_month_it_lies_in() {
    for (grain, requested, expected) in [
        (Grain::Hour, "2026-11-25T05", "2026-11-25T05"),
        (Grain::Day, "2026-11-25", "2026-11-25"),
        (Grain::Week, "2026-11-25", "2026-11-23"),
        (Grain::Week, "2026-11-23", "2026-11-23"),
        (Grain::Week, "2026-11-22", "2026-11-16"),
        (Grain::Month, "2026-11-25", "2026-11-01"),
    ] {
        assert_eq!(
            resolved("UTC", grain, requested, "2020-01-01T00:00"),
            expected
        );
    }
}

#[test]
fn distances_count_back_from_now() {
    let now = "2026-11-23T01:30";
    for (grain, requested, expected) in [
        (Grain::Day, "0d", "2026-11-23"),
        (Grain::Day, "-0d", "2026-11-23"),
        (Grain::Day, "-1d", "2026-11-22"),
        (Grain::Day, "-2h", "2026-11-22"),
        (Grain::Day, "-1h", "2026-11-23"),
        (Grain::Day, "-1w", "2026-11-16"),
        (Grain::Day, "-1m", "2026-10-23"),
        (Grain::Hour, "0d", "2026-11-23T01"),
        (Grain::Hour, "-2h", "2026-11-22T23"),
        (Grain::Hour, "-1d", "2026-11-22T01"),
        (Grain::Week, "-1d", "2026-11-16"),
        (Grain::Month, "-1m", "2026-10-01"),
    ] {
        assert_eq!(
            resolved("UTC", grain, requested, now),
            expected,
            "{grain:?} {requested}"
        );
    }
    // Four hours before 03:30 of the night in which 02:00 to 03:00 comes twice it is 00:30.
    assert_eq!(
        resolved("Europe/Berlin", Grain::Day, "-4h", "2026-10-25T03:30"),
        "2026-10-25"
    );
    assert_eq!(
        resolved("UTC", Grain::Day, "-1m", "2026-03-31T02:00"),
        "2026-02-28"
    );
}

#[test]
fn today_is_today_in_the_time_zone_of_the_job() {
    let now: Timestamp = "2026-11-23T11:30:00Z".parse().unwrap();
    for (zone, expected) in [
        ("UTC", "2026-11-23"),
        ("Pacific/Auckland", "2026-11-24"),
        ("America/New_York", "2026-11-23"),
        ("Pacific/Pago_Pago", "2026-11-23"),
        ("Pacific/Kiritimati", "2026-11-24"),
    ] {
        let today = schedule(zone, Grain::Day).resolve(None, now).unwrap();
        assert_eq!(today.to_string(), expected, "{zone}");
    }
}

/// The other tests are run again by a process that believes to be elsewhere.
#[test]
fn the_time_zone_of_the_process_does_not_matter() {
    let (_, module) = module_path!().split_once("::").unwrap();
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago", "nonsense"] {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .env("TZ", zone)
            .args([
                "--exact",
                &format!("{module}::today_is_today_in_the_time_zone_of_the_job"),
            ])
            .arg(format!("{module}::distances_count_back_from_now"))
            .output()
            .unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && stdout.contains("2 passed"),
            "{zone}: {stdout}"
        );
    }
}

#[test]
fn what_is_no_date_is_a_usage_error_that_quotes_it() {
    let day = schedule("UTC", Grain::Day);
    for text in [
        "",
        "today",
        "1d",
        "+1d",
        "--1d",
        "-d",
        "d",
        "-1",
        "-1y",
        "-1.5d",
        "2026-11-31",
        "2026-1-1",
        "20261123",
        "2026-11-23T05",
        "-1d ",
        "-1д",
        "2026-11-23T05:00:00Z",
        "00d",
    ] {
        let failure = day.resolve(Some(text), Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(failure.class(), Class::Usage);
        assert!(
            failure.to_string().contains(&format!("{text:?}")),
            "{failure}"
        );
    }
    let hour = schedule("UTC", Grain::Hour);
    let failure = hour
        .resolve(Some("2026-11-23"), Timestamp::UNIX_EPOCH)
        .unwrap_err();
    assert!(failure.to_string().contains("2026-11-23T05"), "{failure}");
}

#[test]
fn dates_beyond_the_calendar_are_refused() {
    let day = schedule("UTC", Grain::Day);
    for text in [
        "-9999999d",
        "-719600d",
        "-99999999999999999999d",
        "-99999999999m",
        "-80000000h",
    ] {
        let failure = day.resolve(Some(text), Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(failure.class(), Class::Usage, "{text}");
    }
    let far = Schedule::new(&written("UTC", "-7304000d", Grain::Day))
        .ok()
        .unwrap();
    assert_eq!(
        far.resolve(None, Timestamp::UNIX_EPOCH)
            .unwrap_err()
            .class(),
        Class::Config
    );
}

#[test]
fn a_schedule_that_makes_no_sense_names_the_key() {
    for (zone, date, grain, key) in [
        ("Europe/Berln", "0d", Grain::Day, "timezone"),
        ("", "0d", Grain::Day, "timezone"),
        ("CET-1CEST", "0d", Grain::Day, "timezone"),
        ("Europe/London", "0d", Grain::Hour, "timezone"),
        ("UTC", "tomorrow", Grain::Day, "date"),
        ("UTC", "2026-11-23T05", Grain::Day, "date"),
    ] {
        let refused = Schedule::new(&written(zone, date, grain)).err().unwrap();
        assert_eq!(refused.key, key, "{zone} {date}");
    }
    assert_eq!(
        schedule("europe/berlin", Grain::Day).timezone_name,
        "Europe/Berlin"
    );
}

#[test]
fn the_day_that_samoa_skipped_is_the_only_one_missing() {
    let samoa = schedule("Pacific/Apia", Grain::Day);
    let mut now = instant("Pacific/Apia", "2011-12-20T02:30");
    let mut days = Vec::new();
    for _ in 0..20 {
        days.push(samoa.resolve(None, now).unwrap().to_string());
        now += SignedDuration::from_hours(24);
    }
    let expected: Vec<String> = (0..21)
        .map(|offset| (date(2011, 12, 20) + offset.days()).to_string())
        .filter(|day| day != "2011-12-30")
        .collect();
    assert_eq!(days, expected);
}

fn zones() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("UTC"),
        Just("Europe/Berlin"),
        Just("America/New_York"),
        Just("Pacific/Auckland"),
        Just("Pacific/Apia"),
        Just("Australia/Lord_Howe"),
    ]
}

proptest! {
    /// A Kubernetes CronJob in UTC: starts 24 h apart, at 02:30 by local clocks to begin with.
    #[test]
    fn nights_24_hours_apart_neither_skip_nor_double_a_day(
        zone in zones(),
        first in 0i64..11_000,
        nights in 1usize..400,
    ) {
        // From 2012 on: what Apia skipped before is the calendar's, and has a test of its own.
        let local = (date(2012, 1, 1) + first.days()).at(2, 30, 0, 0);
        let mut now = TimeZone::get(zone).unwrap().to_timestamp(local).unwrap();
        let schedule = schedule(zone, Grain::Day);
        for night in 0..nights {
            let day = schedule.resolve(None, now).unwrap();
            prop_assert_eq!(day.start().date(), local.date() + (night as i64).days());
            now += SignedDuration::from_hours(24);
        }
    }

    /// A cron in local time: one start a day, whatever the clocks do in between.
    #[test]
    fn each_local_night_has_its_own_date(
        zone in zones(),
        first in 0i64..11_000,
        hour in 0i8..24,
        minute in 0i8..60,
    ) {
        let local = (date(2012, 1, 1) + first.days()).at(hour, minute, 0, 0);
        let now = TimeZone::get(zone).unwrap().to_timestamp(local).unwrap();
        let schedule = schedule(zone, Grain::Day);
        prop_assert_eq!(schedule.resolve(None, now).unwrap().start().date(), local.date());
        let yesterday = schedule.resolve(Some("-1d"), now).unwrap();
        prop_assert_eq!(yesterday.start().date(), local.date() - 1.day());
    }

    #[test]
    fn hours_in_utc_follow_each_other(start in 0i64..4_000_000_000) {
        let hourly = schedule("UTC", Grain::Hour);
        let now = Timestamp::from_second(start).unwrap();
        let this = hourly.resolve(None, now).unwrap();
        let next = hourly.resolve(None, now + SignedDuration::from_hours(1)).unwrap();
        prop_assert_eq!(this.start() + 1.hour(), next.start());
        prop_assert!(this < next && this.to_string() < next.to_string());
        prop_assert_eq!(hourly.resolve(Some("-1h"), now + SignedDuration::from_hours(1)).unwrap(), this);
    }

    #[test]
    fn a_resolved_date_resolves_to_itself(zone in zones(), second in 0i64..4_000_000_000, grain in 0usize..3) {
        let grain = [Grain::Day, Grain::Week, Grain::Month][grain];
        let schedule = schedule(zone, grain);
        let now = Timestamp::from_second(second).unwrap();
        let resolved = schedule.resolve(None, now).unwrap();
        prop_assert_eq!(schedule.resolve(Some(&resolved.to_string()), now).unwrap(), resolved);
    }
}

fn deadline(zone: &str, finish_by: &str, local_now: &str) -> Timestamp {
    let schedule = finishing(zone, finish_by);
    let now = instant(zone, local_now);
    schedule.ok().unwrap().deadline(now).unwrap()
}

#[test]
fn a_start_has_until_the_clocks_next_show_finish_by() {
    for (finish_by, now, expected) in [
        ("06:00", "2026-11-25T02:00", "2026-11-25T06:00"),
        ("06:00", "2026-11-25T05:59:59", "2026-11-25T06:00"),
        ("06:00", "2026-11-25T06:00", "2026-11-26T06:00"),
        ("06:00", "2026-11-25T22:00", "2026-11-26T06:00"),
        ("00:30:15", "2026-12-31T23:00", "2027-01-01T00:30:15"),
    ] {
        let zone = "Europe/Berlin";
        let expected = instant(zone, expected);
        assert_eq!(
            deadline(zone, finish_by, now),
            expected,
            "{finish_by} {now}"
        );
    }
    assert!(
        schedule("UTC", Grain::Day)
            .deadline(Timestamp::UNIX_EPOCH)
            .is_none()
    );
}

#[test]
fn a_finish_by_that_the_clocks_skip_or_show_twice_comes_once() {
    let zone = "Europe/Berlin";
    let utc = |text: &str| text.parse::<Timestamp>().unwrap();
    // 02:30 is skipped: the clocks show 03:30 then.
    let skipped = deadline(zone, "02:30", "2026-03-29T00:00");
    assert_eq!(skipped, utc("2026-03-29T01:30:00Z"));
    let twice = deadline(zone, "02:30", "2026-10-25T00:00");
    assert_eq!(twice, utc("2026-10-25T00:30:00Z"), "the first of both");
}

#[test]
fn a_finish_by_that_is_no_time_of_day_is_refused() {
    for text in [
        "",
        "6",
        "6:00",
        "24:00",
        "06:60",
        "06:00:00:00",
        "06:00Z",
        "+6:00",
        "soon",
    ] {
        let refused = finishing("UTC", text).err();
        assert_eq!(refused.unwrap().key, "finish_by", "{text}");
    }
}

/// Whatever hour a nightly start falls on, and wherever the process's host believes to be: of nights
/// around a change of the clocks each is meant once.
#[test]
fn around_changes_of_the_clocks_no_night_is_skipped_or_doubled() {
    for (zone, first) in [
        ("Europe/Berlin", date(2026, 3, 25)),
        ("Europe/Berlin", date(2026, 10, 21)),
        ("America/New_York", date(2026, 3, 4)),
        ("America/New_York", date(2026, 10, 28)),
        ("Australia/Lord_Howe", date(2026, 4, 1)),
        ("Pacific/Apia", date(2011, 12, 26)),
    ] {
        let timezone = TimeZone::get(zone).unwrap();
        for hour in 0..24 {
            let mut nights = Vec::new();
            for day in 0..9 {
                let local = (first + day.days()).at(hour, 30, 0, 0);
                // A day that a zone leaves out has no night: 2011-12-30 in Apia.
                let now = timezone.to_timestamp(local).unwrap();
                let seen = timezone.to_datetime(now).date();
                if seen == local.date() {
                    let night = schedule(zone, Grain::Day).resolve(None, now).unwrap();
                    assert_eq!(night.to_string(), seen.to_string(), "{zone} {local}");
                    nights.push(night);
                }
            }
            let before = nights.len();
            nights.dedup();
            assert_eq!(nights.len(), before, "{zone} at {hour}: a night came twice");
            assert!(before >= 8, "{zone} at {hour}: {before} nights");
        }
    }
}
