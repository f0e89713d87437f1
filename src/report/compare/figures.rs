//! The figures that are compared.

mod changes;
mod outputs;

use std::collections::{BTreeMap, BTreeSet};

use changes::{Changes, Sample, Taken, is_far, is_share_notable, is_time_notable};

use super::{
    Change, LEAST_BATCHES, LEAST_BYTES_OF_MEMORY, LEAST_CHANGE_OF_COUNT, LEAST_CHANGE_OF_CPU,
    LEAST_CHANGE_OF_DEAD_LETTERS, LEAST_CHANGE_OF_MEMORY, LEAST_CHANGE_OF_SHARE,
    LEAST_CHANGE_OF_TIME, LEAST_SECONDS, Unit,
};
use crate::monitor::stats::ColumnNotes;
use crate::report::{CostOfRun, RuleState, RunReport};

/// Everything that is compared, by section.
pub(super) fn changes(before: &RunReport, after: &RunReport) -> Vec<Change> {
    let mut changes = Changes::default();
    verdict(&mut changes, before, after);
    identity(&mut changes, before, after);
    records(&mut changes, before, after);
    dead_letters(&mut changes, before, after);
    columns(&mut changes, before, after);
    outputs::predictions(&mut changes, before, after);
    outputs::drift(&mut changes, before, after);
    outputs::ground_truth(&mut changes, before, after);
    alerts(&mut changes, before, after);
    time(&mut changes, before, after);
    machine(&mut changes, before, after);
    cost(&mut changes, before, after);
    changes.all
}

fn verdict(changes: &mut Changes, before: &RunReport, after: &RunReport) {
    changes.section("verdict");
    let (one, other) = (&before.outcome, &after.outcome);
    changes.word(
        "verdict",
        one.verdict.as_str(),
        other.verdict.as_str(),
        true,
    );
    let codes = (one.exit_code.to_string(), other.exit_code.to_string());
    changes.word("exit code", &codes.0, &codes.1, true);
}

fn identity(changes: &mut Changes, before: &RunReport, after: &RunReport) {
    changes.section("identity");
    let (one, other) = (&before.model, &after.model);
    changes.word("model", &one.name, &other.name, true);
    changes.word("model version", &one.version, &other.version, true);
    changes.word("model digest", &one.digest, &other.digest, true);
    changes.word("precision", &one.precision, &other.precision, true);
    changes.word("numerics", &one.numerics, &other.numerics, true);
    let sizes = (one.batch_size.to_string(), other.batch_size.to_string());
    changes.word("batch size", &sizes.0, &sizes.1, true);
    let is_same_model = one.digest == other.digest;
    let (one, other) = (&before.input, &after.input);
    changes.word("source", &one.source, &other.source, true);
    changes.count("input files", one.files, other.files);
    let bytes = (one.bytes as f64, other.bytes as f64);
    let is_notable = is_far(bytes.0, bytes.1, LEAST_CHANGE_OF_COUNT);
    let bytes = (Some(bytes.0), Some(bytes.1));
    changes.number("input size", Unit::Bytes, bytes, is_notable);
    // Each night has its own input. A fingerprint that is another though input and model are the same
    // stands for settings that are.
    changes.word("input", &one.manifest, &other.manifest, false);
    let is_same = is_same_model && one.manifest == other.manifest;
    changes.word("fingerprint", &one.fingerprint, &other.fingerprint, is_same);
    changes.word("lamplighter", &before.lamplighter, &after.lamplighter, true);
}

fn records(changes: &mut Changes, before: &RunReport, after: &RunReport) {
    changes.section("records");
    let (one, other) = (&before.counts, &after.counts);
    changes.count("planned", one.planned, other.planned);
    changes.count("predicted", one.predicted, other.predicted);
    let samples = |count: (u64, u64)| {
        let before = Sample::new(count.0, one.planned);
        (before, Sample::new(count.1, other.planned))
    };
    let rare = LEAST_CHANGE_OF_DEAD_LETTERS;
    for (name, counts, least) in [
        (
            "share of dead letters",
            (one.dead_letters, other.dead_letters),
            rare,
        ),
        (
            "share of duplicates",
            (one.duplicates, other.duplicates),
            rare,
        ),
        (
            "share of filtered",
            (one.filtered, other.filtered),
            LEAST_CHANGE_OF_SHARE,
        ),
        ("share of erased", (one.erased, other.erased), rare),
        (
            "share of unfinished",
            (one.unfinished, other.unfinished),
            rare,
        ),
    ] {
        let (before, after) = samples(counts);
        changes.share(name, before, after, least);
    }
}

fn dead_letters(changes: &mut Changes, before: &RunReport, after: &RunReport) {
    changes.section("dead letters");
    let kinds = |report: &RunReport| {
        let kinds = report.dead_letters.iter();
        let kinds = kinds.map(|kind| {
            let field = kind.field.as_deref().unwrap_or_default();
            let name = format!("{}/{} {field}", kind.stage, kind.code);
            (name.trim_end().to_owned(), kind.records)
        });
        kinds.collect::<BTreeMap<String, u64>>()
    };
    let (one, other) = (kinds(before), kinds(after));
    let mut found = Vec::new();
    for name in one.keys().chain(other.keys()).collect::<BTreeSet<_>>() {
        let (one, other) = (one.get(name).copied(), other.get(name).copied());
        let shares = (
            Sample::new(one.unwrap_or(0), before.counts.planned),
            Sample::new(other.unwrap_or(0), after.counts.planned),
        );
        let is_notable = is_share_notable(shares.0, shares.1, LEAST_CHANGE_OF_DEAD_LETTERS);
        let figures = (one.map(|n| n as f64), other.map(|n| n as f64));
        found.push((name, figures, is_notable));
    }
    let size = |(before, after): (Option<f64>, Option<f64>)| {
        (after.unwrap_or(0.0) - before.unwrap_or(0.0)).abs()
    };
    found.sort_by(|one, other| size(other.1).total_cmp(&size(one.1)));
    for (name, figures, is_notable) in found {
        changes.number(name, Unit::Count, figures, is_notable);
    }
}

fn columns(changes: &mut Changes, before: &RunReport, after: &RunReport) {
    changes.section("columns");
    let all = before.columns.keys().chain(after.columns.keys());
    let mut found = Vec::new();
    for column in all.collect::<BTreeSet<_>>() {
        let notes = |report: &RunReport| report.columns.get(column).copied().unwrap_or_default();
        let (one, other) = (notes(before), notes(after));
        let counts: [Taken<ColumnNotes, u64>; 4] = [
            ("imputed", |notes| notes.imputed),
            ("clamped", |notes| notes.clamped),
            ("unknown", |notes| notes.unknown),
            ("cut", |notes| notes.truncated),
        ];
        for (what, count) in counts {
            let (one, other) = (count(&one), count(&other));
            if one == 0 && other == 0 {
                continue;
            }
            // Notes are of records that were scored.
            let one = Sample::new(one, before.counts.predicted);
            let other = Sample::new(other, after.counts.predicted);
            found.push((format!("{what} share of {column}"), one, other));
        }
    }
    found.sort_by(|one, other| {
        let size = |of: &(String, Sample, Sample)| of.1.distance(of.2);
        size(other).total_cmp(&size(one))
    });
    for (name, one, other) in found {
        changes.share(&name, one, other, LEAST_CHANGE_OF_SHARE);
    }
}

fn alerts(changes: &mut Changes, before: &RunReport, after: &RunReport) {
    changes.section("alerts");
    let states = |report: &RunReport| {
        let rules = report.alerts.iter();
        let states = rules.map(|rule| (rule.rule.clone(), state(rule.state)));
        states.collect::<BTreeMap<String, &str>>()
    };
    let (one, other) = (states(before), states(after));
    for rule in one.keys().chain(other.keys()).collect::<BTreeSet<_>>() {
        let states = (one.get(rule).copied(), other.get(rule).copied());
        let is_notable = match states {
            (Some(before), Some(after)) => before != after,
            // That a rule is new, or gone, is no night's doing; that it fires is to be known.
            (one, other) => one == Some("firing") || other == Some("firing"),
        };
        changes.words(&format!("rule {rule}"), states, is_notable);
    }
}

fn state(state: RuleState) -> &'static str {
    match state {
        RuleState::Quiet => "quiet",
        RuleState::Firing => "firing",
        RuleState::Unknown => "not judged",
    }
}

fn time(changes: &mut Changes, before: &RunReport, after: &RunReport) {
    changes.section("time");
    let (one, other) = (&before.timing, &after.timing);
    changes.seconds("duration", one.duration_seconds, other.duration_seconds);
    changes.seconds("planning", one.plan_seconds, other.plan_seconds);
    let is_long = is_time_notable(one.duration_seconds, other.duration_seconds);
    let rates = (one.records_per_second, other.records_per_second);
    // Whatever the rate, nobody waits for a second.
    let is_notable = is_long && is_far(rates.0, rates.1, LEAST_CHANGE_OF_TIME);
    let figures = (Some(rates.0), Some(rates.1));
    changes.number("records per second", Unit::Count, figures, is_notable);
    let stages = (&one.stage_seconds, &other.stage_seconds);
    for (name, before, after) in [
        ("read", stages.0.read, stages.1.read),
        ("encode", stages.0.encode, stages.1.encode),
        ("infer", stages.0.infer, stages.1.infer),
        ("commit", stages.0.commit, stages.1.commit),
    ] {
        changes.seconds(name, before, after);
    }
    let batches = (&one.batch_milliseconds, &other.batch_milliseconds);
    if let (Some(one), Some(other)) = batches {
        let are_many = one.count.min(other.count) >= LEAST_BATCHES;
        for (name, before, after) in [
            ("p50 of a batch", one.p50, other.p50),
            ("p99 of a batch", one.p99, other.p99),
        ] {
            // That of a few milliseconds may double by whatever else the machine does: it is for the
            // time of all batches to say whether it matters.
            let is_notable = are_many
                && is_time_notable(stages.0.infer, stages.1.infer)
                && is_far(before, after, LEAST_CHANGE_OF_TIME);
            let figures = (Some(before), Some(after));
            changes.number(name, Unit::Milliseconds, figures, is_notable);
        }
    }
    changes.word(
        "attempts",
        &one.attempts.to_string(),
        &other.attempts.to_string(),
        true,
    );
    let late = |minutes: Option<f64>| minutes.map(|minutes| minutes * 60.0);
    let late = (
        late(one.minutes_past_finish_by),
        late(other.minutes_past_finish_by),
    );
    if late.0.is_some() || late.1.is_some() {
        let is_late = |late: Option<f64>| late.is_some_and(|late| late > 0.0);
        let is_notable = is_late(late.0) != is_late(late.1);
        changes.number("past finish_by", Unit::Seconds, late, is_notable);
    }
}

fn machine(changes: &mut Changes, before: &RunReport, after: &RunReport) {
    changes.section("machine");
    let (one, other) = (&before.resources, &after.resources);
    changes.word("host", &one.host, &other.host, false);
    changes.word(
        "workers",
        &one.workers.to_string(),
        &other.workers.to_string(),
        true,
    );
    let shares = (one.cpu_share, other.cpu_share);
    let durations = (
        before.timing.duration_seconds,
        after.timing.duration_seconds,
    );
    let is_notable = match shares {
        (Some(before), Some(after)) => {
            let is_long = durations.0.min(durations.1) >= LEAST_SECONDS;
            is_long && (after - before).abs() > LEAST_CHANGE_OF_CPU
        }
        _ => false,
    };
    changes.number("CPU", Unit::Share, shares, is_notable);
    let number = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
    let peaks = (
        number(one.peak_memory_bytes),
        number(other.peak_memory_bytes),
    );
    let is_notable = match peaks {
        (Some(before), Some(after)) => {
            (after - before).abs() >= LEAST_BYTES_OF_MEMORY
                && is_far(before, after, LEAST_CHANGE_OF_MEMORY)
        }
        _ => false,
    };
    changes.number("peak memory", Unit::Bytes, peaks, is_notable);
    let limits = (
        number(one.memory_limit_bytes),
        number(other.memory_limit_bytes),
    );
    changes.number("memory limit", Unit::Bytes, limits, limits.0 != limits.1);
}

fn cost(changes: &mut Changes, before: &RunReport, after: &RunReport) {
    changes.section("cost");
    let (one, other) = (before.cost.as_ref(), after.cost.as_ref());
    if one.is_none() && other.is_none() {
        return;
    }
    let currency = |cost: Option<&CostOfRun>| cost.map(|cost| cost.currency.clone());
    let currencies = (currency(one), currency(other));
    let words = (currencies.0.as_deref(), currencies.1.as_deref());
    changes.words("currency", words, words.0 != words.1);
    let figures: [Taken<CostOfRun, Option<f64>>; 3] = [
        ("cost", |cost| Some(cost.amount)),
        ("cost of a million records", |cost| cost.per_million_records),
        ("forecast of the month", |cost| {
            cost.month.as_ref().map(|month| month.forecast)
        }),
    ];
    let is_long = match (one, other) {
        (Some(one), Some(other)) => is_time_notable(one.machine_seconds, other.machine_seconds),
        _ => false,
    };
    for (name, figure) in figures {
        let amounts = (one.and_then(figure), other.and_then(figure));
        let is_notable = match amounts {
            (Some(before), Some(after)) => is_long && is_far(before, after, LEAST_CHANGE_OF_TIME),
            _ => false,
        };
        if amounts != (None, None) {
            changes.number(name, Unit::Money, amounts, is_notable);
        }
    }
}
