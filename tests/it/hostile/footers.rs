//! Footers that claim what can not be. Nothing vouches for a footer, and a decoder makes room for
//! what it claims: so much of it has to be refused before it is decoded.

use super::forged::{self, BYTE_ARRAY, Column, DOUBLE, Struct};
use super::{expected, footer_start, is_refused, published, run, workspace};

const RECORDS: i64 = 20;

const STRUCT: u8 = 12;

#[test]
fn the_forged_files_of_these_tests_are_sound_but_for_what_is_forged() {
    let workspace = workspace();
    workspace.write(
        "input/a.parquet",
        forged::file(&forged::columns(0..RECORDS)),
    );
    run(&workspace).expect(0);
    assert_eq!(published(&workspace), expected(RECORDS as usize));
}

fn group(name: &str, children: i64) -> Struct {
    Struct::new().i32(3, 0).text(4, name).i32(5, children)
}

fn leaf(name: &str, physical_type: i64) -> Struct {
    Struct::new().i32(1, physical_type).i32(3, 0).text(4, name)
}

/// A sound file but for its schema.
fn with_schema(elements: impl IntoIterator<Item = Struct>) -> Vec<u8> {
    let columns = forged::columns(0..RECORDS);
    forged::file_with_schema(&[(RECORDS, &columns)], |footer| footer.structs(2, elements))
}

#[test]
fn a_schema_that_is_nested_without_end_is_refused_before_it_is_recursed_into() {
    for depth in [100, 200_000] {
        let groups = (0..depth).map(|_| group("g", 1));
        let file = with_schema(groups.chain([leaf("x", DOUBLE)]));
        is_refused(&file, &["nested"]);
    }
}

#[test]
fn a_schema_may_be_nested_as_deep_as_people_nest() {
    let columns = forged::columns(0..RECORDS);
    let deep = Column::new("deep", DOUBLE, RECORDS, &[forged::x_page(0..RECORDS)]);
    let columns = [&columns[..], &[deep]].concat();
    let elements = [
        group("schema", 3),
        leaf("id", BYTE_ARRAY).i32(6, 0),
        leaf("x", DOUBLE),
    ];
    let nested = (0..40).map(|_| group("g", 1)).chain([leaf("deep", DOUBLE)]);
    let workspace = workspace();
    let file = forged::file_with_schema(&[(RECORDS, &columns)], |footer| {
        footer.structs(2, elements.into_iter().chain(nested))
    });
    workspace.write("input/a.parquet", file);
    run(&workspace).expect(0);
    assert_eq!(published(&workspace), expected(RECORDS as usize));
}

#[test]
fn a_schema_whose_elements_claim_more_children_than_there_are_is_refused() {
    for children in [3, 1_000_000, i64::from(i32::MAX), -1, i64::from(i32::MIN)] {
        let elements = [
            group("schema", children),
            leaf("id", BYTE_ARRAY),
            leaf("x", DOUBLE),
        ];
        is_refused(&with_schema(elements), &["children"]);
    }
    // Beyond the type of the field, where a decoder cuts off bits.
    let elements = [
        group("schema", (1 << 32) + 2),
        leaf("id", BYTE_ARRAY),
        leaf("x", DOUBLE),
    ];
    is_refused(&with_schema(elements), &["beyond its type"]);
}

#[test]
fn a_field_of_another_type_than_its_own_is_refused() {
    // To a decoder that goes by the number of a field, the length of the text is a count of children.
    let root = Struct::new()
        .text(4, "schema")
        .text(5, &"x".repeat(1 << 20));
    let elements = [root, leaf("id", BYTE_ARRAY), leaf("x", DOUBLE)];
    is_refused(&with_schema(elements), &["another type"]);
}

#[test]
fn lists_that_claim_more_elements_than_there_are_are_refused() {
    for list in [2, 4, 5, 7] {
        for claimed in [1 << 20, i32::MAX as u64, u64::from(u32::MAX), u64::MAX] {
            let sound = Struct::new().i32(1, 1);
            let sound = match list {
                2 => sound,
                _ => sound.structs(2, [group("schema", 1), leaf("x", DOUBLE)]),
            };
            let footer = sound.claimed_list(list, STRUCT, claimed, &[]).end();
            is_refused(&forged::only_footer(&footer), &[]);
        }
    }
}

/// Each of them a byte in the file, and hundreds in memory.
#[test]
fn lists_of_millions_of_empty_elements_are_refused() {
    let elements = vec![vec![0]; 20_000_000];
    for list in [2, 4, 5, 7] {
        let sound = Struct::new().i32(1, 1);
        let sound = match list {
            2 => sound,
            _ => sound.structs(2, [group("schema", 1), leaf("x", DOUBLE)]),
        };
        let footer = sound.list(list, STRUCT, &elements).end();
        is_refused(&forged::only_footer(&footer), &["empty element"]);
    }
}

#[test]
fn row_counts_that_can_not_be_are_refused() {
    for rows in [RECORDS + 1, 1 << 31, 1 << 40, i64::MAX, -1, i64::MIN] {
        let columns = forged::columns(0..RECORDS).map(|column| Column {
            values: rows,
            ..column
        });
        is_refused(&forged::file(&columns), &[]);
    }
}

#[test]
fn row_counts_that_overflow_when_added_up_are_refused() {
    let columns = forged::columns(0..RECORDS).map(|column| Column {
        values: i64::MAX,
        ..column
    });
    let row_groups = vec![(i64::MAX, &columns[..]); 4];
    is_refused(&forged::file_of(&row_groups), &[]);
}

#[test]
fn columns_outside_of_the_file_are_refused_by_name() {
    let offsets = [0, 3, -1, 1 << 20, 1 << 40, i64::MAX, i64::MIN];
    let sizes = [-1, 1 << 20, 1 << 40, i64::MAX, i64::MIN];
    let places = offsets
        .map(|offset| (Some(offset), None))
        .into_iter()
        .chain(sizes.map(|size| (None, Some(size))))
        .chain([(Some(i64::MAX), Some(i64::MAX))]);
    for (offset, size) in places {
        let [ids, xs] = forged::columns(0..RECORDS);
        let xs = Column { offset, size, ..xs };
        is_refused(&forged::file(&[ids, xs]), &["column `x`", "outside"]);
    }
}

#[test]
fn a_column_that_reaches_into_the_footer_is_refused() {
    let [ids, xs] = forged::columns(0..RECORDS);
    let size = Some(xs.pages.len() as i64 + 1);
    let xs = Column { size, ..xs };
    is_refused(&forged::file(&[ids, xs]), &["column `x`", "outside"]);
}

#[test]
fn pages_that_are_claimed_twice_are_refused() {
    let [ids, xs] = forged::columns(0..RECORDS);
    let again = Column {
        name: "y",
        offset: Some(4 + ids.pages.len() as i64),
        ..xs.clone()
    };
    let file = forged::file(&[ids.clone(), xs, again]);
    is_refused(&file, &["`x`", "`y`", "the same bytes"]);

    // A small file of many records, the same ones again and again.
    let columns = forged::columns(0..RECORDS);
    let mut offset = 4;
    let placed = columns.clone().map(|column| {
        let placed = Column {
            offset: Some(offset),
            ..column
        };
        offset += placed.pages.len() as i64;
        Column {
            pages: Vec::new(),
            size: Some(placed.pages.len() as i64),
            ..placed
        }
    });
    let mut row_groups = vec![(RECORDS, &columns[..])];
    row_groups.extend(vec![(RECORDS, &placed[..]); 1_000]);
    is_refused(&forged::file_of(&row_groups), &["the same bytes"]);
}

#[test]
fn a_row_group_with_more_or_fewer_columns_than_the_schema_is_refused() {
    let sound = forged::columns(0..RECORDS);
    for columns in [&sound[..1], &[&sound[..], &sound[..1]].concat()] {
        let row_groups = [(RECORDS, &sound[..]), (RECORDS, columns)];
        is_refused(&forged::file_of(&row_groups), &[]);
    }
}

#[test]
fn a_forged_footer_length_is_refused() {
    let sound = forged::file(&forged::columns(0..RECORDS));
    let tail = sound.len() - 8;
    let true_length = (tail - footer_start(&sound)) as u32;
    let all = sound.len() as u32;
    for length in [
        0,
        1,
        true_length - 1,
        true_length + 1,
        all,
        1 << 29,
        u32::MAX >> 1,
        u32::MAX,
    ] {
        let mut forged = sound.clone();
        forged[tail..tail + 4].copy_from_slice(&length.to_le_bytes());
        is_refused(&forged, &[]);
    }
}
