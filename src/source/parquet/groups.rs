//! Where the values of a file stand, in a tenth of the memory that the decoder's own form takes: a table
//! of many columns and row groups has hundreds of thousands of column chunks.

use parquet::basic::CompressionCodec;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::schema::types::ColumnDescPtr;

/// The row groups of a file.
pub struct RowGroups {
    /// Rows of each.
    rows: Vec<u64>,
    /// Leaves of the schema.
    leaves: usize,
    /// One for each leaf of each row group, row group by row group.
    chunks: Vec<ColumnChunk>,
}

/// The values of one leaf in one row group.
#[derive(Clone, Copy)]
pub struct ColumnChunk {
    data_page_offset: i64,
    dictionary_page_offset: Option<i64>,
    compressed_bytes: i64,
    values: i64,
    compression: CompressionCodec,
}

impl RowGroups {
    /// Those of a footer; `None` if it is at odds with itself about its columns, or has a number of rows
    /// below 0.
    pub fn of(metadata: &ParquetMetaData) -> Option<Self> {
        let leaves = metadata.file_metadata().schema_descr().num_columns();
        let groups = metadata.row_groups();
        let mut rows = Vec::with_capacity(groups.len());
        let mut chunks = Vec::with_capacity(groups.len() * leaves);
        for group in groups {
            if group.num_columns() != leaves {
                return None;
            }
            rows.push(u64::try_from(group.num_rows()).ok()?);
            chunks.extend(group.columns().iter().map(ColumnChunk::of));
        }
        Some(Self {
            rows,
            leaves,
            chunks,
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Rows of one of them.
    pub fn rows(&self, group: usize) -> Option<u64> {
        self.rows.get(group).copied()
    }

    /// A leaf's values in one of them.
    pub fn chunk(&self, group: usize, leaf: usize) -> Option<&ColumnChunk> {
        let leaves = self.chunks.get(group * self.leaves..)?;
        leaves.get(..self.leaves)?.get(leaf)
    }

    /// A leaf's values in each of them.
    pub fn chunks_of(&self, leaf: usize) -> impl Iterator<Item = &ColumnChunk> {
        let first = self.chunks.get(leaf..).unwrap_or_default();
        first.iter().step_by(self.leaves.max(1))
    }
}

impl ColumnChunk {
    fn of(metadata: &ColumnChunkMetaData) -> Self {
        Self {
            data_page_offset: metadata.data_page_offset(),
            dictionary_page_offset: metadata.dictionary_page_offset(),
            compressed_bytes: metadata.compressed_size(),
            values: metadata.num_values(),
            compression: metadata.compression_codec(),
        }
    }

    /// As the decoder takes it.
    ///
    /// # Errors
    /// None: nothing is checked that was not when the footer was decoded.
    pub fn metadata(&self, leaf: ColumnDescPtr) -> parquet::errors::Result<ColumnChunkMetaData> {
        ColumnChunkMetaData::builder(leaf)
            .set_data_page_offset(self.data_page_offset)
            .set_dictionary_page_offset(self.dictionary_page_offset)
            .set_total_compressed_size(self.compressed_bytes)
            .set_num_values(self.values)
            .set_compression_codec(self.compression)
            .build()
    }

    /// Bytes, as they are stored.
    pub fn compressed_bytes(&self) -> u64 {
        u64::try_from(self.compressed_bytes).unwrap_or(0)
    }

    /// Values, those of lists among them.
    pub fn values(&self) -> u64 {
        u64::try_from(self.values).unwrap_or(0)
    }

    /// Whether they stand in a dictionary.
    pub fn has_dictionary(&self) -> bool {
        self.dictionary_page_offset.is_some()
    }
}
