//! The figures that a rule of `[[alert]]` can look at.

use std::fmt::Write;

/// Figures at least this alike in name are told when there is none of the name that was written.
const NEAR: f64 = 0.8;

/// A figure of a run, of its drift, of what its predictions were worth, or of what it cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    name: &'static str,
    of: Subject,
}

/// What a figure is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// The whole run.
    Run,
    /// The whole run, or what was found in one column.
    RunOrColumn,
    /// An input column.
    Column,
    /// An input column or an output, held against the reference.
    Series,
    /// A class that is predicted.
    Class,
    /// Predictions whose truth is known, of all classes or of one.
    Evaluation,
}

use Subject::{Class, Column, Evaluation, Run, RunOrColumn, Series};

/// All figures. [`crate::report`] says where each is taken from.
const METRICS: &[(&str, Subject)] = &[
    ("planned", Run),
    ("predicted", Run),
    ("filtered", Run),
    ("filtered_rate", Run),
    ("duplicates", Run),
    ("duplicate_rate", Run),
    ("row_change", Run),
    ("dead_letters", RunOrColumn),
    ("dead_letter_rate", RunOrColumn),
    ("imputed_rate", Column),
    ("clamped_rate", Column),
    ("unknown_rate", Column),
    ("cut_rate", Column),
    ("class_share", Class),
    ("mean_score", Run),
    ("mean_value", Run),
    ("exit_code", Run),
    ("attempts", Run),
    ("duration_seconds", Run),
    ("minutes_past_finish_by", Run),
    ("records_per_second", Run),
    ("p50_batch_ms", Run),
    ("p95_batch_ms", Run),
    ("p99_batch_ms", Run),
    ("cpu_share", Run),
    ("peak_memory_bytes", Run),
    ("peak_memory_share", Run),
    ("free_disk_bytes", Run),
    ("cost", Run),
    ("cost_per_million_records", Run),
    ("cost_forecast", Run),
    ("model_age_days", Run),
    ("drifted_inputs", Run),
    ("drifted_share", Run),
    ("drifted_outputs", Run),
    ("psi", Series),
    ("jensen_shannon", Series),
    ("kolmogorov_smirnov", Series),
    ("wasserstein", Series),
    ("cramers_v", Series),
    ("l_infinity", Series),
    ("missing_share", Series),
    ("missing_change", Series),
    ("new_categories", Series),
    ("vanished_categories", Series),
    ("accuracy", Evaluation),
    ("balanced_accuracy", Evaluation),
    ("precision", Evaluation),
    ("recall", Evaluation),
    ("f1", Evaluation),
    ("roc_auc", Evaluation),
    ("average_precision", Evaluation),
    ("brier", Evaluation),
    ("log_loss", Evaluation),
    ("expected_calibration_error", Evaluation),
    ("positive_share", Evaluation),
    ("precision_macro", Evaluation),
    ("recall_macro", Evaluation),
    ("f1_macro", Evaluation),
    ("precision_weighted", Evaluation),
    ("recall_weighted", Evaluation),
    ("f1_weighted", Evaluation),
    ("roc_auc_ovr_macro", Evaluation),
    ("mae", Evaluation),
    ("rmse", Evaluation),
    ("mape", Evaluation),
    ("median_absolute_error", Evaluation),
    ("r2", Evaluation),
    ("bias", Evaluation),
    ("hit_rate", Evaluation),
    ("mrr", Evaluation),
    ("ndcg", Evaluation),
];

impl Metric {
    /// The figure of this name, or what is wrong with the name and which one may be meant.
    pub(super) fn of(name: &str) -> Result<Self, (String, Option<String>)> {
        if let Some(metric) = Self::named(name) {
            return Ok(metric);
        }
        let mut problem = "expected a metric, one of".to_owned();
        for (index, (known, _)) in METRICS.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            // Writing to a String can not fail.
            let _ = write!(problem, "{comma} {known}");
        }
        let alike = METRICS
            .iter()
            .map(|(known, _)| (strsim::jaro_winkler(name, known), known))
            .max_by(|(one, _), (other, _)| one.total_cmp(other))
            .filter(|(alike, _)| *alike >= NEAR);
        Err((
            problem,
            alike.map(|(_, known)| format!("did you mean `{known}`?")),
        ))
    }

    /// The figure of this name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        let mut metrics = METRICS.iter();
        let (name, of) = metrics.find(|(known, _)| *known == name)?;
        Some(Self { name, of: *of })
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Whether it is only known once it is known what was true.
    pub fn is_of_evaluation(self) -> bool {
        self.of == Evaluation
    }

    /// Whether it is one of what was held against the reference.
    pub fn is_of_series(self) -> bool {
        self.of == Series
    }

    /// Whether it can be that of one column.
    pub fn takes_column(self) -> bool {
        matches!(self.of, RunOrColumn | Column | Series)
    }

    /// Whether it can be that of one class.
    pub fn takes_class(self) -> bool {
        matches!(self.of, Class | Evaluation)
    }

    /// Whether there is one for each class only.
    pub fn needs_class(self) -> bool {
        self.of == Class
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_nearly_right_is_told() {
        let (problem, hint) = Metric::of("acuracy").unwrap_err();
        assert!(problem.starts_with("expected a metric, one of planned, predicted"));
        assert_eq!(hint.as_deref(), Some("did you mean `accuracy`?"));
        assert_eq!(Metric::of("zzz").unwrap_err().1, None);
        assert!(Metric::of("psi").unwrap().takes_column());
    }

    #[test]
    fn no_name_is_there_twice() {
        let mut names: Vec<&str> = METRICS.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
