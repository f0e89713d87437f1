//! A run's figures as Prometheus reads them: its text format 0.0.4, which node-exporter's textfile collector
//! and the Pushgateway take.
//!
//! Each night is a snapshot, so that all families are gauges, but for the histogram of forward passes, which
//! begins anew with each run: its buckets are read without `rate`. No sample has a time of its own.
//!
//! The job's name is the label `job_name`, because `job` is what Prometheus calls that which it scrapes. Several
//! jobs may have a file each in one directory: the collector demands that the help of a family is the same in
//! all of them, hence no help says anything of a run.

mod families;
mod samples;
#[cfg(test)]
mod tests;

use prometheus_client::encoding::prometheus_text::encode;
use prometheus_client::registry::Registry;

use super::RunReport;

/// Series of drift that have samples, at most: those that have drifted most. A model of ten thousand features
/// is not to fill the memory of whoever collects.
pub const MOST_SERIES: usize = 200;

/// What a report does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Facts {
    /// When a run of the job was last published, in seconds since 1970; `None` if none was.
    pub last_success_timestamp_seconds: Option<f64>,
    /// Messages of alert rules that are still to be delivered.
    pub pending_deliveries: u64,
}

/// Renders a report. What is not known of the run, or is no finite number, has no sample, and a family without
/// samples is left out. Label values are those of the data, with quotes, backslashes and line ends escaped as
/// the format wants it.
pub fn render(report: &RunReport, facts: &Facts) -> String {
    let labels = [("job_name".into(), report.job.clone().into())];
    let mut registry = Registry::with_labels(labels.into_iter());
    registry.register_collector(Box::new(families::of(report, facts)));
    let mut text = String::new();
    // Writing to a String can not fail.
    let _ = encode(&mut text, &registry);
    text
}
