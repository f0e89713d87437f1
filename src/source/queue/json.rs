//! Reading a JSON object without building it: values stay text until it is known as what they are
//! read.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A text that is no JSON object, and why. The reason repeats nothing of the text.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAnObject(pub String);

/// Passes the keys and values of the JSON object `text` to `visit`, in their order.
///
/// # Errors
/// The text is not JSON, or no object.
pub fn for_each_entry<'text>(
    text: &'text str,
    visit: impl FnMut(Cow<'text, str>, &'text RawValue),
) -> Result<(), NotAnObject> {
    let not_json = |error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        NotAnObject(format!("not JSON (line {line}, column {column})"))
    };
    if !text
        .trim_start_matches([' ', '\t', '\n', '\r'])
        .starts_with('{')
    {
        let value: &RawValue = serde_json::from_str(text).map_err(not_json)?;
        let kind = Token::of(value).kind();
        return Err(NotAnObject(format!("{kind} in place of an object")));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Entries(visit)
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end())
        .map_err(not_json)
}

struct Entries<F>(F);

impl<'text, F: FnMut(Cow<'text, str>, &'text RawValue)> DeserializeSeed<'text> for Entries<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'text>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'text, F: FnMut(Cow<'text, str>, &'text RawValue)> Visitor<'text> for Entries<F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'text>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(key)) = map.next_key()? {
            (self.0)(key, map.next_value()?);
        }
        Ok(())
    }
}

/// A string that is borrowed where it holds no escapes. (`Cow` itself is always owned by serde.)
struct Text<'text>(Cow<'text, str>);

impl<'text> Deserialize<'text> for Text<'text> {
    fn deserialize<D: Deserializer<'text>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'text> Visitor<'text> for TextVisitor {
            type Value = Text<'text>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'text str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// A JSON value as far as its first character tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'text> {
    Null,
    Boolean(bool),
    /// A number without fraction and exponent, as written.
    Integer(&'text str),
    /// Any other number, as written.
    Float(&'text str),
    /// A string, quotes and escapes included.
    Text(&'text str),
    /// An array, as written.
    Array(&'text str),
    Object,
}

impl<'text> Token<'text> {
    pub fn of(value: &'text RawValue) -> Self {
        let text = value.get();
        match text.as_bytes().first() {
            Some(b'"') => Token::Text(text),
            Some(b'n') => Token::Null,
            Some(b't') => Token::Boolean(true),
            Some(b'f') => Token::Boolean(false),
            Some(b'[') => Token::Array(text),
            Some(b'{') => Token::Object,
            _ if text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) => Token::Float(text),
            _ => Token::Integer(text),
        }
    }

    /// What people call it.
    pub fn kind(self) -> &'static str {
        match self {
            Token::Null => "null",
            Token::Boolean(_) => "a boolean",
            Token::Integer(_) => "an integer",
            Token::Float(_) => "a float",
            Token::Text(_) => "text",
            Token::Array(_) => "an array",
            Token::Object => "an object",
        }
    }
}

/// The string that the token of a [`Token::Text`] means; `None` if it means none, because half of a
/// surrogate pair stands alone.
pub fn text_of(quoted: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Text>(quoted).ok().map(|text| text.0)
}

/// The one way to write an integer, of which JSON has two for zero.
pub fn canonical_integer(digits: &str) -> &str {
    if digits == "-0" { "0" } else { digits }
}

/// Whether `text` is a JSON number.
pub fn is_number(text: &str) -> bool {
    let starts_like_one = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let ends_like_one = text.ends_with(|last: char| last.is_ascii_digit());
    starts_like_one && ends_like_one && serde_json::from_str::<&RawValue>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Result<Vec<(String, String)>, String> {
        let mut entries = Vec::new();
        for_each_entry(text, |key, value| {
            entries.push((key.into_owned(), value.get().to_owned()));
        })
        .map_err(|NotAnObject(reason)| reason)?;
        Ok(entries)
    }

    #[test]
    fn values_stay_as_they_are_written() {
        let text = " {\"a\": 1.50, \"\\u0062\" : [1, {}],\"a\":\"x\\n\",\"c\":1e400}\n";
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            entries(text).unwrap(),
            [
                pair("a", "1.50"),
                pair("b", "[1, {}]"),
                pair("a", "\"x\\n\""),
                pair("c", "1e400")
            ]
        );
        assert_eq!(entries("{}").unwrap(), []);
    }

    #[test]
    fn what_is_no_object_is_told_without_its_content() {
        for (text, reason) in [
            ("", "not JSON (line 1, column 0)"),
            ("secret", "not JSON (line 1, column 1)"),
            ("{\"secret\": secret}", "not JSON (line 1, column 12)"),
            ("{\"secret\": 1} secret", "not JSON (line 1, column 15)"),
            ("{\"secret\": 01}", "not JSON (line 1, column 13)"),
            ("{\"secret\": NaN}", "not JSON (line 1, column 12)"),
            ("{\"secret\"", "not JSON (line 1, column 9)"),
            ("[\"secret\"]", "an array in place of an object"),
            ("\"secret\"", "text in place of an object"),
            ("null", "null in place of an object"),
            ("12", "an integer in place of an object"),
        ] {
            assert_eq!(entries(text).unwrap_err(), reason, "{text}");
        }
    }

    #[test]
    fn depth_is_no_danger() {
        let depth = 100_000;
        let text = format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(entries(&text).unwrap().len(), 1);
    }

    #[test]
    fn numbers_are_those_of_json() {
        for text in ["0", "-0", "7", "-3", "1.5", "1e9", "1E-9", "1e400"] {
            assert!(is_number(text), "{text}");
        }
        for text in [
            "", "-", "007", "+1", ".5", "1.", "NaN", "0x10", " 1", "1 ", "1_0", "true", "1,2",
        ] {
            assert!(!is_number(text), "{text}");
        }
    }

    #[test]
    fn half_of_a_surrogate_pair_is_no_text() {
        assert_eq!(text_of("\"\\ud83d\\ude00\"").as_deref(), Some("😀"));
        assert_eq!(text_of("\"\\ud83d\""), None);
    }
}
