//! What is predicted, and which classes there are.

use super::survey::{Column, Survey};
use crate::error::{Class, Failure};
use crate::model::Task;

/// More classes than this are taken for something else, unless they are asked for.
const MANY_CLASSES: usize = 100;

/// What is predicted.
#[derive(Debug)]
pub struct Prediction {
    /// Of which kind it is.
    pub task: Task,
    /// The classes, in the order of the outputs.
    pub classes: Vec<String>,
    /// The column that holds it in the file.
    pub target: Option<String>,
    /// How it came to this, for people.
    pub because: String,
}

/// Decides by the command line, and by what the target holds.
///
/// # Errors
/// The target does not go with the task, or holds nothing to tell apart (64).
pub fn decide(
    survey: &Survey,
    task: Option<Task>,
    target: Option<&str>,
) -> Result<Prediction, Failure> {
    let Some(name) = target else {
        return without_target(task);
    };
    let column = survey
        .column(name)
        .ok_or_else(|| Failure::internal(format!("column `{name}` was not looked at")))?;
    if column.is_double {
        return Err(refused(name, "stands more than once in the file"));
    }
    let classes = classes(column);
    let (task, classes, because) = match (task, &column.numbers, classes) {
        (_, None, Classes::Unknown) => {
            let problem = format!("is of type {}, which can not be predicted", column.stored);
            return Err(refused(name, problem));
        }
        (_, _, Classes::Few(classes)) if classes.is_empty() => {
            return Err(refused(name, "holds no value"));
        }
        (None | Some(Task::Binary), _, Classes::Few(classes)) if classes.len() == 2 => {
            (Task::Binary, classes, "it has two values")
        }
        (None | Some(Task::Regression), Some(_), _) => {
            (Task::Regression, Vec::new(), "it holds numbers")
        }
        (None, None, Classes::Few(classes)) if (3..=MANY_CLASSES).contains(&classes.len()) => {
            (Task::Multiclass, classes, "it has few values")
        }
        (Some(Task::Multiclass), _, Classes::Few(classes)) if classes.len() >= 2 => {
            (Task::Multiclass, classes, "as asked for")
        }
        (task, _, classes) => return Err(mismatch(name, task, &classes)),
    };
    Ok(Prediction {
        task,
        classes,
        target: Some(name.to_owned()),
        because: format!("target {name}: {because}"),
    })
}

fn without_target(task: Option<Task>) -> Result<Prediction, Failure> {
    let (task, classes) = match task {
        None | Some(Task::Binary) => (Task::Binary, vec!["negative".into(), "positive".into()]),
        Some(Task::Regression) => (Task::Regression, Vec::new()),
        Some(Task::Multiclass) => {
            return Err(Failure::new(
                Class::Usage,
                "--task multiclass: nothing says which classes there are",
            )
            .hint("name the column that holds them with --target"));
        }
        Some(Task::Embedding | Task::Ranking) => return Err(of_no_table()),
    };
    Ok(Prediction {
        task,
        classes,
        target: None,
        because: "no --target".to_owned(),
    })
}

fn of_no_table() -> Failure {
    Failure::new(
        Class::Usage,
        "embeddings and rankings are not made by models of tables",
    )
    .hint("`lamplighter model import hf` makes a bundle of a model of texts")
}

/// The different values of a column.
enum Classes {
    /// These.
    Few(Vec<String>),
    /// More than are told apart, or texts that are too long for a class.
    TooMany,
    /// Not counted: numbers with a fraction, or a type that has none.
    Unknown,
}

fn classes(column: &Column) -> Classes {
    let values = match (&column.values, &column.numbers) {
        (Some(values), _) => values,
        (None, Some(numbers)) if numbers.count == 0 => return Classes::Few(Vec::new()),
        (None, Some(numbers)) if numbers.is_flag() => {
            return Classes::Few(vec!["0".to_owned(), "1".to_owned()]);
        }
        (None, _) => return Classes::Unknown,
    };
    if values.is_partial || values.long > 0 {
        return Classes::TooMany;
    }
    let mut classes: Vec<String> = values
        .most_frequent()
        .into_iter()
        .map(|(value, _)| value.to_owned())
        .collect();
    // Integers by size: 10 comes after 9.
    classes.sort_by_key(|class| (class.parse::<i128>().ok(), class.clone()));
    Classes::Few(classes)
}

fn mismatch(name: &str, task: Option<Task>, classes: &Classes) -> Failure {
    let holds = match classes {
        Classes::Few(classes) if classes.len() == 1 => "one value only".to_owned(),
        Classes::Few(classes) => format!("{} different values", classes.len()),
        Classes::TooMany => "more values than there can be classes".to_owned(),
        Classes::Unknown => "numbers with a fraction".to_owned(),
    };
    let (problem, hint) = match task {
        Some(Task::Binary) => (
            format!("holds {holds}; --task binary needs two"),
            "--task multiclass takes more classes, --task regression numbers",
        ),
        Some(Task::Multiclass) => (
            format!("holds {holds}; --task multiclass needs some classes"),
            "name a column with text or whole numbers",
        ),
        Some(Task::Embedding | Task::Ranking) => return of_no_table(),
        Some(Task::Regression) => (
            "holds text; --task regression needs numbers".to_owned(),
            "leave --task out, and the values are the classes",
        ),
        None => (
            format!("holds {holds}, which says nothing of the task"),
            "say what is predicted with --task, or name another column",
        ),
    };
    refused(name, problem).hint(hint)
}

fn refused(name: &str, problem: impl std::fmt::Display) -> Failure {
    Failure::new(Class::Usage, format!("--target: column `{name}` {problem}"))
}
