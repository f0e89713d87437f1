//! Whether a footer can be true, before anything is allocated or read by it.
//!
//! A footer carries no checksum, and whoever writes a file can claim anything. [`check_claims`] looks
//! at the bytes before the decoder does, which recurses into the schema and makes room for as many
//! children as an element claims; [`check_columns`] looks at what was decoded.

use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::format::{FILE, file};
use super::thrift::{Event, walk};

/// Bytes before the first page: the magic number.
const FIRST_PAGE: u64 = 4;

/// Levels of a schema. A list takes two of them.
const DEEPEST_SCHEMA: usize = 64;

/// Whether the footer's counts are borne out by its bytes, and its schema is a tree of a depth that
/// can be recursed into.
///
/// # Errors
/// Says what is wrong.
pub fn check_claims(footer: &[u8]) -> Result<(), String> {
    let mut schema = Schema::default();
    walk(footer, FILE, |path, event| match (path, event) {
        ([file::SCHEMA], Event::List(elements)) => {
            schema = Schema {
                left: i64::from(elements),
                ..Schema::default()
            };
            Ok(())
        }
        ([file::SCHEMA, file::NUM_CHILDREN], Event::Number(children)) => {
            schema.children = children;
            Ok(())
        }
        ([file::SCHEMA], Event::End) => schema.element(),
        _ => Ok(()),
    })
}

/// The schema, which is written as a list: each element says how many children follow it.
#[derive(Default)]
struct Schema {
    /// Elements that are still to come.
    left: i64,
    /// What the element that is being walked claims.
    children: i64,
    /// Children that are still to come of each element above the next one.
    open: Vec<i64>,
}

impl Schema {
    fn element(&mut self) -> Result<(), String> {
        self.left -= 1;
        let children = std::mem::take(&mut self.children);
        if !(0..=self.left).contains(&children) {
            return Err(format!(
                "its schema claims {children} children where {} elements follow",
                self.left
            ));
        }
        if let Some(siblings) = self.open.last_mut() {
            *siblings -= 1;
        }
        if children > 0 {
            self.open.push(children);
        }
        if self.open.len() > DEEPEST_SCHEMA {
            return Err(format!(
                "its schema is nested more than {DEEPEST_SCHEMA} levels deep"
            ));
        }
        while self.open.last() == Some(&0) {
            self.open.pop();
        }
        Ok(())
    }
}

/// Whether the pages of each column are where pages can be, `end` being where the footer begins, and
/// no bytes are claimed twice: a small file that is read many times over is a bomb.
///
/// # Errors
/// Says what is wrong, and of which column.
pub fn check_columns(metadata: &ParquetMetaData, end: u64) -> Result<(), String> {
    let mut claimed = Vec::new();
    let row_groups = metadata.row_groups().iter().enumerate();
    for (index, row_group) in row_groups {
        for column in row_group.columns() {
            // Writers leave it open where the pages are that nothing has.
            if column.num_values() == 0 {
                continue;
            }
            let named = || format!("column `{}` of row group {index}", name(column));
            if column.file_path().is_some() {
                return Err(format!("{} is in another file", named()));
            }
            let dictionary = column.dictionary_page_offset().filter(|offset| *offset > 0);
            let start = u64::try_from(dictionary.unwrap_or(column.data_page_offset()));
            let length = u64::try_from(column.compressed_size());
            let range = start.ok().zip(length.ok()).and_then(|(start, length)| {
                let stop = start.checked_add(length)?;
                (start >= FIRST_PAGE && stop <= end).then_some((start, stop))
            });
            let (start, stop) = range.ok_or_else(|| {
                format!("{} lies outside of the file's {end} bytes of data", named())
            })?;
            claimed.push((start, stop, index, column));
        }
    }
    claimed.sort_unstable_by_key(|(start, stop, ..)| (*start, *stop));
    for pair in claimed.windows(2) {
        let [(_, stop, index, column), (start, _, other_index, other)] = pair else {
            continue;
        };
        if start < stop {
            return Err(format!(
                "column `{}` of row group {index} and column `{}` of row group {other_index} claim the same bytes",
                name(column),
                name(other)
            ));
        }
    }
    Ok(())
}

fn name(column: &ColumnChunkMetaData) -> String {
    column.column_path().string()
}
