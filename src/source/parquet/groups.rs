//! Where the values of a file stand, in a tenth of the memory that the decoder's own form takes: a table
//! of many columns and row groups has hundreds of thousands of column chunks.

use parquet::basic::CompressionCodec;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::schema::types::ColumnDescPtr;

/// The row groups of a file, and where their values stand.
pub struct Places {
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
    compressed_bytes: u64,
    values: u64,
    compression: CompressionCodec,
}

impl Places {
    /// Those of a footer; `None` if it is at odds with itself about its columns, or has a number below 0.
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
            for column in group.columns() {
                chunks.push(ColumnChunk::of(column)?);
            }
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
        let is_there = leaf < self.leaves;
        let chunks = self.chunks.get(leaf..).filter(|_| is_there);
        chunks
            .unwrap_or_default()
            .iter()
            .step_by(self.leaves.max(1))
    }
}

impl ColumnChunk {
    fn of(metadata: &ColumnChunkMetaData) -> Option<Self> {
        Some(Self {
            data_page_offset: metadata.data_page_offset(),
            dictionary_page_offset: metadata.dictionary_page_offset(),
            compressed_bytes: u64::try_from(metadata.compressed_size()).ok()?,
            values: u64::try_from(metadata.num_values()).ok()?,
            compression: metadata.compression_codec(),
        })
    }

    /// As the decoder takes it.
    ///
    /// # Errors
    /// None: nothing is checked that was not when the footer was decoded.
    pub fn metadata(&self, leaf: ColumnDescPtr) -> parquet::errors::Result<ColumnChunkMetaData> {
        ColumnChunkMetaData::builder(leaf)
            .set_data_page_offset(self.data_page_offset)
            .set_dictionary_page_offset(self.dictionary_page_offset)
            .set_total_compressed_size(self.compressed_bytes.cast_signed())
            .set_num_values(self.values.cast_signed())
            .set_compression_codec(self.compression)
            .build()
    }

    /// Bytes, as they are stored.
    pub fn compressed_bytes(&self) -> u64 {
        self.compressed_bytes
    }

    /// Values, those of lists among them.
    pub fn values(&self) -> u64 {
        self.values
    }

    /// Whether they stand in a dictionary.
    pub fn has_dictionary(&self) -> bool {
        self.dictionary_page_offset.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::file::metadata::{FileMetaData, RowGroupMetaData};
    use parquet::schema::parser::parse_message_type;
    use parquet::schema::types::SchemaDescriptor;

    use super::*;

    /// Two row groups of two leaves, whose column chunks begin at these places and have so many values.
    fn footer(chunks: [[(i64, i64); 2]; 2]) -> ParquetMetaData {
        let schema = "message m { required int64 a; repeated int64 b; }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let schema = Arc::new(SchemaDescriptor::new(schema));
        let groups = chunks.map(|chunks| {
            let columns = chunks
                .into_iter()
                .zip(schema.columns())
                .map(|((place, values), leaf)| {
                    ColumnChunkMetaData::builder(leaf.clone())
                        .set_data_page_offset(place)
                        .set_num_values(values)
                        .set_total_compressed_size(10)
                        .set_compression_codec(CompressionCodec::ZSTD)
                        .build()
                        .unwrap()
                })
                .collect();
            RowGroupMetaData::builder(schema.clone())
                .set_num_rows(3)
                .set_column_metadata(columns)
                .build()
                .unwrap()
        });
        let file = FileMetaData::new(1, 6, None, None, schema, None);
        ParquetMetaData::new(file, groups.into())
    }

    #[test]
    fn every_chunk_is_found_where_the_footer_has_it() {
        let metadata = footer([[(4, 3), (14, 5)], [(24, 3), (34, 7)]]);
        let places = Places::of(&metadata).unwrap();
        assert_eq!(
            (places.len(), places.rows(1), places.rows(2)),
            (2, Some(3), None)
        );
        for (group, expected) in metadata.row_groups().iter().enumerate() {
            for (leaf, expected) in expected.columns().iter().enumerate() {
                let chunk = places.chunk(group, leaf).unwrap();
                let descriptor = metadata.file_metadata().schema_descr().column(leaf);
                assert_eq!(&chunk.metadata(descriptor).unwrap(), expected);
            }
        }
        assert!(places.chunk(0, 2).is_none() && places.chunk(2, 0).is_none());
        let values: Vec<u64> = places.chunks_of(1).map(ColumnChunk::values).collect();
        assert_eq!(values, [5, 7]);
        assert_eq!(places.chunks_of(2).count(), 0);
    }

    #[test]
    fn numbers_below_zero_are_refused() {
        let metadata = footer([[(4, 3), (14, 5)], [(24, 3), (34, -1)]]);
        assert!(Places::of(&metadata).is_none());
    }
}
