//! The database: whether it is there, is ours, and lets a run do what it does.

use std::path::Path;
use std::time::Instant;

use jiff::Timestamp;

use super::file_system::{self, Fitness};
use super::{Group, List, Request, Section, setting};
use crate::database::Identifier;
use crate::database::sqlite::has_writer;
use crate::error::{self, Class, Failure};
use crate::ledger::{Access, Ledger, MissingRights, Run, Server, State, Target};
use crate::model::numerics;
use crate::report::text::grouped;

/// What is known of the database.
#[derive(Default)]
pub(super) struct Seen {
    /// Whether it answers, or is a file that the first run creates.
    pub(super) is_reachable: bool,
    /// What time it is there.
    pub(super) now: Option<Timestamp>,
    /// How far this host's clock is ahead, in seconds.
    pub(super) seconds_ahead: Option<f64>,
}

pub(super) fn look(request: &Request<'_>, list: &mut List) -> Seen {
    let mut section = list.group(Group::Database);
    let target = match &request.target {
        Ok(target) => target,
        Err(failure) => {
            section.failed("database", failure);
            section.not_looked_at("everything else", "database");
            return Seen::default();
        }
    };
    match target.file() {
        Some(file) => look_at_file(request, target, file, &mut section),
        None => look_at_server(request, target, &mut section),
    }
}

// SQLite

const OF_SQLITE: [&str; 2] = ["schema", "unfinished runs"];

fn look_at_file(
    request: &Request<'_>,
    target: &Target,
    file: &Path,
    section: &mut Section<'_>,
) -> Seen {
    let command = format!(
        "lamplighter db migrate --database sqlite://{}",
        file.display()
    );
    let server = target.visit().and_then(|mut ledger| {
        let server = ledger.server();
        ledger.close()?;
        server
    });
    let directory = file_system::directory_of(file);
    let is_reachable = match server {
        Ok(server) => {
            section.passed(
                "database",
                format!(
                    "{}, SQLite {}, journal {}",
                    file.display(),
                    server.version,
                    server.durability
                ),
            );
            look_at_schema_of_file(target, &command, section);
            look_at_unfinished(request, target, section);
            true
        }
        Err(failure) if error::classify(&failure) == Class::NoInput => {
            let finding = format!(
                "there is no {} yet: the first run creates it",
                file.display()
            );
            section.not_set_up("database", finding, command.clone());
            section.not_set_up("schema", "comes with the file", command);
            section.passed("unfinished runs", "none: there is no file yet");
            true
        }
        Err(failure) => {
            section.failed("database", &failure);
            for item in OF_SQLITE {
                section.not_looked_at(item, "database");
            }
            false
        }
    };
    look_at_directory(file, &directory, section);
    look_at_kind(&directory, section);
    look_for_writer(file, section);
    Seen {
        is_reachable,
        now: None,
        seconds_ahead: None,
    }
}

fn look_at_schema_of_file(target: &Target, command: &str, section: &mut Section<'_>) {
    const ITEM: &str = "schema";
    let status = target.visit().and_then(|mut ledger| {
        let status = ledger.schema_status()?;
        ledger.close()?;
        Ok(status)
    });
    let Some(status) = section.settle(ITEM, status) else {
        return;
    };
    if (1..status.known).contains(&status.applied) {
        let (applied, known) = (status.applied, status.known);
        let finding = format!("version {applied} of {known}: the next run brings it up to date");
        return section.passed(ITEM, finding);
    }
    match target.open(Access::Read).and_then(Ledger::close) {
        Ok(()) => section.passed(
            ITEM,
            format!("version {} of {}", status.applied, status.known),
        ),
        Err(failure) if error::classify(&failure) == Class::NoInput => {
            section.not_set_up(ITEM, "no tables yet: the first run creates them", command);
        }
        Err(failure) => section.failed(ITEM, &failure),
    }
}

fn look_at_directory(file: &Path, directory: &Path, section: &mut Section<'_>) {
    const ITEM: &str = "directory";
    let shown = directory.display();
    if !directory.is_dir() {
        let failure = Failure::io(format!("{shown} is no directory"));
        return section.failed_with(ITEM, &failure.into(), format!("mkdir -p {shown}"));
    }
    let writable = file_system::refuse_unwritable(directory).and_then(|()| match file.exists() {
        true => file_system::refuse_unwritable(file),
        false => Ok(()),
    });
    match writable {
        Ok(()) => section.passed(
            ITEM,
            format!("{shown} can be written to, and holds journal and lock"),
        ),
        Err(failure) => {
            let mend = match failure.class() {
                Class::Permission => format!("chown -R \"$(id -u)\" {shown}"),
                _ => format!("mount -o remount,rw {shown}"),
            };
            section.failed_with(ITEM, &failure.into(), mend);
        }
    }
}

fn look_at_kind(directory: &Path, section: &mut Section<'_>) {
    const ITEM: &str = "file system";
    let shown = directory.display();
    let Some(kind) = file_system::kind(directory) else {
        return section.passed(ITEM, format!("{shown} is on one that is not known by name"));
    };
    let name = kind.name;
    match kind.fitness {
        Fitness::Local => section.passed(ITEM, format!("{name}, on this host")),
        Fitness::Fleeting => section.passed(
            ITEM,
            format!("{name}: what is on it may be gone with the container or the machine"),
        ),
        Fitness::Network => {
            let problem =
                format!("{shown} is on {name}, where SQLite's locks and shared memory fail");
            let line = setting(
                "sink",
                "database = \"sqlite:///var/lib/lamplighter/lamplighter.db\"",
            );
            section.failed_with(ITEM, &Failure::config(problem).into(), line);
        }
    }
}

fn look_for_writer(file: &Path, section: &mut Section<'_>) {
    const ITEM: &str = "writer";
    let found = has_writer(file);
    match section.settle(ITEM, found) {
        Some(false) => section.passed(ITEM, "nobody else is writing"),
        Some(true) => {
            let problem = format!("another lamplighter is writing to {}", file.display());
            let failure = Failure::new(Class::Temporary, problem);
            let mend = format!("fuser -v {}.lock", file.display());
            section.failed_with(ITEM, &failure.into(), mend);
        }
        None => {}
    }
}

// Postgres

const OF_POSTGRES: [&str; 6] = [
    "connection",
    "primary",
    "durability",
    "schema",
    "privileges",
    "unfinished runs",
];

fn look_at_server(request: &Request<'_>, target: &Target, section: &mut Section<'_>) -> Seen {
    let begun = Instant::now();
    let asked = target.visit().and_then(|mut ledger| {
        let server = ledger.server()?;
        let age = begun.elapsed().as_secs_f64();
        let before = Timestamp::now();
        let now = ledger.now()?;
        // The answer's way took half of the time, at most all of it.
        let ahead = before.duration_since(now).as_secs_f64();
        Ok((ledger, server, age, now, ahead))
    });
    // What was being asked when the connection failed says nothing.
    let asked = asked.map_err(|failure| match failure.downcast::<Failure>() {
        Ok(failure) => failure.into(),
        Err(failure) => failure,
    });
    let (mut ledger, server, age, now, ahead) = match asked {
        Ok(answer) => answer,
        Err(failure) => {
            let ask = target
                .pool()
                .map(|pool| format!("pg_isready -d '{}'", pool.address()));
            let mend = error::hint(&failure).map(str::to_owned).or(ask);
            section.failed_with("database", &failure, mend.unwrap_or_default());
            for item in OF_POSTGRES {
                section.not_looked_at(item, "database");
            }
            return Seen::default();
        }
    };
    section.passed(
        "database",
        format!(
            "{}, PostgreSQL {}, as {}",
            target.describe(),
            server.version,
            server.role
        ),
    );
    let has_tables = look_at_schema(target, &server, section);
    look_at_rights(&mut ledger, target, &server, has_tables, section);
    match has_tables {
        true => look_at_unfinished(request, target, section),
        false => section.not_looked_at("unfinished runs", "schema"),
    }
    look_at_connection(&server, age, section);
    look_at_primary(&server, section);
    // What a pool keeps is closed with it; an error would come too late to matter.
    let _ = ledger.close();
    Seen {
        is_reachable: true,
        now: Some(now),
        seconds_ahead: Some(ahead),
    }
}

fn look_at_connection(server: &Server, age: f64, section: &mut Section<'_>) {
    let way = match (server.encryption.as_deref(), server.way.as_str()) {
        (Some(encryption), way) => format!("{encryption}, over the {way}"),
        (None, "socket") => "unix socket".to_owned(),
        (None, "loopback") => "loopback, no TLS".to_owned(),
        (None, way) => format!("{way}, no TLS between the database and whoever connects to it"),
    };
    // A session that is older than our question was somebody else's before.
    let pooler = match server.session_seconds > age + 1.0 {
        true => "; a pooler stands in between",
        false => "",
    };
    section.passed("connection", format!("{way}{pooler}"));
}

fn look_at_primary(server: &Server, section: &mut Section<'_>) {
    match server.is_replica {
        false => section.passed("primary", "it takes writes"),
        true => {
            let problem = "it is a replica, which takes no writes";
            let failure = Failure::new(Class::Unavailable, problem);
            section.failed_with(
                "primary",
                &failure.into(),
                "export DATABASE_URL=postgres://USER@PRIMARY/DATABASE",
            );
        }
    }
    let skips = match server.skips_disk {
        true => "; fsync is off: a crash of the server's machine can lose or damage everything",
        false => "",
    };
    section.passed(
        "durability",
        match server.durability.as_str() {
            "off" => {
                format!("synchronous_commit is off here and on in a run's transactions{skips}")
            }
            on => format!("synchronous_commit is {on}{skips}"),
        },
    );
}

/// Returns whether our tables are there, of a version that a run can work on.
fn look_at_schema(target: &Target, server: &Server, section: &mut Section<'_>) -> bool {
    const ITEM: &str = "schema";
    let schema = target.schema_name().unwrap_or_default();
    let command = format!("lamplighter db migrate --schema {schema}");
    if !server.has_schema {
        let failure = Failure::config(format!("there is no schema {schema} yet"));
        section.failed_with(ITEM, &failure.into(), command);
        return false;
    }
    let status = target
        .open(Access::Read)
        .and_then(|mut ledger| ledger.schema_status());
    match status {
        Ok(status) => {
            let (applied, known) = (status.applied, status.known);
            section.passed(ITEM, format!("{schema}, version {applied} of {known}"));
            true
        }
        Err(failure) => {
            let mend = match error::classify(&failure) {
                Class::Config
                    if error::hint(&failure).is_some_and(|hint| hint.contains("migrate")) =>
                {
                    command
                }
                Class::Permission => grant_usage(schema, server),
                _ => error::hint(&failure).unwrap_or(&command).to_owned(),
            };
            section.failed_with(ITEM, &failure, mend);
            false
        }
    }
}

fn look_at_rights(
    ledger: &mut Ledger,
    target: &Target,
    server: &Server,
    has_tables: bool,
    section: &mut Section<'_>,
) {
    const ITEM: &str = "privileges";
    let schema = target.schema_name().unwrap_or_default();
    let found = ledger.may_use_schema();
    match section.settle(ITEM, found) {
        Some(true) if has_tables => {}
        Some(true) => return section.not_looked_at(ITEM, "schema"),
        Some(false) => {
            let problem = format!("{} may not use the schema {schema}", server.role);
            let failure = Failure::new(Class::Permission, problem);
            return section.failed_with(ITEM, &failure.into(), grant_usage(schema, server));
        }
        None => return,
    }
    let missing = ledger.missing_rights();
    let Some(missing) = section.settle(ITEM, missing) else {
        return;
    };
    if missing.is_empty() {
        let (rights, tables) = Ledger::needed_rights();
        let more = match server {
            Server {
                is_superuser: true, ..
            } => "; as a superuser it has many more",
            Server {
                owns_schema: true, ..
            } => "; as the owner of the schema it has more",
            _ => "",
        };
        return section.passed(ITEM, format!("all {rights} on {tables} tables{more}"));
    }
    let listed: Vec<String> = missing
        .iter()
        .map(|missing| format!("{} on {}", missing.rights.join(", "), missing.table))
        .collect();
    let problem = format!("{} lacks {}", server.role, listed.join("; "));
    let failure = Failure::new(Class::Permission, problem);
    let grants = missing.iter().map(|missing| grant(missing, schema, server));
    section.failed_with(ITEM, &failure.into(), grants.collect::<Vec<_>>().join(" "));
}

fn role(server: &Server) -> String {
    Identifier::column(&server.role).map_or_else(|_| server.role.clone(), |role| role.to_string())
}

fn grant_usage(schema: &str, server: &Server) -> String {
    format!("GRANT USAGE ON SCHEMA {schema} TO {};", role(server))
}

fn grant(missing: &MissingRights, schema: &str, server: &Server) -> String {
    let MissingRights { table, rights } = missing;
    format!(
        "GRANT {} ON {schema}.{table} TO {};",
        rights.join(", "),
        role(server)
    )
}

// Both

fn look_at_unfinished(request: &Request<'_>, target: &Target, section: &mut Section<'_>) {
    const ITEM: &str = "unfinished runs";
    let runs = match target.open(Access::Read) {
        Ok(mut ledger) => {
            let runs = unfinished(&mut ledger, &request.job.name);
            ledger.close().and(runs)
        }
        Err(failure) if error::classify(&failure) == Class::NoInput => Ok(Vec::new()),
        Err(_) => return section.not_looked_at(ITEM, "schema"),
    };
    let Some(runs) = section.settle(ITEM, runs) else {
        return;
    };
    let here = numerics::instruction_set().map_err(Into::into);
    let Some(here) = section.settle(ITEM, here) else {
        return;
    };
    let here = here.as_str();
    let strange = runs.iter().find(|run| run.numerics != here);
    if let Some(run) = strange {
        let name = run.name();
        let problem = format!(
            "{name} was begun on {}, and this host has {here}",
            run.numerics
        );
        let mend = format!("lamplighter runs cancel {name}");
        return section.failed_with(ITEM, &Failure::config(problem).into(), mend);
    }
    let names: Vec<String> = runs.iter().map(|run| run.name().to_string()).collect();
    let first = names.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    section.passed(
        ITEM,
        match names.len() {
            0 => "none".to_owned(),
            count => format!(
                "{}, which a start goes on with: {first}",
                grouped(count as u64)
            ),
        },
    );
}

fn unfinished(ledger: &mut Ledger, job: &str) -> anyhow::Result<Vec<Run>> {
    let mut found = Vec::new();
    for date in ledger.unfinished_dates(job)? {
        let runs = ledger.runs_of_date(job, &date)?.into_iter();
        found.extend(
            runs.filter(|run| !run.trial && matches!(run.state, State::Planning | State::Running)),
        );
    }
    Ok(found)
}
