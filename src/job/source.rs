//! Where a job's records come from, complete and checked.
//!
//! Invariants: a source has what its kind needs and nothing that belongs to another kind, so that
//! no key of a job file is without effect; a column type is declared at most once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::places::Places;
use super::spec::{ColumnType, Kind, OnConflict, SourceSection};
use super::{LogicalDate, command, not_empty};
use crate::error::Failure;

/// Name of the id column where pushed files are not told to have another.
const QUEUE_ID_COLUMN: &str = "record_id";

/// Where the records come from.
#[derive(Clone)]
pub struct Source {
    /// What is read, and how.
    pub kind: SourceKind,
    /// The column that names each record; for a queue, that of the files that are pushed.
    pub id_column: String,
    /// SQL predicate; records for which it does not hold are filtered.
    pub filter: Option<String>,
    /// SQL expressions, each added as a column.
    pub transform: Option<String>,
    /// A file that must be there before the run is planned; `{date}` is still in it.
    pub wait_for: Option<String>,
    /// How long to wait for it; zero: not at all.
    pub wait: Duration,
    /// Fewer records than this are no input.
    pub min_rows: u64,
}

/// What the records are read from.
#[derive(Clone)]
pub enum SourceKind {
    /// Parquet files.
    Parquet {
        /// Path or glob, relative to the working directory; `{date}` is still in it, for
        /// [`LogicalDate::expand`].
        path: String,
        /// Whether all bytes are fixed when the run is planned.
        strict: bool,
    },
    /// A Postgres database.
    Postgres(PostgresSource),
    /// The queue of Lamplighter's own database.
    Queue(QueueSource),
}

impl SourceKind {
    /// The Parquet files at this path or pattern.
    pub fn files(path: impl Into<String>) -> Self {
        SourceKind::Parquet {
            path: path.into(),
            strict: false,
        }
    }

    /// The kind as it is written in a job file.
    pub fn as_str(&self) -> &'static str {
        let kind = match self {
            SourceKind::Parquet { .. } => Kind::Parquet,
            SourceKind::Postgres(_) => Kind::Postgres,
            SourceKind::Queue(_) => Kind::Queue,
        };
        kind.as_str()
    }

    /// Whether what is read depends on the logical date, as far as it can be seen: a path with
    /// `{date}`, SQL with `:date`. What waits in a queue has no date.
    pub fn names_the_date(&self) -> bool {
        match self {
            SourceKind::Parquet { path, .. } => path.contains("{date"),
            SourceKind::Postgres(source) => match &source.relation {
                PostgresRelation::Table { condition, .. } => {
                    condition.as_ref().is_some_and(|sql| sql.contains(":date"))
                }
                PostgresRelation::Query(query) => query.contains(":date"),
            },
            SourceKind::Queue(_) => false,
        }
    }
}

/// Records in a Postgres database.
#[derive(Clone)]
pub struct PostgresSource {
    /// Which rows.
    pub relation: PostgresRelation,
    /// URL of the database; without it and `url_file`, the database of the results. May hold a
    /// password: never print it.
    pub url: Option<String>,
    /// A file that holds the URL, relative to the working directory; never there with `url`.
    pub url_file: Option<PathBuf>,
    /// A program and its arguments, which prints the password; never empty.
    pub password_command: Option<Vec<String>>,
}

/// Which rows of a Postgres database.
#[derive(Clone)]
pub enum PostgresRelation {
    /// Those of a table or view.
    Table {
        /// Its name, with or without its schema.
        table: String,
        /// Which of them, as a condition in the database's SQL.
        condition: Option<String>,
    },
    /// Those that a query gives.
    Query(String),
}

/// Records that were pushed to the queue.
#[derive(Clone)]
pub struct QueueSource {
    /// What becomes of a pushed record if one of its id waits already.
    pub on_conflict: OnConflict,
    /// Types of the columns that `filter` and `transform` read.
    pub columns: BTreeMap<String, ColumnType>,
}

/// Keys that belong to one kind alone.
const KEYS_OF_A_KIND: [(&str, Kind); 10] = [
    ("path", Kind::Parquet),
    ("strict_input", Kind::Parquet),
    ("table", Kind::Postgres),
    ("where", Kind::Postgres),
    ("query", Kind::Postgres),
    ("url", Kind::Postgres),
    ("url_file", Kind::Postgres),
    ("password_command", Kind::Postgres),
    ("on_conflict", Kind::Queue),
    ("columns", Kind::Queue),
];

pub(super) fn resolve(source: SourceSection, places: &Places) -> Result<Source, Failure> {
    for (key, kind) in KEYS_OF_A_KIND {
        if kind != source.kind && places.is_written("source", key) {
            return Err(foreign_key(key, kind, source.kind, places));
        }
    }
    let texts = [
        ("path", &source.path),
        ("table", &source.table),
        ("where", &source.condition),
        ("query", &source.query),
        ("url", &source.url),
        ("id_column", &source.id_column),
        ("filter", &source.filter),
        ("transform", &source.transform),
        ("wait_for", &source.wait_for),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            not_empty("source", key, text, places)?;
        }
    }
    if let Some(wait_for) = &source.wait_for {
        takes_date("wait_for", wait_for, places)?;
    }
    let id_column = match source.id_column {
        Some(id_column) => id_column,
        None if source.kind == Kind::Queue => QUEUE_ID_COLUMN.to_owned(),
        None => return Err(missing("id_column", places)),
    };
    let kind = match source.kind {
        Kind::Parquet => {
            let path = source.path.ok_or_else(|| missing("path", places))?;
            takes_date("path", &path, places)?;
            SourceKind::Parquet {
                path,
                strict: source.strict_input,
            }
        }
        Kind::Postgres => {
            let url_file_is_empty = |path: &PathBuf| path.as_os_str().is_empty();
            if source.url_file.as_ref().is_some_and(url_file_is_empty) {
                return Err(places.failure("source", "url_file", "must not be empty"));
            }
            if source.url.is_some() && source.url_file.is_some() {
                let problem = "must not stand beside `url`; give one of them";
                return Err(places.failure("source", "url_file", problem));
            }
            SourceKind::Postgres(PostgresSource {
                relation: relation(source.table, source.condition, source.query, places)?,
                url: source.url,
                url_file: source.url_file,
                password_command: command("source", source.password_command, places)?,
            })
        }
        Kind::Queue => {
            if source.columns.keys().any(|name| name.trim().is_empty()) {
                return Err(places.failure("source", "columns", "a column must have a name"));
            }
            SourceKind::Queue(QueueSource {
                on_conflict: source.on_conflict,
                columns: source.columns,
            })
        }
    };
    Ok(Source {
        kind,
        id_column,
        filter: source.filter,
        transform: source.transform,
        wait_for: source.wait_for,
        wait: source.wait,
        min_rows: source.min_rows,
    })
}

fn relation(
    table: Option<String>,
    condition: Option<String>,
    query: Option<String>,
    places: &Places,
) -> Result<PostgresRelation, Failure> {
    match (table, query) {
        (Some(table), None) => Ok(PostgresRelation::Table { table, condition }),
        (None, Some(_)) if condition.is_some() => Err(places
            .failure("source", "where", "goes with `table`, not with `query`")
            .hint("write the condition into the query")),
        (None, Some(query)) => Ok(PostgresRelation::Query(query)),
        (Some(_), Some(_)) => {
            let problem = "must not stand beside `table`; give one of them";
            Err(places.failure("source", "query", problem))
        }
        (None, None) => {
            Err(places.section_failure("source", "the key `table` or `query` is missing"))
        }
    }
}

fn missing(key: &str, places: &Places) -> Failure {
    places.section_failure("source", format!("the key `{key}` is missing"))
}

fn foreign_key(key: &str, owner: Kind, kind: Kind, places: &Places) -> Failure {
    let (owner, kind) = (owner.as_str(), kind.as_str());
    let problem = format!("belongs to kind = \"{owner}\", but the source is of kind \"{kind}\"");
    places
        .failure("source", key, problem)
        .hint(format!("remove `{key}`, or write kind = \"{owner}\""))
}

/// Whether each date format of the template is one, found before a night depends on it.
fn takes_date(key: &str, template: &str, places: &Places) -> Result<(), Failure> {
    let any = LogicalDate::of_day(jiff::civil::date(2026, 1, 1));
    match any.expand(template) {
        Ok(_) => Ok(()),
        Err(_) if places.is_hidden("source", key) => {
            let shown = places.shown("source", key, template);
            Err(places.failure(
                "source",
                key,
                format!("a `{{date:…}}` is not a date format in {shown}"),
            ))
        }
        Err(failure) => Err(places.failure("source", key, failure)),
    }
}
