//! A workspace of its own for each test: a temporary directory, the real binary, a real database.

/// Certificates for servers.
mod certificates;
/// The flights of the fixtures.
pub mod flights;
/// The flights scored by several processes on one Postgres.
pub mod flights_on_postgres;
/// A small night, and whether a fault left its mark on it.
pub mod night;
/// pgbouncer before Postgres.
pub mod pgbouncer;
/// Postgres, a database for each test.
pub mod postgres;
/// Parquet files as tables.
mod postgres_tables;
/// Programs that `make programs` brings.
pub mod programs;
/// What stands between a client and Postgres.
pub mod proxy;
/// A web server that receives, and fails when it is told to.
pub mod receiver;
/// Results in either database.
pub mod results;
/// File systems that are small or read-only.
pub mod small_disk;
/// Processes that are under way.
pub mod started;
/// Faults at system calls.
pub mod strace;
/// What faults did, counted.
pub mod tally;
/// Servers that end with the tests.
mod watched;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float32Array, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use candle_core::{Device, Tensor};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Column, Connection, Row, ValueRef};
use tempfile::TempDir;

/// The repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// This machine's processor, for what was measured on it.
pub fn processor() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!(
        "{} ({cores} cores)",
        name.map_or("an unknown processor", |(_, name)| name)
    )
}

/// A program that tests start. Debian has some where not every user's path leads.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}

/// A directory with a database, in which lamplighter runs.
pub struct Workspace {
    directory: TempDir,
}

/// What a process said and how it ended.
pub struct Ended {
    /// Exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    pub pid: Option<u32>,
    pub stdout: String,
    pub stderr: String,
    arguments: String,
}

impl Workspace {
    pub fn new() -> Self {
        Self {
            directory: TempDir::new().expect("a temporary directory"),
        }
    }

    /// A path inside.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file, with the directories above it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        fs::write(&path, content).expect("a file");
        path
    }

    /// Copies a directory of the repository, such as a bundle, into the workspace.
    pub fn copy_directory(&self, from: &str, to: &str) -> PathBuf {
        for entry in fs::read_dir(repository().join(from)).expect("a directory") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().to_string_lossy().into_owned();
            self.write(
                &format!("{to}/{name}"),
                fs::read(entry.path()).expect("a file"),
            );
        }
        self.path(to)
    }

    /// A command for the real binary, in the workspace, with `lamplighter.db` as its database.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lamplighter"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_remove("DATABASE_URL")
            .env_remove("DATABASE_URL_FILE")
            .stdin(Stdio::null());
        command
    }

    /// A line for a shell in the workspace, which finds the real binary; a pipe fails if a part of it does.
    pub fn in_shell(&self, line: &str) -> Command {
        let binary = Path::new(env!("CARGO_BIN_EXE_lamplighter"));
        let own = binary.parent().expect("a directory").to_path_buf();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([own].into_iter().chain(std::env::split_paths(&path)));
        let mut command = Command::new("bash");
        command
            .args(["-o", "pipefail", "-c", line])
            .current_dir(self.directory.path())
            .env("PATH", path.expect("directories"))
            .env_remove("DATABASE_URL")
            .env_remove("DATABASE_URL_FILE")
            .stdin(Stdio::null());
        command
    }

    /// Runs lamplighter to its end.
    pub fn lamplighter(&self, arguments: &[&str]) -> Ended {
        Ended::of(&mut self.command(arguments))
    }

    /// Rows of a query on `lamplighter.db`, each value as text, null as "NULL".
    pub fn query(&self, sql: &str) -> Vec<Vec<String>> {
        self.with_connection(async |connection| {
            sqlx::query(AssertSqlSafe(sql.to_owned()))
                .fetch_all(connection)
                .await
                .map(|rows| rows.iter().map(texts).collect())
        })
    }

    /// The one value of a query's one row.
    pub fn value(&self, sql: &str) -> String {
        let rows = self.query(sql);
        assert!(rows.len() == 1 && rows[0].len() == 1, "{sql}: {rows:?}");
        rows[0][0].clone()
    }

    /// Changes `lamplighter.db` behind lamplighter's back.
    pub fn execute(&self, sql: &str) {
        self.with_connection(async |connection| {
            sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
                .execute(connection)
                .await
                .map(drop)
        });
    }

    fn with_connection<T>(
        &self,
        act: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>,
    ) -> T {
        let options = SqliteConnectOptions::new().filename(self.path("lamplighter.db"));
        runtime()
            .block_on(async {
                let mut connection = SqliteConnection::connect_with(&options).await?;
                let outcome = act(&mut connection).await?;
                connection.close().await?;
                Ok::<T, sqlx::Error>(outcome)
            })
            .expect("the query works")
    }

    /// Every prediction of a run, by record id, each number as its bits: what "same bits" compares.
    pub fn prediction_bits(&self, run_id: i64) -> BTreeMap<String, String> {
        self.predictions(run_id)
            .into_iter()
            .map(|(record, (ordinal, bits))| (record, format!("{ordinal}|{bits}")))
            .collect()
    }

    /// The same without the ordinal, which is the source's: to compare with another source, or with
    /// a ledger in Postgres.
    pub fn prediction_bits_without_ordinal(&self, run_id: i64) -> BTreeMap<String, String> {
        self.predictions(run_id)
            .into_iter()
            .map(|(record, (_, bits))| (record, bits))
            .collect()
    }

    fn predictions(&self, run_id: i64) -> BTreeMap<String, (i64, String)> {
        let rows = self.with_connection(async |connection| {
            sqlx::query(
                "SELECT record_id, ordinal, label, score, value, output
                 FROM predictions WHERE run_id = ?",
            )
            .bind(run_id)
            .fetch_all(connection)
            .await
        });
        rows.iter()
            .map(|row| {
                let bits = prediction_bits(row.get(2), row.get(3), row.get(4), row.get(5));
                (row.get(0), (row.get(1), bits))
            })
            .collect()
    }
}

/// A prediction as text that differs if a single bit does, whatever database it is from: none of
/// them prints every number so that it can be told from its neighbours.
fn prediction_bits(
    label: Option<String>,
    score: Option<f64>,
    value: Option<f64>,
    output: Option<String>,
) -> String {
    let text = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let number = |number: Option<f64>| {
        number.map_or_else(|| "-".to_owned(), |number| number.to_bits().to_string())
    };
    format!(
        "{}|{}|{}|{}",
        text(label),
        number(score),
        number(value),
        text(output)
    )
}

/// For what a test asks a database and waits for.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn texts(row: &sqlx::sqlite::SqliteRow) -> Vec<String> {
    row.columns()
        .iter()
        .map(|column| {
            let index = column.ordinal();
            if row.try_get_raw(index).expect("a value").is_null() {
                return "NULL".to_owned();
            }
            row.try_get::<String, _>(index)
                .or_else(|_| {
                    row.try_get::<i64, _>(index)
                        .map(|number| number.to_string())
                })
                .or_else(|_| {
                    row.try_get::<f64, _>(index)
                        .map(|number| number.to_string())
                })
                .unwrap_or_else(|_| "BLOB".to_owned())
        })
        .collect()
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "code {:?}, signal {:?}: {}\n--- stdout\n{}\n--- stderr\n{}",
            self.code, self.signal, self.arguments, self.stdout, self.stderr
        )
    }
}

impl Ended {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Self {
        let arguments = format!("{command:?}");
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let pid = child.id();
        let Output {
            status,
            stdout,
            stderr,
        } = child.wait_with_output().expect("an end");
        Self {
            code: status.code(),
            signal: status.signal(),
            pid: Some(pid),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
            arguments,
        }
    }

    /// Checks the exit code; says everything if it is another.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Checks that standard error mentions each of these.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is missing: {self}");
        }
        self
    }

    /// Standard output as one JSON document.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }
}

/// Named columns as a batch; every column may hold nulls.
pub fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("columns of one length")
}

/// Writes a Parquet file with row groups of so many rows.
pub fn write_parquet(path: &Path, rows: &RecordBatch, row_group_rows: usize) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(row_group_rows))
        .build();
    let file = fs::File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties)).expect("a writer");
    writer.write(rows).expect("rows");
    writer.close().expect("a footer");
}

/// A column of a Parquet file.
pub fn read_column(path: &Path, name: &str) -> Vec<ArrayRef> {
    let file = fs::File::open(path).expect("a file");
    ParquetRecordBatchReaderBuilder::try_new(file)
        .expect("a Parquet file")
        .build()
        .expect("a reader")
        .map(|batch| {
            batch
                .expect("rows")
                .column_by_name(name)
                .expect("the column")
                .clone()
        })
        .collect()
}

/// Text of a Parquet file's column.
pub fn read_text(path: &Path, name: &str) -> Vec<String> {
    read_column(path, name)
        .iter()
        .flat_map(|array| {
            let array =
                arrow::compute::cast(array, &arrow::datatypes::DataType::Utf8).expect("text");
            let array = array
                .as_any()
                .downcast_ref::<StringArray>()
                .expect("text")
                .clone();
            (0..array.len())
                .map(move |row| array.value(row).to_owned())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Numbers of a Parquet file's column, f32 or f64.
pub fn read_numbers(path: &Path, name: &str) -> Vec<f64> {
    read_column(path, name)
        .iter()
        .flat_map(
            |array| match array.as_any().downcast_ref::<Float32Array>() {
                Some(array) => array
                    .values()
                    .iter()
                    .map(|&number| f64::from(number))
                    .collect::<Vec<_>>(),
                None => array
                    .as_any()
                    .downcast_ref::<Float64Array>()
                    .expect("numbers")
                    .values()
                    .to_vec(),
            },
        )
        .collect()
}

/// Writes a regression bundle whose prediction is `bias + Σ weight × column`, of numeric features
/// with mean 0 and standard deviation 1, so that a test can say what every record must get. `more`
/// goes into each `[[feature]]`.
pub fn linear_bundle(directory: &Path, columns: &[(&str, f32)], bias: f32, more: &str) {
    let mut toml = "[model]\nname = \"linear\"\nversion = \"1\"\narchitecture = \"mlp\"\ntask = \"regression\"\n\n[mlp]\nhidden = []\nactivation = \"relu\"\n".to_owned();
    for (column, _) in columns {
        toml.push_str(&format!(
            "\n[[feature]]\ncolumn = \"{column}\"\nkind = \"numeric\"\nmean = 0.0\nstd = 1.0\n{more}\n"
        ));
    }
    fs::create_dir_all(directory).expect("a directory");
    fs::write(directory.join("model.toml"), toml).expect("model.toml");
    let weights: Vec<f32> = columns.iter().map(|(_, weight)| *weight).collect();
    let tensors = std::collections::HashMap::from([
        (
            "layers.0.weight",
            Tensor::from_vec(weights, (1, columns.len()), &Device::Cpu).expect("a tensor"),
        ),
        (
            "layers.0.bias",
            Tensor::from_vec(vec![bias], 1, &Device::Cpu).expect("a tensor"),
        ),
    ]);
    candle_core::safetensors::save(&tensors, directory.join("model.safetensors")).expect("weights");
}

/// A job on `input/*.parquet` with id column `id` and the bundle `bundle`, plus more TOML.
pub fn simple_job(more: &str) -> String {
    format!(
        "[job]\nname = \"simple\"\n\n[source]\nkind = \"parquet\"\npath = \"input/*.parquet\"\nid_column = \"id\"\n\n[model]\nbundle = \"bundle\"\n\n{more}"
    )
}
