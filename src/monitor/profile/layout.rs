//! What is measured of records and predictions: which series there are, and their bins.
//!
//! The bins are those of the bundle's reference. Without one they are made up from what the bundle says of
//! its features, so that runs can still be held against each other.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::categories::KnownCategories;
use super::{Content, Profile};
use crate::features::{Feature, FeatureKind};
use crate::printable::storable;
use crate::record::Outputs;

/// Categories of a series that are counted each by itself.
pub const MOST_CATEGORIES: usize = 255;

/// Whether a series is of what goes into a model or of what comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Features.
    Input,
    /// Predictions.
    Output,
}

impl Side {
    /// The word in tables and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Side::Input => "input",
            Side::Output => "output",
        }
    }
}

/// A series, and how it is counted.
#[derive(Clone, Debug)]
pub struct SeriesLayout {
    /// Column, or what of it: `review`, `tokens of review`, `score`.
    pub name: String,
    /// Input or output.
    pub side: Side,
    /// Its bins.
    pub bins: Bins,
}

/// How values of a series are counted.
#[derive(Clone, Debug)]
pub enum Bins {
    /// Numbers.
    Numbers {
        /// Where bins meet, ascending.
        edges: Arc<[f64]>,
        /// What differences are taken from.
        origin: f64,
    },
    /// Categories.
    Categories {
        /// Those with a bin.
        names: Arc<[String]>,
        /// Those that the model knows.
        known: KnownCategories,
    },
    /// Whether they are there.
    Presence,
}

/// All series, in a fixed order: those of the features, then those of the outputs.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The series.
    pub series: Vec<SeriesLayout>,
    /// How many of them are of features.
    pub inputs: usize,
    /// Where the series of each feature begin.
    places: Vec<usize>,
    digest: String,
}

impl Layout {
    /// What is measured of these features, and of outputs like these, in the bins of the `reference`.
    pub fn new(features: &[Feature], outputs: &Outputs, reference: Option<&Profile>) -> Self {
        let mut series = Vec::new();
        let mut places = Vec::new();
        for (index, feature) in features.iter().enumerate() {
            places.push(series.len());
            series.extend(of_feature(feature, index == 0));
        }
        let inputs = series.len();
        series.extend(of_outputs(outputs));
        if let Some(reference) = reference {
            for series in &mut series {
                series.adopt(reference);
            }
        }
        Self {
            digest: digest(&series),
            series,
            inputs,
            places,
        }
    }

    /// No series: nothing is measured.
    pub fn nothing() -> Self {
        Self {
            series: Vec::new(),
            inputs: 0,
            places: Vec::new(),
            digest: digest(&[]),
        }
    }

    /// Whether nothing is measured.
    pub fn is_nothing(&self) -> bool {
        self.series.is_empty()
    }

    /// The same series in other bins.
    #[must_use]
    pub(super) fn with_series(&self, series: Vec<SeriesLayout>) -> Self {
        Self {
            digest: digest(&series),
            series,
            inputs: self.inputs,
            places: self.places.clone(),
        }
    }

    /// Where the series of each feature begin.
    pub fn places(&self) -> &[usize] {
        &self.places
    }

    /// Differs between layouts that do not count alike.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

fn digest(series: &[SeriesLayout]) -> String {
    let mut hasher = Sha256::new();
    let mut text = |text: &str| {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    };
    for series in series {
        text(series.side.as_str());
        text(&series.name);
        match &series.bins {
            Bins::Numbers { edges, origin } => {
                let numbers = edges.iter().chain([origin]);
                let bits: Vec<String> = numbers.map(|edge| edge.to_bits().to_string()).collect();
                text(&bits.join(" "));
            }
            Bins::Categories { names, .. } => names.iter().for_each(|name| text(name)),
            Bins::Presence => text("presence"),
        }
    }
    hex::encode(&hasher.finalize()[..8])
}

impl SeriesLayout {
    fn new(name: String, side: Side, bins: Bins) -> Self {
        Self {
            name: storable(&name),
            side,
            bins,
        }
    }

    /// Takes the bins of the series of this name, if it is of the same kind.
    fn adopt(&mut self, reference: &Profile) {
        let series = reference.series(self.side, &self.name);
        match (&mut self.bins, series.map(|series| &series.content)) {
            (
                Bins::Numbers { edges, origin },
                Some(Content::Numbers {
                    edges: theirs,
                    origin: their_origin,
                    ..
                }),
            ) => (*edges, *origin) = (theirs.as_slice().into(), *their_origin),
            (
                Bins::Categories { names, known },
                Some(Content::Categories { names: theirs, .. }),
            ) => {
                *names = theirs.as_slice().into();
                *known = binned(known.names.clone(), names);
            }
            _ => {}
        }
    }
}

/// Tokens are those of both texts of a pair, and stand with the first.
fn of_feature(feature: &Feature, is_first: bool) -> Vec<SeriesLayout> {
    let column = &feature.column;
    let series = |name: String, bins| SeriesLayout::new(name, Side::Input, bins);
    let whole = |bins| series(column.clone(), bins);
    match &feature.kind {
        FeatureKind::Numeric(scale) => vec![whole(Bins::Numbers {
            edges: NORMAL_QUANTILES
                .iter()
                .map(|quantile| scale.mean + quantile * scale.std)
                .collect(),
            origin: scale.mean,
        })],
        FeatureKind::Categorical { categories, .. } => vec![whole(categorical(categories))],
        FeatureKind::Text { .. } => {
            let mut all = vec![
                whole(Bins::Presence),
                series(format!("characters of {column}"), lengths()),
            ];
            if is_first {
                all.push(series(format!("tokens of {column}"), lengths()));
                all.push(series(
                    format!("share of unknown tokens of {column}"),
                    shares(),
                ));
            }
            all
        }
        FeatureKind::Query => vec![whole(Bins::Presence)],
        FeatureKind::Items => vec![
            whole(Bins::Presence),
            series(format!("items of {column}"), lengths()),
        ],
    }
}

fn of_outputs(outputs: &Outputs) -> Vec<SeriesLayout> {
    let series = |name: &str, bins| SeriesLayout::new(name.to_owned(), Side::Output, bins);
    match outputs {
        Outputs::Binary { classes, .. } | Outputs::Multiclass { classes, .. } => vec![
            series("label", categorical(classes)),
            series("score", shares()),
        ],
        Outputs::Regression { .. } => vec![series("value", magnitudes())],
        Outputs::Embedding { .. } => vec![series("length of embedding", magnitudes())],
        Outputs::Ranking { .. } => vec![
            series("items", lengths()),
            series("score of the first item", magnitudes()),
        ],
    }
}

fn categorical(known: &[String]) -> Bins {
    let names: Arc<[String]> = known.iter().take(MOST_CATEGORIES).cloned().collect();
    Bins::Categories {
        known: binned(known.into(), &names),
        names,
    }
}

pub(super) fn binned(known: Arc<[String]>, names: &[String]) -> KnownCategories {
    let places: HashMap<&String, usize> = names.iter().zip(0..).collect();
    let bins = known.iter().map(|name| places.get(name).copied()).collect();
    KnownCategories {
        names: known,
        bins,
        count_of_bins: names.len(),
    }
}

/// Twentieths of the standard normal distribution.
const NORMAL_QUANTILES: [f64; 19] = [
    -1.645, -1.282, -1.036, -0.842, -0.674, -0.524, -0.385, -0.253, -0.126, 0.0, 0.126, 0.253,
    0.385, 0.524, 0.674, 0.842, 1.036, 1.282, 1.645,
];

/// Bins of numbers between 0 and 1.
fn shares() -> Bins {
    Bins::Numbers {
        edges: (1..20).map(|index| f64::from(index) / 20.0).collect(),
        origin: 0.0,
    }
}

/// Bins of whole numbers from 0 on.
fn lengths() -> Bins {
    Bins::Numbers {
        edges: (0..20).map(|power| f64::from(1 << power)).collect(),
        origin: 0.0,
    }
}

/// Bins of numbers of which nothing is known.
fn magnitudes() -> Bins {
    let powers = || (-5..10).map(|power| 4f64.powi(power));
    Bins::Numbers {
        edges: powers()
            .rev()
            .map(|edge| -edge)
            .chain([0.0])
            .chain(powers())
            .collect(),
        origin: 0.0,
    }
}
