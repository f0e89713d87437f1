use std::process::Command;

use super::{RUN, set_up};
use crate::harness::postgres::cluster;
use crate::harness::results::Results;
use crate::harness::small_disk::is_root;
use crate::harness::{Ended, strace};

/// Every command that a night may need.
const NIGHT: [&[&str]; 6] = [
    &RUN,
    &["run", "job.toml", "--dry-run"],
    &["runs", "verify"],
    &["report"],
    &["dead-letters", "export"],
    &["db", "status"],
];

fn night() -> [Results; 2] {
    let nights = Results::in_each();
    for results in &nights {
        set_up(&results.workspace, &[("a", Some(1.0)), ("b", None)]);
    }
    nights
}

#[test]
fn it_connects_to_its_database_and_to_nobody_else() {
    if strace::is_left_out() {
        return;
    }
    let socket = cluster().socket_directory().display().to_string();
    for results in night() {
        let mut connections = 0;
        for command in NIGHT {
            let calls = "socket,connect,bind,listen,sendto,sendmsg,sendmmsg";
            let (ended, seen) = strace::seen(&results.command(command), calls);
            ended.expect(0);
            for line in seen.lines() {
                let is_internet = ["AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET"];
                assert!(
                    !is_internet.iter().any(|family| line.contains(family)),
                    "{line}"
                );
                assert!(
                    !line.contains("bind(") && !line.contains("listen("),
                    "{line}"
                );
                if line.contains("connect(") {
                    assert!(
                        line.contains(&socket) || line.contains("/var/run/nscd"),
                        "{line}"
                    );
                    connections += u32::from(line.contains(&socket));
                }
            }
        }
        match results.postgres() {
            Some(_) => assert!(connections >= 6, "{connections}"),
            None => assert_eq!(connections, 0),
        }
    }
}

/// Without any network: not even the loopback address answers there.
#[test]
fn a_night_needs_no_network() {
    let apart = |command: &Command| {
        let mut alone = Command::new("unshare");
        match is_root() {
            true => alone.arg("--net"),
            false => alone.args(["--user", "--map-current-user", "--net"]),
        };
        alone.arg(command.get_program()).args(command.get_args());
        if let Some(directory) = command.get_current_dir() {
            alone.current_dir(directory);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => alone.env(name, value),
                None => alone.env_remove(name),
            };
        }
        Ended::of(&mut alone)
    };
    let mut list = Command::new("cat");
    let devices = apart(list.arg("/proc/net/dev")).expect(0).stdout;
    let names: Vec<&str> = devices.lines().skip(2).collect();
    assert!(
        names.len() == 1 && names[0].trim().starts_with("lo:"),
        "{devices}"
    );
    for results in night() {
        for command in NIGHT {
            apart(&results.command(command)).expect(0);
        }
        assert_eq!(results.dead_letters(1), ["b validate/missing_value x"]);
    }
}
