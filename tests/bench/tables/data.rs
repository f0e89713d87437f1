//! Records and models of any size, the same from every run.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Float64Type, Int64Type};
use candle_core::{Device, Tensor};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

const HIDDEN: [usize; 2] = [64, 32];
const CATEGORIES: usize = 10_000;
const EMBEDDING: usize = 4;
const ROWS_OF_A_BATCH: u64 = 16_384;

/// Columns of a table, beside its `id`.
pub struct Shape {
    /// Of f64.
    pub numbers: usize,
    /// Of text, one of 10,000 different ones.
    pub categories: usize,
    /// Of f64, which no model reads.
    pub unused: usize,
    pub rows_of_a_group: usize,
    /// Else they are numbers of up to 19 digits in no order.
    pub ids_ascend: bool,
}

impl Shape {
    /// Names of the columns that a model reads.
    pub fn columns(&self) -> Vec<String> {
        let numbers = (0..self.numbers).map(number);
        numbers.chain((0..self.categories).map(category)).collect()
    }
}

fn number(index: usize) -> String {
    format!("x{index}")
}

fn category(index: usize) -> String {
    format!("c{index}")
}

/// Pseudo-random numbers.
struct Numbers(u64);

impl Numbers {
    /// In [0, 1).
    fn uniform(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1u64 << 24) as f64
    }

    /// In (-4, 4), with three decimals, as measurements have.
    fn measurement(&mut self) -> f64 {
        (self.uniform() * 8000.0).round() / 1000.0 - 4.0
    }
}

fn names() -> Vec<String> {
    (0..CATEGORIES)
        .map(|index| format!("category-{index:05}"))
        .collect()
}

/// Writes records, unless there is such a file.
pub fn write_records(path: &Path, records: u64, shape: &Shape) {
    if path.exists() {
        return;
    }
    let unfinished = path.with_extension("unfinished");
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(shape.rows_of_a_group))
        .build();
    let names = names();
    let mut numbers = Numbers(29);
    let mut writer = None;
    for first in (0..records).step_by(ROWS_OF_A_BATCH as usize) {
        let rows = ROWS_OF_A_BATCH.min(records - first);
        // To multiply by an odd number gives no number twice.
        let factor = if shape.ids_ascend {
            1
        } else {
            0x9E37_79B9_7F4A_7C15
        };
        let ids = (first..first + rows).map(|id| id.wrapping_mul(factor).cast_signed());
        let ids = Int64Array::from_iter_values(ids);
        let mut columns: Vec<(String, ArrayRef)> = vec![("id".into(), Arc::new(ids))];
        let mut add = |name: String| {
            let values = Float64Array::from_iter_values((0..rows).map(|_| numbers.measurement()));
            columns.push((name, Arc::new(values)));
        };
        (0..shape.numbers).for_each(|index| add(number(index)));
        (0..shape.unused).for_each(|index| add(format!("unused{index}")));
        for index in 0..shape.categories {
            let chosen =
                (0..rows).map(|_| &names[(numbers.uniform() * CATEGORIES as f64) as usize]);
            columns.push((
                category(index),
                Arc::new(StringArray::from_iter_values(chosen)),
            ));
        }
        let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
        writer
            .get_or_insert_with(|| {
                let file = File::create(&unfinished).expect("a file");
                ArrowWriter::try_new(file, batch.schema(), Some(properties.clone()))
                    .expect("a writer")
            })
            .write(&batch)
            .expect("rows are written");
    }
    writer
        .expect("at least one record")
        .close()
        .expect("a footer");
    fs::rename(&unfinished, path).expect("a name");
}

/// Writes the records of a file, an id and numbers, in the binary format of COPY.
pub fn write_copy(input: &Path, output: &Path) {
    let file = File::open(input).expect("records");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a footer");
    let mut output = BufWriter::new(File::create(output).expect("a file"));
    let mut write = |bytes: &[u8]| output.write_all(bytes).expect("room");
    write(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
    for batch in reader.build().expect("pages") {
        let batch = batch.expect("rows");
        let (ids, numbers) = batch.columns().split_first().expect("columns");
        let ids = ids.as_primitive::<Int64Type>();
        let numbers: Vec<_> = numbers
            .iter()
            .map(|column| column.as_primitive::<Float64Type>())
            .collect();
        for row in 0..batch.num_rows() {
            write(&(batch.num_columns() as i16).to_be_bytes());
            let values = numbers.iter().map(|column| column.value(row).to_be_bytes());
            for value in [ids.value(row).to_be_bytes()].into_iter().chain(values) {
                write(&8_i32.to_be_bytes());
                write(&value);
            }
        }
    }
    write(&(-1_i16).to_be_bytes());
    output.flush().expect("room");
}

/// Writes a binary classifier over the columns that are used.
pub fn write_bundle(directory: &Path, shape: &Shape) {
    fs::create_dir_all(directory).expect("a directory");
    let mut model = String::from(
        "[model]\nname = \"bench\"\nversion = \"1.0.0\"\narchitecture = \"mlp\"\ntask = \"binary\"\n\
         classes = [\"no\", \"yes\"]\n\n[mlp]\nhidden = [64, 32]\nactivation = \"relu\"\n",
    );
    for index in 0..shape.numbers {
        let name = number(index);
        model += &format!(
            "\n[[feature]]\ncolumn = \"{name}\"\nkind = \"numeric\"\nmean = 0.0\nstd = 2.3\nmin = -4.0\nmax = 4.0\n"
        );
    }
    let mut numbers = Numbers(31);
    let mut tensors = HashMap::new();
    let mut add = |name: String, dimensions: &[usize], scale: f64| {
        let count = dimensions.iter().product();
        let values: Vec<f32> = (0..count)
            .map(|_| (numbers.measurement() * scale) as f32)
            .collect();
        let tensor = Tensor::from_vec(values, dimensions, &Device::Cpu).expect("a tensor");
        tensors.insert(name, tensor);
    };
    for index in 0..shape.categories {
        let name = category(index);
        let listed = names();
        model += &format!(
            "\n[[feature]]\ncolumn = \"{name}\"\nkind = \"categorical\"\ncategories = {listed:?}\ndim = {EMBEDDING}\n"
        );
        add(
            format!("embeddings.{name}.weight"),
            &[CATEGORIES + 1, EMBEDDING],
            0.4,
        );
    }
    fs::write(directory.join("model.toml"), model).expect("a file");
    let mut inputs = shape.numbers + EMBEDDING * shape.categories;
    for (index, outputs) in HIDDEN.into_iter().chain([1]).enumerate() {
        let scale = 0.4 / (inputs as f64).sqrt();
        add(format!("layers.{index}.weight"), &[outputs, inputs], scale);
        add(format!("layers.{index}.bias"), &[outputs], scale);
        inputs = outputs;
    }
    candle_core::safetensors::save(&tensors, directory.join("model.safetensors"))
        .expect("weights are written");
}
