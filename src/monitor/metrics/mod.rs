//! How good predictions were, once the truth is known: the metrics of each task.
//!
//! Where scikit-learn has a metric, its definition holds here too, so that a figure from training
//! and a figure from last night compare. Slices have one entry per row; where their lengths
//! differ, the shorter counts.

pub mod classification;
pub mod ranking;
pub mod regression;

#[cfg(test)]
mod tests;

/// One figure about predictions.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// What is measured, such as `f1`.
    pub name: &'static str,
    /// The class it is about; `None` if it is about all predictions.
    pub class: Option<String>,
    /// The figure, always finite; `None` where the metric is undefined for these rows.
    pub value: Option<f64>,
}

impl Metric {
    /// A figure about all predictions. NaN and infinities are what an undefined metric comes out
    /// as, and become `None`.
    fn new(name: &'static str, value: f64) -> Self {
        Self {
            name,
            class: None,
            value: value.is_finite().then_some(value),
        }
    }

    /// A figure about one class.
    fn of_class(name: &'static str, class: &str, value: f64) -> Self {
        Self {
            class: Some(class.to_owned()),
            ..Self::new(name, value)
        }
    }
}

/// How often which class was predicted for which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    /// All classes, in the model's order.
    pub classes: Vec<String>,
    /// Numbers of rows, by true class and within it by predicted class: row-major
    /// [truth, predicted], each in the order of `classes`.
    pub counts: Vec<u64>,
}

/// The sum, compensated (Neumaier, 1974): the error does not grow with the number of rows.
fn sum(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0);
    for value in values {
        let next = sum + value;
        lost += if sum.abs() >= value.abs() {
            (sum - next) + value
        } else {
            (value - next) + sum
        };
        sum = next;
    }
    sum + lost
}

/// The mean; NaN without values.
fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut count = 0_u64;
    let sum = sum(values.into_iter().inspect(|_| count += 1));
    sum / count as f64
}
