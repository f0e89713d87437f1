//! Where a job is told what was true.

use super::places::Places;
use super::spec::GroundTruthSection;
use super::{PostgresRelation, PostgresSource, SourceKind, not_empty};
use crate::error::Failure;

/// `[ground_truth]`, checked.
#[derive(Clone, Default)]
pub struct GroundTruth {
    /// Files or a table; `None` if only the command line can say.
    pub source: Option<SourceKind>,
    /// Column of the record's id, if it is not called as in the job's source.
    pub id_column: Option<String>,
    /// Column of what was true.
    pub column: Option<String>,
    /// Column of the logical date.
    pub date_column: Option<String>,
    /// Column whose values predictions are also judged by separately.
    pub by: Option<String>,
}

pub(super) fn resolve(
    section: Option<GroundTruthSection>,
    places: &Places,
) -> Result<GroundTruth, Failure> {
    let section = section.unwrap_or_default();
    for (key, text) in [
        ("path", &section.path),
        ("table", &section.table),
        ("id_column", &section.id_column),
        ("column", &section.column),
        ("date_column", &section.date_column),
        ("by", &section.by),
    ] {
        if let Some(text) = text {
            not_empty("ground_truth", key, text, places)?;
        }
    }
    let source = match (section.path, section.table) {
        (Some(_), Some(_)) => {
            let problem = "can not be there together with path";
            return Err(places.failure("ground_truth", "table", problem));
        }
        (Some(path), None) => Some(SourceKind::files(path)),
        (None, Some(table)) => Some(SourceKind::Postgres(PostgresSource {
            relation: PostgresRelation::Table {
                table,
                condition: None,
            },
            url: None,
            url_file: None,
            password_command: None,
        })),
        (None, None) => None,
    };
    Ok(GroundTruth {
        source,
        id_column: section.id_column,
        column: section.column,
        date_column: section.date_column,
        by: section.by,
    })
}
