//! Inside Parquet files: codecs, encodings and pages; what is not needed is not read, and what can
//! not serve is refused by name.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{Field, Fields, Int64Type};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, GzipLevel, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::harness::{Workspace, batch, linear_bundle, simple_job, write_parquet};
use crate::parquet_source::{assert_published, floats, records, run, texts, workspace};

/// Writes a file with properties of its own.
fn write_with(path: &Path, rows: &RecordBatch, properties: WriterPropertiesBuilder) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
    let file = fs::File::create(path).expect("a file");
    let mut writer =
        ArrowWriter::try_new(file, rows.schema(), Some(properties.build())).expect("a writer");
    writer.write(rows).expect("rows");
    writer.close().expect("a footer");
}

/// Overwrites the pages of one column in one row group; size and footer stay as they are.
pub fn damage(path: &Path, column: &str, row_group: usize) {
    let reader = SerializedFileReader::new(fs::File::open(path).expect("a file")).expect("Parquet");
    let (from, length) = reader
        .metadata()
        .row_group(row_group)
        .columns()
        .iter()
        .find(|chunk| chunk.column_path().string() == column)
        .expect("the column")
        .byte_range();
    let mut bytes = fs::read(path).expect("the file");
    bytes[from as usize..(from + length) as usize].fill(0xFF);
    fs::write(path, bytes).expect("the file");
}

/// Records with one more column.
fn with_column(rows: &RecordBatch, name: &str, column: ArrayRef) -> RecordBatch {
    let names: Vec<String> = rows
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    let mut columns: Vec<(&str, ArrayRef)> = names
        .iter()
        .map(String::as_str)
        .zip(rows.columns().iter().cloned())
        .collect();
    columns.push((name, column));
    batch(columns)
}

/// Checks that nothing of a run was written.
#[track_caller]
fn assert_nothing_planned(workspace: &Workspace) {
    assert_eq!(workspace.value("SELECT count(*) FROM runs"), "0");
}

#[test]
fn every_common_codec_is_read() {
    let workspace = workspace("input/*.parquet");
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::ZSTD(ZstdLevel::default()),
        Compression::GZIP(GzipLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
    ];
    for (index, codec) in (0..).zip(codecs) {
        let file = workspace.path(&format!("input/{index}.parquet"));
        let properties = WriterProperties::builder()
            .set_compression(codec)
            .set_max_row_group_row_count(Some(50));
        write_with(&file, &records(index * 100, 100), properties);
    }
    run(&workspace).expect(0);
    assert_published(&workspace, 0..600);
}

#[test]
fn pages_of_every_kind_are_read() {
    let small_pages = || {
        WriterProperties::builder()
            .set_data_page_row_count_limit(11)
            .set_write_batch_size(4)
    };
    let kinds = [
        small_pages().set_dictionary_enabled(true),
        small_pages().set_dictionary_enabled(false),
        // The dictionary overflows, and plain pages follow.
        small_pages().set_dictionary_page_size_limit(64),
        small_pages().set_writer_version(WriterVersion::PARQUET_2_0),
        small_pages()
            .set_writer_version(WriterVersion::PARQUET_2_0)
            .set_dictionary_enabled(false)
            .set_column_encoding("id".into(), Encoding::DELTA_BYTE_ARRAY)
            .set_column_encoding("a".into(), Encoding::BYTE_STREAM_SPLIT),
        small_pages()
            .set_dictionary_enabled(false)
            .set_column_encoding("id".into(), Encoding::DELTA_LENGTH_BYTE_ARRAY),
    ];
    let workspace = workspace("input/*.parquet");
    for (index, properties) in (0..).zip(kinds) {
        let file = workspace.path(&format!("input/{index}.parquet"));
        write_with(&file, &records(index * 100, 100), properties);
    }
    run(&workspace).expect(0);
    assert_published(&workspace, 0..600);
}

#[test]
fn columns_of_types_that_nothing_can_use_are_no_hindrance_unless_they_are_needed() {
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(
        (0..20).map(|row| (row % 3 > 0).then(|| vec![Some(row), None])),
    ));
    let leaf: ArrayRef = Arc::new(Int64Array::from_iter_values(0..20));
    let fields = Fields::from(vec![
        Field::new("a", leaf.data_type().clone(), true),
        Field::new("lists", lists.data_type().clone(), true),
    ]);
    let structs: ArrayRef = Arc::new(StructArray::new(fields, vec![leaf, lists.clone()], None));
    let intervals: ArrayRef = Arc::new(BinaryArray::from_iter_values((0..20).map(|row: u8| [row])));
    let mut rows = records(0, 20);
    for (name, column) in [
        ("lists", lists),
        ("structs", structs),
        ("binary", intervals),
    ] {
        rows = with_column(&rows, name, column);
    }
    let workspace = workspace("input/*.parquet");
    write_parquet(&workspace.path("input/1.parquet"), &rows, 5);
    run(&workspace).expect(0);
    assert_published(&workspace, 0..20);
    for name in ["lists", "structs", "binary"] {
        linear_bundle(&workspace.path("bundle"), &[(name, 1.0)], 0.0, "");
        let refused = workspace.lamplighter(&["run", "job.toml", "--date", "2026-11-24"]);
        refused.expect(65).says(&["input/1.parquet", name]);
    }
}

#[test]
fn a_damaged_page_of_a_column_that_is_not_needed_is_never_read() {
    let workspace = workspace("input/*.parquet");
    let file = workspace.path("input/1.parquet");
    let more = floats(&[1.0; 20]);
    write_parquet(&file, &with_column(&records(0, 20), "more", more), 5);
    for row_group in 0..4 {
        damage(&file, "more", row_group);
    }
    run(&workspace).expect(0);
    assert_published(&workspace, 0..20);

    // The damage is real: a bundle that needs the column stumbles over it.
    linear_bundle(&workspace.path("bundle"), &[("more", 1.0)], 0.0, "");
    let stumbles = workspace.lamplighter(&["run", "job.toml", "--date", "2026-11-24"]);
    stumbles.expect(65).says(&["input/1.parquet"]);
}

#[test]
fn a_damaged_page_names_its_file_and_publishes_nothing() {
    for column in ["id", "a"] {
        let workspace = workspace("input/*.parquet");
        for (name, first) in [("1", 0), ("2", 20)] {
            let file = workspace.path(&format!("input/{name}.parquet"));
            write_parquet(&file, &records(first, 20), 5);
        }
        damage(&workspace.path("input/2.parquet"), column, 2);
        run(&workspace).expect(65).says(&["input/2.parquet"]);
        assert_published(&workspace, []);
    }
}

#[test]
fn columns_that_do_not_go_together_are_refused_naming_both_files() {
    let numbers = |count| -> ArrayRef { Arc::new(Int64Array::from_iter_values(0..count)) };
    let unsigned: ArrayRef = Arc::new(UInt64Array::from(vec![1; 4]));
    let truths: ArrayRef = Arc::new(BooleanArray::from(vec![true; 4]));
    for other in [texts(["1"; 4]), truths, unsigned] {
        let workspace = workspace("input/*.parquet");
        let job = simple_job("").replace("[model]", "filter = \"kind IS NOT NULL\"\n[model]");
        workspace.write("job.toml", job);
        for (name, first, kind) in [("1", 0, numbers(4)), ("2", 4, other)] {
            let rows = with_column(&records(first, 4), "kind", kind);
            write_parquet(&workspace.path(&format!("input/{name}.parquet")), &rows, 5);
        }
        let words = ["kind", "input/1.parquet", "input/2.parquet"];
        run(&workspace).expect(65).says(&words);
        assert_nothing_planned(&workspace);
    }
}

#[test]
fn a_file_that_lacks_a_column_is_refused_with_the_nearest_name() {
    let workspace = workspace("input/*.parquet");
    write_parquet(&workspace.path("input/1.parquet"), &records(0, 2), 5);
    let rows = batch(vec![
        ("ids", texts(["x"])),
        ("a", floats(&[1.0])),
        ("b", floats(&[1.0])),
    ]);
    write_parquet(&workspace.path("input/2.parquet"), &rows, 5);
    let words = ["input/2.parquet", "no column `id`", "did you mean `ids`?"];
    run(&workspace).expect(65).says(&words);
    assert_nothing_planned(&workspace);
}

#[test]
fn ids_and_features_of_types_that_lose_something_are_refused_by_name() {
    let ids = texts(["x", "y"]);
    let number = floats(&[1.0, 2.0]);
    for (id, a, column) in [
        (number.clone(), number.clone(), "`id`"),
        (ids.clone(), ids.clone(), "`a`"),
    ] {
        let workspace = workspace("input/*.parquet");
        write_parquet(&workspace.path("input/1.parquet"), &records(0, 2), 5);
        let rows = batch(vec![("id", id), ("a", a), ("b", number.clone())]);
        write_parquet(&workspace.path("input/2.parquet"), &rows, 5);
        run(&workspace)
            .expect(65)
            .says(&["input/2.parquet", column]);
        assert_nothing_planned(&workspace);
    }
}

/// Weights and inputs whose products are rounded, so that another order of summation would show.
fn uneven_workspace() -> Workspace {
    let workspace = Workspace::new();
    let names: Vec<String> = (0..9).map(|index| format!("x{index}")).collect();
    let weights: Vec<(&str, f32)> = (0..9)
        .map(|index| (names[index].as_str(), 0.1 + index as f32 * 0.37))
        .collect();
    linear_bundle(&workspace.path("bundle"), &weights, 0.3, "");
    workspace.write("job.toml", simple_job("[run]\nbatch_size = 3\n"));
    for file in 0..3u32 {
        let ids = texts((0..300).map(|row| format!("{file}-{row}")));
        let mut columns = vec![("id", ids)];
        for (index, name) in (0u32..).zip(&names) {
            let values =
                (0..300u32).map(|row| f64::from((row * 31 + index * 17 + file) % 1009) / 7.0);
            columns.push((name, Arc::new(Float64Array::from_iter_values(values))));
        }
        let path = workspace.path(&format!("input/{file}.parquet"));
        write_parquet(&path, &batch(columns), 33);
    }
    workspace
}

#[test]
fn shards_workers_chunks_and_row_groups_do_not_change_a_bit() {
    let workspace = uneven_workspace();
    let mut seen: Option<BTreeMap<String, String>> = None;
    let settings = [
        [
            "run.shard_size=16384",
            "run.workers=1",
            "run.max_memory=4GiB",
        ],
        ["run.shard_size=1", "run.workers=2", "run.max_memory=4GiB"],
        ["run.shard_size=7", "run.workers=3", "run.max_memory=1KiB"],
        ["run.shard_size=256", "run.workers=1", "run.max_memory=1KiB"],
        ["run.shard_size=301", "run.workers=5", "run.max_memory=1MiB"],
    ];
    for (run_id, [shards, workers, memory]) in (1..).zip(settings) {
        let date = format!("2026-11-{run_id:02}");
        let arguments = [
            "run", "job.toml", "--date", &date, "--set", shards, "--set", workers, "--set", memory,
        ];
        workspace.lamplighter(&arguments).expect(0);
        let bits = workspace.prediction_bits(run_id);
        assert_eq!(bits.len(), 900);
        assert_eq!(
            *seen.get_or_insert_with(|| bits.clone()),
            bits,
            "{shards} {workers} {memory}"
        );
    }
}
