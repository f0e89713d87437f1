//! Text from outside, made safe to show.
//!
//! Names of files and columns, ids of records and words of servers end up on terminals and in logs.
//! There they must not move the cursor, begin a line that looks like one of ours, or turn the order
//! of what stands beside them.

use std::fmt::Write;

/// The text with U+FFFD for U+0000, which Postgres stores in no text.
pub fn storable(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

/// The text with everything escaped that steers a terminal; line ends stay.
pub fn text(text: &str) -> String {
    escaped(
        text,
        |character| character != '\n',
        |character, out| {
            out.extend(character.escape_default());
        },
    )
}

/// The same on one line: line ends are escaped too.
pub fn one_line(text: &str) -> String {
    escaped(
        text,
        |_| true,
        |character, out| {
            out.extend(character.escape_default());
        },
    )
}

/// JSON with everything escaped that steers a terminal, as JSON escapes it: it means the same as
/// before. Line ends stay; in JSON none stands inside a string.
pub fn json(json: &str) -> String {
    escaped(
        json,
        |character| character != '\n',
        |character, out| {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                // Writing to a String can not fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        },
    )
}

fn escaped(
    text: &str,
    may_escape: impl Fn(char) -> bool,
    escape: impl Fn(char, &mut String),
) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match steers(character) && may_escape(character) {
            true => escape(character, &mut out),
            false => out.push(character),
        }
    }
    out
}

/// Control characters (of both blocks), what sets the direction of writing, and Unicode's own line
/// ends.
fn steers(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}[2J\u{9b}31m\u{7}\rb\tc\u{202e}d\u{2066}e\u{2028}f\u{7f}\nz";

    #[test]
    fn nothing_is_left_that_steers_a_terminal() {
        let expected = "a\\u{1b}[2J\\u{9b}31m\\u{7}\\rb\\tc\\u{202e}d\\u{2066}e\\u{2028}f\\u{7f}";
        assert_eq!(text(HOSTILE), format!("{expected}\nz"));
        assert_eq!(one_line(HOSTILE), format!("{expected}\\nz"));
    }

    #[test]
    fn json_means_the_same_as_before() {
        let written = serde_json::to_string(HOSTILE).unwrap();
        let shown = json(&written);
        assert!(!shown.chars().any(steers), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), HOSTILE);
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for plain in ["Zürich – 東京 👩‍🔬", "مرحبا", "a\\nb \"c\"", ""] {
            assert_eq!(one_line(plain), plain);
            assert_eq!(json(plain), plain);
        }
    }
}
