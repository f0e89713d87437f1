//! Encodes queries, and what each of them is not to be given, as rows of embedding tables.

use std::borrow::Cow;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringArray};
use arrow::datatypes::DataType;
use serde_json::Value;

use super::encoder::{Cause, Encoded, Rejection};
use super::lookup::{LastDictionary, Lookup};
use super::rows::{Queries, Rows};
use super::spec::{Feature, FeatureKind};
use crate::error::Failure;

/// Encodes a column of queries, and one of lists of items.
pub struct QueryEncoder {
    features: Vec<Feature>,
    queries: Lookup,
    items: Lookup,
}

/// The columns that a model of rankings reads.
pub struct QueryColumns {
    /// Holds each record's query.
    pub query: String,
    /// Holds the items that it is not to be given, if there is such a column.
    pub exclude: Option<String>,
}

/// The value is no list of ids.
struct NoItems;

impl QueryEncoder {
    /// An encoder for `columns` of a model that knows these queries and items, in the order of its rows.
    pub fn new(columns: QueryColumns, queries: &[String], items: &[String]) -> Self {
        let mut features = vec![Feature {
            column: columns.query,
            kind: FeatureKind::Query,
        }];
        let excludes = columns.exclude.is_some();
        features.extend(columns.exclude.map(|column| Feature {
            column,
            kind: FeatureKind::Items,
        }));
        Self {
            features,
            queries: Lookup::new(queries, 0),
            items: Lookup::new(if excludes { items } else { &[] }, 0),
        }
    }

    /// The columns that are taken.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// About what a query takes once it is encoded, in bytes.
    pub fn bytes_per_query(&self) -> usize {
        // Whoever has so many items already is rare.
        const EXCLUDED: usize = 256;
        size_of::<u32>() * if self.features.len() > 1 { EXCLUDED } else { 1 }
    }

    /// Encodes the queries, and the lists of items if there are such: text, text in a dictionary; lists
    /// of text, or text that is a JSON array. A null list is an empty one, and items that the model does
    /// not know have no effect.
    ///
    /// # Errors
    /// If a column is of another type, which is a mistake of the caller.
    pub fn encode(
        &self,
        columns: &[ArrayRef],
        dictionaries: &mut Vec<LastDictionary>,
    ) -> anyhow::Result<Encoded> {
        dictionaries.resize_with(1, LastDictionary::default);
        let column = columns
            .first()
            .ok_or_else(|| Failure::internal("there is no column of queries"))?;
        let codes = self.queries.codes(column, &mut dictionaries[0])?;
        let lists = columns.get(1).map(Lists::of).transpose()?;
        let mut queries = Queries::default();
        let mut rejections = vec![None; codes.len()];
        for (row, code) in codes.iter().enumerate() {
            let mut reject = |feature, cause| {
                rejections[row].get_or_insert(Rejection { feature, cause });
            };
            if code.is_none() {
                reject(
                    0,
                    match column.is_null(row) {
                        true => Cause::Null,
                        false => Cause::UnknownQuery,
                    },
                );
            }
            let excluded = match &lists {
                None => Vec::new(),
                Some(lists) => lists.items(row, &self.items).unwrap_or_else(|NoItems| {
                    reject(1, Cause::NoItems);
                    Vec::new()
                }),
            };
            queries.push(code.unwrap_or(0), excluded);
        }
        Ok(Encoded {
            rows: Rows::Queries(queries),
            rejections,
            notes: Vec::new(),
            codes: Vec::new(),
        })
    }
}

/// A column of lists.
enum Lists<'a> {
    Lists(&'a ListArray),
    Json(&'a StringArray),
}

impl<'a> Lists<'a> {
    fn of(column: &'a ArrayRef) -> anyhow::Result<Self> {
        match column.data_type() {
            DataType::List(item) if *item.data_type() == DataType::Utf8 => {
                Ok(Self::Lists(column.as_list()))
            }
            DataType::Utf8 => Ok(Self::Json(column.as_string())),
            other => {
                Err(Failure::internal(format!("a column of items is {other}, not lists")).into())
            }
        }
    }

    /// The codes of the items of a row, ascending, each once.
    fn items(&self, row: usize, lookup: &Lookup) -> Result<Vec<u32>, NoItems> {
        let mut codes: Vec<u32> = match self {
            Self::Lists(lists) if lists.is_null(row) => Vec::new(),
            Self::Json(texts) if texts.is_null(row) => Vec::new(),
            Self::Lists(lists) => {
                let items = lists.value(row);
                let items = items.as_string::<i32>().iter();
                items
                    .filter_map(|item| {
                        item.ok_or(NoItems)
                            .map(|item| lookup.code(item))
                            .transpose()
                    })
                    .collect::<Result<_, _>>()?
            }
            Self::Json(texts) => {
                let items: Vec<Value> =
                    serde_json::from_str(texts.value(row)).map_err(|_| NoItems)?;
                items
                    .iter()
                    .filter_map(|item| id(item).map(|id| lookup.code(&id)).transpose())
                    .collect::<Result<_, _>>()?
            }
        };
        codes.sort_unstable();
        codes.dedup();
        Ok(codes)
    }
}

/// An id as JSON writes it: text, or an integer.
fn id(item: &Value) -> Result<Cow<'_, str>, NoItems> {
    match item {
        Value::String(text) => Ok(Cow::Borrowed(text)),
        Value::Number(number) if number.is_i64() || number.is_u64() => {
            Ok(Cow::Owned(number.to_string()))
        }
        _ => Err(NoItems),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ListBuilder, StringBuilder};

    use super::*;

    fn encoder(exclude: bool) -> QueryEncoder {
        let names =
            |names: &[&str]| -> Vec<String> { names.iter().map(|&name| name.to_owned()).collect() };
        let columns = QueryColumns {
            query: "customer".to_owned(),
            exclude: exclude.then(|| "bought".to_owned()),
        };
        QueryEncoder::new(columns, &names(&["ann", "bo"]), &names(&["7", "x", "y"]))
    }

    fn encode(encoder: &QueryEncoder, columns: &[ArrayRef]) -> (Queries, Vec<Option<Cause>>) {
        let encoded = encoder.encode(columns, &mut Vec::new()).unwrap();
        let Rows::Queries(queries) = encoded.rows else {
            panic!("other rows");
        };
        let causes = encoded.rejections.iter();
        (queries, causes.map(|r| r.map(|r| r.cause)).collect())
    }

    #[test]
    fn queries_are_rows_and_unknown_ones_are_rejected() {
        let column: ArrayRef = Arc::new(StringArray::from(vec![
            Some("bo"),
            None,
            Some("cy"),
            Some("ann"),
        ]));
        let (queries, causes) = encode(&encoder(false), &[column]);
        assert_eq!(queries.query(0), (1, &[][..]));
        assert_eq!(queries.query(3), (0, &[][..]));
        let expected = [None, Some(Cause::Null), Some(Cause::UnknownQuery), None];
        assert_eq!(causes, expected);
    }

    #[test]
    fn lists_and_json_exclude_the_same() {
        let names: ArrayRef = Arc::new(StringArray::from(vec!["ann"; 6]));
        let mut lists = ListBuilder::new(StringBuilder::new());
        for items in [&["y", "7", "y"][..], &["unknown"], &[]] {
            lists.append_value(items.iter().map(Some));
        }
        lists.append_null();
        lists.append_value([Some("x"), None]);
        lists.append_value([Some("x")]);
        let lists: ArrayRef = Arc::new(lists.finish());
        let json: ArrayRef = Arc::new(StringArray::from(vec![
            Some(r#"["y", 7, "y"]"#),
            Some(r#"["unknown"]"#),
            Some("[]"),
            None,
            Some(r#"["x", null]"#),
            Some(r#"["x"]"#),
        ]));
        let encoder = encoder(true);
        for column in [lists, json] {
            let (queries, causes) = encode(&encoder, &[names.clone(), column]);
            let excluded: Vec<_> = (0..6).map(|row| queries.query(row).1.to_vec()).collect();
            assert_eq!(excluded, [&[0, 2][..], &[], &[], &[], &[], &[1]]);
            let expected = [None, None, None, None, Some(Cause::NoItems), None];
            assert_eq!(causes, expected);
        }
    }

    #[test]
    fn what_is_no_array_of_ids_is_rejected() {
        let texts = ["x", "{}", "[1.5]", "[[\"x\"]]", "[\"x\"", "[true]", ""];
        let names: ArrayRef = Arc::new(StringArray::from(vec!["ann"; texts.len()]));
        let column: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        let (_, causes) = encode(&encoder(true), &[names, column]);
        assert_eq!(causes, [Some(Cause::NoItems); 7]);
    }
}
