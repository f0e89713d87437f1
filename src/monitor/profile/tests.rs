use std::sync::Arc;

use proptest::prelude::*;

use super::categories::{Categories, CategoryCounter, KnownCategories};
use super::numbers::{NumberCounter, Numbers};
use super::{Counts, ShardProfile, Values};
use crate::error::{Class, classify};

fn edges() -> Arc<[f64]> {
    [-1.0, 0.0, 2.5].into()
}

fn count(values: &[f64]) -> NumberCounter {
    let mut counter = NumberCounter::new(edges(), 1.0);
    counter.add(values);
    for value in values {
        counter.add_to_sample(*value);
    }
    counter
}

#[test]
fn a_value_on_an_edge_belongs_to_the_bin_above() {
    let numbers = count(&[-2.0, -1.0, -0.5, 0.0, 2.4, 2.5, 9.0]).finish(1);
    assert_eq!(numbers.bins, [1, 2, 2, 2]);
    assert_eq!((numbers.minimum, numbers.maximum), (Some(-2.0), Some(9.0)));
    assert!((numbers.mean(1.0).unwrap() - 10.4 / 7.0).abs() < 1e-12);
    assert_eq!(Numbers::default().mean(1.0), None);
    assert_eq!(Numbers::default().standard_deviation(), None);
}

proptest! {
    #[test]
    fn parts_make_the_same_counts_as_the_whole(
        values in prop::collection::vec(-5.0..5.0f64, 0..3000),
        cuts in prop::collection::vec(0..3000usize, 0..6),
    ) {
        let whole = count(&values).finish(1);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(values.len())).collect();
        cuts.extend([0, values.len()]);
        cuts.sort_unstable();
        let mut parts = count(&[]);
        for range in cuts.windows(2) {
            // As it comes from another process.
            let part = serde_json::to_string(&count(&values[range[0]..range[1]])).unwrap();
            parts.append(serde_json::from_str(&part).unwrap());
        }
        let parts = parts.finish(1);
        prop_assert_eq!(&parts.bins, &whole.bins);
        prop_assert_eq!(&parts.points, &whole.points);
        prop_assert_eq!((parts.minimum, parts.maximum), (whole.minimum, whole.maximum));
        prop_assert!((parts.sum - whole.sum).abs() < 1e-6);
        prop_assert!((parts.squares - whole.squares).abs() < 1e-6);
    }
}

#[test]
fn quantiles_of_merged_shards_are_within_a_percent_of_the_rank() {
    // Skewed, and in an order that no shard sees as a whole.
    let values: Vec<f64> = (0..200_000u64)
        .map(|index| {
            let uniform = (index * 7919 % 200_003) as f64 / 200_003.0;
            -(1.0 - uniform).ln()
        })
        .collect();
    let mut merged = Numbers::default();
    for shard in values.chunks(10_000) {
        merged.merge(&count(shard).finish(1));
    }
    let mut sorted = values;
    sorted.sort_by(f64::total_cmp);
    for rank in [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99] {
        let value = merged.quantile(rank).unwrap();
        let found = sorted.partition_point(|other| *other < value) as f64 / sorted.len() as f64;
        assert!((found - rank).abs() < 0.01, "{rank}: {found}");
    }
    assert!(merged.points.len() <= 220, "{}", merged.points.len());
}

#[test]
fn values_that_overflow_leave_numbers() {
    let numbers = count(&[f64::MAX, -f64::MAX, f64::MAX, 0.0]).finish(1);
    assert!(numbers.sum.is_finite() && numbers.squares.is_finite());
    assert!(numbers.standard_deviation().unwrap().is_finite());
}

fn known(names: &[&str]) -> KnownCategories {
    KnownCategories {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        bins: (0..names.len()).map(Some).collect(),
        count_of_bins: names.len(),
    }
}

#[test]
fn known_categories_are_counted_and_unknown_ones_named() {
    let mut counter = CategoryCounter::new(known(&["a", "b"]));
    counter.add([1, 2, 2, 0, 0]);
    (0..7).for_each(|_| counter.add_unknown("often"));
    (0..4).for_each(|_| counter.add_unknown("seldom"));
    counter.add_unknown("of\0zero");
    let counts = counter.finish();
    assert_eq!(counts.bins, [1, 2]);
    assert_eq!(counts.rest, 12);
    // Four records may be one person's.
    assert_eq!(counts.others, [("often".to_owned(), 7)]);
    assert_eq!(counts.others_error, 4);
    assert_eq!(counts.count(), 15);
}

#[test]
fn a_frequent_name_is_found_among_a_crowd_and_its_bound_holds() {
    let mut merged = Categories::default();
    for shard in 0..5 {
        let mut counter = CategoryCounter::new(known(&[]));
        for index in 0..20_000 {
            match index % 10 {
                0 => counter.add_unknown("frequent"),
                _ => counter.add_unknown(&format!("{shard}-{index}")),
            }
        }
        merged.merge(&counter.finish());
    }
    let (name, count) = &merged.others[0];
    assert_eq!(name, "frequent");
    assert!(*count <= 10_000 && count + merged.others_error >= 10_000);
    assert_eq!(merged.rest, 100_000);
    assert!(merged.others.len() <= 64);
}

#[test]
fn a_stored_profile_reads_back_as_does_that_of_an_earlier_version() {
    let profile = ShardProfile {
        layout: "a layout".to_owned(),
        records: 3,
        series: vec![(
            Values {
                present: 3,
                ..Values::default()
            },
            Counts::Numbers(count(&[0.25, 0.5, 2.0]).finish(1)),
        )],
    };
    let json = serde_json::to_vec(&profile).unwrap();
    let stored = profile.to_bytes().unwrap();
    assert!(stored.len() < json.len());
    for bytes in [&stored, &json] {
        let read = ShardProfile::from_bytes(bytes).unwrap();
        assert_eq!(serde_json::to_vec(&read).unwrap(), json);
    }
    for damaged in [&stored[..stored.len() - 1], &json[1..], &[]] {
        let error = ShardProfile::from_bytes(damaged).unwrap_err();
        assert_eq!(classify(&error), Class::Internal, "{error}");
    }
}
