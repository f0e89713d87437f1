//! Files that end too early: a copy that broke off, a disk that was full.

use std::fs;

use super::{expected, footer_start, forged, nothing_was_planned, published, run, workspace};

const RECORDS: i64 = 40;

/// A file of four row groups, so that its footer is long.
fn whole() -> Vec<u8> {
    let groups = [0..10, 10..20, 20..30, 30..RECORDS].map(forged::columns);
    let groups: Vec<_> = groups.iter().map(|columns| (10, &columns[..])).collect();
    forged::file_of(&groups)
}

#[test]
fn a_file_cut_anywhere_is_refused_by_name_and_the_whole_file_is_scored() {
    let whole = whole();
    let footer = footer_start(&whole);
    let tail = whole.len() - 8;
    let in_footer = (footer..tail).step_by(64).chain(tail..whole.len());
    let cuts: Vec<usize> = (0..footer).step_by(97).chain(in_footer).collect();
    assert!(tail - footer > 4 * 64, "the footer is short");

    let workspace = workspace();
    let file = workspace.write("input/a.parquet", []);
    for cut in cuts {
        fs::write(&file, &whole[..cut]).expect("the file");
        run(&workspace)
            .expect(65)
            .says(&["error: input/a.parquet", "hint:"]);
        nothing_was_planned(&workspace);
    }
    fs::write(&file, &whole).expect("the file");
    run(&workspace).expect(0);
    assert_eq!(published(&workspace), expected(RECORDS as usize));
}

#[test]
fn a_cut_file_among_whole_ones_costs_the_night_and_not_its_rows() {
    let whole = whole();
    let workspace = workspace();
    workspace.write("input/a.parquet", &whole);
    let cut = workspace.write("input/b.parquet", []);
    for length in (footer_start(&whole)..whole.len()).step_by(64) {
        fs::write(&cut, &whole[..length]).expect("the file");
        run(&workspace).expect(65).says(&["error: input/b.parquet"]);
        nothing_was_planned(&workspace);
    }
}

/// What a broken download that was laid out in advance looks like.
#[test]
fn a_file_whose_end_is_there_and_whose_middle_is_not_is_refused() {
    let whole = whole();
    let footer = footer_start(&whole);
    for missing in [footer / 3, footer / 2, footer - 1] {
        let holed = [&whole[..4], &whole[4 + missing.min(footer - 4)..]].concat();
        super::is_refused(&holed, &[]);
        let mut zeroed = whole.clone();
        zeroed[4..4 + missing.min(footer - 4)].fill(0);
        super::is_refused(&zeroed, &[]);
    }
}
