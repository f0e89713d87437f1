//! Where the password comes from: a command, the URL, the environment, or a password file.
//!
//! It is asked for anew for each connection, so that one that is rotated at night does not end the
//! run. Nothing here has a rendering that holds a secret, and no output of the command is shown.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::error::{Class, Failure, classify_io};
use crate::subprocess;

/// How long the password command may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest first line that is read.
const LONGEST: u64 = 64 * 1024;
/// The longest password file that is read.
const LONGEST_FILE: u64 = 1 << 20;

/// The places to look for the password, in order of precedence.
#[derive(Clone, Default)]
pub(super) struct Source {
    /// Program and arguments.
    pub(super) command: Option<Vec<String>>,
    /// What the URL says, else the environment.
    pub(super) given: Option<String>,
    /// The password file that the environment names; it must exist.
    pub(super) file: Option<PathBuf>,
    /// The password file in the home directory, if there is one.
    pub(super) home_file: Option<PathBuf>,
}

/// Whom the password is for.
pub(super) struct Login<'a> {
    /// Name, address, or directory of the socket.
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) database: &'a str,
    pub(super) user: &'a str,
}

impl Source {
    /// The password, if there is any: a server may trust without one.
    ///
    /// # Errors
    /// The command fails (69), others can read the file (77), or it is not there or not text (78).
    pub(super) fn password(&self, login: &Login<'_>) -> Result<Option<String>, Failure> {
        if let Some(command) = &self.command {
            return run(command, PATIENCE).map(Some);
        }
        if self.given.is_some() {
            return Ok(self.given.clone());
        }
        let file = match (&self.file, &self.home_file) {
            (Some(file), _) => file,
            (None, Some(file)) if file.exists() => file,
            _ => return Ok(None),
        };
        Ok(look_up(&read(file)?, login))
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    let refused = |error: io::Error| {
        let class = match classify_io(&error) {
            Class::Permission => Class::Permission,
            _ => Class::Config,
        };
        let message = format!("cannot read the password file {}: {error}", file.display());
        Failure::new(class, message)
    };
    let metadata = fs::metadata(file).map_err(refused)?;
    // It is read for each connection: a pipe would be empty the second time, or never end.
    if !metadata.is_file() || metadata.len() > LONGEST_FILE {
        let message = format!(
            "the password file {} is not a file of at most {LONGEST_FILE} bytes",
            file.display()
        );
        return Err(Failure::config(message));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        let message = format!("others can read the password file {}", file.display());
        return Err(
            Failure::new(Class::Permission, message).hint(format!("chmod 600 {}", file.display()))
        );
    }
    fs::read_to_string(file).map_err(refused)
}

/// The password on the first line that matches. Format:
/// <https://www.postgresql.org/docs/current/libpq-pgpass.html>.
fn look_up(text: &str, login: &Login<'_>) -> Option<String> {
    let port = login.port.to_string();
    let is_socket = login.host.starts_with('/');
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let [host, line_port, database, user, password] = fields(line)?;
            let matches = |field: &Field, wanted: &str| field.is_wildcard || field.text == wanted;
            let is_match = (matches(&host, login.host) || is_socket && matches(&host, "localhost"))
                && matches(&line_port, &port)
                && matches(&database, login.database)
                && matches(&user, login.user);
            (is_match && !password.text.is_empty()).then_some(password.text)
        })
}

#[derive(Default)]
struct Field {
    text: String,
    is_wildcard: bool,
}

/// Four fields that colons end, and the rest. A backslash takes the meaning from what follows.
fn fields(line: &str) -> Option<[Field; 5]> {
    let mut fields: [Field; 5] = Default::default();
    let mut index = 0;
    let mut characters = line.chars();
    let mut raw = String::new();
    while let Some(c) = characters.next() {
        if c == ':' && index < 4 {
            fields[index].is_wildcard = raw == "*";
            raw.clear();
            index += 1;
            continue;
        }
        raw.push(c);
        let literal = match c {
            '\\' => characters
                .next()
                .inspect(|next| raw.push(*next))
                .unwrap_or(c),
            c => c,
        };
        fields[index].text.push(literal);
    }
    (index == 4).then_some(fields)
}

/// The first line that a command prints.
fn run(command: &[String], patience: Duration) -> Result<String, Failure> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Failure::config("the password command is empty"));
    };
    let failed = |what: String| {
        let message = format!("the password command `{program}` {what}");
        Failure::new(Class::Unavailable, message).hint("run it by hand; its output is not shown")
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(format!("does not start: {error}")))?;
    let line = first_line(&mut child);
    let status = subprocess::wait(&mut child, patience)
        .map_err(|error| failed(format!("can not be waited for: {error}")))?
        .ok_or_else(|| failed(format!("was killed after {} s", patience.as_secs())))?;
    if !status.success() {
        return Err(failed(format!("failed ({status})")));
    }
    // Whoever the command left behind may hold its output open.
    let line = line
        .recv_timeout(Duration::from_secs(1))
        .unwrap_or_default();
    let password = String::from_utf8(line).map_err(|_| failed("printed no UTF-8".to_owned()))?;
    let password = password.strip_suffix('\n').unwrap_or(&password);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() || password.contains('\0') {
        return Err(failed("printed no password".to_owned()));
    }
    Ok(password.to_owned())
}

/// Reads in a thread, so that neither a full pipe nor an open one holds us up.
fn first_line(child: &mut Child) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            let read = (&mut output).take(LONGEST).read_until(b'\n', &mut line);
            // Nobody listens any more if the command was killed.
            let _ = sender.send(if read.is_ok() { line } else { Vec::new() });
            let _ = io::copy(&mut output, &mut io::sink());
        });
    }
    receiver
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const LOGIN: Login<'_> = Login {
        host: "db.example",
        port: 5432,
        database: "nightly",
        user: "runner",
    };

    fn source_of_file(text: &str, mode: u32) -> (tempfile::TempDir, Source) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pgpass");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let source = Source {
            file: Some(file),
            ..Source::default()
        };
        (directory, source)
    }

    #[test]
    fn the_first_matching_line_of_the_file_counts() {
        let text = "# comment\n\nother:*:*:*:no\ndb.example:5433:*:*:no\n\
                    db.example:5432:nightly:runner:a\\:b\\\\c:d\n*:*:*:*:last\n";
        let (_directory, source) = source_of_file(text, 0o600);
        assert_eq!(
            source.password(&LOGIN).unwrap().as_deref(),
            Some("a:b\\c:d")
        );
        let other = Login {
            user: "admin",
            ..LOGIN
        };
        assert_eq!(source.password(&other).unwrap().as_deref(), Some("last"));
        assert_eq!(look_up("\\*:*:*:*:no\nbroken line\n", &LOGIN), None);
    }

    #[test]
    fn a_socket_is_localhost_or_its_directory() {
        let login = Login {
            host: "/run/pg",
            ..LOGIN
        };
        let found = |text| look_up(text, &login);
        assert_eq!(found("localhost:5432:*:*:a").as_deref(), Some("a"));
        assert_eq!(found("/run/pg:5432:*:*:a").as_deref(), Some("a"));
        assert_eq!(found("db.example:5432:*:*:a"), None);
    }

    #[test]
    fn a_file_that_others_can_read_or_that_is_missing_is_refused() {
        for mode in [0o640, 0o604, 0o644] {
            let (_directory, source) = source_of_file("*:*:*:*:canary", mode);
            let refused = source.password(&LOGIN).unwrap_err();
            assert_eq!(refused.class(), Class::Permission);
            assert!(!refused.to_string().contains("canary"));
        }
        let file = Some(PathBuf::from("/nonexistent/pgpass"));
        let source = Source {
            file: file.clone(),
            ..Source::default()
        };
        assert_eq!(source.password(&LOGIN).unwrap_err().class(), Class::Config);
        let source = Source {
            home_file: file,
            ..Source::default()
        };
        assert_eq!(source.password(&LOGIN).unwrap(), None);
    }

    #[test]
    fn a_command_prints_the_password_on_its_first_line() {
        let shell = |script: &str| ["sh", "-c", script].map(str::to_owned).to_vec();
        let source = Source {
            command: Some(
                ["printf", "pass word\\nnoise\\n"]
                    .map(str::to_owned)
                    .to_vec(),
            ),
            given: Some("url".to_owned()),
            ..Source::default()
        };
        assert_eq!(
            source.password(&LOGIN).unwrap().as_deref(),
            Some("pass word")
        );
        let many = run(&shell("echo first; head -c 300000 /dev/zero"), PATIENCE);
        assert_eq!(many.unwrap(), "first");
        for script in ["echo canary; echo canary >&2; exit 3", "echo; echo canary"] {
            let failure = run(&shell(script), PATIENCE).unwrap_err();
            assert_eq!(failure.class(), Class::Unavailable);
            assert!(
                failure
                    .to_string()
                    .starts_with("the password command `sh` ")
            );
            assert!(!format!("{failure:?}").contains("canary"));
        }
        let start = Instant::now();
        let hanging = run(&shell("exec sleep 60"), Duration::from_millis(100));
        assert!(hanging.is_err() && start.elapsed() < Duration::from_secs(10));
        assert!(run(&["/nonexistent".to_owned()], PATIENCE).is_err());
    }
}
