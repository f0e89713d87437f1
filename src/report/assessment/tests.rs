use super::*;
use crate::report::sample::{dead, flights, quiet, rule, series};
use crate::report::{Delivery, RuleState, Severity};

fn assess(change: impl FnOnce(&mut RunReport)) -> Assessment {
    let mut report = quiet();
    change(&mut report);
    Assessment::of(&report)
}

fn only(assessment: &Assessment) -> &Finding {
    assert_eq!(assessment.findings.len(), 1, "{assessment:?}");
    &assessment.findings[0]
}

fn delivery(rule: &str, action: &str, state: &str, attempts: u64) -> Delivery {
    Delivery {
        rule: rule.to_owned(),
        action: action.to_owned(),
        state: state.to_owned(),
        attempts,
        last_error: (attempts > 0).then(|| "503 Service Unavailable".to_owned()),
        delivered_at: None,
    }
}

#[test]
fn a_night_of_nothing_to_tell_is_good() {
    let assessment = assess(|_| {});
    assert_eq!(assessment.grade, Grade::Good);
    assert_eq!(
        assessment.headline,
        "Good night: 84,292 records predicted and published, nothing to do."
    );
    assert!(assessment.findings.is_empty());
}

#[test]
fn flights_of_unknown_weather_are_to_be_looked_at() {
    let assessment = Assessment::of(&flights());
    assert_eq!(assessment.grade, Grade::Attention);
    assert_eq!(
        assessment.headline,
        "Look at it: published, but 2 inputs have drifted, most days_to_holiday (PSI 4.177)."
    );
    let finding = only(&assessment);
    assert_eq!(
        finding.what,
        "2 of 21 inputs have drifted significantly from the training data: days_to_holiday (PSI 4.177), \
         temperature (PSI 0.855); 6 moderately"
    );
    let action = "look at days_to_holiday: lamplighter drift JOB flight-delay@2026-11-23#1";
    assert_eq!(finding.action.as_deref(), Some(action));
}

#[test]
fn what_drifted_moderately_is_counted_and_no_trouble() {
    let mut report = flights();
    let drift = report.drift.as_mut().unwrap();
    drift
        .series
        .retain(|series| series.level < Level::Significant);
    let assessment = Assessment::of(&report);
    assert_eq!(assessment.grade, Grade::Good);
    assert!(
        only(&assessment)
            .what
            .starts_with("6 of 21 inputs have drifted moderately")
    );
}

#[test]
fn a_rule_that_fires_is_told_once() {
    let mut report = flights();
    report.alerts = vec![
        rule("warm", Severity::Warning, RuleState::Firing),
        rule("calm", Severity::Critical, RuleState::Quiet),
    ];
    let assessment = Assessment::of(&report);
    assert_eq!(assessment.grade, Grade::Attention);
    let [first, second] = &assessment.findings[..] else {
        panic!("{assessment:?}")
    };
    assert!(
        first
            .what
            .starts_with("Rule warm is firing (warning): psi of"),
        "{first:?}"
    );
    assert!(!second.what.contains("temperature"), "{second:?}");
    assert!(
        second
            .what
            .starts_with("1 more of 21 inputs has drifted significantly"),
        "{second:?}"
    );
    report.alerts[0].severity = Severity::Critical;
    let assessment = Assessment::of(&report);
    assert_eq!(
        assessment.headline,
        "Bad night: published, but rule warm is firing, and 1 more finding."
    );
    report.alerts[0].severity = Severity::Info;
    report.drift = None;
    let assessment = Assessment::of(&report);
    assert_eq!(assessment.grade, Grade::Good);
    assert_eq!(assessment.findings.len(), 1);
}

#[test]
fn many_firing_rules_share_a_finding() {
    let assessment = assess(|report| {
        let rules = (0..40).map(|n| rule(&format!("r{n}"), Severity::Warning, RuleState::Firing));
        report.alerts = rules.collect();
    });
    assert_eq!(assessment.findings.len(), 6);
    assert_eq!(
        assessment.findings[5].what,
        "35 more rules are firing (warning): r5, r6, r7 and 32 more"
    );
}

#[test]
fn a_run_withheld_for_dead_letters_says_so_once() {
    let assessment = assess(|report| {
        report.outcome = crate::report::Ending {
            verdict: Verdict::Withheld,
            explanation: "2 of 100 records are dead letters, the limit is 1 %".into(),
            exit_code: 65,
        };
        report.counts.planned = 1_000;
        report.counts.predicted = 979;
        report.counts.dead_letters = 21;
        report.dead_letters = vec![dead("validate", "missing_value", Some("age"), 21)];
    });
    assert_eq!(
        assessment.headline,
        "Bad night: withheld, 2.1 % dead letters."
    );
    let finding = only(&assessment);
    assert_eq!(finding.grade, Grade::Bad);
    assert_eq!(
        finding.action.as_deref(),
        Some("lamplighter dead-letters list flight-delay@2026-11-23#1")
    );
}

#[test]
fn a_run_withheld_by_a_rule_names_it() {
    let assessment = assess(|report| {
        report.outcome.verdict = Verdict::Withheld;
        report.outcome.exit_code = 79;
        let mut withholding = rule("warm", Severity::Critical, RuleState::Firing);
        withholding.actions.push("withhold".into());
        report.alerts = vec![withholding];
    });
    assert_eq!(
        assessment.headline,
        "Bad night: withheld, rule warm is firing."
    );
    let finding = only(&assessment);
    assert!(
        finding.what.contains("look at psi of temperature"),
        "{finding:?}"
    );
    assert_eq!(
        finding.action.as_deref(),
        Some("lamplighter runs publish flight-delay@2026-11-23#1")
    );
}

#[test]
fn a_run_that_another_replaced_is_to_be_looked_at() {
    let assessment = assess(|report| report.outcome.verdict = Verdict::Withheld);
    assert_eq!(assessment.grade, Grade::Attention);
    assert_eq!(
        assessment.headline,
        "Look at it: withheld, consumers do not see it any more."
    );
}

#[test]
fn an_unfinished_run_is_bad_and_says_how_it_goes_on() {
    let unfinished = |exit_code: u8| {
        assess(|report| {
            report.outcome.verdict = Verdict::Unfinished;
            report.outcome.exit_code = exit_code;
            report.counts.unfinished = 4_292;
            report.counts.predicted = 80_000;
            report.alerts = vec![rule("warm", Severity::Warning, RuleState::Unknown)];
        })
    };
    let interrupted = unfinished(75);
    assert_eq!(
        interrupted.headline,
        "Bad night: unfinished, 4,292 of 84,292 records left."
    );
    let action = "lamplighter run JOB --date 2026-11-23";
    assert_eq!(only(&interrupted).action.as_deref(), Some(action));
    let stopped = unfinished(65);
    assert!(
        only(&stopped)
            .action
            .as_deref()
            .unwrap()
            .contains("dead-letters list")
    );
}

#[test]
fn a_trial_is_never_published_and_that_is_no_trouble() {
    let assessment = assess(|report| {
        report.trial = true;
        report.outcome.verdict = Verdict::Trial;
    });
    assert_eq!(
        assessment.headline,
        "Good trial: 84,292 records predicted, nothing to do."
    );
    assert!(assessment.findings.is_empty());
}

#[test]
fn a_few_dead_letters_do_not_spoil_a_night() {
    let with = |dead_letters: u64, duplicates: u64| {
        assess(|report| {
            report.counts.planned = 100_000;
            report.counts.dead_letters = dead_letters;
            report.counts.duplicates = duplicates;
            report.dead_letters = vec![
                dead("read", "duplicate_id", None, duplicates),
                dead(
                    "validate",
                    "out_of_range",
                    Some("age"),
                    dead_letters - duplicates,
                ),
            ];
        })
    };
    let few = with(100, 0);
    assert_eq!(few.grade, Grade::Good);
    assert!(few.headline.starts_with("Good night"));
    assert_eq!(
        only(&few).what,
        "100 of 100,000 records could not be scored (0.10 %), most (100) for out_of_range in column age"
    );
    assert_eq!(with(101, 0).grade, Grade::Attention);
    assert!(with(10_000, 10_000).findings.is_empty());
    let repeated = with(10_001, 10_001);
    assert_eq!(repeated.grade, Grade::Attention);
    assert!(only(&repeated).what.contains("repeat an id"));
}

#[test]
fn a_night_without_predictions_is_told() {
    let with = |planned: u64, dead_letters: u64| {
        assess(|report| {
            report.counts.planned = planned;
            report.counts.predicted = 0;
            report.counts.dead_letters = dead_letters;
            report.counts.filtered = planned - dead_letters;
        })
    };
    assert_eq!(with(0, 0).grade, Grade::Attention);
    assert_eq!(with(10, 0).grade, Grade::Attention);
    let dead = with(10, 10);
    assert_eq!(dead.grade, Grade::Bad);
    assert_eq!(
        only(&dead).what,
        "Nothing was predicted: 10 of 10 records are dead letters"
    );
}

#[test]
fn a_night_of_hardly_any_records_is_told() {
    let after = |previously: u64, change: fn(&mut RunReport)| {
        assess(|report| {
            report.previously_planned = Some(previously);
            change(report);
        })
    };
    let few = after(842_921, |_| {});
    assert_eq!(
        few.headline,
        "Look at it: published, but there were only 84,292 records."
    );
    assert_eq!(
        only(&few).what,
        "There were only 84,292 records, 842,921 on the date before"
    );
    assert!(after(842_920, |_| {}).findings.is_empty());
    assert!(
        after(842_921, |report| report.trial = true)
            .findings
            .is_empty()
    );
}

#[test]
fn whom_nobody_told_is_told() {
    let with = |deliveries: Vec<Delivery>| assess(|report| report.deliveries = deliveries);
    assert!(
        with(vec![delivery("warm", "webhook", "pending", 0)])
            .findings
            .is_empty()
    );
    let pending = with(vec![delivery("warm", "webhook", "pending", 3)]);
    assert_eq!(pending.grade, Grade::Attention);
    assert_eq!(
        only(&pending).what,
        "Nobody has yet been told of rule warm: webhook failed 3 times, the last time with: \
         503 Service Unavailable"
    );
    let partly = with(vec![
        delivery("warm", "webhook", "expired", 9),
        delivery("warm", "exec", "delivered", 0),
    ]);
    assert_eq!(partly.grade, Grade::Bad);
    assert!(
        only(&partly)
            .what
            .starts_with("Not everybody was told of rule warm")
    );
}

#[test]
fn rules_that_could_not_be_judged_are_told_unless_they_wait_for_the_truth() {
    let unknown = |metric: &str| {
        assess(|report| {
            let mut rule = rule("warm", Severity::Info, RuleState::Unknown);
            rule.metric = metric.to_owned();
            report.alerts = vec![rule];
        })
    };
    let assessment = unknown("psi");
    assert_eq!(assessment.grade, Grade::Attention);
    assert_eq!(
        only(&assessment).what,
        "Rule warm was not judged: psi of temperature is not known: the bundle has no reference.json"
    );
    assert_eq!(unknown("roc_auc").grade, Grade::Good);
}

#[test]
fn time_memory_and_age_are_told_where_they_are_beyond_bounds() {
    let late = |minutes: f64| assess(|report| report.timing.minutes_past_finish_by = Some(minutes));
    assert!(late(-30.0).findings.is_empty());
    assert!(late(0.2).findings.is_empty());
    assert_eq!(
        late(12.4).headline,
        "Look at it: published, but 12 minutes late."
    );
    let memory = |peak: u64| {
        assess(|report| {
            report.resources.peak_memory_bytes = Some(peak);
            report.resources.memory_limit_bytes = Some(100);
        })
    };
    assert!(memory(90).findings.is_empty());
    assert!(only(&memory(96)).what.starts_with("Memory came to 96.0 %"));
    let old = assess(|report| {
        let decay = report.decay.as_mut().unwrap();
        decay.retrain = vec!["the model is 91 days old, more than 90".into()];
    });
    assert_eq!(
        old.headline,
        "Look at it: published, but the model is to be trained anew (the model is 91 days old, more than 90)."
    );
}

#[test]
fn the_worst_two_are_named_and_the_gravest_come_first() {
    let mut report = flights();
    let drift = report.drift.as_mut().unwrap();
    for number in 0..50 {
        let name = format!("c{number}");
        drift
            .series
            .push(series(&name, Side::Output, Level::Significant, 1.0));
    }
    report.outcome.verdict = Verdict::Withheld;
    report.outcome.exit_code = 78;
    let assessment = Assessment::of(&report);
    assert_eq!(assessment.findings[0].grade, Grade::Bad);
    let grades: Vec<Grade> = assessment
        .findings
        .iter()
        .map(|finding| finding.grade)
        .collect();
    assert!(grades.is_sorted_by(|one, other| one >= other));
    assert!(
        assessment.findings[2]
            .what
            .contains("c0 (PSI 1.000), c1 (PSI 1.000) and 48 more"),
        "{assessment:?}"
    );
}

#[test]
fn shares_have_as_many_digits_as_tell_them_from_nothing() {
    let shares = [0.0, 0.000_01, 0.001, 0.021, 0.9999, 1.0];
    let told = shares.map(percent);
    assert_eq!(
        told,
        ["0 %", "< 0.01 %", "0.10 %", "2.1 %", "100 %", "100 %"]
    );
}
