//! Where the server is, who asks, and how the connection is protected.
//!
//! What the URL lacks comes from the environment, by libpq's names. The mode of TLS is always
//! decided here: a word that is not understood is refused, never replaced by a weaker mode.
//! Whatever displays an [`Address`] shows neither user nor password.

use std::env;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::password::{Login, Source};
use super::url::{self, Parts};
use crate::database::variable;
use crate::error::Failure;
use crate::suggest;

const DEFAULT_PORT: u16 = 5432;
const DEFAULT_APPLICATION: &str = "lamplighter";
/// Where distributions and Postgres itself put the server's socket.
const SOCKET_DIRECTORIES: [&str; 2] = ["/var/run/postgresql", "/tmp"];
/// What the environment may say; none of it is passed over because it is not understood.
const VARIABLES: [&str; 10] = [
    "PGHOST",
    "PGPORT",
    "PGUSER",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGDATABASE",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGSSLCERT",
    "PGSSLKEY",
];
const MODES: [(&str, PgSslMode); 4] = [
    ("disable", PgSslMode::Disable),
    ("require", PgSslMode::Require),
    ("verify-ca", PgSslMode::VerifyCa),
    ("verify-full", PgSslMode::VerifyFull),
];

/// Address of a database, and how to log in.
#[derive(Clone)]
pub struct Address {
    /// Name, IP address without brackets, or directory of the socket.
    host: String,
    port: u16,
    user: String,
    database: String,
    application: String,
    tls: Tls,
    password: Source,
}

#[derive(Clone)]
struct Tls {
    mode: PgSslMode,
    root_certificate: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// Whether a URL carries a password, in whatever place and however malformed: on a command line
/// everybody on the machine could read it.
pub fn has_password_in_url(url: &str) -> bool {
    url::has_password(url)
}

impl Address {
    /// The address that a `postgres://` URL and the environment give. `password_command` is a
    /// program with its arguments whose first line of output is the password.
    ///
    /// # Errors
    /// Something in the URL or the environment is not understood, or a certificate's file is not
    /// there (78). No message holds the URL.
    pub fn parse(url: &str, password_command: Option<&[String]>) -> Result<Self, Failure> {
        for name in VARIABLES {
            variable(name)?;
        }
        Self::from_parts(url, password_command, &|name| env::var(name).ok())
    }

    fn from_parts(
        url: &str,
        password_command: Option<&[String]>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Failure> {
        let parts = Parts::parse(url)?;
        let from_environment = |name: &str| environment(name).filter(|value| !value.is_empty());
        let setting = |part: &str, variable: &str| {
            let in_url = parts.get(part).map(str::to_owned);
            in_url.or_else(|| from_environment(variable))
        };
        if password_command.is_some_and(<[String]>::is_empty) {
            return Err(Failure::config("the password command is empty"));
        }
        let port = match setting("port", "PGPORT") {
            Some(port) => url::port(&port)?,
            None => DEFAULT_PORT,
        };
        let host = setting("host", "PGHOST").unwrap_or_else(|| default_host(port));
        let user = setting("user", "PGUSER").unwrap_or_else(|| {
            // sqlx knows the operating system's name of the user.
            PgConnectOptions::new_without_pgpass()
                .get_username()
                .to_owned()
        });
        let home_file = from_environment("HOME").map(|home| Path::new(&home).join(".pgpass"));
        Ok(Self {
            tls: Tls::of(&host, &setting)?,
            password: Source {
                command: password_command.map(<[String]>::to_vec),
                given: setting("password", "PGPASSWORD"),
                file: from_environment("PGPASSFILE").map(PathBuf::from),
                home_file,
            },
            database: setting("dbname", "PGDATABASE").unwrap_or_else(|| user.clone()),
            application: parts
                .get("application_name")
                .unwrap_or(DEFAULT_APPLICATION)
                .to_owned(),
            host,
            port,
            user,
        })
    }

    /// What sqlx needs to connect, with the password asked for anew.
    ///
    /// # Errors
    /// See [`Source::password`].
    pub(super) fn connect_options(&self) -> Result<PgConnectOptions, Failure> {
        let password = self.password.password(&Login {
            host: &self.host,
            port: self.port,
            database: &self.database,
            user: &self.user,
        })?;
        // A pooler refuses the start-up parameter `extra_float_digits`, and statements with names
        // may meet a server that does not know them.
        let mut options = PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .username(&self.user)
            .database(&self.database)
            .application_name(&self.application)
            .ssl_mode(self.tls.mode)
            .statement_cache_capacity(0)
            .extra_float_digits(None)
            .disable_statement_logging();
        if let Some(file) = &self.tls.root_certificate {
            options = options.ssl_root_cert(file);
        }
        if let Some(file) = &self.tls.certificate {
            options = options.ssl_client_cert(file);
        }
        if let Some(file) = &self.tls.key {
            options = options.ssl_client_key(file);
        }
        Ok(match password {
            Some(password) => options.password(&password),
            None => options,
        })
    }
}

impl Tls {
    fn of(host: &str, setting: &dyn Fn(&str, &str) -> Option<String>) -> Result<Self, Failure> {
        let word = setting("sslmode", "PGSSLMODE");
        let mode = word.as_deref().map(mode_of).transpose()?;
        let files = [
            ("sslrootcert", "PGSSLROOTCERT"),
            ("sslcert", "PGSSLCERT"),
            ("sslkey", "PGSSLKEY"),
        ];
        let [root_certificate, certificate, key] =
            files.map(|(part, variable)| setting(part, variable).map(PathBuf::from));
        for (file, (part, _)) in [&root_certificate, &certificate, &key]
            .into_iter()
            .zip(files)
        {
            if let Some(file) = file.as_ref().filter(|file| !file.is_file()) {
                return Err(Failure::config(format!(
                    "the file of `{part}` does not exist: {}",
                    file.display()
                )));
            }
        }
        if certificate.is_some() != key.is_some() {
            return Err(Failure::config(
                "`sslcert` and `sslkey` belong together: one is missing",
            ));
        }
        let mode = match mode {
            // Servers offer no TLS on a socket.
            _ if host.starts_with('/') => PgSslMode::Disable,
            // As in libpq: whoever names the authority wants it asked.
            Some(PgSslMode::Require) if root_certificate.is_some() => PgSslMode::VerifyCa,
            Some(mode) => mode,
            None if is_this_machine(host) => PgSslMode::Disable,
            None => PgSslMode::VerifyFull,
        };
        Ok(Self {
            mode,
            root_certificate,
            certificate,
            key,
        })
    }
}

fn mode_of(word: &str) -> Result<PgSslMode, Failure> {
    if let Some((_, mode)) = MODES.iter().find(|(known, _)| *known == word) {
        return Ok(*mode);
    }
    let words = MODES.map(|(known, _)| known);
    let choose = format!("choose one of {}", words.join(", "));
    if ["prefer", "allow"].contains(&word) {
        let problem = "whoever sits in between can silently take the encryption away";
        return Err(
            Failure::config(format!("sslmode `{word}` is refused: {problem}")).hint(choose),
        );
    }
    let hint = match suggest::nearest(word, words) {
        Some(nearest) => format!("did you mean `{nearest}`? {choose}"),
        None => choose,
    };
    let word: String = word
        .chars()
        .take(40)
        .flat_map(char::escape_default)
        .collect();
    Err(Failure::config(format!("unknown sslmode `{word}`")).hint(hint))
}

fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn default_host(port: u16) -> String {
    let socket = format!(".s.PGSQL.{port}");
    SOCKET_DIRECTORIES
        .into_iter()
        .find(|directory| Path::new(directory).join(&socket).exists())
        .unwrap_or("localhost")
        .to_owned()
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host,
            port,
            database,
            ..
        } = self;
        if host.starts_with('/') {
            write!(formatter, "postgres:///{database}?host={host}&port={port}")
        } else if host.contains(':') {
            write!(formatter, "postgres://[{host}]:{port}/{database}")
        } else {
            write!(formatter, "postgres://{host}:{port}/{database}")
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Address({self})")
    }
}

#[cfg(test)]
mod tests;
