use std::sync::Arc;

use super::*;
use crate::monitor::measures::{kolmogorov_smirnov, wasserstein};
use crate::monitor::profile::{Categories, Numbers, Values};

fn thresholds() -> Thresholds {
    Thresholds {
        psi_moderate: 0.1,
        psi_significant: 0.25,
        missing: 0.05,
        new_category: 0.01,
        vanished_category: 0.005,
        jensen_shannon: None,
        wasserstein: None,
        kolmogorov_smirnov: None,
        cramers_v: None,
        l_infinity: None,
        ignore: Default::default(),
    }
}

/// Sums of four pseudo-random numbers, about normal.
fn sample(size: usize, seed: u64, mean: f64, deviation: f64) -> Vec<f64> {
    let mut state = seed;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1u64 << 24) as f64 - 0.5
    };
    let mut number = || (0..4).map(|_| uniform()).sum::<f64>() * 3f64.sqrt();
    (0..size).map(|_| mean + deviation * number()).collect()
}

fn profile_of(values: &[f64], edges: &[f64]) -> Profile {
    let edges: Arc<[f64]> = edges.into();
    let numbers = Numbers::of(edges.clone(), values);
    Profile {
        records: values.len() as u64,
        series: vec![Series {
            name: "x".to_owned(),
            side: Side::Input,
            values: Values {
                present: values.len() as u64,
                ..Values::default()
            },
            content: Content::Numbers {
                edges: edges.to_vec(),
                origin: 0.0,
                numbers,
            },
        }],
    }
}

/// Twentieths of a sample.
fn twentieths(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (1..20)
        .map(|rank| sorted[rank * sorted.len() / 20])
        .collect()
}

#[test]
fn sketches_are_within_a_percent_of_all_values() {
    for (mean, deviation) in [(0.1, 1.0), (0.5, 1.0), (0.0, 1.6), (2.0, 0.5)] {
        let before = sample(20_000, 1, 0.0, 1.0);
        let now = sample(20_000, 2, mean, deviation);
        let edges = twentieths(&before);
        let drift = Drift::between(
            &profile_of(&before, &edges),
            &profile_of(&now, &edges),
            "reference",
            &thresholds(),
        );
        let measures = drift.series[0].measures;
        let points = |values: &[f64]| -> Vec<(f64, f64)> {
            values.iter().map(|value| (*value, 1.0)).collect()
        };
        let exact = wasserstein(&points(&before), &points(&now)).unwrap()
            / drift.series[0].reference_standard_deviation.unwrap();
        let found = measures.wasserstein.unwrap();
        assert!(
            (found - exact).abs() <= 0.01 * exact.max(1.0),
            "{found} is not {exact}"
        );
        // All values in bins of their own.
        let mut every: Vec<f64> = before.iter().chain(&now).copied().collect();
        every.sort_by(f64::total_cmp);
        let fine = |values: &[f64]| Numbers::of(every.clone().into(), values).bins;
        let exact = kolmogorov_smirnov(&fine(&before), &fine(&now)).unwrap();
        let found = measures.kolmogorov_smirnov.unwrap();
        assert!((found - exact).abs() < 0.01, "{found} is not {exact}");
    }
}

#[test]
fn small_samples_of_one_distribution_raise_nothing() {
    let before = sample(50_000, 1, 0.0, 1.0);
    let edges = twentieths(&before);
    let reference = profile_of(&before, &edges);
    let mut raised = 0;
    for seed in 0..400 {
        let size = [30, 100, 1_000, 5_000][seed % 4];
        let now = profile_of(&sample(size, 77 + seed as u64, 0.0, 1.0), &edges);
        let drift = Drift::between(&reference, &now, "reference", &thresholds());
        raised += drift.drifted_inputs;
    }
    assert!(raised <= 1, "{raised}");
}

#[test]
fn a_shift_is_told_in_samples_of_a_thousand() {
    let before = sample(50_000, 1, 0.0, 1.0);
    let edges = twentieths(&before);
    let now = profile_of(&sample(1_000, 9, 0.6, 1.0), &edges);
    let drift = Drift::between(
        &profile_of(&before, &edges),
        &now,
        "reference",
        &thresholds(),
    );
    assert_eq!(drift.series[0].level, Level::Significant);
    assert!(drift.series[0].reasons[0].starts_with("PSI"));
}

fn categories(counts: &[(&str, u64)], others: &[(&str, u64)]) -> Profile {
    let rest = others.iter().map(|(_, count)| count).sum::<u64>();
    let present = counts.iter().map(|(_, count)| count).sum::<u64>() + rest;
    let others = others
        .iter()
        .map(|(name, count)| ((*name).to_owned(), *count));
    Profile {
        records: present,
        series: vec![Series {
            name: "c".to_owned(),
            side: Side::Input,
            values: Values {
                present,
                ..Values::default()
            },
            content: Content::Categories {
                names: counts.iter().map(|(name, _)| (*name).to_owned()).collect(),
                categories: Categories {
                    bins: counts.iter().map(|(_, count)| *count).collect(),
                    rest,
                    others: others.collect(),
                    others_error: 0,
                },
            },
        }],
    }
}

fn between(reference: &Profile, current: &Profile) -> SeriesDrift {
    let drift = Drift::between(reference, current, "reference", &thresholds());
    drift.series.into_iter().next().unwrap()
}

#[test]
fn new_and_vanished_categories_are_named_with_their_share() {
    let before = categories(&[("a", 6_000), ("b", 3_900), ("c", 100), ("d", 0)], &[]);
    let now = categories(
        &[("a", 5_900), ("b", 3_800), ("c", 0), ("d", 150)],
        &[("e", 150)],
    );
    let drift = between(&before, &now);
    let names = |categories: &[CategoryShare]| -> Vec<String> {
        categories
            .iter()
            .map(|category| category.name.clone())
            .collect()
    };
    assert_eq!(names(&drift.new_categories), ["d", "e"]);
    assert_eq!(drift.new_categories[0].share, 0.015);
    assert_eq!(names(&drift.vanished_categories), ["c"]);
    assert_eq!(drift.level, Level::Moderate);
    // Rare unknown values do not hide that a known category is gone.
    let mut rare = now.clone();
    if let Content::Categories { categories, .. } = &mut rare.series[0].content {
        categories.others_error = 200;
    }
    assert_eq!(names(&between(&before, &rare).vanished_categories), ["c"]);
    // Of a few records none is missed.
    let few = categories(&[("a", 60), ("b", 39), ("c", 0), ("d", 0)], &[]);
    assert_eq!(between(&before, &few).level, Level::None);
}

#[test]
fn nothing_is_undefined_of_nothing() {
    let before = profile_of(&sample(1_000, 1, 0.0, 1.0), &[0.0]);
    let nothing = profile_of(&[], &[0.0]);
    for (one, other) in [
        (&before, &nothing),
        (&nothing, &before),
        (&nothing, &nothing),
    ] {
        let drift = Drift::between(one, other, "reference", &thresholds());
        let text = serde_json::to_string(&drift).unwrap();
        assert_eq!(drift.series[0].measures.psi, None);
        assert_eq!(drift.series[0].level, Level::None, "{text}");
    }
}
