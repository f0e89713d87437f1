//! Names of schemas, tables and columns that come from outside: checked and quoted here alone.

use std::fmt;

use crate::error::Failure;

/// The longest name that Postgres keeps whole, in bytes.
const LONGEST: usize = 63;

/// A checked name, which displays in quotes. A schema and a table may be joined by a dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier(Vec<String>);

impl Identifier {
    /// The name of a schema of ours: `[a-z_][a-z0-9_]*`, at most 63 bytes, not Postgres' own.
    ///
    /// # Errors
    /// It is another name (78).
    pub fn schema(name: &str) -> Result<Self, Failure> {
        let first = |c: char| c.is_ascii_lowercase() || c == '_';
        let rest = |c: char| first(c) || c.is_ascii_digit();
        let is_name = name.len() <= LONGEST && name.starts_with(first) && name.chars().all(rest);
        if !is_name || name.starts_with("pg_") || name == "information_schema" {
            return Err(Failure::config(format!(
                "`{}` can not be the name of a schema",
                name.escape_default()
            ))
            .hint("use up to 63 lower-case letters, digits and `_`, not beginning with a digit or pg_"));
        }
        Ok(Self(vec![name.to_owned()]))
    }

    /// The name of a table, with or without its schema (`schema.table`), or of a column: any that
    /// Postgres takes, as it is written, upper and lower case kept.
    ///
    /// # Errors
    /// Postgres has no such names: a part is empty, too long, or holds a control character (78).
    pub fn of_source(name: &str) -> Result<Self, Failure> {
        Self::parts(name, name.split('.'))
    }

    /// The name of one column, in which a dot has no meaning.
    ///
    /// # Errors
    /// As for [`of_source`](Self::of_source).
    pub fn column(name: &str) -> Result<Self, Failure> {
        Self::parts(name, [name])
    }

    fn parts<'a>(whole: &str, parts: impl IntoIterator<Item = &'a str>) -> Result<Self, Failure> {
        let parts: Vec<String> = parts.into_iter().map(str::to_owned).collect();
        let is_name = |part: &String| {
            !part.is_empty() && part.len() <= LONGEST && !part.chars().any(char::is_control)
        };
        if parts.len() > 2 || !parts.iter().all(is_name) {
            return Err(Failure::config(format!(
                "`{}` can not be the name of a table or column",
                whole.escape_default()
            ))
            .hint("a table is named `table` or `schema.table`, without quotes"));
        }
        Ok(Self(parts))
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            let dot = if index > 0 { "." } else { "" };
            write!(formatter, "{dot}\"{}\"", part.replace('"', "\"\""))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_a_plain_word() {
        assert_eq!(
            Identifier::schema("team_a").unwrap().to_string(),
            "\"team_a\""
        );
        for bad in [
            "",
            "Team",
            "1a",
            "pg_temp",
            "a b",
            "x\"; DROP TABLE runs; --",
            "ä",
            "a.b",
        ] {
            assert!(Identifier::schema(bad).is_err(), "{bad}");
        }
        assert!(Identifier::schema(&"a".repeat(64)).is_err());
    }

    #[test]
    fn what_comes_from_outside_stays_inside_its_quotes() {
        let hostile = Identifier::of_source("x\"; DROP TABLE runs; --").unwrap();
        assert_eq!(hostile.to_string(), "\"x\"\"; DROP TABLE runs; --\"");
        let table = Identifier::of_source("sales.Orders").unwrap();
        assert_eq!(table.to_string(), "\"sales\".\"Orders\"");
        assert_eq!(Identifier::column("a.b").unwrap().to_string(), "\"a.b\"");
        for bad in ["", "a.b.c", ".a", "a\0b", "a\nb"] {
            assert!(Identifier::of_source(bad).is_err(), "{bad}");
        }
    }
}
