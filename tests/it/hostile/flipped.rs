//! Single flipped bits: what a checksum covers is never published wrong, and nothing else costs or
//! adds a record.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use arrow::array::{Float64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};

use super::{footer_start, forged, nothing_is_visible, run, workspace};
use crate::harness::{Workspace, batch};

const RECORDS: usize = 60;

/// Flips in the footer, and in the pages, of each file.
const FLIPS: usize = 40;

fn records() -> RecordBatch {
    let ids = StringArray::from_iter_values((0..RECORDS).map(|n| format!("r{n:04}")));
    let xs = Float64Array::from_iter_values((0..RECORDS).map(|n| (n % 7) as f64));
    batch(vec![
        ("id", std::sync::Arc::new(ids)),
        ("x", std::sync::Arc::new(xs)),
    ])
}

fn written(properties: WriterPropertiesBuilder) -> Vec<u8> {
    let properties = properties
        .set_max_row_group_row_count(Some(RECORDS / 2))
        .set_data_page_row_count_limit(10)
        .set_write_batch_size(5)
        .build();
    let rows = records();
    let mut writer =
        ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).expect("a writer");
    writer.write(&rows).expect("rows");
    writer.into_inner().expect("a footer")
}

/// The bits of a file that are flipped, from a fixed seed: the same on every run.
fn sample(range: std::ops::Range<usize>, seed: u64) -> impl Iterator<Item = (usize, u8)> {
    let mut state = seed;
    let mut random = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize
    };
    (0..FLIPS).map(move |_| (range.start + random() % range.len(), 1 << (random() % 8)))
}

/// What a run left.
struct Outcome {
    bits: BTreeMap<String, String>,
    dead_letters: usize,
}

/// Scores `bytes` in a fresh database; none if they were refused by name.
#[track_caller]
fn scored(workspace: &Workspace, bytes: &[u8], what: &str) -> Option<Outcome> {
    for name in ["lamplighter.db", "lamplighter.db-wal", "lamplighter.db-shm"] {
        let _ = fs::remove_file(workspace.path(name));
    }
    workspace.write("input/a.parquet", bytes);
    let ended = run(workspace);
    match ended.code {
        Some(0) => {
            let dead_letters = workspace.value("SELECT count(*) FROM dead_letters");
            Some(Outcome {
                bits: workspace.prediction_bits(1),
                dead_letters: dead_letters.parse().expect("a number"),
            })
        }
        Some(65) => {
            ended.says(&["error:", "input/a.parquet"]);
            nothing_is_visible(workspace);
            None
        }
        code => panic!("{what}: exit {code:?}\n{}\n{}", ended.stdout, ended.stderr),
    }
}

/// Flips sampled bits of `bytes`, each alone. With `covered`, every byte of a page is covered by a
/// checksum, and what is published must be as it was.
fn flip(bytes: &[u8], covered: bool, seed: u64) {
    let intact = scored(&workspace(), bytes, "intact").expect("an intact file");
    assert_eq!((intact.bits.len(), intact.dead_letters), (RECORDS, 0));
    let footer = footer_start(bytes);
    let flips: Vec<_> = sample(footer..bytes.len(), seed)
        .chain(sample(4..footer, !seed))
        .collect();
    let (next, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let flip_some = || {
        let workspace = workspace();
        while let Some(&(at, mask)) = flips.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= mask;
            let what = format!("byte {at} of {} flipped by {mask:#x}", bytes.len());
            match scored(&workspace, &damaged, &what) {
                None => drop(refused.fetch_add(1, Ordering::Relaxed)),
                Some(outcome) if covered || at >= footer => {
                    assert_eq!(outcome.bits, intact.bits, "{what}");
                }
                Some(outcome) => {
                    let records = outcome.bits.len() + outcome.dead_letters;
                    assert_eq!(records, RECORDS, "{what}");
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(flip_some);
        }
    });
    let refused = refused.into_inner();
    assert!(refused > FLIPS / 4, "only {refused} were noticed");
}

#[test]
fn flipped_bits_of_plain_pages_lose_no_record() {
    flip(
        &written(WriterProperties::builder().set_dictionary_enabled(false)),
        false,
        1,
    );
}

#[test]
fn flipped_bits_of_dictionaries_lose_no_record() {
    flip(&written(WriterProperties::builder()), false, 2);
}

#[test]
fn flipped_bits_of_compressed_pages_lose_no_record() {
    let zstd = Compression::ZSTD(ZstdLevel::default());
    flip(
        &written(WriterProperties::builder().set_compression(zstd)),
        false,
        3,
    );
}

#[test]
fn flipped_bits_of_delta_encodings_in_pages_of_version_2_lose_no_record() {
    let properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_dictionary_enabled(false)
        .set_column_encoding("id".into(), Encoding::DELTA_BYTE_ARRAY)
        .set_column_encoding("x".into(), Encoding::BYTE_STREAM_SPLIT);
    flip(&written(properties), false, 4);
}

#[test]
fn flipped_bits_of_pages_with_checksums_are_never_published() {
    let records = RECORDS as i64;
    let columns = [
        forged::Column::new(
            "id",
            forged::BYTE_ARRAY,
            records,
            &[forged::id_page(0..records).checked()],
        ),
        forged::Column::new(
            "x",
            forged::DOUBLE,
            records,
            &[forged::x_page(0..records).checked()],
        ),
    ];
    flip(&forged::file(&columns), true, 5);
}
