use serde_json::Value;

use super::*;

const GOLDEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/fixtures/golden/drift-measures.json"
);

/// The golden cases of a group, with their names.
fn cases(group: &str) -> Vec<(String, Value)> {
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(GOLDEN).unwrap()).unwrap();
    let cases = golden[group].as_object().unwrap();
    assert!(!cases.is_empty());
    cases
        .iter()
        .map(|(name, case)| (name.clone(), case.clone()))
        .collect()
}

fn integers(list: &Value) -> Vec<u64> {
    let list = list.as_array().unwrap();
    list.iter().map(|number| number.as_u64().unwrap()).collect()
}

fn numbers(list: &Value) -> Vec<f64> {
    let list = list.as_array().unwrap();
    list.iter().map(|number| number.as_f64().unwrap()).collect()
}

/// Values with their weights, or with weights of 1.
fn points(values: &Value, weights: &Value) -> Vec<(f64, f64)> {
    let values = numbers(values);
    let weights = if weights.is_null() {
        vec![1.0; values.len()]
    } else {
        numbers(weights)
    };
    assert_eq!(values.len(), weights.len());
    values.into_iter().zip(weights).collect()
}

/// Holds a value to what the golden file says, to 1e-9.
fn assert_near(case: &str, value: Option<f64>, expected: &Value) {
    let (value, expected) = (value.unwrap(), expected.as_f64().unwrap());
    assert!(
        (value - expected).abs() <= 1e-9 * expected.abs().max(1.0),
        "{case}: {value} instead of {expected}"
    );
}

/// A measure of the counts of two sides.
type Measure = fn(&[u64], &[u64]) -> Option<f64>;

/// The measures, by their names in the golden file.
const MEASURES: [(&str, Measure); 5] = [
    ("psi", psi),
    ("jensen_shannon", jensen_shannon),
    ("kolmogorov_smirnov", kolmogorov_smirnov),
    ("l_infinity", l_infinity),
    ("cramers_v", cramers_v),
];

#[test]
fn counts_are_measured_as_evidently_and_scipy_do() {
    for (name, case) in cases("counts") {
        let reference = integers(&case["reference"]);
        let current = integers(&case["current"]);
        assert_eq!(case["expected"].as_object().unwrap().len(), MEASURES.len());
        for (measure, function) in MEASURES {
            let value = function(&reference, &current);
            assert_near(
                &format!("{measure}, {name}"),
                value,
                &case["expected"][measure],
            );
        }
    }
}

#[test]
fn points_are_measured_as_evidently_and_scipy_do() {
    let mut normed = 0;
    for (name, case) in cases("points") {
        let reference = points(&case["reference"], &case["reference_weights"]);
        let current = points(&case["current"], &case["current_weights"]);
        let distance = wasserstein(&reference, &current);
        assert_near(&name, distance, &case["expected"]["distance"]);
        assert_near(
            &name,
            wasserstein(&current, &reference),
            &case["expected"]["distance"],
        );
        if let Some(deviation) = case["reference_deviation"].as_f64() {
            let value = distance.map(|distance| distance / deviation.max(0.001));
            assert_near(&name, value, &case["expected"]["normed"]);
            normed += 1;
        }
    }
    assert!(normed > 0);
}

#[test]
fn what_is_undefined_is_none() {
    for (name, measure) in MEASURES {
        assert_eq!(measure(&[], &[]), None, "{name}");
        assert_eq!(measure(&[0, 0], &[0, 0]), None, "{name}");
        assert_eq!(measure(&[1, 2], &[0, 0]), None, "{name}");
        assert_eq!(measure(&[0, 0], &[1, 2]), None, "{name}");
        assert_eq!(measure(&[1, 2], &[1, 2, 3]), None, "{name}");
    }
    let one = [(1.0, 1.0)];
    assert_eq!(wasserstein(&[], &one), None);
    assert_eq!(wasserstein(&one, &[]), None);
    assert_eq!(wasserstein(&one, &[(1.0, 0.0)]), None);
    assert_eq!(wasserstein(&one, &[(1.0, 2.0), (2.0, -1.0)]), None);
    assert_eq!(wasserstein(&one, &[(f64::NAN, 1.0)]), None);
    assert_eq!(wasserstein(&one, &[(1.0, f64::INFINITY)]), None);
    assert_eq!(wasserstein(&[(f64::MAX, 1.0)], &[(f64::MIN, 1.0)]), None);
}

#[test]
fn one_bin_never_differs() {
    for (name, measure) in MEASURES {
        assert_eq!(measure(&[3], &[1_000]), Some(0.0), "{name}");
        assert_eq!(measure(&[0, 3], &[0, 1_000]), Some(0.0), "{name}");
    }
    assert_eq!(wasserstein(&[(2.0, 1.0)], &[(2.0, 9.0)]), Some(0.0));
}

#[test]
fn large_counts_are_measured_as_small_ones() {
    let (reference, current) = ([1_u64, 2, 3], [3_u64, 2, 1]);
    for factor in [1_000_000_000, u64::MAX / 3] {
        let large = reference.map(|count| count * factor);
        let other = current.map(|count| count * factor);
        for (name, measure) in MEASURES {
            let small = measure(&reference, &current).unwrap();
            let difference = measure(&large, &other).unwrap() - small;
            assert!(difference.abs() < 1e-9, "{name}");
        }
        assert_eq!(merge_rare(&large, &other, true).0, large);
    }
    for (name, measure) in MEASURES {
        let value = measure(&[u64::MAX, 1, 0], &[0, 1, u64::MAX]).unwrap();
        assert!(value.is_finite(), "{name}");
    }
}

#[test]
fn nearly_equal_shares_are_hardly_apart() {
    // One record in a million: the distance's first-order term is |p − q| / √(8·p·(1 − p)).
    let distance = jensen_shannon(&[500_000, 500_000], &[500_001, 499_999]).unwrap();
    assert!((distance - 1e-6 / 2.0_f64.sqrt()).abs() < 1e-12);
}

#[test]
fn rare_bins_go_to_a_neighbour() {
    let merge = |reference: &[u64], current: &[u64]| merge_rare(reference, current, true);
    // The first, the empty one and the last are rare.
    assert_eq!(
        merge(&[1, 50, 0, 40, 9, 0], &[1, 50, 0, 40, 7, 2]),
        (vec![51, 40, 9], vec![51, 40, 9])
    );
    // Several in a row, until they suffice together.
    assert_eq!(merge(&[3, 3, 94], &[3, 3, 94]), (vec![6, 94], vec![6, 94]));
    assert_eq!(merge(&[1, 1], &[1, 1]), (vec![2], vec![2]));
    assert_eq!(merge(&[100, 100], &[0, 0]), (vec![200], vec![0]));
}

#[test]
fn rare_categories_go_to_one_bin() {
    let merge = |reference: &[u64], current: &[u64]| merge_rare(reference, current, false);
    assert_eq!(
        merge(&[1, 50, 2, 40, 7], &[2, 50, 1, 40, 7]),
        (vec![50, 40, 7, 3], vec![50, 40, 7, 3])
    );
    // What is new stays, if it is many.
    assert_eq!(merge(&[100, 0], &[80, 20]), (vec![100, 0], vec![80, 20]));
    // Empty on both sides: nothing to keep.
    assert_eq!(merge(&[60, 0, 40], &[50, 0, 50]).0, [60, 40]);
    assert_eq!(merge(&[1, 1], &[1, 1]), (vec![2], vec![2]));
    assert_eq!(merge(&[100, 100], &[0, 0]), (vec![200], vec![0]));
}

#[test]
fn the_bound_of_rare_is_five_of_the_smaller_side() {
    // Expected of the second bin, in the side of 100: 10 / 200 · 100 = 5, and 4.5.
    assert_eq!(merge_rare(&[90, 10], &[100, 0], true).0.len(), 2);
    assert_eq!(merge_rare(&[91, 9], &[100, 0], true).0.len(), 1);
    // As many on a side ten times as large: 10 / 1100 · 100 < 1.
    assert_eq!(merge_rare(&[990, 10], &[100, 0], true).0.len(), 1);
}

#[test]
fn merging_leaves_alone_what_can_not_be_merged() {
    for is_ordered in [false, true] {
        assert_eq!(merge_rare(&[], &[], is_ordered), (vec![], vec![]));
        assert_eq!(merge_rare(&[1], &[1, 2], is_ordered), (vec![1], vec![1, 2]));
        assert_eq!(merge_rare(&[1], &[0], is_ordered), (vec![1], vec![0]));
    }
}

/// A linear congruential generator (Knuth's MMIX): numbers of [0, 1).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Counts by bin of so many draws.
    fn sample(&mut self, cumulative_shares: &[f64], draws: usize) -> Vec<u64> {
        let mut counts = vec![0; cumulative_shares.len()];
        for _ in 0..draws {
            let draw = self.next();
            let bin = cumulative_shares.partition_point(|&share| share <= draw);
            counts[bin.min(cumulative_shares.len() - 1)] += 1;
        }
        counts
    }
}

#[test]
fn psi_without_drift_is_as_expected_by_chance() {
    let cumulative_shares = [0.05, 0.15, 0.3, 0.5, 0.6, 0.75, 0.9, 1.0];
    let (reference, current) = (2_000, 700);
    let mut random = Random(1);
    let values: Vec<f64> = (0..600)
        .map(|_| {
            let reference = random.sample(&cumulative_shares, reference);
            psi(&reference, &random.sample(&cumulative_shares, current)).unwrap()
        })
        .collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares = values.iter().map(|value| (value - mean).powi(2));
    let deviation = (squares.sum::<f64>() / values.len() as f64).sqrt();
    let expected = psi_by_chance(cumulative_shares.len(), reference as u64, current as u64);
    assert!((mean / expected.mean - 1.0).abs() < 0.1, "{mean}");
    let ratio = deviation / expected.standard_deviation;
    assert!((ratio - 1.0).abs() < 0.15, "{deviation}");
}

#[test]
fn chance_is_finite_without_bins_or_records() {
    for (bins, reference, current) in [(0, 0, 0), (1, 0, 9), (5, 0, 9), (5, 9, 0)] {
        let chance = psi_by_chance(bins, reference, current);
        assert!(chance.mean.is_finite() && chance.standard_deviation.is_finite());
    }
    assert_eq!(psi_by_chance(1, 10, 10).mean, 0.0);
}
