//! Two distributions in so few bins that a person can look at them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Distributions, MOST_SHOWN};
use crate::monitor::rounded;
use crate::printable::storable;

/// What all categories are called that are not shown each by itself.
const OTHERS: &str = "all others";

/// Numbers that were counted in bins which meet at `edges`; neighbours are put together where there are too
/// many. `None` if a side has no values.
pub(super) fn numbers(edges: &[f64], reference: &[u64], current: &[u64]) -> Option<Distributions> {
    let totals = (total(reference)?, total(current)?);
    let bins = reference.len().min(current.len());
    let at_once = bins.div_ceil(MOST_SHOWN).max(1);
    let mut shown = Distributions::default();
    for first in (0..bins).step_by(at_once) {
        let end = (first + at_once).min(bins);
        let sum = |counts: &[u64]| counts[first..end].iter().sum::<u64>();
        // Bin `i` ends where edge `i` is.
        let lower = first.checked_sub(1).and_then(|index| edges.get(index));
        let upper = edges.get(end - 1);
        let name = match (lower, upper) {
            (Some(lower), Some(upper)) => format!("{} to {}", brief(*lower), brief(*upper)),
            (None, Some(upper)) => format!("below {}", brief(*upper)),
            (Some(lower), None) => format!("from {}", brief(*lower)),
            (None, None) => "all".to_owned(),
        };
        shown.bins.push(name);
        shown.reference.push(share(sum(reference), totals.0));
        shown.current.push(share(sum(current), totals.1));
    }
    Some(shown)
}

/// Categories, the most frequent of both sides first, and all others as one. `None` if a side has no values.
pub(super) fn categories(
    reference: &BTreeMap<&str, u64>,
    current: &BTreeMap<&str, u64>,
    totals: (u64, u64),
) -> Option<Distributions> {
    if totals.0 == 0 || totals.1 == 0 {
        return None;
    }
    let of = |counts: &BTreeMap<&str, u64>, name: &str| counts.get(name).copied().unwrap_or(0);
    let names: BTreeSet<&str> = reference.keys().chain(current.keys()).copied().collect();
    let mut shares: Vec<(&str, f64, f64)> = names
        .into_iter()
        .map(|name| {
            (
                name,
                share(of(reference, name), totals.0),
                share(of(current, name), totals.1),
            )
        })
        .collect();
    shares.sort_by(|one, other| {
        let size = |shares: &(&str, f64, f64)| shares.1.max(shares.2);
        size(other).total_cmp(&size(one)).then(one.0.cmp(other.0))
    });
    shares.truncate(MOST_SHOWN - 1);
    let mut shown = Distributions::default();
    for (name, before, now) in shares {
        shown.bins.push(storable(name));
        shown.reference.push(before);
        shown.current.push(now);
    }
    let rest = |shares: &[f64]| rounded((1.0 - shares.iter().sum::<f64>()).max(0.0));
    let (before, now) = (rest(&shown.reference), rest(&shown.current));
    // Less than that is what rounding left.
    if before.max(now) > 1e-4 {
        shown.bins.push(OTHERS.to_owned());
        shown.reference.push(before);
        shown.current.push(now);
    }
    Some(shown)
}

fn total(counts: &[u64]) -> Option<u64> {
    Some(counts.iter().sum()).filter(|total| *total > 0)
}

/// Five decimals: what is shown needs no more, and a report may hold a thousand columns.
fn share(part: u64, of: u64) -> f64 {
    (part as f64 / of as f64 * 1e5).round() / 1e5
}

/// A number in at most four significant digits, where it has no more before the point.
fn brief(number: f64) -> String {
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-3..1e6).contains(&magnitude) {
        return format!("{number:.2e}");
    }
    let whole = magnitude.max(1.0).log10().floor() as usize;
    let text = format!("{number:.*}", 3_usize.saturating_sub(whole));
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_that_are_put_together_keep_every_value() {
        let edges: Vec<f64> = (0..63).map(f64::from).collect();
        let counts: Vec<u64> = (0..64).collect();
        let shown = numbers(&edges, &counts, &counts).unwrap();
        assert!(shown.bins.len() <= MOST_SHOWN, "{}", shown.bins.len());
        assert_eq!(shown.bins[0], "below 3");
        assert_eq!(shown.bins.last().unwrap(), "from 59");
        assert!((shown.reference.iter().sum::<f64>() - 1.0).abs() < 1e-3);
        assert!(numbers(&edges, &counts, &[0; 64]).is_none());
    }

    #[test]
    fn of_many_categories_the_most_frequent_are_named() {
        let names: Vec<String> = (0..100).map(|number| format!("c{number:03}")).collect();
        let before: BTreeMap<&str, u64> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let now = BTreeMap::from([("new", 50), ("c050", 50)]);
        let shown = categories(&before, &now, (100, 100)).unwrap();
        assert_eq!(shown.bins.len(), MOST_SHOWN);
        assert_eq!(&shown.bins[..2], ["c050", "new"]);
        assert_eq!(shown.bins.last().unwrap(), OTHERS);
        assert!((shown.reference.iter().sum::<f64>() - 1.0).abs() < 1e-3);
        assert!((shown.current.iter().sum::<f64>() - 1.0).abs() < 1e-3);
    }

    #[test]
    fn numbers_are_brief() {
        for (number, text) in [
            (0.0, "0"),
            (0.12345, "0.123"),
            (12.5, "12.5"),
            (1234.0, "1234"),
            (12_345.6, "12346"),
            (-3.0, "-3"),
            (1e-9, "1.00e-9"),
            (2.5e12, "2.50e12"),
        ] {
            assert_eq!(brief(number), text);
        }
    }
}
