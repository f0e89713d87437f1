//! Drift of numbers.

use super::{Finding, SeriesDrift, corrected_psi, shown};
use crate::job::Thresholds;
use crate::monitor::measures::{jensen_shannon, kolmogorov_smirnov, psi, wasserstein};
use crate::monitor::profile::{Content, Series};
use crate::monitor::rounded;

/// The smallest standard deviation by which a distance is divided, as Evidently has it.
const SMALLEST_DEVIATION: f64 = 0.001;

pub(super) fn compare(
    reference: &Series,
    current: &Series,
    thresholds: &Thresholds,
    drift: &mut SeriesDrift,
    finding: &mut Finding,
) {
    let (
        Content::Numbers {
            edges,
            origin,
            numbers: before,
        },
        Content::Numbers {
            edges: current_edges,
            origin: current_origin,
            numbers: now,
        },
    ) = (&reference.content, &current.content)
    else {
        return;
    };
    let deviation = before.standard_deviation();
    drift.mean = now.mean(*current_origin).map(rounded);
    drift.reference_mean = before.mean(*origin).map(rounded);
    drift.standard_deviation = now.standard_deviation().map(rounded);
    drift.reference_standard_deviation = deviation.map(rounded);
    let measures = &mut drift.measures;
    // Profiles that were counted by other bins have no shares in common.
    if edges == current_edges {
        drift.distribution = shown::numbers(edges, &before.bins, &now.bins);
        let bins = before.bins.iter().copied().zip(now.bins.iter().copied());
        // A bin that neither side has values in is none of the data.
        let (reference, current): (Vec<u64>, Vec<u64>) =
            bins.filter(|(before, now)| before + now > 0).unzip();
        let (reference, current) = (&reference, &current);
        let corrected = corrected_psi(reference, current, true);
        measures.psi = psi(reference, current).map(rounded);
        measures.psi_corrected = corrected.map(|psi| psi.value);
        measures.psi_may_be_chance = corrected.is_some_and(|psi| psi.may_be_chance);
        measures.jensen_shannon = jensen_shannon(reference, current).map(rounded);
        measures.kolmogorov_smirnov = kolmogorov_smirnov(reference, current).map(rounded);
        finding.hold_psi(corrected, thresholds);
    }
    let distance = wasserstein(&before.points, &now.points);
    measures.wasserstein = distance
        .zip(deviation)
        .map(|(distance, deviation)| distance / deviation.max(SMALLEST_DEVIATION))
        .filter(|distance| distance.is_finite())
        .map(rounded);
    let measures = drift.measures;
    finding.hold(
        "Jensen–Shannon distance",
        measures.jensen_shannon,
        thresholds.jensen_shannon,
    );
    finding.hold(
        "Kolmogorov–Smirnov statistic",
        measures.kolmogorov_smirnov,
        thresholds.kolmogorov_smirnov,
    );
    finding.hold(
        "Wasserstein distance",
        measures.wasserstein,
        thresholds.wasserstein,
    );
}
