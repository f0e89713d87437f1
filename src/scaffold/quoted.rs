//! Names from outside as TOML, Python, shells and crontabs write them.

/// A string that TOML, Python and JSON read alike.
pub fn quoted(text: &str) -> String {
    // TOML is the one that refuses this character as it is.
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007f")
}

/// A string of a job file, where `${` stands for a variable.
pub fn of_job(text: &str) -> String {
    quoted(&text.replace("${", "$${"))
}

/// A word of a shell.
pub fn word(text: &str) -> String {
    let plain =
        |character: char| character.is_ascii_alphanumeric() || "/._-+=:,".contains(character);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// A word of a shell in a crontab, where `%` ends the command.
pub fn of_crontab(text: &str) -> String {
    word(text).replace('%', r"\%")
}

/// A number that TOML reads as the same float.
pub fn number(number: f64) -> String {
    format!("{number:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_reads_back_what_is_quoted() {
        for text in [
            "plain",
            "a \"b\" 'c'",
            "a\nb\t\u{7f}\u{1b}",
            "名前 é",
            "a\\b",
            "${HOME}",
            "",
        ] {
            let table: toml::Table = toml::from_str(&format!("x = {}", quoted(text))).unwrap();
            assert_eq!(table["x"].as_str(), Some(text));
            assert_eq!(quoted(text).lines().count(), 1);
        }
        assert_eq!(of_job("a${b}"), "\"a$${b}\"");
    }

    #[test]
    fn toml_reads_back_every_number() {
        for value in [0.1, -0.0, 1.0, 1e300, 5e-324, f64::MAX, 123_456_789.125] {
            let table: toml::Table = toml::from_str(&format!("x = {}", number(value))).unwrap();
            let read = table["x"].as_float().map(f64::to_bits);
            assert_eq!(read, Some(value.to_bits()), "{value}");
        }
    }

    #[test]
    fn a_crontab_keeps_words_together() {
        assert_eq!(word("/srv/a-b_c.d"), "/srv/a-b_c.d");
        assert_eq!(word("it's here"), r"'it'\''s here'");
        assert_eq!(of_crontab("50% off"), r"'50\% off'");
    }
}
