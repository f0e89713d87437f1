//! What became of the records, as far as somebody has to know.

use super::{Grade, Noted, count, percent};
use crate::error::Class;
use crate::record::DUPLICATE_ID;
use crate::report::text::grouped;
use crate::report::{RunReport, Verdict};

/// Share of dead letters from which on they are worth a look.
pub(in crate::report) const MANY_DEAD_LETTERS: f64 = 0.001;

/// Share of the records of the newest earlier date below which input may be missing. Weekends and holidays
/// are well above it.
const FEW_RECORDS: f64 = 0.1;

/// Share of duplicates from which on the column of ids may be the wrong one.
const MANY_DUPLICATES: f64 = 0.1;

/// Why consumers do not see the run, if they do not and are to.
pub(super) fn not_published(report: &RunReport) -> Option<Noted> {
    let (ending, run) = (&report.outcome, &report.run);
    match ending.verdict {
        Verdict::Published | Verdict::Trial => None,
        Verdict::Unfinished => Some(unfinished(report)),
        Verdict::Withheld => Some(withheld(report).unwrap_or_else(|| {
            let is_failure = ending.exit_code != 0;
            let (grade, brief) = match is_failure {
                true => (Grade::Bad, format!("exit code {}", ending.exit_code)),
                false => (Grade::Attention, "consumers do not see it any more".into()),
            };
            let what = format!("Consumers do not see {run}: {}", ending.explanation);
            let job = &report.job;
            Noted::new(grade, what, brief).action(format!("lamplighter runs list --job {job}"))
        })),
    }
}

fn unfinished(report: &RunReport) -> Noted {
    let (explanation, counts) = (&report.outcome.explanation, &report.counts);
    let left = format!(
        "{} of {} left",
        grouped(counts.unfinished),
        count(counts.planned, "record")
    );
    if report.outcome.exit_code == Class::Data.exit_code() {
        // The next start would stop as this one did.
        return Noted::new(
            Grade::Bad,
            format!("It is not finished: {explanation}"),
            left,
        )
        .action(format!("lamplighter dead-letters list {}", report.run));
    }
    let what = format!("It is not finished, the next start goes on with it: {explanation}");
    Noted::new(Grade::Bad, what, left).action(format!(
        "lamplighter run JOB --date {}",
        report.logical_date
    ))
}

/// A run that was withheld for its dead letters, or by a rule.
fn withheld(report: &RunReport) -> Option<Noted> {
    let (ending, run) = (&report.outcome, &report.run);
    if is_withheld_for_dead_letters(report) {
        let brief = match rejected(report) {
            (0, _) => "too many dead letters".to_owned(),
            (rejected, of) => format!("{} dead letters", percent(rejected as f64 / of as f64)),
        };
        let what = format!("Too many dead letters: {}", ending.explanation);
        return Some(
            Noted::new(Grade::Bad, what, brief)
                .action(format!("lamplighter dead-letters list {run}")),
        );
    }
    let mut rules = report.alerts.iter().filter(|rule| withholds(report, rule));
    let first = rules.next()?;
    let others: Vec<&str> = rules.map(|rule| rule.rule.as_str()).collect();
    let others = match others.as_slice() {
        [] => String::new(),
        [other] => format!(" (and rule {other})"),
        [other, more @ ..] => {
            format!(" (and {}, {other} among them)", rules_of(1 + more.len()))
        }
    };
    let what = format!(
        "Rule {} withheld it{others}: {}; look at {}, and publish it if it is good all the same",
        first.rule,
        first.summary.trim_end_matches('.'),
        first.subject
    );
    let brief = format!("rule {} is firing", first.rule);
    Some(Noted::new(Grade::Bad, what, brief).action(format!("lamplighter runs publish {run}")))
}

fn rules_of(number: usize) -> String {
    count(number as u64, "more rule")
}

/// Whether the run was withheld, and this rule is one of those that did so.
pub(super) fn withholds(report: &RunReport, rule: &crate::report::JudgedRule) -> bool {
    report.outcome.verdict == Verdict::Withheld
        && !is_withheld_for_dead_letters(report)
        && report.outcome.exit_code != 0
        && rule.state == crate::report::RuleState::Firing
        && rule.actions.iter().any(|action| action == "withhold")
}

fn is_withheld_for_dead_letters(report: &RunReport) -> bool {
    let ending = &report.outcome;
    ending.verdict == Verdict::Withheld && ending.exit_code == Class::Data.exit_code()
}

/// Dead letters that are no duplicates, and how many records they are of.
fn rejected(report: &RunReport) -> (u64, u64) {
    let counts = &report.counts;
    let rejected = counts.dead_letters.saturating_sub(counts.duplicates);
    let of = counts.planned.saturating_sub(counts.duplicates);
    (rejected, of.max(1))
}

pub(super) fn nothing_predicted(report: &RunReport) -> Option<Noted> {
    let counts = &report.counts;
    if counts.predicted > 0 || counts.unfinished > 0 || is_withheld_for_dead_letters(report) {
        return None;
    }
    // What was dropped or erased was not to be predicted.
    let (grade, why) = match (counts.planned, counts.dead_letters) {
        (0, _) => (Grade::Attention, "there were no records".to_owned()),
        (_, 0) => (
            Grade::Attention,
            format!(
                "the filter dropped {} of {}",
                grouped(counts.filtered),
                count(counts.planned, "record")
            ),
        ),
        (_, dead) => (
            Grade::Bad,
            format!(
                "{} of {} are dead letters",
                grouped(dead),
                count(counts.planned, "record")
            ),
        ),
    };
    let noted = Noted::new(
        grade,
        format!("Nothing was predicted: {why}"),
        "nothing was predicted",
    );
    Some(match grade {
        Grade::Bad => noted.action(format!("lamplighter dead-letters list {}", report.run)),
        Grade::Good | Grade::Attention => noted.action("look at the input: lamplighter check JOB"),
    })
}

/// A night that has hardly any records, beside the one before.
pub(super) fn few(report: &RunReport) -> Option<Noted> {
    let previously = report.previously_planned?;
    let planned = report.counts.planned;
    // What scores dead letters again, or some records on trial, is to have few.
    let is_to_have_few = report.retry.is_some() || report.trial || planned == 0;
    if is_to_have_few || planned as f64 >= FEW_RECORDS * previously as f64 {
        return None;
    }
    let only = format!("only {}", count(planned, "record"));
    let what = format!(
        "There were {only}, {} on the date before",
        grouped(previously)
    );
    Some(
        Noted::new(Grade::Attention, what, format!("there were {only}"))
            .action("look whether all of the input was there: lamplighter check JOB"),
    )
}

pub(super) fn dead_letters(report: &RunReport) -> Option<Noted> {
    let (rejected, of) = rejected(report);
    let is_told = is_withheld_for_dead_letters(report) || report.counts.predicted == 0;
    if rejected == 0 || is_told {
        return None;
    }
    let share = rejected as f64 / of as f64;
    let grade = match share > MANY_DEAD_LETTERS {
        true => Grade::Attention,
        false => Grade::Good,
    };
    // Duplicates are counted apart.
    let kinds = report.dead_letters.iter();
    let worst = kinds
        .filter(|kind| kind.code != DUPLICATE_ID)
        .max_by_key(|kind| kind.records)
        .map_or_else(String::new, |kind| {
            let field = kind.field.as_deref();
            let field = field.map_or_else(String::new, |field| format!(" in column {field}"));
            format!(
                ", most ({}) for {}{field}",
                grouped(kind.records),
                kind.code
            )
        });
    let what = format!(
        "{} of {} could not be scored ({}){worst}",
        grouped(rejected),
        count(of, "record"),
        percent(share)
    );
    let brief = format!("{} dead letters", percent(share));
    let action = format!("lamplighter dead-letters list {}", report.run);
    Some(Noted::new(grade, what, brief).action(action))
}

pub(super) fn duplicates(report: &RunReport) -> Option<Noted> {
    let counts = &report.counts;
    let share = counts.duplicates as f64 / counts.planned.max(1) as f64;
    if share <= MANY_DUPLICATES {
        return None;
    }
    let what = format!(
        "{} of {} repeat an id ({})",
        grouped(counts.duplicates),
        count(counts.planned, "record"),
        percent(share)
    );
    Some(
        Noted::new(
            Grade::Attention,
            what,
            format!("{} duplicates", percent(share)),
        )
        .action("look whether [source] id_column is the one that tells records apart"),
    )
}
