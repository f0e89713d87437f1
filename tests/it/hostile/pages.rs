//! Pages that are larger than they look, or claim to be.

use std::io::{self, Read};
use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, StringArray, StringBuilder};

use super::forged::{
    self, BYTE_ARRAY, Column, DELTA_BYTE_ARRAY, DELTA_LENGTH_BYTE_ARRAY, DOUBLE, LZ4_RAW, PLAIN,
    Page, RLE_DICTIONARY, SNAPPY, ZSTD, varint,
};
use super::{expected, is_refused, job, published, run, workspace};
use crate::harness::{batch, write_parquet};

const RECORDS: i64 = 20;

const GIB: i64 = 1 << 30;

/// A file whose column `x` has these pages.
fn with_xs(codec: i64, pages: &[Page]) -> Vec<u8> {
    let [ids, _] = forged::columns(0..RECORDS);
    let xs = Column {
        codec,
        ..Column::new("x", DOUBLE, RECORDS, pages)
    };
    forged::file(&[ids, xs])
}

/// A file whose column `id` has these pages.
fn with_ids(pages: &[Page]) -> Vec<u8> {
    let [_, xs] = forged::columns(0..RECORDS);
    forged::file(&[Column::new("id", BYTE_ARRAY, RECORDS, pages), xs])
}

#[test]
fn a_page_that_claims_gigabytes_is_refused_without_making_room_for_them() {
    for codec in [SNAPPY, ZSTD, LZ4_RAW] {
        for claimed in [i64::from(i32::MAX), GIB, -1, 1 << 32] {
            let page = Page {
                uncompressed: claimed,
                ..forged::x_page(0..RECORDS)
            };
            is_refused(&with_xs(codec, &[page]), &["a page cannot be read"]);
        }
    }
}

#[test]
fn a_dictionary_that_claims_gigabytes_is_refused_without_making_room_for_them() {
    for codec in [SNAPPY, ZSTD, LZ4_RAW] {
        let dictionary = Page {
            is_dictionary: true,
            uncompressed: i64::from(i32::MAX),
            ..forged::x_page(0..RECORDS)
        };
        let page = Page::new(RLE_DICTIONARY, RECORDS, vec![0]);
        is_refused(&with_xs(codec, &[dictionary, page]), &[]);
    }
}

#[test]
fn a_dictionary_of_more_values_than_it_has_bytes_is_refused() {
    for values in [1_000, i64::from(i32::MAX), -1] {
        let dictionary = Page {
            is_dictionary: true,
            values,
            ..forged::id_page(0..RECORDS)
        };
        let page = Page::new(RLE_DICTIONARY, RECORDS, vec![0]);
        is_refused(&with_ids(&[dictionary, page]), &[]);
    }
}

/// Zeros without end, a byte of the file for every ten thousand.
fn zeros(bytes: i64) -> Vec<u8> {
    let zeros = io::repeat(0).take(bytes as u64);
    zstd::encode_all(zeros, 1).expect("compressed zeros")
}

#[test]
fn a_bomb_of_zeros_is_refused_whether_it_admits_its_size_or_not() {
    let bomb = zeros(GIB);
    for claimed in [GIB, 8 * RECORDS] {
        let page = Page {
            uncompressed: claimed,
            ..Page::new(PLAIN, RECORDS, bomb.clone())
        };
        is_refused(&with_xs(ZSTD, &[page]), &["a page cannot be read"]);
    }
}

#[test]
fn a_compressed_page_is_read_like_any_other() {
    let workspace = workspace();
    let file = with_xs(ZSTD, &[forged::x_page(0..RECORDS).zstd()]);
    workspace.write("input/a.parquet", file);
    run(&workspace).expect(0);
    assert_eq!(published(&workspace), expected(RECORDS as usize));
}

#[test]
fn pages_whose_counts_go_together_but_not_with_their_bytes_are_refused() {
    for values in [RECORDS + 1, 1 << 31, -1] {
        let [ids, xs] = [forged::id_page(0..RECORDS), forged::x_page(0..RECORDS)];
        let columns = [
            Column::new("id", BYTE_ARRAY, values, &[Page { values, ..ids }]),
            Column::new("x", DOUBLE, values, &[Page { values, ..xs }]),
        ];
        is_refused(&forged::file(&columns), &[]);
    }
}

/// Lengths or prefixes in the encoding of deltas: `values` of them in a single block, all zero, none
/// of which takes a bit.
fn zero_deltas(values: u64) -> Vec<u8> {
    let block = values.next_multiple_of(128);
    [
        varint(block),
        varint(1),
        varint(values),
        varint(0),
        varint(0),
        vec![0],
    ]
    .concat()
}

#[test]
fn delta_encodings_that_claim_billions_of_values_are_refused() {
    for values in [1 << 33, 1 << 62, u64::MAX >> 8] {
        let lengths = Page::new(DELTA_LENGTH_BYTE_ARRAY, RECORDS, zero_deltas(values));
        is_refused(&with_ids(&[lengths]), &[]);
        let prefixes = Page::new(DELTA_BYTE_ARRAY, RECORDS, zero_deltas(values));
        is_refused(&with_ids(&[prefixes]), &[]);
        let suffixes = [zero_deltas(RECORDS as u64), zero_deltas(values)].concat();
        let suffixes = Page::new(DELTA_BYTE_ARRAY, RECORDS, suffixes);
        is_refused(&with_ids(&[suffixes]), &[]);
    }
}

/// 8,192 lists of a thousand long items, all of them the same: 50 kB that stand for 800 MB.
#[test]
fn long_lists_that_every_record_repeats_are_read_in_bounded_memory() {
    let records = 8_192;
    let workspace = workspace();
    crate::recommendations::small_bundle(&workspace, "exclude = \"has\"\n");
    let mut lists = ListBuilder::new(StringBuilder::new());
    let item = "a".repeat(100);
    for _ in 0..records {
        lists.append_value((0..1_000).map(|_| Some(&item)));
    }
    let texts = |text: fn(usize) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..records).map(text)))
    };
    let rows = batch(vec![
        ("id", texts(|row| format!("r{row:04}"))),
        ("customer", texts(|_| "c1".to_owned())),
        ("has", Arc::new(lists.finish())),
    ]);
    let path = workspace.path("input/a.parquet");
    write_parquet(&path, &rows, records);
    let bytes = std::fs::metadata(path).expect("a file").len();
    assert!(bytes < 300_000, "the file is no bomb: {bytes}");
    run(&workspace).expect(0);
    let scored = "SELECT count(*) FROM predictions_by_date WHERE output LIKE '[{\"item\":\"4\"%'";
    assert_eq!(workspace.value(scored), records.to_string());
}

/// A column `wide` of `records` records that all hold the one text of the dictionary.
fn wide(records: i64, bytes: usize) -> Column {
    let text = [&(bytes as u32).to_le_bytes()[..], &vec![b'a'; bytes]].concat();
    let dictionary = Page {
        is_dictionary: true,
        ..Page::new(PLAIN, 1, text)
    };
    // One run of index 0, in no bits.
    let indices = [vec![0], varint(records as u64 * 2)].concat();
    let page = Page::new(RLE_DICTIONARY, records, indices);
    let pages = [dictionary.zstd(), page.zstd()];
    Column {
        codec: ZSTD,
        ..Column::new("wide", BYTE_ARRAY, records, &pages)
    }
}

#[test]
fn a_long_text_that_every_record_repeats_is_read_in_bounded_memory() {
    let records = 8_192;
    let workspace = workspace();
    let job = job("").replace("[model]", "filter = \"wide <> ''\"\n\n[model]");
    workspace.write("job.toml", job);
    let columns = forged::columns(0..records);
    let file = forged::file(&[&columns[..], &[wide(records, 192 << 10)]].concat());
    assert!(file.len() < 300_000, "the file is no bomb");
    workspace.write("input/a.parquet", file);
    run(&workspace).expect(0);
    assert_eq!(published(&workspace).len(), records as usize);
}
