//! Test vectors: rows that a bundle carries, and what the model's own framework made of them.
//!
//! `test_vectors.parquet` holds each feature's column, as a job would read it, and at least one of
//!
//! | column | holds | of task |
//! |---|---|---|
//! | `expected_label` | the class | binary, multiclass |
//! | `expected_score` | the positive class's probability, or the label's | binary, multiclass |
//! | `expected_probability_CLASS` | that class's probability | multiclass |
//! | `expected_value` | the prediction, in the target's own unit | regression |
//!
//! Numbers are equal within [`tolerance`], absolute and relative; of a regression of `log1p`, the
//! numbers before it is taken back. A column that begins with `expected_` and is none of these is
//! refused: nothing that is expected goes unchecked. Other columns have no meaning.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;

use super::bundle::{Bundle, TargetTransform};
use super::network::Network;
use super::outputs::Head;
use crate::error::Failure;
use crate::interrupt::Interrupt;
use crate::job::Precision;
use crate::record::Outputs;
use crate::source::Projection;
use crate::source::columns::{ColumnUse, Purpose};
use crate::source::parquet::{ChunkReader, ParquetInput, projection};

/// Name of the file in a bundle.
pub const TEST_VECTORS: &str = "test_vectors.parquet";

/// How far numbers of a bundle may differ, absolutely and relatively. In bf16 a label may be another
/// one, too, where the score is close to the threshold, so that labels are not compared.
pub fn tolerance(bundle: &Bundle) -> f64 {
    match (&bundle.network, bundle.precision) {
        (Network::Mlp(_) | Network::TwoTower(_), _) => 1e-5,
        (Network::Bert(_), Precision::F32) => 1e-4,
        (Network::Bert(_), Precision::Bf16) => 0.05,
    }
}

const PREFIX: &str = "expected_";

/// More rows than this prove no more.
const MOST_ROWS: u64 = 10_000;

/// The test vectors of a bundle.
pub struct TestVectors {
    /// A column for each feature, in the bundle's order.
    pub columns: Vec<ArrayRef>,
    rows: usize,
    expected: Vec<Expected>,
}

/// One column of what is expected.
struct Expected {
    column: String,
    values: Values,
}

enum Values {
    Labels(StringArray),
    Scores(Float64Array),
    /// Of the class with this index.
    Probabilities(usize, Float64Array),
    Targets(Float64Array),
}

impl TestVectors {
    /// Loads the test vectors of `bundle`, which is in `directory`; `None` if it carries none.
    ///
    /// # Errors
    /// The file is damaged, too long, or lacks a column (65 or 78); to stop is requested.
    pub fn load(
        directory: &Path,
        bundle: &Bundle,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Option<Self>> {
        let path = directory.join(TEST_VECTORS);
        if !path.exists() {
            return Ok(None);
        }
        let shown = path.to_string_lossy();
        let input = ParquetInput::open(&shown, None, false, interrupt)?;
        let rows = input.rows();
        if !(1..=MOST_ROWS).contains(&rows) {
            return Err(Failure::config(format!(
                "{shown} has {rows} rows; test vectors are 1 to {MOST_ROWS}"
            ))
            .into());
        }
        let schema = input.schema();
        let names = schema.fields().iter().map(|field| field.name().as_str());
        let names: Vec<&str> = names.filter(|name| name.starts_with(PREFIX)).collect();
        let features = bundle.encoder.features();
        if let Some(feature) = features.iter().find(|f| f.column.starts_with(PREFIX)) {
            return Err(Failure::config(format!(
                "{shown}: the feature `{}` can not be told from what is expected",
                feature.column
            ))
            .into());
        }
        if let Head::Embedding { .. } | Head::Ranking { .. } = bundle.head {
            let problem = format!("{shown}: embeddings and rankings have no test vectors yet");
            return Err(Failure::config(problem)
                .hint("take the file out of the bundle")
                .into());
        }
        if names.is_empty() {
            let known = known_columns(&bundle.head).join(", ");
            return Err(Failure::config(format!("{shown} expects nothing"))
                .hint(format!("add one or more of the columns {known}"))
                .into());
        }
        let mut uses: Vec<ColumnUse> = features
            .iter()
            .map(|feature| ColumnUse::new(&feature.column, feature.kind.purpose()))
            .collect();
        for name in &names {
            uses.push(ColumnUse::new(*name, purpose(name, &bundle.head, &shown)?));
        }
        let projection = Arc::new(projection(&input, uses)?);
        let rows = read(input, &projection)?;
        let expected = names.iter().enumerate().map(|(index, name)| {
            let column = rows.column(features.len() + index);
            Expected::new(name, column, &bundle.head, &shown)
        });
        Ok(Some(Self {
            expected: expected.collect::<anyhow::Result<_>>()?,
            columns: rows.columns()[..features.len()].to_vec(),
            rows: rows.num_rows(),
        }))
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Compares with what the rows were scored to. Returns the largest difference.
    ///
    /// # Errors
    /// A number or a label is another one (78); the message names row, column and both.
    pub fn compare(&self, outputs: &Outputs, bundle: &Bundle) -> Result<f64, Failure> {
        if outputs.len() != self.rows {
            return Err(Failure::internal(format!(
                "{} test vectors were scored to {} outputs",
                self.rows,
                outputs.len()
            )));
        }
        let tolerance = tolerance(bundle);
        let mut largest: f64 = 0.0;
        for expected in &self.expected {
            let is_label = matches!(expected.values, Values::Labels(_));
            if is_label && bundle.precision == Precision::Bf16 {
                continue;
            }
            for row in 0..self.rows {
                let distance = expected.compare(row, outputs, &bundle.head, tolerance)?;
                largest = largest.max(distance);
            }
        }
        Ok(largest)
    }
}

impl Expected {
    fn new(name: &str, column: &ArrayRef, head: &Head, file: &str) -> anyhow::Result<Self> {
        if column.null_count() > 0 {
            let problem = format!("{file}: column `{name}` holds nulls");
            return Err(Failure::config(problem).into());
        }
        let other =
            || Failure::internal(format!("{file}: column `{name}` was read as another type"));
        let numbers = || column.as_any().downcast_ref::<Float64Array>().cloned();
        if let Some(numbers) = numbers()
            && let Some(row) = numbers.values().iter().position(|value| !value.is_finite())
        {
            let value = numbers.value(row);
            let problem = format!("{file}: column `{name}`, row {row}: {value} is not finite");
            return Err(Failure::config(problem).into());
        }
        let texts = || column.as_any().downcast_ref::<StringArray>().cloned();
        let values = match (head, &name[PREFIX.len()..]) {
            (_, "label") => Values::Labels(texts().ok_or_else(other)?),
            (_, "score") => Values::Scores(numbers().ok_or_else(other)?),
            (_, "value") => Values::Targets(numbers().ok_or_else(other)?),
            (Head::Multiclass { classes }, probability) => {
                let class = probability.strip_prefix("probability_");
                let class = classes
                    .iter()
                    .position(|known| class == Some(known.as_str()));
                Values::Probabilities(class.ok_or_else(other)?, numbers().ok_or_else(other)?)
            }
            _ => return Err(other().into()),
        };
        Ok(Self {
            column: name.to_owned(),
            values,
        })
    }

    /// The difference of a row's numbers; 0 for equal labels.
    fn compare(
        &self,
        row: usize,
        outputs: &Outputs,
        head: &Head,
        tolerance: f64,
    ) -> Result<f64, Failure> {
        let of_class = |classes: &[String], labels: &[u32], expected: &StringArray| {
            let found = &classes[labels[row] as usize];
            match found == expected.value(row) {
                true => Ok(0.0),
                false => Err(self.differs(row, expected.value(row), found)),
            }
        };
        let number = |expected: f64, found: f64, distance: f64, scale: f64| {
            // A NaN passes no comparison.
            match distance <= tolerance + tolerance * scale {
                true => Ok(distance),
                false => Err(self.differs(row, expected, found)),
            }
        };
        let plain = |expected: &Float64Array, found: f64| {
            let expected = expected.value(row);
            number(expected, found, (expected - found).abs(), expected.abs())
        };
        match (&self.values, outputs) {
            (
                Values::Labels(expected),
                Outputs::Binary {
                    classes, labels, ..
                }
                | Outputs::Multiclass {
                    classes, labels, ..
                },
            ) => of_class(classes, labels, expected),
            (
                Values::Scores(expected),
                Outputs::Binary { scores, .. } | Outputs::Multiclass { scores, .. },
            ) => plain(expected, f64::from(scores[row])),
            (
                Values::Probabilities(class, expected),
                Outputs::Multiclass {
                    classes,
                    probabilities,
                    ..
                },
            ) => plain(
                expected,
                f64::from(probabilities[row * classes.len() + class]),
            ),
            (Values::Targets(expected), Outputs::Regression { values }) => {
                let (expected, found) = (expected.value(row), values[row]);
                let before = |value: f64| match head {
                    Head::Regression {
                        transform: Some(TargetTransform::Log1p),
                    } => libm::log1p(value),
                    _ => value,
                };
                let distance = (before(expected) - before(found)).abs();
                number(expected, found, distance, before(expected).abs())
            }
            _ => Err(Failure::internal(format!(
                "`{}` is not of the model's task",
                self.column
            ))),
        }
    }

    fn differs(
        &self,
        row: usize,
        expected: impl std::fmt::Display,
        found: impl std::fmt::Display,
    ) -> Failure {
        Failure::config(format!(
            "row {row}, `{}`: expected {expected}, found {found}",
            self.column
        ))
        .hint("export model.toml, model.safetensors and test_vectors.parquet together, from one model")
    }
}

/// The columns that may be expected of a model.
fn known_columns(head: &Head) -> Vec<String> {
    let names = |names: &[&str]| names.iter().map(|name| format!("{PREFIX}{name}")).collect();
    match head {
        Head::Binary { .. } => names(&["label", "score"]),
        Head::Multiclass { classes } => {
            let mut known: Vec<String> = names(&["label", "score"]);
            known.extend(
                classes
                    .iter()
                    .map(|class| format!("{PREFIX}probability_{class}")),
            );
            known
        }
        Head::Regression { .. } => names(&["value"]),
        Head::Embedding { .. } | Head::Ranking { .. } => Vec::new(),
    }
}

fn purpose(name: &str, head: &Head, file: &str) -> Result<Purpose, Failure> {
    let known = known_columns(head);
    if !known.iter().any(|known| known == name) {
        let problem = format!("{file}: column `{name}` is nothing that this model gives");
        return Err(Failure::config(problem).hint(format!("it gives {}", known.join(", "))));
    }
    Ok(match &name[PREFIX.len()..] {
        "label" => Purpose::Categorical,
        _ => Purpose::Numeric,
    })
}

fn read(input: ParquetInput, projection: &Arc<Projection>) -> anyhow::Result<RecordBatch> {
    let rows = input.rows();
    let mut reader = ChunkReader::new(input.into(), projection.clone(), MOST_ROWS as usize);
    let mut chunks = Vec::new();
    while let Some(chunk) = reader.next(rows)? {
        chunks.push(chunk.rows);
    }
    Ok(concat_batches(projection.schema(), &chunks)?)
}
