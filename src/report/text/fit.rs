//! Text that fits: cut, wrapped and listed to a number of columns, and safe to show.

use crate::printable::one_line;

/// Columns of a character: two of those that are wide in East Asian scripts and of most pictures. That may
/// be one too many, but is never one too few.
fn columns_of(character: char) -> usize {
    match character {
        '\u{1100}'..='\u{115f}'
        | '\u{231a}'..='\u{23ff}'
        | '\u{25fd}'..='\u{27bf}'
        | '\u{2b00}'..='\u{2bff}'
        | '\u{2e80}'.. => 2,
        _ => 1,
    }
}

/// Columns of a text.
pub fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// How many bytes of the text fit.
fn fitting(text: &str, columns: usize) -> usize {
    let mut left = columns;
    for (at, character) in text.char_indices() {
        match left.checked_sub(columns_of(character)) {
            Some(rest) => left = rest,
            None => return at,
        }
    }
    text.len()
}

/// The text on one line of at most so many columns, `…` at its end if there was more.
pub fn cut(text: &str, columns: usize) -> String {
    let text = one_line(text);
    if width(&text) <= columns {
        return text;
    }
    if columns == 0 {
        return String::new();
    }
    let kept = text[..fitting(&text, columns.saturating_sub(1))].trim_end();
    format!("{kept}…")
}

/// The text on at most so many lines, broken between words where it can be, the last one cut.
pub fn wrap(text: &str, columns: usize, most: usize) -> Vec<String> {
    let text = one_line(text);
    let mut rest = text.as_str();
    let mut lines = Vec::new();
    while lines.len() + 1 < most {
        // A character that is wider than the line would never come to an end.
        let end = fitting(rest, columns.max(2));
        if end == rest.len() {
            break;
        }
        let line = &rest[..end];
        let (line, next) = match (rest[end..].starts_with(' '), line.rfind(' ')) {
            (false, Some(space)) if space > 0 => (&line[..space], &rest[space..]),
            _ => (line, &rest[end..]),
        };
        lines.push(line.trim_end().to_owned());
        rest = next.trim_start();
    }
    if !rest.is_empty() {
        lines.push(cut(rest, columns));
    }
    lines
}

/// As many of the items as fit, with commas, and how many there are more, those `beyond` the items among
/// them.
pub fn listed(items: &[String], beyond: usize, columns: usize) -> String {
    let more = |left: usize| match left + beyond {
        0 => String::new(),
        left => format!(" and {left} more"),
    };
    let all = items.join(", ") + &more(0);
    if width(&all) <= columns {
        return all;
    }
    let mut text = String::new();
    for (index, item) in items.iter().enumerate() {
        let left = more(items.len() - index - 1);
        let comma = if index > 0 { ", " } else { "" };
        if width(&text) + comma.len() + width(item) + left.len() > columns {
            return match index {
                0 => cut(item, columns.saturating_sub(left.len())) + &left,
                _ => text + &more(items.len() - index),
            };
        }
        text = text + comma + item;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stays_and_the_rest_is_cut() {
        assert_eq!(cut("seven c", 7), "seven c");
        assert_eq!(cut("eight ch", 7), "eight…");
        assert_eq!(cut("東京東京", 8), "東京東京");
        assert_eq!(cut("東京東京", 7), "東京東…");
        assert_eq!(cut("a\nb\u{1b}", 20), "a\\nb\\u{1b}");
    }

    #[test]
    fn lines_break_between_words_where_they_can() {
        assert_eq!(wrap("one two three", 7, 2), ["one two", "three"]);
        assert_eq!(wrap("one two three", 8, 2), ["one two", "three"]);
        assert_eq!(wrap("one two three four", 7, 2), ["one two", "three…"]);
        assert_eq!(wrap("abcdefghij", 4, 3), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("", 4, 3), [] as [&str; 0]);
        for columns in 1..40 {
            for line in wrap("東京 one two three four 京京京京京京京京", columns, 5) {
                assert!(width(&line) <= columns.max(2), "{columns} {line}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_in_a_list_is_counted() {
        let items: Vec<String> = (0..20).map(|number| format!("item{number}")).collect();
        assert_eq!(listed(&items, 0, 25), "item0, item1 and 18 more");
        assert_eq!(listed(&items[..3], 0, 19), "item0, item1, item2");
        assert_eq!(listed(&items[..2], 4, 40), "item0, item1 and 4 more");
        for columns in 12..150 {
            assert!(width(&listed(&items, 0, columns)) <= columns);
        }
        let long = ["x".repeat(50), "y".to_owned()];
        assert_eq!(listed(&long, 0, 20), "xxxxxxxx… and 1 more");
    }
}
