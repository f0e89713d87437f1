use std::collections::BTreeSet;
use std::process::Command;

use super::command_lines::Site;
use super::{FINAL, default_of, file, is_left_out, seconds};
use crate::harness::small_disk::is_root;
use crate::harness::{Ended, Workspace, find_program, repository, strace};

pub const SERVICE: &str = "lamplighter@.service";
const TIMER: &str = "lamplighter@.timer";
pub const FAILURE: &str = "lamplighter-failure@.service";

/// A unit file's settings, in their order.
pub struct Unit {
    settings: Vec<(String, String)>,
}

impl Unit {
    pub fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with(['#', '[']));
        let settings = lines.filter_map(|line| line.split_once('='));
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Self {
            settings: settings.collect(),
        }
    }

    /// The unit of this instance.
    pub fn instance(mut self, name: &str) -> Self {
        for (_, value) in &mut self.settings {
            *value = value.replace("%i", name);
        }
        self
    }

    pub fn all(&self, key: &str) -> Vec<&str> {
        let settings = self.settings.iter().filter(|(known, _)| known == key);
        settings.map(|(_, value)| value.as_str()).collect()
    }

    fn one(&self, key: &str) -> &str {
        let all = self.all(key);
        assert_eq!(all.len(), 1, "{key}: {all:?}");
        all[0]
    }
}

/// systemd-analyze; `None` if it is left out.
fn analyze(arguments: &[&str]) -> Option<Command> {
    let program = find_program("systemd-analyze");
    if is_left_out(program.is_some(), "TEST_WITHOUT_SYSTEMD") {
        return None;
    }
    let mut command = Command::new(program?);
    command.args(arguments);
    Some(command)
}

/// Verifies the units of one job, changed by `change`.
fn verified(change: impl Fn(String) -> String) -> Option<Ended> {
    let site = Site::on_sqlite();
    for name in [SERVICE, TIMER, FAILURE] {
        site.workspace
            .write(&format!("units/{name}"), change(site.place(&file(name))));
    }
    let units = site.workspace.path("units");
    let mut command = analyze(&["verify", "--man=no", "--recursive-errors=yes"])?;
    command
        .args([
            "lamplighter@flight-delay.service",
            "lamplighter@flight-delay.timer",
        ])
        .arg("lamplighter-failure@flight-delay.service")
        // The colon at the end stands for the system's own places.
        .env("SYSTEMD_UNIT_PATH", format!("{}:", units.display()));
    Some(Ended::of(&mut command))
}

#[test]
fn systemd_takes_the_units() {
    let Some(ended) = verified(|text| text) else {
        return;
    };
    let ended = ended.expect(0);
    assert_eq!(ended.stdout + &ended.stderr, "");
    let wrong = verified(|text| text.replace("KillMode=mixed", "KillMode=gentle"));
    assert_ne!(wrong.expect("the same program").code, Some(0));
}

#[test]
fn the_exposure_is_as_the_page_says() {
    let workspace = Workspace::new();
    let unit = workspace.write(SERVICE, file(SERVICE));
    let Some(mut command) = analyze(&["security", "--offline=true", "--no-pager"]) else {
        return;
    };
    let said = Ended::of(command.arg(unit)).expect(0).stdout;
    let (_, level) = said
        .rsplit_once("Overall exposure level for ")
        .expect("a level");
    let level = level.split_whitespace().nth(1).expect("a number");
    assert!(level.parse::<f64>().expect("a number") < 2.0, "{said}");
    assert!(
        file("README.md").contains(&format!("exposure level {level}")),
        "it is {level}"
    );
}

#[test]
fn a_start_is_tried_again_after_the_exit_codes_that_call_for_it() {
    let unit = Unit::read(&file(SERVICE));
    assert_eq!(unit.one("Restart"), "on-failure");
    let prevented: Vec<u8> = unit
        .one("RestartPreventExitStatus")
        .split(' ')
        .map(|code| code.parse().expect("a code"))
        .collect();
    assert_eq!(prevented, FINAL);
    assert!(
        unit.all("SuccessExitStatus").is_empty(),
        "no other code is success"
    );
    assert_eq!(unit.one("OnFailure"), "lamplighter-failure@%i.service");
    // All tries fall into the interval in which they are counted, and the next night does not.
    let tries = unit
        .one("StartLimitBurst")
        .parse::<u64>()
        .expect("a number");
    let interval = seconds(unit.one("StartLimitIntervalSec"));
    assert!(interval > tries * seconds(unit.one("RestartSec")));
    assert!(interval < seconds("20h"));
}

#[test]
fn a_stop_leaves_time_to_finish_what_is_begun() {
    let unit = Unit::read(&file(SERVICE));
    assert!(seconds(unit.one("TimeoutStopSec")) >= 3 * seconds(&default_of("run", "grace")));
    assert_eq!(
        (unit.one("KillMode"), unit.one("KillSignal")),
        ("mixed", "SIGTERM")
    );
}

#[test]
fn the_memory_that_a_run_takes_is_below_the_limit() {
    let taken: bytesize::ByteSize = default_of("run", "max_memory").parse().expect("a size");
    let limit: bytesize::ByteSize = format!("{}iB", Unit::read(&file(SERVICE)).one("MemoryMax"))
        .parse()
        .expect("a size");
    assert!(limit > taken, "{limit} {taken}");
}

#[test]
fn a_timer_starts_every_night_once_and_makes_up_for_a_missed_one() {
    let unit = Unit::read(&file(TIMER));
    assert_eq!(unit.one("Persistent"), "true");
    assert!(seconds(unit.one("RandomizedDelaySec")) > 0);
    assert_eq!(unit.one("FixedRandomDelay"), "true");
    let Some(mut command) = analyze(&[
        "calendar",
        "--iterations=3",
        "--base-time=2026-03-28 12:00:00",
    ]) else {
        return;
    };
    // Berlin's clocks skip the hour from two to three in the second of these nights.
    let said = Ended::of(
        command
            .arg(unit.one("OnCalendar"))
            .env("TZ", "Europe/Berlin"),
    )
    .expect(0)
    .stdout;
    let nights: Vec<&str> = said
        .lines()
        .filter_map(|line| line.split_once("(in UTC): "))
        .map(|(_, time)| time)
        .collect();
    assert_eq!(
        nights,
        [
            "Sun 2026-03-29 02:00:00 UTC",
            "Mon 2026-03-30 02:00:00 UTC",
            "Tue 2026-03-31 02:00:00 UTC"
        ],
        "{said}"
    );
}

/// All system calls of a filter's groups.
fn calls(group: &str) -> Option<BTreeSet<String>> {
    let said = Ended::of(&mut analyze(&["syscall-filter", "--no-pager", group])?)
        .expect(0)
        .stdout;
    let mut found = BTreeSet::new();
    for word in said
        .lines()
        .skip(1)
        .map(str::trim)
        .filter(|word| !word.starts_with('#'))
    {
        match word.strip_prefix('@') {
            Some(_) => found.extend(calls(word)?),
            None => _ = found.insert(word.to_owned()),
        }
    }
    Some(found)
}

#[test]
fn a_run_makes_no_system_call_that_the_service_forbids() {
    let (Some(allowed), Some(forbidden)) = (calls("@system-service"), calls("@privileged")) else {
        return;
    };
    if strace::is_left_out() {
        return;
    }
    let filters = Unit::read(&file(SERVICE));
    assert_eq!(
        filters.all("SystemCallFilter"),
        ["@system-service", "~@privileged"]
    );
    let workspace = Workspace::new();
    let url = format!("sqlite://{}", workspace.path("lamplighter.db").display());
    let mut command = workspace.command(&["run", "jobs/flight-delay.toml", "--database", &url]);
    command.current_dir(repository());
    let made = strace::names(&command);
    assert!(made.contains("pwrite64"), "{made:?}");
    for call in made {
        // SQLite hands a file that root makes to the directory's owner. The service is not root.
        let is_roots = call == "fchown" && is_root();
        assert!(
            is_roots || allowed.contains(&call) && !forbidden.contains(&call),
            "{call}"
        );
    }
}
