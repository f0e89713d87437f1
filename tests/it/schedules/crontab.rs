use std::os::unix::process::CommandExt;
use std::process::Command;

use croner::Cron;

use super::command_lines::Site;
use super::{file, is_left_out, minute_of, tool};
use crate::harness::small_disk::is_root;
use crate::harness::{Ended, Workspace};

/// What cron reads: settings, and commands with their five fields.
pub struct Crontab {
    pub settings: Vec<(String, String)>,
    pub lines: Vec<Line>,
}

pub struct Line {
    pub fields: String,
    pub command: String,
}

impl Crontab {
    pub fn read(text: &str) -> Self {
        let mut crontab = Self {
            settings: Vec::new(),
            lines: Vec::new(),
        };
        for line in text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            match line.split_once('=') {
                Some((name, value)) if name.chars().all(|c| c.is_ascii_uppercase() || c == '_') => {
                    crontab.settings.push((name.to_owned(), value.to_owned()));
                }
                _ => {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    let (fields, command) = words.split_at(5);
                    crontab.lines.push(Line {
                        fields: fields.join(" "),
                        command: command.join(" "),
                    });
                }
            }
        }
        crontab
    }

    pub fn setting(&self, name: &str) -> &str {
        let setting = self.settings.iter().find(|(known, _)| known == name);
        &setting.unwrap_or_else(|| panic!("no {name}")).1
    }

    /// What cron mails of this line: all that it prints.
    fn mail(&self, line: &Line) -> String {
        let mut shell = Command::new(self.setting("SHELL"));
        shell
            .args(["-c", &line.command])
            .env_clear()
            .env("HOME", "/")
            .envs(self.settings.iter().cloned());
        shell.process_group(0);
        let ended = Ended::of(&mut shell);
        ended.stdout + &ended.stderr
    }

    fn run(&self) -> &Line {
        let run = self
            .lines
            .iter()
            .find(|line| line.command.contains("lamplighter run "));
        run.expect("a line that runs the job")
    }
}

/// The crontab at a site, on SQLite.
fn at(site: &Site) -> Crontab {
    Crontab::read(&site.place(&file("crontab")))
}

/// The commands of crontab(1) that say whether it takes a file, in a namespace of its own where it finds
/// the directory and the group that its package makes.
const CHECK: &str = "
mount -t tmpfs tmpfs /var/spool
mkdir -p /var/spool/cron/crontabs
{ cat /etc/group; echo crontab:x:0:; } >/var/spool/group
mount --bind /var/spool/group /etc/group
exec \"$0\" -n \"$1\"
";

fn checked(text: &str) -> Option<Ended> {
    let program = tool("cron/usr/bin/crontab");
    if is_left_out(program.is_file(), "TEST_WITHOUT_CRONTAB") {
        return None;
    }
    let workspace = Workspace::new();
    let crontab = workspace.write("crontab", text);
    let mut unshare = Command::new("unshare");
    if !is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare
        .args(["--mount", "sh", "-ec", CHECK])
        .arg(program)
        .arg(crontab);
    Some(Ended::of(&mut unshare))
}

#[test]
fn cron_takes_the_crontab() {
    let Some(taken) = checked(&file("crontab")) else {
        return;
    };
    taken.expect(0);
    let wrong = file("crontab").replace("25 6 *", "25 26 *");
    let refused = checked(&wrong).expect("the same program");
    refused.expect(1).says(&["bad hour"]);
}

#[test]
fn a_night_has_a_start_a_second_one_and_a_morning() {
    let crontab = Crontab::read(&file("crontab"));
    let job = crontab
        .setting("JOB")
        .trim_start_matches("jobs/")
        .trim_end_matches(".toml");
    let minute: u32 = minute_of(job).parse().expect("a minute");
    let hours = |word: &str| {
        let line = crontab
            .lines
            .iter()
            .find(|line| line.command.contains(word));
        let cron: Cron = line.expect("a line").fields.parse().expect("five fields");
        assert!(
            cron.pattern.minute_match(minute).expect("a minute"),
            "{word}"
        );
        assert!(
            !cron
                .pattern
                .minute_match((minute + 1) % 60)
                .expect("a minute"),
            "{word}"
        );
        let hours = (0..24).filter(|hour| cron.pattern.hour_match(*hour).expect("an hour"));
        hours.collect::<Vec<u32>>()
    };
    let (run, prune, status) = (
        hours("lamplighter run"),
        hours("runs prune"),
        hours("status"),
    );
    assert!(run.len() == 2 && run[0] + 1 < run[1], "{run:?}");
    assert!(prune.len() == 1 && prune[0] > run[1], "{prune:?}");
    assert!(status.len() == 1 && status[0] > prune[0], "{status:?}");
}

#[test]
fn no_command_holds_a_percent_sign_which_would_end_it() {
    for line in Crontab::read(&file("crontab")).lines {
        assert!(
            !line.command.replace("\\%", "").contains('%'),
            "{}",
            line.command
        );
    }
}

#[test]
fn a_good_night_sends_no_mail() {
    let site = Site::on_sqlite();
    let crontab = at(&site);
    let log = || std::fs::read_to_string(crontab.setting("LOG")).expect("a log");
    assert_eq!(crontab.mail(crontab.run()), "");
    assert!(log().contains("PUBLISHED"), "{}", log());
    for line in &crontab.lines {
        assert_eq!(crontab.mail(line), "", "{}", line.command);
    }
    assert!(log().contains("is already complete"), "{}", log());
}

#[test]
fn not_this_time_sends_no_mail() {
    let site = Site::on_sqlite();
    let crontab = at(&site);
    site.change_job("[source]", "[source]\nwait_for = \"never\"");
    assert_eq!(crontab.mail(crontab.run()), "");
    let log = std::fs::read_to_string(crontab.setting("LOG")).expect("a log");
    assert!(log.contains("never is not there yet"), "{log}");
}

#[test]
fn a_bad_night_is_mailed_with_the_end_of_the_log() {
    let site = Site::on_sqlite();
    let crontab = at(&site);
    site.change_job("fixtures/models/flight-delay", "fixtures/models/none");
    let mail = crontab.mail(crontab.run());
    assert!(
        mail.contains("error: ") && mail.contains("fixtures/models/none"),
        "{mail}"
    );
    assert!(mail.lines().count() <= 30, "{mail}");
}

#[test]
fn a_site_that_is_not_there_is_mailed() {
    let site = Site::on_sqlite();
    for place in ["/srv/lamplighter", "/var/log/lamplighter"] {
        let text = site.place(&file("crontab").replace(place, "/nowhere"));
        let crontab = Crontab::read(&text);
        let mail = crontab.mail(crontab.run());
        assert!(mail.contains("/nowhere"), "{mail}");
    }
}
