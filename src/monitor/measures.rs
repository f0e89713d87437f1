//! How far apart two distributions are: measures of drift, on counts.
//!
//! Each takes the counts of the same bins, first of the reference, then of what is compared with
//! it. Each is `None` where it is undefined: the lengths differ, or a side has no counts.

#[cfg(test)]
mod tests;

/// Expected count below which a bin is rare: the rule of thumb of Cochran (1952) for chi-square.
const LEAST_EXPECTED: f64 = 5.0;

/// Population stability index: the sum of (p − q)·ln(p / q) over the shares, from 0 without bound.
///
/// Exactly as Evidently 0.7 computes it. Shares of 0 become 0.0001 or, on a side whose least other
/// share is no more than that, a millionth of that share; nothing is normalised after that. So bins
/// that are empty on both sides count too when only one of them has such a small share: leave them
/// out (see [`merge_rare`]) unless Evidently's very number is wanted.
pub fn psi(reference: &[u64], current: &[u64]) -> Option<f64> {
    let pairs = share_pairs(reference, current)?;
    let reference_fill = fill(pairs.iter().map(|pair| pair.0));
    let current_fill = fill(pairs.iter().map(|pair| pair.1));
    let terms = pairs.iter().map(|&(reference, current)| {
        let reference = or_fill(reference, reference_fill);
        let current = or_fill(current, current_fill);
        (reference - current) * (reference / current).ln()
    });
    Some(terms.sum())
}

/// Jensen–Shannon distance, base e, from 0 to √ln 2 = 0.8326: the root of the divergence, of
/// shares as they are (SciPy's `jensenshannon`, to which Evidently, too, gives shares with their
/// zeros).
pub fn jensen_shannon(reference: &[u64], current: &[u64]) -> Option<f64> {
    let pairs = share_pairs(reference, current)?;
    let terms = pairs.iter().map(|&(reference, current)| {
        let sum = reference + current;
        if sum == 0.0 {
            return 0.0;
        }
        // From the difference, not the quotients: what rounding leaves of two nearly equal shares
        // would grow from 1e-16 to 1e-8 under the root.
        let difference = (reference - current) / sum;
        sum / 2.0 * (entropy_of_excess(difference) + entropy_of_excess(-difference))
    });
    let divergence = terms.sum::<f64>() / 2.0;
    Some(divergence.max(0.0).sqrt())
}

/// Kolmogorov–Smirnov statistic, from 0 to 1: the greatest difference of the cumulative shares.
/// The bins must be in order.
pub fn kolmogorov_smirnov(reference: &[u64], current: &[u64]) -> Option<f64> {
    let (reference_total, current_total) = totals(reference, current)?;
    let (mut reference_below, mut current_below) = (0_u128, 0_u128);
    let mut greatest = 0.0_f64;
    for (&reference, &current) in reference.iter().zip(current) {
        reference_below += u128::from(reference);
        current_below += u128::from(current);
        let difference =
            reference_below as f64 / reference_total - current_below as f64 / current_total;
        greatest = greatest.max(difference.abs());
    }
    Some(greatest)
}

/// L-infinity distance, from 0 to 1: the greatest difference of the shares.
pub fn l_infinity(reference: &[u64], current: &[u64]) -> Option<f64> {
    let pairs = share_pairs(reference, current)?;
    let differences = pairs
        .iter()
        .map(|(reference, current)| (reference - current).abs());
    Some(differences.fold(0.0, f64::max))
}

/// Cramér's V of the table of two rows and a column per bin, from 0 to 1, without correction
/// (SciPy's `association` with `method="cramer"`). Bins that are empty on both sides are left out.
pub fn cramers_v(reference: &[u64], current: &[u64]) -> Option<f64> {
    let (reference_total, current_total) = totals(reference, current)?;
    let pairs = share_pairs(reference, current)?;
    let row = reference_total / (reference_total + current_total);
    let other_row = current_total / (reference_total + current_total);
    let terms = pairs.iter().map(|&(reference, current)| {
        let column = row * reference + other_row * current;
        if column == 0.0 {
            return 0.0;
        }
        (reference - current).powi(2) / column
    });
    // Chi-square over the number of records: with two rows, the square of V.
    let square = row * other_row * terms.sum::<f64>();
    Some(square.clamp(0.0, 1.0).sqrt())
}

/// First Wasserstein distance between two sets of (value, weight), ascending by value, in the
/// unit of the values: the area between the cumulative shares (SciPy's `wasserstein_distance`).
///
/// Also `None` if a weight is negative or anything is not finite. Not normalised, which is for the
/// caller to do; Evidently divides by the greater of 0.001 and the standard deviation of the
/// reference (over all of it, not a sample's).
pub fn wasserstein(reference: &[(f64, f64)], current: &[(f64, f64)]) -> Option<f64> {
    let reference_total = total_weight(reference)?;
    let current_total = total_weight(current)?;
    let steps = reference
        .iter()
        .map(|&(value, weight)| (value, weight, 0.0));
    let other_steps = current.iter().map(|&(value, weight)| (value, 0.0, weight));
    let mut steps: Vec<(f64, f64, f64)> = steps.chain(other_steps).collect();
    // Two ascending runs: the standard sort merges them in one pass.
    steps.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut reference_below, mut current_below) = (0.0, 0.0);
    let mut distance = 0.0;
    for pair in steps.windows(2) {
        reference_below += pair[0].1;
        current_below += pair[0].2;
        let difference: f64 = reference_below / reference_total - current_below / current_total;
        distance += difference.abs() * (pair[1].0 - pair[0].0);
    }
    f64::is_finite(distance).then_some(distance)
}

/// What a measure is to be expected when nothing drifted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expectation {
    /// Its mean.
    pub mean: f64,
    /// Its standard deviation.
    pub standard_deviation: f64,
}

/// What [`psi`] is to be expected when both sides are samples of one distribution, of so many bins
/// and records.
///
/// PSI / (1/n + 1/m) is about chi-square with bins − 1 degrees of freedom (Yurdakul and Naranjo,
/// "Statistical properties of the population stability index", Journal of Risk Model Validation,
/// 2020). That needs bins that are not rare: see [`merge_rare`]. A side without records counts as
/// one.
pub fn psi_by_chance(bins: usize, reference: u64, current: u64) -> Expectation {
    let degrees = bins.saturating_sub(1) as f64;
    let scale = 1.0 / reference.max(1) as f64 + 1.0 / current.max(1) as f64;
    Expectation {
        mean: degrees * scale,
        standard_deviation: (2.0 * degrees).sqrt() * scale,
    }
}

/// Both sides' counts with their rare bins merged: those of which the smaller side is expected to
/// have less than 5, by the share of the bin in both sides together.
///
/// A rare bin that `is_ordered` goes to its neighbour on the right (the last to that on the left).
/// Rare categories go to one bin, the last of the result, which may be rare itself; it is left out
/// if it is empty on both sides and there are others. At least one bin remains. Counts of different
/// lengths come back as they are.
pub fn merge_rare(reference: &[u64], current: &[u64], is_ordered: bool) -> (Vec<u64>, Vec<u64>) {
    if reference.len() != current.len() {
        return (reference.to_vec(), current.to_vec());
    }
    let (reference_total, current_total) = (total(reference) as f64, total(current) as f64);
    let pooled_total = reference_total + current_total;
    let smaller_total = reference_total.min(current_total);
    // Of both sides together: by the reference's shares, a bin that is new would be expected to be
    // empty and always disappear, and which side is called the reference would matter.
    let is_rare = |bin: (u64, u64)| {
        (bin.0 as f64 + bin.1 as f64) * smaller_total < LEAST_EXPECTED * pooled_total
    };

    let mut kept: Vec<(u64, u64)> = Vec::new();
    let mut rest = (0_u64, 0_u64);
    for bin in reference.iter().copied().zip(current.iter().copied()) {
        if is_ordered {
            rest = sum(rest, bin);
            if !is_rare(rest) {
                kept.push(std::mem::take(&mut rest));
            }
        } else if is_rare(bin) {
            rest = sum(rest, bin);
        } else {
            kept.push(bin);
        }
    }
    match kept.last_mut() {
        Some(last) if is_ordered => *last = sum(*last, rest),
        Some(_) if rest == (0, 0) => {}
        None if reference.is_empty() => {}
        _ => kept.push(rest),
    }
    kept.into_iter().unzip()
}

/// Sum of two bins, by side.
fn sum(one: (u64, u64), other: (u64, u64)) -> (u64, u64) {
    (one.0.saturating_add(other.0), one.1.saturating_add(other.1))
}

/// Sum of counts, which a `u64` might not hold.
fn total(counts: &[u64]) -> u128 {
    counts.iter().copied().map(u128::from).sum()
}

/// Both sides' totals; `None` where measures are undefined.
fn totals(reference: &[u64], current: &[u64]) -> Option<(f64, f64)> {
    let (reference_total, current_total) = (total(reference), total(current));
    let is_defined = reference.len() == current.len() && reference_total > 0 && current_total > 0;
    is_defined.then_some((reference_total as f64, current_total as f64))
}

/// Both sides' shares by bin; `None` where measures are undefined.
fn share_pairs(reference: &[u64], current: &[u64]) -> Option<Vec<(f64, f64)>> {
    let (reference_total, current_total) = totals(reference, current)?;
    let pairs = reference.iter().zip(current).map(|(&reference, &current)| {
        let reference = reference as f64 / reference_total;
        (reference, current as f64 / current_total)
    });
    Some(pairs.collect())
}

/// What Evidently replaces a side's shares of 0 with.
fn fill(shares: impl Iterator<Item = f64>) -> f64 {
    let least = shares
        .filter(|&share| share > 0.0)
        .fold(f64::INFINITY, f64::min);
    if least <= 1e-4 { least / 1e6 } else { 1e-4 }
}

/// The share, or `fill` for 0.
fn or_fill(share: f64, fill: f64) -> f64 {
    if share == 0.0 { fill } else { share }
}

/// (1 + x)·ln(1 + x), which tends to 0 for x = −1.
fn entropy_of_excess(excess: f64) -> f64 {
    if excess <= -1.0 {
        return 0.0;
    }
    (1.0 + excess) * excess.ln_1p()
}

/// Sum of weights; `None` where [`wasserstein`] is undefined.
fn total_weight(points: &[(f64, f64)]) -> Option<f64> {
    let is_valid = |&(value, weight): &(f64, f64)| value.is_finite() && weight >= 0.0;
    let total: f64 = points.iter().map(|point| point.1).sum();
    (points.iter().all(is_valid) && total > 0.0 && total.is_finite()).then_some(total)
}
