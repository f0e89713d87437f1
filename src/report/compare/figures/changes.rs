//! How changes are noted, and which are notable.

use super::super::{
    Change, Figure, LEAST_CHANGE_OF_COUNT, LEAST_CHANGE_OF_TIME, LEAST_SECONDS, STANDARD_ERRORS,
    Unit,
};

/// A figure's name, and how it is taken from what holds it.
pub(super) type Taken<T, N> = (&'static str, fn(&T) -> N);

/// Changes as they are found.
#[derive(Default)]
pub(super) struct Changes {
    pub all: Vec<Change>,
    section: &'static str,
}

/// Records of a kind among others.
#[derive(Clone, Copy)]
pub(super) struct Sample {
    records: f64,
    of: f64,
}

impl Sample {
    pub fn new(records: u64, of: u64) -> Self {
        Self {
            records: records as f64,
            of: of as f64,
        }
    }

    /// Their share; `None` of no records.
    fn share(self) -> Option<f64> {
        (self.of > 0.0).then(|| self.records / self.of)
    }

    /// How far two shares are apart.
    pub fn distance(self, other: Self) -> f64 {
        match (self.share(), other.share()) {
            (Some(one), Some(other)) => (one - other).abs(),
            _ => 0.0,
        }
    }
}

impl Changes {
    /// What follows belongs to this section.
    pub fn section(&mut self, name: &'static str) {
        self.section = name;
    }

    /// A word, which is notable if it `may_be` and differs.
    pub fn word(&mut self, name: &str, before: &str, after: &str, may_be: bool) {
        let is_notable = may_be && before != after;
        self.words(name, (Some(before), Some(after)), is_notable);
    }

    pub fn words(
        &mut self,
        name: &str,
        (before, after): (Option<&str>, Option<&str>),
        is_notable: bool,
    ) {
        let figure = |word: Option<&str>| word.map(|word| Figure::Text(word.to_owned()));
        self.all.push(Change {
            section: self.section.to_owned(),
            name: name.to_owned(),
            unit: Unit::Text,
            before: figure(before),
            after: figure(after),
            change: None,
            is_notable,
        });
    }

    pub fn number(
        &mut self,
        name: &str,
        unit: Unit,
        (before, after): (Option<f64>, Option<f64>),
        is_notable: bool,
    ) {
        let change = match (before, after) {
            (Some(before), Some(after)) => relative(before, after),
            _ => None,
        };
        self.all.push(Change {
            section: self.section.to_owned(),
            name: name.to_owned(),
            unit,
            before: before.map(Figure::Number),
            after: after.map(Figure::Number),
            change,
            is_notable,
        });
    }

    /// Records or files.
    pub fn count(&mut self, name: &str, before: u64, after: u64) {
        let (before, after) = (before as f64, after as f64);
        let is_notable = is_far(before, after, LEAST_CHANGE_OF_COUNT);
        self.number(name, Unit::Count, (Some(before), Some(after)), is_notable);
    }

    pub fn share(&mut self, name: &str, before: Sample, after: Sample, least: f64) {
        let is_notable = is_share_notable(before, after, least);
        let shares = (before.share(), after.share());
        self.number(name, Unit::Share, shares, is_notable);
    }

    pub fn seconds(&mut self, name: &str, before: f64, after: f64) {
        let is_notable = is_time_notable(before, after);
        self.number(name, Unit::Seconds, (Some(before), Some(after)), is_notable);
    }
}

/// Difference over what it was, if it was something.
fn relative(before: f64, after: f64) -> Option<f64> {
    let change = (after - before) / before.abs();
    change.is_finite().then_some(change)
}

/// Whether the greater of two numbers is more than `least` above the other, relative to it; what was
/// nothing and is something is far.
pub(super) fn is_far(before: f64, after: f64, least: f64) -> bool {
    let smaller = before.abs().min(after.abs());
    (after - before).abs() > least * smaller
}

pub(super) fn is_time_notable(before: f64, after: f64) -> bool {
    (after - before).abs() >= LEAST_SECONDS && is_far(before, after, LEAST_CHANGE_OF_TIME)
}

/// Whether shares differ by more than `least`, and by more than chance does.
pub(super) fn is_share_notable(before: Sample, after: Sample, least: f64) -> bool {
    if before.of == 0.0 || after.of == 0.0 {
        return false;
    }
    let difference = before.distance(after);
    let pooled = (before.records + after.records) / (before.of + after.of);
    let variance = pooled * (1.0 - pooled) * (1.0 / before.of + 1.0 / after.of);
    difference > least && difference > STANDARD_ERRORS * variance.max(0.0).sqrt()
}
