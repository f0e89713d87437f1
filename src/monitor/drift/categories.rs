//! Drift of categories.

use std::collections::{BTreeMap, BTreeSet};

use super::{CategoryShare, Finding, Level, SeriesDrift, corrected_psi, shown};
use crate::job::Thresholds;
use crate::monitor::measures::{cramers_v, jensen_shannon, l_infinity, psi};
use crate::monitor::profile::Categories;
use crate::monitor::rounded;
use crate::printable::storable;

/// One side of the comparison.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    /// Categories with a bin.
    pub names: &'a [String],
    /// Counts.
    pub counts: &'a Categories,
}

/// Records of a category that are to be expected, at least, before it is told that none came.
const EXPECTED: f64 = 20.0;

impl<'a> Side<'a> {
    fn binned(&self) -> BTreeMap<&'a str, u64> {
        let names = self.names.iter().map(String::as_str);
        names.zip(self.counts.bins.iter().copied()).collect()
    }

    /// Counts by name, the names of others among them.
    fn named(&self) -> BTreeMap<&'a str, u64> {
        let mut named = self.binned();
        for (name, count) in &self.counts.others {
            *named.entry(name).or_default() += count;
        }
        named
    }

    /// The greatest share that a category which is not named may have.
    fn unnamed_share(&self) -> f64 {
        self.counts.others_error as f64 / self.counts.count().max(1) as f64
    }
}

pub(super) fn compare(
    reference: Side<'_>,
    current: Side<'_>,
    thresholds: &Thresholds,
    drift: &mut SeriesDrift,
    finding: &mut Finding,
) {
    let (before, now) = shares_of(reference, current);
    drift.distribution = shown::categories(
        &reference.named(),
        &current.named(),
        (reference.counts.count(), current.counts.count()),
    );
    let measures = &mut drift.measures;
    let corrected = corrected_psi(&before, &now, false);
    measures.psi = psi(&before, &now).map(rounded);
    measures.psi_corrected = corrected.map(|psi| psi.value);
    measures.psi_may_be_chance = corrected.is_some_and(|psi| psi.may_be_chance);
    measures.jensen_shannon = jensen_shannon(&before, &now).map(rounded);
    measures.cramers_v = cramers_v(&before, &now).map(rounded);
    measures.l_infinity = l_infinity(&before, &now).map(rounded);
    finding.hold_psi(corrected, thresholds);
    finding.hold(
        "Jensen–Shannon distance",
        measures.jensen_shannon,
        thresholds.jensen_shannon,
    );
    finding.hold("Cramér's V", measures.cramers_v, thresholds.cramers_v);
    finding.hold(
        "greatest change of a share",
        measures.l_infinity,
        thresholds.l_infinity,
    );
    drift.new_categories = missing_on(reference, current, thresholds.new_category, 0.0);
    drift.vanished_categories =
        missing_on(current, reference, thresholds.vanished_category, EXPECTED);
    for (what, categories) in [
        ("new", &drift.new_categories),
        ("vanished", &drift.vanished_categories),
    ] {
        if !categories.is_empty() {
            finding.add(Level::Moderate, format!("{what}: {}", listed(categories)));
        }
    }
}

/// Counts of the categories that both sides count each by itself, and of all others.
fn shares_of(reference: Side<'_>, current: Side<'_>) -> (Vec<u64>, Vec<u64>) {
    let (before, now) = (reference.binned(), current.binned());
    let common: BTreeSet<&str> = before
        .keys()
        .copied()
        .filter(|name| now.contains_key(name))
        .collect();
    let counts = |side: Side<'_>, binned: &BTreeMap<&str, u64>| {
        let mut counts: Vec<u64> = common.iter().map(|name| binned[name]).collect();
        let counted: u64 = counts.iter().sum();
        counts.push(side.counts.count() - counted);
        counts
    };
    let (before, now) = (counts(reference, &before), counts(current, &now));
    // A category that neither side has is none of the data.
    let pairs = before.into_iter().zip(now);
    pairs.filter(|(before, now)| before + now > 0).unzip()
}

/// Categories of `there` that `absent` has not one of, with at least the share `least` on the side that has
/// them, and of which so many were to be expected on the other.
fn missing_on(absent: Side<'_>, there: Side<'_>, least: f64, expected: f64) -> Vec<CategoryShare> {
    let (size, size_without) = (there.counts.count() as f64, absent.counts.count() as f64);
    if size == 0.0 || size_without == 0.0 {
        return Vec::new();
    }
    let (named, binned) = (absent.named(), absent.binned());
    // What has no bin may be there without being named.
    let may_be_unnamed = absent.unnamed_share() >= least;
    let mut found: Vec<CategoryShare> = there
        .named()
        .into_iter()
        .filter(|(name, _)| named.get(name).is_none_or(|count| *count == 0))
        .filter(|(name, _)| binned.contains_key(name) || !may_be_unnamed)
        .map(|(name, count)| CategoryShare {
            name: storable(name),
            share: rounded(count as f64 / size),
        })
        .filter(|category| category.share >= least && category.share * size_without >= expected)
        .collect();
    found.sort_by(|one, other| {
        (other.share.total_cmp(&one.share)).then_with(|| one.name.cmp(&other.name))
    });
    found
}

fn listed(categories: &[CategoryShare]) -> String {
    const SHOWN: usize = 5;
    let shown = categories.iter().take(SHOWN);
    let mut words: Vec<String> = shown
        .map(|category| format!("{} {:.1} %", category.name, 100.0 * category.share))
        .collect();
    if categories.len() > SHOWN {
        words.push(format!("{} more", categories.len() - SHOWN));
    }
    words.join(", ")
}
