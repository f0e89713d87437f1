//! A Parquet writer that writes what it is told, true or not: no library would.

use std::ops::Range;

const MAGIC: &[u8] = b"PAR1";

pub const DOUBLE: i64 = 5;
pub const BYTE_ARRAY: i64 = 6;

pub const UNCOMPRESSED: i64 = 0;
pub const SNAPPY: i64 = 1;
pub const ZSTD: i64 = 6;
pub const LZ4_RAW: i64 = 7;

pub const PLAIN: i64 = 0;
pub const DELTA_LENGTH_BYTE_ARRAY: i64 = 6;
pub const DELTA_BYTE_ARRAY: i64 = 7;
pub const RLE_DICTIONARY: i64 = 8;

const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// A struct of Thrift's compact protocol, field after field.
#[derive(Clone, Default)]
pub struct Struct {
    bytes: Vec<u8>,
    last: u8,
}

impl Struct {
    pub fn new() -> Self {
        Self::default()
    }

    fn field(mut self, id: u8, wire: u8, value: &[u8]) -> Self {
        self.bytes.push((id - self.last) << 4 | wire);
        self.bytes.extend(value);
        self.last = id;
        self
    }

    pub fn i32(self, id: u8, number: i64) -> Self {
        self.field(id, 5, &zigzag(number))
    }

    pub fn i64(self, id: u8, number: i64) -> Self {
        self.field(id, 6, &zigzag(number))
    }

    pub fn text(self, id: u8, text: &str) -> Self {
        let length = varint(text.len() as u64);
        self.field(id, 8, &[&length, text.as_bytes()].concat())
    }

    pub fn structure(self, id: u8, fields: Struct) -> Self {
        self.field(id, STRUCT, &fields.end())
    }

    pub fn list(self, id: u8, element: u8, elements: &[Vec<u8>]) -> Self {
        self.claimed_list(id, element, elements.len() as u64, elements)
    }

    /// A list that claims another length than it has.
    pub fn claimed_list(self, id: u8, element: u8, length: u64, elements: &[Vec<u8>]) -> Self {
        let header = [vec![0xf0 | element], varint(length), elements.concat()];
        self.field(id, LIST, &header.concat())
    }

    pub fn structs(self, id: u8, elements: impl IntoIterator<Item = Struct>) -> Self {
        let elements: Vec<_> = elements.into_iter().map(Struct::end).collect();
        self.list(id, STRUCT, &elements)
    }

    pub fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

fn zigzag(number: i64) -> Vec<u8> {
    varint((number << 1 ^ number >> 63) as u64)
}

pub fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A page: its header, and the bytes that follow it.
pub struct Page {
    pub encoding: i64,
    pub values: i64,
    pub is_dictionary: bool,
    /// What the header claims of the body's size before compression.
    pub uncompressed: i64,
    pub checksum: Option<i64>,
    pub body: Vec<u8>,
}

impl Page {
    /// A data page without compression.
    pub fn new(encoding: i64, values: i64, body: Vec<u8>) -> Self {
        Self {
            encoding,
            values,
            is_dictionary: false,
            uncompressed: body.len() as i64,
            checksum: None,
            body,
        }
    }

    /// The same page with its body compressed by zstd.
    pub fn zstd(self) -> Self {
        let body = zstd::encode_all(self.body.as_slice(), 1).expect("compressed bytes");
        Self { body, ..self }
    }

    /// The same page with the checksum of its body.
    pub fn checked(self) -> Self {
        let checksum = Some(i64::from(crc32(&self.body) as i32));
        Self { checksum, ..self }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut header = Struct::new()
            .i32(1, if self.is_dictionary { 2 } else { 0 })
            .i32(2, self.uncompressed)
            .i32(3, self.body.len() as i64);
        if let Some(checksum) = self.checksum {
            header = header.i32(4, checksum);
        }
        let values = Struct::new().i32(1, self.values).i32(2, self.encoding);
        let header = match self.is_dictionary {
            true => header.structure(7, values),
            false => header.structure(5, values.i32(3, 3).i32(4, 3)),
        };
        [header.end(), self.body.clone()].concat()
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let shift = |rest: u32| (rest >> 1) ^ (0xedb8_8320 * (rest & 1));
    !bytes.iter().fold(!0, |rest, byte| {
        (0..8).fold(rest ^ u32::from(*byte), |rest, _| shift(rest))
    })
}

/// A column of one row group.
#[derive(Clone)]
pub struct Column {
    pub name: &'static str,
    pub physical_type: i64,
    pub codec: i64,
    /// What the footer claims.
    pub values: i64,
    pub has_dictionary: bool,
    pub pages: Vec<u8>,
    /// What the footer claims instead of where the pages are, and of how many bytes.
    pub offset: Option<i64>,
    pub size: Option<i64>,
}

impl Column {
    pub fn new(name: &'static str, physical_type: i64, values: i64, pages: &[Page]) -> Self {
        Self {
            name,
            physical_type,
            codec: UNCOMPRESSED,
            values,
            has_dictionary: pages.iter().any(|page| page.is_dictionary),
            pages: pages.iter().flat_map(Page::bytes).collect(),
            offset: None,
            size: None,
        }
    }

    fn chunk(&self, position: usize) -> Struct {
        let offset = self.offset.unwrap_or(position as i64);
        let size = self.size.unwrap_or(self.pages.len() as i64);
        let mut column = Struct::new()
            .i32(1, self.physical_type)
            .list(2, 5, &[vec![0]])
            .list(
                3,
                8,
                &[[varint(self.name.len() as u64), self.name.into()].concat()],
            )
            .i32(4, self.codec)
            .i64(5, self.values)
            .i64(6, size)
            .i64(7, size)
            .i64(9, offset);
        if self.has_dictionary {
            column = column.i64(11, offset);
        }
        Struct::new().i64(2, offset).structure(3, column)
    }

    fn element(&self) -> Struct {
        let element = Struct::new()
            .i32(1, self.physical_type)
            .i32(3, 0)
            .text(4, self.name);
        match self.physical_type {
            // Text.
            BYTE_ARRAY => element.i32(6, 0),
            _ => element,
        }
    }
}

/// The page of the ids `r0000`, `r0001`, … of these records.
pub fn id_page(records: Range<i64>) -> Page {
    let count = records.end - records.start;
    let body = records.flat_map(|n| {
        let id = format!("r{n:04}");
        [&(id.len() as u32).to_le_bytes(), id.as_bytes()].concat()
    });
    Page::new(PLAIN, count, body.collect())
}

/// The page of the numbers of these records.
pub fn x_page(records: Range<i64>) -> Page {
    let count = records.end - records.start;
    let body = records.flat_map(|n| (n as f64).to_le_bytes());
    Page::new(PLAIN, count, body.collect())
}

/// Columns of ids and numbers.
pub fn columns(records: Range<i64>) -> [Column; 2] {
    let count = records.end - records.start;
    [
        Column::new("id", BYTE_ARRAY, count, &[id_page(records.clone())]),
        Column::new("x", DOUBLE, count, &[x_page(records)]),
    ]
}

/// A file of one row group, and of the rows that its columns claim.
pub fn file(columns: &[Column]) -> Vec<u8> {
    let rows = columns.first().map_or(0, |column| column.values);
    file_of(&[(rows, columns)])
}

/// A file of row groups that claim so many rows.
pub fn file_of(row_groups: &[(i64, &[Column])]) -> Vec<u8> {
    let (_, columns) = row_groups[0];
    let root = Struct::new().text(4, "schema").i32(5, columns.len() as i64);
    let elements: Vec<_> = [root]
        .into_iter()
        .chain(columns.iter().map(Column::element))
        .collect();
    file_with_schema(row_groups, |footer| footer.structs(2, elements))
}

/// The same with a schema of its own.
pub fn file_with_schema(
    row_groups: &[(i64, &[Column])],
    schema: impl FnOnce(Struct) -> Struct,
) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    let groups: Vec<_> = row_groups
        .iter()
        .map(|(rows, columns)| {
            let chunks: Vec<_> = columns
                .iter()
                .map(|column| {
                    let chunk = column.chunk(file.len());
                    file.extend(&column.pages);
                    chunk
                })
                .collect();
            Struct::new().structs(1, chunks).i64(2, 1).i64(3, *rows)
        })
        .collect();
    let rows = row_groups
        .iter()
        .fold(0, |sum: i64, (rows, _)| sum.wrapping_add(*rows));
    let footer = schema(Struct::new().i32(1, 1))
        .i64(3, rows)
        .structs(4, groups);
    with_footer(file, &footer.end())
}

/// A file that is nothing but a footer.
pub fn only_footer(footer: &[u8]) -> Vec<u8> {
    with_footer(MAGIC.to_vec(), footer)
}

fn with_footer(mut file: Vec<u8>, footer: &[u8]) -> Vec<u8> {
    file.extend(footer);
    file.extend((footer.len() as u32).to_le_bytes());
    file.extend(MAGIC);
    file
}
