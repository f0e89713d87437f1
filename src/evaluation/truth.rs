//! Takes in ground truth: reads a file or a table, and stores it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use anyhow::Context;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Float64Type;
use foldhash::fast::FixedState;
use jiff::Timestamp;
use serde::Serialize;

use super::{Named, Request, hash, not_evaluated};
use crate::error::Failure;
use crate::interrupt::Interrupt;
use crate::job::{Job, SourceKind};
use crate::ledger::{Ledger, Target, Truth};
use crate::model::Task;
use crate::printable::storable;
use crate::record::unstorable;
use crate::run::input::Input;
use crate::run::probe::for_each_chunk;
use crate::source::Chunk;
use crate::source::columns::{ColumnUse, Purpose};

/// Rows that are stored in one transaction.
const ROWS_AT_ONCE: usize = 1_000;

/// More rows than there are.
const ALL: u64 = 1 << 62;

/// What became of delivered ground truth. Rows = stored + duplicates + those without id or truth.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Delivery {
    /// Rows that were read.
    pub rows: u64,
    /// Rows that are stored.
    pub stored: u64,
    /// Rows whose record and date an earlier row has; that one counts.
    pub duplicates: Named,
    /// Of these, those that say something else than the earlier row.
    pub contradictions: u64,
    /// Rows without an id, or with one that no record can have.
    pub without_id: u64,
    /// Rows without a truth.
    pub without_truth: u64,
}

/// Where what is needed of a row stands.
struct Columns {
    id: usize,
    truth: usize,
    date: Option<usize>,
    by: Option<usize>,
    task: Task,
}

/// Reads ground truth from `source` and stores it.
///
/// # Errors
/// Those of [`read`]; the database's.
pub fn deliver(
    request: &Request<'_>,
    source: &SourceKind,
    ledger: &mut Ledger,
) -> anyhow::Result<Delivery> {
    let Request { job, bundle, .. } = request;
    let mut waiting = Vec::new();
    let mut stored = 0;
    let mut store = |waiting: &mut Vec<Truth>| {
        stored += waiting.len() as u64;
        ledger.deliver(&job.name, request.origin, waiting)?;
        waiting.clear();
        anyhow::Ok(())
    };
    let target = Some(request.target);
    let mut delivery = read(
        job,
        source,
        bundle.task,
        target,
        request.interrupt,
        |truth| {
            waiting.push(truth);
            match waiting.len() {
                ROWS_AT_ONCE => store(&mut waiting),
                _ => Ok(()),
            }
        },
    )?;
    store(&mut waiting)?;
    delivery.stored = stored;
    Ok(delivery)
}

/// Reads ground truth of a job from `source`, and passes each record's to `take`, once. A table is in the
/// database at `target`.
///
/// # Errors
/// It is not there (66), can not be read or lacks a column (65); the job does not say in which column the
/// truth stands (78); those of `take`.
pub fn read(
    job: &Job,
    source: &SourceKind,
    task: Task,
    target: Option<&Target>,
    interrupt: &Interrupt,
    mut take: impl FnMut(Truth) -> anyhow::Result<()>,
) -> anyhow::Result<Delivery> {
    let described = &job.ground_truth;
    let column = described.column.as_deref().ok_or_else(|| {
        Failure::config("[ground_truth] column is not there: nobody knows what was true")
            .hint("[ground_truth] column = \"late\", or --set ground_truth.column=late")
    })?;
    let purpose = match task {
        Task::Binary | Task::Multiclass => Purpose::Categorical,
        Task::Regression => Purpose::Numeric,
        Task::Ranking => Purpose::Items,
        Task::Embedding => return Err(not_evaluated(task).into()),
    };
    let id_column = match &described.id_column {
        Some(column) => column,
        None => &job.source.id_column,
    };
    let mut uses = vec![
        ColumnUse::new(id_column, Purpose::Identity),
        ColumnUse::new(column, purpose),
    ];
    for column in [&described.date_column, &described.by]
        .into_iter()
        .flatten()
    {
        uses.push(ColumnUse::new(column, Purpose::Categorical));
    }
    let reading = reading(job, source);
    let date = reading.schedule.resolve(None, Timestamp::now())?;
    let doing = || "[ground_truth]";
    let input = Input::open(&reading, &date, None, target, interrupt).with_context(doing)?;
    let projection = Arc::new(input.projection(uses).with_context(doing)?);
    let index = |name: &str, purpose| {
        let index = projection.index_of(name, purpose);
        index.ok_or_else(|| Failure::internal(format!("column `{name}` was not read")))
    };
    let text = |name: &Option<String>| {
        name.as_deref()
            .map(|name| index(name, Purpose::Categorical))
            .transpose()
    };
    let columns = Columns {
        id: index(id_column, Purpose::Identity)?,
        truth: index(column, purpose)?,
        date: text(&described.date_column)?,
        by: text(&described.by)?,
        task,
    };
    let mut delivery = Delivery::default();
    let mut known: HashMap<u64, u64, FixedState> = HashMap::default();
    let mut visit = |chunk: &Chunk| {
        for row in 0..chunk.rows.num_rows() {
            delivery.rows += 1;
            let Some(truth) = columns.truth_of(chunk.rows.columns(), row, &mut delivery)? else {
                continue;
            };
            let key = hash(&format!("{}\0{}", truth.id, truth.date));
            let said = hash(&format!(
                "{:?} {:?} {:?}",
                truth.label, truth.value, truth.items
            ));
            match known.entry(key) {
                Entry::Occupied(earlier) => {
                    delivery.duplicates.add(&truth.id);
                    delivery.contradictions += u64::from(*earlier.get() != said);
                }
                Entry::Vacant(place) => {
                    place.insert(said);
                    take(truth)?;
                }
            }
        }
        Ok(())
    };
    for_each_chunk(&input, &job.name, &projection, ALL, interrupt, &mut visit)?;
    Ok(delivery)
}

/// The job, reading ground truth in place of records.
fn reading(job: &Job, source: &SourceKind) -> Job {
    let mut job = job.clone();
    job.source.kind = source.clone();
    job.source.filter = None;
    job.source.transform = None;
    job
}

impl Columns {
    /// What a row says; `None` if it is not to be used, which is counted.
    fn truth_of(
        &self,
        columns: &[ArrayRef],
        row: usize,
        delivery: &mut Delivery,
    ) -> anyhow::Result<Option<Truth>> {
        let text = |index: usize| text_at(&columns[index], row);
        let Some(id) = text(self.id)?.filter(|id| unstorable(id).is_none()) else {
            delivery.without_id += 1;
            return Ok(None);
        };
        let optional = |index: Option<usize>| match index {
            Some(index) => text(index),
            None => Ok(None),
        };
        let mut truth = Truth {
            id,
            date: storable(&optional(self.date)?.unwrap_or_default()),
            label: None,
            value: None,
            items: None,
            segment: optional(self.by)?.map(|text| storable(&text)),
        };
        let column = &columns[self.truth];
        match self.task {
            Task::Binary | Task::Multiclass => {
                truth.label = text(self.truth)?.map(|text| storable(&text));
            }
            Task::Regression => {
                let numbers = column
                    .as_primitive_opt::<Float64Type>()
                    .ok_or_else(|| mistaken(column))?;
                let number = numbers.is_valid(row).then(|| numbers.value(row));
                truth.value = number.filter(|number| number.is_finite());
            }
            Task::Ranking => {
                let lists = column
                    .as_list_opt::<i32>()
                    .ok_or_else(|| mistaken(column))?;
                if lists.is_valid(row) {
                    let list = lists.value(row);
                    let items = list.as_string_opt::<i32>().ok_or_else(|| mistaken(&list))?;
                    let items: Vec<&str> = items.iter().flatten().collect();
                    truth.items = Some(serde_json::to_string(&items)?);
                }
            }
            Task::Embedding => {}
        }
        if truth.label.is_none() && truth.value.is_none() && truth.items.is_none() {
            delivery.without_truth += 1;
            return Ok(None);
        }
        Ok(Some(truth))
    }
}

fn text_at(column: &ArrayRef, row: usize) -> anyhow::Result<Option<String>> {
    if let Some(texts) = column.as_string_opt::<i32>() {
        return Ok(texts.is_valid(row).then(|| texts.value(row).to_owned()));
    }
    let column = arrow::compute::cast(&column.slice(row, 1), &arrow::datatypes::DataType::Utf8)?;
    let texts = column
        .as_string_opt::<i32>()
        .ok_or_else(|| mistaken(&column))?;
    Ok(texts.is_valid(0).then(|| texts.value(0).to_owned()))
}

fn mistaken(column: &ArrayRef) -> Failure {
    Failure::internal(format!(
        "a column of ground truth is {}",
        column.data_type()
    ))
}
