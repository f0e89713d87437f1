//! What is measured: one kind of table each.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::data::{self, Shape};
use crate::databases::Server;

/// A kind of table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// 29 columns of f64
    Numeric,
    /// 29 columns, of which 9 are f64 and 20 text of 10,000 categories in dictionaries
    Categories,
    /// 1,000 columns of f64, of which 20 are used
    Wide,
    /// 29 columns of f64, in row groups of a million rows
    Groups,
    /// 29 columns of f64, and ids in no order
    Unsorted,
    /// 29 columns of f64 in a table of Postgres
    Source,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Numeric => "numeric",
            Self::Categories => "categories",
            Self::Wide => "wide",
            Self::Groups => "groups",
            Self::Unsorted => "unsorted",
            Self::Source => "source",
        })
    }
}

impl Kind {
    fn shape(self) -> Shape {
        let plain = Shape {
            numbers: 29,
            categories: 0,
            unused: 0,
            rows_of_a_group: 131_072,
            ids_ascend: true,
        };
        match self {
            Self::Numeric | Self::Source => plain,
            Self::Categories => Shape {
                numbers: 9,
                categories: 20,
                ..plain
            },
            Self::Wide => Shape {
                numbers: 20,
                unused: 980,
                rows_of_a_group: 32_768,
                ..plain
            },
            Self::Groups => Shape {
                rows_of_a_group: 1 << 20,
                ..plain
            },
            Self::Unsorted => Shape {
                ids_ascend: false,
                ..plain
            },
        }
    }
}

/// A table of so many records, and a job that scores it.
pub struct Case {
    pub kind: Kind,
    pub records: u64,
    pub job: PathBuf,
    pub bundle: PathBuf,
    /// The Parquet file, from which a table of Postgres is filled, too.
    pub input: PathBuf,
    /// What names files of this case alone.
    pub name: String,
}

impl Case {
    /// Writes table, bundle and job, unless there are such.
    pub fn new(directory: &Path, kind: Kind, records: u64, server: &Server) -> Self {
        let shape = kind.shape();
        // What is read from Postgres is the same table.
        let file = match kind {
            Kind::Source => Kind::Numeric,
            kind => kind,
        };
        let input = directory.join(format!("{file}-{records}.parquet"));
        data::write_records(&input, records, &shape);
        let bundle = directory.join(format!("{file}-bundle"));
        data::write_bundle(&bundle, &shape);
        let source = match kind {
            Kind::Source => {
                let url = server.source(&input, &shape);
                format!("kind = \"postgres\"\ntable = \"records\"\nurl = \"{url}\"")
            }
            _ => format!("kind = \"parquet\"\npath = \"{}\"", input.display()),
        };
        let name = format!("{kind}-{records}");
        let job = directory.join(format!("{name}.toml"));
        let text = format!(
            "[job]\nname = \"bench\"\n[source]\n{source}\nid_column = \"id\"\n[model]\nbundle = \"{}\"\n",
            bundle.display()
        );
        fs::write(&job, text).expect("a file");
        Self {
            kind,
            records,
            job,
            bundle,
            input,
            name,
        }
    }
}
