//! URLs of receivers, which may hold secrets: no complaint repeats one.

/// Longer ones are refused.
const LONGEST: usize = 8 * 1024;

/// Says what is wrong with the URL of a web server.
/// # Errors
/// It is none, in words that do not repeat it.
pub fn check(url: &str) -> Result<(), &'static str> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
        .ok_or("expected a URL that begins with https:// or http://")?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_visible = url.bytes().all(|byte| byte.is_ascii_graphic());
    if host.is_empty() || host.starts_with(':') || host.ends_with('@') {
        return Err("expected the name of a host after https:// or http://");
    }
    if !is_visible {
        return Err("expected a URL without spaces and in ASCII (others as %20)");
    }
    match url.len() <= LONGEST {
        true => Ok(()),
        false => Err("expected a URL of at most 8 KiB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_of_web_servers_pass() {
        for url in [
            "https://hooks.example/services/T0/B0/x",
            "http://localhost:9091",
            "http://user:secret@gateway.example:9091/base",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
        for url in [
            "",
            "hooks.example",
            "ftp://hooks.example",
            "https://",
            "https:///x",
            "https://:80/",
            "https://hooks.example/a b",
            "https://hooks.example/ä",
        ] {
            assert!(check(url).is_err(), "{url}");
        }
    }
}
