//! Ground truth, and what predictions are worth by it.

use serde::{Deserialize, Serialize};

use super::Ledger;
use crate::database::{Begin, Row, Value};
use crate::error::QueryError;

/// By whom it is known what was true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// It happened.
    Observed,
    /// A person said so.
    Correction,
}

impl Origin {
    /// The word in the tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Observed => "observed",
            Origin::Correction => "correction",
        }
    }
}

/// What was true of one record.
#[derive(Clone, Debug, Serialize)]
pub struct Truth {
    /// The record.
    pub id: String,
    /// The date whose prediction it is about; empty: those of all dates.
    pub date: String,
    /// The class.
    pub label: Option<String>,
    /// The number.
    pub value: Option<f64>,
    /// The relevant items, as a JSON list.
    pub items: Option<String>,
    /// What it is also judged by separately.
    pub segment: Option<String>,
}

/// Predictions of one model for one date, as consumers see them.
#[derive(Clone, Debug)]
pub struct PublishedPredictions {
    /// The date.
    pub logical_date: String,
    /// Name of the model.
    pub model_name: String,
    /// Version of the model.
    pub model_version: String,
    /// How many.
    pub predicted: u64,
}

/// A prediction and what was true.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The record.
    pub record_id: String,
    /// Name of the model.
    pub model_name: String,
    /// Version of the model.
    pub model_version: String,
    /// The predicted class.
    pub label: Option<String>,
    /// Its score.
    pub score: Option<f64>,
    /// The predicted number.
    pub value: Option<f64>,
    /// All probabilities, or the items, as JSON.
    pub output: Option<String>,
    /// The true class.
    pub true_label: Option<String>,
    /// The true number.
    pub true_value: Option<f64>,
    /// The relevant items, as a JSON list.
    pub true_items: Option<String>,
    /// What it is also judged by separately.
    pub segment: Option<String>,
}

/// A row of `evaluations`. Empty text stands for all: dates, segments, classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRow {
    /// Name of the model.
    pub model_name: String,
    /// Version of the model.
    pub model_version: String,
    /// The date.
    pub logical_date: String,
    /// By whom the truth is known.
    pub origin: Origin,
    /// The value of `[ground_truth] by`.
    pub segment: String,
    /// Name of the metric.
    pub metric: String,
    /// The class that it is of.
    pub class: String,
    /// Its value; `None` if it is not defined for these records.
    pub value: Option<f64>,
    /// The same on the data that the model was trained on.
    pub baseline: Option<f64>,
    /// Records that it is of.
    pub records: u64,
    /// Predictions whose ground truth is not there yet; 0 for a segment, of which nobody knows.
    pub missing: u64,
}

impl Ledger {
    /// Takes ground truth in. What was there of the same record, date and origin is replaced.
    ///
    /// # Errors
    /// The database's.
    pub fn deliver(&mut self, job: &str, origin: Origin, truths: &[Truth]) -> anyhow::Result<()> {
        let list = serde_json::to_string(truths)?;
        let doing = || "cannot store ground truth".to_owned();
        self.transaction(Begin::Write, doing, |ledger| {
            let values = [job.into(), origin.as_str().into(), (&list).into()];
            ledger.execute(statement!("deliver_ground_truth"), &values)?;
            Ok(())
        })
    }

    /// How many predictions consumers see, by date and model, the oldest date first.
    ///
    /// # Errors
    /// The database's.
    pub fn published_predictions(
        &mut self,
        job: &str,
    ) -> anyhow::Result<Vec<PublishedPredictions>> {
        self.read(statement!("published_predictions"), &[job.into()], |row| {
            Ok(PublishedPredictions {
                logical_date: row.get("logical_date")?,
                model_name: row.get("model_name")?,
                model_version: row.get("model_version")?,
                predicted: row.get::<Option<u64>>("predicted")?.unwrap_or(0),
            })
        })
    }

    /// Passes each published prediction of a date whose truth is there to `visit`.
    ///
    /// # Errors
    /// Those of `visit`; the database's.
    pub fn for_each_judged(
        &mut self,
        job: &str,
        logical_date: &str,
        origin: Origin,
        mut visit: impl FnMut(Judged) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let values = [job.into(), logical_date.into(), origin.as_str().into()];
        self.stream(statement!("judged_predictions"), &values, &mut |row| {
            visit(judged(row)?)
        })
    }

    /// Passes the record of each ground truth of a job to `visit`, in their order.
    ///
    /// # Errors
    /// Those of `visit`; the database's.
    pub fn for_each_truth(
        &mut self,
        job: &str,
        origin: Origin,
        mut visit: impl FnMut(&str) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let values = [job.into(), origin.as_str().into()];
        self.stream(statement!("ground_truth_of_job"), &values, &mut |row| {
            visit(&row.get::<String>("record_id")?)
        })
    }

    /// Records whose observed ground truth came on that day or later.
    ///
    /// # Errors
    /// The database's.
    pub fn ground_truth_since(&mut self, job: &str, day: &str) -> anyhow::Result<u64> {
        let values = [job.into(), day.into()];
        let counts = self.read(statement!("count_ground_truth"), &values, |row| {
            row.get::<u64>("records")
        })?;
        Ok(counts.into_iter().next().unwrap_or(0))
    }

    /// Replaces the evaluations of these dates.
    ///
    /// # Errors
    /// The database's.
    pub fn replace_evaluations(
        &mut self,
        job: &str,
        dates: &[String],
        rows: &[EvaluationRow],
    ) -> anyhow::Result<()> {
        let dates = serde_json::to_string(dates)?;
        let lists = rows.chunks(ROWS_AT_ONCE).map(serde_json::to_string);
        let lists = lists.collect::<Result<Vec<_>, _>>()?;
        let doing = || "cannot store evaluations".to_owned();
        self.transaction(Begin::Write, doing, |ledger| {
            let values = [job.into(), Value::from(&dates)];
            ledger.execute(statement!("forget_evaluations"), &values)?;
            for list in &lists {
                let values = [job.into(), Value::from(list)];
                ledger.execute(statement!("insert_evaluations"), &values)?;
            }
            Ok(())
        })
    }

    /// A metric of a model by observed truth, of the newest `limit` dates, the newest first.
    ///
    /// # Errors
    /// The database's.
    pub fn metric_by_date(
        &mut self,
        job: &str,
        (model_name, model_version): (&str, &str),
        metric: &str,
        limit: u32,
    ) -> anyhow::Result<Vec<EvaluationRow>> {
        let values = [
            job.into(),
            model_name.into(),
            model_version.into(),
            metric.into(),
            i64::from(limit).into(),
        ];
        self.read(statement!("metric_by_date"), &values, evaluation)
    }

    /// The evaluations of one date.
    ///
    /// # Errors
    /// The database's.
    pub fn evaluations_of_date(
        &mut self,
        job: &str,
        logical_date: &str,
    ) -> anyhow::Result<Vec<EvaluationRow>> {
        let values = [job.into(), logical_date.into()];
        self.read(statement!("evaluations_of_date"), &values, evaluation)
    }
}

/// Rows of evaluations in one statement.
const ROWS_AT_ONCE: usize = 1_000;

fn judged(row: &Row) -> Result<Judged, QueryError> {
    Ok(Judged {
        record_id: row.get("record_id")?,
        model_name: row.get("model_name")?,
        model_version: row.get("model_version")?,
        label: row.get("label")?,
        score: row.get("score")?,
        value: row.get("value")?,
        output: row.get("output")?,
        true_label: row.get("true_label")?,
        true_value: row.get("true_value")?,
        true_items: row.get("true_items")?,
        segment: row.get("segment")?,
    })
}

fn evaluation(row: &Row) -> Result<EvaluationRow, QueryError> {
    let origin = match row.get::<String>("origin")?.as_str() {
        "correction" => Origin::Correction,
        _ => Origin::Observed,
    };
    Ok(EvaluationRow {
        model_name: row.get("model_name")?,
        model_version: row.get("model_version")?,
        logical_date: row.get("logical_date")?,
        origin,
        segment: row.get("segment")?,
        metric: row.get("metric")?,
        class: row.get("class")?,
        value: row.get("value")?,
        baseline: row.get("baseline")?,
        records: row.get("records")?,
        missing: row.get("missing")?,
    })
}
