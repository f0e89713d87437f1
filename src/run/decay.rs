//! Whether a model is to be trained anew, and why.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::job::RetrainRules;
use crate::ledger::Ledger;
use crate::model::{Bundle, Task};
use crate::monitor::{Drift, Reference};
use crate::report::{DatedMetric, Decay};

/// Dates whose metric is told.
const LONGEST_HISTORY: u32 = 30;

/// The metric by which a task's decay is watched if the job names none.
pub fn watched_metric(task: Task) -> Option<&'static str> {
    match task {
        Task::Binary => Some("roc_auc"),
        Task::Multiclass => Some("f1_macro"),
        Task::Regression => Some("rmse"),
        Task::Ranking => Some("ndcg"),
        Task::Embedding => None,
    }
}

/// Metrics of which less is better.
const ERRORS: [&str; 7] = [
    "brier",
    "log_loss",
    "expected_calibration_error",
    "mae",
    "rmse",
    "mape",
    "median_absolute_error",
];

/// How the model that `reference` belongs to has aged, and whether the job's rules say that it is to be
/// trained anew. `drift` is that of the newest run.
///
/// # Errors
/// The database's.
pub fn decay(
    ledger: &mut Ledger,
    job: &str,
    bundle: &Bundle,
    reference: &Reference,
    rules: &RetrainRules,
    drift: Option<&Drift>,
) -> anyhow::Result<Decay> {
    let metric = rules.metric.as_deref().or(watched_metric(bundle.task));
    let model = (bundle.name.as_str(), bundle.version.as_str());
    let history = match metric {
        Some(metric) => history(ledger, job, model, metric)?,
        None => Vec::new(),
    };
    let today = Timestamp::now().to_zoned_datetime(TimeZone::UTC).date();
    let trained_at: Option<Date> = reference.trained_at.parse().ok();
    let age = trained_at.and_then(|day| day.until(today).ok().map(|span| span.get_days()));
    let since_training = ledger.ground_truth_since(job, &reference.trained_at)?;
    let mut decay = Decay {
        trained_at: reference.trained_at.clone(),
        model_age_days: age.map(i64::from),
        ground_truth_since_training: since_training,
        metric: metric.map(str::to_owned),
        baseline: metric.and_then(|metric| reference.baseline_of(metric, "")),
        history,
        retrain: Vec::new(),
    };
    decay.retrain = reasons(&decay, rules, drift);
    Ok(decay)
}

/// A metric of a model's predictions by date, as far as it is known by now, the newest last.
///
/// # Errors
/// The database's.
pub fn history(
    ledger: &mut Ledger,
    job: &str,
    model: (&str, &str),
    metric: &str,
) -> anyhow::Result<Vec<DatedMetric>> {
    let rows = ledger.metric_by_date(job, model, metric, LONGEST_HISTORY)?;
    let dated = rows.into_iter().rev().map(|row| DatedMetric {
        logical_date: row.logical_date,
        value: row.value,
        records: row.records,
    });
    Ok(dated.collect())
}

/// The rules that say so, in words.
fn reasons(decay: &Decay, rules: &RetrainRules, drift: Option<&Drift>) -> Vec<String> {
    let mut reasons = Vec::new();
    if let (Some(age), Some(most)) = (decay.model_age_days, rules.max_model_age_days)
        && age > most as i64
    {
        reasons.push(format!("the model is {age} days old, more than {most}"));
    }
    if let (Some(drift), Some(most)) = (drift, rules.max_drifted_share)
        && drift.share_of_drifted_inputs > most
    {
        reasons.push(format!(
            "{} of {} inputs have drifted, more than {:.0} %",
            drift.drifted_inputs,
            drift.inputs,
            100.0 * most
        ));
    }
    let newest = decay.history.iter().rev().find_map(|dated| {
        let value = dated.value?;
        Some((dated, value))
    });
    if let (Some(metric), Some(baseline), Some((dated, value)), Some(most)) =
        (&decay.metric, decay.baseline, newest, rules.max_metric_loss)
    {
        let loss = match ERRORS.contains(&metric.as_str()) {
            true => value - baseline,
            false => baseline - value,
        };
        if loss > most {
            reasons.push(format!(
                "{metric} was {value:.4} for {}, {loss:.4} worse than the baseline {baseline:.4}",
                dated.logical_date
            ));
        }
    }
    if let Some(enough) = rules.new_ground_truth
        && decay.ground_truth_since_training >= enough
    {
        reasons.push(format!(
            "{} records have got their ground truth since the training, {enough} are enough",
            decay.ground_truth_since_training
        ));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decay_with(value: f64, metric: &str, baseline: f64) -> Decay {
        Decay {
            trained_at: "2026-01-01".to_owned(),
            model_age_days: Some(91),
            ground_truth_since_training: 500,
            metric: Some(metric.to_owned()),
            baseline: Some(baseline),
            history: vec![DatedMetric {
                logical_date: "2026-03-01".to_owned(),
                value: Some(value),
                records: 100,
            }],
            retrain: Vec::new(),
        }
    }

    #[test]
    fn nothing_is_recommended_without_rules() {
        let decay = decay_with(0.1, "roc_auc", 0.9);
        assert!(reasons(&decay, &RetrainRules::default(), None).is_empty());
    }

    #[test]
    fn each_rule_tells_its_reason() {
        let rules = RetrainRules {
            max_model_age_days: Some(90),
            max_metric_loss: Some(0.05),
            new_ground_truth: Some(500),
            ..RetrainRules::default()
        };
        let found = reasons(&decay_with(0.7, "roc_auc", 0.8), &rules, None);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("91 days old"));
        assert!(found[1].contains("0.1000 worse"));
        assert!(found[2].contains("500 records"));
    }

    #[test]
    fn of_errors_less_is_better() {
        let rules = RetrainRules {
            max_metric_loss: Some(0.05),
            ..RetrainRules::default()
        };
        assert!(reasons(&decay_with(0.7, "rmse", 0.8), &rules, None).is_empty());
        assert_eq!(
            reasons(&decay_with(0.9, "rmse", 0.8), &rules, None).len(),
            1
        );
    }
}
