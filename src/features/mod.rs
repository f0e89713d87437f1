//! From columns to the model's input: validation and encoding.
//!
//! Both follow the bundle: what is missing, out of range or unknown is imputed, clamped, mapped to
//! "other" or rejected, as each feature says. A value's fate depends on nothing but the value, so a
//! record is treated alike in whatever chunk it arrives.

pub mod encoder;
mod lookup;
pub mod query;
pub mod rows;
pub mod spec;
pub mod table;
pub mod text;

pub use encoder::{Encoded, Encoder, Note, Rejection};
pub use lookup::LastDictionary;
pub use query::{QueryColumns, QueryEncoder};
pub use rows::{Queries, Rows, Table, Tokens};
pub use spec::{Feature, FeatureKind};
pub use table::TableEncoder;
pub use text::{TextColumns, TextEncoder, Texts, TooLong};
