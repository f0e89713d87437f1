//! From which difference on a job's data counts as drifted, and when its model is to be trained anew.

use std::collections::BTreeSet;

use super::places::Places;
use super::spec::DriftSection;
use crate::error::Failure;

/// `[drift]`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct DriftRules {
    /// Whether runs count what their records and predictions look like.
    pub profile: bool,
    /// How large a difference must be to be told.
    pub thresholds: Thresholds,
    /// When to train anew.
    pub retrain: RetrainRules,
}

/// How large a difference must be to be told. `None` tells none.
#[derive(Clone, Debug, PartialEq)]
pub struct Thresholds {
    /// Population stability index from which on a series has drifted moderately.
    pub psi_moderate: f64,
    /// From which on it has drifted significantly.
    pub psi_significant: f64,
    /// Change of the share of missing values.
    pub missing: f64,
    /// Share of a category that the reference does not have.
    pub new_category: f64,
    /// Share in the reference of a category that has vanished.
    pub vanished_category: f64,
    /// Jensen–Shannon distance.
    pub jensen_shannon: Option<f64>,
    /// Wasserstein distance by the reference's standard deviation.
    pub wasserstein: Option<f64>,
    /// Kolmogorov–Smirnov statistic.
    pub kolmogorov_smirnov: Option<f64>,
    /// Cramér's V.
    pub cramers_v: Option<f64>,
    /// Greatest change of a category's share.
    pub l_infinity: Option<f64>,
    /// Columns and outputs that may drift untold.
    pub ignore: BTreeSet<String>,
}

impl Default for Thresholds {
    /// Those of a job that says nothing of it.
    fn default() -> Self {
        let section = DriftSection::default();
        Self {
            psi_moderate: section.psi_moderate,
            psi_significant: section.psi_significant,
            missing: section.missing,
            new_category: section.new_category,
            vanished_category: section.vanished_category,
            jensen_shannon: section.jensen_shannon,
            wasserstein: section.wasserstein,
            kolmogorov_smirnov: section.kolmogorov_smirnov,
            cramers_v: section.cramers_v,
            l_infinity: section.l_infinity,
            ignore: BTreeSet::new(),
        }
    }
}

/// When a model is to be trained anew. A rule that is `None` never says so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RetrainRules {
    /// It was trained more days ago.
    pub max_model_age_days: Option<u64>,
    /// A greater share of its inputs has drifted.
    pub max_drifted_share: Option<f64>,
    /// The metric that is watched; by default the first that the task's evaluation has a baseline for.
    pub metric: Option<String>,
    /// That metric is worse than the bundle's baseline by more.
    pub max_metric_loss: Option<f64>,
    /// So many records got their ground truth since.
    pub new_ground_truth: Option<u64>,
}

pub(super) fn resolve(section: DriftSection, places: &Places) -> Result<DriftRules, Failure> {
    let share = |key: &str, value: f64| match (0.0..=1.0).contains(&value) {
        true => Ok(value),
        false => {
            let problem = format!("expected a share between 0 and 1, found {value}");
            Err(places.failure("drift", key, problem))
        }
    };
    let size = |key: &str, value: f64| match value.is_finite() && value >= 0.0 {
        true => Ok(value),
        false => {
            let problem = format!("expected a number from 0 on, found {value}");
            Err(places.failure("drift", key, problem))
        }
    };
    let optional = |key: &str, value: Option<f64>| value.map(|value| size(key, value)).transpose();
    if section.psi_significant < section.psi_moderate {
        let problem = format!(
            "must not be less than psi_moderate, {}",
            section.psi_moderate
        );
        return Err(places.failure("drift", "psi_significant", problem));
    }
    Ok(DriftRules {
        profile: section.profile,
        thresholds: Thresholds {
            psi_moderate: size("psi_moderate", section.psi_moderate)?,
            psi_significant: size("psi_significant", section.psi_significant)?,
            missing: share("missing", section.missing)?,
            new_category: share("new_category", section.new_category)?,
            vanished_category: share("vanished_category", section.vanished_category)?,
            jensen_shannon: optional("jensen_shannon", section.jensen_shannon)?,
            wasserstein: optional("wasserstein", section.wasserstein)?,
            kolmogorov_smirnov: optional("kolmogorov_smirnov", section.kolmogorov_smirnov)?,
            cramers_v: optional("cramers_v", section.cramers_v)?,
            l_infinity: optional("l_infinity", section.l_infinity)?,
            ignore: section.ignore.into_iter().collect(),
        },
        retrain: RetrainRules {
            max_model_age_days: section.max_model_age_days,
            max_drifted_share: section
                .max_drifted_share
                .map(|value| share("max_drifted_share", value))
                .transpose()?,
            metric: section.metric,
            max_metric_loss: optional("max_metric_loss", section.max_metric_loss)?,
            new_ground_truth: section.new_ground_truth,
        },
    })
}
