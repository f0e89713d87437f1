//! One pass over the file: what each of its columns holds.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray, StringArray};
use arrow::datatypes::{DataType, Float64Type, Schema};

use super::numbers::Numbers;
use super::values::Values;
use crate::error::{Class, Failure};
use crate::interrupt::Interrupt;
use crate::source::columns::{ColumnUse, Purpose};
use crate::source::parquet::{ChunkReader, ParquetInput, projection};
use crate::suggest::nearest;

/// Values that are read at a time.
const CHUNK_VALUES: usize = 1 << 20;

/// Different values that all columns together are given room for.
const ROOM: usize = 1 << 18;

/// Different values of the target that are told apart.
const TARGET_ROOM: usize = 1_000;

/// Ids of all candidates together that are compared with each other.
const SAMPLE: usize = 4_000_000;

/// What the file holds.
pub struct Survey {
    /// Its columns, in order.
    pub columns: Vec<Column>,
}

/// A column of the file.
pub struct Column {
    /// Name.
    pub name: String,
    /// Type as it is stored.
    pub stored: DataType,
    /// Whether another column has the same name.
    pub is_double: bool,
    /// If it can be read as numbers.
    pub numbers: Option<Numbers>,
    /// If it holds text, or is the target.
    pub values: Option<Values>,
    /// If it may be the one that names the records.
    pub ids: Option<Ids>,
}

/// Whether a column tells records apart.
pub struct Ids {
    seen: HashSet<u64>,
    sample: usize,
    /// Whether a record has none.
    pub has_nulls: bool,
    /// Whether two of the records that were compared share one.
    pub repeats: bool,
}

impl Survey {
    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

impl Column {
    fn uses(&self) -> Vec<ColumnUse> {
        let purposes = [
            (self.numbers.is_some(), Purpose::Numeric),
            (self.values.is_some(), Purpose::Categorical),
            (self.ids.is_some(), Purpose::Identity),
        ];
        let wanted = purposes.into_iter().filter(|(wanted, _)| *wanted);
        wanted
            .map(|(_, purpose)| ColumnUse::new(&self.name, purpose))
            .collect()
    }
}

impl Ids {
    fn add(&mut self, ids: &StringArray) {
        self.has_nulls |= ids.null_count() > 0;
        for id in ids.iter().flatten() {
            if self.repeats || self.seen.len() >= self.sample {
                self.seen = HashSet::new();
                self.sample = 0;
                return;
            }
            let mut hasher = DefaultHasher::new();
            id.hash(&mut hasher);
            self.repeats = !self.seen.insert(hasher.finish());
        }
    }
}

/// Reads the input once. `id_column` and `target` are what the command line names.
///
/// # Errors
/// The command line names a column that is not there (64); the file is damaged (65); I/O; to stop is
/// requested (75).
pub fn survey(
    input: ParquetInput,
    id_column: Option<&str>,
    target: Option<&str>,
    interrupt: &Interrupt,
) -> anyhow::Result<Survey> {
    let schema = input.schema();
    for (option, name) in [("--id-column", id_column), ("--target", target)] {
        if let Some(name) = name {
            require(option, name, &schema)?;
        }
    }
    if let (Some(id), true) = (id_column, id_column == target) {
        let problem = format!("--target and --id-column both name `{id}`");
        return Err(Failure::new(Class::Usage, problem)
            .hint("a record's id says nothing about what is to be predicted")
            .into());
    }
    let mut columns = columns(&input, &schema, id_column, target);
    let uses: Vec<ColumnUse> = columns.iter().flat_map(Column::uses).collect();
    if uses.is_empty() {
        return Ok(Survey { columns });
    }
    let chunk_rows = (CHUNK_VALUES / uses.len()).clamp(64, 8_192);
    let projection = Arc::new(projection(&input, uses)?);
    let rows = input.rows();
    let mut reader = ChunkReader::new(Arc::new(input), projection.clone(), chunk_rows);
    while let Some(chunk) = reader.next(rows)? {
        interrupt.check()?;
        for column in &mut columns {
            let array = |purpose| {
                let index = projection.index_of(&column.name, purpose)?;
                Some(chunk.rows.column(index))
            };
            if let (Some(numbers), Some(array)) = (&mut column.numbers, array(Purpose::Numeric)) {
                numbers.add(array.as_primitive::<Float64Type>());
            }
            if let (Some(values), Some(array)) = (&mut column.values, array(Purpose::Categorical)) {
                values.add(array.as_string::<i32>());
            }
            if let (Some(ids), Some(array)) = (&mut column.ids, array(Purpose::Identity)) {
                ids.add(array.as_string::<i32>());
            }
        }
    }
    Ok(Survey { columns })
}

/// The columns, with what is to be found out about each.
fn columns(
    input: &ParquetInput,
    schema: &Schema,
    id_column: Option<&str>,
    target: Option<&str>,
) -> Vec<Column> {
    let doubles = input.doubles();
    let is_candidate = |name: &str, stored: &DataType| match id_column {
        Some(id_column) => id_column == name,
        None => super::identity::is_called_id(name) && Purpose::Identity.read_as(stored).is_some(),
    };
    let mut columns: Vec<Column> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let (name, stored) = (field.name(), field.data_type());
        let is_double = doubles.contains(name);
        let serves = |purpose: Purpose| {
            let is_empty = matches!(stored, DataType::Null);
            !is_double && !is_empty && purpose.read_as(stored).is_some()
        };
        let is_target = target == Some(name);
        let is_number = serves(Purpose::Numeric);
        let is_text = serves(Purpose::Categorical) && (is_target || !is_number);
        let is_id = serves(Purpose::Identity) && is_candidate(name, stored);
        columns.push(Column {
            name: name.clone(),
            stored: stored.clone(),
            is_double,
            numbers: is_number.then(Numbers::default),
            values: is_text.then(|| Values::new(TARGET_ROOM)),
            ids: is_id.then(|| Ids {
                seen: HashSet::new(),
                sample: SAMPLE,
                has_nulls: false,
                repeats: false,
            }),
        });
    }
    share_room(&mut columns, target);
    columns
}

/// However many columns there are, what is remembered of them stays within bounds.
fn share_room(columns: &mut [Column], target: Option<&str>) {
    let texts = columns.iter().filter(|column| column.values.is_some());
    let room = (ROOM / texts.count().max(1)).clamp(128, TARGET_ROOM);
    let candidates = columns.iter().filter(|column| column.ids.is_some());
    let sample = SAMPLE / candidates.count().max(1);
    for column in columns {
        if column.values.is_some() && target != Some(&column.name) {
            column.values = Some(Values::new(room));
        }
        if let Some(ids) = &mut column.ids {
            ids.sample = sample;
        }
    }
}

fn require(option: &str, name: &str, schema: &Schema) -> Result<(), Failure> {
    const SHOWN: usize = 30;
    let names: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    if names.contains(&name) {
        return Ok(());
    }
    let mut there = names
        .iter()
        .take(SHOWN)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        there.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    let problem = format!("{option}: there is no column `{name}`; there are {there}");
    let failure = Failure::new(Class::Usage, problem);
    Err(match nearest(name, names) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure,
    })
}
