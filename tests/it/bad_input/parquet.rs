//! Damage may cost the night, never the truth: a damaged file is refused by name (65), or it is
//! read as it was meant.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use arrow::array::{Int64Array, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, GzipLevel};
use parquet::file::metadata::{ParquetMetaDataReader, ParquetMetaDataWriter};
use parquet::file::properties::WriterProperties;

use super::{
    RUN, RUN_NAME, nothing_is_visible, nothing_was_planned, numbered, numbers, published, put,
    put_batch, run, text, verifies, workspace,
};
use crate::harness::Workspace;

/// Footer length and magic number.
const TAIL_BYTES: usize = 8;

fn footer_start(file: &[u8]) -> usize {
    let tail = file.len() - TAIL_BYTES;
    let length: [u8; 4] = file[tail..tail + 4].try_into().expect("four bytes");
    tail - u32::from_le_bytes(length) as usize
}

/// Writes damaged bytes as `input/a.parquet` and checks that they are refused by name.
#[track_caller]
fn is_refused(workspace: &Workspace, bytes: &[u8]) {
    workspace.write("input/a.parquet", bytes);
    run(workspace)
        .expect(65)
        .says(&["error:", "input/a.parquet", "hint:"]);
    nothing_was_planned(workspace);
}

/// An intact file of thirty rows in three row groups.
fn checksummed() -> Vec<u8> {
    gzipped(30)
}

/// A file of three row groups, gzipped so that its pages carry checksums.
fn gzipped(rows: usize) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(rows / 3))
        .set_compression(Compression::GZIP(GzipLevel::default()))
        .build();
    let rows = numbered(rows);
    let mut writer =
        ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).expect("a writer");
    writer.write(&rows).expect("rows");
    writer.into_inner().expect("a footer")
}

/// Predictions of the intact file: what a damaged one must give if it gives anything.
fn intact_predictions(bytes: &[u8]) -> BTreeMap<String, String> {
    let workspace = workspace("", "");
    workspace.write("input/a.parquet", bytes);
    run(&workspace).expect(0);
    workspace.prediction_bits(1)
}

/// Scores `bytes` in a fresh database: refused, or exactly the predictions of the intact file.
/// Returns whether it was refused.
#[track_caller]
fn refused_or_identical(
    workspace: &Workspace,
    bytes: &[u8],
    intact: &BTreeMap<String, String>,
    what: &str,
) -> bool {
    for name in ["lamplighter.db", "lamplighter.db-wal", "lamplighter.db-shm"] {
        let _ = fs::remove_file(workspace.path(name));
    }
    workspace.write("input/a.parquet", bytes);
    let ended = run(workspace);
    match ended.code {
        Some(0) => {
            assert_eq!(&workspace.prediction_bits(1), intact, "{what}");
            false
        }
        Some(65) => {
            ended.says(&["error:", "input/a.parquet"]);
            nothing_is_visible(workspace);
            true
        }
        code => panic!("{what}: exit {code:?}\n{}\n{}", ended.stdout, ended.stderr),
    }
}

/// Flips bits of the bytes of `damage`, one byte of a file at a time, with changing masks.
fn flip_each(damage: impl Iterator<Item = usize>) {
    let bytes = checksummed();
    let intact = intact_predictions(&bytes);
    let workspace = workspace("", "");
    let masks = [0x01, 0x10, 0xff, 0x80, 0x04];
    let mut refused = 0;
    for (at, mask) in damage.zip(masks.into_iter().cycle()) {
        let mut damaged = bytes.clone();
        damaged[at] ^= mask;
        let what = format!("byte {at} of {} flipped with {mask:#x}", bytes.len());
        refused += usize::from(refused_or_identical(&workspace, &damaged, &intact, &what));
    }
    assert!(refused > 0, "no damage was ever noticed");
}

#[test]
fn a_footer_cut_anywhere_is_refused_by_name() {
    let bytes = checksummed();
    let workspace = workspace("", "");
    let last = bytes.len() - TAIL_BYTES;
    for length in (footer_start(&bytes)..last)
        .step_by(9)
        .chain(last..bytes.len())
    {
        is_refused(&workspace, &bytes[..length]);
    }
}

#[test]
fn a_flipped_bit_in_the_footer_never_publishes_wrong_predictions() {
    let bytes = checksummed();
    flip_each((footer_start(&bytes)..bytes.len()).step_by(2));
}

#[test]
fn a_flipped_bit_in_the_pages_never_publishes_wrong_predictions() {
    let bytes = checksummed();
    flip_each((0..footer_start(&bytes)).step_by(3));
}

/// A file whose last row group claims `rows` rows; the footer's own sum stays at 30.
fn last_row_group_claims(rows: i64) -> Vec<u8> {
    let bytes = checksummed();
    let start = footer_start(&bytes);
    let footer = &bytes[start..bytes.len() - TAIL_BYTES];
    let mut metadata = ParquetMetaDataReader::decode_metadata(footer)
        .expect("a footer")
        .into_builder();
    let mut row_groups = metadata.take_row_groups();
    let last = row_groups.pop().expect("a row group").into_builder();
    row_groups.push(last.set_num_rows(rows).build().expect("a row group"));
    let metadata = metadata.set_row_groups(row_groups).build();
    let mut forged = bytes[..start].to_vec();
    ParquetMetaDataWriter::new(&mut forged, &metadata)
        .finish()
        .expect("a footer");
    forged
}

#[test]
fn the_forged_footers_of_these_tests_are_sound_but_for_their_row_counts() {
    let workspace = workspace("", "");
    workspace.write("input/a.parquet", last_row_group_claims(10));
    run(&workspace).expect(0);
    assert_eq!(published(&workspace).len(), 30);
}

#[test]
fn row_counts_that_contradict_each_other_lose_no_record_in_silence() {
    for rows in [0, 2, 9, 11, 1 << 40, i64::MAX, -1] {
        is_refused(&workspace("", ""), &last_row_group_claims(rows));
    }
}

#[test]
fn a_hostile_footer_length_is_refused_without_allocating_it() {
    let bytes = checksummed();
    let tail = bytes.len() - TAIL_BYTES;
    for length in [0, 1, bytes.len() as u32, 0x7fff_ffff, u32::MAX] {
        let mut hostile = bytes.clone();
        hostile[tail..tail + 4].copy_from_slice(&length.to_le_bytes());
        is_refused(&workspace("", ""), &hostile);
    }
}

#[test]
fn files_that_are_not_parquet_are_refused_by_name() {
    let csv = "id,x\nr0000,1\n".repeat(100);
    for bytes in ["", "PAR1", "PAR1PAR1", "PAR1\0\0\0\0PAR1", &csv] {
        is_refused(&workspace("", ""), bytes.as_bytes());
    }
}

#[test]
fn one_damaged_file_among_good_ones_is_the_one_that_is_named() {
    let workspace = workspace("", "");
    put_batch(&workspace, "a.parquet", &numbered(3));
    put_batch(&workspace, "c.parquet", &numbered(3));
    workspace.write("input/b.parquet", "not Parquet, though it is long enough");
    let ended = run(&workspace)
        .expect(65)
        .says(&["input/b.parquet", "hint:"]);
    for innocent in ["a.parquet", "c.parquet"] {
        assert!(!ended.stderr.contains(innocent), "{}", ended.stderr);
    }
    nothing_was_planned(&workspace);
}

#[test]
fn a_file_without_rows_is_no_input() {
    let workspace = workspace("", "");
    put_batch(&workspace, "a.parquet", &numbered(0));
    run(&workspace)
        .expect(66)
        .says(&["0 records", "min_rows", "hint:"]);
    nothing_was_planned(&workspace);
}

#[test]
fn a_file_without_rows_is_an_empty_night_where_min_rows_allows_it() {
    let workspace = workspace("", "");
    put_batch(&workspace, "a.parquet", &numbered(0));
    let run = [&RUN[..], &["--set", "source.min_rows=0"]].concat();
    workspace.lamplighter(&run).expect(0);
    assert_eq!(workspace.value("SELECT publication FROM runs"), "published");
    assert!(published(&workspace).is_empty());
    verifies(&workspace);
}

/// Bytes of `x` in the last row group.
fn last_page_of_x(bytes: &[u8]) -> std::ops::Range<usize> {
    let footer = &bytes[footer_start(bytes)..bytes.len() - TAIL_BYTES];
    let metadata = ParquetMetaDataReader::decode_metadata(footer).expect("a footer");
    let row_group = metadata.row_groups().last().expect("a row group");
    let (start, length) = row_group.column(1).byte_range();
    start as usize..(start + length) as usize
}

#[test]
fn a_corrupt_page_keeps_what_was_committed_and_the_repaired_file_completes_the_run() {
    let bytes = gzipped(3 * 512);
    let intact = intact_predictions(&bytes);
    // As little memory as there may be: a reader then looks no further than its shard.
    let job = "[run]\nshard_size = 512\nworkers = 1\nmax_memory = \"1KiB\"\n";
    let workspace = workspace("", job);
    let mut damaged = bytes.clone();
    // The end of the page is gzip's checksum.
    damaged[last_page_of_x(&bytes).end - 6] ^= 0xff;
    workspace.write("input/a.parquet", &damaged);
    for _start in 0..2 {
        run(&workspace)
            .expect(65)
            .says(&["error:", "shard 2", "input/a.parquet", "page", "hint:"]);
        nothing_is_visible(&workspace);
        let completed = "SELECT count(*) FROM shards WHERE state = 'completed'";
        assert_eq!(workspace.value(completed), "2");
        assert_eq!(workspace.value("SELECT count(*) FROM predictions"), "1024");
    }

    workspace.write("input/a.parquet", &bytes);
    run(&workspace).expect(0);
    assert_eq!(workspace.value("SELECT count(*) FROM runs"), "1");
    assert_eq!(workspace.value("SELECT count(*) FROM run_attempts"), "3");
    assert_eq!(workspace.prediction_bits(1), intact);
    assert_eq!(published(&workspace).len(), 3 * 512);
    let verified = ["runs", "verify", RUN_NAME];
    workspace.lamplighter(&verified).expect(0);
}

#[test]
fn a_column_that_is_missing_is_named_with_the_columns_there_are() {
    let workspace = workspace("", "");
    put_batch(&workspace, "a.parquet", &numbered(3));
    let columns = vec![("id", text(&["p", "q"])), ("xx", numbers(&[1.0, 2.0]))];
    put(&workspace, "b.parquet", columns);
    run(&workspace).expect(65).says(&[
        "input/b.parquet",
        "no column `x`",
        "its columns are id, xx",
        "hint: did you mean `xx`?",
    ]);
    nothing_was_planned(&workspace);
}

#[test]
fn an_id_column_that_is_missing_is_named_with_the_columns_there_are() {
    let workspace = workspace("", "");
    let columns = vec![("key", text(&["p"])), ("x", numbers(&[1.0]))];
    put(&workspace, "a.parquet", columns);
    run(&workspace)
        .expect(65)
        .says(&["input/a.parquet", "no column `id`", "key, x"]);
    nothing_was_planned(&workspace);
}

#[test]
fn a_feature_of_the_wrong_type_is_refused_before_anything_is_claimed() {
    let workspace = workspace("", "");
    put_batch(&workspace, "a.parquet", &numbered(3));
    let columns = vec![("id", text(&["p"])), ("x", text(&["1.0"]))];
    put(&workspace, "b.parquet", columns);
    run(&workspace).expect(65).says(&[
        "input/b.parquet",
        "column `x`",
        "Utf8",
        "it must hold integers, floats, decimals or booleans",
        "hint:",
    ]);
    nothing_was_planned(&workspace);
}

#[test]
fn schemas_that_cannot_be_reconciled_are_refused_with_both_files() {
    let job = |job: &str| job.replace("[model]", "filter = \"region = 'north'\"\n\n[model]");
    let workspace = workspace("", "");
    workspace.write("job.toml", job(&crate::harness::simple_job("")));
    let x = || ("x", numbers(&[1.0]));
    let region = Arc::new(Int64Array::from(vec![7]));
    let columns = vec![("id", text(&["p"])), x(), ("region", text(&["north"]))];
    put(&workspace, "a.parquet", columns);
    let columns = vec![("id", text(&["q"])), x(), ("region", region)];
    put(&workspace, "b.parquet", columns);
    run(&workspace).expect(65).says(&[
        "column `region` does not go together",
        "input/a.parquet",
        "input/b.parquet",
        "hint: write all files with one schema",
    ]);
    nothing_was_planned(&workspace);
}

#[test]
fn files_whose_types_differ_harmlessly_are_read_alike() {
    let workspace = workspace("", "");
    let columns = vec![("x", numbers(&[1.0])), ("id", text(&["p"]))];
    put(&workspace, "a.parquet", columns);
    let ids = Arc::new(StringArray::from(vec![Some("q")]));
    let columns = vec![
        ("id", ids as _),
        ("x", Arc::new(Int64Array::from(vec![2])) as _),
    ];
    put(&workspace, "b.parquet", columns);
    run(&workspace).expect(0);
    assert_eq!(published(&workspace), [["p", "3"], ["q", "5"]]);
}
