//! Which column names the records.

use super::survey::{Column, Survey};
use crate::error::{Class, Failure};
use crate::source::columns::{ColumnUse, Purpose, conversion_hint};

/// The column that names the records.
pub struct Identity {
    /// Its name.
    pub column: String,
    /// What is odd about it.
    pub warning: Option<&'static str>,
}

/// Whether a column of this name is likely to hold ids.
pub fn is_called_id(name: &str) -> bool {
    let lower = name.to_lowercase();
    let after_a_word = |ending: &str| {
        let word = name.strip_suffix(ending);
        word.is_some_and(|word| word.ends_with(|last: char| last.is_lowercase()))
    };
    lower == "id"
        || ["_id", "-id", " id", ".id"]
            .iter()
            .any(|ending| lower.ends_with(ending))
        || after_a_word("Id")
        || after_a_word("ID")
}

/// The column that the command line names, or the only one that is called an id and is one.
///
/// # Errors
/// There is none, or more than one (64).
pub fn choose(
    survey: &Survey,
    given: Option<&str>,
    target: Option<&str>,
) -> Result<Identity, Failure> {
    if let Some(name) = given {
        return of_command_line(survey, name);
    }
    let candidates = || {
        let columns = survey.columns.iter();
        columns
            .filter(|column| target != Some(&column.name))
            .filter_map(|column| Some((column, column.ids.as_ref()?)))
    };
    let good: Vec<&str> = candidates()
        .filter(|(_, ids)| !ids.repeats && !ids.has_nulls)
        .map(|(column, _)| column.name.as_str())
        .collect();
    match good.as_slice() {
        [only] => Ok(Identity {
            column: (*only).to_owned(),
            warning: None,
        }),
        [] => {
            let faults: Vec<String> = candidates()
                .map(|(column, ids)| {
                    let fault = match ids.repeats {
                        true => "repeats values",
                        false => "has nulls",
                    };
                    format!("`{}` {fault}", column.name)
                })
                .collect();
            let problem = match faults.is_empty() {
                true => "no column is called id or …_id".to_owned(),
                false => format!("no column names each record: {}", some(&faults)),
            };
            Err(undecided(problem, &possible(survey)))
        }
        several => {
            let names: Vec<String> = several.iter().map(|name| format!("`{name}`")).collect();
            let problem = format!("several columns could name the records: {}", some(&names));
            Err(undecided(problem, &[]))
        }
    }
}

fn of_command_line(survey: &Survey, name: &str) -> Result<Identity, Failure> {
    let column = survey
        .column(name)
        .ok_or_else(|| Failure::internal(format!("column `{name}` was not looked at")))?;
    let Some(ids) = &column.ids else {
        let problem = match column.is_double {
            true => format!("--id-column: the file has more than one column `{name}`"),
            false => format!(
                "--id-column: `{name}` is of type {}, but ids are {}",
                column.stored,
                Purpose::Identity.accepted()
            ),
        };
        let hint = conversion_hint(&ColumnUse::new(name, Purpose::Identity), &column.stored);
        return Err(Failure::new(Class::Usage, problem).hint(hint));
    };
    Ok(Identity {
        column: name.to_owned(),
        warning: match (ids.repeats, ids.has_nulls) {
            (true, _) => Some("repeats values: only the first record of each id will be scored"),
            (false, true) => Some("has nulls: records without an id become dead letters"),
            (false, false) => None,
        },
    })
}

/// Columns whose type would do.
fn possible(survey: &Survey) -> Vec<String> {
    let serves =
        |column: &&Column| !column.is_double && Purpose::Identity.read_as(&column.stored).is_some();
    let columns = survey.columns.iter().filter(serves);
    columns.map(|column| format!("`{}`", column.name)).collect()
}

fn undecided(problem: String, possible: &[String]) -> Failure {
    let mut hint = "name the column with --id-column".to_owned();
    if !possible.is_empty() {
        hint.push_str(&format!("; text or integers are in {}", some(possible)));
    }
    Failure::new(Class::Usage, problem).hint(hint)
}

/// The first of many.
fn some(items: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown = items
        .iter()
        .take(SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match items.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::is_called_id;

    #[test]
    fn ids_are_recognised_by_their_names() {
        for name in [
            "id",
            "ID",
            "flight_id",
            "FLIGHT_ID",
            "flightId",
            "flightID",
            "flight id",
        ] {
            assert!(is_called_id(name), "{name}");
        }
        for name in ["paid", "PAID", "idea", "identity", "", "valid", "Id2"] {
            assert!(!is_called_id(name), "{name}");
        }
    }
}
