//! The files of a run's input, fixed when the run is planned.

use std::collections::HashSet;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use arrow::datatypes::{Fields, Schema};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
};
use sha2::{Digest, Sha256};

use super::content::{Content, Stamp};
use super::footer::{check_claims, check_columns};
use super::groups::Places;
use super::guarded;
use super::headers::CheckedFile;
use super::listing::list;
use crate::error::Failure;
use crate::interrupt::Interrupt;

const MAGIC: &[u8; 4] = b"PAR1";

/// Footer length (u32, little-endian) and magic number, at a file's end.
const TAIL_BYTES: u64 = 8;

/// A footer beyond this is refused: real ones are far smaller, and a forged length must not make
/// us allocate at will.
const MAX_FOOTER_BYTES: u64 = 512 << 20;

/// One file of the input.
#[derive(Clone)]
pub struct InputFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its path relative to the input's root, with `/`: its name in the manifest.
    pub name: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the footer.
    pub footer_sha256: [u8; 32],
    /// Ordinal of its first row.
    pub first_ordinal: u64,
    /// Number of rows.
    pub rows: u64,
    /// What its footer says beside row groups.
    pub(super) header: ArrowReaderMetadata,
    pub(super) groups: Arc<Places>,
    /// With `strict_input`, all its bytes.
    content: Option<Content>,
}

/// The input: files in the order of their names, rows numbered through.
pub struct ParquetInput {
    files: Vec<InputFile>,
    rows: u64,
    interrupt: Interrupt,
}

impl ParquetInput {
    /// Lists the files that `pattern` (a file, a directory, or a glob) names and reads their
    /// footers. With `limit`, stops at the file that holds the limit's last row, and
    /// [`rows`](Self::rows) is at most `limit`. If `strict`, hashes all their bytes too.
    ///
    /// # Errors
    /// No file matches (66); a file is not Parquet or its footer is damaged (65); I/O; to stop is
    /// requested (75 or 80).
    pub fn open(
        pattern: &str,
        limit: Option<u64>,
        strict: bool,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        let mut rows = 0;
        for (name, path) in list(pattern)? {
            if limit.is_some_and(|limit| rows >= limit) {
                break;
            }
            let mut file = read_footer(name, path, rows)?;
            if strict {
                file.content = Some(Content::of(&open(&file.path)?, &file.path, interrupt)?);
            }
            rows += file.rows;
            files.push(file);
        }
        let rows = limit.map_or(rows, |limit| rows.min(limit));
        Ok(Self {
            files,
            rows,
            interrupt: interrupt.clone(),
        })
    }

    /// The files, in order.
    pub fn files(&self) -> &[InputFile] {
        &self.files
    }

    /// Every column that a file has, the first of each name.
    pub fn schema(&self) -> Schema {
        let mut names = HashSet::new();
        let fields = self.files.iter().flat_map(|file| file.columns());
        let fields = fields.filter(|field| names.insert(field.name().clone()));
        Schema::new(fields.cloned().collect::<Vec<_>>())
    }

    /// Names that more than one column of a file has.
    pub fn doubles(&self) -> HashSet<String> {
        let mut doubles = HashSet::new();
        for file in &self.files {
            let mut names = HashSet::new();
            for field in file.columns() {
                if !names.insert(field.name()) {
                    doubles.insert(field.name().clone());
                }
            }
        }
        doubles
    }

    /// Number of rows of the run.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Hash of the manifest: name, size and footer hash of each file (and, with `strict_input`, the
    /// hash of all its bytes), and the number of rows.
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for file in &self.files {
            hasher.update((file.name.len() as u64).to_le_bytes());
            hasher.update(&file.name);
            hasher.update(file.size_bytes.to_le_bytes());
            hasher.update(file.footer_sha256);
            if let Some(content) = &file.content {
                hasher.update(content.sha256);
            }
        }
        hasher.update(self.rows.to_le_bytes());
        hex::encode(hasher.finalize())
    }

    /// The file that holds `ordinal`, and its index.
    pub(super) fn file_of(&self, ordinal: u64) -> Option<(usize, &InputFile)> {
        let index = self
            .files
            .partition_point(|file| file.first_ordinal + file.rows <= ordinal);
        self.files.get(index).map(|file| (index, file))
    }

    /// Opens the file with `index` for reading. What comes back tells later whether somebody has
    /// written to it meanwhile.
    ///
    /// # Errors
    /// It is gone, or is no longer the one of the manifest (65); I/O; to stop is requested while its
    /// bytes are hashed (75 or 80).
    pub(super) fn open_unchanged(&self, index: usize) -> anyhow::Result<(Arc<CheckedFile>, Stamp)> {
        let input_file = &self.files[index];
        let (file, stamp) = input_file.open_unchanged()?;
        if let Some(content) = &input_file.content {
            let path = &input_file.path;
            if !content.is_of(file.file(), stamp, path, &self.interrupt)? {
                return Err(input_file.changed().into());
            }
        }
        Ok((file, stamp))
    }

    /// Where `ordinal` is, for messages: file name and row, counted from 0.
    pub fn locate(&self, ordinal: u64) -> String {
        match self.file_of(ordinal) {
            Some((_, file)) => format!("{} row {}", file.name, ordinal - file.first_ordinal),
            None => format!("ordinal {ordinal}"),
        }
    }
}

impl InputFile {
    /// Its columns.
    pub(super) fn columns(&self) -> &Fields {
        self.header.schema().fields()
    }

    /// Opens the file for reading its pages.
    ///
    /// # Errors
    /// If it is gone, or its size or footer are no longer those of the manifest (65), or on I/O.
    pub(super) fn open_unchanged(&self) -> anyhow::Result<(Arc<CheckedFile>, Stamp)> {
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Failure::data(format!(
                    "{} vanished after the run was planned",
                    self.path.display()
                ))
                .hint("nothing is published; put the file back and start again to continue")
                .into());
            }
            opened => opened.with_context(|| format!("cannot open {}", self.path.display()))?,
        };
        // Before the first byte: a write that comes after it shows.
        let stamp = Stamp::of(&file, &self.path)?;
        let (size_bytes, footer) = footer_bytes(&mut file, &self.path)?;
        if size_bytes != self.size_bytes || sha256(&footer) != self.footer_sha256 {
            return Err(self.changed().into());
        }
        Ok((Arc::new(CheckedFile::new(file, size_bytes)), stamp))
    }

    /// Refuses what was read from an open file if it was written to since it was opened.
    ///
    /// # Errors
    /// It was (65); I/O.
    pub(super) fn refuse_written(&self, file: &File, opened: Stamp) -> anyhow::Result<()> {
        match Stamp::of(file, &self.path)?.is_unwritten_since(opened) {
            true => Ok(()),
            false => Err(self.changed().into()),
        }
    }

    fn changed(&self) -> Failure {
        Failure::data(format!(
            "{} changed after the run was planned",
            self.path.display()
        ))
        .hint("nothing is published; start the run again to plan it on the new content")
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| format!("cannot open {}", path.display()))
}

pub(super) fn read_footer(
    name: String,
    path: PathBuf,
    first_ordinal: u64,
) -> anyhow::Result<InputFile> {
    let mut file = open(&path)?;
    let (size_bytes, footer) = footer_bytes(&mut file, &path)?;
    let end = size_bytes - TAIL_BYTES - footer.len() as u64;
    // Nobody asks for them, and of many row groups and columns they take megabytes.
    let options = ParquetMetaDataOptions::new()
        .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll);
    let (header, groups, rows) = guarded(&path, "the footer cannot be read", || {
        check_claims(&footer).map_err(ParquetError::General)?;
        let metadata =
            ParquetMetaDataReader::decode_metadata_with_options(&footer, Some(&options))?;
        check_columns(&metadata, end).map_err(ParquetError::General)?;
        let header = ParquetMetaData::new(metadata.file_metadata().clone(), Vec::new());
        let header = ArrowReaderMetadata::try_new(Arc::new(header), ArrowReaderOptions::new())?;
        Ok((header, Places::of(&metadata), rows(&metadata)))
    })?;
    let contradicts = |about: &str| {
        let shown = path.display();
        Failure::data(format!(
            "{shown}: the footer contradicts itself about {about}"
        ))
        .hint("the file is damaged; write or copy it again")
    };
    let rows = rows.ok_or_else(|| contradicts("the number of rows"))?;
    let groups = groups.ok_or_else(|| contradicts("the values of a row group"))?;
    Ok(InputFile {
        footer_sha256: sha256(&footer),
        path,
        name,
        size_bytes,
        first_ordinal,
        rows,
        header,
        groups: Arc::new(groups),
        content: None,
    })
}

/// Number of rows, if everything in the footer that tells it agrees. A footer carries no checksum;
/// one that understates its rows would lose the rest.
fn rows(metadata: &ParquetMetaData) -> Option<u64> {
    let mut rows = 0u64;
    for row_group in metadata.row_groups() {
        let contradicts = row_group.columns().iter().any(|column| {
            match column.column_descr().max_rep_level() {
                0 => column.num_values() != row_group.num_rows(),
                // An empty list is a value of its own, and so is one that is null.
                _ => column.num_values() < row_group.num_rows(),
            }
        });
        if contradicts {
            return None;
        }
        rows = rows.checked_add(u64::try_from(row_group.num_rows()).ok()?)?;
    }
    let total = u64::try_from(metadata.file_metadata().num_rows()).ok()?;
    (rows == total).then_some(rows)
}

/// The file's size and the bytes of its footer.
fn footer_bytes(file: &mut File, path: &Path) -> anyhow::Result<(u64, Vec<u8>)> {
    let not_parquet = |why: &str| {
        Failure::data(format!("{} is not a Parquet file: {why}", path.display()))
            .hint("it may still be being written: write elsewhere and rename, or use `wait_for`")
    };
    let context = || format!("cannot read {}", path.display());
    let size_bytes = file.metadata().with_context(context)?.len();
    if size_bytes < TAIL_BYTES + MAGIC.len() as u64 {
        return Err(not_parquet(&format!("it has only {size_bytes} bytes")).into());
    }
    let mut tail = [0; TAIL_BYTES as usize];
    file.seek(SeekFrom::End(-(TAIL_BYTES as i64)))
        .and_then(|_| file.read_exact(&mut tail))
        .with_context(context)?;
    let [a, b, c, d, magic @ ..] = tail;
    if &magic != MAGIC {
        return Err(not_parquet("it does not end with the magic number PAR1").into());
    }
    let footer_length = u64::from(u32::from_le_bytes([a, b, c, d]));
    if footer_length > MAX_FOOTER_BYTES || footer_length + TAIL_BYTES > size_bytes {
        return Err(not_parquet(&format!("its footer claims {footer_length} bytes")).into());
    }
    let mut footer = vec![0; footer_length as usize];
    file.seek(SeekFrom::End(-((TAIL_BYTES + footer_length) as i64)))
        .and_then(|_| file.read_exact(&mut footer))
        .with_context(context)?;
    Ok((size_bytes, footer))
}
