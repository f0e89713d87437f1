use std::collections::BTreeSet;

use serde_json::Value;

use super::classification::{binary, multiclass};
use super::ranking::ranking;
use super::regression::regression;
use super::{Metric, sum};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/golden/metrics.json");

/// The golden cases of a task, with their names.
fn cases(task: &str) -> Vec<(String, Value)> {
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(GOLDEN).unwrap()).unwrap();
    let cases = golden[task].as_object().unwrap();
    assert!(!cases.is_empty());
    cases
        .iter()
        .map(|(name, case)| (name.clone(), case.clone()))
        .collect()
}

fn numbers(list: &Value) -> Vec<f64> {
    let list = list.as_array().unwrap();
    list.iter().map(|number| number.as_f64().unwrap()).collect()
}

/// Numbers that are float32 in the golden file. Reading them may be off by one bit of an f64, which
/// narrowing rounds away.
fn floats(list: &Value) -> Vec<f32> {
    let wide = numbers(list).into_iter();
    wide.map(|number| number as f32).collect()
}

fn integers(list: &Value) -> Vec<u64> {
    let list = list.as_array().unwrap();
    list.iter().map(|number| number.as_u64().unwrap()).collect()
}

fn indices(list: &Value) -> Vec<u32> {
    integers(list)
        .into_iter()
        .map(|index| index as u32)
        .collect()
}

fn flags(list: &Value) -> Vec<bool> {
    integers(list).into_iter().map(|flag| flag == 1).collect()
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().unwrap();
    list.iter()
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

/// Holds a metric to what the golden file says, to 1e-9 of the value.
fn assert_value(case: &str, metric: &Metric, expected: &Value) {
    assert!(
        expected.is_null() || expected.is_number(),
        "{case}: {metric:?} is not in the golden file"
    );
    match (metric.value, expected.as_f64()) {
        (Some(value), Some(expected)) => {
            let difference = (value - expected).abs();
            // Of what is 0, relative accuracy asks too much: a rounding error is allowed.
            let allowed = (1e-9 * expected.abs()).max(1e-15);
            assert!(
                difference <= allowed,
                "{case}: {metric:?} instead of {expected}"
            );
        }
        (value, expected) => assert_eq!(value, expected, "{case}: {metric:?}"),
    }
}

/// Holds all metrics to the golden ones, and finds none missing in either.
fn assert_golden(name: &str, metrics: &[Metric], case: &Value) {
    let expected = case["expected"].as_object().unwrap();
    let overall = metrics.iter().filter(|metric| metric.class.is_none());
    assert_eq!(overall.clone().count(), expected.len(), "{name}");
    for metric in overall {
        assert!(expected.contains_key(metric.name), "{name}: {metric:?}");
        assert_value(name, metric, &expected[metric.name]);
    }
}

fn value(metrics: &[Metric], name: &str) -> Option<f64> {
    let mut named = metrics.iter().filter(|metric| metric.name == name);
    named.next().unwrap().value
}

fn assert_undefined(metrics: &[Metric]) {
    assert!(!metrics.is_empty());
    for metric in metrics {
        assert_eq!(metric.value, None, "{metric:?}");
    }
}

#[test]
fn binary_metrics_are_those_of_scikit_learn() {
    for (name, case) in cases("binary") {
        let (metrics, confusion) = binary(
            ["no", "yes"],
            &flags(&case["truth"]),
            &flags(&case["predicted"]),
            &floats(&case["scores"]),
        );
        assert_golden(&name, &metrics, &case);
        assert_eq!(confusion.classes, ["no", "yes"]);
        assert_eq!(confusion.counts, integers(&case["confusion"]), "{name}");
    }
}

#[test]
fn multiclass_metrics_are_those_of_scikit_learn() {
    for (name, case) in cases("multiclass") {
        let classes = texts(&case["classes"]);
        let (truth, predicted) = (indices(&case["truth"]), indices(&case["predicted"]));
        let probabilities = floats(&case["probabilities"]);
        let (metrics, confusion) = multiclass(&classes, &truth, &predicted, Some(&probabilities));
        assert_golden(&name, &metrics, &case);
        assert_eq!(confusion.classes, classes);
        assert_eq!(confusion.counts, integers(&case["confusion"]), "{name}");

        let of_classes = metrics.iter().filter(|metric| metric.class.is_some());
        assert_eq!(of_classes.clone().count(), 3 * classes.len());
        for metric in of_classes {
            let class = classes
                .iter()
                .position(|class| metric.class.as_ref() == Some(class))
                .unwrap();
            let expected = &case["expected_by_class"][metric.name][class];
            assert!(expected.is_number(), "{name}: {metric:?}");
            assert_value(&name, metric, expected);
        }

        let (without, _) = multiclass(&classes, &truth, &predicted, None);
        assert_eq!(without, metrics[..metrics.len() - 2]);
    }
}

#[test]
fn regression_metrics_are_those_of_scikit_learn() {
    for (name, case) in cases("regression") {
        let metrics = regression(&numbers(&case["truth"]), &numbers(&case["predicted"]));
        assert_golden(&name, &metrics, &case);
    }
}

#[test]
fn ranking_metrics_are_the_golden_ones() {
    for (name, case) in cases("ranking") {
        let lists = |key: &str| -> Vec<Vec<String>> {
            case[key].as_array().unwrap().iter().map(texts).collect()
        };
        let relevant: Vec<BTreeSet<String>> = lists("relevant")
            .into_iter()
            .map(|items| items.into_iter().collect())
            .collect();
        let k = case["k"].as_u64().unwrap() as usize;
        let metrics = ranking(&lists("rankings"), &relevant, k);
        assert_golden(&name, &metrics, &case);
    }
}

#[test]
fn without_rows_all_is_undefined() {
    let classes = ["a".to_owned(), "b".to_owned()];
    assert_undefined(&binary(["a", "b"], &[], &[], &[]).0);
    assert_undefined(&multiclass(&classes, &[], &[], None).0);
    assert_undefined(&multiclass(&classes, &[], &[], Some(&[])).0);
    assert_undefined(&multiclass(&[], &[0], &[0], Some(&[1.0])).0);
    assert_undefined(&regression(&[], &[]));
    assert_undefined(&ranking::<&str>(&[], &[], 10));
    assert_undefined(&ranking(&[vec!["a"]], &[BTreeSet::new()], 10));
    assert_undefined(&ranking(&[vec!["a"]], &[BTreeSet::from(["a"])], 0));
}

#[test]
fn surplus_rows_do_not_count() {
    let (metrics, confusion) = binary(["a", "b"], &[true, false, true], &[true, false], &[0.75; 9]);
    assert_eq!(confusion.counts, [1, 0, 0, 1]);
    assert_eq!(value(&metrics, "roc_auc"), Some(0.5));

    let classes = ["a".to_owned(), "b".to_owned()];
    let probabilities = [0.25, 0.75, 0.5, 0.5, 0.75];
    let (metrics, confusion) = multiclass(&classes, &[1, 2, 0], &[1, 0, 0], Some(&probabilities));
    assert_eq!(confusion.counts, [0, 0, 0, 1]);
    assert_eq!(value(&metrics, "accuracy"), Some(1.0));
    assert_eq!(value(&metrics, "recall_macro"), Some(0.5));
    assert_eq!(value(&metrics, "roc_auc_ovr_macro"), None);
    assert_eq!(value(&metrics, "log_loss"), Some(-0.75_f64.ln()));

    assert_eq!(value(&regression(&[1.0, 2.0], &[3.0]), "mae"), Some(2.0));
}

#[test]
fn what_is_not_finite_is_undefined() {
    let (metrics, _) = binary(["a", "b"], &[true, false], &[true, true], &[f32::NAN, 0.5]);
    for name in ["brier", "log_loss", "expected_calibration_error"] {
        assert_eq!(value(&metrics, name), None);
    }
    assert_eq!(value(&metrics, "accuracy"), Some(0.5));
    assert_undefined(&regression(&[f64::NAN, 1.0], &[1.0, f64::NAN]));
    let overflow = regression(&[-f64::MAX, f64::MAX], &[f64::MAX, -f64::MAX]);
    assert_undefined(&overflow[..2]);
}

#[test]
fn zeroes_of_either_sign_tie() {
    let (metrics, _) = binary(["a", "b"], &[true, false], &[true, true], &[0.0, -0.0]);
    assert_eq!(value(&metrics, "roc_auc"), Some(0.5));
    assert_eq!(value(&metrics, "average_precision"), Some(0.5));
}

#[test]
fn calibration_bins_hold_their_lower_bound_and_the_last_also_one() {
    let error = |truth: &[bool], scores: &[f32]| {
        let (metrics, _) = binary(["a", "b"], truth, truth, scores);
        value(&metrics, "expected_calibration_error")
    };
    // Errors of opposite sign cancel in a bin, and add where the bins differ.
    assert_eq!(error(&[true, false], &[0.5, 0.5625]), Some(0.03125));
    assert_eq!(error(&[true, false], &[0.5, 0.4375]), Some(0.46875));
    assert_eq!(error(&[true, false], &[0.9375, 1.0]), Some(0.46875));
}

#[test]
fn there_is_nothing_to_explain_of_constants() {
    assert_eq!(value(&regression(&[1.0], &[1.0]), "r2"), None);
    assert_eq!(value(&regression(&[0.1; 7], &[0.3; 7]), "r2"), None);
    let metrics = regression(&[1.0, 3.0], &[2.0, 2.0]);
    assert_eq!(value(&metrics, "r2"), Some(0.0));
    assert_eq!(value(&metrics, "bias"), Some(0.0));
}

#[test]
fn an_item_counts_once_and_only_among_the_first() {
    let relevant = [BTreeSet::from(["a", "b"]), BTreeSet::new()];
    let metrics = ranking(&[vec!["x", "a", "a", "b"], vec!["a"]], &relevant, 3);
    assert_eq!(value(&metrics, "hit_rate"), Some(1.0));
    assert_eq!(value(&metrics, "mrr"), Some(0.5));
    assert_eq!(value(&metrics, "recall"), Some(0.5));
    assert_eq!(value(&metrics, "precision"), Some(1.0 / 3.0));
    let ideal = 1.0 + 1.0 / 3.0_f64.log2();
    let expected = 1.0 / 3.0_f64.log2() / ideal;
    assert!((value(&metrics, "ndcg").unwrap() - expected).abs() < 1e-15);
}

#[test]
fn sums_keep_what_addition_loses() {
    assert_eq!(sum([1.0, 1e100, 1.0, -1e100]), 2.0);
    let tenths = sum(std::iter::repeat_n(0.1, 1_000_000));
    assert!((tenths - 1e5).abs() < 1e-9);
}
