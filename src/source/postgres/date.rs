//! `:date` in a query or condition, and what such a text may not hold.
//!
//! The text is the author's SQL and stands inside a statement of ours, so it must be one closed
//! expression: no statement may end within it, no string, comment or parenthesis stay open. It is
//! cut by the rules of Postgres' own lexer, because a `:date` counts only where Postgres would
//! look for an expression: not in strings, comments, quoted names, casts or array slices.

use crate::error::Failure;

/// The text with `expression` for each `:date` and without a `;` at its end.
///
/// # Errors
/// It holds another placeholder or several statements, or something in it is not closed (78).
/// Messages begin with `key`.
pub(super) fn bind(key: &str, text: &str, expression: &str) -> Result<String, Failure> {
    let refused = |problem: String| Failure::config(format!("{key}: {problem}"));
    let tokens = tokens(text).map_err(|open| refused(format!("{open} is not closed")))?;
    let mut bound = String::with_capacity(text.len());
    let mut opened = Vec::new();
    let mut ended = false;
    let mut previous = None;
    let mut index = 0;
    while let Some(&token) = tokens.get(index) {
        index += 1;
        if token.kind == Kind::Blank {
            bound.push_str(token.text);
            continue;
        }
        if ended && token.text != ";" {
            return Err(refused("there is more after a `;`".to_owned())
                .hint("only one statement, which reads, can be a source"));
        }
        match token.text {
            ";" => {
                ended = true;
                continue;
            }
            "(" | "[" => opened.push(token.text),
            ")" | "]" => {
                let matching = if token.text == ")" { "(" } else { "[" };
                if opened.pop() != Some(matching) {
                    return Err(refused(format!("a `{}` closes nothing", token.text)));
                }
            }
            ":" if !is_slice(opened.last().copied(), previous) => {
                if let Some(name) = tokens.get(index).filter(|next| next.is_name()) {
                    if name.text != "date" {
                        return Err(refused(only_date(&format!(":{}", name.text))));
                    }
                    bound.push_str(expression);
                    previous = Some(*name);
                    index += 1;
                    continue;
                }
            }
            operator if operator.contains('?') && token.kind == Kind::Operator => {
                let mut following = tokens[index..].iter();
                let following = following.find(|token| token.kind != Kind::Blank);
                let asks_json = matches!(operator, "?|" | "?&" | "@?")
                    || (operator == "?" && following.is_some_and(|next| next.kind == Kind::Quoted));
                if !asks_json {
                    return Err(refused(only_date("?"))
                        .hint("the jsonb operator `?` is also the function jsonb_exists"));
                }
            }
            parameter if token.kind == Kind::Parameter => {
                return Err(refused(only_date(parameter)));
            }
            _ => {}
        }
        bound.push_str(token.text);
        previous = Some(token);
    }
    if let Some(open) = opened.last() {
        return Err(refused(format!("a `{open}` is not closed")));
    }
    if previous.is_none() {
        return Err(refused("it is empty".to_owned()));
    }
    Ok(bound)
}

fn only_date(other: &str) -> String {
    format!("`{other}` has no value; the one placeholder is `:date`, the date of the run")
}

/// Whether a colon parts the bounds of an array slice, as in `a[low:high]`.
fn is_slice(innermost: Option<&str>, previous: Option<Token<'_>>) -> bool {
    let after_bound = previous.is_some_and(|token| {
        matches!(token.kind, Kind::Word | Kind::Quoted) || matches!(token.text, ")" | "]")
    });
    innermost == Some("[") && after_bound
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// White space or a comment.
    Blank,
    /// A string or a quoted name.
    Quoted,
    /// A name, keyword or number.
    Word,
    /// `$1`.
    Parameter,
    /// Characters that make an operator together.
    Operator,
    /// Everything else.
    Symbol,
}

#[derive(Clone, Copy)]
struct Token<'a> {
    kind: Kind,
    text: &'a str,
}

impl Token<'_> {
    fn is_name(&self) -> bool {
        self.kind == Kind::Word && !self.text.starts_with(|c: char| c.is_ascii_digit())
    }
}

/// The tokens, which together are the whole text; or the name of what is not closed.
fn tokens(text: &str) -> Result<Vec<Token<'_>>, &'static str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (kind, length) = token(rest, first)?;
        let (text, after) = rest.split_at(length);
        tokens.push(Token { kind, text });
        rest = after;
    }
    Ok(tokens)
}

fn token(rest: &str, first: char) -> Result<(Kind, usize), &'static str> {
    let run = |belongs: fn(char) -> bool| rest.find(|c| !belongs(c)).unwrap_or(rest.len());
    Ok(match first {
        _ if is_blank(first) => (Kind::Blank, run(is_blank)),
        '-' if rest.starts_with("--") => {
            (Kind::Blank, rest.find(['\n', '\r']).unwrap_or(rest.len()))
        }
        '/' if rest.starts_with("/*") => (Kind::Blank, comment(rest).ok_or("a comment")?),
        '\'' => (
            Kind::Quoted,
            quoted(rest, 1, '\'', false).ok_or("a string")?,
        ),
        'e' | 'E' if rest[1..].starts_with('\'') => {
            (Kind::Quoted, quoted(rest, 2, '\'', true).ok_or("a string")?)
        }
        '"' => (
            Kind::Quoted,
            quoted(rest, 1, '"', false).ok_or("a quoted name")?,
        ),
        '$' => dollar(rest)?,
        _ if is_word(first) => (Kind::Word, run(is_word)),
        ':' if rest.starts_with("::") || rest.starts_with(":=") => (Kind::Symbol, 2),
        _ if is_operator(first) => {
            let end = run(is_operator);
            let comment = ["--", "/*"]
                .iter()
                .filter_map(|begin| rest[..end].find(begin))
                .min();
            (Kind::Operator, comment.unwrap_or(end))
        }
        _ => (Kind::Symbol, first.len_utf8()),
    })
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '$') || !c.is_ascii()
}

fn is_operator(c: char) -> bool {
    "+-*/<>=~!@#%^&|`?".contains(c)
}

/// Length of a quoted text that begins at `from`; a doubled quote does not end it, and neither
/// does one behind a backslash if `escapes`.
fn quoted(text: &str, from: usize, quote: char, escapes: bool) -> Option<usize> {
    let mut characters = text[from..].char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if character == '\\' && escapes {
            characters.next();
        } else if character == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
            return Some(from + at + quote.len_utf8());
        }
    }
    None
}

/// Length of a comment, in which others may nest.
fn comment(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut at = 0;
    while let Some(rest) = text.as_bytes().get(at..at + 2) {
        match rest {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// A string in dollar quotes, or a parameter.
fn dollar(text: &str) -> Result<(Kind, usize), &'static str> {
    let after = &text[1..];
    let digits = after
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(after.len());
    if digits > 0 {
        return Ok((Kind::Parameter, 1 + digits));
    }
    let tag_end = after.find(|c: char| c == '$' || !is_word(c));
    match tag_end {
        Some(end) if after[end..].starts_with('$') => {
            let delimiter = &text[..end + 2];
            let content = &text[delimiter.len()..];
            let end = content.find(delimiter).ok_or("a string in dollar quotes")?;
            Ok((Kind::Quoted, end + 2 * delimiter.len()))
        }
        _ => Ok((Kind::Symbol, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;

    fn bound(text: &str) -> String {
        bind("[source] query", text, "<D>").unwrap()
    }

    #[test]
    fn the_date_is_bound_where_an_expression_stands() {
        for (text, expected) in [
            ("day = :date", "day = <D>"),
            ("day=:date-1", "day=<D>-1"),
            (
                "day >= :date::timestamp AND :date",
                "day >= <D>::timestamp AND <D>",
            ),
            ("f(:date,:date)", "f(<D>,<D>)"),
            ("x IN (ARRAY[:date, :date])", "x IN (ARRAY[<D>, <D>])"),
            (
                "a || :date /* :date */ -- :date\n + :date",
                "a || <D> /* :date */ -- :date\n + <D>",
            ),
            ("f(a := :date)", "f(a := <D>)"),
            ("$body$ :date $body$ || :date", "$body$ :date $body$ || <D>"),
        ] {
            assert_eq!(bound(text), expected);
        }
    }

    #[test]
    fn what_only_looks_like_a_placeholder_stays() {
        for text in [
            "x::date",
            "':date' || ':x ? $1 ;('",
            "E'\\':date' || e'it''s \\\\'",
            "\":date\" = \"a\"\":foo;\"",
            "/* :date /* ? */ $1 ; ( */ 1",
            "$$ :foo ; ( $$",
            "$a$ $b$ :foo $a$",
            "a[1:2] || a[low:high] || a[f(1):\"x\"] || a[:2]",
            "data ? 'key' AND data ?| ARRAY['a'] AND data ?& b AND data @? '$.a'",
            "a$1 = b",
            "näme = 'ß:date'",
            "5 --1 ; )",
            "1 +--:foo\n 2",
        ] {
            assert_eq!(bound(text), text);
        }
    }

    #[test]
    fn a_semicolon_may_only_end_it() {
        assert_eq!(bound("SELECT 1 ; -- done\n ;"), "SELECT 1  -- done\n ");
        for text in ["SELECT 1; SELECT 2", "; SELECT 1", "(SELECT 1;)"] {
            assert!(bind("k", text, "<D>").is_err(), "{text}");
        }
    }

    #[test]
    fn other_placeholders_and_open_ends_are_refused() {
        for (text, said) in [
            (
                "day = :day",
                "`:day` has no value; the one placeholder is `:date`",
            ),
            ("day = :date_from", "`:date_from`"),
            ("day = :DATE", "`:DATE`"),
            ("id = $1", "`$1`"),
            ("id = ?", "`?`"),
            ("id IN (?, ?)", "`?`"),
            ("id =? AND x", "`?`"),
            ("(a", "a `(` is not closed"),
            ("1) UNION (SELECT 2", "a `)` closes nothing"),
            ("(a]", "a `]` closes nothing"),
            ("'a", "a string is not closed"),
            ("E'a\\'", "a string is not closed"),
            ("\"a", "a quoted name is not closed"),
            ("/* /* */", "a comment is not closed"),
            ("$a$ $b$", "a string in dollar quotes is not closed"),
            (" -- nothing", "it is empty"),
            ("", "it is empty"),
        ] {
            let failure = bind("[source] query", text, "<D>").unwrap_err();
            assert_eq!(failure.class(), Class::Config, "{text}");
            let message = failure.to_string();
            assert!(message.contains(said), "{text}: {message}");
            assert!(message.starts_with("[source] query: "), "{message}");
        }
    }
}
