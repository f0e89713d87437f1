//! Metrics of classes and their probabilities.

use super::{Confusion, Metric, mean, sum};

/// Bins of the calibration error.
const BINS: usize = 10;

/// Metrics of a binary classifier.
///
/// `classes` are the negative and the positive class; `truth` and `predicted` say whether a row is
/// of the positive class, and `scores` are probabilities of it. In the order they come:
///
/// - `accuracy`: share of rows predicted right.
/// - `balanced_accuracy`: mean recall over the classes that occur in the truth.
/// - `precision`, `recall`, `f1`: of the positive class; 0 where they divide by zero.
/// - `roc_auc`: area under the receiver operating characteristic by trapezoids, so a tie counts
///   half; undefined unless both classes occur in the truth.
/// - `average_precision`: sum over distinct scores, from the highest, of precision times the
///   recall gained, without interpolation; 0 without positive rows, as scikit-learn has it.
/// - `brier`: mean squared difference of probability and truth (0 or 1).
/// - `log_loss`: mean negative natural logarithm of the true class's probability, which is kept
///   one f64 epsilon away from 0 and 1.
/// - `expected_calibration_error`: rows are put in ten bins by score, bin i from i/10 up to but
///   without (i + 1)/10, the last with 1; of each bin the distance of mean score and positive
///   share, averaged with the bins' numbers of rows as weights (Naeini et al., AAAI 2015, on the
///   positive class's probability).
/// - `positive_share`: share of positive rows in the truth.
///
/// Without rows all are undefined.
pub fn binary(
    classes: [&str; 2],
    truth: &[bool],
    predicted: &[bool],
    scores: &[f32],
) -> (Vec<Metric>, Confusion) {
    let rows = truth.len().min(predicted.len()).min(scores.len());
    let (truth, predicted, scores) = (&truth[..rows], &predicted[..rows], &scores[..rows]);
    let scored = || {
        let scores = scores.iter().map(|&score| f64::from(score));
        scores.zip(truth.iter().copied())
    };

    let mut counts = vec![0; 4];
    for (&truth, &predicted) in truth.iter().zip(predicted) {
        counts[usize::from(truth) * 2 + usize::from(predicted)] += 1;
    }
    let confusion = Confusion {
        classes: classes.map(str::to_owned).to_vec(),
        counts,
    };
    let tallies = tallies(&confusion);
    let positive = tallies[1];
    let steps = steps(scores.iter().copied().zip(truth.iter().copied()).collect());

    let mut metrics = vec![
        Metric::new("accuracy", accuracy(&tallies)),
        Metric::new("balanced_accuracy", balanced_accuracy(&tallies)),
        Metric::new("precision", positive.precision()),
        Metric::new("recall", positive.recall()),
        Metric::new("f1", positive.f1()),
        Metric::new("roc_auc", roc_auc(&steps)),
        Metric::new("average_precision", average_precision(&steps)),
        Metric::new(
            "brier",
            mean(scored().map(|(score, truth)| (score - f64::from(truth)).powi(2))),
        ),
        Metric::new(
            "log_loss",
            mean(scored().map(|(score, truth)| loss(if truth { score } else { 1.0 - score }))),
        ),
        Metric::new("expected_calibration_error", calibration_error(scored())),
        Metric::new("positive_share", positive.truth as f64 / rows as f64),
    ];
    if rows == 0 {
        undefine(&mut metrics);
    }
    (metrics, confusion)
}

/// Metrics of a classifier of several classes.
///
/// `truth` and `predicted` are indices into `classes`; rows with an index beyond them are left
/// out. `probabilities` are row-major [rows, classes]. In the order they come:
///
/// - `accuracy`: share of rows predicted right.
/// - `balanced_accuracy`: mean recall over the classes that occur in the truth.
/// - `precision_macro`, `recall_macro`, `f1_macro`: plain means over all of `classes`, also those
///   that do not occur, which count as 0.
/// - `precision_weighted`, `recall_weighted`, `f1_weighted`: means weighted by the classes'
///   numbers of rows in the truth.
/// - `precision`, `recall`, `f1` of each class; 0 where they divide by zero.
/// - With probabilities, `roc_auc_ovr_macro`: plain mean over classes of the area under the
///   receiver operating characteristic of that class against the rest, ties counting half;
///   undefined unless every class occurs in the truth and there are at least two.
/// - With probabilities, `log_loss`: mean negative natural logarithm of the true class's
///   probability, which is kept one f64 epsilon away from 0 and 1.
///
/// Without rows all are undefined.
pub fn multiclass(
    classes: &[String],
    truth: &[u32],
    predicted: &[u32],
    probabilities: Option<&[f32]>,
) -> (Vec<Metric>, Confusion) {
    let width = classes.len();
    let mut rows = truth.len().min(predicted.len());
    if let Some(probabilities) = probabilities {
        rows = rows.min(probabilities.len().checked_div(width).unwrap_or(0));
    }
    let known: Vec<(usize, usize, usize)> = truth[..rows]
        .iter()
        .zip(predicted)
        .enumerate()
        .map(|(row, (&truth, &predicted))| (row, truth as usize, predicted as usize))
        .filter(|&(_, truth, predicted)| truth < width && predicted < width)
        .collect();

    let mut confusion = Confusion {
        classes: classes.to_vec(),
        counts: vec![0; width * width],
    };
    for &(_, truth, predicted) in &known {
        confusion.counts[truth * width + predicted] += 1;
    }
    let tallies = tallies(&confusion);

    let plain = |value: fn(&Tally) -> f64| mean(tallies.iter().map(value));
    let weighted = |value: fn(&Tally) -> f64| {
        let weighted = tallies
            .iter()
            .map(|tally| tally.truth as f64 * value(tally));
        sum(weighted) / known.len() as f64
    };
    let mut metrics = vec![
        Metric::new("accuracy", accuracy(&tallies)),
        Metric::new("balanced_accuracy", balanced_accuracy(&tallies)),
        Metric::new("precision_macro", plain(Tally::precision)),
        Metric::new("recall_macro", plain(Tally::recall)),
        Metric::new("f1_macro", plain(Tally::f1)),
        Metric::new("precision_weighted", weighted(Tally::precision)),
        Metric::new("recall_weighted", weighted(Tally::recall)),
        Metric::new("f1_weighted", weighted(Tally::f1)),
    ];
    for (class, tally) in classes.iter().zip(&tallies) {
        metrics.push(Metric::of_class("precision", class, tally.precision()));
        metrics.push(Metric::of_class("recall", class, tally.recall()));
        metrics.push(Metric::of_class("f1", class, tally.f1()));
    }
    if let Some(probabilities) = probabilities {
        let probability = |row: usize, class: usize| probabilities[row * width + class];
        let areas = (0..width).map(|class| {
            let scored = known
                .iter()
                .map(|&(row, truth, _)| (probability(row, class), truth == class));
            roc_auc(&steps(scored.collect()))
        });
        metrics.push(Metric::new("roc_auc_ovr_macro", mean(areas)));
        let losses = known
            .iter()
            .map(|&(row, truth, _)| loss(f64::from(probability(row, truth))));
        metrics.push(Metric::new("log_loss", mean(losses)));
    }
    if known.is_empty() {
        undefine(&mut metrics);
    }
    (metrics, confusion)
}

/// What a class's precision and recall are made of, in rows.
#[derive(Clone, Copy)]
struct Tally {
    /// Of the class and predicted to be.
    right: u64,
    /// Of the class.
    truth: u64,
    /// Predicted to be of the class.
    predicted: u64,
}

impl Tally {
    fn precision(&self) -> f64 {
        share(self.right, self.predicted)
    }

    fn recall(&self) -> f64 {
        share(self.right, self.truth)
    }

    fn f1(&self) -> f64 {
        share(2 * self.right, self.truth + self.predicted)
    }
}

/// `part / whole`, and 0 where that divides by zero, as `zero_division=0` of scikit-learn.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// The tally of each class.
fn tallies(confusion: &Confusion) -> Vec<Tally> {
    let (width, counts) = (confusion.classes.len(), &confusion.counts);
    (0..width)
        .map(|class| Tally {
            right: counts[class * width + class],
            truth: counts[class * width..(class + 1) * width].iter().sum(),
            predicted: counts.iter().skip(class).step_by(width).sum(),
        })
        .collect()
}

/// Share of rows predicted right; NaN without rows.
fn accuracy(tallies: &[Tally]) -> f64 {
    let right: u64 = tallies.iter().map(|tally| tally.right).sum();
    let rows: u64 = tallies.iter().map(|tally| tally.truth).sum();
    right as f64 / rows as f64
}

/// Mean recall over the classes that occur in the truth; NaN without rows.
fn balanced_accuracy(tallies: &[Tally]) -> f64 {
    let occurring = tallies.iter().filter(|tally| tally.truth > 0);
    mean(occurring.map(Tally::recall))
}

/// Rows of the same score.
#[derive(Clone, Copy, Default)]
struct Step {
    positive: u64,
    negative: u64,
}

/// Groups rows by score, the lowest first. A row is its score and whether it is positive.
fn steps(mut rows: Vec<(f32, bool)>) -> Vec<Step> {
    rows.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
    rows.chunk_by(|one, other| one.0 == other.0)
        .map(|tied| {
            let positive = tied.iter().filter(|row| row.1).count() as u64;
            Step {
                positive,
                negative: tied.len() as u64 - positive,
            }
        })
        .collect()
}

/// All positive and all negative rows.
fn totals(steps: &[Step]) -> Step {
    steps.iter().fold(Step::default(), |total, step| Step {
        positive: total.positive + step.positive,
        negative: total.negative + step.negative,
    })
}

/// Share of pairs of a positive and a negative row in which the positive has the higher score, a
/// tie counting half: the Mann-Whitney statistic, which equals the area by trapezoids. NaN without
/// such pairs.
fn roc_auc(steps: &[Step]) -> f64 {
    let total = totals(steps);
    // Twice the pairs, so that halves stay integers and the sum exact.
    let (mut won, mut below) = (0_u64, 0);
    for step in steps {
        won += step.positive * (2 * below + step.negative);
        below += step.negative;
    }
    won as f64 / (2 * total.positive * total.negative) as f64
}

/// Precision times recall gained, summed over distinct scores from the highest.
fn average_precision(steps: &[Step]) -> f64 {
    let total = totals(steps);
    let mut seen = Step::default();
    sum(steps.iter().rev().map(|step| {
        seen.positive += step.positive;
        seen.negative += step.negative;
        share(step.positive, total.positive) * share(seen.positive, seen.positive + seen.negative)
    }))
}

/// Negative natural logarithm of a probability, kept one epsilon away from 0 and 1.
fn loss(probability: f64) -> f64 {
    -probability.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

/// Distance of mean score and positive share, over bins of the score; NaN without rows.
fn calibration_error(scored: impl Iterator<Item = (f64, bool)>) -> f64 {
    let mut bins = vec![Vec::new(); BINS];
    let mut rows = 0_u64;
    for (score, positive) in scored {
        // Ten times an f32 is exact in f64, so no score lands beside its bin by rounding.
        let bin = ((score * BINS as f64) as usize).min(BINS - 1);
        bins[bin].push(score - f64::from(positive));
        rows += 1;
    }
    // A bin's share of rows times the distance of its means is the distance of its sums over all
    // rows.
    sum(bins.into_iter().map(|differences| sum(differences).abs())) / rows as f64
}

/// Leaves no value where there were no rows: scikit-learn's zeroes would be read as failure.
fn undefine(metrics: &mut [Metric]) {
    for metric in metrics {
        metric.value = None;
    }
}
