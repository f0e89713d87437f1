//! `${VAR}` in a text: replaced by an environment variable. `$${` is a literal `${`.
//!
//! What a variable holds is not looked at again, so that a `${` in it stays as it is.

/// A text with its variables replaced, and their names.
#[derive(Debug, PartialEq)]
pub struct Expanded {
    pub text: String,
    pub variables: Vec<String>,
}

/// Replaces each `${VAR}` in `text` by what `lookup` says; the error says what is wrong with the
/// text, without repeating any value.
pub fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Expanded, String> {
    let mut expanded = Expanded {
        text: String::with_capacity(text.len()),
        variables: Vec::new(),
    };
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            expanded.text.push_str(before);
            expanded.text.push_str("${");
            rest = after;
            continue;
        }
        let (name, after) = after
            .split_once('}')
            .filter(|(name, _)| is_name(name))
            .ok_or("`${` is not followed by a variable's name and `}`; a literal `${` is written `$${`")?;
        let value = lookup(name)
            .ok_or_else(|| format!("the environment variable `{name}` is not set, or not UTF-8"))?;
        expanded.text.push_str(before);
        expanded.text.push_str(&value);
        expanded.variables.push(name.to_owned());
        rest = after;
    }
    expanded.text.push_str(rest);
    Ok(expanded)
}

fn is_name(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.bytes().all(word) && text.starts_with(|first: char| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, String> {
        let lookup = |name: &str| match name {
            "HOST" => Some("db.internal".to_owned()),
            "NESTED" => Some("${HOST}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        expand(text, &lookup).map(|expanded| expanded.text)
    }

    #[test]
    fn variables_are_replaced_wherever_they_stand() {
        assert_eq!(
            expanded("sqlite://${HOST}/${HOST}.db").unwrap(),
            "sqlite://db.internal/db.internal.db"
        );
        assert_eq!(expanded("[${EMPTY}]").unwrap(), "[]");
        assert_eq!(
            expanded("$HOST {date} $ {} plain").unwrap(),
            "$HOST {date} $ {} plain"
        );
    }

    #[test]
    fn a_doubled_dollar_keeps_the_braces() {
        assert_eq!(expanded("$${HOST} ${HOST}").unwrap(), "${HOST} db.internal");
    }

    #[test]
    fn what_a_variable_holds_is_not_replaced_again() {
        assert_eq!(expanded("${NESTED}").unwrap(), "${HOST}");
    }

    #[test]
    fn a_missing_variable_is_named() {
        assert!(
            expanded("${NOWHERE}")
                .unwrap_err()
                .contains("`NOWHERE` is not set")
        );
    }

    #[test]
    fn half_a_variable_is_refused() {
        for text in ["${HOST", "${}", "${1}", "${HO ST}", "a ${ b"] {
            assert!(expanded(text).unwrap_err().contains("$${"), "{text}");
        }
    }
}
