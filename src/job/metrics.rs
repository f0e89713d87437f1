//! Where Prometheus finds the figures of a job's runs.

use std::path::PathBuf;

use super::places::Places;
use super::spec::MetricsSection;
use crate::error::Failure;

/// `[metrics]`, checked.
#[derive(Clone, Default)]
pub struct Metrics {
    /// A file that node-exporter's textfile collector reads.
    pub textfile: Option<PathBuf>,
    /// Base URL of a Pushgateway. May hold a password, so it is never shown.
    pub pushgateway: Option<String>,
}

impl Metrics {
    /// Whether nobody wants them.
    pub fn is_empty(&self) -> bool {
        self.textfile.is_none() && self.pushgateway.is_none()
    }
}

pub(super) fn resolve(section: MetricsSection, places: &Places) -> Result<Metrics, Failure> {
    if let Some(file) = &section.textfile
        && file.extension().is_none_or(|extension| extension != "prom")
    {
        let problem = "expected a file whose name ends with .prom: node-exporter reads no others";
        return Err(places.failure("metrics", "textfile", problem));
    }
    if let Some(url) = &section.pushgateway {
        super::url::check(url)
            .map_err(|problem| places.failure("metrics", "pushgateway", problem))?;
    }
    Ok(Metrics {
        textfile: section.textfile,
        pushgateway: section.pushgateway,
    })
}
