mod nights;

use std::collections::BTreeSet;

use super::*;
use crate::monitor::drift::{Distributions, Level};
use crate::monitor::profile::Side;
use crate::report::Verdict;
use crate::report::assessment::{Finding, Grade};
use crate::report::sample::{flights, series};
use nights::{HOSTILE, bad, examples, good, hostile, minimal, past, shifted, wide};

fn page(report: &RunReport, past: &[PastRun], examples: &[DeadLetterExample]) -> String {
    let assessment = Assessment::of(report);
    render(&Page {
        report,
        assessment: &assessment,
        past,
        examples,
    })
    .unwrap()
}

fn judged(grade: Grade, headline: &str, findings: Vec<Finding>) -> String {
    let assessment = Assessment {
        grade,
        headline: headline.to_owned(),
        findings,
    };
    render(&Page {
        report: &flights(),
        assessment: &assessment,
        past: &[],
        examples: &[],
    })
    .unwrap()
}

/// Names of all elements of a page.
fn elements(page: &str) -> BTreeSet<&str> {
    let opened = page.split('<').skip(1);
    opened
        .map(|rest| {
            let end = rest.find(|character: char| {
                !character.is_ascii_alphanumeric() && !"/!".contains(character)
            });
            rest[..end.unwrap_or(rest.len())].trim_matches('/')
        })
        .collect()
}

#[test]
fn a_page_is_whole_and_asks_for_nothing() {
    for (report, past) in [
        (good(), past(30)),
        (bad(), past(30)),
        (wide(300), past(30)),
        (minimal(), Vec::new()),
        (flights(), past(1)),
    ] {
        let page = page(&report, &past, &examples());
        for foreign in [
            "http://",
            "https://",
            "src=",
            "<script",
            "@import",
            "url(",
            "<link",
            "<iframe",
            "javascript:",
        ] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        assert!(page.contains("default-src 'none'"));
        assert!(page.contains(&report.run));
        assert_eq!(
            page.matches("<svg role=\"img\" aria-label=\"").count(),
            page.matches("<svg").count()
        );
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
        assert!(
            !page.contains("NaN") && !page.contains("inf%"),
            "a number that is none"
        );
    }
}

#[test]
fn the_largest_page_is_small() {
    let page = page(&wide(300), &past(30), &examples());
    assert!(page.len() < 500_000, "{}", page.len());
    let rows = page.matches("a_rather_long_name_of_a_column_").count();
    assert!(rows >= 300, "{rows}");
    let plots = page.matches("aria-label=\"Distribution of").count();
    assert_eq!(plots, 24);
}

#[test]
fn names_from_outside_are_text() {
    let mut report = bad();
    hostile(&mut report);
    let mut past = past(2);
    (past[0].run, past[0].verdict, past[0].logical_date) =
        (HOSTILE.into(), HOSTILE.into(), HOSTILE.into());
    let mut examples = examples();
    examples[1].record_id = Some(HOSTILE.into());
    examples[0].message = HOSTILE.into();
    examples[0].code = HOSTILE.into();
    let page = page(&report, &past, &examples);
    assert!(page.contains("&lt;script&gt;alert(1)"));
    let usual = self::page(&wide(30), &self::past(2), &self::examples());
    assert_eq!(
        elements(&page)
            .difference(&elements(&usual))
            .collect::<Vec<_>>(),
        Vec::<&&str>::new()
    );
    assert!(!page.contains('\u{202e}'));
    // A quote would end an attribute.
    for attribute in page.split("aria-label=\"").skip(1) {
        assert!(attribute.split('"').next().unwrap().len() < 400);
        assert!(attribute.split_once('"').unwrap().1.starts_with([' ', '>']));
    }
}

#[test]
fn whatever_may_be_missing_is_said_to_be() {
    let page = page(&minimal(), &[], &[]);
    for sentence in [
        "the bundle has no reference.json",
        "There is no distribution",
        "no ground truth",
        "The job has no alert rules",
        "What it cost is not known",
        "How the run went on was not recorded",
        "This is the first run",
        "There are none: every record that was read could be scored",
    ] {
        assert!(page.contains(sentence), "{sentence}");
    }
    assert!(!page.contains("<svg"));
}

#[test]
fn the_verdict_is_in_words() {
    for (grade, word) in [
        (Grade::Good, "Good"),
        (Grade::Attention, "Look at it"),
        (Grade::Bad, "Bad"),
    ] {
        let page = judged(grade, "something", Vec::new());
        assert!(
            page.contains(&format!("<h1><b>{word}</b>something</h1>")),
            "{word}"
        );
    }
    let page = judged(
        Grade::Bad,
        "Bad night: withheld, 2 % dead letters.",
        Vec::new(),
    );
    assert!(page.contains("<h1><b>Bad night</b>Withheld, 2 % dead letters.</h1>"));
}

#[test]
fn a_finding_says_what_to_do_and_what_to_type() {
    let finding = Finding {
        grade: Grade::Attention,
        what: "temperature has drifted".into(),
        action: Some("look at it: lamplighter drift JOB flight-delay@2026-11-23#1".into()),
    };
    let page = judged(Grade::Attention, "Look at it: drift.", vec![finding]);
    assert!(page.contains(
        "<b>Do:</b> look at it: <code>lamplighter drift JOB flight-delay@2026-11-23#1</code>"
    ));
}

#[test]
fn records_are_named_by_their_place_unless_ids_are_asked_for() {
    let page = page(&bad(), &[], &examples());
    assert!(page.contains("record 12,345 of the input"));
    assert!(!page.contains("record 12,399 of the input"));
    assert!(page.contains("2013-10-07-WN19-EWR-1730"));
}

#[test]
fn a_night_that_went_wrong_shows_how() {
    let page = page(&bad(), &past(30), &[]);
    for text in [
        "1,687",
        "2.0 %",
        "47 min late",
        "2 attempts",
        "503 Service Unavailable",
        "not known",
        "&gt; 0.25",
        "0.0394 EUR",
        "95.0 %",
        "is firing",
        "0.0142 EUR",
        "3 processors would",
        "days_to_holiday",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn a_distribution_of_any_kind_is_drawn_or_left_out() {
    let distribution = |bins: &[&str], reference: &[f64], current: &[f64]| Distributions {
        bins: bins.iter().map(|bin| (*bin).to_owned()).collect(),
        reference: reference.into(),
        current: current.into(),
    };
    let extremes = [0.0, -1.0, 1e280, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE];
    for (bins, reference, current) in [
        (&[][..], &[][..], &[][..]),
        (&["all"], &[1.0], &[1.0]),
        (&["a", "b"], &[0.0, 0.0], &[0.0, 0.0]),
        (&["a", "b"], &[1.0], &[]),
        (&["a", "b", "c", "d", "e", "f"], &extremes, &extremes),
    ] {
        for is_number in [true, false] {
            let mut report = flights();
            let mut column = series("column", Side::Input, Level::Significant, 0.5);
            column.distribution = Some(distribution(bins, reference, current));
            column.measures.kolmogorov_smirnov = is_number.then_some(f64::INFINITY);
            report.drift.as_mut().unwrap().series = vec![column];
            let page = page(&report, &[], &[]);
            assert!(page.contains("column"));
            assert!(!page.contains("NaN") && !page.contains("inf "));
        }
    }
}

#[test]
fn figures_of_any_size_are_told() {
    let extremes = [
        0.0,
        -0.0,
        -1e280,
        1e280,
        f64::MAX,
        f64::MIN_POSITIVE,
        f64::NAN,
        f64::NEG_INFINITY,
    ];
    for one in extremes {
        for other in extremes {
            let mut report = good();
            let timing = &mut report.timing;
            (timing.duration_seconds, timing.records_per_second) = (one, other);
            timing.minutes_past_finish_by = Some(one);
            timing.stage_seconds.read = other;
            for (index, moment) in timing.course.iter_mut().enumerate() {
                moment.seconds = if index % 2 == 0 { one } else { other };
                moment.batch_p50_milliseconds = Some(other);
                moment.records = u64::MAX - index as u64;
            }
            timing
                .batch_histogram
                .iter_mut()
                .for_each(|bucket| bucket.seconds = one);
            let decay = report.decay.as_mut().unwrap();
            decay.baseline = Some(one);
            decay
                .history
                .iter_mut()
                .for_each(|dated| dated.value = Some(other));
            report
                .evaluation
                .iter_mut()
                .for_each(|row| row.value = Some(one));
            report.resources.cpu_share = Some(other);
            report.resources.peak_memory_bytes = Some(u64::MAX);
            report
                .alerts
                .iter_mut()
                .for_each(|rule| (rule.value, rule.threshold) = (Some(one), other));
            let cost = report.cost.as_mut().unwrap();
            (cost.amount, cost.machine_seconds) = (one, other);
            let mut past = past(3);
            (past[0].duration_seconds, past[1].cost) = (other, Some(one));
            page(&report, &past, &[]);
        }
    }
}

#[test]
fn a_report_of_an_older_version_is_shown() {
    let mut stored = serde_json::to_value(bad()).unwrap();
    let fields = stored.as_object_mut().unwrap();
    for newer in [
        "alerts",
        "deliveries",
        "cost",
        "previously_planned",
        "retry",
        "evaluation",
    ] {
        fields.remove(newer);
    }
    let timing = fields["timing"].as_object_mut().unwrap();
    for newer in [
        "course",
        "batch_histogram",
        "finish_by",
        "minutes_past_finish_by",
    ] {
        timing.remove(newer);
    }
    for series in fields["drift"]["series"].as_array_mut().unwrap() {
        series.as_object_mut().unwrap().remove("distribution");
    }
    let report: RunReport = serde_json::from_value(stored).unwrap();
    let page = page(&report, &[], &[]);
    assert!(page.contains("days_to_holiday"));
    assert!(page.contains("How the run went on was not recorded"));
}

#[test]
fn what_is_shown_of_an_earlier_run_is_of_its_report() {
    let past = PastRun::of(&bad());
    assert_eq!(
        (past.planned, past.predicted, past.dead_letters),
        (84_292, 82_605, 1_687)
    );
    assert_eq!(
        (past.verdict.as_str(), past.cost),
        (Verdict::Published.as_str(), Some(0.0012))
    );
}

#[test]
fn outputs_are_held_against_the_reference() {
    let mut report = flights();
    let drift = report.drift.as_mut().unwrap();
    drift.series = vec![shifted("score", Side::Output, Level::Moderate, 0.13, 1.0)];
    let page = page(&report, &[], &[]);
    assert!(page.contains("has drifted: moderate"));
    assert_eq!(
        page.matches("aria-label=\"Distribution of score").count(),
        2
    );
}
