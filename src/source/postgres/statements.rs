//! The statements that read the input.
//!
//! COPY takes no parameters. Values are bound to settings that last as long as the transaction, and
//! the statements look there: nothing but checked names, types as Postgres writes them, and the
//! author's own SQL is ever part of a statement.

use super::types::{SourceColumn, Stored};
use crate::database::Identifier;
use crate::error::Failure;

/// Date or time that the run is for.
pub(super) const DATE: &str = "lamplighter.date";
/// Ids to look up, as an array.
pub(super) const IDS: &str = "lamplighter.ids";
/// First tuple of a range.
pub(super) const FIRST: &str = "lamplighter.first";
/// Where the range ends.
pub(super) const END: &str = "lamplighter.end";

/// What follows FROM, and which of its rows are the input.
pub(super) struct Relation {
    /// A table's name, or a query in parentheses.
    pub(super) from: String,
    /// SQL, in which the date is bound.
    pub(super) condition: Option<String>,
}

/// Which rows are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Among {
    /// Those that meet the condition now and are not in the range of places.
    InputBeyondRange,
    /// Those that meet the condition now.
    Input,
    /// All.
    Everything,
}

/// What is read, each column once.
pub(super) struct Selection<'a> {
    columns: Vec<(&'a SourceColumn, Stored)>,
    list: String,
}

impl<'a> Selection<'a> {
    /// Of these columns.
    pub(super) fn new(columns: Vec<(&'a SourceColumn, Stored)>) -> Result<Self, Failure> {
        let list = columns.iter().map(|(column, stored)| {
            let name = Identifier::column(&column.name)?;
            Ok(stored.cast(&name))
        });
        let list = list.collect::<Result<Vec<_>, Failure>>()?.join(", ");
        Ok(Self { columns, list })
    }

    /// The columns, in the order in which they arrive.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&'a SourceColumn, Stored)> {
        self.columns.iter().copied()
    }

    /// The columns, as they follow SELECT.
    pub(super) fn list(&self) -> &str {
        &self.list
    }

    /// Number of columns.
    pub(super) fn width(&self) -> usize {
        self.columns.len()
    }
}

impl Relation {
    /// All rows, with the place of each before its columns if `with_places`.
    pub(super) fn scan(
        &self,
        selection: &Selection<'_>,
        with_places: bool,
        limit: Option<u64>,
    ) -> String {
        let separator = if selection.list.is_empty() { "" } else { ", " };
        let places = if with_places {
            format!("ctid{separator}")
        } else {
            String::new()
        };
        let list = &selection.list;
        let mut select = format!("SELECT {places}{list} FROM {}", self.from);
        if let Some(condition) = &self.condition {
            // What may be a comment at its end must not reach further.
            select += &format!(" WHERE ({condition}\n)");
        }
        if let Some(limit) = limit {
            select += &format!(" LIMIT {limit}");
        }
        copy(&select)
    }

    /// The rows of the input in a range of places.
    pub(super) fn range(&self, selection: &Selection<'_>) -> String {
        let list = &selection.list;
        copy(&format!(
            "SELECT {list} FROM {} WHERE ctid >= {} AND ctid < {}{}",
            self.from,
            place(FIRST),
            place(END),
            self.and_condition()
        ))
    }

    /// The rows with one of the ids.
    ///
    /// Ids are joined, not compared with an array: without an index, each row would be compared
    /// with all of them.
    pub(super) fn by_ids(
        &self,
        selection: &Selection<'_>,
        id: &SourceColumn,
        among: Among,
    ) -> Result<String, Failure> {
        let list = &selection.list;
        let name = Identifier::column(&id.name)?;
        let mut select = format!(
            "SELECT {list} FROM {} WHERE {name} IN \
             (SELECT unnest(current_setting('{IDS}')::{}[]))",
            self.from, id.base
        );
        if among == Among::InputBeyondRange {
            select += &format!(" AND (ctid < {} OR ctid >= {})", place(FIRST), place(END));
        }
        if among != Among::Everything {
            select += &self.and_condition();
        }
        Ok(copy(&select))
    }

    /// What the server thinks of reading these columns of all rows, as JSON.
    pub(super) fn estimate(&self, list: &str) -> String {
        let mut select = format!("EXPLAIN (FORMAT JSON) SELECT {list} FROM {}", self.from);
        if let Some(condition) = &self.condition {
            select += &format!(" WHERE ({condition}\n)");
        }
        select
    }

    fn and_condition(&self) -> String {
        match &self.condition {
            Some(condition) => format!(" AND ({condition}\n)"),
            None => String::new(),
        }
    }
}

/// The expression that stands for `:date`.
pub(super) fn date_expression(names_hour: bool) -> String {
    let kind = if names_hour { "timestamp" } else { "date" };
    format!("(current_setting('{DATE}')::{kind})")
}

/// The statement that binds values to settings, two parameters for each.
pub(super) fn settings(count: usize) -> String {
    let calls = (0..count).map(|index| {
        let name = 2 * index + 1;
        format!(
            "set_config(${name}, ${}, true) IS NULL AS unset{index}",
            name + 1
        )
    });
    format!("SELECT {}", calls.collect::<Vec<_>>().join(", "))
}

/// Texts as Postgres' literal of an array. All are quoted, so that none is the word NULL or empty.
pub(super) fn array_literal<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut literal = "{".to_owned();
    for text in texts {
        if literal.len() > 1 {
            literal.push(',');
        }
        literal.push('"');
        for character in text.chars() {
            if matches!(character, '"' | '\\') {
                literal.push('\\');
            }
            literal.push(character);
        }
        literal.push('"');
    }
    literal.push('}');
    literal
}

fn place(setting: &str) -> String {
    format!("current_setting('{setting}')::tid")
}

fn copy(select: &str) -> String {
    format!("COPY ({select}) TO STDOUT (FORMAT binary)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, base: &str) -> SourceColumn {
        SourceColumn {
            name: name.to_owned(),
            declared: base.to_owned(),
            stored: Some(Stored::Text),
            base: base.to_owned(),
        }
    }

    #[test]
    fn statements_hold_names_and_settings_only() {
        let (id, other) = (column("id", "bigint"), column("o\"; DROP", "text"));
        let selection =
            Selection::new(vec![(&id, Stored::BigInteger), (&other, Stored::Text)]).unwrap();
        let relation = Relation {
            from: "\"t\"".to_owned(),
            condition: Some("x > 1 -- all".to_owned()),
        };
        assert_eq!(
            relation.scan(&selection, true, Some(9)),
            "COPY (SELECT ctid, \"id\"::bigint, \"o\"\"; DROP\"::text FROM \"t\" \
             WHERE (x > 1 -- all\n) LIMIT 9) TO STDOUT (FORMAT binary)"
        );
        assert_eq!(
            relation
                .by_ids(&selection, &id, Among::InputBeyondRange)
                .unwrap(),
            "COPY (SELECT \"id\"::bigint, \"o\"\"; DROP\"::text FROM \"t\" WHERE \"id\" IN \
             (SELECT unnest(current_setting('lamplighter.ids')::bigint[])) \
             AND (ctid < current_setting('lamplighter.first')::tid \
             OR ctid >= current_setting('lamplighter.end')::tid) \
             AND (x > 1 -- all\n)) TO STDOUT (FORMAT binary)"
        );
        assert!(
            relation
                .range(&selection)
                .contains(" AND (x > 1 -- all\n))")
        );
        let everything = relation.by_ids(&selection, &id, Among::Everything).unwrap();
        assert!(!everything.contains("x > 1"));
        assert_eq!(
            settings(2),
            "SELECT set_config($1, $2, true) IS NULL AS unset0, \
             set_config($3, $4, true) IS NULL AS unset1"
        );
    }

    #[test]
    fn any_text_fits_into_an_array() {
        for (texts, literal) in [
            (&[][..], "{}"),
            (&["a", "b"], r#"{"a","b"}"#),
            (&["", "NULL", "null"], r#"{"","NULL","null"}"#),
            (&["{a,b}", " c "], r#"{"{a,b}"," c "}"#),
            (
                &["say \"hi\"", r"back\slash", "it's"],
                r#"{"say \"hi\"","back\\slash","it's"}"#,
            ),
            (&["zwei\nZeilen", "é"], "{\"zwei\nZeilen\",\"é\"}"),
        ] {
            assert_eq!(array_literal(texts.iter().copied()), literal);
        }
    }
}
