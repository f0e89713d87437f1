//! Tokenises texts, without padding.
//!
//! What a tokenizer may be asked for is bounded: bytes beyond a limit are never given to it. The
//! tokenizer's own padding and truncation are replaced by the bundle's.

use arrow::array::{Array, ArrayRef, BinaryArray, StringArray};
use serde::Deserialize;
use tokenizers::{
    EncodeInput, Encoding, PostProcessor, Tokenizer, TruncationDirection, TruncationParams,
    TruncationStrategy,
};

use super::encoder::{Cause, Encoded, Note, Rejection};
use super::rows::{Rows, Tokens};
use super::spec::{Feature, FeatureKind};
use crate::error::Failure;

/// What becomes of a text that is longer than the model takes.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum TooLong {
    /// It is cut at the end, of a pair the longer text first, and counted.
    #[default]
    Truncate,
    /// It is a dead letter.
    Reject,
}

/// Which columns hold texts, and how much of them is taken.
#[derive(Clone, Debug)]
pub struct TextColumns {
    /// The column.
    pub column: String,
    /// The column of each pair's second text.
    pub pair: Option<String>,
    /// Tokens of a text or a pair at most, those that the tokenizer adds included.
    pub max_length: usize,
    /// Bytes of a text at most.
    pub max_bytes: usize,
    /// What becomes of a longer one.
    pub too_long: TooLong,
}

/// Encodes columns of text as tokens.
pub struct TextEncoder {
    features: Vec<Feature>,
    tokenizer: Tokenizer,
    max_length: usize,
    max_bytes: usize,
    too_long: TooLong,
}

impl TextEncoder {
    /// An encoder by the tokenizer that `tokenizer.json` describes.
    ///
    /// # Errors
    /// The tokenizer can not be read, or `max_length` leaves no room beside the tokens that it adds
    /// (78).
    pub fn new(tokenizer_json: &[u8], columns: TextColumns) -> anyhow::Result<Self> {
        let TextColumns {
            column,
            pair,
            max_length,
            max_bytes,
            too_long,
        } = columns;
        let mut tokenizer = Tokenizer::from_bytes(tokenizer_json)
            .map_err(|error| Failure::config(format!("tokenizer.json: {error}")))?;
        let added = tokenizer
            .get_post_processor()
            .map_or(0, |processor| processor.added_tokens(pair.is_some()));
        if max_length <= added || max_bytes == 0 {
            return Err(Failure::config(format!(
                "[text] max_length {max_length} and max_bytes {max_bytes} leave no room for a text: the tokenizer adds {added} tokens"
            ))
            .into());
        }
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(Some(TruncationParams {
                direction: TruncationDirection::Right,
                max_length,
                strategy: TruncationStrategy::LongestFirst,
                stride: 0,
            }))
            .map_err(|error| Failure::config(format!("tokenizer.json: {error}")))?;
        let kind = FeatureKind::Text {
            max_length,
            max_bytes,
        };
        let features = [Some(column), pair].into_iter().flatten();
        Ok(Self {
            features: features
                .map(|column| Feature {
                    column,
                    kind: kind.clone(),
                })
                .collect(),
            tokenizer,
            max_length,
            max_bytes,
            too_long,
        })
    }

    /// The one or two columns of text.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// Greatest token id and one, and the same of the types of tokens: of all tokens that are known, and of
    /// those that are put around texts.
    ///
    /// # Errors
    /// The tokenizer can not take even empty texts (78).
    pub fn sizes(&self) -> Result<(usize, usize), Failure> {
        let around = self
            .tokenize(["", ""])
            .map_err(|error| Failure::config(format!("tokenizer.json: {error}")))?;
        let known = self.tokenizer.get_vocab(true);
        let ids = known.values().chain(around.get_ids()).max();
        let types = around.get_type_ids().iter().max();
        let size = |greatest: Option<&u32>| greatest.map_or(0, |id| *id as usize + 1);
        Ok((size(ids), size(types)))
    }

    /// The token that stands for what the tokenizer does not know, if it has one.
    pub fn unknown_token(&self) -> Option<u32> {
        ["[UNK]", "<unk>"]
            .iter()
            .find_map(|token| self.tokenizer.token_to_id(token))
    }

    /// About what a text takes until it is scored, in bytes: nobody knows before; few are of the
    /// greatest length.
    pub(super) fn bytes_per_text(&self) -> usize {
        const BYTES_PER_TOKEN: usize = 16;
        self.max_length * BYTES_PER_TOKEN
    }

    /// Encodes one column, or two: text or bytes.
    ///
    /// # Errors
    /// If a column is of another type, which is a mistake of the caller.
    pub(super) fn encode(&self, columns: &[ArrayRef]) -> anyhow::Result<Encoded> {
        let texts = columns
            .iter()
            .map(Texts::of)
            .collect::<anyhow::Result<Vec<_>>>()?;
        let count = columns.first().map_or(0, |column| column.len());
        let mut tokens = Tokens::default();
        let mut rejections = vec![None; count];
        let mut notes = Vec::new();
        for (row, rejection) in rejections.iter_mut().enumerate() {
            match self.encode_row(&texts, row, &mut tokens) {
                Ok(None) => {}
                Ok(Some(feature)) => notes.push((row as u32, feature as u32, Note::Truncated)),
                Err(found) => {
                    *rejection = Some(found);
                    tokens.push([].into_iter(), [].into_iter());
                }
            }
        }
        Ok(Encoded {
            rows: Rows::Tokens(tokens),
            rejections,
            notes,
            codes: Vec::new(),
        })
    }

    /// Tokens of a text, or of a pair; of the second text nothing is taken if there is no column for it.
    fn tokenize(&self, [text, pair]: [&str; 2]) -> tokenizers::Result<Encoding> {
        let input = match self.features.len() {
            2 => EncodeInput::Dual(text.into(), pair.into()),
            _ => EncodeInput::Single(text.into()),
        };
        self.tokenizer.encode_fast(input, true)
    }

    /// Appends a row's tokens. Returns which column's text was cut, if one was.
    fn encode_row(
        &self,
        texts: &[Texts<'_>],
        row: usize,
        tokens: &mut Tokens,
    ) -> Result<Option<usize>, Rejection> {
        let mut cut = None;
        let mut taken = [""; 2];
        for (feature, (texts, taken)) in texts.iter().zip(&mut taken).enumerate() {
            let text = texts
                .at(row)
                .map_err(|cause| Rejection { feature, cause })?;
            *taken = &text[..text.floor_char_boundary(self.max_bytes)];
            if taken.len() < text.len() {
                cut = Some(feature);
            }
        }
        let rejected = |cause| Rejection { feature: 0, cause };
        let encoding = self
            .tokenize(taken)
            .map_err(|_| rejected(Cause::NoTokens))?;
        if cut.is_none() && !encoding.get_overflowing().is_empty() {
            cut = Some(longer_text(&encoding));
        }
        if let (Some(feature), TooLong::Reject) = (cut, self.too_long) {
            return Err(Rejection {
                feature,
                cause: Cause::TooLong,
            });
        }
        if encoding.get_ids().is_empty() {
            return Err(rejected(Cause::NoTokens));
        }
        let type_ids = encoding.get_type_ids().iter();
        tokens.push(
            encoding.get_ids().iter().copied(),
            type_ids.map(|&id| u8::try_from(id).unwrap_or(u8::MAX)),
        );
        Ok(cut)
    }
}

/// Which text of a pair has more tokens: cutting takes them of the longer one.
fn longer_text(encoding: &Encoding) -> usize {
    let tokens = encoding.get_sequence_ids();
    let of = |text| tokens.iter().filter(|of| **of == Some(text)).count();
    usize::from(of(1) > of(0))
}

/// A column of texts, or of bytes that should be texts.
pub enum Texts<'a> {
    /// Text.
    Utf8(&'a StringArray),
    /// Bytes.
    Bytes(&'a BinaryArray),
}

impl<'a> Texts<'a> {
    /// A column as texts are read.
    ///
    /// # Errors
    /// If it is of another type, which is a mistake of the caller.
    pub fn of(column: &'a ArrayRef) -> anyhow::Result<Self> {
        let any = column.as_any();
        if let Some(texts) = any.downcast_ref() {
            return Ok(Self::Utf8(texts));
        }
        if let Some(bytes) = any.downcast_ref() {
            return Ok(Self::Bytes(bytes));
        }
        let problem = format!("a column of text is {}", column.data_type());
        Err(Failure::internal(problem).into())
    }

    /// The text of a row, or why there is none.
    ///
    /// # Errors
    /// It is null, or no UTF-8.
    pub fn at(&self, row: usize) -> Result<&'a str, Cause> {
        match self {
            Self::Utf8(texts) if texts.is_valid(row) => Ok(texts.value(row)),
            Self::Bytes(bytes) if bytes.is_valid(row) => {
                std::str::from_utf8(bytes.value(row)).map_err(|_| Cause::InvalidUtf8)
            }
            _ => Err(Cause::Null),
        }
    }
}
