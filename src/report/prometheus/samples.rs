//! Families of samples, and how they are written.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// Greatest magnitude up to which a whole number is exact.
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

/// A label and its value.
pub(super) type Label<'a> = (&'static str, &'a str);

/// All that a run has to say.
#[derive(Debug, Default)]
pub(super) struct Families {
    gauges: Vec<Family>,
    histograms: Vec<Histogram>,
}

#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    labels: Vec<(&'static str, String)>,
    value: f64,
}

/// How many of something took how long.
#[derive(Debug)]
pub(super) struct Histogram {
    /// Name of the family.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
    /// All their times.
    pub sum: f64,
    /// How many there were.
    pub count: u64,
    /// Upper bounds, and how many are in each bucket alone.
    pub buckets: Vec<(f64, u64)>,
}

impl Families {
    /// Adds a family of at most one sample, which has no labels of its own.
    pub fn one(&mut self, name: &'static str, help: &'static str, value: impl Into<Option<f64>>) {
        let samples = value.into().map(|value| ([], value));
        self.many(name, help, samples);
    }

    /// Adds a family. Of samples with the same labels the first one counts: a second would have the whole file
    /// refused.
    pub fn many<'a, const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        samples: impl IntoIterator<Item = ([Label<'a>; N], f64)>,
    ) {
        let mut kept: Vec<Sample> = Vec::new();
        for (labels, value) in samples {
            let labels = labels.map(|(label, value)| (label, value.to_owned()));
            let is_new = !kept.iter().any(|sample| sample.labels == labels);
            if value.is_finite() && is_new {
                let labels = labels.into();
                kept.push(Sample { labels, value });
            }
        }
        if !kept.is_empty() {
            self.gauges.push(Family {
                name,
                help,
                samples: kept,
            });
        }
    }

    /// Adds a histogram.
    pub fn histogram(&mut self, histogram: Histogram) {
        self.histograms.push(histogram);
    }
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for family in &self.gauges {
            let kind = MetricType::Gauge;
            let mut written = encoder.encode_descriptor(family.name, family.help, None, kind)?;
            for sample in &family.samples {
                let mut written = written.encode_family(&sample.labels)?;
                let value = sample.value;
                // People read these files, too: 84292 rather than 84292.0.
                match value.fract() == 0.0 && value.abs() <= LARGEST_EXACT {
                    true => written.encode_gauge(&(value as i64))?,
                    false => written.encode_gauge(&value)?,
                }
            }
        }
        for histogram in &self.histograms {
            let kind = MetricType::Histogram;
            let (name, help) = (histogram.name, histogram.help);
            let mut written = encoder.encode_descriptor(name, help, None, kind)?;
            let (sum, count) = (histogram.sum, histogram.count);
            written.encode_histogram::<NoLabelSet>(sum, count, &histogram.buckets, None)?;
        }
        Ok(())
    }
}
