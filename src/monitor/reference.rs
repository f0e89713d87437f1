//! What the training data looked like: `reference.json` of a bundle.

use std::path::Path;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::profile::Profile;
use crate::error::Failure;
use crate::model::Bundle;
use crate::model::bundle::REFERENCE;

/// The content of `reference.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reference {
    /// Number that changes when the meaning of the others does.
    pub format: u32,
    /// The model that it belongs to.
    pub model: ReferenceModel,
    /// The day on which the model was trained, such as `2026-11-23`.
    pub trained_at: String,
    /// What data it is of.
    pub data: String,
    /// Metrics on that data, by name; empty if the truth was not given.
    #[serde(default)]
    pub baseline: Vec<BaselineMetric>,
    /// What records and predictions looked like.
    pub profile: Profile,
}

/// A metric of the model on the reference's data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaselineMetric {
    /// Name, such as `roc_auc`.
    pub name: String,
    /// The class that it is of; empty if it is of all.
    #[serde(default)]
    pub class: String,
    /// Its value.
    pub value: f64,
}

/// Which model a reference belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceModel {
    /// Name of the model.
    pub name: String,
    /// Version of the model.
    pub version: String,
    /// Digest of its bundle, the reference aside.
    pub digest: String,
}

/// The format that is written and read.
pub const FORMAT: u32 = 1;

impl ReferenceModel {
    /// Identity of a bundle.
    pub fn of(bundle: &Bundle) -> Self {
        Self {
            name: bundle.name.clone(),
            version: bundle.version.clone(),
            digest: bundle.digest.clone(),
        }
    }
}

impl Reference {
    /// A metric on the data that the model was trained on.
    pub fn baseline_of(&self, name: &str, class: &str) -> Option<f64> {
        let mut metrics = self.baseline.iter();
        let metric = metrics.find(|metric| metric.name == name && metric.class == class)?;
        Some(metric.value)
    }

    /// That of a bundle, if it has one.
    ///
    /// # Errors
    /// It can not be read, or is that of another model or version (78).
    pub fn of(bundle: &Bundle) -> Result<Option<Self>, Failure> {
        let Some(bytes) = &bundle.reference else {
            return Ok(None);
        };
        if !has_profile(bytes) {
            tracing::debug!(
                model = bundle.name,
                "reference.json of the bundle holds no profile: `lamplighter model profile` makes one"
            );
            return Ok(None);
        }
        Self::parse(bytes, &ReferenceModel::of(bundle)).map(Some)
    }

    /// That of the bundle in `directory`, which must belong to this model.
    ///
    /// # Errors
    /// There is none, it can not be read, or is that of another model or version (78).
    pub fn read(directory: &Path, expected: &ReferenceModel) -> Result<Self, Failure> {
        let path = directory.join(REFERENCE);
        let bytes = std::fs::read(&path).map_err(|error| {
            Failure::config(format!("{}: {error}", path.display())).hint(
                "`lamplighter model profile` makes it of the data that the model was trained on; --against holds a run against another one",
            )
        })?;
        Self::parse(&bytes, expected)
    }

    fn parse(bytes: &[u8], expected: &ReferenceModel) -> Result<Self, Failure> {
        let make = "`lamplighter model profile` makes it anew";
        let reference: Self = serde_json::from_slice(bytes).map_err(|error| {
            Failure::config(format!("reference.json of {}: {error}", expected.name)).hint(make)
        })?;
        if reference.format != FORMAT {
            let problem = format!(
                "reference.json of {} has the format {}, not {FORMAT}",
                expected.name, reference.format
            );
            return Err(Failure::config(problem).hint(make));
        }
        if reference.trained_at.parse::<Date>().is_err() {
            let problem = format!(
                "reference.json of {}: trained_at is no day such as 2026-11-23",
                expected.name
            );
            return Err(Failure::config(problem).hint(make));
        }
        if let Some(problem) = reference.profile.problem() {
            let problem = format!("reference.json of {}: {problem}", expected.name);
            return Err(Failure::config(problem).hint(make));
        }
        let found = &reference.model;
        if (&found.name, &found.version) != (&expected.name, &expected.version) {
            let problem = format!(
                "reference.json belongs to {} {}, but it was {} {} that scored",
                found.name, found.version, expected.name, expected.version
            );
            return Err(Failure::config(problem).hint(make));
        }
        if found.digest != expected.digest {
            tracing::warn!(
                model = expected.name,
                version = expected.version,
                made_for = found.digest,
                digest = expected.digest,
                "the bundle was changed after its reference.json was made; `lamplighter model profile` makes it anew"
            );
        }
        Ok(reference)
    }
}

/// Whether it is more than what a training script noted for people.
fn has_profile(bytes: &[u8]) -> bool {
    let parsed: Result<serde_json::Map<_, _>, _> = serde_json::from_slice(bytes);
    parsed.map_or(true, |object: serde_json::Map<String, Value>| {
        object.contains_key("profile")
    })
}
