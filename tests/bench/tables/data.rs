//! Records and a model of any size, the same from every run.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use candle_core::{Device, Tensor};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

/// Numeric columns of a record.
pub const COLUMNS: usize = 29;
const HIDDEN: [usize; 2] = [64, 32];
const ROWS_OF_A_BATCH: u64 = 65_536;
const ROWS_OF_A_GROUP: usize = 131_072;

/// Numbers in (-4, 4), with three decimals, as measurements have.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let uniform = (self.0 >> 40) as f64 / (1u64 << 24) as f64;
        (uniform * 8000.0).round() / 1000.0 - 4.0
    }
}

fn column(index: usize) -> String {
    format!("x{index}")
}

/// Writes records with ids in ascending order, unless there is such a file.
pub fn write_records(path: &Path, records: u64) {
    if path.exists() {
        return;
    }
    let unfinished = path.with_extension("unfinished");
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROWS_OF_A_GROUP))
        .build();
    let mut numbers = Numbers(29);
    let mut writer = None;
    for first in (0..records).step_by(ROWS_OF_A_BATCH as usize) {
        let rows = ROWS_OF_A_BATCH.min(records - first);
        let ids = Int64Array::from_iter_values((first..first + rows).map(|id| id as i64));
        let mut columns: Vec<(String, ArrayRef)> = vec![("id".into(), Arc::new(ids))];
        for index in 0..COLUMNS {
            let values = Float64Array::from_iter_values((0..rows).map(|_| numbers.next()));
            columns.push((column(index), Arc::new(values)));
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

/// Writes a binary classifier over all columns.
pub fn write_bundle(directory: &Path) {
    fs::create_dir_all(directory).expect("a directory");
    let mut model = String::from(
        "[model]\nname = \"bench\"\nversion = \"1.0.0\"\narchitecture = \"mlp\"\ntask = \"binary\"\n\
         classes = [\"no\", \"yes\"]\n\n[mlp]\nhidden = [64, 32]\nactivation = \"relu\"\n",
    );
    for index in 0..COLUMNS {
        let name = column(index);
        model += &format!(
            "\n[[feature]]\ncolumn = \"{name}\"\nkind = \"numeric\"\nmean = 0.0\nstd = 2.3\nmin = -4.0\nmax = 4.0\n"
        );
    }
    fs::write(directory.join("model.toml"), model).expect("a file");
    let mut numbers = Numbers(31);
    let mut tensors = std::collections::HashMap::new();
    let mut inputs = COLUMNS;
    for (index, outputs) in HIDDEN.into_iter().chain([1]).enumerate() {
        let scale = 0.4 / (inputs as f64).sqrt();
        let mut tensor = |shape: &[usize]| {
            let count = shape.iter().product();
            let values: Vec<f32> = (0..count)
                .map(|_| (numbers.next() * scale) as f32)
                .collect();
            Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor")
        };
        tensors.insert(format!("layers.{index}.weight"), tensor(&[outputs, inputs]));
        tensors.insert(format!("layers.{index}.bias"), tensor(&[outputs]));
        inputs = outputs;
    }
    candle_core::safetensors::save(&tensors, directory.join("model.safetensors"))
        .expect("weights are written");
}
