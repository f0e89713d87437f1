use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use super::systemd::{FAILURE, SERVICE};
use super::{file, is_left_out, works};
use crate::harness::{Ended, Workspace, flights, repository};

/// A machine whose systemd starts the night of the flights, and what comes of it.
struct Machine {
    workspace: Workspace,
}

impl Machine {
    /// With lines for the service and for what tells of its failure. `None` if systemd can not be started here,
    /// and that has been said.
    fn new(service: &str, failure: &str) -> Option<Self> {
        if is_left_out(works("systemd.sh"), "TEST_WITHOUT_OWN_SYSTEMD") {
            return None;
        }
        let machine = Self {
            workspace: Workspace::new(),
        };
        let units = "root/etc/systemd/system";
        for (name, more) in [(SERVICE, service), (FAILURE, failure)] {
            machine
                .workspace
                .write(&format!("{units}/{name}"), file(name));
            machine
                .workspace
                .write(&format!("{units}/{name}.d/test.conf"), more);
        }
        machine
            .workspace
            .copy_directory("jobs", "root/srv/lamplighter/jobs");
        let bundle = "fixtures/models/flight-delay";
        machine
            .workspace
            .copy_directory(bundle, &format!("root/srv/lamplighter/{bundle}"));
        for file in flights::files() {
            let name = file
                .strip_prefix(repository())
                .expect("inside")
                .display()
                .to_string();
            machine.workspace.write(
                &format!("root/srv/lamplighter/{name}"),
                fs::read(&file).expect("records"),
            );
        }
        machine.program(
            "lamplighter",
            &fs::read(env!("CARGO_BIN_EXE_lamplighter")).expect("the binary"),
        );
        for (name, line) in [
            ("passwd", "lamplighter:x:990:990::/nonexistent:/bin/false"),
            ("group", "lamplighter:x:990:"),
        ] {
            let known = fs::read_to_string(format!("/etc/{name}")).expect("users");
            machine
                .workspace
                .write(&format!("root/etc/{name}"), format!("{known}{line}\n"));
        }
        let url = "sqlite:///var/lib/lamplighter/lamplighter.db\n";
        let url = machine
            .workspace
            .write("root/etc/lamplighter/database-url", url);
        fs::set_permissions(url, PermissionsExt::from_mode(0o400)).expect("a mode");
        fs::create_dir(machine.workspace.path("outside")).expect("a directory");
        fs::set_permissions(
            machine.workspace.path("outside"),
            PermissionsExt::from_mode(0o777),
        )
        .expect("a mode");
        Some(machine)
    }

    fn program(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self
            .workspace
            .write(&format!("root/usr/local/bin/{name}"), content);
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("a mode");
        path
    }

    /// Has systemd start the service, and waits until it has ended.
    fn night(&self) -> Ended {
        let mut systemd = Command::new(repository().join("tests/systemd.sh"));
        systemd
            .arg("run")
            .arg(self.workspace.path(""))
            .arg("lamplighter@flight-delay.service");
        Ended::of(&mut systemd)
    }

    fn outside(&self, name: &str) -> String {
        fs::read_to_string(self.workspace.path(&format!("outside/{name}"))).unwrap_or_default()
    }
}

const STREAMS: &str = "StandardOutput=append:/outside/report\nStandardError=append:/outside/log\n";

#[test]
fn a_night_under_systemd_with_everything_forbidden_that_the_service_forbids() {
    let lines =
        format!("[Unit]\nSuccessAction=exit-force\nFailureAction=exit-force\n[Service]\n{STREAMS}");
    let Some(machine) = Machine::new(&lines, "") else {
        return;
    };
    let ended = machine.night();
    assert_eq!(ended.code, Some(0), "{}{ended}", machine.outside("log"));
    let report = machine.outside("report");
    assert!(report.contains("PUBLISHED"), "{report}");
}

/// A night that fails until systemd gives up, with this change to the job. Returns its log and the mail.
fn failed(from: &str, to: &str) -> Option<(String, String)> {
    let service = format!("[Service]\nRestartSec=10ms\n{STREAMS}");
    let machine = Machine::new(
        &service,
        "[Unit]\nSuccessAction=exit-force\nFailureAction=exit-force\n",
    )?;
    let job = machine
        .workspace
        .path("root/srv/lamplighter/jobs/flight-delay.toml");
    let text = fs::read_to_string(&job).expect("a job");
    assert!(text.contains(from), "{text}");
    fs::write(job, text.replace(from, to)).expect("a job");
    machine.program("journalctl", b"#!/bin/sh\necho \"the log of $2\"\n");
    machine.program(
        "mail",
        b"#!/bin/sh\n{ echo \"$2 to $3\"; cat; } >/outside/mail\n",
    );
    let ended = machine.night();
    assert_eq!(ended.code, Some(0), "{}{ended}", machine.outside("log"));
    Some((machine.outside("log"), machine.outside("mail")))
}

#[test]
fn what_may_come_right_is_tried_six_times_and_then_mailed() {
    let Some((log, mail)) = failed("[source]", "[source]\nwait_for = \"never\"") else {
        return;
    };
    assert_eq!(
        log.matches("error: never is not there yet").count(),
        6,
        "{log}"
    );
    assert!(
        mail.starts_with(
            "lamplighter flight-delay: exit code 75 to oncall@example.com\nthe log of "
        ),
        "{mail}"
    );
}

#[test]
fn what_ends_the_same_way_is_tried_once_and_mailed() {
    let Some((log, mail)) = failed("fixtures/models/flight-delay", "fixtures/models/none") else {
        return;
    };
    assert_eq!(log.matches("error: ").count(), 1, "{log}");
    assert!(
        mail.starts_with("lamplighter flight-delay: exit code 78 to "),
        "{mail}"
    );
}
