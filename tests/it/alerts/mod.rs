//! Alerts: which rules hold, who is told, and how often.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;

use crate::harness::results::Results;
use crate::harness::{flights, write_parquet};
use crate::monitoring::{job, make_reference, october, put_bundle, replaced};

/// A bad night and a good one, from the first record to the last alert.
mod bad_night;
/// Receivers that fail, are silent or gone, and processes that are killed.
mod delivery;
/// Rules of every kind, and those that are refused.
mod rules;
/// Rules about what predictions were worth.
mod worth;

pub const DATE: [&str; 2] = ["--date", "2013-11-01"];
pub const RUN: &str = "flights@2013-11-01#1";

/// A workspace with a bundle whose reference is made of October's flights, and a job on these rows.
pub fn put(results: &Results, rows: &RecordBatch, more: &str) {
    let workspace = &results.workspace;
    put_bundle(workspace);
    make_reference(results, &flights::files()[0].to_string_lossy());
    write_parquet(&workspace.path("input/rows.parquet"), rows, 10_000);
    put_job(results, more);
}

/// The job, anew.
pub fn put_job(results: &Results, more: &str) {
    let workspace = &results.workspace;
    workspace.write("job.toml", job("input/rows.parquet", more));
}

/// Flights whose distance is in kilometres, and of which two in a hundred have no id.
pub fn bad_rows() -> RecordBatch {
    let rows = replaced(&october(), "distance", |column| {
        let miles = column.as_primitive::<Int32Type>().iter();
        let kilometres = miles.map(|miles| miles.map(|miles| miles * 1609 / 1000));
        Arc::new(kilometres.collect::<Int32Array>())
    });
    replaced(&rows, "flight_id", |column| {
        let ids = column.as_string::<i32>().iter().enumerate();
        let ids = ids.map(|(row, id)| id.filter(|_| row % 50 != 7));
        Arc::new(ids.collect::<StringArray>())
    })
}

/// Id of a record in the middle.
pub fn an_id(rows: &RecordBatch) -> String {
    let ids = rows.column_by_name("flight_id").expect("a column");
    ids.as_string::<i32>().value(ids.len() / 2).to_owned()
}

/// What the clocks of UTC show so much later.
pub fn clock_in(span: jiff::Span, form: &str) -> String {
    let later = jiff::Timestamp::now().checked_add(span).expect("a time");
    let later = later.to_zoned_datetime(jiff::tz::TimeZone::UTC);
    later.strftime(form).to_string()
}

/// What the outbox holds: rule, action, state, attempts.
pub fn outbox(results: &Results) -> Vec<Vec<String>> {
    results.query("SELECT rule, action, state, attempts FROM outbox ORDER BY outbox_id")
}

/// `[notify]` with this webhook.
pub fn notify(url: &str) -> String {
    format!("[notify]\nwebhook_url = \"{url}\"\n")
}

/// A rule.
pub fn rule(name: &str, condition: &str, more: &str) -> String {
    let mut words = condition.split_whitespace();
    let mut word = || words.next().expect("METRIC OP VALUE");
    let (metric, op, value) = (word(), word(), word());
    format!(
        "\n[[alert]]\nname = \"{name}\"\nmetric = \"{metric}\"\nop = \"{op}\"\nvalue = {value}\n{more}\n"
    )
}
