//! Opens and checks what a run needs, before anything is claimed or written.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::input::{Input, Reader};
use super::results::Results;
use super::retry::Retry;
use crate::alert::judge::{Names, check_rules};
use crate::error::{Class, Failure};
use crate::features::FeatureKind;
use crate::interrupt::Interrupt;
use crate::job::{DriftRules, Job, LogicalDate};
use crate::ledger::{ShardSlice, Target};
use crate::model::{Bundle, Capacity};
use crate::monitor::Reference;
use crate::monitor::profile::{Collector, Layout};
use crate::source::Projection;
use crate::source::columns::{ColumnUse, Purpose};
use crate::source::row_sql::RowSql;

/// Everything that a run of a job for a date works with. Shared by all workers, never changed.
pub struct Prepared {
    /// Name of the job.
    pub job: String,
    /// The date.
    pub date: LogicalDate,
    /// The first so many records only, which makes the run a trial.
    pub limit: Option<u64>,
    /// The model.
    pub bundle: Bundle,
    /// The input.
    pub input: Input,
    /// Everything that predictions depend on.
    pub identity: Value,
    /// Its hash.
    pub fingerprint: String,
    /// The same without what is retried: what a process that scores single shards must agree on.
    pub input_fingerprint: String,
    /// The dead letters that are scored again, if it is those.
    pub retry: Option<Retry>,
    /// What a forward pass takes.
    pub capacity: Capacity,
    /// Records of a shard.
    pub shard_size: u64,
    /// What the training data looked like, if the bundle says so.
    pub reference: Option<Reference>,
    /// What is measured of records and predictions.
    pub layout: Arc<Layout>,
    /// From which difference on they have drifted.
    pub drift: DriftRules,
    id_column: String,
    row_sql: RowSql,
    projection: Arc<Projection>,
    /// What reading ids takes: the id and the filter's columns.
    id_projection: Arc<Projection>,
}

/// About what a value takes, in bytes.
const DECODED_VALUE: usize = 32;

/// Number that changes when the meaning of predictions does, though nothing else in a fingerprint
/// would.
const FINGERPRINT_VERSION: u32 = 1;

/// Records of a shard: a second or so of work, and little to commit for it.
const ROWS_OF_A_SHARD: u64 = 16_384;

/// The same of texts, each of which takes a thousand times as long. Small, so that no worker is idle for
/// long while another one has the last shard.
const TEXTS_OF_A_SHARD: u64 = 128;

impl Prepared {
    /// Opens input and bundle of `job` for `date`, and checks that they go together. The ledger is
    /// at `ledger`.
    ///
    /// # Errors
    /// Input missing or too small (66), broken or not of the bundle's columns
    /// (65); bundle or SQL at fault (78).
    pub fn new(
        job: &Job,
        date: LogicalDate,
        limit: Option<u64>,
        ledger: &Target,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Self> {
        let bundle = Bundle::load(&job.model)?;
        let row_sql = row_sql(job)?;
        let input = Input::open(job, &date, limit, Some(ledger), interrupt)?;
        if let (None, Some(rows)) = (limit, input.rows()) {
            check_min_rows(rows, job.source.min_rows)?;
        }
        Self::of(job, date, limit, bundle, row_sql, input)
    }

    /// The same of what is open already, whatever the number of records.
    ///
    /// # Errors
    /// The input is not of the bundle's columns (65), or the SQL is at fault (78).
    pub fn of(
        job: &Job,
        date: LogicalDate,
        limit: Option<u64>,
        bundle: Bundle,
        row_sql: RowSql,
        input: Input,
    ) -> anyhow::Result<Self> {
        let source = &job.source;
        if let Some(schema) = input.schema() {
            row_sql.check_names(&schema)?;
        }
        let scored = input.projection(columns(&source.id_column, &bundle, &row_sql))?;
        let mut id_columns = vec![ColumnUse::new(&source.id_column, Purpose::Identity)];
        id_columns.extend(expressions(row_sql.filter_columns()));
        let id_projection = input.projection(id_columns)?;
        check_added_columns(&bundle, &row_sql, &scored)?;
        let capacity = bundle.capacity(job.batch_size, job.batch_tokens);
        let identity = identity(job, &bundle, capacity, &input, limit);
        let fingerprint = fingerprint(&identity);
        let reference = Reference::of(&bundle)?;
        let layout = match job.drift.profile {
            true => Layout::new(
                bundle.encoder.features(),
                &bundle.head.empty(0),
                reference.as_ref().map(|reference| &reference.profile),
            ),
            false => Layout::nothing(),
        };
        let columns = scored.uses().iter().map(|column| column.name.as_str());
        let features = bundle.encoder.features().iter();
        let names = Names {
            columns: columns
                .chain(features.map(|feature| feature.column.as_str()))
                .collect(),
            series: layout
                .series
                .iter()
                .map(|series| series.name.as_str())
                .collect(),
            classes: bundle.head.classes().iter().map(String::as_str).collect(),
        };
        check_rules(&job.alerts, &names)?;
        Ok(Self {
            job: job.name.clone(),
            date,
            limit,
            bundle,
            input,
            input_fingerprint: fingerprint.clone(),
            fingerprint,
            retry: None,
            identity,
            capacity,
            shard_size: job.shard_size.unwrap_or(match capacity {
                Capacity::Rows(_) => ROWS_OF_A_SHARD,
                Capacity::Tokens(_) => TEXTS_OF_A_SHARD,
            }),
            reference,
            drift: job.drift.clone(),
            layout: Arc::new(layout),
            id_column: source.id_column.clone(),
            row_sql,
            projection: Arc::new(scored),
            id_projection: Arc::new(id_projection),
        })
    }

    /// The same for some dead letters of an earlier run.
    #[must_use]
    pub fn for_retry(mut self, retry: Retry) -> Self {
        let mut records = Sha256::new();
        for id in &retry.wanted {
            records.update((id.len() as u64).to_le_bytes());
            records.update(id);
        }
        self.identity["retry"] = json!({
            "run": retry.parent.name().to_string(),
            "records": hex::encode(records.finalize()),
        });
        self.fingerprint = fingerprint(&self.identity);
        self.retry = Some(retry);
        self
    }

    /// Identity of a slice's one record, if it has one.
    ///
    /// # Errors
    /// Those of reading.
    pub fn id_of(&self, slice: &ShardSlice) -> anyhow::Result<Option<String>> {
        let mut reader = self.input.reader(&self.id_projection, 1);
        reader.begin(slice)?;
        let Some(chunk) = reader.next_chunk()? else {
            return Ok(None);
        };
        let index = self
            .id_projection
            .index_of(&self.id_column, Purpose::Identity);
        let ids = id_column(index, &chunk.rows)?;
        Ok((ids.len() == 1 && ids.is_valid(0)).then(|| ids.value(0).to_owned()))
    }

    /// What becomes of so many records that are not scored yet; one in so many values is to be part of the
    /// profile's samples.
    pub(super) fn no_results(&self, records: u64, one_in: u64) -> Results {
        let records = records as usize;
        let collector = Collector::new(self.layout.clone(), one_in);
        Results::new(self.bundle.head.empty(records), records, collector)
    }

    /// A reader of everything that scoring takes.
    pub fn reader(&self, chunk_rows: usize) -> Reader {
        self.input.reader(&self.projection, chunk_rows)
    }

    /// What scoring reads.
    pub fn projection(&self) -> &Arc<Projection> {
        &self.projection
    }

    /// Names of the columns that scoring reads, each once.
    pub fn columns_read(&self) -> Vec<String> {
        let names: BTreeSet<&str> = self
            .projection
            .uses()
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// What planning reads: ids, and what [`kept_ids`](Self::kept_ids) needs.
    pub fn id_projection(&self) -> &Arc<Projection> {
        &self.id_projection
    }

    /// Ids of a chunk of the id projection, and which rows the filter keeps.
    ///
    /// # Errors
    /// If the filter can not be evaluated (65 or 78).
    pub fn kept_ids(
        &self,
        chunk: &RecordBatch,
    ) -> anyhow::Result<(StringArray, Option<BooleanArray>)> {
        self.ids_and_kept(&self.id_projection, chunk)
    }

    /// Ids of a chunk of the reader.
    ///
    /// # Errors
    /// They were not read as text (70).
    pub fn ids(&self, chunk: &RecordBatch) -> anyhow::Result<StringArray> {
        let index = self.projection.index_of(&self.id_column, Purpose::Identity);
        id_column(index, chunk)
    }

    /// Ids, kept rows and feature columns (in the bundle's order) of a chunk of the reader.
    ///
    /// # Errors
    /// If filter or transform can not be evaluated (65 or 78).
    pub fn columns_of(
        &self,
        chunk: &RecordBatch,
    ) -> anyhow::Result<(StringArray, Option<BooleanArray>, Vec<ArrayRef>)> {
        let (ids, kept) = self.ids_and_kept(&self.projection, chunk)?;
        let added = if self.row_sql.added_columns().next().is_some() {
            let inputs = self.projection.select(chunk, Purpose::Expression)?;
            self.row_sql.transform(&inputs)?
        } else {
            Vec::new()
        };
        let columns = self
            .bundle
            .encoder
            .features()
            .iter()
            .map(|feature| {
                let position = self
                    .row_sql
                    .added_columns()
                    .position(|name| name == feature.column);
                match position {
                    Some(position) => Ok(cast(&added[position], &feature_type(&feature.kind))?),
                    None => self.column(chunk, &feature.column, feature.kind.purpose()),
                }
            })
            .collect::<anyhow::Result<_>>()?;
        Ok((ids, kept, columns))
    }

    /// About what a row takes while only its id and the filter's columns are read.
    pub fn bytes_per_id_row(&self) -> u64 {
        (self.id_projection.width().max(1) * DECODED_VALUE) as u64
    }

    /// About what a row takes while it is read and encoded: decoded columns, what the feature's
    /// casts make of them, the encoded matrix.
    pub fn bytes_per_row(&self) -> u64 {
        let encoder = &self.bundle.encoder;
        let decoded = (self.projection.width() + encoder.features().len()) * DECODED_VALUE;
        (decoded + encoder.bytes_per_row()) as u64
    }

    /// Instruction set of this host's products.
    pub fn numerics(&self) -> &'static str {
        self.bundle.numerics
    }

    /// About what a scored record takes until it is in the database.
    pub fn bytes_per_output(&self) -> u64 {
        const ID_AND_NUMBERS: u64 = 192;
        ID_AND_NUMBERS + self.bundle.head.bytes_per_output()
    }

    fn ids_and_kept(
        &self,
        projection: &Projection,
        chunk: &RecordBatch,
    ) -> anyhow::Result<(StringArray, Option<BooleanArray>)> {
        let index = projection.index_of(&self.id_column, Purpose::Identity);
        let ids = id_column(index, chunk)?;
        let kept = if self.row_sql.is_empty() {
            None
        } else {
            self.row_sql
                .keep(&projection.select(chunk, Purpose::Expression)?)?
        };
        Ok((ids, kept))
    }

    fn column(
        &self,
        chunk: &RecordBatch,
        name: &str,
        purpose: Purpose,
    ) -> anyhow::Result<ArrayRef> {
        let index = self
            .projection
            .index_of(name, purpose)
            .ok_or_else(|| Failure::internal(format!("column `{name}` was not read")))?;
        Ok(chunk.column(index).clone())
    }
}

fn id_column(index: Option<usize>, chunk: &RecordBatch) -> anyhow::Result<StringArray> {
    let column = index.and_then(|index| chunk.column(index).as_any().downcast_ref::<StringArray>());
    Ok(column
        .ok_or_else(|| Failure::internal("the id column was not read as text"))?
        .clone())
}

/// The job's `filter` and `transform`.
///
/// # Errors
/// One is not understood, or refused (78).
pub fn row_sql(job: &Job) -> anyhow::Result<RowSql> {
    let source = &job.source;
    RowSql::parse(source.filter.as_deref(), source.transform.as_deref())
}

/// Every column that scoring reads: the id, the features that the input holds (not those that the
/// transform adds), and the inputs of filter and transform.
fn columns(id_column: &str, bundle: &Bundle, row_sql: &RowSql) -> Vec<ColumnUse> {
    let added: BTreeSet<&str> = row_sql.added_columns().collect();
    let mut columns = vec![ColumnUse::new(id_column, Purpose::Identity)];
    for feature in bundle.encoder.features() {
        if !added.contains(feature.column.as_str()) {
            columns.push(ColumnUse::new(&feature.column, feature.kind.purpose()));
        }
    }
    let inputs: BTreeSet<String> = row_sql
        .filter_columns()
        .union(row_sql.transform_columns())
        .cloned()
        .collect();
    columns.extend(expressions(&inputs));
    columns
}

fn expressions(names: &BTreeSet<String>) -> impl Iterator<Item = ColumnUse> {
    names
        .iter()
        .map(|name| ColumnUse::new(name, Purpose::Expression))
}

fn feature_type(kind: &FeatureKind) -> DataType {
    match kind {
        FeatureKind::Numeric(_) => DataType::Float64,
        _ => DataType::Utf8,
    }
}

/// What the transform adds must be something that the feature of that name can take.
fn check_added_columns(
    bundle: &Bundle,
    row_sql: &RowSql,
    projection: &Projection,
) -> anyhow::Result<()> {
    if row_sql.is_empty() {
        return Ok(());
    }
    let types = row_sql.check_types(&projection.schema_of(Purpose::Expression))?;
    for (name, data_type) in row_sql.added_columns().zip(types) {
        let feature = bundle
            .encoder
            .features()
            .iter()
            .find(|feature| feature.column == name);
        if let Some(feature) = feature {
            let purpose = feature.kind.purpose();
            if purpose.read_as(&data_type).is_none() {
                return Err(Failure::config(format!(
                    "[source] transform makes `{name}` of type {data_type}, but the bundle's feature takes {}",
                    purpose.accepted()
                ))
                .hint("wrap the expression in CAST(… AS …)")
                .into());
            }
        }
    }
    Ok(())
}

/// Fewer records than the job demands are no input.
///
/// # Errors
/// There are fewer (66).
pub fn check_min_rows(rows: u64, min_rows: u64) -> Result<(), Failure> {
    if rows >= min_rows {
        return Ok(());
    }
    Err(Failure::new(
        Class::NoInput,
        format!("the input has {rows} records, but [source] min_rows demands {min_rows}"),
    )
    .hint("check that the input is complete; lower min_rows if a small night is normal"))
}

fn fingerprint(identity: &Value) -> String {
    hex::encode(Sha256::digest(identity.to_string()))
}

/// Everything that predictions depend on, but for the records' order, which the manifest fixes.
fn identity(
    job: &Job,
    bundle: &Bundle,
    capacity: Capacity,
    input: &Input,
    limit: Option<u64>,
) -> Value {
    // Hashed, because they may hold what came through ${VAR}.
    let hashed =
        |text: &Option<String>| text.as_ref().map(|text| hex::encode(Sha256::digest(text)));
    let mut source = json!({
        "id_column": job.source.id_column,
        "filter": hashed(&job.source.filter),
        "transform": hashed(&job.source.transform),
        "limit": limit,
    });
    for (key, value) in input.identity() {
        source[key] = value;
    }
    json!({
        "version": FINGERPRINT_VERSION,
        "source": source,
        "model": {
            "digest": bundle.digest,
            "threshold": job.model.threshold,
            "precision": bundle.precision.as_str(),
        },
        "run": match capacity {
            Capacity::Rows(rows) => json!({ "batch_size": rows }),
            Capacity::Tokens(tokens) => json!({ "batch_tokens": tokens }),
        },
    })
}
