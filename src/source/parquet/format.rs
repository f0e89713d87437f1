//! The headers of the Parquet format, as far as they are defined: numbers and types of the fields.

use super::thrift::Fields;
use super::thrift::Kind::{Binary, Bool, Byte, Double, I16, I32, I64, List, Struct};

const EMPTY: Fields = &[];

const STATISTICS: Fields = &[
    (1, Binary),
    (2, Binary),
    (3, I64),
    (4, I64),
    (5, Binary),
    (6, Binary),
    (7, Bool),
    (8, Bool),
    (9, I64),
];

/// `PageHeader`.
pub const PAGE_HEADER: Fields = &[
    (1, I32),
    (page::UNCOMPRESSED_SIZE, I32),
    (page::COMPRESSED_SIZE, I32),
    (4, I32),
    (
        5,
        Struct(&[
            (1, I32),
            (2, I32),
            (3, I32),
            (4, I32),
            (5, Struct(STATISTICS)),
        ]),
    ),
    (6, Struct(EMPTY)),
    (page::DICTIONARY, Struct(&[(1, I32), (2, I32), (3, Bool)])),
    (
        8,
        Struct(&[
            (1, I32),
            (2, I32),
            (3, I32),
            (4, I32),
            (5, I32),
            (6, I32),
            (7, Bool),
            (8, Struct(STATISTICS)),
        ]),
    ),
];

/// Fields of a page header.
pub mod page {
    pub const UNCOMPRESSED_SIZE: i16 = 2;
    pub const COMPRESSED_SIZE: i16 = 3;
    pub const DICTIONARY: i16 = 7;
    /// In the header of a dictionary.
    pub const NUM_VALUES: i16 = 1;
}

/// `FileMetaData`: the footer.
pub const FILE: Fields = &[
    (1, I32),
    (file::SCHEMA, List(&Struct(SCHEMA_ELEMENT))),
    (3, I64),
    (file::ROW_GROUPS, List(&Struct(ROW_GROUP))),
    (5, List(&Struct(KEY_VALUE))),
    (6, Binary),
    (7, List(&Struct(&[(1, Struct(EMPTY)), (2, Struct(EMPTY))]))),
];

/// Fields of the footer.
pub mod file {
    pub const SCHEMA: i16 = 2;
    /// In an element of the schema.
    pub const NUM_CHILDREN: i16 = 5;
    pub const ROW_GROUPS: i16 = 4;
}

const KEY_VALUE: Fields = &[(1, Binary), (2, Binary)];

const SCHEMA_ELEMENT: Fields = &[
    (1, I32),
    (2, I32),
    (3, I32),
    (4, Binary),
    (file::NUM_CHILDREN, I32),
    (6, I32),
    (7, I32),
    (8, I32),
    (9, I32),
    (10, Struct(LOGICAL_TYPE)),
];

const LOGICAL_TYPE: Fields = &[
    (1, Struct(EMPTY)),
    (2, Struct(EMPTY)),
    (3, Struct(EMPTY)),
    (4, Struct(EMPTY)),
    (5, Struct(&[(1, I32), (2, I32)])),
    (6, Struct(EMPTY)),
    (7, Struct(TIME)),
    (8, Struct(TIME)),
    (10, Struct(&[(1, Byte), (2, Bool)])),
    (11, Struct(EMPTY)),
    (12, Struct(EMPTY)),
    (13, Struct(EMPTY)),
    (14, Struct(EMPTY)),
    (15, Struct(EMPTY)),
    (16, Struct(&[(1, Byte)])),
    (17, Struct(&[(1, Binary)])),
    (18, Struct(&[(1, Binary), (2, I32)])),
];

const TIME: Fields = &[
    (1, Bool),
    (
        2,
        Struct(&[(1, Struct(EMPTY)), (2, Struct(EMPTY)), (3, Struct(EMPTY))]),
    ),
];

const ROW_GROUP: Fields = &[
    (1, List(&Struct(COLUMN_CHUNK))),
    (2, I64),
    (3, I64),
    (4, List(&Struct(&[(1, I32), (2, Bool), (3, Bool)]))),
    (5, I64),
    (6, I64),
    (7, I16),
];

const COLUMN_CHUNK: Fields = &[
    (1, Binary),
    (2, I64),
    (3, Struct(COLUMN)),
    (4, I64),
    (5, I32),
    (6, I64),
    (7, I32),
    (9, Binary),
];

const COLUMN: Fields = &[
    (1, I32),
    (2, List(&I32)),
    (3, List(&Binary)),
    (4, I32),
    (5, I64),
    (6, I64),
    (7, I64),
    (8, List(&Struct(KEY_VALUE))),
    (9, I64),
    (10, I64),
    (11, I64),
    (12, Struct(STATISTICS)),
    (13, List(&Struct(&[(1, I32), (2, I32), (3, I32)]))),
    (14, I64),
    (15, I32),
    (16, Struct(&[(1, I64), (2, List(&I64)), (3, List(&I64))])),
    (17, Struct(&[(1, Struct(BOUNDING_BOX)), (2, List(&I32))])),
];

const BOUNDING_BOX: Fields = &[
    (1, Double),
    (2, Double),
    (3, Double),
    (4, Double),
    (5, Double),
    (6, Double),
    (7, Double),
    (8, Double),
];
