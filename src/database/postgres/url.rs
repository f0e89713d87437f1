//! The grammar of `postgres://user:password@host:port/database?parameter=value`, as libpq has it.
//!
//! Parts are decoded here and not interpreted. No message holds the URL or a piece of it that could
//! be part of a password: where a character that should have been encoded shifts the borders
//! between parts, the whole is refused.

use crate::error::Failure;
use crate::suggest;

/// Parameters after the `?`.
const PARAMETERS: [&str; 10] = [
    "host",
    "port",
    "user",
    "password",
    "dbname",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "application_name",
];

/// The decoded parts of a URL, by the names of parameters. Holds the password: no `Debug`.
pub(super) struct Parts(Vec<(&'static str, String)>);

impl Parts {
    /// Takes a URL apart.
    pub(super) fn parse(url: &str) -> Result<Self, Failure> {
        let rest = after_scheme(url).ok_or_else(|| {
            Failure::config("the address of the database does not begin with postgres://")
        })?;
        let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if rest.contains('@') {
            return Err(malformed("an `@` stands after the host").hint(
                "in a user name or password write `/` as %2F, `?` as %3F, `@` as %40 and `:` as %3A",
            ));
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut parts = Self(Vec::new());
        parts.authority(authority)?;
        parts.set("dbname", path.strip_prefix('/').unwrap_or(path))?;
        let mut seen = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter
                .split_once('=')
                .ok_or_else(|| malformed("a parameter has no `=`"))?;
            let name = known(&decode(name)?)?;
            if seen.contains(&name) {
                return Err(malformed(&format!("parameter `{name}` stands twice")));
            }
            seen.push(name);
            parts.set(name, value)?;
        }
        Ok(parts)
    }

    /// A part, unless it is empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let part = self.0.iter().find(|(known, _)| *known == name);
        part.map(|(_, value)| value.as_str())
    }

    fn authority(&mut self, authority: &str) -> Result<(), Failure> {
        let (login, host) = match authority.rsplit_once('@') {
            Some((login, host)) => (login, host),
            None => ("", authority),
        };
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        self.set("user", user)?;
        self.set("password", password)?;
        if host.contains(',') {
            return Err(malformed("it names several hosts").hint("name one: the primary"));
        }
        let (host, port) = match host.strip_prefix('[') {
            Some(bracketed) => {
                let (host, rest) = bracketed
                    .split_once(']')
                    .ok_or_else(|| malformed("a bracket is not closed"))?;
                match rest.strip_prefix(':') {
                    Some(port) => (host, port),
                    None if rest.is_empty() => (host, ""),
                    None => return Err(malformed("something stands between host and port")),
                }
            }
            None => host.split_once(':').unwrap_or((host, "")),
        };
        if !port.is_empty() {
            self::port(port)?;
        }
        self.set("host", host)?;
        self.set("port", port)
    }

    /// A later value takes the place of an earlier one; an empty one counts as none.
    fn set(&mut self, name: &'static str, encoded: &str) -> Result<(), Failure> {
        let value = decode(encoded)?;
        if value.chars().any(char::is_control) {
            return Err(malformed(&format!("`{name}` holds a control character")));
        }
        if !value.is_empty() {
            self.0.retain(|(known, _)| *known != name);
            self.0.push((name, value));
        }
        Ok(())
    }
}

/// The number of a port.
pub(super) fn port(text: &str) -> Result<u16, Failure> {
    text.parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| malformed("the port is not a number from 1 to 65535"))
}

/// Whether a URL carries a password, in whatever place and however malformed.
pub(super) fn has_password(url: &str) -> bool {
    let Some(rest) = after_scheme(url) else {
        return false;
    };
    let in_login = rest
        .rsplit_once('@')
        .and_then(|(login, _)| login.split_once(':'))
        .is_some_and(|(_, password)| !password.is_empty());
    let mut parameters = rest.split(['?', '&']).skip(1);
    let in_parameters = parameters.any(|parameter| {
        let name = parameter.split('=').next().unwrap_or_default();
        decode(name).is_ok_and(|name| name.eq_ignore_ascii_case("password"))
    });
    in_login || in_parameters
}

fn after_scheme(url: &str) -> Option<&str> {
    ["postgres://", "postgresql://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme))
}

fn known(name: &str) -> Result<&'static str, Failure> {
    if let Some(known) = PARAMETERS.iter().find(|known| **known == name) {
        return Ok(known);
    }
    let allowed = format!("allowed are {}", PARAMETERS.join(", "));
    let hint = match suggest::nearest(name, PARAMETERS) {
        Some(nearest) => format!("did you mean `{nearest}`? {allowed}"),
        None => allowed,
    };
    let name: String = name
        .chars()
        .take(40)
        .flat_map(char::escape_default)
        .collect();
    Err(malformed(&format!("unknown parameter `{name}`")).hint(hint))
}

fn decode(encoded: &str) -> Result<String, Failure> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let code = digit(rest.next())
            .zip(digit(rest.next()))
            .and_then(|(high, low)| u8::try_from(high * 16 + low).ok())
            .ok_or_else(|| {
                malformed("after a `%` there are not two hexadecimal digits")
                    .hint("write a `%` as %25")
            })?;
        bytes.push(code);
    }
    String::from_utf8(bytes).map_err(|_| malformed("a part is not UTF-8"))
}

fn malformed(problem: &str) -> Failure {
    Failure::config(format!(
        "the address of the database is malformed: {problem}"
    ))
}
