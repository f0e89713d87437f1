//! A job, a bundle and an export script from a Parquet file, so that a first run needs no reading.
//!
//! [`survey`](mod@survey) reads the file once and remembers what each column holds: [`numbers`] and
//! [`values`]. [`identity`] finds the column that names the records, [`target`] what is predicted,
//! [`features`] what the model may read. [`texts`] writes that down, [`files`] puts it where it belongs.
//!
//! Invariants: memory does not grow with the file; nothing that exists is overwritten; either all
//! files are there afterwards or none; what is written has been loaded as a run loads it. The weights are
//! zeros, and their version says so: a scaffold never passes for a model.

mod features;
mod files;
mod identity;
mod numbers;
mod place;
mod quoted;
mod survey;
mod target;
mod texts;
mod values;

use std::path::PathBuf;

use crate::error::{Class, Failure};
use crate::interrupt::Interrupt;
use crate::model::Task;
use crate::source::parquet::ParquetInput;

pub use features::{Chosen, LeftOut};
pub use place::Place;
pub use quoted::word as shell_word;
pub use target::Prediction;

use survey::survey;

/// Version of a bundle that holds nothing but zeros.
pub const UNTRAINED: &str = "0.0.0-untrained";

/// So many records take a while to read.
const MANY_RECORDS: u64 = 1_000_000;

/// What to scaffold.
pub struct Request {
    /// Where to.
    pub directory: PathBuf,
    /// Parquet file, directory or glob.
    pub from: String,
    /// The column that names each record, if it is not to be guessed.
    pub id_column: Option<String>,
    /// What the job and the model are called, if not after the file.
    pub name: Option<String>,
    /// What is predicted, if it is not to be guessed.
    pub task: Option<Task>,
    /// The column that holds what is predicted.
    pub target: Option<String>,
}

/// What was found in the file, and decided on it.
pub struct Scaffold {
    /// Names and paths.
    pub place: Place,
    /// Records of the file.
    pub rows: u64,
    /// The column that names each record.
    pub id_column: String,
    /// What is odd about that column.
    pub id_warning: Option<&'static str>,
    /// What is predicted.
    pub prediction: Prediction,
    /// What the model reads.
    pub features: Vec<Chosen>,
    /// Columns that it does not read, and why.
    pub left_out: Vec<LeftOut>,
}

impl Scaffold {
    /// Reads the file and decides. Writes nothing.
    ///
    /// # Errors
    /// The options do not go with the file, or what is to be written exists (64); the file is damaged
    /// or has no column that could be a feature (65); there is no file or no record (66); I/O; to stop is
    /// requested (75).
    pub fn plan(request: &Request, interrupt: &Interrupt) -> anyhow::Result<Self> {
        let place = Place::new(request)?;
        files::refuse_existing(&place)?;
        let input = ParquetInput::open(&request.from, None, false, interrupt)
            .map_err(|error| in_words_of_init(error, &request.from))?;
        let rows = input.rows();
        if rows == 0 {
            return Err(
                Failure::new(Class::NoInput, format!("{} holds no records", request.from))
                    .hint(
                        "means, ranges and categories come from records: take a file that has some",
                    )
                    .into(),
            );
        }
        if rows >= MANY_RECORDS {
            tracing::info!(records = rows, "reading {} once", request.from);
        }
        let target = request.target.as_deref();
        let survey = survey(input, request.id_column.as_deref(), target, interrupt)?;
        let id = identity::choose(&survey, request.id_column.as_deref(), target)?;
        let prediction = target::decide(&survey, request.task, target)?;
        let (features, left_out) = features::choose(&survey, &id.column, target)?;
        Ok(Self {
            place,
            rows,
            id_column: id.column,
            id_warning: id.warning,
            prediction,
            features,
            left_out,
        })
    }

    /// Writes it: all files or none.
    ///
    /// # Errors
    /// Something that is to be written exists by now (64); I/O.
    pub fn write(&self) -> anyhow::Result<()> {
        files::write(self)
    }
}

/// The same failure for somebody who has no job file yet.
fn in_words_of_init(error: anyhow::Error, from: &str) -> anyhow::Error {
    match crate::error::classify(&error) {
        Class::NoInput => Failure::new(Class::NoInput, format!("--from: no file at `{from}`"))
            .hint("it is a Parquet file, a directory with such files, or a glob in quotes")
            .into(),
        Class::Config => {
            let failure = Failure::new(Class::Usage, format!("--from `{from}`: {error:#}"));
            match crate::error::hint(&error) {
                Some(hint) => failure.hint(hint).into(),
                None => failure.into(),
            }
        }
        _ => error,
    }
}
