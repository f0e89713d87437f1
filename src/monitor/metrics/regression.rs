//! Metrics of numbers.

use super::{Metric, mean, sum};

/// Metrics of predicted numbers, in the unit of the target where not said otherwise. In the order
/// they come:
///
/// - `mae`: mean absolute error.
/// - `rmse`: square root of the mean squared error.
/// - `mape`: mean of absolute error over the truth's magnitude, a ratio (not percent). A
///   magnitude of less than the f64 epsilon counts as that, so rows whose truth is zero make it
///   huge.
/// - `median_absolute_error`: median of the absolute errors; of an even number of rows the mean of
///   the middle two.
/// - `r2`: share of the truth's variance that the predictions explain, negative where the mean
///   would have predicted better. Undefined for fewer than two rows and where the truth is
///   constant, for which scikit-learn gives 1 if every prediction is right and 0 if not.
/// - `bias`: mean of prediction minus truth; positive if predictions are too high.
///
/// Without rows, and where a sum overflows, they are undefined.
pub fn regression(truth: &[f64], predicted: &[f64]) -> Vec<Metric> {
    let rows = truth.len().min(predicted.len());
    let (truth, predicted) = (&truth[..rows], &predicted[..rows]);
    let pairs = || truth.iter().zip(predicted);
    let absolute_errors = || pairs().map(|(truth, predicted)| (predicted - truth).abs());
    let relative_errors =
        pairs().map(|(truth, predicted)| (predicted - truth).abs() / truth.abs().max(f64::EPSILON));
    let squared_errors = || absolute_errors().map(|error| error * error);
    vec![
        Metric::new("mae", mean(absolute_errors())),
        Metric::new("rmse", mean(squared_errors()).sqrt()),
        Metric::new("mape", mean(relative_errors)),
        Metric::new("median_absolute_error", median(absolute_errors().collect())),
        Metric::new("r2", explained(truth, sum(squared_errors()))),
        Metric::new(
            "bias",
            mean(pairs().map(|(truth, predicted)| predicted - truth)),
        ),
    ]
}

/// The coefficient of determination, from the sum of squared errors; NaN if there is no variance
/// to explain.
fn explained(truth: &[f64], squared_errors: f64) -> f64 {
    // Asked of the values: the deviations from a rounded mean need not be zero.
    if truth.windows(2).all(|pair| pair[0] == pair[1]) {
        return f64::NAN;
    }
    let center = mean(truth.iter().copied());
    1.0 - squared_errors / sum(truth.iter().map(|value| (value - center).powi(2)))
}

/// The median, in linear time; NaN without values.
fn median(mut values: Vec<f64>) -> f64 {
    let (count, middle) = (values.len(), values.len() / 2);
    if count == 0 {
        return f64::NAN;
    }
    let (lower, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if count % 2 == 1 {
        return *upper;
    }
    let lower = lower.iter().copied().max_by(f64::total_cmp);
    lower.map_or(*upper, |lower| lower.midpoint(*upper))
}
